"""When a trigger gives an alarm, and which conditions may be."""

import pytest

from commandpost.domain.datapoint import JsonValue
from commandpost.domain.errors import Invalid
from commandpost.domain.instant import Instant
from commandpost.domain.trigger import (
    Condition,
    TriggerKind,
    TriggerMemory,
    after_silence,
    format_alarm,
    judge,
    parse_alarm,
    parse_condition,
)


def alarms(condition: Condition, values: list[str], *, step_ms: int = 1_000) -> list[bool]:
    """Which of these values, a second apart, give an alarm."""
    memory: TriggerMemory | None = None
    found = []
    for number, value in enumerate(values):
        at = Instant(number * step_ms)
        verdict = judge(condition, memory, value=value, at=at, now=at)
        memory = verdict.memory
        found.append(verdict.is_alarm)
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (">", [False, False, True]),
        (">=", [False, True, True]),
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        ("==", [False, True, False]),
    ],
)
def test_a_comparison_gives_an_alarm_at_every_value_that_meets_it(kind: str, expected: list[bool]) -> None:
    """Numbers of any form; the second time as the first."""
    condition = parse_condition(kind, 9)

    assert alarms(condition, ["8", "9.0", "1e1"]) == expected
    assert alarms(condition, ["8", "9.0", "1e1"] * 2) == expected * 2


def test_what_is_no_number_meets_no_comparison() -> None:
    """Texts, truth, objects; `==` with a text meets that text."""
    others = ['"10"', "true", "null", '{"a":10}', "[10]"]

    assert alarms(parse_condition(">=", 0), others) == [False] * 5
    assert alarms(parse_condition("==", "on"), ['"on"', '"off"', "1", '"\\u006fn"']) == [True, False, False, True]


def test_a_range_is_told_of_when_it_is_entered_or_left() -> None:
    """Both ends belong to it; the first value comes from outside."""
    values = ["45", "52", "40", "39.9", "10", "50", "53"]
    threshold: JsonValue = {"lolmt": 40, "uplmt": 52}

    assert alarms(parse_condition("in", threshold), values) == [True, False, False, False, False, True, False]
    assert alarms(parse_condition("out", threshold), values) == [False, False, False, True, False, False, True]
    assert alarms(parse_condition("inout", threshold), values) == [True, False, False, True, False, True, True]


def test_a_first_value_outside_is_no_leaving() -> None:
    """And what is no number changes nothing."""
    threshold: JsonValue = {"lolmt": 0, "uplmt": 1}

    assert alarms(parse_condition("out", threshold), ["5", "1", '"x"', "1", "5"]) == [False] * 4 + [True]


def test_a_change_is_another_value_than_before() -> None:
    """Of any kind."""
    assert alarms(parse_condition("change", None), ["1", "1", "2", '"2"', '"2"', "{}"]) == [
        False,
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_stream_is_live_again_after_a_silence() -> None:
    """As long as the threshold, or longer."""
    condition = parse_condition("live", 5)

    assert alarms(condition, ["1", "2"], step_ms=4_999) == [False, False]
    assert alarms(condition, ["1", "2"], step_ms=5_000) == [False, True]


def test_a_stream_is_frozen_when_its_silence_is_due() -> None:
    """Each point puts it off; once told, only another point lets it be told again."""
    condition = parse_condition("frozen", 60)

    memory = judge(condition, None, value="1", at=Instant(3), now=Instant(1_000)).memory
    assert memory == TriggerMemory(value="1", at=Instant(3), heard_at=Instant(1_000), due_at=Instant(61_000))
    assert after_silence(memory).due_at is None
    again = judge(condition, after_silence(memory), value="2", at=Instant(9), now=Instant(90_000)).memory
    assert again is not None
    assert again.due_at == 150_000


@pytest.mark.parametrize(
    ("kind", "threshold", "field"),
    [
        ("exp", 5, "type"),
        ("", 5, "type"),
        ("=", 5, "type"),
        (">", None, "threshold"),
        (">", "5", "threshold"),
        (">", True, "threshold"),
        (">", {}, "threshold"),
        ("==", None, "threshold"),
        ("==", False, "threshold"),
        ("==", [1], "threshold"),
        ("==", "x" * 300, "threshold"),
        ("inout", 5, "threshold"),
        ("inout", {"lolmt": 1}, "threshold.uplmt"),
        ("in", {"lolmt": "1", "uplmt": 2}, "threshold.lolmt"),
        ("out", {"lolmt": 3, "uplmt": 2}, "threshold.lolmt"),
        ("change", 5, "threshold"),
        ("frozen", None, "threshold"),
        ("frozen", 0, "threshold"),
        ("frozen", -1, "threshold"),
        ("live", 10**9, "threshold"),
        (">", float("inf"), "threshold"),
        (">", 10**400, "threshold"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_name(kind: str, threshold: JsonValue, field: str) -> None:
    """What was found and what is allowed."""
    with pytest.raises(Invalid) as refused:
        parse_condition(kind, threshold)
    assert refused.value.field == field


def test_the_kinds_that_are_allowed_are_named() -> None:
    """`exp` is in the documents, but nothing says what it means."""
    with pytest.raises(Invalid, match="frozen live"):
        parse_condition("exp", 1)


def test_an_alarm_keeps_the_condition_it_was_given_for() -> None:
    """The trigger may be another when it is told."""
    condition = Condition(kind=TriggerKind.INOUT, threshold='{"lolmt":40,"uplmt":52}')

    assert parse_alarm(format_alarm(condition, "a uuid")) == ("a uuid", condition)


@pytest.mark.parametrize(
    ("kind", "threshold", "values"),
    [("inout", {"lolmt": 1, "uplmt": 9}, ("5", "6", '"none"')), ("change", None, ("5", "5", "5"))],
)
def test_what_changes_nothing_is_nothing_new_to_remember(
    kind: str, threshold: JsonValue, values: tuple[str, ...]
) -> None:
    """So that a store writes nothing for it, whatever the number of triggers."""
    condition = parse_condition(kind, threshold)
    first = judge(condition, None, value=values[0], at=Instant(1), now=Instant(1)).memory

    later = [judge(condition, first, value=value, at=Instant(9), now=Instant(9)) for value in values[1:]]

    assert [verdict.memory for verdict in later] == [first, first]
    assert not any(verdict.is_alarm for verdict in later)
