"""Reported data: stored whole, asked for in answers of bounded size."""

from collections.abc import Sequence

import pytest

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.data_ports import PointFilter, PointPage
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.errors import Invalid, NotFound, Overloaded, StoreUnavailable, Taken
from commandpost.domain.facts import Priority
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import DAY_MS, Instant
from commandpost.services import datapoints as module
from commandpost.services.datapoints import (
    DataOrigin,
    Datapoints,
    DatapointSettings,
    DatastreamChange,
    NewBinary,
    TooManyStreams,
    TooMuchData,
)
from tests.event_loop import on_event_loop
from tests.unit.services.house import House

AT = Instant(1_600_000_000_000)


async def furnished(*, streams_max: int = 1_000) -> tuple[House, Datapoints, Device]:
    house = House()
    device = await house.add_device(await house.add_product())
    service = Datapoints(
        writer=house.writer,
        reader=house.store,
        ids=house.ids,
        clock=house.clock,
        events=house.events,
        settings=DatapointSettings(streams_max=streams_max, binary_bytes_max=1_000),
    )
    return house, service, device


def points(stream_id: str, *values: object, at: int = AT) -> list[Datapoint]:
    """Points a second apart."""
    return [
        Datapoint(stream_id=stream_id, at=Instant(at + 1000 * number), value=str(value))
        for number, value in enumerate(values)
    ]


def shown(page: PointPage) -> dict[str, list[str]]:
    return {stream.stream_id: [point.value for point in stream.points] for stream in page.streams}


async def add(house: House, service: Datapoints, device: Device, found: Sequence[Datapoint]) -> None:
    await house.do(service.add(device.id, device.product_id, found))


async def all_pages(house: House, service: Datapoints, which: PointFilter, limit: int) -> list[PointPage]:
    """Follow the cursor to its end."""
    pages = []
    while True:
        page = await house.do(service.query(which, limit=limit))
        pages.append(page)
        if page.end is None:
            return pages
        which = PointFilter(
            device_id=which.device_id,
            stream_ids=which.stream_ids,
            is_ascending=which.is_ascending,
            beyond=page.end,
        )


@on_event_loop
async def test_a_time_far_ahead_of_the_clock_is_that_of_the_arrival() -> None:
    """The value counts, and the next one takes its place; up to 24 hours ahead a time is believed."""
    house, service, device = await furnished()
    now = house.clock.wall_ms()
    for at in (now + DAY_MS, now + DAY_MS + 1):
        await add(house, service, device, points("a" if at == now + DAY_MS else "b", 1, at=at))
    ahead = [stream.updated_at for stream in await house.do(service.list_streams(device.id))]
    await house.advance(5)
    await add(house, service, device, points("b", 2, at=house.clock.wall_ms()))

    assert ahead == [now + DAY_MS, now]
    (later,) = await house.do(service.list_streams(device.id, ["b"]))
    assert (later.current_value, later.updated_at) == ("2", house.clock.wall_ms())
    page = await house.do(service.query(PointFilter(device_id=device.id, stream_ids=("b",)), limit=10))
    assert shown(page) == {"b": ["1", "2"]}


@on_event_loop
async def test_points_of_one_wrong_clock_keep_the_order_of_their_report() -> None:
    house, service, device = await furnished()
    far = house.clock.wall_ms() + 30 * DAY_MS
    await add(house, service, device, points("a", 1, 2, 3, at=far))

    page = await house.do(service.query(PointFilter(device_id=device.id), limit=10))
    assert shown(page) == {"a": ["1", "2", "3"]}
    (stream,) = await house.do(service.list_streams(device.id))
    assert stream.current_value == "3"


@on_event_loop
async def test_a_binary_of_a_wrong_clock_has_the_time_of_its_arrival() -> None:
    house, service, device = await furnished()
    now = house.clock.wall_ms()
    new = NewBinary(stream_id="img", payload=b"x", at=Instant(now + 2 * DAY_MS))
    await house.do(service.add_binary(device.id, device.product_id, new))

    (stream,) = await house.do(service.list_streams(device.id))
    assert stream.updated_at == now


@on_event_loop
async def test_wrong_clocks_are_told_to_the_log_once_a_second() -> None:
    """Whose, and how many points it was since the last time: a fleet of them must not fill the disk."""
    house, service, device = await furnished()
    far = house.clock.wall_ms() + 30 * DAY_MS
    for _ in range(3):
        await add(house, service, device, points("a", 1, 2, at=far))
    await house.advance(1)
    await add(house, service, device, points("a", 3, at=far))

    told = [fields["count"] for event, fields in house.events.told if event == "points_dated_ahead"]
    assert told == [1, 6]


