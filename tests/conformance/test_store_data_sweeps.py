"""What every store does with data that has grown old, or whose stream or device was deleted."""

import pytest

from commandpost.domain.data_facts import (
    DeleteDatastream,
    PruneData,
    PruneOrphans,
)
from commandpost.domain.device import Device
from commandpost.domain.fact import Swept
from commandpost.domain.facts import CreateDevice, DeleteDevice
from commandpost.stores.batch_store import SLICE_ROWS_MAX
from commandpost.stores.data_rules import BINARIES_SLICE_MAX
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.data_builders import point
from tests.conformance.data_questions import current, page_of, streams, values
from tests.conformance.store_harness import StoreHarness


@pytest.fixture
def device(store: StoreHarness) -> Device:
    """A device without data."""
    return store.make_connecting_device()


def swept(count: int, *, has_more: bool = False) -> Swept:
    """What a slice gives."""
    return Swept(count=count, has_more=has_more)


class TestRetention:
    def test_points_go_by_order_of_arrival_in_slices(self, store: StoreHarness, device: Device) -> None:
        """Whatever their own time: what a device reports late is as new as its report."""
        for received, at in ((1, 50), (2, 10), (3, 30), (4, 5)):
            store.apply(data.add(device, point("t", at), received=received))
        fact = PruneData(received_before=build.at(4), limit=2)

        counts = [store.apply(fact)]
        left = [values(page_of(store, device))]
        counts += [store.apply(fact), store.apply(fact)]

        assert counts == [swept(2, has_more=True), swept(1), swept(0)]
        assert left == [{"t": ["5", "30"]}]
        assert values(page_of(store, device)) == {"t": ["5"]}

    def test_the_current_value_outlives_its_point(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1)))

        store.apply(PruneData(received_before=build.at(9), limit=9))

        assert values(page_of(store, device)) == {}
        assert current(store, device) == ("1", 1)

    def test_binaries_go_as_many_at_a_time(self, store: StoreHarness, device: Device) -> None:
        for number in (1, 2, 3):
            store.apply(data.binary(device, number, at=number, received=number))

        found = store.apply(PruneData(received_before=build.at(3), limit=1))

        listed = store.ask(store.reader.list_binaries(device.id, limit=9))
        assert found == swept(2, has_more=True)
        assert [binary.description for binary in listed] == ["photo 3", "photo 2"]

    def test_a_slice_of_binaries_is_full_however_few_points_there_are(
        self, store: StoreHarness, device: Device
    ) -> None:
        """Fewer binaries make a slice than points; and their points are gone before them."""
        facts = [data.binary(device, number) for number in range(BINARIES_SLICE_MAX + 1)]
        store.apply_batch(facts)
        fact = PruneData(received_before=build.at(9), limit=SLICE_ROWS_MAX)

        slices = [store.apply(fact) for _ in range(3)]

        first = BINARIES_SLICE_MAX + 1 + BINARIES_SLICE_MAX
        assert slices == [swept(first, has_more=True), swept(1), swept(0)]

    def test_a_clock_that_stepped_back_costs_nothing_younger(self, store: StoreHarness, device: Device) -> None:
        for received in (9, 1):
            store.apply(data.add(device, point("t", received), received=received))

        assert store.apply(PruneData(received_before=build.at(5), limit=9)) == swept(1)
        assert values(page_of(store, device)) == {"t": ["9"]}


class TestOrphans:
    def test_points_of_a_deleted_stream_go_in_slices(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, *[point("t", at) for at in range(5)], point("u", 1)))
        before = store.apply(PruneOrphans(limit=2))
        store.apply(DeleteDatastream(device_id=device.id, stream_id="t"))

        counts = [store.apply(PruneOrphans(limit=2)) for _ in range(4)]

        assert before == swept(0)
        assert counts == [swept(2, has_more=True), swept(2, has_more=True), swept(1), swept(0)]
        assert values(page_of(store, device)) == {"u": ["1"]}

    def test_a_deleted_device_leaves_orphans_of_every_stream_and_its_binaries(
        self, store: StoreHarness, device: Device
    ) -> None:
        other = store.make_connecting_device(device.product_id, "sn-2")
        fact = data.binary(device, 1)
        store.apply(data.add(device, point("t", 1), point("t", 2), point("u", 1)))
        store.apply(data.add(other, point("t", 7)))
        store.apply(fact)

        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))
        found = store.ask(store.reader.find_binary(fact.index)), streams(store, device), values(page_of(store, device))
        counts = [store.apply(PruneOrphans(limit=3)) for _ in range(3)]

        assert found == (None, {}, {})
        assert counts == [swept(3, has_more=True), swept(2), swept(0)]
        assert values(page_of(store, other)) == {"t": ["7"]}

    def test_a_slice_that_has_no_room_for_another_binary_is_full(self, store: StoreHarness, device: Device) -> None:
        """It counts fewer than its limit then."""
        store.apply_batch([data.binary(device, number) for number in range(BINARIES_SLICE_MAX + 1)])
        store.apply(PruneData(received_before=build.at(9), limit=BINARIES_SLICE_MAX))
        store.apply_batch([data.binary(device, number) for number in range(100, 100 + BINARIES_SLICE_MAX)])
        store.apply(DeleteDatastream(device_id=device.id, stream_id="photo"))

        slices = [store.apply(PruneOrphans(limit=SLICE_ROWS_MAX)) for _ in range(3)]

        assert [each.has_more for each in slices] == [True, False, False]

    def test_a_device_that_is_given_the_same_id_begins_empty(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1)))
        store.apply(data.binary(device, 1))
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        store.apply(CreateDevice(device=device))
        store.apply(data.add(device, point("t", 2), point("photo", 2)))

        assert values(page_of(store, device)) == {"photo": ["2"], "t": ["2"]}
        assert store.ask(store.reader.list_binaries(device.id, limit=9)) == ()

    def test_a_stream_without_points_leaves_no_orphan(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.add(device, point("t", 1)))
        store.apply(PruneData(received_before=build.at(9), limit=9))
        store.apply(DeleteDatastream(device_id=device.id, stream_id="t"))

        assert store.apply(PruneOrphans(limit=9)) == swept(0)
