"""What a lane is told and what it asks for: plain records, so that a lane can be tested without anything around it.

Here: events, effects, and the ticket of an instant command. Not here: what follows from an event (lane), or how an
effect is carried out (dispatcher).
"""

from dataclasses import dataclass, field

from commandpost.domain.command import Attempt, AttemptEnd, Command, Outcome, Trigger
from commandpost.domain.facts import Claim, Fact, FinishAndClaim, LateAnswer, NotClaimed, WaitingFor
from commandpost.domain.ids import AttemptId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.ports import PreparedOperation, Transmission
from commandpost.domain.resource import OperationResult
from commandpost.domain.session import Session
from commandpost.domain.session_facts import AddObservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, on both clocks: what the disk is told is wall time, what is waited for is monotonic."""

    wall: Instant
    monotonic: float


@dataclass(slots=True, eq=False)
class InstantTicket:
    """An instant command on its way; changed by its lane only."""

    command: Command
    deadline: float
    """The end of its one budget, on Clock.monotonic."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def is_sent(self) -> bool:
        """Whether a datagram of it may have left."""
        return bool(self.attempts)


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The device registered: every earlier exchange with it is dead. Its REGISTER follows as an UplinkHeard."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The device de-registered, or its lifetime is over."""


@dataclass(frozen=True, slots=True)
class RemoteLost:
    """Another device was heard from the device's address."""


@dataclass(frozen=True, slots=True)
class UplinkHeard:
    """The device showed itself, and our own reply has gone."""

    session: Session
    trigger: Trigger
    has_waiting: bool
    """Whether commands may be waiting; False spares the look-up."""


@dataclass(frozen=True, slots=True)
class InstantArrived:
    """An application wants something now."""

    ticket: InstantTicket
    session: Session


@dataclass(frozen=True, slots=True)
class InstantWithdrawn:
    """Its caller went away."""

    ticket: InstantTicket


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What waits, in order of acceptance; empty too where the store could not say."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class ClaimDecided:
    """The store took an attempt, or did not; None: it could not be written."""

    attempt_id: AttemptId
    result: Command | NotClaimed | None


@dataclass(frozen=True, slots=True)
class EndDecided:
    """The store took the end of an attempt and perhaps the claim of the next; None: it could not be written."""

    attempt_id: AttemptId
    result: tuple[Command | LateAnswer, Command | NotClaimed | None] | None


@dataclass(frozen=True, slots=True)
class ObservationDecided:
    """The token is on disk, or not (the session is another by now, or it could not be written)."""

    attempt_id: AttemptId
    is_kept: bool


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The driver says how an attempt ended."""

    end: AttemptEnd


@dataclass(frozen=True, slots=True)
class AttemptAdopted:
    """After a restart: an attempt of the run before is still open until `deadline` (monotonic)."""

    command: Command
    attempt: Attempt
    session: Session | None
    deadline: float


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """`Lane.next_deadline` has come."""


@dataclass(frozen=True, slots=True)
class DeviceForgotten:
    """The device was deleted with everything it had."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The server stops: nothing new begins."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The server has stopped: callers that still wait get their answer."""


LaneEvent = (
    SessionStarted
    | SessionEnded
    | RemoteLost
    | UplinkHeard
    | InstantArrived
    | InstantWithdrawn
    | LookedUp
    | ClaimDecided
    | EndDecided
    | ObservationDecided
    | AttemptEnded
    | AttemptAdopted
    | DeadlinePassed
    | DeviceForgotten
    | Stopping
    | CutOff
)


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask what waits; answered by LookedUp."""

    fact: WaitingFor


@dataclass(frozen=True, slots=True)
class PutClaim:
    """Put an attempt on disk; answered by ClaimDecided."""

    fact: Claim


@dataclass(frozen=True, slots=True)
class PutEnd:
    """Put the end of an attempt on disk; answered by EndDecided."""

    attempt_id: AttemptId
    fact: FinishAndClaim


@dataclass(frozen=True, slots=True)
class PutObservation:
    """Put an observation's token on disk; answered by ObservationDecided."""

    attempt_id: AttemptId
    session: Session
    fact: AddObservation


@dataclass(frozen=True, slots=True)
class DropToken:
    """Forget an observation, in memory and on disk."""

    session: Session
    coap_token: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """Put something on disk; nothing is waited for."""

    fact: Fact[object]


@dataclass(frozen=True, slots=True)
class Send:
    """Put an attempt on the wire."""

    prepared: PreparedOperation
    transmission: Transmission


@dataclass(frozen=True, slots=True)
class Adopt:
    """Let answers to an attempt of the run before count."""

    operation: Lwm2mOperation
    transmission: Transmission


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop an attempt; no end of it comes."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class AnswerCaller:
    """An instant command is through: tell its caller, then keep its record."""

    ticket: InstantTicket
    outcome: Outcome
    result: OperationResult | None


LaneEffect = LookUp | PutClaim | PutEnd | PutObservation | DropToken | Write | Send | Adopt | Abandon | AnswerCaller
