"""Text times: what the dialect writes and reads in a zone that is never named.

Here: the formats of northbound reference 1.5, without locale and without a clock. Not here: which field has which.
"""

from datetime import date
from typing import Final, NamedTuple

from commandpost.domain.instant import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Instant

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
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


class _Fields(NamedTuple):
    day: date
    hour: int
    minute: int
    second: int
    millisecond: int


class TextTimes:
    """Writes and reads the times of one zone."""

    def __init__(self, *, utc_offset_minutes: int, zone_name: str) -> None:
        self._offset_ms = utc_offset_minutes * MINUTE_MS
        self._zone_name = zone_name

    def format_second(self, at: Instant) -> str:
        """`2017-08-28 11:34:58`: response fields of commands and devices."""
        return self.format_argument(at)[:_SECOND_TEXT_CHARACTERS]

    def format_argument(self, at: Instant) -> str:
        """`2020-12-02 09:02:24:185`: times inside the arguments of a log entry; a colon stands before the fraction."""
        day, hour, minute, second, millisecond = self._split(at)
        return f"{day.isoformat()} {hour:02}:{minute:02}:{second:02}:{millisecond:03}"

    def format_java(self, at: Instant) -> str:
        """`Wed Dec 02 09:02:24 CST 2020`: what java.util.Date writes."""
        day, hour, minute, second, _ = self._split(at)
        weekday, month = _DAYS[day.weekday()], _MONTHS[day.month - 1]
        clock = f"{hour:02}:{minute:02}:{second:02}"
        return f"{weekday} {month} {day.day:02} {clock} {self._zone_name} {day.year:04}"

    def parse(self, text: str) -> ParsedTime | None:
        """Read `2018-03-08T17:30:00`; a space may stand for the T and `.mmm` or `:mmm` may follow. None: not a time."""
        day = _parse_date(text[:_DATE_CHARACTERS])
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
        in_day = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction_ms
        return ParsedTime(self._join(day, in_day), precision_ms)

    def parse_date(self, text: str) -> ParsedTime | None:
        """Read `2019-10-01` as the start of that day. None: not a date."""
        day = _parse_date(text) if len(text) == _DATE_CHARACTERS else None
        return None if day is None else ParsedTime(self._join(day, 0), DAY_MS)

    def _join(self, day: date, in_day_ms: int) -> Instant:
        return Instant((day.toordinal() - _EPOCH_DAY) * DAY_MS + in_day_ms - self._offset_ms)

    def _split(self, at: Instant) -> _Fields:
        days, rest = divmod(at + self._offset_ms, DAY_MS)
        # Four digits of year are all the formats have: what lies outside is shown at the edge.
        day = date.fromordinal(min(max(days + _EPOCH_DAY, 1), date.max.toordinal()))
        hour, rest = divmod(rest, HOUR_MS)
        minute, rest = divmod(rest, MINUTE_MS)
        second, millisecond = divmod(rest, SECOND_MS)
        return _Fields(day, hour, minute, second, millisecond)


def _parse_date(text: str) -> date | None:
    year, month, day = _digits(text[:4]), _digits(text[5:7]), _digits(text[8:10])
    if year is None or month is None or day is None or text[4:5] != "-" or text[7:8] != "-":
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
