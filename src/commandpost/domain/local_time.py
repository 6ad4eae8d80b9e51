"""Local times whose zone is never named: text and clock fields to instants.

Here: what devices and applications write (northbound reference 1.5, southbound reference 5.3), read without locale and
without a clock. Not here: writing times as text, which is northbound's matter, and which field has which form.
"""

from datetime import date
from typing import Final, NamedTuple, TypeAlias

from commandpost.domain.instant import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Instant

EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
"""Days between the first day of the calendar and 1970-01-01."""

ClockFields: TypeAlias = tuple[int, int, int, int, int, int]
"""Year, month, day, hour, minute, second, as a local clock shows them; nothing says that they make a date."""

_SECOND_TEXT_CHARACTERS: Final = 19
_DATE_CHARACTERS: Final = 10


class ParsedTime(NamedTuple):
    """An instant, and how finely its writer wrote it: 1000 or 1 ms, a day for a date."""

    at: Instant
    precision_ms: int

    @property
    def last(self) -> Instant:
        """The last instant that is written the same way."""
        return Instant(self.at + self.precision_ms - 1)


def parse_local_time(text: str, *, utc_offset_ms: int) -> ParsedTime | None:
    """Read `2018-03-08T17:30:00`; a space may stand for the T and `.mmm` or `:mmm` may follow. None: not a time."""
    day = _parse_day(text[:_DATE_CHARACTERS])
    if day is None or text[10:11] not in ("T", "t", " ") or text[13:14] != ":" or text[16:17] != ":":
        return None
    hour, minute, second = _digits(text[11:13]), _digits(text[14:16]), _digits(text[17:19])
    if hour is None or minute is None or second is None or hour > 23 or minute > 59 or second > 59:
        return None
    fraction_ms, precision_ms = 0, SECOND_MS
    fraction = text[_SECOND_TEXT_CHARACTERS:]
    if fraction:
        digits = fraction[1:]
        if fraction[0] not in ".:" or not 1 <= len(digits) <= 9 or _digits(digits) is None:
            return None
        fraction_ms, precision_ms = int(digits[:3].ljust(3, "0")), 1
    in_day_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction_ms
    return ParsedTime(_join(day, in_day_ms, utc_offset_ms), precision_ms)


def parse_local_date(text: str, *, utc_offset_ms: int) -> ParsedTime | None:
    """Read `2019-10-01` as the start of that day. None: not a date."""
    day = _parse_day(text) if len(text) == _DATE_CHARACTERS else None
    return None if day is None else ParsedTime(_join(day, 0, utc_offset_ms), DAY_MS)


def instant_of(fields: ClockFields, *, utc_offset_ms: int) -> Instant | None:
    """Give the instant at which a local clock shows these fields. None: no clock ever shows them."""
    year, month, day, hour, minute, second = fields
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return None
    try:
        ordinal = date(year, month, day).toordinal()
    except (ValueError, OverflowError):
        return None
    return _join(ordinal, hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS, utc_offset_ms)


def _join(day: int, in_day_ms: int, utc_offset_ms: int) -> Instant:
    return Instant((day - EPOCH_DAY) * DAY_MS + in_day_ms - utc_offset_ms)


def _parse_day(text: str) -> int | None:
    year, month, day = _digits(text[:4]), _digits(text[5:7]), _digits(text[8:10])
    if year is None or month is None or day is None or text[4:5] != "-" or text[7:8] != "-":
        return None
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return None


def _digits(text: str) -> int | None:
    # `isdigit` alone would let other scripts' digits through, and "" is no digit.
    return int(text) if text.isascii() and text.isdigit() else None
