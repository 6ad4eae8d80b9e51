"""What is written of reported data: datapoints, streams and binaries; facts like those of `domain.facts`.

Points of devices are class GATE: the acknowledgement a device waits for leaves after they are committed (design
section 4). What applications bring is class ACCEPT, like their commands: under overload it is refused early, and never
stands in the way of what devices wait for (P11).
Source: northbound reference 7.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from commandpost.domain.datapoint import Datapoint, Datastream
from commandpost.domain.fact import Fact, Priority, Sweep, units_of_bytes, units_of_rows
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant


class NotStored(Enum):
    """Why nothing of it was stored."""

    DEVICE_GONE = "device_gone"
    STREAM_EXISTS = "stream_exists"
    TOO_MANY_STREAMS = "too_many_streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDatapoints(Fact[NotStored | None]):
    """Store points of one device, all or none; None when they are stored. Streams that are missing are made.

    A stream's current value becomes that of the newest point by `at`; of points with the same `at`, the last stored.
    """

    device_id: DeviceId
    product_id: ProductId
    points: tuple[Datapoint, ...]
    received_at: Instant
    streams_max: int
    """Of the device, those made by this fact included."""

    @property
    def units(self) -> int:
        """By its points."""
        return units_of_rows(len(self.points))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptDatapoints(AddDatapoints):
    """The same, of an application."""

    priority: ClassVar[Priority] = Priority.ACCEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDatastream(Fact[NotStored | None]):
    """Make a stream before it has points; None when it is made."""

    product_id: ProductId
    stream: Datastream
    streams_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDatastream(Fact[bool]):
    """Change what the owner says of a stream; None stays. False when the device has no such stream."""

    device_id: DeviceId
    stream_id: str
    unit: str | None = None
    unit_symbol: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDatastream(Fact[bool]):
    """Forget a stream; its points are gone for every reader at once, and from the disk in slices (PruneOrphans)."""

    device_id: DeviceId
    stream_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddBinary(Fact[NotStored | None]):
    """Store a binary, and a point of its stream whose value is `{"index":"<index>"}`."""

    device_id: DeviceId
    product_id: ProductId
    stream_id: str
    index: str
    """Unique: `<device>_<ms>_<stream>`, made unique by its maker (northbound reference 7)."""
    description: str
    payload: bytes
    at: Instant
    received_at: Instant
    streams_max: int

    @property
    def units(self) -> int:
        """By its bytes."""
        return units_of_bytes(len(self.payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptBinary(AddBinary):
    """The same, of an application."""

    priority: ClassVar[Priority] = Priority.ACCEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneData(Sweep):
    """Remove up to `limit` points, and a few binaries, that were received before an instant; counts both."""

    received_before: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrphans(Sweep):
    """Remove up to `limit` points and binaries of streams and devices that were deleted."""
