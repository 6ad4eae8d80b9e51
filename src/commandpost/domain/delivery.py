"""Window, retry and deadline of a command: arithmetic on instants, nothing else.

Source: northbound reference 5.11, southbound reference 2.5, design section 2.
"""

from commandpost.domain.command import (
    ANSWER_PAYLOAD_BYTES_MAX,
    REPLY_WITHOUT_CODE,
    Answer,
    AttemptEnd,
    Command,
    CommandState,
    DeliveryPolicy,
    Outcome,
    Trigger,
)
from commandpost.domain.command_state import (
    AnsweredLate,
    AttemptEvent,
    FailedForGood,
    FailedForNow,
    FailedTooLate,
    Succeeded,
    WindowClosed,
    advance,
    may_answer_late,
)
from commandpost.domain.ids import AttemptId
from commandpost.domain.instant import Instant, after
from commandpost.domain.operation import Deliver


def is_releasable(command: Command, *, trigger: Trigger, now: Instant) -> bool:
    """Tell whether this uplink may send the command: it waits, the window is open, the trigger matches (P6)."""
    return (
        command.state is CommandState.WAITING
        and command.valid_from <= now < command.expires_at
        and bool(command.triggers & trigger)
    )


def attempt_deadline(command: Command, *, sent_at: Instant) -> Instant:
    """Give the instant at which silence becomes a failure.

    Expiry does not cut it short (NB 5.11), but for a payload of `/cmds`, which ends by its expiry at the latest (SB 8).
    """
    deadline = after(sent_at, duration_ms=command.answer_timeout_ms)
    return min(deadline, command.expires_at) if isinstance(command.operation, Deliver) else deadline


def after_attempt(command: Command, end: AttemptEnd) -> AttemptEvent:
    """Say what the end of an attempt means for its command.

    `at_most_once` never sends again: the device may have done it, so the outcome stays unknown. REQ_PARAM_ERROR is
    final, because a further sending cannot help.
    """
    if end.outcome is Outcome.SUCCESS:
        return Succeeded(at=end.at, end=end)
    if command.delivery is DeliveryPolicy.AT_MOST_ONCE or end.outcome is Outcome.REQ_PARAM_ERROR:
        return FailedForGood(at=end.at, end=end)
    if command.remaining is not None and command.remaining <= 0:
        return FailedForGood(at=end.at, end=end)
    if end.at >= command.expires_at:
        return FailedTooLate(at=end.at, end=end)
    return FailedForNow(at=end.at, end=end)


def as_seen_at(command: Command, *, now: Instant) -> Command:
    """Give the command as a reader has to see it: at `expires_at` it is expired, swept or not (P6).

    A payload of `/cmds` that is out without a reply has ended by then, too: no reply counts any more.
    """
    if now < command.expires_at:
        return command
    if command.state is CommandState.WAITING:
        return advance(command, WindowClosed(at=command.expires_at))
    if isinstance(command.operation, Deliver) and command.current_attempt is not None:
        silence = AttemptEnd(attempt_id=command.current_attempt, outcome=Outcome.TIME_OUT, at=command.expires_at)
        return advance(command, after_attempt(command, silence))
    return command


def after_reply(
    command: Command, attempt_id: AttemptId, payload: bytes, *, at: Instant
) -> Succeeded | FailedForGood | AnsweredLate | None:
    """Say what a device's reply to a `/cmds` payload means; it is matched by the command's id (southbound 5.2).

    The first reply within the validity counts, whether or not the transport has confirmed the payload; one that is too
    large ends the command all the same (northbound reference 6.2, status 6).

    Args:
        attempt_id: the command's newest attempt.
    Returns:
        None: nothing changes; the reply is counted on its attempt.
    """
    if at >= command.expires_at:
        return None
    is_open = command.state in (CommandState.SENT, CommandState.DELIVERED)
    if len(payload) > ANSWER_PAYLOAD_BYTES_MAX:
        end = AttemptEnd(attempt_id=attempt_id, outcome=Outcome.RESP_ERROR, at=at)
        return FailedForGood(at=at, end=end) if is_open else None
    answer = Answer(code=REPLY_WITHOUT_CODE, payload=payload)
    end = AttemptEnd(attempt_id=attempt_id, outcome=Outcome.SUCCESS, at=at, answer=answer)
    if is_open:
        return Succeeded(at=at, end=end)
    return AnsweredLate(at=at, end=end) if may_answer_late(command, at) else None
