"""Questions about reported data, answered from what is committed; every one of them by index.

Source: northbound reference 3.8, 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from commandpost.domain.datapoint import Datastream
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PointPosition:
    """A place in a device's points: they are ordered by `at`, and points with the same `at` by `number`, which is the
    order in which they were stored."""

    at: Instant
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFilter:
    """Which points of a device are asked for; both ends inclusive, None: open."""

    device_id: DeviceId
    stream_ids: tuple[str, ...] | None = None
    """None: every stream."""
    start: Instant | None = None
    end: Instant | None = None
    is_ascending: bool = True
    beyond: PointPosition | None = None
    """Only points after this one in the order that is asked for: where the page before ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPoint:
    """A point as it lies in the store."""

    position: PointPosition
    value: str
    """Compact JSON text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPoints:
    """Points of one stream, in the order that was asked for."""

    stream_id: str
    points: tuple[StoredPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPage:
    """One page: at most so many points of each stream. `end` is where it ended; None when nothing lies beyond.

    All streams are cut at the same place, so that a page and the ones after it leave nothing out and repeat nothing.
    """

    streams: tuple[StreamPoints, ...]
    """By stream id; those without a point are left out."""
    end: PointPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A stored binary without its bytes."""

    index: str
    device_id: DeviceId
    at: Instant
    size_bytes: int
    description: str


class DataReader(Protocol):
    """See the module."""

    async def list_datastreams(
        self, device_id: DeviceId, stream_ids: Sequence[str] | None = None
    ) -> tuple[Datastream, ...]:
        """A device's streams with their current values, by id; only those named, if names are given."""
        ...

    async def list_points(self, which: PointFilter, *, limit: int) -> PointPage:
        """A page of points, at most `limit` of each stream."""
        ...

    async def current_values(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, tuple[Datastream, ...]]:
        """The streams of many devices with their current values; devices without streams are left out."""
        ...

    async def find_binary(self, index: str) -> tuple[Binary, bytes] | None:
        """A binary with its bytes, of any device."""
        ...

    async def list_binaries(self, device_id: DeviceId, *, limit: int) -> tuple[Binary, ...]:
        """A device's newest binaries, newest first."""
        ...
