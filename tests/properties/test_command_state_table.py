"""Every (state, event) pair, and what no sequence of events can bring about."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import Answer, AttemptEnd, Command, CommandState, Outcome, Transport
from commandpost.domain.command_state import (
    TRANSITIONS,
    AnsweredLate,
    Cancelled,
    Claimed,
    CommandEvent,
    Confirmed,
    FailedForGood,
    FailedForNow,
    FailedTooLate,
    Refused,
    Succeeded,
    WindowClosed,
    advance,
)
from commandpost.domain.errors import IllegalTransition
from commandpost.domain.ids import AttemptId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Deliver
from tests.unit.domain.builders import NOW, a_command, in_state

AT: Final = Instant(NOW + 5_000)
ATTEMPT: Final = AttemptId(9)
ANSWERED: Final = AttemptEnd(attempt_id=ATTEMPT, outcome=Outcome.SUCCESS, at=AT, answer=Answer(code=0x44))
REFUSED: Final = AttemptEnd(attempt_id=ATTEMPT, outcome=Outcome.NOT_FOUND, at=AT, answer=Answer(code=0x84))
SILENT: Final = AttemptEnd(attempt_id=ATTEMPT, outcome=Outcome.TIME_OUT, at=AT)

EVENTS: Final[dict[type[CommandEvent], Callable[[AttemptEnd], CommandEvent]]] = {
    Claimed: lambda _: Claimed(at=AT, attempt_id=ATTEMPT),
    Confirmed: lambda _: Confirmed(at=AT),
    Succeeded: lambda _: Succeeded(at=AT, end=ANSWERED),
    FailedForNow: lambda end: FailedForNow(at=AT, end=end),
    FailedForGood: lambda end: FailedForGood(at=AT, end=end),
    FailedTooLate: lambda end: FailedTooLate(at=AT, end=end),
    AnsweredLate: lambda _: AnsweredLate(at=AT, end=ANSWERED),
    Refused: lambda _: Refused(at=AT),
    WindowClosed: lambda _: WindowClosed(at=AT),
    Cancelled: lambda _: Cancelled(at=AT),
}
# Written out by hand, so that the table of the domain is not compared with itself.
LEGAL: Final[dict[CommandState, dict[type[CommandEvent], CommandState]]] = {
    CommandState.WAITING: {
        Claimed: CommandState.SENT,
        Refused: CommandState.FAILED,
        WindowClosed: CommandState.EXPIRED,
        Cancelled: CommandState.CANCELLED,
    },
    CommandState.SENT: {
        Confirmed: CommandState.DELIVERED,
        Succeeded: CommandState.SUCCEEDED,
        FailedForNow: CommandState.WAITING,
        FailedForGood: CommandState.FAILED,
        FailedTooLate: CommandState.EXPIRED,
    },
    CommandState.DELIVERED: {
        Succeeded: CommandState.SUCCEEDED,
        FailedForNow: CommandState.WAITING,
        FailedForGood: CommandState.FAILED,
        FailedTooLate: CommandState.EXPIRED,
    },
    CommandState.SUCCEEDED: {},
    CommandState.FAILED: {},
    CommandState.EXPIRED: {},
    CommandState.CANCELLED: {},
}


def test_every_event_is_walked() -> None:
    assert set(EVENTS) == set(get_args(CommandEvent))


@pytest.mark.parametrize("state", CommandState)
@pytest.mark.parametrize("kind", EVENTS)
def test_every_pair_does_what_the_design_says(state: CommandState, kind: type[CommandEvent]) -> None:
    """Design section 2."""
    command = in_state(state)
    event = EVENTS[kind](SILENT)
    expected = LEGAL[state].get(kind)

    if expected is None:
        with pytest.raises(IllegalTransition) as raised:
            advance(command, event)
        assert raised.value.state is state
        # A late reply is in the table for payloads only; what holds for those stands below.
        assert (state, kind) not in TRANSITIONS or kind is AnsweredLate
        return
    after = advance(command, event)
    assert after.state is expected
    assert after.state.is_final == (after.finished_at is not None)
    assert (after.current_attempt is not None) == (after.state in (CommandState.SENT, CommandState.DELIVERED))


@pytest.mark.parametrize(("end", "answered_at"), [(SILENT, None), (REFUSED, AT)])
def test_failure_uses_a_retry_up_and_keeps_the_last_result(end: AttemptEnd, answered_at: Instant | None) -> None:
    """NB 5.11."""
    sent = in_state(CommandState.SENT)

    after = advance(sent, FailedForNow(at=AT, end=end))

    assert sent.remaining is not None
    assert after.remaining == sent.remaining - 1
    assert after.outcome is end.outcome
    assert after.answered_at == answered_at


def test_without_limit_nothing_is_used_up() -> None:
    """`/cmds` qos 1."""
    command = advance(a_command(retry=None), Claimed(at=AT, attempt_id=ATTEMPT))
    assert advance(command, FailedForNow(at=AT, end=SILENT)).remaining is None


# --- replies to payloads that come after the end of their attempt ----------------------------------------------------


def _payload(*, retry: int | None) -> Command:
    return replace(a_command(retry=retry), operation=Deliver(payload=b"on", qos=1, kind=0), transport=Transport.MQTT)


def _given_up() -> Command:
    sent = advance(_payload(retry=0), Claimed(at=AT, attempt_id=ATTEMPT))
    return advance(sent, FailedForGood(at=AT, end=SILENT))


def test_a_payload_given_up_for_silence_succeeds_when_the_reply_comes_after_all() -> None:
    """P7's one exception: status 5 becomes 4."""
    after = advance(_given_up(), AnsweredLate(at=AT, end=ANSWERED))

    assert (after.state, after.outcome, after.answered_at) == (CommandState.SUCCEEDED, Outcome.SUCCESS, AT)


