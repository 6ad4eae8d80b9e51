"""Rules about reported data that every store applies: made streams, current values, and where a page of points ends."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from uuid import UUID, uuid5

from commandpost.domain.data_facts import AddBinary
from commandpost.domain.data_ports import PointFilter, PointPage, PointPosition, StoredPoint, StreamPoints
from commandpost.domain.datapoint import Datapoint, Datastream, format_value, is_ahead
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant

PAGE_BYTES_MAX: Final = 16 * 2**20  # of values: the 6,000 points of a stream one may ask for, of 2.8 KB each
BINARIES_SLICE_MAX: Final = 50  # removed in one transaction: at 800 KB each 40 MB, whose pages are walked one by one
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

# A name space of our own (RFC 9562 section 6.5), for a store has no randomness.
_STREAMS: Final = UUID("8d0b4f0e-5c2a-5b53-9a3e-0d6f6f2f7c11")

PlaceT = TypeVar("PlaceT")


def make_stream(device_id: DeviceId, stream_id: str, *, at: Instant) -> Datastream:
    """Give the stream that a point makes by coming first; its UUID says device, id and time, and nothing else."""
    uuid = str(uuid5(_STREAMS, f"{device_id}/{at}/{stream_id}"))
    return Datastream(device_id=device_id, id=stream_id, uuid=uuid, created_at=at)


def newest_by_stream(points: Iterable[Datapoint]) -> dict[str, Datapoint]:
    """Give the newest point of each stream; of points with the same `at`, the last."""
    newest: dict[str, Datapoint] = {}
    for point in points:
        known = newest.get(point.stream_id)
        if known is None or point.at >= known.at:
            newest[point.stream_id] = point
    return newest


def is_latest(point: Datapoint, updated_at: Instant | None, *, received_at: Instant) -> bool:
    """Tell whether a point takes the place of its stream's latest; one that is dated too far ahead does not keep it.

    Such a one is not stored any more; it may be of before there was a bound, or of when our own clock was wrong.
    """
    return updated_at is None or point.at >= updated_at or is_ahead(updated_at, now=received_at)


def point_of_binary(fact: AddBinary) -> Datapoint:
    """Give the point that stands for a binary."""
    return Datapoint(stream_id=fact.stream_id, at=fact.at, value=format_value({"index": fact.index}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSpan:
    """Points between two positions, neither of which belongs to it."""

    low: PointPosition
    high: PointPosition


def span_of(which: PointFilter) -> PointSpan:
    """Give what a filter asks for, of any stream. Numbers begin at 1 and never reach INT64_MAX."""
    low = PointPosition(at=Instant(INT64_MIN) if which.start is None else which.start, number=0)
    high = PointPosition(at=Instant(INT64_MAX) if which.end is None else which.end, number=INT64_MAX)
    if which.beyond is None:
        return PointSpan(low=low, high=high)
    if which.is_ascending:
        return PointSpan(low=max(low, which.beyond), high=high)
    return PointSpan(low=low, high=min(high, which.beyond))


def read_page(
    which: PointFilter,
    streams: Sequence[tuple[str, PlaceT]],
    read: Callable[[PlaceT, PointSpan], Iterator[StoredPoint]],
    *,
    limit: int,
    bytes_max: int = PAGE_BYTES_MAX,
) -> PointPage:
    """Put a page together; all streams end where the first of them has to.

    Args:
        streams: id and place of each, in the order of the page.
        read: gives the points of a place in a span, in the order that is asked for, at least limit + 1 if there are.
        limit: points of each stream, at least 1.
        bytes_max: of values in the page; each stream has its even share of it, but one point at least.
    """
    span = span_of(which)
    share = bytes_max // max(1, len(streams))
    end: PointPosition | None = None
    found: list[tuple[str, list[StoredPoint]]] = []
    for stream_id, place in streams:
        points, is_cut = _take(read(place, span), limit=limit, bytes_max=share)
        if is_cut:
            # What lies beyond belongs to a later page: the streams that follow are not even asked for it.
            end = points[-1].position
            span = _span_up_to(span, end, is_ascending=which.is_ascending)
        found.append((stream_id, points))
    kept = ((stream_id, tuple(point for point in points if _is_in(point, span))) for stream_id, points in found)
    return PointPage(
        streams=tuple(StreamPoints(stream_id=stream_id, points=points) for stream_id, points in kept if points),
        end=end,
    )


def _take(points: Iterator[StoredPoint], *, limit: int, bytes_max: int) -> tuple[list[StoredPoint], bool]:
    """Give what fits, and whether there is more."""
    taken: list[StoredPoint] = []
    room = bytes_max
    for point in points:
        room -= len(point.value)
        if len(taken) >= limit or (taken and room < 0):
            return taken, True
        taken.append(point)
    return taken, False


def _span_up_to(span: PointSpan, end: PointPosition, *, is_ascending: bool) -> PointSpan:
    if is_ascending:
        return replace(span, high=PointPosition(at=end.at, number=end.number + 1))
    return replace(span, low=PointPosition(at=end.at, number=end.number - 1))


def _is_in(point: StoredPoint, span: PointSpan) -> bool:
    return span.low < point.position < span.high
