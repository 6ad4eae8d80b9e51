"""One connection's payloads: a synchronous state machine, events in, effects out.

Payloads go out in order of acceptance, without waiting for replies, at most a window of them unconfirmed by the
transport (P4). A lane lives as long as its connection; what was delivered has left it: the reply finds its command in
the store, and a reply that never comes is the rescuer's matter.

Here: what follows from what. Not here: carrying it out (payload_dispatcher), what a reply means (domain.delivery).
Design section 2 (state delivered), 10.2; southbound reference 5.2, 6.5.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from commandpost.domain.command import PAYLOAD_WINDOW_MAX, Attempt, AttemptEnd, Command, Outcome, Trigger
from commandpost.domain.command_state import FailedForGood, FailedTooLate
from commandpost.domain.connection import Connection
from commandpost.domain.delivery import after_attempt, attempt_deadline
from commandpost.domain.facts import Claim, FinishAndClaim, NotClaimed, WaitingFor
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, StartId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import Deliver
from commandpost.domain.payload_facts import ConfirmDelivery, EndFormerAttempts
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.ports import IdSource
from commandpost.services.lane_events import Moment

FORMER_SLICE: Final = 100  # attempts of earlier connections ended in one transaction
AGAIN_S: Final = 1.0  # the store could not write a fact of ours: pause before it is asked again
TRIGGERS: Final = Trigger.CONNECT | Trigger.AT_ONCE


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndFormer:
    """End a slice of what earlier connections left; answered by `former_ended`."""

    fact: EndFormerAttempts


@dataclass(frozen=True, slots=True)
class FindPayloads:
    """Ask what waits; answered by `found`."""

    fact: WaitingFor


@dataclass(frozen=True, slots=True)
class PutPayloadClaim:
    """Put an attempt on disk; answered by `claimed`."""

    fact: Claim


@dataclass(frozen=True, slots=True)
class Transmit:
    """Hand a payload to the connection; a channel that can never take it says so: `refused`."""

    transmission: PayloadTransmission


@dataclass(frozen=True, slots=True)
class Settle:
    """Tell the connection that the device has a payload, which it has not confirmed."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class Record:
    """Put something on disk; nothing is waited for."""

    fact: ConfirmDelivery | FinishAndClaim


PayloadEffect = EndFormer | FindPayloads | PutPayloadClaim | Transmit | Settle | Record


@dataclass(slots=True, eq=False)
class _Flight:
    command: Command
    deadline: float
    """On Clock.monotonic."""
    is_sent: bool = False