@on_event_loop
async def test_points_are_stored_when_it_returns() -> None:
    """All of one report in one fact, with the time at which it was received; none is no fact."""
    house, service, device = await furnished()

    await add(house, service, device, points("temp", 1, 2))
    await add(house, service, device, [])

    (fact,) = house.writer.of(AddDatapoints)
    assert (fact.received_at, len(fact.points)) == (house.clock.wall_ms(), 2)
    stream = await house.do(service.get_stream(device.id, "temp"))
    assert (stream.current_value, stream.updated_at) == ("2", AT + 1000)


@on_event_loop
async def test_points_that_cannot_be_stored() -> None:
    """Nothing of them is: the device is gone, too many streams, no disk."""
    house, service, device = await furnished(streams_max=2)
    await add(house, service, device, points("one", 1))

    with pytest.raises(TooManyStreams):
        await add(house, service, device, points("two", 1) + points("three", 1))
    with pytest.raises(NotFound):
        await house.do(service.add(DeviceId(999), device.product_id, points("one", 1)))
    with pytest.raises(NotFound):
        await house.do(service.add(device.id, ProductId(999), points("one", 1)))
    house.writer.failing.add(AddDatapoints)
    with pytest.raises(StoreUnavailable):
        await add(house, service, device, points("one", 1))

    assert [stream.id for stream in await house.do(service.list_streams(device.id))] == ["one"]


@on_event_loop
async def test_data_of_applications_is_refused_early_and_never_that_of_devices() -> None:
    """P11: it stands in line with their commands, not before what devices wait for."""
    house, service, device = await furnished()
    mine = device.id, device.product_id
    new = NewBinary(stream_id="photo", payload=b"jpeg", at=AT)
    house.writer.overloaded = {Priority.ACCEPT}

    for refused in (
        service.add(*mine, points("temp", 1), origin=DataOrigin.APPLICATION),
        service.add_binary(*mine, new, origin=DataOrigin.APPLICATION),
    ):
        with pytest.raises(Overloaded):
            await house.do(refused)
    await house.do(service.add(*mine, points("temp", 2)))
    await house.do(service.add_binary(*mine, new))
    house.writer.overloaded = {Priority.GATE}
    await house.do(service.add(*mine, points("temp", 3, at=AT + 5), origin=DataOrigin.APPLICATION))
    await house.do(service.add_binary(*mine, new, origin=DataOrigin.APPLICATION))

    assert (await house.do(service.get_stream(device.id, "temp"))).current_value == "3"
    assert len(await house.do(service.list_binaries(device.id))) == 2


@on_event_loop
async def test_streams_are_made_changed_and_removed() -> None:
    """What is not named stays."""
    house, service, device = await furnished()
    change = DatastreamChange(unit="Celsius", unit_symbol="C", tags=("air",))

    made = await house.do(service.create_stream(device.id, device.product_id, "temp", change))
    await house.do(service.change_stream(device.id, "temp", DatastreamChange(unit="Kelvin")))

    stream = await house.do(service.get_stream(device.id, "temp"))
    assert (stream.uuid, stream.unit, stream.unit_symbol, stream.tags) == (made.uuid, "Kelvin", "C", ("air",))
    await house.do(service.remove_stream(device.id, "temp"))
    assert await house.do(service.list_streams(device.id)) == ()


@on_event_loop
async def test_streams_that_cannot_be() -> None:
    """Each with the error a caller can act on."""
    house, service, device = await furnished(streams_max=1)
    nothing = DatastreamChange()
    await house.do(service.create_stream(device.id, device.product_id, "temp", nothing))

    for work, error in (
        (service.create_stream(device.id, device.product_id, "temp", nothing), Taken),
        (service.create_stream(device.id, device.product_id, "hum", nothing), TooManyStreams),
        (service.create_stream(device.id, device.product_id, "a/b", nothing), Invalid),
        (service.create_stream(DeviceId(999), device.product_id, "temp", nothing), NotFound),
        (service.change_stream(device.id, "temp", DatastreamChange(unit="x" * 65)), Invalid),
        (service.change_stream(device.id, "hum", nothing), NotFound),
        (service.remove_stream(device.id, "hum"), NotFound),
        (service.get_stream(device.id, "hum"), NotFound),
        (service.get_stream(device.id, "\ud800"), NotFound),
        (service.get_stream(DeviceId(999), "temp"), NotFound),
    ):
        with pytest.raises(error):
            await house.do(work)


