"""What every store does with triggers: points are looked at in the transaction that stores them."""

from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.events import EventKind, OutboxEvent
from commandpost.domain.fact import Fact
from commandpost.domain.facts import DeleteDevice
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Page
from commandpost.domain.push import SubscriptionRole
from commandpost.domain.push_facts import (
    AddTrigger,
    NotTriggered,
    PrunePushes,
    RemoveSubscription,
    RemoveTrigger,
    SettleEvents,
    TellSilences,
    UpdateTrigger,
)
from commandpost.domain.trigger import Condition, Trigger, TriggerChange, parse_alarm, parse_condition
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

ABOVE_9 = parse_condition(">", 9)
PAGE = Page(number=1, size=10)


def trigger(product_id: ProductId, condition: Condition = ABOVE_9, **changes: object) -> Trigger:
    """A trigger on stream `t` of every device."""
    plain = Trigger(
        product_id=product_id,
        title="hot",
        stream_id="t",
        url="http://192.0.2.7/alarm",
        condition=condition,
        created_at=build.T0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names fields by keyword


def add(store: StoreHarness, product_id: ProductId, condition: Condition = ABOVE_9, **changes: object) -> Trigger:
    """A trigger that is in."""
    fact = AddTrigger(trigger=trigger(product_id, condition, **changes), triggers_max=10, of_stream_max=10)
    added = store.apply(fact)
    assert isinstance(added, Trigger)
    return added


def update(of: Trigger, **given: Any) -> UpdateTrigger:  # Any: fields by keyword
    """A change of a trigger."""
    return UpdateTrigger(product_id=of.product_id, trigger_id=of.id, change=TriggerChange(**given), of_stream_max=9)


def report(store: StoreHarness, device: Device, *values: str, when: int = 0, stream_id: str = "t") -> None:
    """A device reports values in one fact."""
    points = tuple(Datapoint(stream_id=stream_id, at=build.at(when + 7), value=value) for value in values)
    fact = AddDatapoints(
        device_id=device.id,
        product_id=device.product_id,
        points=points,
        received_at=build.at(when),
        streams_max=10,
    )
    assert store.apply(fact) is None


def alarms(store: StoreHarness) -> list[tuple[DeviceId, str | None]]:
    """Who gave an alarm, and at which value."""
    return [(event.device_id, event.value) for event in store.outbox() if event.kind is EventKind.ALARM]


def tell_silences(store: StoreHarness, now: int, *, limit: int = 100) -> int:
    """Look for silences."""
    swept = store.apply(TellSilences(now=build.at(now), limit=limit))
    assert swept.has_more == (swept.count >= limit)
    return swept.count


class TestTriggers:
    def test_a_trigger_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        """With every field set, and with none but those it must have; its url is a subscription of its own."""
        product_id = store.make_product()
        full = add(
            store,
            product_id,
            parse_condition("inout", {"lolmt": 1, "uplmt": 2}),
            device_ids=(DeviceId(5), DeviceId(6)),
            stream_uuids=("a", "b"),
        )
        plain = add(store, product_id, parse_condition("change", None))

        assert store.ask(store.store.find_trigger(product_id, full.id)) == full
        assert store.ask(store.store.list_triggers(product_id, "", PAGE)) == (2, (full, plain))
        receivers = store.ask(store.store.list_subscriptions(None))
        assert [each.role for each in receivers] == [SubscriptionRole.ALARM] * 2
        assert store.ask(store.store.find_trigger_of(receivers[1].id)) == plain
        assert store.ask(store.store.list_subscriptions(product_id)) == ()

    def test_triggers_are_listed_by_title_in_pages(self, store: StoreHarness) -> None:
        """A part of the title is enough; the total counts all."""
        product_id = store.make_product()
        for title in ("hot", "cold", "very hot", "100% hot"):
            add(store, product_id, title=title)

        total, page = store.ask(store.store.list_triggers(product_id, "hot", Page(number=2, size=2)))
        percent, _ = store.ask(store.store.list_triggers(product_id, "%", PAGE))

        assert (total, [each.title for each in page]) == (3, ["100% hot"])
        assert percent == 1

    def test_only_so_many_are_taken_in(self, store: StoreHarness) -> None:
        """Of a product, and of the streams of one name; a product that is not there has none."""
        product_id = store.make_product()
        fact = AddTrigger(trigger=trigger(product_id), triggers_max=2, of_stream_max=1)
        assert isinstance(store.apply(fact), Trigger)

        assert store.apply(fact) is NotTriggered.TOO_MANY_OF_STREAM
        other = replace(fact, trigger=trigger(product_id, stream_id="u"))
        assert isinstance(store.apply(other), Trigger)
        assert store.apply(replace(fact, trigger=trigger(product_id, stream_id="v"))) is NotTriggered.TOO_MANY
        assert store.apply(replace(fact, trigger=trigger(ProductId(99)))) is NotTriggered.PRODUCT_GONE

    def test_another_product_cannot_touch_it(self, store: StoreHarness) -> None:
        """P12; nor can its subscription be removed without it."""
        mine, other = store.make_product("one"), store.make_product("two")
        added = add(store, mine)
        (receiver,) = store.ask(store.store.list_subscriptions(None))

        assert store.apply(RemoveTrigger(product_id=other, trigger_id=added.id)) is False
        assert store.apply(update(replace(added, product_id=other), title="mine")) is None
        assert store.apply(RemoveSubscription(product_id=mine, subscription_id=receiver.id)) is False
        assert store.ask(store.store.find_trigger(other, added.id)) is None
        assert store.ask(store.store.find_trigger(mine, added.id)) == added

    def test_what_is_given_changes_and_the_rest_stays(self, store: StoreHarness) -> None:
        """Changes made at once do not undo one another; none named are all."""
        added = add(store, store.make_product())

        assert store.apply(update(added)) == added
        store.apply(update(added, title="b", device_ids=(DeviceId(7),), stream_uuids=("u",)))
        store.apply(update(added, stream_id="v", url="http://192.0.2.8/", condition=ABOVE_9))
        store.apply(update(added, device_ids=()))

        expected = replace(
            added, title="b", stream_id="v", stream_uuids=("u",), url="http://192.0.2.8/", condition=ABOVE_9
        )
        assert store.ask(store.store.find_trigger(added.product_id, added.id)) == expected

    def test_a_trigger_that_moves_to_another_stream_counts_there(self, store: StoreHarness) -> None:
        """One that stays does not count itself."""
        product_id = store.make_product()
        first, second = (
            add(store, product_id),
            store.apply(AddTrigger(trigger=trigger(product_id, stream_id="u"), triggers_max=9, of_stream_max=1)),
        )
        assert isinstance(second, Trigger)

        moved = replace(update(second, stream_id=first.stream_id), of_stream_max=1)
        assert store.apply(moved) is NotTriggered.TOO_MANY_OF_STREAM
        assert isinstance(store.apply(replace(update(second, title="b"), of_stream_max=1)), Trigger)

    def test_a_removed_trigger_takes_its_alarms_along(self, store: StoreHarness) -> None:
        """From the reader at once, from the disk in slices."""
        device = store.make_device()
        added = add(store, device.product_id)
        report(store, device, "10", "11")

        assert store.apply(RemoveTrigger(product_id=device.product_id, trigger_id=added.id))
        while store.apply(PrunePushes(given_up_before=build.at(0), limit=1)).has_more:
            pass
        report(store, device, "12")

        assert store.outbox() == ()
        assert store.ask(store.store.list_subscriptions(None)) == ()

    def test_a_changed_trigger_has_forgotten_what_its_old_condition_remembered(self, store: StoreHarness) -> None:
        """A changed title forgets nothing; alarms that wait go to the new url."""
        device = store.make_device()
        added = add(store, device.product_id, parse_condition("change", None))
        report(store, device, "1")

        store.apply(update(added, title="b", url="http://192.0.2.8/"))
        report(store, device, "2")
        store.apply(update(added, condition=ABOVE_9))
        store.apply(update(added, condition=added.condition, url=added.url))
        report(store, device, "3")

        assert alarms(store) == [(device.id, "2")]
        (receiver,) = store.ask(store.store.list_subscriptions(None))
        assert receiver.url == added.url


class TestPoints:
    def test_each_point_that_meets_the_condition_gives_an_alarm(self, store: StoreHarness) -> None:
        """With all that is told of it: the point, the stream, and the condition as it was then."""
        device = store.make_device()
        added = add(store, device.product_id)

        report(store, device, "9", "10", '"12"', "11", when=5)
        report(store, device, "99", stream_id="u")

        first, second = store.outbox()
        (receiver,) = store.ask(store.store.list_subscriptions(None))
        (stream,) = store.ask(store.store.list_datastreams(device.id, ["t"]))
        assert (first.value, second.value) == ("10", "11")
        assert parse_alarm(first.alarm or "") == (stream.uuid, added.condition)
        assert first == OutboxEvent(
            seq=1,
            subscription_id=receiver.id,
            product_id=device.product_id,
            device_id=device.id,
            kind=EventKind.ALARM,
            at=build.at(12),
            stream_id="t",
            value="10",
            alarm=first.alarm,
            told_at=build.at(5),
        )

    def test_a_batch_with_a_bad_fact_looks_at_its_points_as_one_without(self, store: StoreHarness) -> None:
        """It is undone and done again; what was known of triggers in between must not count."""
        device = store.make_device()
        added = add(store, device.product_id)
        before, after = (
            AddDatapoints(
                device_id=device.id,
                product_id=device.product_id,
                points=(Datapoint(stream_id="t", at=build.at(0), value=value),),
                received_at=build.at(0),
                streams_max=10,
            )
            for value in ("10", "11")
        )

        change = TriggerChange(condition=parse_condition(">", 100))
        update = UpdateTrigger(product_id=added.product_id, trigger_id=added.id, change=change, of_stream_max=9)

        store.apply_batch([before, update, after, Fact()])

        assert alarms(store) == [(device.id, "10")]

    def test_only_devices_and_streams_it_names_are_looked_at(self, store: StoreHarness) -> None:
        """And only those of its product."""
        product_id, other = store.make_product("one"), store.make_product("two")
        devices = [store.make_device(product_id, str(number)) for number in range(3)]
        stranger = store.make_device(other, "9")
        report(store, devices[2], "1")
        (stream,) = store.ask(store.store.list_datastreams(devices[2].id))
        add(store, product_id, device_ids=(devices[1].id,))
        add(store, product_id, stream_uuids=(stream.uuid,))

        for device in (*devices, stranger):
            report(store, device, "10")

        assert alarms(store) == [(devices[1].id, "10"), (devices[2].id, "10")]

    def test_each_device_has_a_memory_of_its_own(self, store: StoreHarness) -> None:
        """Kept from fact to fact; deleted with the device."""
        product_id = store.make_product()
        first, second = store.make_device(product_id, "1"), store.make_device(product_id, "2")
        add(store, product_id, parse_condition("inout", {"lolmt": 0, "uplmt": 10}))

        report(store, first, "5")
        report(store, second, "50")
        report(store, first, "6")
        report(store, first, "60", "7")
        store.apply(DeleteDevice(product_id=product_id, device_id=first.id))
        report(store, second, "5")

        assert alarms(store) == [(second.id, "5")]

    def test_a_refused_report_gives_no_alarm_and_leaves_no_memory(self, store: StoreHarness) -> None:
        """Points and alarms are one transaction."""
        device = store.make_device()
        add(store, device.product_id, parse_condition("change", None))
        report(store, device, "1")
        points = (
            Datapoint(stream_id="t", at=build.at(1), value="2"),
            Datapoint(stream_id="u", at=build.at(1), value="2"),
        )
        fact = AddDatapoints(
            device_id=device.id,
            product_id=device.product_id,
            points=points,
            received_at=build.at(1),
            streams_max=1,
        )
        assert store.apply(fact) is not None

        report(store, device, "1")

        assert alarms(store) == []


class TestSilences:
    @pytest.fixture
    def device(self, store: StoreHarness) -> Device:
        """A device whose stream may be silent for ten seconds."""
        device = store.make_device()
        add(store, device.product_id, parse_condition("frozen", 10))
        return device

    def test_a_silence_is_told_once_with_the_last_point(self, store: StoreHarness, device: Device) -> None:
        """When it is due, and again only after another point."""
        report(store, device, "21.5")

        assert tell_silences(store, 9_999) == 0
        assert [tell_silences(store, 10_000), tell_silences(store, 90_000)] == [1, 0]
        assert alarms(store) == [(device.id, "21.5")]
        assert store.outbox()[0].at == build.at(7)
        report(store, device, "22", when=95_000)
        assert tell_silences(store, 105_000) == 1

    def test_each_point_puts_it_off(self, store: StoreHarness, device: Device) -> None:
        """By when it came, whatever time it says."""
        report(store, device, "1")
        report(store, device, "1", when=8_000)

        assert tell_silences(store, 17_999) == 0
        assert tell_silences(store, 18_000) == 1

    def test_what_never_reported_is_not_frozen(self, store: StoreHarness, device: Device) -> None:
        """Nor is a device that was deleted, or one whose trigger is gone."""
        assert tell_silences(store, 10**9) == 0
        report(store, device, "1")
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert tell_silences(store, 10**9) == 0

    def test_silences_are_told_in_slices(self, store: StoreHarness) -> None:
        """The longest first."""
        product_id = store.make_product()
        devices = [store.make_device(product_id, str(number)) for number in range(3)]
        added = add(store, product_id, parse_condition("frozen", 1))
        for number, device in enumerate(devices):
            report(store, device, str(number), when=100 * (3 - number))

        assert [tell_silences(store, 10_000, limit=2) for _ in range(3)] == [2, 1, 0]
        assert [value for _, value in alarms(store)] == ["2", "1", "0"]
        store.apply(RemoveTrigger(product_id=product_id, trigger_id=added.id))

    def test_a_stream_that_comes_back_is_live(self, store: StoreHarness) -> None:
        """Told with the point that ended the silence."""
        device = store.make_device()
        add(store, device.product_id, parse_condition("live", 10))

        report(store, device, "1")
        report(store, device, "2", when=9_999)
        report(store, device, "3", when=19_999)

        assert alarms(store) == [(device.id, "3")]
        store.apply(
            SettleEvents(subscription_id=1, seqs=(1,), command_seqs=(), device_ids=(device.id,), at=build.at(20_000))
        )
        assert store.outbox() == ()
