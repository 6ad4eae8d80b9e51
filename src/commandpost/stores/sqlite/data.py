"""Facts about streams, points and binaries, on SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

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
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.data_rows import datastream_from_row, datastream_to_row
from commandpost.stores.data_rules import BINARIES_SLICE_MAX, is_latest, make_stream, newest_by_stream, point_of_binary
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.triggers import PointTeller

_Place = tuple[int, Instant | None]
"""A stream's number, and the time of its latest point."""


class DataFacts:
    """Applies the facts about reported data, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection, *, teller: PointTeller) -> None:
        self._execute = connection.execute
        self._execute_many = connection.executemany
        self._sql = load_queries("data.sql")
        self._teller = teller

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
        self._orphan(self._execute(self._sql["delete_streams"], (device_id,)).fetchall())

    def _add_points(self, fact: AddDatapoints) -> NotStored | None:
        if not self._is_device(fact.device_id, fact.product_id):
            return NotStored.DEVICE_GONE
        places = self._places(fact.device_id, fact.points, fact.received_at, fact.streams_max)
        if places is None:
            return NotStored.TOO_MANY_STREAMS
        self._insert_points(fact.points, places, fact.received_at)
        self._teller.tell(fact.product_id, fact.device_id, fact.points, received_at=fact.received_at)
        return None

    def _add_binary(self, fact: AddBinary) -> NotStored | None:
        if not self._is_device(fact.device_id, fact.product_id):
            return NotStored.DEVICE_GONE
        point = point_of_binary(fact)
        places = self._places(fact.device_id, (point,), fact.received_at, fact.streams_max)
        if places is None:
            return NotStored.TOO_MANY_STREAMS
        stream, _ = places[fact.stream_id]
        row = (fact.index, fact.device_id, stream, fact.at, fact.received_at, fact.description, fact.payload)
        self._execute(self._sql["insert_binary"], row)
        self._insert_points((point,), places, fact.received_at)
        self._teller.tell(fact.product_id, fact.device_id, (point,), received_at=fact.received_at)
        return None

    def _create_stream(self, fact: CreateDatastream) -> NotStored | None:
        stream = fact.stream
        if not self._is_device(stream.device_id, fact.product_id):
            return NotStored.DEVICE_GONE
        if self._execute(self._sql["find_stream_place"], (stream.device_id, stream.id)).fetchone() is not None:
            return NotStored.STREAM_EXISTS
        if self._count_streams(stream.device_id) >= fact.streams_max:
            return NotStored.TOO_MANY_STREAMS
        self._execute(self._sql["insert_stream"], datastream_to_row(stream))
        return None

    def _change_stream(self, fact: ChangeDatastream) -> bool:
        row = self._execute(self._sql["find_stream"], (fact.device_id, fact.stream_id)).fetchone()
        if row is None:
            return False
        before = datastream_from_row(row)
        after = replace(
            before,
            unit=before.unit if fact.unit is None else fact.unit,
            unit_symbol=before.unit_symbol if fact.unit_symbol is None else fact.unit_symbol,
            tags=before.tags if fact.tags is None else fact.tags,
        )
        columns = datastream_to_row(after)
        names = "device_id", "stream_id", "unit", "unit_symbol", "tags"
        self._execute(self._sql["change_stream"], {name: columns[name] for name in names})
        return True

    def _delete_stream(self, fact: DeleteDatastream) -> bool:
        deleted = self._execute(self._sql["delete_stream"], (fact.device_id, fact.stream_id)).fetchall()
        self._orphan(deleted)
        return bool(deleted)

    def _prune(self, fact: PruneData) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        binaries_limit = min(limit, BINARIES_SLICE_MAX)
        points = self._prune_rows("prune_points", limit, fact.received_before)
        binaries = self._prune_rows("prune_binaries", binaries_limit, fact.received_before)
        return Swept(count=points + binaries, has_more=points >= limit or binaries >= binaries_limit)

    def _prune_rows(self, name: str, limit: int, received_before: Instant) -> int:
        return self._execute(self._sql[name], {"limit": limit, "received_before": received_before}).rowcount

    def _prune_orphans(self, fact: PruneOrphans) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        left, binaries_left = limit, min(limit, BINARIES_SLICE_MAX)
        for (stream,) in self._execute(self._sql["list_orphans"], (limit,)).fetchall():
            left -= self._execute(self._sql["delete_points_of"], (stream, left)).rowcount
            if left <= 0:
                break
            at_most = min(left, binaries_left)
            removed = self._execute(self._sql["delete_binaries_of"], (stream, at_most)).rowcount
            left -= removed
            binaries_left -= removed
            if left <= 0 or binaries_left <= 0:
                break
            self._execute(self._sql["delete_orphan"], (stream,))
        is_left = self._execute(self._sql["list_orphans"], (1,)).fetchone() is not None
        return Swept(count=limit - left, has_more=is_left)

    def _places(
        self, device_id: DeviceId, points: Sequence[Datapoint], received_at: Instant, streams_max: int
    ) -> dict[str, _Place] | None:
        """Give the streams of some points, those that are missing made; None when that would be too many."""
        found: dict[str, _Place] = {}
        missing: list[str] = []
        for stream_id in dict.fromkeys(point.stream_id for point in points):
            row = self._execute(self._sql["find_stream_place"], (device_id, stream_id)).fetchone()
            if row is None:
                missing.append(stream_id)
            else:
                found[stream_id] = row
        if missing and self._count_streams(device_id) + len(missing) > streams_max:
            return None
        for stream_id in missing:
            made = datastream_to_row(make_stream(device_id, stream_id, at=received_at))
            found[stream_id] = self._execute(self._sql["insert_stream"], made).lastrowid or 0, None
        return found

    def _insert_points(self, points: Sequence[Datapoint], places: dict[str, _Place], received_at: Instant) -> None:
        self._execute_many(
            self._sql["insert_point"],
            [(places[point.stream_id][0], point.at, received_at, point.value) for point in points],
        )
        for stream_id, point in newest_by_stream(points).items():
            stream, updated_at = places[stream_id]
            if is_latest(point, updated_at, received_at=received_at):
                self._execute(self._sql["set_current"], (point.at, point.value, stream))

    def _orphan(self, streams: Sequence[tuple[int]]) -> None:
        for (stream,) in streams:
            self._execute(self._sql["orphan_stream"], {"stream": stream})

    def _count_streams(self, device_id: DeviceId) -> int:
        (count,) = self._execute(self._sql["count_streams"], (device_id,)).fetchone()
        return int(count)

    def _is_device(self, device_id: DeviceId, product_id: ProductId) -> bool:
        (is_there,) = self._execute(self._sql["is_device"], (device_id, product_id)).fetchone()
        return bool(is_there)
