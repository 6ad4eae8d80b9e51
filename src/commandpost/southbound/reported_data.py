"""From a report on the wire to stored datapoints: what `$dp` and SAVE_DATA have in common after their bytes are read.

Here: which form a report has, its times, and the word to the driver once it is on disk. Not here: the bytes
(protocols/data_report.py), the texts (domain/data_forms.py).
Source: southbound reference 5.3, 6.6.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from functools import partial
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
from commandpost.southbound.memory_budget import MemoryBudget

REPORTS_OPEN_MAX: Final = 20_000  # of all connections; each connection has a bound of its own, far below
REPORT_BYTES: Final = 1_024  # what a report costs beside its bytes: its task, its fact, its place in the queue
POINT_BYTES: Final = 170  # what a point of a report costs in memory, measured: 110 to 176 by its form


class Stored(Enum):
    """What became of a report."""

    YES = "yes"
    """It is on disk."""
    REFUSED = "refused"
    """It can never be stored: its text is wrong, or the device has too many streams."""
    UNAVAILABLE = "unavailable"
    """The store cannot take it now: the device has to send it again."""


class ReportedData:
    """Takes the reports of all connections, as many at a time as their memory has room for."""

    def __init__(
        self, *, points: Datapoints, budget: MemoryBudget, clock: Clock, utc_offset_ms: int, events: EventSink
    ) -> None:
        self._points = points
        self._budget = budget
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
        held_bytes = _held_bytes(report)
        if len(self._tasks) >= REPORTS_OPEN_MAX or not self._budget.reserve(held_bytes):
            self._tell_full(connection)
            loop.call_soon(then, Stored.UNAVAILABLE)
            return
        task = loop.create_task(self._store(connection, report, then))
        self._tasks[task] = None
        task.add_done_callback(partial(self._done, held_bytes))

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is being written."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout_s)

    def _tell_full(self, connection: Connection) -> None:
        self._events.emit("report_not_stored", device_id=connection.device_id, error="too_many_reports_open")

    def _done(self, held_bytes: int, task: asyncio.Task[None]) -> None:
        self._budget.release(held_bytes)
        del self._tasks[task]

    async def _store(self, connection: Connection, report: DataReport, then: Callable[[Stored], object]) -> None:
        try:
            stored = await self._write(connection, report)
        except DomainError as error:
            self._events.emit("report_refused", device_id=connection.device_id, reason=str(error)[:200])
            then(Stored.REFUSED)
        except CommandpostError as error:
            self._events.emit("report_not_stored", device_id=connection.device_id, error=error.code)
            then(Stored.UNAVAILABLE)
        else:
            then(stored)

    async def _write(self, connection: Connection, report: DataReport) -> Stored:
        now = self._clock.wall_ms()
        if isinstance(report, BinaryReport):
            header = binary_header(decode_text(report.header), now=now, utc_offset_ms=self._utc_offset_ms)
            new = NewBinary(
                stream_id=header.stream_id, description=header.description, payload=report.payload, at=header.at
            )
            await self._points.add_binary(connection.device_id, connection.product_id, new)
            return Stored.YES
        points = self._parse(report, now)
        held_bytes = len(points) * POINT_BYTES  # up to eighty times the text of a report that means harm
        if not self._budget.reserve(held_bytes):
            self._tell_full(connection)
            return Stored.UNAVAILABLE
        try:
            if points:
                await self._points.add(connection.device_id, connection.product_id, points)
        finally:
            self._budget.release(held_bytes)
        return Stored.YES

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


def _held_bytes(report: DataReport) -> int:
    match report:
        case BinaryReport(header=header, payload=payload):
            return REPORT_BYTES + len(header) + len(payload)
        case TextReport(text=text):
            return REPORT_BYTES + len(text)
        case FloatReport(points=points):
            return REPORT_BYTES + len(points) * POINT_BYTES
