"""How a simulated MQTT or EDP device deals with one command: carry it out, and let the answer leave as its behaviour
wants it: at once, late, twice, after a new login, wrong, or not at all.

Here: conduct and delays. Not here: the names of behaviours (stream_behaviours), the connection (stream_device).
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, Protocol

from commandpost.domain.ports import Scheduler, Timer
from commandpost.simulation.stream_behaviours import STREAM_CONDUCTS, StreamBehaviour, StreamConduct, StreamReply
from commandpost.simulation.stream_client import CommandHeard
from commandpost.simulation.stream_device_settings import StreamCounters, StreamDeviceSettings

ANSWER_PREFIX: Final = b"ok: "
ECHO_BYTES_MAX: Final = 1_024  # of a command's payload, in its answer
TOO_LARGE_BYTES: Final = 70_000  # more than the 64 KiB a platform keeps, southbound reference 5.2
SECOND_COPY_DELAY_S: Final = 0.5
GARBAGE_BYTES_MAX: Final = 64
PENDING_MAX: Final = 256  # answers to come: a server has 16 commands open; the rest stops a leak
OWED_MAX: Final = 64  # answers that wait for a login; the oldest goes
MET_MAX: Final = 256  # command ids remembered, to know a repetition
_NO_MESSAGE: Final = b"\x00\x00"  # of type 0 and without a body: neither MQTT nor EDP has that


class CommandedDevice(Protocol):
    """What the answerer needs of its device."""

    def acknowledge(self, command: CommandHeard) -> None:
        """Say that a command has arrived."""
        ...

    def answer(self, command_id: str, payload: bytes) -> bool:
        """Send an answer now. False: it is not connected."""
        ...

    def write_raw(self, data: bytes) -> None:
        """Write bytes past the protocol."""
        ...

    def lose(self) -> None:
        """Lose the connection, and come back."""
        ...

    def settle(self) -> None:
        """Send what was said, and plan anew."""
        ...


class OwedAnswer(NamedTuple):
    """An answer that waits for a connection."""

    command_id: str
    payload: bytes


class StreamAnswerer:
    """Takes commands and answers them, now, by a timer of its own, or after the next login."""

    def __init__(
        self,
        device: CommandedDevice,
        *,
        settings: StreamDeviceSettings,
        scheduler: Scheduler,
        random: Random,
        counters: StreamCounters,
        on_command: Callable[[CommandHeard, bool, bool], object],
    ) -> None:
        """Answer for one device.

        Args:
            on_command: hears of each command before anything is sent, whether it is carried out, and whether it is a
                repetition.
        """
        self._device = device
        self._settings = settings
        self._scheduler = scheduler
        self._random = random
        self._counters = counters
        self._on_command = on_command
        self._misbehaved = 0
        self._met: deque[str] = deque(maxlen=MET_MAX)
        self._owed: deque[OwedAnswer] = deque(maxlen=OWED_MAX)
        self._pending: dict[int, Timer] = {}
        self._pending_number = 0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to leave by a timer."""
        return bool(self._pending)

    def forget(self) -> None:
        """Drop the answers that are still to leave."""
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()
        self._owed.clear()

    def pay(self) -> None:
        """Send what is owed: the device has just logged in."""
        while self._owed:
            owed = self._owed[0]
            if not self._device.answer(owed.command_id, owed.payload):
                return
            self._owed.popleft()

    def take(self, command: CommandHeard) -> None:
        """Deal with one command."""
        is_repeated = command.command_id in self._met
        if not is_repeated:
            self._met.append(command.command_id)
        conduct = self._conduct_for(is_repeated=is_repeated)
        self._counters.commands += 1
        self._counters.done += conduct.does_it
        self._on_command(command, conduct.does_it, is_repeated)
        if conduct.acknowledges:
            self._device.acknowledge(command)
        self._reply(command, conduct)

    def _conduct_for(self, *, is_repeated: bool) -> StreamConduct:
        conduct = STREAM_CONDUCTS[self._settings.behaviour]
        has_learnt = conduct.times_max is not None and self._misbehaved >= conduct.times_max
        if has_learnt or (conduct.spares_repetitions and is_repeated):
            return STREAM_CONDUCTS[StreamBehaviour.NORMAL]
        self._misbehaved += 1
        return conduct

    def _reply(self, command: CommandHeard, conduct: StreamConduct) -> None:
        match conduct.reply:
            case StreamReply.ANSWER:
                delay_s = self._settings.slow_answer_s if conduct.is_slow else self._settings.answer_delay_s
                self._later(delay_s, OwedAnswer(command.command_id, _payload(command, conduct)))
                if conduct.is_doubled:
                    copy = OwedAnswer(command.command_id, _payload(command, conduct))
                    self._later(delay_s + SECOND_COPY_DELAY_S, copy)
            case StreamReply.ANSWER_AFTER_LOSS:
                self._owed.append(OwedAnswer(command.command_id, _payload(command, conduct)))
                self._device.lose()
            case StreamReply.LOSS:
                self._device.lose()
            case StreamReply.RANDOM_BYTES:
                size = self._random.randrange(GARBAGE_BYTES_MAX)
                self._device.write_raw(_NO_MESSAGE + self._random.randbytes(size))
            case StreamReply.NOTHING:
                pass

    def _send(self, answer: OwedAnswer) -> None:
        if not self._device.answer(answer.command_id, answer.payload):
            self._owed.append(answer)

    def _later(self, delay_s: float, answer: OwedAnswer) -> None:
        if delay_s <= 0:
            self._send(answer)
            return
        if len(self._pending) >= PENDING_MAX:
            return
        self._pending_number += 1
        number = self._pending_number

        def come_due() -> None:
            del self._pending[number]
            self._send(answer)
            self._device.settle()

        self._pending[number] = self._scheduler.call_later(delay_s, come_due)


def _payload(command: CommandHeard, conduct: StreamConduct) -> bytes:
    if conduct.is_too_large:
        return bytes(TOO_LARGE_BYTES)
    return ANSWER_PREFIX + command.payload[:ECHO_BYTES_MAX]
