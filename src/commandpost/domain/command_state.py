"""The legal changes of a command's state: one class per event, one table, one function.

No other file assigns a state. The diagram in docs/architecture.md is drawn from TRANSITIONS, and the store's CHECKs
repeat its invariants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.command import AttemptEnd, Command, CommandState, Outcome
from commandpost.domain.errors import IllegalTransition
from commandpost.domain.ids import AttemptId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Deliver


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An attempt was put on disk."""

    at: Instant
    attempt_id: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """`/cmds` only: the transport took the payload (PUBACK, or the bytes were written)."""

    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The device answered well."""

    at: Instant
    end: AttemptEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedForNow:
    """The attempt failed; a further sending is allowed."""

    at: Instant
    end: AttemptEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedForGood:
    """The attempt failed and it was the last that is allowed."""

    at: Instant
    end: AttemptEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTooLate:
    """The attempt failed, and meanwhile the window has closed."""

    at: Instant
    end: AttemptEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredLate:
    """`/cmds` only: the device replied after the end of its attempt, within the validity (the one exception of P7)."""

    at: Instant
    end: AttemptEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The command cannot be encoded for its device; nothing was sent."""

    at: Instant
    outcome: Outcome = Outcome.REQ_PARAM_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowClosed:
    """`expires_at` passed while nothing was in flight."""

    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The caller took the command back."""

    at: Instant


AttemptEvent = Succeeded | FailedForNow | FailedForGood | FailedTooLate
CommandEvent = Claimed | Confirmed | AttemptEvent | AnsweredLate | Refused | WindowClosed | Cancelled

TRANSITIONS: Final[Mapping[tuple[CommandState, type[CommandEvent]], CommandState]] = {
    (CommandState.WAITING, Claimed): CommandState.SENT,
    (CommandState.WAITING, Refused): CommandState.FAILED,
    (CommandState.WAITING, WindowClosed): CommandState.EXPIRED,
    (CommandState.WAITING, AnsweredLate): CommandState.SUCCEEDED,
    (CommandState.WAITING, Cancelled): CommandState.CANCELLED,
    (CommandState.SENT, Confirmed): CommandState.DELIVERED,
    (CommandState.SENT, Succeeded): CommandState.SUCCEEDED,
    (CommandState.SENT, FailedForNow): CommandState.WAITING,
    (CommandState.SENT, FailedForGood): CommandState.FAILED,
    (CommandState.SENT, FailedTooLate): CommandState.EXPIRED,
    (CommandState.DELIVERED, Succeeded): CommandState.SUCCEEDED,
    (CommandState.DELIVERED, FailedForNow): CommandState.WAITING,
    (CommandState.DELIVERED, FailedForGood): CommandState.FAILED,
    (CommandState.DELIVERED, FailedTooLate): CommandState.EXPIRED,
    (CommandState.FAILED, AnsweredLate): CommandState.SUCCEEDED,
}


def advance(command: Command, event: CommandEvent) -> Command:
    """Give the command as it is after the event.

    Raises:
        IllegalTransition: the table does not hold (state, event).
    """
    try:
        state = TRANSITIONS[command.state, type(event)]
    except KeyError:
        raise IllegalTransition(command.id, command.state, type(event).__name__) from None
    if isinstance(event, AnsweredLate) and not may_answer_late(command, event.at):
        raise IllegalTransition(command.id, command.state, type(event).__name__)
    finished_at = event.at if state.is_final else None
    match event:
        case Claimed():
            return replace(
                command,
                state=state,
                attempts=command.attempts + 1,
                current_attempt=event.attempt_id,
                sent_at=event.at,
            )
        case Succeeded() | FailedForNow() | FailedForGood() | FailedTooLate() | AnsweredLate():
            remaining = command.remaining
            if isinstance(event, FailedForNow) and remaining is not None:
                remaining -= 1
            return replace(
                command,
                state=state,
                remaining=remaining,
                current_attempt=None,
                answered_at=command.answered_at if event.end.answer is None else event.at,
                outcome=event.end.outcome,
                finished_at=finished_at,
            )
        case Refused():
            return replace(command, state=state, outcome=event.outcome, finished_at=finished_at)
        case Confirmed() | WindowClosed() | Cancelled():
            return replace(command, state=state, finished_at=finished_at)


def may_answer_late(command: Command, at: Instant) -> bool:
    """Tell whether a reply still counts that finds no attempt open: a payload that went out, within its validity, and
    either waits to go out again or was given up for want of an answer (design section 2, P7)."""
    is_given_up = command.state is CommandState.FAILED and command.outcome is Outcome.TIME_OUT
    return (
        isinstance(command.operation, Deliver)
        and command.attempts > 0
        and at < command.expires_at
        and (is_given_up or command.state is CommandState.WAITING)
    )
