"""Where a page of points ends when its values are large, and what a made stream is called."""

from collections.abc import Iterator

import pytest

from commandpost.domain.data_ports import PointFilter, PointPage, PointPosition, StoredPoint
from commandpost.domain.ids import DeviceId
from commandpost.stores.data_rules import PointSpan, make_stream, read_page
from tests.conformance import store_builders as build

# Stream a at odd, stream b at even instants; every value has ten bytes.
POINTS = [
    StoredPoint(position=PointPosition(at=build.at(number), number=number), value=f'"{number:08}"')
    for number in range(1, 13)
]


def page(*, bytes_max: int, is_ascending: bool = True, beyond: PointPosition | None = None) -> PointPage:
    """A page of both streams."""

    def read(parity: int, span: PointSpan) -> Iterator[StoredPoint]:
        own = [each for each in POINTS if each.position.number % 2 == parity and span.low < each.position < span.high]
        return iter(own if is_ascending else own[::-1])

    which = PointFilter(device_id=DeviceId(1), is_ascending=is_ascending, beyond=beyond)
    return read_page(which, [("a", 1), ("b", 0)], read, limit=100, bytes_max=bytes_max)


def numbers(found: PointPage) -> list[list[int]]:
    """Which points stand in a page."""
    return [[point.position.number for point in stream.points] for stream in found.streams]


@pytest.mark.parametrize(
    ("bytes_max", "expected"),
    [
        (1_000, [[1, 3, 5, 7, 9, 11], [2, 4, 6, 8, 10, 12]]),
        (60, [[1, 3, 5], [2, 4]]),
        (59, [[1, 3], [2]]),
        (0, [[1]]),
    ],
)
def test_each_stream_has_its_share_of_a_pages_bytes(bytes_max: int, expected: list[list[int]]) -> None:
    assert numbers(page(bytes_max=bytes_max)) == expected


@pytest.mark.parametrize("is_ascending", [True, False])
@pytest.mark.parametrize("bytes_max", [0, 20, 45, 60])
def test_pages_of_few_bytes_come_to_their_end_and_repeat_nothing(*, bytes_max: int, is_ascending: bool) -> None:
    pages = [page(bytes_max=bytes_max, is_ascending=is_ascending)]
    while (end := pages[-1].end) is not None:
        pages.append(page(bytes_max=bytes_max, is_ascending=is_ascending, beyond=end))
        assert len(pages) <= len(POINTS)

    found = sorted(number for each in pages for stream in numbers(each) for number in stream)

    assert found == list(range(1, 13))


def test_a_made_stream_has_a_uuid_of_its_device_its_id_and_its_time() -> None:
    places = [(1, "t", 1), (1, "t", 2), (2, "t", 1), (1, "u", 1), (11, "t", 1), (1, "1t", 1)]

    uuids = [make_stream(DeviceId(device), name, at=build.at(when)).uuid for device, name, when in places]

    assert len(set(uuids)) == len(places)
    assert make_stream(DeviceId(1), "t", at=build.at(1)).uuid == uuids[0]
