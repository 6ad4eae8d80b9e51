"""Text times: what the dialect writes and reads in a zone that is never named.

Here: the formats of northbound reference 1.5, without locale and without a clock. Not here: which field has which, and
how a text is read, which devices need as well (domain/local_time.py).
"""

from datetime import date
from typing import Final, NamedTuple

from commandpost.domain.instant import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Instant
from commandpost.domain.local_time import EPOCH_DAY, ParsedTime, parse_local_date, parse_local_time

__all__ = ["ParsedTime", "TextTimes"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND_TEXT_CHARACTERS: Final = 19


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

    def format_millisecond(self, at: Instant) -> str:
        """`2019-04-01 10:22:33.123`: times of datapoints."""
        text = self.format_argument(at)
        return f"{text[:_SECOND_TEXT_CHARACTERS]}.{text[_SECOND_TEXT_CHARACTERS + 1 :]}"

    def format_java(self, at: Instant) -> str:
        """`Wed Dec 02 09:02:24 CST 2020`: what java.util.Date writes."""
        day, hour, minute, second, _ = self._split(at)
        weekday, month = _DAYS[day.weekday()], _MONTHS[day.month - 1]
        clock = f"{hour:02}:{minute:02}:{second:02}"
        return f"{weekday} {month} {day.day:02} {clock} {self._zone_name} {day.year:04}"

    @property
    def offset_ms(self) -> int:
        """How far the zone is ahead of UTC."""
        return self._offset_ms

    def parse(self, text: str) -> ParsedTime | None:
        """Read `2018-03-08T17:30:00`; a space may stand for the T and `.mmm` or `:mmm` may follow. None: not a time."""
        return parse_local_time(text, utc_offset_ms=self._offset_ms)

    def parse_date(self, text: str) -> ParsedTime | None:
        """Read `2019-10-01` as the start of that day. None: not a date."""
        return parse_local_date(text, utc_offset_ms=self._offset_ms)

    def _split(self, at: Instant) -> _Fields:
        days, rest = divmod(at + self._offset_ms, DAY_MS)
        # Four digits of year are all the formats have: what lies outside is shown at the edge.
        day = date.fromordinal(min(max(days + EPOCH_DAY, 1), date.max.toordinal()))
        hour, rest = divmod(rest, HOUR_MS)
        minute, rest = divmod(rest, MINUTE_MS)
        second, millisecond = divmod(rest, SECOND_MS)
        return _Fields(day, hour, minute, second, millisecond)
