"""Window, retry and deadline: arithmetic on instants."""

from dataclasses import replace

import pytest

from commandpost.domain.command import Answer, AttemptEnd, CommandState, DeliveryPolicy, Outcome, Trigger
from commandpost.domain.command_state import (
    Claimed,
    CommandEvent,
    FailedForGood,
    FailedForNow,
    FailedTooLate,
    Succeeded,
    advance,
)
from commandpost.domain.delivery import after_attempt, as_seen_at, attempt_deadline, is_releasable
from commandpost.domain.instant import Instant
from tests.unit.domain.builders import ATTEMPT, NOW, a_command, in_state


@pytest.mark.parametrize(
    ("after_ms", "trigger", "expected"),
    [
        (0, Trigger.UPDATE, True),
        (-1, Trigger.UPDATE, False),
        (59_999, Trigger.UPDATE, True),
        (60_000, Trigger.UPDATE, False),
        (0, Trigger.NOTIFY, False),
        (0, Trigger.NOTIFY | Trigger.UPDATE, True),
        (0, Trigger(0), False),
    ],
)
def test_window_is_closed_at_its_end_and_open_at_its_beginning(after_ms: int, trigger: Trigger, expected: bool) -> None:
    """P6."""
    command = a_command(triggers=Trigger.UPDATE | Trigger.REGISTER)
    assert is_releasable(command, trigger=trigger, now=Instant(NOW + after_ms)) is expected


@pytest.mark.parametrize("state", [state for state in CommandState if state is not CommandState.WAITING])
def test_only_a_waiting_command_is_released(state: CommandState) -> None:
    assert not is_releasable(in_state(state), trigger=Trigger.UPDATE, now=NOW)


def test_deadline_is_the_answer_timeout_after_the_sending_and_no_expiry_cuts_it() -> None:
    """NB 5.11: expiry while in flight lets it finish."""
    command = a_command(answer_timeout_ms=40_000, expires_at=Instant(NOW + 1))
    assert attempt_deadline(command, sent_at=NOW) == NOW + 40_000


ONCE = DeliveryPolicy.AT_MOST_ONCE
AGAIN = DeliveryPolicy.AT_LEAST_ONCE


@pytest.mark.parametrize(
    ("outcome", "policy", "remaining", "after_ms", "expected"),
    [
        (Outcome.SUCCESS, AGAIN, 0, 70_000, Succeeded),
        (Outcome.SUCCESS, ONCE, 3, 0, Succeeded),
        (Outcome.TIME_OUT, AGAIN, 1, 0, FailedForNow),
        (Outcome.NOT_FOUND, AGAIN, 1, 59_999, FailedForNow),
        (Outcome.TIME_OUT, AGAIN, None, 0, FailedForNow),
        (Outcome.TIME_OUT, AGAIN, None, 60_000, FailedTooLate),
        (Outcome.TIME_OUT, AGAIN, 1, 60_000, FailedTooLate),
        (Outcome.TIME_OUT, AGAIN, 0, 0, FailedForGood),
        (Outcome.TIME_OUT, AGAIN, 0, 60_000, FailedForGood),
        (Outcome.TIME_OUT, ONCE, 3, 0, FailedForGood),
        (Outcome.NOT_FOUND, ONCE, 3, 0, FailedForGood),
        (Outcome.REQ_PARAM_ERROR, AGAIN, 3, 0, FailedForGood),
    ],
)
def test_end_of_an_attempt(
    outcome: Outcome,
    policy: DeliveryPolicy,
    remaining: int | None,
    after_ms: int,
    expected: type[CommandEvent],
) -> None:
    """NB 5.11, design 2."""
    command = advance(replace(a_command(delivery=policy), remaining=remaining), Claimed(at=NOW, attempt_id=ATTEMPT))
    answer = Answer(code=0x45) if outcome is not Outcome.TIME_OUT else None
    end = AttemptEnd(attempt_id=ATTEMPT, outcome=outcome, at=Instant(NOW + after_ms), answer=answer)

    event = after_attempt(command, end)

    assert type(event) is expected
    assert advance(command, event).state is not CommandState.SENT


def test_reader_sees_expired_from_the_very_instant() -> None:
    command = a_command()
    assert as_seen_at(command, now=Instant(command.expires_at - 1)) is command
    seen = as_seen_at(command, now=command.expires_at)
    assert (seen.state, seen.finished_at) == (CommandState.EXPIRED, command.expires_at)


def test_reader_sees_a_sent_command_as_sent_after_its_window() -> None:
    sent = in_state(CommandState.SENT)
    assert as_seen_at(sent, now=Instant(sent.expires_at + 1)) is sent
