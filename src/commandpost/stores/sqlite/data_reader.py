"""Questions about streams, points and binaries, on SQLite."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from commandpost.domain.data_ports import Binary, PointFilter, PointPage, StoredPoint
from commandpost.domain.datapoint import Datastream
from commandpost.domain.ids import DeviceId
from commandpost.stores.data_rows import binary_from_row, datastream_from_row, point_from_row
from commandpost.stores.data_rules import PointSpan, read_page
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions, json_list


class SqliteDataReader(Questions):
    """A DataReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._data = load_queries("data.sql")

    async def list_datastreams(
        self, device_id: DeviceId, stream_ids: Sequence[str] | None = None
    ) -> tuple[Datastream, ...]:
        """A device's streams with their current values, by id; only those named, if names are given."""
        rows = self._rows(*self._of_device("list_datastreams", device_id, stream_ids))
        return tuple(datastream_from_row(row) for row in rows)

    async def list_points(self, which: PointFilter, *, limit: int) -> PointPage:
        """A page of points, at most `limit` of each stream."""
        sql = self._data["points_ascending" if which.is_ascending else "points_descending"]

        def read(stream: int, span: PointSpan) -> Iterator[StoredPoint]:
            # One by one: of large values a page holds fewer than it may, and the rest is never read.
            arguments = {
                "stream": stream,
                "low_at": span.low.at,
                "low_number": span.low.number,
                "high_at": span.high.at,
                "high_number": span.high.number,
                "limit": limit + 1,
            }
            return (point_from_row(row) for row in self._each(sql, arguments))

        with self._snapshot():
            streams = self._rows(*self._of_device("list_stream_places", which.device_id, which.stream_ids))
            return read_page(which, [(row[0], row[1]) for row in streams], read, limit=limit)

    async def current_values(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, tuple[Datastream, ...]]:
        """The streams of many devices with their current values; devices without streams are left out."""
        rows = self._rows(self._data["current_values"], (json_list(device_ids),))
        streams = (datastream_from_row(row) for row in rows)
        return {device_id: tuple(group) for device_id, group in groupby(streams, key=lambda each: each.device_id)}

    async def find_binary(self, index: str) -> tuple[Binary, bytes] | None:
        """A binary with its bytes, of any device."""
        row = self._row(self._data["find_binary"], (index,))
        return None if row is None else (binary_from_row(row), row[5])

    async def list_binaries(self, device_id: DeviceId, *, limit: int) -> tuple[Binary, ...]:
        """A device's newest binaries, newest first."""
        return tuple(binary_from_row(row) for row in self._rows(self._data["list_binaries"], (device_id, limit)))

    def _of_device(
        self, name: str, device_id: DeviceId, stream_ids: Sequence[str] | None
    ) -> tuple[str, tuple[object, ...]]:
        if stream_ids is None:
            return self._data[name], (device_id,)
        return self._data[f"{name}_among"], (device_id, json_list(stream_ids))
