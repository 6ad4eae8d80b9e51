"""Row <-> record for streams, points and binaries."""

from commandpost.domain.data_ports import Binary, PointPosition, StoredPoint
from commandpost.domain.datapoint import Datastream
from commandpost.stores.record_texts import TEXTS
from commandpost.stores.rows import Row


def datastream_to_row(stream: Datastream) -> dict[str, object]:
    """Give the columns of a stream, by name."""
    return {
        "device_id": stream.device_id,
        "stream_id": stream.id,
        "uuid": stream.uuid,
        "created_at": stream.created_at,
        "unit": stream.unit,
        "unit_symbol": stream.unit_symbol,
        "tags": TEXTS.encode(stream.tags),
        "updated_at": stream.updated_at,
        "current_value": stream.current_value,
    }


def datastream_from_row(row: Row) -> Datastream:
    """Read a stream: the columns of `datastream_to_row`."""
    return Datastream(
        device_id=row[0],
        id=row[1],
        uuid=row[2],
        created_at=row[3],
        unit=row[4],
        unit_symbol=row[5],
        tags=TEXTS.decode(row[6]),
        updated_at=row[7],
        current_value=row[8],
    )


def point_from_row(row: Row) -> StoredPoint:
    """Read a point: number, time and value."""
    return StoredPoint(position=PointPosition(at=row[1], number=row[0]), value=row[2])


def binary_from_row(row: Row) -> Binary:
    """Read a binary without its bytes; what follows is not looked at."""
    return Binary(index=row[0], device_id=row[1], at=row[2], size_bytes=row[3], description=row[4])
