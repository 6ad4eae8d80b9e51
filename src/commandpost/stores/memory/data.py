"""Facts about streams, points and binaries, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from commandpost.domain.data_facts import (
    AcceptBinary,
    AcceptDatapoints,
    AddBinary,
    AddDatapoints,
    ChangeDatastream,
    CreateDatastream,
    DeleteDatastream,
    NotStored,
    PruneData,
    PruneOrphans,
)
from commandpost.domain.data_ports import Binary, PointPosition, StoredPoint
from commandpost.domain.datapoint import Datapoint, Datastream
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.data_rules import BINARIES_SLICE_MAX, is_latest, make_stream, newest_by_stream, point_of_binary
from commandpost.stores.memory.kept import KeptBinary, KeptPoint, KeptStream
from commandpost.stores.memory.state import MemoryState
from commandpost.stores.memory.triggers import PointTeller


class DataFacts:
    """Applies the facts about reported data to a state; each checks everything before it changes anything."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._teller = PointTeller(state)

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AddDatapoints: self._add_points,
            AcceptDatapoints: self._add_points,
            CreateDatastream: self._create_stream,
            ChangeDatastream: self._change_stream,
            DeleteDatastream: self._delete_stream,
            AddBinary: self._add_binary,
            AcceptBinary: self._add_binary,
            PruneData: self._prune,
            PruneOrphans: self._prune_orphans,
        }

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted: its streams go now, what belongs to them in slices."""
        for kept in self._state.data.streams_of(device_id):
            self._orphan(kept)

    def _add_points(self, fact: AddDatapoints) -> NotStored | None:
        refused = self._find_refusal(fact.device_id, fact.product_id, fact.points, fact.streams_max)
        if refused is None:
            self._insert_points(fact.device_id, fact.points, fact.received_at)
            self._teller.tell(fact.product_id, fact.device_id, fact.points, received_at=fact.received_at)
        return refused

    def _add_binary(self, fact: AddBinary) -> NotStored | None:
        point = point_of_binary(fact)
        refused = self._find_refusal(fact.device_id, fact.product_id, (point,), fact.streams_max)
        if refused is not None:
            return refused
        data = self._state.data
        if fact.index in data.binaries:
            raise StoreUnavailable(f"binary {fact.index} is there already")
        self._insert_points(fact.device_id, (point,), fact.received_at)
        data.last_binary += 1
        binary = Binary(
            index=fact.index,
            device_id=fact.device_id,
            at=fact.at,
            size_bytes=len(fact.payload),
            description=fact.description,
        )
        data.binaries[fact.index] = KeptBinary(
            number=data.last_binary,
            stream=data.streams[fact.device_id, fact.stream_id].number,
            received_at=fact.received_at,
            binary=binary,
            payload=fact.payload,
        )
        self._teller.tell(fact.product_id, fact.device_id, (point,), received_at=fact.received_at)
        return None

    def _create_stream(self, fact: CreateDatastream) -> NotStored | None:
        stream = fact.stream
        if not self._is_device(stream.device_id, fact.product_id):
            return NotStored.DEVICE_GONE
        if (stream.device_id, stream.id) in self._state.data.streams:
            return NotStored.STREAM_EXISTS
        if len(self._state.data.streams_of(stream.device_id)) >= fact.streams_max:
            return NotStored.TOO_MANY_STREAMS
        self._insert_stream(stream)
        return None

    def _change_stream(self, fact: ChangeDatastream) -> bool:
        kept = self._state.data.streams.get((fact.device_id, fact.stream_id))
        if kept is None:
            return False
        before = kept.stream
        kept.stream = replace(
            before,
            unit=before.unit if fact.unit is None else fact.unit,
            unit_symbol=before.unit_symbol if fact.unit_symbol is None else fact.unit_symbol,
            tags=before.tags if fact.tags is None else fact.tags,
        )
        return True

    def _delete_stream(self, fact: DeleteDatastream) -> bool:
        kept = self._state.data.streams.get((fact.device_id, fact.stream_id))
        if kept is None:
            return False
        self._orphan(kept)
        return True

    def _prune(self, fact: PruneData) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        binaries_limit = min(limit, BINARIES_SLICE_MAX)
        data, before = self._state.data, fact.received_before
        oldest_points = islice(data.points.items(), limit)
        points = [number for number, kept in oldest_points if kept.received_at < before]
        oldest = sorted(data.binaries.values(), key=lambda each: each.number)[:binaries_limit]
        binaries = [kept.binary.index for kept in oldest if kept.received_at < before]
        self._remove(points, binaries)
        has_more = len(points) >= limit or len(binaries) >= binaries_limit
        return Swept(count=len(points) + len(binaries), has_more=has_more)

    def _prune_orphans(self, fact: PruneOrphans) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        left, binaries_left = limit, min(limit, BINARIES_SLICE_MAX)
        for stream in sorted(self._state.data.orphans)[:limit]:
            points = self._points_of(stream)[:left]
            left -= len(points)
            self._remove(points, [])
            if left <= 0:
                break
            binaries = self._binaries_of(stream)[: min(left, binaries_left)]
            left -= len(binaries)
            binaries_left -= len(binaries)
            self._remove([], binaries)
            if left <= 0 or binaries_left <= 0:
                break
            self._state.data.orphans.remove(stream)
        return Swept(count=limit - left, has_more=bool(self._state.data.orphans))

    def _find_refusal(
        self, device_id: DeviceId, product_id: ProductId, points: Sequence[Datapoint], streams_max: int
    ) -> NotStored | None:
        if not self._is_device(device_id, product_id):
            return NotStored.DEVICE_GONE
        known = self._state.data.streams
        missing = {point.stream_id for point in points if (device_id, point.stream_id) not in known}
        if missing and len(self._state.data.streams_of(device_id)) + len(missing) > streams_max:
            return NotStored.TOO_MANY_STREAMS
        return None

    def _insert_points(self, device_id: DeviceId, points: Sequence[Datapoint], received_at: Instant) -> None:
        data = self._state.data
        for point in points:
            if (device_id, point.stream_id) not in data.streams:
                self._insert_stream(make_stream(device_id, point.stream_id, at=received_at))
            data.last_point += 1
            position = PointPosition(at=point.at, number=data.last_point)
            data.points[data.last_point] = KeptPoint(
                stream=data.streams[device_id, point.stream_id].number,
                received_at=received_at,
                point=StoredPoint(position=position, value=point.value),
            )
        for stream_id, point in newest_by_stream(points).items():
            kept = data.streams[device_id, stream_id]
            if is_latest(point, kept.stream.updated_at, received_at=received_at):
                kept.stream = replace(kept.stream, current_value=point.value, updated_at=point.at)

    def _insert_stream(self, stream: Datastream) -> None:
        data = self._state.data
        data.last_stream += 1
        data.streams[stream.device_id, stream.id] = KeptStream(data.last_stream, stream)
        data.names.setdefault(stream.device_id, set()).add(stream.id)

    def _orphan(self, kept: KeptStream) -> None:
        del self._state.data.streams[kept.stream.device_id, kept.stream.id]
        self._state.data.names[kept.stream.device_id].remove(kept.stream.id)
        if self._points_of(kept.number) or self._binaries_of(kept.number):
            self._state.data.orphans.add(kept.number)

    def _points_of(self, stream: int) -> list[int]:
        """Numbers of a stream's points, by position."""
        of_stream = [each.point.position for each in self._state.data.points.values() if each.stream == stream]
        return [position.number for position in sorted(of_stream)]

    def _binaries_of(self, stream: int) -> list[str]:
        """Indexes of a stream's binaries, by arrival."""
        of_stream = [each for each in self._state.data.binaries.values() if each.stream == stream]
        return [each.binary.index for each in sorted(of_stream, key=lambda each: each.number)]

    def _remove(self, points: Sequence[int], binaries: Sequence[str]) -> None:
        for number in points:
            del self._state.data.points[number]
        for index in binaries:
            del self._state.data.binaries[index]

    def _is_device(self, device_id: DeviceId, product_id: ProductId) -> bool:
        device = self._state.devices.get(device_id)
        return device is not None and device.product_id == product_id
