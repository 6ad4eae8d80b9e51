"""Window, retry and deadline of a command: arithmetic on instants, nothing else.

Source: northbound reference 5.11, southbound reference 2.5, design section 2.
"""

from commandpost.domain.command import AttemptEnd, Command, CommandState, DeliveryPolicy, Outcome, Trigger
from commandpost.domain.command_state import (
    AttemptEvent,
    FailedForGood,
    FailedForNow,
    FailedTooLate,
    Succeeded,
    WindowClosed,
    advance,
)
from commandpost.domain.instant import Instant, after


def is_releasable(command: Command, *, trigger: Trigger, now: Instant) -> bool:
    """Tell whether this uplink may send the command: it waits, the window is open, the trigger matches (P6)."""
    return (
        command.state is CommandState.WAITING
        and command.valid_from <= now < command.expires_at
        and bool(command.triggers & trigger)
    )


def attempt_deadline(command: Command, *, sent_at: Instant) -> Instant:
    """Give the instant at which silence becomes a failure; expiry does not cut it short (NB 5.11)."""
    return after(sent_at, duration_ms=command.answer_timeout_ms)


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
    """Give the command as a reader has to see it: at `expires_at` it is expired, swept or not (P6)."""
    if command.state is CommandState.WAITING and now >= command.expires_at:
        return advance(command, WindowClosed(at=command.expires_at))
    return command
