"""Which of two notifications is the newer."""

import pytest

from commandpost.protocols.coap.observe import is_fresh, next_observe_number

HALF = 1 << 23


@pytest.mark.parametrize(
    ("previous", "current", "after_s", "expected"),
    [
        (2, 3, 1.0, True),
        (3, 2, 1.0, False),
        (2, 2, 1.0, True),
        (0, HALF - 1, 1.0, True),
        (0, HALF, 1.0, False),
        (HALF + 1, 0, 1.0, True),
        (HALF, 0, 1.0, False),
        ((1 << 24) - 1, 0, 1.0, True),
        (3, 2, 128.0, False),
        (3, 2, 128.1, True),
    ],
)
def test_freshness(previous: int, current: int, after_s: float, expected: bool) -> None:
    """RFC 7641 section 3.4, and equal numbers are fresh because modules repeat them."""
    assert is_fresh(previous=previous, previous_at=1000.0, current=current, now=1000.0 + after_s) is expected


def test_numbers_wrap_after_24_bits() -> None:
    """The next after the last is zero."""
    assert next_observe_number(2) == 3
    assert next_observe_number((1 << 24) - 1) == 0
