"""What every store does with streams, points and binaries."""

from dataclasses import replace
from itertools import pairwise

import pytest

from commandpost.domain.data_facts import (
    ChangeDatastream,
    CreateDatastream,
    DeleteDatastream,
    NotStored,
)
from commandpost.domain.data_ports import Binary, PointPage, PointPosition
from commandpost.domain.datapoint import Datastream
from commandpost.domain.device import Device
from commandpost.domain.errors import Invalid, StoreUnavailable
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import DAY_MS
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.data_builders import point
from tests.conformance.data_questions import current, page_of, streams, values
from tests.conformance.store_harness import StoreHarness


@pytest.fixture
def device(store: StoreHarness) -> Device:
    """A device without data."""
    return store.make_connecting_device()


class TestPoints:
    def test_points_read_back_in_the_order_of_their_time(self, store: StoreHarness, device: Device) -> None:
        points = point("t", 3, '"三"'), point("t", 1, "22.50"), point("u", 2, '{"a":[1,null]}'), point("t", 2, "true")

        assert store.apply(data.add(device, *points)) is None

        page = page_of(store, device)
        assert values(page) == {"t": ["22.50", "true", '"三"'], "u": ['{"a":[1,null]}']}
        assert page.end is None
        assert [stored.position for stored in page.streams[0].points] == [
            PointPosition(at=build.at(at), number=number) for at, number in ((1, 2), (2, 4), (3, 1))
        ]

    def test_points_of_one_time_come_as_they_were_stored(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1, "1"), point("t", 1, "2")))
        store.apply(data.add(device, point("t", 1, "3")))

        assert values(page_of(store, device)) == {"t": ["1", "2", "3"]}
        assert values(page_of(store, device, is_ascending=False)) == {"t": ["3", "2", "1"]}

    def test_a_missing_stream_is_made_with_the_time_of_arrival(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1), received=7))
        store.apply(data.add(device, point("t", 2), received=8))

        stream = streams(store, device)["t"]
        assert (stream.created_at, stream.unit, stream.tags) == (build.at(7), "", ())
        assert len(stream.uuid) == 36

    def test_streams_that_are_made_differ_by_uuid(self, store: StoreHarness, device: Device) -> None:
        other = store.make_connecting_device(device.product_id, "sn-2")
        store.apply(data.add(device, point("t", 1), point("u", 1)))
        store.apply(data.add(other, point("t", 1)))
        store.apply(DeleteDatastream(device_id=device.id, stream_id="t"))
        before = [stream.uuid for each in (device, other) for stream in streams(store, each).values()]

        store.apply(data.add(device, point("t", 1), received=9))

        assert len({*before, streams(store, device)["t"].uuid}) == 3

    @pytest.mark.parametrize(
        ("points", "expected"),
        [
            ([(5, "a")], ("a", 5)),
            ([(5, "a"), (4, "b")], ("a", 5)),
            ([(5, "a"), (5, "b")], ("b", 5)),
            ([(4, "a"), (6, "b"), (5, "c")], ("b", 6)),
        ],
    )
    @pytest.mark.parametrize("is_one_report", [True, False])
    def test_the_current_value_is_the_newest_by_time_then_by_arrival(
        self,
        store: StoreHarness,
        device: Device,
        points: list[tuple[int, str]],
        expected: tuple[str, int],
        is_one_report: bool,
    ) -> None:
        made = [point("t", at, value) for at, value in points]
        for report in [made] if is_one_report else [[each] for each in made]:
            store.apply(data.add(device, *report))

        assert current(store, device) == expected

    def test_a_report_is_stored_whole_or_not_at_all(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("a", 1), streams_max=2))

        refused = store.apply(data.add(device, point("a", 2), point("b", 2), point("c", 2), streams_max=2))
        taken = store.apply(data.add(device, point("a", 3), point("b", 3), streams_max=2))
        still = store.apply(data.add(device, point("a", 4), streams_max=1))

        assert (refused, taken, still) == (NotStored.TOO_MANY_STREAMS, None, None)
        assert values(page_of(store, device)) == {"a": ["1", "3", "4"], "b": ["3"]}

    def test_a_device_that_is_gone_stores_nothing(self, store: StoreHarness, device: Device) -> None:
        other = store.make_product("other")

        results = [
            store.apply(data.add(replace(device, id=DeviceId(99)), point("t", 1))),
            store.apply(data.add(device, point("t", 1), product_id=other)),
        ]

        assert results == [NotStored.DEVICE_GONE] * 2
        assert streams(store, device) == {}

    def test_no_points_are_stored_at_once(self, store: StoreHarness, device: Device) -> None:
        assert store.apply(data.add(device)) is None
        assert streams(store, device) == {}


