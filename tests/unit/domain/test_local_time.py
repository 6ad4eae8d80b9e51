"""Local times of devices: clock fields, and the offset of their zone."""

import pytest

from commandpost.domain.instant import HOUR_MS, Instant
from commandpost.domain.local_time import ClockFields, ParsedTime, instant_of, parse_local_date, parse_local_time

BEIJING_MS = 8 * HOUR_MS


@pytest.mark.parametrize(
    ("fields", "offset_ms", "at"),
    [
        ((1970, 1, 1, 8, 0, 0), BEIJING_MS, 0),
        ((1970, 1, 1, 0, 0, 0), 0, 0),
        ((1969, 12, 31, 18, 30, 0), -5 * HOUR_MS - HOUR_MS // 2, 0),
        ((2016, 4, 8, 14, 30, 28), BEIJING_MS, 1_460_097_028_000),
        ((2024, 2, 29, 23, 59, 59), BEIJING_MS, 1_709_222_399_000),
    ],
)
def test_clock_fields_are_an_instant_of_their_zone(fields: ClockFields, offset_ms: int, at: int) -> None:
    """The offset is subtracted; the calendar is the Gregorian."""
    assert instant_of(fields, utc_offset_ms=offset_ms) == at


@pytest.mark.parametrize(
    "fields",
    [
        (2000, 0, 0, 0, 0, 0),
        (2023, 2, 29, 0, 0, 0),
        (2016, 13, 1, 0, 0, 0),
        (2016, 4, 31, 0, 0, 0),
        (2016, 4, 8, 24, 0, 0),
        (2016, 4, 8, 0, 60, 0),
        (2016, 4, 8, 0, 0, 60),
        (2016, 4, 8, -1, 0, 0),
        (0, 1, 1, 0, 0, 0),
        (10_000, 1, 1, 0, 0, 0),
        (2**70, 1, 1, 0, 0, 0),
    ],
)
def test_what_no_clock_shows_is_no_instant(fields: ClockFields) -> None:
    """Six bytes can say anything."""
    assert instant_of(fields, utc_offset_ms=BEIJING_MS) is None


def test_text_and_fields_agree() -> None:
    """The same moment, written either way."""
    parsed = parse_local_time("2016-04-08 14:30:28", utc_offset_ms=BEIJING_MS)

    assert parsed == ParsedTime(Instant(1_460_097_028_000), 1000)
    assert parse_local_date("2016-04-08", utc_offset_ms=BEIJING_MS) == ParsedTime(
        Instant(1_460_044_800_000), 24 * HOUR_MS
    )