def test_a_payload_that_waits_to_go_out_again_succeeds_when_the_reply_comes() -> None:
    """The device has it: it is not sent again."""
    sent = advance(_payload(retry=None), Claimed(at=AT, attempt_id=ATTEMPT))
    waiting = advance(sent, FailedForNow(at=AT, end=SILENT))

    assert advance(waiting, AnsweredLate(at=AT, end=ANSWERED)).state is CommandState.SUCCEEDED


@pytest.mark.parametrize(
    "command",
    [
        _payload(retry=0),
        replace(_given_up(), outcome=Outcome.OFFLINE),
        replace(_given_up(), outcome=Outcome.RESP_ERROR),
        replace(_given_up(), expires_at=AT),
        replace(_given_up(), operation=a_command().operation, transport=Transport.LWM2M),
    ],
    ids=["never sent", "not delivered", "answered too large", "validity over", "LwM2M"],
)
def test_no_other_command_takes_a_late_reply(command: Command) -> None:
    """P7."""
    with pytest.raises(IllegalTransition):
        advance(command, AnsweredLate(at=AT, end=ANSWERED))


def test_first_success_uses_no_retry_up() -> None:
    command = advance(a_command(retry=3), Claimed(at=AT, attempt_id=ATTEMPT))
    after = advance(command, Succeeded(at=AT, end=ANSWERED))
    assert (after.remaining, after.attempts, after.answered_at, after.finished_at) == (3, 1, AT, AT)


@given(
    st.lists(st.sampled_from(list(EVENTS)), max_size=40),
    st.sampled_from([SILENT, REFUSED]),
    st.integers(0, 10),
)
def test_no_sequence_leaves_a_final_state(kinds: list[type[CommandEvent]], end: AttemptEnd, retry: int) -> None:
    """P7; and attempts are counted, never uncounted."""
    command: Command = a_command(retry=retry)
    for kind in kinds:
        before = command
        try:
            command = advance(command, EVENTS[kind](end))
        except IllegalTransition:
            assert command is before
            continue
        assert not before.state.is_final
        assert command.attempts - before.attempts == (kind is Claimed)