class TestPages:
    def walk(self, store: StoreHarness, device: Device, *, limit: int, is_ascending: bool = True) -> list[PointPage]:
        """Every page."""
        pages = [page_of(store, device, limit=limit, is_ascending=is_ascending)]
        while pages[-1].end is not None:
            pages.append(page_of(store, device, limit=limit, is_ascending=is_ascending, beyond=pages[-1].end))
            assert len(pages) < 100
        return pages

    @pytest.mark.parametrize("is_ascending", [True, False])
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages_leave_nothing_out_and_repeat_nothing(
        self, store: StoreHarness, device: Device, limit: int, is_ascending: bool
    ) -> None:
        """Streams of different density, with many points of one time."""
        dense = [point("dense", at // 3, f'"d{at}"') for at in range(30)]
        sparse = [point("sparse", at, f'"s{at}"') for at in (9, 0, 4, 4)]
        alone = [point("alone", 5, '"x"')]
        store.apply(data.add(device, *dense, *sparse, *alone))

        pages = self.walk(store, device, limit=limit, is_ascending=is_ascending)

        everything = page_of(store, device, is_ascending=is_ascending)
        joined: dict[str, list[str]] = {}
        for page in pages:
            for stream_id, found in values(page).items():
                assert 0 < len(found) <= limit
                joined.setdefault(stream_id, []).extend(found)
        assert joined == values(everything)
        assert sum(map(len, joined.values())) == 35
        positions = [[each.position for stream in page.streams for each in stream.points] for page in pages]
        for earlier, later in pairwise(positions):
            assert max(earlier) < min(later) if is_ascending else min(earlier) > max(later)

    def test_all_streams_are_cut_where_the_first_has_to_be(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, *[point("a", at) for at in (1, 5, 9)], *[point("b", at) for at in (2, 3, 4, 6)]))

        first = page_of(store, device, limit=2)

        assert values(first) == {"a": ["1"], "b": ["2", "3"]}
        assert first.end == PointPosition(at=build.at(3), number=5)
        assert values(page_of(store, device, limit=2, beyond=first.end)) == {"a": ["5", "9"], "b": ["4", "6"]}

    def test_a_page_that_holds_the_last_points_has_no_end(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1), point("t", 2)))

        assert page_of(store, device, limit=2).end is None
        assert page_of(store, device, limit=1).end is not None

    def test_both_ends_of_the_span_belong_to_it(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, *[point("t", at) for at in (1, 2, 2, 3, 4)]))

        assert values(page_of(store, device, start=2, end=3)) == {"t": ["2", "2", "3"]}
        assert values(page_of(store, device, start=2, end=3, is_ascending=False)) == {"t": ["3", "2", "2"]}
        assert values(page_of(store, device, start=3)) == {"t": ["3", "4"]}
        assert values(page_of(store, device, end=1)) == {"t": ["1"]}
        assert values(page_of(store, device, start=5)) == {}

    @pytest.mark.parametrize(("is_ascending", "expected"), [(True, ["3"]), (False, ["2"])])
    def test_the_span_holds_beyond_a_place_too(
        self, store: StoreHarness, device: Device, is_ascending: bool, expected: list[str]
    ) -> None:
        store.apply(data.add(device, *[point("t", at) for at in (1, 2, 3, 4)]))
        place = PointPosition(at=build.at(2 if is_ascending else 3), number=2 if is_ascending else 3)
        outside = PointPosition(at=build.at(0 if is_ascending else 9), number=1)

        page = page_of(store, device, start=2, end=3, is_ascending=is_ascending, beyond=place)
        from_outside = page_of(store, device, start=2, end=3, is_ascending=is_ascending, beyond=outside)

        assert values(page) == {"t": expected}
        assert len(values(from_outside)["t"]) == 2

    def test_only_the_streams_and_the_device_that_are_asked_for(self, store: StoreHarness, device: Device) -> None:
        other = store.make_connecting_device(device.product_id, "sn-2")
        store.apply(data.add(device, point("a", 1), point("b", 2), point("c", 3)))
        store.apply(data.add(other, point("a", 9)))

        assert values(page_of(store, device, "c", "a", "missing")) == {"a": ["1"], "c": ["3"]}
        assert page_of(store, replace(device, id=DeviceId(99))) == PointPage(streams=(), end=None)

    def test_streams_come_by_id(self, store: StoreHarness, device: Device) -> None:
        ids = ["温度", "b", "a", "B", "é"]
        store.apply(data.add(device, *[point(stream_id, 1) for stream_id in ids]))

        assert [each.stream_id for each in page_of(store, device).streams] == ["B", "a", "b", "é", "温度"]


