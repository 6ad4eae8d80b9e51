"""Reported data: storing points and binaries, streams, and asking for them.

Drivers and the northbound store through the same two calls, and what these have returned from is on disk; the
northbound says that it is an application's, which is refused early under overload. Not here: the forms in which points
are reported (domain/data_forms.py). Source: northbound reference 3.8, 7; design 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from commandpost.domain.data_facts import (
    AcceptBinary,
    AcceptDatapoints,
    AddBinary,
    AddDatapoints,
    ChangeDatastream,
    CreateDatastream,
    DeleteDatastream,
    NotStored,
)
from commandpost.domain.data_ports import Binary, DataReader, PointFilter, PointPage, StoredPoint, StreamPoints
from commandpost.domain.datapoint import Datapoint, Datastream, check_stream_id, is_ahead
from commandpost.domain.errors import DomainError, Invalid, NotFound, Taken
from commandpost.domain.ids import DeviceId, ProductId, format_command_id
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock, EventSink, IdSource, StoreWriter

STREAMS_MAX: Final = 1_000  # of a device; a device of the vendor's samples has a dozen
BINARY_BYTES_MAX: Final = 3_145_728  # the most a device may report at once (southbound reference 5.3)
DESCRIPTION_CHARACTERS_MAX: Final = (
    65_536  # a `desc` that is no text is kept as its JSON, which is bounded like a value
)
POINTS_MAX: Final = 6_000  # of each stream in one answer (northbound reference 7)
BINARIES_SHOWN_MAX: Final = 100  # newest of a device; the documents name no number

# What is read from the store in one question, so that no answer holds the loop or the memory for long.
_CHUNK_POINTS: Final = 1_024
_CHUNK_DEVICES: Final = 16
# An answer ends behind the point that fills it; its cursor leads on. 6,000 points of a number take a third of it.
_ANSWER_CHARACTERS: Final = 1_048_576
_POINT_CHARACTERS: Final = 50  # of what stands around a value in an answer
_VALUES_CHARACTERS_MAX: Final = 8_388_608  # of the latest values of many devices: 1,000 devices of 100 streams each
_AHEAD_TOLD_MS: Final = SECOND_MS  # enough to see who has a wrong clock; a fleet of them must not fill the disk


class TooManyStreams(DomainError):
    """The device has its full number of streams."""

    code = "too_many_streams"

    def __init__(self, streams_max: int) -> None:
        self.streams_max = streams_max
        super().__init__(f"a device has at most {streams_max} datastreams")


class TooMuchData(DomainError):
    """What was asked for is more than one answer may hold; asking for less makes sense."""

    code = "too_much_data"


class DataOrigin(Enum):
    """Who brings data."""

    DEVICE = "device"
    """Over its own protocol; it waits for an acknowledgement and would send again."""
    APPLICATION = "application"
    """Over HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatapointSettings:
    """Limits of reported data."""

    streams_max: int = STREAMS_MAX
    binary_bytes_max: int = BINARY_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastreamChange:
    """What is to be different; None stays."""

    unit: str | None = None
    unit_symbol: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBinary:
    """A binary as it was reported."""

    stream_id: str
    payload: bytes
    at: Instant
    description: str = ""


@dataclass(slots=True)
class _Answer:
    """Points of one answer as they come together."""

    found: dict[str, list[StoredPoint]] = field(default_factory=dict)
    characters: int = 0
    longest: int = 0

    def add(self, page: PointPage) -> None:
        for stream in page.streams:
            points = self.found.setdefault(stream.stream_id, [])
            points.extend(stream.points)
            self.longest = max(self.longest, len(points))
            self.characters += sum(len(point.value) + _POINT_CHARACTERS for point in stream.points)


