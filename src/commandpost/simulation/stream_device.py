"""A simulated device on a TCP stream: connects, logs in, reports, obeys, disconnects and comes back.

Here: its life, which is the same over MQTT and EDP. Not here: what its program says (mqtt_device, edp_device), how it
treats commands (stream_answerer), the socket (stream_device_link). Nothing here waits or opens anything by itself: time
is the Clock's and the Scheduler's, bytes come and go by a StreamLink.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from math import inf
from random import Random
from typing import Final

from commandpost.domain.ports import Clock, Scheduler, Timer
from commandpost.simulation.device_reports import ReportMaker
from commandpost.simulation.stream_answerer import StreamAnswerer
from commandpost.simulation.stream_behaviours import STREAM_CONDUCTS
from commandpost.simulation.stream_client import (
    ClientEnded,
    CommandHeard,
    LoggedIn,
    MessageHeard,
    ReportTaken,
    StreamClient,
    StreamEvent,
)
from commandpost.simulation.stream_device_settings import ReceivedCommand, StreamCounters, StreamDeviceSettings
from commandpost.simulation.stream_link import NO_CONNECTION, StreamLink

HEARD_KEPT_DEFAULT: Final = 10_000  # entries of the log; a fleet keeps none
_DOUBLINGS_MAX: Final = 16  # of the back-off; retry_max_s ends it long before


class StreamState(Enum):
    """Where the device stands with its server, as far as it knows."""

    OFF = "off"
    """Not started, or stopped."""
    AWAY = "away"
    """It sleeps, or waits before it tries again."""
    CONNECTING = "connecting"
    """From the opening of the stream to the answer to its login."""
    CONNECTED = "connected"


class StreamDevice:
    """One device. `start` switches it on; from then on it lives by its timer and by what it receives."""

    def __init__(
        self,
        *,
        settings: StreamDeviceSettings,
        client: StreamClient,
        link: StreamLink,
        scheduler: Scheduler,
        clock: Clock,
        random: Random,
        counters: StreamCounters | None = None,
        heard_kept_max: int = HEARD_KEPT_DEFAULT,
        on_command: Callable[[ReceivedCommand], object] | None = None,
    ) -> None:
        """Build a device that is off.

        Args:
            random: its own; two devices that share one are not independent.
            counters: shared with other devices, or its own.
            heard_kept_max: how many of the newest entries `heard` keeps.
            on_command: hears of each command before anything is sent for it.
        """
        self.settings = settings
        self.counters = counters if counters is not None else StreamCounters()
        self.heard: deque[ReceivedCommand] = deque(maxlen=heard_kept_max)
        """The commands that came, oldest first: also those it did not carry out, and repetitions."""
        self.state = StreamState.OFF
        self._client = client
        self._link = link
        self._scheduler = scheduler
        self._clock = clock
        self._random = random
        self._on_command = on_command
        self._reports = ReportMaker(settings.report_types, clock=clock, random=random)
        self._answerer = StreamAnswerer(
            self,
            settings=settings,
            scheduler=scheduler,
            random=random,
            counters=self.counters,
            on_command=self._note,
        )
        self._is_open = False
        self._failures_in_a_row = 0
        self._was_let_in = False
        self._return_at = 0.0
        self._report_at = inf
        self._traffic_at = 0.0
        self._life: Timer | None = None
        self._life_at = inf
        link.listen(self)

    # What its owner may do.

    def start(self, *, delay_s: float = 0.0) -> None:
        """Switch on after a delay; harmless when it is on."""
        if self.state is StreamState.OFF:
            self._go_away(self._now() + delay_s)

    def stop(self) -> None:
        """Switch off at once without a word, as when the battery is taken out."""
        self._drop()
        self.state = StreamState.OFF
        self._answerer.forget()
        self._cancel_life()

    def wake(self) -> None:
        """Connect now; harmless when it is connected or about to be."""
        if self.state is StreamState.AWAY:
            self._connect()

    def sleep(self) -> None:
        """Say good-bye where there is a word for it, and come back after a sleep."""
        if self.state is StreamState.OFF:
            return
        self.counters.sleeps += 1
        if self._is_open:
            self._client.leave()
            self._flush()
        self._leave_connected()
        self._is_open = False
        self._link.close()
        jitter = 1.0 + self.settings.sleep_jitter * (2.0 * self._random.random() - 1.0)
        self._go_away(self._now() + self.settings.sleep_s * jitter)

    def lose(self) -> None:
        """Lose the connection without a word, and come back."""
        if self.state in (StreamState.CONNECTING, StreamState.CONNECTED):
            self._drop()
            self._come_back("lost on purpose")

    def report(self) -> None:
        """Measure and report, now; nothing while it is not connected."""
        if self.state is StreamState.CONNECTED:
            self._report()
            self.settle()

    # What the answerer may do.

    def acknowledge(self, command: CommandHeard) -> None:
        """Say that a command has arrived."""
        self._client.acknowledge(command)

    def answer(self, command_id: str, payload: bytes) -> bool:
        """Answer a command. False: it is not connected."""
        if self.state is not StreamState.CONNECTED:
            return False
        if not self._client.answer(command_id, payload, now=self._now()):
            return False
        self.counters.answers += 1
        self._traffic_at = self._now()
        return True

    def write_raw(self, data: bytes) -> None:
        """Write bytes past the protocol."""
        if self._is_open:
            self._flush()
            self._write(data)

    def settle(self) -> None:
        """Take what the program has to tell, send what it has to say, and plan the next thing."""
        while self._is_open and (event := self._client.next_event()) is not None:
            self._on_event(event)
        if self._is_open:
            self._flush()
            is_reading = STREAM_CONDUCTS[self.settings.behaviour].reads or self.state is not StreamState.CONNECTED
            self._link.set_reading(is_on=is_reading and not self._client.is_paused)
        self._plan()

    # What the link tells.

    def stream_opened(self) -> None:
        """Log in."""
        self._is_open = True
        self._client.begin(now=self._now())
        self.settle()

    def stream_received(self, data: bytes) -> None:
        """Take what came."""
        self.counters.bytes_received += len(data)
        self._client.receive_bytes(data, now=self._now())
        self.settle()

    def stream_ended(self, why_not_opened: str = NO_CONNECTION) -> None:
        """Note that the server, or the way to it, is gone."""
        self._end("the stream ended" if self._is_open else why_not_opened)

    # Its life: one timer, set to the next thing it does by itself.

    def _live(self) -> None:
        self._life, self._life_at = None, inf
        now = self._now()
        if self.state is StreamState.AWAY:
            if now >= self._return_at:
                self._connect()
                return
        elif self._is_open:
            self._client.handle_deadline(now=now)
            if self.state is StreamState.CONNECTED and now >= self._report_at:
                self._report()
            if now >= self._sleep_at():
                self.sleep()
                return
        self.settle()

    def _plan(self) -> None:
        """Set the timer to the next thing. One that is set to an earlier time stays: it plans anew when it comes."""
        at = self._next_at()
        if at >= self._life_at or at == inf:
            return
        self._cancel_life()
        self._life_at = at
        self._life = self._scheduler.call_later(max(0.0, at - self._now()), self._live)

    def _next_at(self) -> float:
        if self.state is StreamState.AWAY:
            return self._return_at
        if not self._is_open:
            return inf  # the link tells what becomes of the opening
        deadline = self._client.next_deadline()
        at = inf if deadline is None else deadline
        return min(at, self._report_at, self._sleep_at()) if self.state is StreamState.CONNECTED else at

    def _sleep_at(self) -> float:
        may_sleep = self.state is StreamState.CONNECTED and self.settings.sleep_s > 0 and not self._answerer.is_busy
        return self._traffic_at + self.settings.awake_s if may_sleep else inf

    def _cancel_life(self) -> None:
        if self._life is not None:
            self._life.cancel()
        self._life, self._life_at = None, inf

    def _connect(self) -> None:
        self._cancel_life()
        self.state = StreamState.CONNECTING
        self._link.open()

    def _go_away(self, return_at: float) -> None:
        self.state = StreamState.AWAY
        self._return_at = return_at
        self._cancel_life()
        self._plan()

    def _end(self, reason: str) -> None:
        """The connection is over, and not because the device wanted it."""
        if self.state in (StreamState.OFF, StreamState.AWAY):
            return
        was_connected = self.state is StreamState.CONNECTED
        self.counters.lost += was_connected
        self.counters.failures += not was_connected
        self._client.lose()
        self._leave_connected()
        self._is_open = False
        self._link.close()
        self._come_back(reason)

    def _drop(self) -> None:
        self._client.lose()
        self._leave_connected()
        self._is_open = False
        self._link.abort()

    def _come_back(self, reason: str) -> None:
        """Try again a little later, and later each time that it did not work."""
        self.counters.last_end = reason
        doublings = min(self._failures_in_a_row, _DOUBLINGS_MAX)
        self._failures_in_a_row += 1
        delay_s = min(self.settings.retry_max_s, self.settings.retry_min_s * 2**doublings)
        self._go_away(self._now() + delay_s * (1.0 + self._random.random() / 2))

    def _leave_connected(self) -> None:
        self.counters.connected_now -= self.state is StreamState.CONNECTED
        self._report_at = inf

    # Events and messages.

    def _on_event(self, event: StreamEvent) -> None:
        match event:
            case CommandHeard():
                self._traffic_at = self._now()
                self._answerer.take(event)
            case ReportTaken(is_stored=is_stored):
                self.counters.reports_stored += is_stored
                self.counters.reports_refused += not is_stored
            case MessageHeard():
                self.counters.messages += 1
                self._traffic_at = self._now()
            case LoggedIn():
                self._on_logged_in()
            case ClientEnded(reason=reason, is_refused=is_refused):
                self.counters.refused += is_refused
                self._flush()
                self._end(reason)

    def _on_logged_in(self) -> None:
        self.state = StreamState.CONNECTED
        self.counters.logins += 1
        self.counters.let_in += not self._was_let_in
        self._was_let_in = True
        self.counters.connected_now += 1
        self._failures_in_a_row = 0
        self._traffic_at = self._now()
        self._answerer.pay()
        if self.settings.report_s is not None:
            self._report()

    def _report(self) -> None:
        now = self._now()
        self._report_at = now + self.settings.report_s if self.settings.report_s else inf
        if self._client.report(self._reports.next_report(), now=now):
            self.counters.reports += 1
            self._traffic_at = now

    def _note(self, command: CommandHeard, was_done: bool, is_repeated: bool) -> None:
        entry = ReceivedCommand(
            at_s=self._now(),
            command_id=command.command_id,
            payload=command.payload,
            was_done=was_done,
            is_repeated=is_repeated,
        )
        self.heard.append(entry)
        if self._on_command is not None:
            self._on_command(entry)

    def _flush(self) -> None:
        data = self._client.bytes_to_send()
        if data:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self.counters.bytes_sent += len(data)
        self._link.write(data)

    def _now(self) -> float:
        return self._clock.monotonic()