class TestStreams:
    def stream(self, device: Device, stream_id: str = "t") -> Datastream:
        """A stream as its owner makes it."""
        return Datastream(
            device_id=device.id,
            id=stream_id,
            uuid="f6869ecb-3dc1-5374-9be0-4fb961f8af3c",
            created_at=build.at(1),
            unit="摄氏度",
            unit_symbol="℃",
            tags=("a", "b"),
        )

    def create(self, device: Device, stream_id: str = "t", *, streams_max: int = 2) -> CreateDatastream:
        """The same, as a fact."""
        stream = self.stream(device, stream_id)
        return CreateDatastream(product_id=device.product_id, stream=stream, streams_max=streams_max)

    def test_a_stream_reads_back_as_it_was_given(self, store: StoreHarness, device: Device) -> None:
        assert store.apply(self.create(device)) is None

        assert streams(store, device) == {"t": self.stream(device)}

    def test_a_stream_is_made_once_within_the_limit_for_a_device_that_is_there(
        self, store: StoreHarness, device: Device
    ) -> None:
        store.apply(data.add(device, point("t", 1)))
        facts = [
            self.create(device),
            self.create(device, "u", streams_max=1),
            replace(self.create(device, "u"), product_id=store.make_product("other")),
            self.create(device, "u"),
        ]

        results = [store.apply(fact) for fact in facts]

        refusals = [NotStored.STREAM_EXISTS, NotStored.TOO_MANY_STREAMS, NotStored.DEVICE_GONE]
        assert results == [*refusals, None]

    def test_points_come_to_a_stream_that_was_made(self, store: StoreHarness, device: Device) -> None:
        store.apply(self.create(device))

        store.apply(data.add(device, point("t", 5)))

        expected = replace(self.stream(device), current_value="5", updated_at=build.at(5))
        assert streams(store, device) == {"t": expected}

    def test_only_what_is_given_changes(self, store: StoreHarness, device: Device) -> None:
        store.apply(self.create(device))
        store.apply(data.add(device, point("t", 5)))
        before = streams(store, device)["t"]

        results = [
            store.apply(ChangeDatastream(device_id=device.id, stream_id="t", unit="")),
            store.apply(ChangeDatastream(device_id=device.id, stream_id="t", unit_symbol="K", tags=())),
            store.apply(ChangeDatastream(device_id=device.id, stream_id="missing", unit="x")),
        ]

        assert results == [True, True, False]
        assert streams(store, device) == {"t": replace(before, unit="", unit_symbol="K", tags=())}

    def test_a_change_beyond_the_bounds_is_refused(self, store: StoreHarness, device: Device) -> None:
        store.apply(self.create(device))

        with pytest.raises(Invalid):
            store.apply(ChangeDatastream(device_id=device.id, stream_id="t", unit="x" * 65))
        assert streams(store, device) == {"t": self.stream(device)}

    def test_some_streams_are_found_by_name(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("c", 1), point("a", 1), point("b", 1)))

        found = store.ask(store.reader.list_datastreams(device.id, ["c", "missing", "a"]))

        assert [stream.id for stream in found] == ["a", "c"]
        assert store.ask(store.reader.list_datastreams(device.id, [])) == ()

    def test_a_value_of_years_ahead_does_not_stay_the_current_one(self, store: StoreHarness, device: Device) -> None:
        """Such a point may be of before there was a bound; one of a day ahead is let be."""
        year_ms = 365 * DAY_MS
        store.apply(data.add(device, point("wrong", at=year_ms), point("right", at=DAY_MS)))

        store.apply(data.add(device, point("wrong", at=5), point("right", at=5)))

        assert (current(store, device, "wrong"), current(store, device, "right")) == (("5", 5), (str(DAY_MS), DAY_MS))

    def test_the_current_values_of_many_devices(self, store: StoreHarness, device: Device) -> None:
        others = [store.make_connecting_device(device.product_id, f"sn-{number}") for number in (2, 3)]
        store.apply(data.add(device, point("b", 1), point("a", 2)))
        store.apply(data.add(others[1], point("a", 3)))
        ids = [others[1].id, device.id, others[0].id, DeviceId(99)]

        found = store.ask(store.reader.current_values(ids))

        assert {device_id: [(each.id, each.current_value) for each in own] for device_id, own in found.items()} == {
            device.id: [("a", "2"), ("b", "1")],
            others[1].id: [("a", "3")],
        }

    def test_a_deleted_stream_is_gone_at_once_and_another_of_its_name_begins_empty(
        self, store: StoreHarness, device: Device
    ) -> None:
        store.apply(data.add(device, point("t", 1), point("u", 1)))
        fact = DeleteDatastream(device_id=device.id, stream_id="t")

        results = [store.apply(fact), store.apply(fact)]
        gone = values(page_of(store, device))
        store.apply(data.add(device, point("t", 2)))

        assert results == [True, False]
        assert gone == {"u": ["1"]}
        assert values(page_of(store, device)) == {"t": ["2"], "u": ["1"]}