class Datapoints:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: DataReader,
        ids: IdSource,
        clock: Clock,
        events: EventSink,
        settings: DatapointSettings | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._ids = ids
        self._clock = clock
        self._events = events
        self._settings = settings or DatapointSettings()
        self._ahead = 0
        self._ahead_told_at: Instant | None = None
        self._last_index_ms = 0

    # --- storing ------------------------------------------------------------------------------------------------------

    async def add(
        self,
        device_id: DeviceId,
        product_id: ProductId,
        points: Sequence[Datapoint],
        *,
        origin: DataOrigin = DataOrigin.DEVICE,
    ) -> None:
        """Store points, all or none; committed and fsynced when this returns. No points are stored at once.

        A point that is dated more than AHEAD_MAX_MS ahead is one of a wrong clock: its time is that of its arrival.
        Raises:
            NotFound: the device is gone.
            TooManyStreams: they would make more streams than a device may have.
            Overloaded: too much waits to be written already.
            StoreUnavailable: they could not be written.
        """
        if not points:
            return
        now = self._clock.wall_ms()
        kind = AddDatapoints if origin is DataOrigin.DEVICE else AcceptDatapoints
        fact = kind(
            device_id=device_id,
            product_id=product_id,
            points=self._dated(points, device_id, now),
            received_at=now,
            streams_max=self._settings.streams_max,
        )
        self._raise_for(await self._writer.perform(fact), device_id)

    async def add_binary(
        self,
        device_id: DeviceId,
        product_id: ProductId,
        new: NewBinary,
        *,
        origin: DataOrigin = DataOrigin.DEVICE,
    ) -> str:
        """Store a binary and the point that names it; gives its index. Raises as `add`, and Invalid."""
        stream_id = check_stream_id(new.stream_id)
        if not 0 < len(new.payload) <= self._settings.binary_bytes_max:
            found = f"{len(new.payload)} bytes"
            raise Invalid("binary", found, f"1 to {self._settings.binary_bytes_max} bytes")
        if len(new.description) > DESCRIPTION_CHARACTERS_MAX:
            raise Invalid("desc", f"{len(new.description)} characters", f"at most {DESCRIPTION_CHARACTERS_MAX}")
        now = self._clock.wall_ms()
        # Two of one millisecond must differ: the later one takes the next that is free.
        self._last_index_ms = max(now, self._last_index_ms + 1)
        index = f"{device_id}_{self._last_index_ms}_{stream_id}"
        kind = AddBinary if origin is DataOrigin.DEVICE else AcceptBinary
        fact = kind(
            device_id=device_id,
            product_id=product_id,
            stream_id=stream_id,
            index=index,
            description=new.description,
            payload=new.payload,
            at=self._date(new.at, device_id, now),
            received_at=now,
            streams_max=self._settings.streams_max,
        )
        self._raise_for(await self._writer.perform(fact), device_id, stream_id)
        return index

    def _dated(self, points: Sequence[Datapoint], device_id: DeviceId, now: Instant) -> tuple[Datapoint, ...]:
        if not any(is_ahead(point.at, now=now) for point in points):
            return tuple(points)
        return tuple(replace(point, at=self._date(point.at, device_id, now)) for point in points)

    def _date(self, at: Instant, device_id: DeviceId, now: Instant) -> Instant:
        if not is_ahead(at, now=now):
            return at
        self._ahead += 1
        if self._ahead_told_at is None or abs(now - self._ahead_told_at) >= _AHEAD_TOLD_MS:
            self._events.emit("points_dated_ahead", device_id=device_id, at=at, count=self._ahead)
            self._ahead, self._ahead_told_at = 0, now
        return now

    # --- streams ------------------------------------------------------------------------------------------------------

    async def create_stream(
        self, device_id: DeviceId, product_id: ProductId, stream_id: str, change: DatastreamChange
    ) -> Datastream:
        """Make a stream before it has points.

        Raises:
            Invalid: a value cannot be; names the field.
            Taken: the device has such a stream.
            NotFound, TooManyStreams: as `add`.
        """
        now = self._clock.wall_ms()
        stream = Datastream(
            device_id=device_id,
            id=stream_id,
            uuid=format_command_id(self._ids.new_command_id(now)),
            created_at=now,
            unit=change.unit or "",
            unit_symbol=change.unit_symbol or "",
            tags=change.tags or (),
        )
        fact = CreateDatastream(product_id=product_id, stream=stream, streams_max=self._settings.streams_max)
        self._raise_for(await self._writer.perform(fact), device_id, stream_id)
        return stream

    async def change_stream(self, device_id: DeviceId, stream_id: str, change: DatastreamChange) -> None:
        """Change what the owner says of a stream.

        Raises:
            NotFound: the device has no such stream.
            Invalid: a value cannot be; names the field.
        """
        stream = await self.get_stream(device_id, stream_id)
        given = {name: value for name in _CHANGEABLE if (value := getattr(change, name)) is not None}
        replace(stream, **given)  # the record refuses what it may not hold
        fact = ChangeDatastream(
            device_id=device_id,
            stream_id=stream_id,
            unit=change.unit,
            unit_symbol=change.unit_symbol,
            tags=change.tags,
        )
        if not await self._writer.perform(fact):
            raise NotFound("datastream", stream_id)

    async def remove_stream(self, device_id: DeviceId, stream_id: str) -> None:
        """Remove a stream with its points.

        Raises:
            NotFound: the device has no such stream.
        """
        fact = DeleteDatastream(device_id=device_id, stream_id=_known_form(stream_id))
        if not await self._writer.perform(fact):
            raise NotFound("datastream", stream_id)

    async def get_stream(self, device_id: DeviceId, stream_id: str) -> Datastream:
        """Give a stream with its current value.

        Raises:
            NotFound: the device has no such stream.
        """
        streams = await self._reader.list_datastreams(device_id, (_known_form(stream_id),))
        if not streams:
            raise NotFound("datastream", stream_id)
        return streams[0]

    async def list_streams(
        self, device_id: DeviceId, stream_ids: Sequence[str] | None = None
    ) -> tuple[Datastream, ...]:
        """Give a device's streams with their current values, by id; of those named, the ones there are."""
        return await self._reader.list_datastreams(device_id, stream_ids)

    # --- asking -------------------------------------------------------------------------------------------------------

    async def query(self, which: PointFilter, *, limit: int) -> PointPage:
        """Give a page of points, at most `limit` of each stream; fewer when they fill an answer before."""
        streams = which.stream_ids
        if streams is None:
            streams = tuple(stream.id for stream in await self._reader.list_datastreams(which.device_id))
        if not streams:
            return PointPage(streams=(), end=None)
        chunk = max(1, _CHUNK_POINTS // len(streams))
        answer = _Answer()
        while True:
            page = await self._reader.list_points(which, limit=min(chunk, limit - answer.longest))
            answer.add(page)
            if page.end is None or answer.longest >= limit or answer.characters >= _ANSWER_CHARACTERS:
                break
            which = replace(which, beyond=page.end)
        found = (
            StreamPoints(stream_id=stream_id, points=tuple(points))
            for stream_id, points in sorted(answer.found.items())
        )
        return PointPage(streams=tuple(found), end=page.end)

    async def current_values(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, tuple[Datastream, ...]]:
        """Give the streams of many devices with their current values; devices without streams are left out.

        Raises:
            TooMuchData: they are more than one answer may hold.
        """
        found: dict[DeviceId, tuple[Datastream, ...]] = {}
        characters = 0
        for at in range(0, len(device_ids), _CHUNK_DEVICES):
            chunk = await self._reader.current_values(device_ids[at : at + _CHUNK_DEVICES])
            found.update(chunk)
            for stream in (stream for streams in chunk.values() for stream in streams):
                characters += len(stream.current_value or "") + _POINT_CHARACTERS
            if characters > _VALUES_CHARACTERS_MAX:
                raise TooMuchData(f"the latest values of {len(device_ids)} devices: ask for fewer devices at a time")
        return found

    async def find_binary(self, index: str) -> tuple[Binary, bytes] | None:
        """Give a binary of any device with its bytes."""
        return await self._reader.find_binary(index)

    async def list_binaries(self, device_id: DeviceId) -> tuple[Binary, ...]:
        """Give a device's newest binaries, newest first, at most BINARIES_SHOWN_MAX."""
        return await self._reader.list_binaries(device_id, limit=BINARIES_SHOWN_MAX)

    def _raise_for(self, result: NotStored | None, device_id: DeviceId, stream_id: str = "") -> None:
        match result:
            case NotStored.DEVICE_GONE:
                raise NotFound("device", str(device_id))
            case NotStored.STREAM_EXISTS:
                raise Taken("datastream", stream_id)
            case NotStored.TOO_MANY_STREAMS:
                raise TooManyStreams(self._settings.streams_max)


_CHANGEABLE: Final = ("unit", "unit_symbol", "tags")


def _known_form(stream_id: str) -> str:
    """What can be no stream id names no stream."""
    try:
        return check_stream_id(stream_id)
    except Invalid:
        raise NotFound("datastream", stream_id) from None
