"""From a report on the wire to stored datapoints: what `$dp` and SAVE_DATA have in common after their bytes are read.

Here: which form a report has, its times, and the word to the driver once it is on disk. Not here: the bytes
(protocols/data_report.py), the texts (domain/data_forms.py).
Source: southbound reference 5.3, 6.6.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from commandpost.domain.connection import Connection
from commandpost.domain.data_forms import binary_header, decode_text, float_points, parse_form
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.errors import CommandpostError, DomainError, Invalid
from commandpost.domain.instant import Instant
from commandpost.domain.local_time import instant_of
from commandpost.domain.ports import Clock, EventSink
from commandpost.protocols.data_report import BinaryReport, DataReport, FloatReport, LocalTime, TextReport
from commandpost.services.datapoints import Datapoints, NewBinary

REPORTS_OPEN_MAX: Final = 20_000  # of all connections; each connection has a bound of its own, far below


class Stored(Enum):
    """What became of a report."""

    YES = "yes"
    """It is on disk."""
    REFUSED = "refused"
    """It can never be stored: its text is wrong, or the device has too many streams."""
    UNAVAILABLE = "unavailable"
    """The store cannot take it now: the device has to send it again."""


class ReportedData:
    """Takes the reports of all connections."""

    def __init__(self, *, points: Datapoints, clock: Clock, utc_offset_ms: int, events: EventSink) -> None:
        self._points = points
        self._clock = clock
        self._utc_offset_ms = utc_offset_ms
        self._events = events
        self._tasks: dict[asyncio.Task[None], None] = {}

    @property
    def reports_open(self) -> int:
        """How many reports are being written."""
        return len(self._tasks)

    def take(self, connection: Connection, report: DataReport, then: Callable[[Stored], object]) -> None:
        """Store a report; `then` hears what became of it, never from inside this call."""
        loop = asyncio.get_running_loop()
        if len(self._tasks) >= REPORTS_OPEN_MAX:
            loop.call_soon(then, Stored.UNAVAILABLE)
            return
        task = loop.create_task(self._store(connection, report, then))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is being written."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout_s)

    async def _store(self, connection: Connection, report: DataReport, then: Callable[[Stored], object]) -> None:
        try:
            await self._write(connection, report)
        except DomainError as error:
            self._events.emit("report_refused", device_id=connection.device_id, reason=str(error)[:200])
            then(Stored.REFUSED)
        except CommandpostError as error:
            self._events.emit("report_not_stored", device_id=connection.device_id, error=error.code)
            then(Stored.UNAVAILABLE)
        else:
            then(Stored.YES)

    async def _write(self, connection: Connection, report: DataReport) -> None:
        now = self._clock.wall_ms()
        if isinstance(report, BinaryReport):
            header = binary_header(decode_text(report.header), now=now, utc_offset_ms=self._utc_offset_ms)
            new = NewBinary(
                stream_id=header.stream_id, description=header.description, payload=report.payload, at=header.at
            )
            await self._points.add_binary(connection.device_id, connection.product_id, new)
            return
        points = self._parse(report, now)
        if points:
            await self._points.add(connection.device_id, connection.product_id, points)

    def _parse(self, report: TextReport | FloatReport, now: Instant) -> tuple[Datapoint, ...]:
        at = self._instant(report.at, now)
        if isinstance(report, FloatReport):
            return float_points(report.points, at=at)
        return parse_form(report.form, decode_text(report.text), now=at, utc_offset_ms=self._utc_offset_ms)

    def _instant(self, at: LocalTime | None, now: Instant) -> Instant:
        if at is None:
            return now
        instant = instant_of(at, utc_offset_ms=self._utc_offset_ms)
        if instant is None:
            raise Invalid("time", "-".join(map(str, at)), "a date and a time of day")
        return instant
