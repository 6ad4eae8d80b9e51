"""Topic names and filters, against the examples of the standard."""

import pytest

from commandpost.protocols.errors import DecodeError
from commandpost.protocols.mqtt.topics import (
    TOPIC_BYTES_MAX,
    TOPIC_LEVELS_MAX,
    check_topic_filter,
    check_topic_name,
    matches,
    split_shared,
)
from tests.unit.protocols.mqtt.vectors import TOPICS

TOO_LONG = ["a" * (TOPIC_BYTES_MAX + 1), "\u4e2d" * (TOPIC_BYTES_MAX // 3 + 1), "/" * TOPIC_LEVELS_MAX, "a\ud800"]


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["matches"])
def test_filters_take_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the examples."""
    assert matches(topic_filter, topic)


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["differs"])
def test_filters_leave_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the counter-examples."""
    assert not matches(topic_filter, topic)


@pytest.mark.parametrize("topic_filter", [*TOPICS["filters"], "/" * (TOPIC_LEVELS_MAX - 1), "a" * TOPIC_BYTES_MAX])
def test_valid_filters(topic_filter: str) -> None:
    """Wildcards take whole levels, and # is the last."""
    check_topic_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", [*TOPICS["no_filters"], *TOO_LONG])
def test_invalid_filters(topic_filter: str) -> None:
    """Among them share names with a wildcard, or without a filter."""
    with pytest.raises(DecodeError):
        check_topic_filter(topic_filter)


@pytest.mark.parametrize("topic", [*TOPICS["names"], "/" * (TOPIC_LEVELS_MAX - 1), "a" * TOPIC_BYTES_MAX])
def test_valid_names(topic: str) -> None:
    """At least one character, no wildcard, no NUL."""
    check_topic_name(topic)


@pytest.mark.parametrize("topic", [*TOPICS["no_names"], *TOO_LONG])
def test_invalid_names(topic: str) -> None:
    """A topic beyond our own bounds is as invalid as one the standard forbids."""
    with pytest.raises(DecodeError):
        check_topic_name(topic)


def test_a_shared_subscription_is_a_group_and_a_filter() -> None:
    """MQTT 5.0 section 4.8.2, the examples."""
    assert split_shared("$share/consumer1/sport/tennis/+") == ("consumer1", "sport/tennis/+")
    assert split_shared("$share/consumer1//finance") == ("consumer1", "/finance")
    assert split_shared("sport/tennis/+") is None
