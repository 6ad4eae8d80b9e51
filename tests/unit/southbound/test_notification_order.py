"""Which time a notification gets: the newest decides the latest value, nothing is dropped (RFC 7641 section 3.4)."""

import pytest

from commandpost.domain.instant import Instant
from commandpost.southbound.notification_order import NotificationOrder

TOKEN = b"\x00\x00\x00\x07abcd"
OTHER = b"\x00\x00\x00\x07efgh"
START = Instant(1_600_000_000_000)


class Arrivals:
    """Notifications that arrive when a test says so."""

    def __init__(self) -> None:
        self.order = NotificationOrder()

    def date(self, number: int | None, *, after_s: float, token: bytes = TOKEN) -> int:
        """Give the time of a notification in milliseconds after the start."""
        arrived_at = Instant(START + round(after_s * 1000))
        return self.order.date(token, number, arrived_at=arrived_at, now=100.0 + after_s) - START

    def begin(self, number: int | None, *, after_s: float) -> int:
        arrived_at = Instant(START + round(after_s * 1000))
        return self.order.begin(TOKEN, number, arrived_at=arrived_at, now=100.0 + after_s) - START


def test_what_arrives_in_order_is_dated_at_its_arrival() -> None:
    arrivals = Arrivals()

    assert [arrivals.date(number, after_s=number) for number in (1, 2, 3)] == [1000, 2000, 3000]


def test_what_was_overtaken_is_dated_just_before_the_newest() -> None:
    """It never becomes the latest, and it is never as late as the latest."""
    arrivals = Arrivals()
    arrivals.date(5, after_s=1)

    assert arrivals.date(4, after_s=2) == 999
    assert arrivals.date(3, after_s=3) == 999
    assert arrivals.date(6, after_s=4) == 4000
    assert arrivals.date(5, after_s=5) == 3999


@pytest.mark.parametrize(
    ("previous", "current", "is_newer"),
    [(1, 2, True), (2, 1, False), (2**24 - 1, 0, True), (0, 2**24 - 1, False), (0, 2**23, False), (0, 2**23 - 1, True)],
)
def test_numbers_are_compared_around_the_circle(previous: int, current: int, is_newer: bool) -> None:
    """The formula of RFC 7641 section 3.4."""
    arrivals = Arrivals()
    arrivals.date(previous, after_s=0)

    assert arrivals.date(current, after_s=1) == (1000 if is_newer else -1)


def test_equal_numbers_are_new() -> None:
    """Some modules send Observe=2 always (southbound reference 1.7)."""
    arrivals = Arrivals()

    assert [arrivals.date(2, after_s=second) for second in (0, 1, 2)] == [0, 1000, 2000]


def test_after_128_seconds_any_number_is_new() -> None:
    """Counted from the newest, not from what was overtaken."""
    arrivals = Arrivals()
    arrivals.date(9, after_s=0)
    assert arrivals.date(8, after_s=100) == -1

    assert arrivals.date(1, after_s=128.001) == 128_001


def test_observations_have_orders_of_their_own() -> None:
    arrivals = Arrivals()
    arrivals.date(9, after_s=0)

    assert arrivals.date(1, after_s=1, token=OTHER) == 1000


def test_without_a_number_nothing_is_known() -> None:
    """Dated at its arrival, and no word about the others."""
    arrivals = Arrivals()
    arrivals.date(9, after_s=0)

    assert arrivals.date(None, after_s=1) == 1000
    assert arrivals.date(8, after_s=2) == -1


def test_observing_again_begins_a_new_order() -> None:
    """The token stays, and a device counts from the start."""
    arrivals = Arrivals()
    arrivals.date(500, after_s=0)

    assert arrivals.begin(0, after_s=1) == 1000
    assert arrivals.date(1, after_s=2) == 2000


def test_an_answer_to_observe_without_a_number_begins_nothing() -> None:
    """The device did not take the observation, or does not count."""
    arrivals = Arrivals()
    arrivals.date(5, after_s=0)

    assert arrivals.begin(None, after_s=1) == 1000
    assert arrivals.date(4, after_s=2) == -1