class PayloadLane:
    """See the module. No method blocks or raises for what a device did; each gives what has to be done, in order."""

    __slots__ = (
        "_effects",
        "_flights",
        "_has_more",
        "_ids",
        "_is_asking",
        "_is_over",
        "_is_settled",
        "_not_before",
        "_queue",
        "_room_asked_for",
        "_start_id",
        "_window_max",
        "connection",
    )

    def __init__(
        self, connection: Connection, *, ids: IdSource, start_id: StartId, window_max: int = PAYLOAD_WINDOW_MAX
    ) -> None:
        self.connection = connection
        self._ids = ids
        self._start_id = start_id
        self._window_max = window_max
        self._flights: dict[AttemptId, _Flight] = {}
        self._queue: deque[Command] = deque()
        self._is_settled = False
        self._is_asking = False
        self._has_more = True
        self._room_asked_for = 0
        self._is_over = False
        self._not_before = 0.0
        self._effects: list[PayloadEffect] = []

    # --- what the dispatcher sees -------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether the lane is over and nothing of it is being written any more."""
        return self._is_over and not self._flights

    @property
    def unconfirmed(self) -> int:
        """How many payloads are claimed or sent, and not confirmed."""
        return len(self._flights)

    def next_deadline(self) -> float | None:
        """Give when `deadline_passed` is due, on the monotonic clock; None: nothing to wait for."""
        deadlines = [flight.deadline for flight in self._flights.values() if flight.is_sent]
        if self._not_before and not self._is_over:
            deadlines.append(self._not_before)
        return min(deadlines, default=None)

    # --- events -------------------------------------------------------------------------------------------------

    def opened(self, now: Moment) -> list[PayloadEffect]:
        """The login's reply has left: first what earlier connections left is ended, then payloads go."""
        return self._go_on(now)

    def former_ended(self, count: int | None, now: Moment) -> list[PayloadEffect]:
        """A slice of former attempts has ended; None: it could not be written."""
        self._is_asking = False
        if count is None:
            self._not_before = now.monotonic + AGAIN_S
        elif count < FORMER_SLICE:
            self._is_settled = True
        return self._go_on(now)

    def accepted(self, command: Command, now: Moment) -> list[PayloadEffect]:
        """A payload was accepted for this device."""
        has_room = len(self._flights) + len(self._queue) < self._window_max
        if self._is_settled and has_room and not (self._is_asking or self._has_more or self._not_before):
            self._queue.append(command)
        else:
            self._has_more = True
        return self._go_on(now)

    def found(self, commands: tuple[Command, ...] | None, now: Moment) -> list[PayloadEffect]:
        """What waits, in order of acceptance; None: the store could not say."""
        self._is_asking = False
        if commands is None:
            self._has_more = True
            self._not_before = now.monotonic + AGAIN_S
        else:
            self._queue.extend(commands)
            self._has_more = self._has_more or len(commands) >= self._room_asked_for
        return self._go_on(now)

    def claimed(self, attempt_id: AttemptId, result: Command | NotClaimed | None, now: Moment) -> list[PayloadEffect]:
        """The store took an attempt, or did not; None: it could not be written."""
        flight = self._flights.get(attempt_id)
        if flight is None:
            return []
        if isinstance(result, Command):
            flight.command = result
            self._launch(attempt_id, flight, now)
        else:
            del self._flights[attempt_id]
            if result is None:
                self._has_more = True
                self._not_before = now.monotonic + AGAIN_S
        return self._go_on(now)

    def confirmed(self, attempt_id: AttemptId, now: Moment) -> list[PayloadEffect]:
        """The transport confirmed a payload: it is delivered, and its place in the window is free."""
        flight = self._flights.get(attempt_id)
        if flight is None or not flight.is_sent:
            return []
        del self._flights[attempt_id]
        fact = ConfirmDelivery(command_id=flight.command.id, attempt_id=attempt_id, at=now.wall)
        self._effects.append(Record(fact))
        return self._go_on(now)

    def answered(self, command_id: CommandId, now: Moment) -> list[PayloadEffect]:
        """The device's reply is on disk and has ended its command: it has the payload, whatever the transport says."""
        for attempt_id, flight in self._flights.items():
            if flight.is_sent and flight.command.id == command_id:
                del self._flights[attempt_id]
                self._effects.append(Settle(attempt_id))
                return self._go_on(now)
        return []

    def refused(self, attempt_id: AttemptId, now: Moment) -> list[PayloadEffect]:
        """The payload can never be sent on this connection, or the device's engine refused it: no use to repeat it."""
        flight = self._flights.pop(attempt_id, None)
        if flight is not None:
            end = AttemptEnd(attempt_id=attempt_id, outcome=Outcome.REQ_PARAM_ERROR, at=now.wall)
            self._record_end(flight, FailedForGood(at=end.at, end=end))
        return self._go_on(now)

    def deadline_passed(self, now: Moment) -> list[PayloadEffect]:
        """`next_deadline` has come."""
        overdue = [
            (attempt_id, flight)
            for attempt_id, flight in self._flights.items()
            if flight.is_sent and flight.deadline <= now.monotonic
        ]
        for attempt_id, flight in overdue:
            del self._flights[attempt_id]
            self._end(attempt_id, flight, Outcome.TIME_OUT, now)
        return self._go_on(now)

    def closed(self, now: Moment) -> list[PayloadEffect]:
        """The connection is gone: what the transport never confirmed has not reached the device as far as we know."""
        self._is_over = True
        self._queue.clear()
        for attempt_id, flight in [*self._flights.items()]:
            if flight.is_sent:
                del self._flights[attempt_id]
                self._end(attempt_id, flight, Outcome.OFFLINE, now)
        return self._take_effects()

    def stop(self) -> None:
        """The server stops: nothing new begins; what is under way stays on disk as sent."""
        self._is_over = True
        self._queue.clear()
        self._flights.clear()

    # --- going on -----------------------------------------------------------------------------------------------

    def _go_on(self, now: Moment) -> list[PayloadEffect]:
        if self._not_before and now.monotonic >= self._not_before:
            self._not_before = 0.0
        if not (self._is_over or self._is_asking or self._not_before):
            if not self._is_settled:
                self._ask(EndFormer(EndFormerAttempts(device_id=self._device_id, at=now.wall, limit=FORMER_SLICE)))
            else:
                self._claim_queued(now)
        return self._take_effects()

    def _claim_queued(self, now: Moment) -> None:
        while self._queue and len(self._flights) < self._window_max:
            self._put_claim(self._queue.popleft(), now)
        room = self._window_max - len(self._flights)
        if self._has_more and not self._queue and room > 0:
            self._has_more = False
            self._room_asked_for = room
            self._ask(FindPayloads(WaitingFor(device_id=self._device_id, trigger=TRIGGERS, now=now.wall, limit=room)))

    def _put_claim(self, command: Command, now: Moment) -> None:
        attempt = Attempt(
            id=self._ids.new_attempt_id(now.wall),
            command_id=command.id,
            device_id=command.device_id,
            number=command.attempts + 1,
            coap_token=b"",
            start_id=self._start_id,
            sent_at=now.wall,
            deadline=attempt_deadline(command, sent_at=now.wall),
        )
        left_ms = attempt.deadline - now.wall
        self._flights[attempt.id] = _Flight(command, deadline=now.monotonic + left_ms / SECOND_MS)
        self._effects.append(PutPayloadClaim(Claim(attempt=attempt, epoch=self.connection.epoch)))

    def _launch(self, attempt_id: AttemptId, flight: _Flight, now: Moment) -> None:
        command = flight.command
        assert isinstance(command.operation, Deliver), "an LwM2M command has a lane of its own"
        if self._is_over:
            del self._flights[attempt_id]
            self._end(attempt_id, flight, Outcome.OFFLINE, now)
        elif now.wall >= command.expires_at:
            # The window closed while the attempt was being written: nothing has left, and nothing will (P6).
            del self._flights[attempt_id]
            end = AttemptEnd(attempt_id=attempt_id, outcome=Outcome.OFFLINE, at=now.wall)
            self._record_end(flight, FailedTooLate(at=end.at, end=end))
        else:
            flight.is_sent = True
            self._effects.append(
                Transmit(PayloadTransmission(attempt_id=attempt_id, command_id=command.id, payload=command.operation))
            )

    def _end(self, attempt_id: AttemptId, flight: _Flight, outcome: Outcome, now: Moment) -> None:
        end = AttemptEnd(attempt_id=attempt_id, outcome=outcome, at=now.wall)
        self._effects.append(
            Record(FinishAndClaim(command_id=flight.command.id, event=after_attempt(flight.command, end)))
        )

    def _record_end(self, flight: _Flight, event: FailedForGood | FailedTooLate) -> None:
        self._effects.append(Record(FinishAndClaim(command_id=flight.command.id, event=event)))

    def _ask(self, effect: PayloadEffect) -> None:
        self._is_asking = True
        self._effects.append(effect)

    @property
    def _device_id(self) -> DeviceId:
        return self.connection.device_id

    def _take_effects(self) -> list[PayloadEffect]:
        effects, self._effects = self._effects, []
        return effects
