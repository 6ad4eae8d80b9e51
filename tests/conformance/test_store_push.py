"""What every store does with subscriptions, the outbox and its queues."""

import pytest

from commandpost.domain.data_facts import AddBinary, AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.events import EventKind
from commandpost.domain.facts import DeleteDevice
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.push import (
    Batch,
    Subscription,
)
from commandpost.domain.push_facts import (
    AddSubscription,
    DropEvents,
    NotSubscribed,
    PrunePushes,
    RemoveSubscription,
)
from commandpost.domain.session_facts import EndSession
from tests.conformance import store_builders as build
from tests.conformance.push_shortcuts import add, end_command, fail, failed_ids, report, settle, waiting
from tests.conformance.store_harness import StoreHarness


class TestSubscriptions:
    def test_a_subscription_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        """With every field set, and with none but those it must have."""
        product_id = store.make_product()
        full = add(
            store,
            product_id,
            sealed_aes_key=b"sealed key",
            kinds=(EventKind.DATA, EventKind.COMMAND_ENDED),
            batch=Batch(count=20, interval_ms=500),
        )
        plain = add(store, product_id)

        assert store.ask(store.store.list_subscriptions(product_id)) == (full, plain)
        assert store.ask(store.store.find_subscription(full.id)) == full
        assert full.id < plain.id

    def test_only_so_many_are_taken_in(self, store: StoreHarness) -> None:
        """The limit is the product's own."""
        first, second = store.make_product("one"), store.make_product("two")
        fact = AddSubscription(subscription=build.subscription(first), subscriptions_max=1)
        store.apply(fact)

        assert store.apply(fact) is NotSubscribed.TOO_MANY
        other = AddSubscription(subscription=build.subscription(second), subscriptions_max=1)
        assert isinstance(store.apply(other), Subscription)

    def test_a_product_that_is_not_there_has_none(self, store: StoreHarness) -> None:
        """Nothing is written then."""
        fact = AddSubscription(subscription=build.subscription(ProductId(99)), subscriptions_max=16)

        assert store.apply(fact) is NotSubscribed.PRODUCT_GONE
        assert store.ask(store.store.list_subscriptions(None)) == ()

    def test_another_product_cannot_remove_it(self, store: StoreHarness) -> None:
        """P12: it looks as if it did not exist."""
        mine, other = store.make_product("one"), store.make_product("two")
        subscription = add(store, mine)

        assert store.apply(RemoveSubscription(product_id=other, subscription_id=subscription.id)) is False
        assert store.ask(store.store.find_subscription(subscription.id)) == subscription

    def test_what_waited_for_a_removed_one_is_swept(self, store: StoreHarness) -> None:
        """Its events are no longer asked for, and go from the disk; a new one has another id."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2", "3")
        fail(store, subscription, 1, failures_max=1)

        assert store.apply(RemoveSubscription(product_id=device.product_id, subscription_id=subscription.id))
        while store.apply(PrunePushes(given_up_before=build.at(0), limit=2)).has_more:
            pass

        assert store.ask(store.store.find_subscription(subscription.id)) is None
        assert store.outbox() == ()
        assert failed_ids(store, subscription) == []
        assert add(store, device.product_id).id > subscription.id


class TestTelling:
    def test_each_subscription_gets_the_kinds_it_asked_for(self, store: StoreHarness) -> None:
        """One row per event and subscription, of the same product only."""
        device = store.make_online_device()
        other = store.make_product("other")
        data = add(store, device.product_id, kinds=(EventKind.DATA,))
        rest = add(store, device.product_id, kinds=(EventKind.ONLINE_STATE, EventKind.COMMAND_ENDED))
        add(store, other)

        command_id = end_command(store, device, 1)
        report(store, device, "21.5", when=7)
        store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(9)))

        told = [(event.subscription_id, event.kind, event.at) for event in store.outbox()]
        assert told == [
            (rest.id, EventKind.COMMAND_ENDED, build.at(2_000)),
            (data.id, EventKind.DATA, build.at(7)),
            (rest.id, EventKind.ONLINE_STATE, build.at(9)),
        ]
        assert store.outbox()[0].command_id == command_id
        assert (store.outbox()[1].stream_id, store.outbox()[1].value) == ("t", "21.5")
        assert store.outbox()[2].is_online is False

    def test_points_of_one_fact_are_told_in_their_order(self, store: StoreHarness) -> None:
        """A binary is told as the point it makes."""
        device = store.make_device()
        add(store, device.product_id)

        report(store, device, "1", "2")
        binary = AddBinary(
            device_id=device.id,
            product_id=device.product_id,
            stream_id="img",
            index="1_2_img",
            description="",
            payload=b"x",
            at=build.at(3),
            received_at=build.at(3),
            streams_max=10,
        )
        store.apply(binary)

        assert [event.value for event in store.outbox()] == ["1", "2", '{"index":"1_2_img"}']

    def test_a_refused_report_tells_nothing(self, store: StoreHarness) -> None:
        """Points and events are one transaction."""
        device = store.make_device()
        add(store, device.product_id)
        point = Datapoint(stream_id="t", at=build.at(0), value="1")
        fact = AddDatapoints(
            device_id=device.id,
            product_id=device.product_id,
            points=(point,),
            received_at=build.at(0),
            streams_max=0,
        )

        assert store.apply(fact) is not None
        assert store.outbox() == ()

    def test_without_a_subscriber_nothing_is_written(self, store: StoreHarness) -> None:
        """Not even a number is used up."""
        device = store.make_online_device()

        report(store, device, "1")

        assert store.ask(store.store.last_told()) == 0


class TestQueues:
    def test_queues_are_found_by_device_in_pages(self, store: StoreHarness) -> None:
        """Each once, whatever it holds; the page after begins behind the last."""
        product_id = store.make_product()
        devices = [store.make_device(product_id, str(number)) for number in range(3)]
        subscription = add(store, product_id)
        for device in (devices[2], devices[0], devices[1], devices[0]):
            report(store, device, "1")
        fail(store, subscription, 2)

        first = store.ask(store.store.waiting_queues(subscription.id, DeviceId(0), 2))
        rest = store.ask(store.store.waiting_queues(subscription.id, first[-1].device_id, 2))

        assert [(each.device_id, each.failures) for each in first] == [(devices[0].id, 1), (devices[1].id, 0)]
        assert [each.device_id for each in rest] == [devices[2].id]
        assert store.ask(store.store.waiting_queues(subscription.id, devices[2].id, 2)) == ()

    def test_what_was_told_later_is_found_by_its_place(self, store: StoreHarness) -> None:
        """With whom it is for; what is settled is not found any more."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2", "3")
        settle(store, subscription, 2)

        told = store.ask(store.store.told_after(1, 10))

        assert [(each.seq, each.subscription_id, each.device_id) for each in told] == [(3, subscription.id, device.id)]
        assert store.ask(store.store.last_told()) == 3

    def test_a_page_of_a_queue_has_a_bound_of_bytes_but_one_event_at_least(self, store: StoreHarness) -> None:
        """Large values come alone; what is told of the device stands beside the event."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, '"' + "x" * 100 + '"', "2", "3")

        alone = store.ask(store.store.waiting_events(subscription.id, device.id, limit=10, bytes_max=50))
        settle(store, subscription, 1)
        rest = store.ask(store.store.waiting_events(subscription.id, device.id, limit=10, bytes_max=50))

        assert [each.event.seq for each in alone.events] == [1]
        assert [each.event.seq for each in rest.events] == [2, 3]
        assert (rest.events[0].imei, rest.events[0].protocol) == (device.imei, "LWM2M")

    @pytest.mark.parametrize(("limit", "bytes_max"), [(2, 1_000), (9, 9)], ids=["by count", "by bytes"])
    def test_a_page_says_since_when_waits_what_is_not_in_it(
        self, store: StoreHarness, limit: int, bytes_max: int
    ) -> None:
        """Whatever cut it; of a whole queue nothing is left."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        for when in (10, 20, 30):
            report(store, device, "1.25", when=when)

        cut = store.ask(store.store.waiting_events(subscription.id, device.id, limit=limit, bytes_max=bytes_max))
        whole = store.ask(store.store.waiting_events(subscription.id, device.id, limit=3, bytes_max=1_000))

        assert ([each.event.seq for each in cut.events], cut.left_since) == ([1, 2], build.at(30))
        assert ([each.event.seq for each in whole.events], whole.left_since) == ([1, 2, 3], None)

    def test_settled_events_leave_and_their_queue_is_well(self, store: StoreHarness) -> None:
        """An event of another subscription with that number is not touched."""
        device = store.make_device()
        first, second = add(store, device.product_id), add(store, device.product_id)
        report(store, device, "1")
        fail(store, first, 1)

        settle(store, first, 1, 2)

        assert waiting(store, first, device) == []
        assert waiting(store, second, device) == [2]
        report(store, device, "2")
        assert store.ask(store.store.waiting_queues(first.id, DeviceId(0), 9))[0].failures == 0

    def test_events_whose_cause_is_gone_are_dropped_without_feedback(self, store: StoreHarness) -> None:
        """They go as if they had never been told."""
        device = store.make_online_device()
        subscription = add(store, device.product_id)
        command_id = end_command(store, device, 1)

        store.apply(DropEvents(subscription_id=subscription.id, seqs=(1,)))

        assert store.outbox() == ()
        assert store.ask(store.store.list_feedback([command_id])) == {}

    def test_a_deleted_device_takes_its_events_along(self, store: StoreHarness) -> None:
        """Those that failed, too."""
        product_id = store.make_product()
        gone, kept = store.make_device(product_id, "1"), store.make_device(product_id, "2")
        subscription = add(store, product_id)
        report(store, gone, "1", "2")
        report(store, kept, "3")
        fail(store, subscription, 1, failures_max=1)

        store.apply(DeleteDevice(product_id=product_id, device_id=gone.id))

        assert [event.seq for event in store.outbox()] == [3]
        assert failed_ids(store, subscription) == []