@on_event_loop
async def test_a_binary_is_found_by_its_index() -> None:
    """`<device>_<ms>_<stream>`, unique within one millisecond; a point of the stream names it."""
    house, service, device = await furnished()
    new = NewBinary(stream_id="a_b", payload=b"\x00\xff", at=AT, description="door")

    first = await house.do(service.add_binary(device.id, device.product_id, new))
    second = await house.do(service.add_binary(device.id, device.product_id, new))

    now = house.clock.wall_ms()
    assert [first, second] == [f"{device.id}_{now}_a_b", f"{device.id}_{now + 1}_a_b"]
    found = await house.do(service.find_binary(first))
    assert found is not None
    binary, payload = found
    assert (binary.device_id, binary.at, binary.description, payload) == (device.id, AT, "door", b"\x00\xff")
    assert len(await house.do(service.list_binaries(device.id))) == 2
    stream = await house.do(service.get_stream(device.id, "a_b"))
    assert stream.current_value == f'{{"index":"{second}"}}'


@pytest.mark.parametrize(
    ("stream_id", "payload"), [("", b"x"), ("a/b", b"x"), ("x" * 65, b"x"), ("ok", b""), ("ok", b"x" * 1_001)]
)
@on_event_loop
async def test_binaries_that_cannot_be(stream_id: str, payload: bytes) -> None:
    """A bad stream, nothing, or too much."""
    house, service, device = await furnished()

    with pytest.raises(Invalid):
        new = NewBinary(stream_id=stream_id, payload=payload, at=AT)
        await house.do(service.add_binary(device.id, device.product_id, new))
    assert await house.do(service.list_streams(device.id)) == ()


@pytest.mark.parametrize("is_ascending", [True, False])
@on_event_loop
async def test_pages_leave_nothing_out_and_repeat_nothing(is_ascending: bool) -> None:
    """Streams of different density, at most `limit` of each on a page."""
    house, service, device = await furnished()
    await add(house, service, device, points("often", *range(30)))
    await add(house, service, device, points("seldom", 100, 101, at=AT + 10_500))
    which = PointFilter(device_id=device.id, is_ascending=is_ascending)

    pages = await all_pages(house, service, which, 7)

    assert all(len(stream.points) <= 7 for page in pages for stream in page.streams)
    got = {"often": [], "seldom": []}  # type: dict[str, list[str]]
    for page in pages:
        for stream_id, values in shown(page).items():
            got[stream_id] += values
    step = 1 if is_ascending else -1
    expected = {"often": [str(number) for number in range(30)][::step], "seldom": ["100", "101"][::step]}
    assert got == expected


@on_event_loop
async def test_one_answer_is_put_together_from_small_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is never asked for more than a chunk, and the caller gets its limit all the same."""
    house, service, device = await furnished()
    monkeypatch.setattr(module, "_CHUNK_POINTS", 4)
    await add(house, service, device, points("temp", *range(30)))
    asked: list[int] = []
    list_points = house.store.list_points

    async def count(which: PointFilter, *, limit: int) -> PointPage:
        asked.append(limit)
        return await list_points(which, limit=limit)

    monkeypatch.setattr(house.store, "list_points", count)
    page = await house.do(service.query(PointFilter(device_id=device.id), limit=10))

    assert shown(page) == {"temp": [str(number) for number in range(10)]}
    assert asked == [4, 4, 2]
    assert page.end is not None


@on_event_loop
async def test_an_answer_ends_when_it_is_full() -> None:
    """Large values: fewer than the limit, and a place to go on from."""
    house, service, device = await furnished()
    large = '"' + "x" * 60_000 + '"'
    await add(house, service, device, points("image", *[large] * 1_100))
    which = PointFilter(device_id=device.id)

    first = await house.do(service.query(which, limit=6_000))

    assert 0 < len(first.streams[0].points) < 1_100
    assert first.end is not None


@on_event_loop
async def test_a_device_without_streams_has_no_points() -> None:
    """Nothing is asked of the store for streams that are not there."""
    house, service, device = await furnished()

    for stream_ids in (None, (), ("unknown",)):
        which = PointFilter(device_id=device.id, stream_ids=stream_ids)
        assert await house.do(service.query(which, limit=1)) == PointPage(streams=(), end=None)


@on_event_loop
async def test_current_values_of_many_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices; more than an answer may hold is refused, not cut."""
    house, service, device = await furnished()
    await add(house, service, device, points("temp", 1, 2))
    ids = [DeviceId(number) for number in range(1, 40)]

    values = await house.do(service.current_values(ids))

    assert {device_id: [s.current_value for s in streams] for device_id, streams in values.items()} == {
        device.id: ["2"]
    }
    monkeypatch.setattr(module, "_VALUES_CHARACTERS_MAX", 10)
    with pytest.raises(TooMuchData):
        await house.do(service.current_values(ids))
