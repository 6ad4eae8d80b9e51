"""Questions about streams, points and binaries, in memory."""

from collections.abc import Iterator, Mapping, Sequence

from commandpost.domain.data_ports import Binary, PointFilter, PointPage, StoredPoint
from commandpost.domain.datapoint import Datastream
from commandpost.domain.ids import DeviceId
from commandpost.stores.data_rules import PointSpan, read_page
from commandpost.stores.memory.kept import KeptBinary
from commandpost.stores.memory.questions import Questions


class MemoryDataReader(Questions):
    """A DataReader over a state."""

    async def list_datastreams(
        self, device_id: DeviceId, stream_ids: Sequence[str] | None = None
    ) -> tuple[Datastream, ...]:
        """A device's streams with their current values, by id; only those named, if names are given."""
        streams = [kept.stream for kept in self._state.data.streams_of(device_id)]
        return tuple(stream for stream in streams if stream_ids is None or stream.id in stream_ids)

    async def list_points(self, which: PointFilter, *, limit: int) -> PointPage:
        """A page of points, at most `limit` of each stream."""
        data = self._state.data

        def read(stream: int, span: PointSpan) -> Iterator[StoredPoint]:
            points = [
                kept.point
                for kept in data.points.values()
                if kept.stream == stream and span.low < kept.point.position < span.high
            ]
            points.sort(key=lambda point: point.position, reverse=not which.is_ascending)
            return iter(points)

        streams = [
            (kept.stream.id, kept.number)
            for kept in data.streams_of(which.device_id)
            if which.stream_ids is None or kept.stream.id in which.stream_ids
        ]
        return read_page(which, streams, read, limit=limit)

    async def current_values(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, tuple[Datastream, ...]]:
        """The streams of many devices with their current values; devices without streams are left out."""
        found = {device_id: self._state.data.streams_of(device_id) for device_id in device_ids}
        return {device_id: tuple(kept.stream for kept in streams) for device_id, streams in found.items() if streams}

    async def find_binary(self, index: str) -> tuple[Binary, bytes] | None:
        """A binary with its bytes, of any device."""
        kept = self._state.data.binaries.get(index)
        return None if kept is None or not self._is_alive(kept) else (kept.binary, kept.payload)

    async def list_binaries(self, device_id: DeviceId, *, limit: int) -> tuple[Binary, ...]:
        """A device's newest binaries, newest first."""
        own = [
            kept
            for kept in self._state.data.binaries.values()
            if kept.binary.device_id == device_id and self._is_alive(kept)
        ]
        own.sort(key=lambda kept: (kept.binary.at, kept.number), reverse=True)
        return tuple(kept.binary for kept in own[:limit])

    def _is_alive(self, binary: KeptBinary) -> bool:
        return binary.stream not in self._state.data.orphans