class TestBinaries:
    def test_a_binary_reads_back_and_a_point_says_where_it_is(self, store: StoreHarness, device: Device) -> None:
        fact = data.binary(device, 3, at=5)

        assert store.apply(fact) is None

        described = Binary(index=fact.index, device_id=device.id, at=build.at(5), size_bytes=15, description="photo 3")
        assert store.ask(store.reader.find_binary(fact.index)) == (described, fact.payload)
        assert values(page_of(store, device)) == {"photo": [f'{{"index":"{fact.index}"}}']}
        assert current(store, device, "photo") == (f'{{"index":"{fact.index}"}}', 5)

    def test_the_newest_come_first(self, store: StoreHarness, device: Device) -> None:
        other = store.make_connecting_device(device.product_id, "sn-2")
        store.apply(data.binary(other, 9, at=9))
        for number, at in ((1, 5), (2, 7), (3, 5), (4, 1)):
            store.apply(data.binary(device, number, at=at))

        listed = store.ask(store.reader.list_binaries(device.id, limit=3))

        assert [binary.description for binary in listed] == ["photo 2", "photo 3", "photo 1"]

    def test_a_taken_index_is_an_error_and_leaves_nothing(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.binary(device, 1))

        with pytest.raises(StoreUnavailable):
            store.apply(replace(data.binary(device, 1), stream_id="elsewhere"))

        assert list(streams(store, device)) == ["photo"]
        assert len(page_of(store, device).streams[0].points) == 1

    def test_what_has_no_place_is_not_stored(self, store: StoreHarness, device: Device) -> None:
        results = [
            store.apply(replace(data.binary(device, 1), streams_max=0)),
            store.apply(replace(data.binary(device, 1), device_id=DeviceId(99))),
        ]

        assert results == [NotStored.TOO_MANY_STREAMS, NotStored.DEVICE_GONE]
        assert store.ask(store.reader.find_binary(data.binary(device, 1).index)) is None

    def test_binaries_go_with_their_stream(self, store: StoreHarness, device: Device) -> None:
        fact = data.binary(device, 1)
        store.apply(fact)

        store.apply(DeleteDatastream(device_id=device.id, stream_id="photo"))

        assert store.ask(store.reader.find_binary(fact.index)) is None
        assert store.ask(store.reader.list_binaries(device.id, limit=9)) == ()
