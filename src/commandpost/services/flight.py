"""One request of a lane, from the moment it has an id until its end is known.

Here: the record, and how attempts, claims and transmissions are made of it. Not here: when (lane).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from commandpost.domain.command import Attempt, AttemptEnd, Command, DeliveryPolicy, Outcome
from commandpost.domain.delivery import attempt_deadline
from commandpost.domain.facts import Claim
from commandpost.domain.ids import AttemptId, DeviceId, StartId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import Deliver, Lwm2mOperation, Observe
from commandpost.domain.ports import IdSource, PreparedOperation, Transmission, Unencodable
from commandpost.domain.session import Remote, Session, SetupStep
from commandpost.services.lane_events import InstantTicket, Moment

Encode = Callable[[Lwm2mOperation, Session], PreparedOperation | Unencodable]

GUARD_S: Final = 2.0
"""How long after its deadline a lane waits for the driver's word before it says TIME_OUT itself: never, in health."""


class Stage(Enum):
    """How far a flight is."""

    WRITING = "writing"
    """Its attempt or its observation is on the way to the disk."""
    HELD = "held"
    """It is on disk; a device that has just registered is given a moment."""
    FLYING = "flying"
    """It has left, or an attempt of the run before is being waited for."""


@dataclass(slots=True, eq=False, kw_only=True)
class Flight:
    """What holds the lane. Exactly one of command, ticket and step is set: cached, instant or setup."""

    attempt_id: AttemptId
    coap_token: bytes
    operation: Lwm2mOperation
    epoch: int
    deadline: float
    delivery: DeliveryPolicy
    prepared: PreparedOperation | None
    command: Command | None = None
    ticket: InstantTicket | None = None
    step: SetupStep | None = None
    stage: Stage = Stage.WRITING
    remote: Remote | None = field(default=None)
    """Where it was sent to."""

    def transmission(self, device_id: DeviceId, remote: Remote) -> Transmission:
        """Give what the driver has to know."""
        return Transmission(
            attempt_id=self.attempt_id,
            device_id=device_id,
            remote=remote,
            coap_token=self.coap_token,
            deadline=self.deadline,
            delivery=self.delivery,
            is_setup=self.step is not None,
        )

    def end(self, outcome: Outcome, now: Moment) -> AttemptEnd:
        """Give an end by silence, said by us."""
        return AttemptEnd(attempt_id=self.attempt_id, outcome=outcome, at=now.wall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What every lane needs to make flights."""

    encode: Encode
    ids: IdSource
    start_id: StartId


def make_claim(
    bench: Workbench, command: Command, session: Session, prepared: PreparedOperation, now: Moment
) -> tuple[Flight, Claim]:
    """Give the flight of a cached command and the claim that puts its attempt on disk."""
    assert not isinstance(command.operation, Deliver), "payloads of /cmds never reach an LwM2M lane"
    attempt = Attempt(
        id=bench.ids.new_attempt_id(now.wall),
        command_id=command.id,
        device_id=command.device_id,
        number=command.attempts + 1,
        coap_token=token_for(bench, command.operation, session),
        start_id=bench.start_id,
        sent_at=now.wall,
        deadline=attempt_deadline(command, sent_at=now.wall),
    )
    flight = Flight(
        attempt_id=attempt.id,
        coap_token=attempt.coap_token,
        operation=command.operation,
        epoch=session.epoch,
        deadline=now.monotonic + command.answer_timeout_ms / SECOND_MS,
        delivery=command.delivery,
        prepared=prepared,
        command=command,
    )
    return flight, Claim(attempt=attempt, epoch=session.epoch, remote=session.remote)


def token_for(bench: Workbench, operation: Lwm2mOperation, session: Session) -> bytes:
    """Give the token of a new request.

    Observing a path again keeps its token: whatever becomes of the request, notifications stay known, and are not
    answered with a RST (RFC 7641 section 3.1 takes it for a refresh).
    """
    if isinstance(operation, Observe):
        for observation in session.observations:
            if observation.path == operation.path:
                return observation.coap_token
    return bench.ids.new_coap_token(session.device_id)


def make_request(
    bench: Workbench,
    operation: Lwm2mOperation,
    session: Session,
    prepared: PreparedOperation,
    *,
    deadline: float,
    now: Moment,
) -> Flight:
    """Give the flight of an instant command or a setup step, which have no attempt on disk."""
    return Flight(
        attempt_id=bench.ids.new_attempt_id(now.wall),
        coap_token=token_for(bench, operation, session),
        operation=operation,
        epoch=session.epoch,
        deadline=deadline,
        delivery=DeliveryPolicy.AT_LEAST_ONCE,
        prepared=prepared,
    )


def instant_attempt(bench: Workbench, flight: Flight, command: Command, now: Moment) -> Attempt:
    """Give the attempt of an instant command as its record will show it."""
    return Attempt(
        id=flight.attempt_id,
        command_id=command.id,
        device_id=command.device_id,
        number=command.attempts + 1,
        coap_token=flight.coap_token,
        start_id=bench.start_id,
        sent_at=now.wall,
        deadline=command.expires_at,
    )
