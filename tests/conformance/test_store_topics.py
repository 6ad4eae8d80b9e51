"""What every store does with topic sessions and messages."""

from dataclasses import replace

import pytest

from commandpost.domain.device import Device
from commandpost.domain.fact import Swept
from commandpost.domain.facts import DeleteDevice
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import (
    QUEUED_BYTES_MAX,
    QUEUED_MESSAGES_MAX,
    QueuedMessage,
    TopicMessage,
    TopicSession,
    TopicSubscription,
)
from commandpost.domain.topic_facts import (
    DropSubscriptions,
    DropTopicMessages,
    DropTopicSession,
    KeepSubscriptions,
    KeepTopicSession,
    PruneTopics,
    TopicReceiver,
)
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.data_builders import message
from tests.conformance.store_harness import StoreHarness


def sessions(
    store: StoreHarness, product_id: ProductId, *, after: int = 0, limit: int = 100
) -> tuple[TopicSession, ...]:
    """A page of a product's sessions."""
    return store.ask(store.reader.list_topic_sessions(product_id, after=DeviceId(after), limit=limit))


def queued(store: StoreHarness, device: Device, *, after: int = 0, limit: int = 2_000) -> tuple[QueuedMessage, ...]:
    """A page of a device's queue."""
    return store.ask(store.reader.list_queued_messages(device.id, after=after, limit=limit))


def retained(store: StoreHarness, product_id: ProductId, *, after: str = "", limit: int = 100) -> list[TopicMessage]:
    """A page of a product's retained messages."""
    return list(store.ask(store.reader.list_retained(product_id, after=after, limit=limit)))


def keep_session(store: StoreHarness, session: TopicSession, *, starts_clean: bool = False) -> bool:
    """Put a session into the store."""
    return store.apply(KeepTopicSession(session=session, starts_clean=starts_clean))


@pytest.fixture
def device(store: StoreHarness) -> Device:
    """A device with a session that has subscribed two filters."""
    made = store.make_connecting_device()
    assert keep_session(store, data.topic_session(made, "b/#", "a/+"))
    return made


@pytest.fixture
def other(store: StoreHarness, device: Device) -> Device:
    """Another one of the product, with a session."""
    made = store.make_connecting_device(device.product_id, "sn-2")
    assert keep_session(store, data.topic_session(made))
    return made


class TestSessions:
    def test_a_session_reads_back_with_its_subscriptions_by_filter(self, store: StoreHarness, device: Device) -> None:
        given = replace(
            data.topic_session(device, left=5),
            subscriptions=(
                TopicSubscription(topic_filter="温度/#", options=0b0010_1110, identifier=268_435_455),
                TopicSubscription(topic_filter="$sys/x", options=0),
            ),
        )

        assert keep_session(store, given, starts_clean=True) is True

        expected = replace(given, subscriptions=given.subscriptions[::-1])
        assert sessions(store, device.product_id) == (expected,)

    def test_a_session_that_goes_on_keeps_what_it_has(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.keep(device.product_id, message(), device))

        assert keep_session(store, data.topic_session(device, "new", expiry_s=9, left=7)) is True

        (session,) = sessions(store, device.product_id)
        assert [each.topic_filter for each in session.subscriptions] == ["a/+", "b/#"]
        assert (session.expiry_s, session.left_at, len(queued(store, device))) == (9, build.at(7), 1)

    def test_a_session_that_starts_clean_keeps_nothing(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.keep(device.product_id, message(), device))

        keep_session(store, data.topic_session(device), starts_clean=True)

        assert sessions(store, device.product_id) == (data.topic_session(device),)
        assert queued(store, device) == ()

    def test_a_dropped_session_is_gone_with_its_queue(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.keep(device.product_id, message(), device))

        store.apply(DropTopicSession(device_id=device.id))

        assert (sessions(store, device.product_id), queued(store, device)) == ((), ())

    def test_a_deleted_device_has_no_session(self, store: StoreHarness, device: Device, other: Device) -> None:
        store.apply(data.keep(device.product_id, message(), device, other))

        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert [each.device_id for each in sessions(store, device.product_id)] == [other.id]
        assert (queued(store, device), len(queued(store, other))) == ((), 1)

    def test_a_device_that_is_gone_has_none(self, store: StoreHarness, device: Device) -> None:
        session = data.topic_session(device)

        results = [
            keep_session(store, replace(session, device_id=DeviceId(99))),
            keep_session(store, replace(session, product_id=store.make_product("other"))),
        ]

        assert results == [False, False]
        assert len(sessions(store, device.product_id)) == 1

    def test_sessions_are_paged_by_device(self, store: StoreHarness, device: Device, other: Device) -> None:
        stranger = store.make_connecting_device()
        keep_session(store, data.topic_session(stranger))
        third = store.make_connecting_device(device.product_id, "sn-3")
        keep_session(store, data.topic_session(third))

        pages = [sessions(store, device.product_id, after=after, limit=2) for after in (0, other.id, third.id)]

        assert [[each.device_id for each in page] for page in pages] == [[device.id, other.id], [third.id], []]


class TestSubscriptions:
    def test_one_with_the_same_filter_is_replaced(self, store: StoreHarness, device: Device) -> None:
        changed = TopicSubscription(topic_filter="a/+", options=2, identifier=7)
        added = TopicSubscription(topic_filter="c", options=0)

        assert store.apply(KeepSubscriptions(device_id=device.id, subscriptions=(added, changed))) is True

        (session,) = sessions(store, device.product_id)
        assert session.subscriptions == (changed, TopicSubscription(topic_filter="b/#", options=1), added)

    def test_dropped_ones_are_gone(self, store: StoreHarness, device: Device) -> None:
        assert store.apply(DropSubscriptions(device_id=device.id, topic_filters=("b/#", "missing"))) is True

        (session,) = sessions(store, device.product_id)
        assert [each.topic_filter for each in session.subscriptions] == ["a/+"]

    def test_without_a_session_there_is_nothing_to_subscribe_to(self, store: StoreHarness, device: Device) -> None:
        store.apply(DropTopicSession(device_id=device.id))
        wanted = TopicSubscription(topic_filter="c", options=0)

        assert store.apply(KeepSubscriptions(device_id=device.id, subscriptions=(wanted,))) is False
        assert store.apply(DropSubscriptions(device_id=device.id, topic_filters=("b/#",))) is False

        keep_session(store, data.topic_session(device))
        assert sessions(store, device.product_id)[0].subscriptions == ()


class TestQueue:
    def test_each_receiver_has_its_copy_in_the_order_of_receivers(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        what = message(expires=60_000)
        fact = replace(
            data.keep(device.product_id, what),
            receivers=(
                TopicReceiver(device_id=other.id, qos=2, identifiers=(3, 1), is_retained=True),
                TopicReceiver(device_id=DeviceId(99), qos=1),
                TopicReceiver(device_id=device.id, qos=0),
            ),
        )

        assert store.apply(fact) == (1, None, 2)

        first = QueuedMessage(number=1, message=replace(what, qos=2, is_retained=True), identifiers=(3, 1))
        assert queued(store, other) == (first,)
        assert queued(store, device) == (QueuedMessage(number=2, message=replace(what, qos=0)),)

    def test_a_queue_is_paged_by_number(self, store: StoreHarness, device: Device, other: Device) -> None:
        for topic in ("1", "2", "3"):
            store.apply(data.keep(device.product_id, message(topic), device, other))

        pages = [queued(store, device, after=after, limit=2) for after in (0, 3, 5)]

        assert [[(each.number, each.message.topic) for each in page] for page in pages] == [
            [(1, "1"), (3, "2")],
            [(5, "3")],
            [],
        ]

    def test_acknowledged_ones_are_gone_from_that_queue_only(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        store.apply(data.keep(device.product_id, message("1"), device, other))
        store.apply(data.keep(device.product_id, message("2"), device))

        assert store.apply(DropTopicMessages(device_id=device.id, numbers=(1, 2, 99))) is None

        assert [each.number for each in queued(store, device)] == [3]
        assert [each.number for each in queued(store, other)] == [2]

    def test_a_number_is_never_given_twice(self, store: StoreHarness, device: Device) -> None:
        store.apply(data.keep(device.product_id, message(), device))
        store.apply(DropTopicMessages(device_id=device.id, numbers=(1,)))

        assert store.apply(data.keep(device.product_id, message(), device)) == (2,)

    def test_a_queue_that_is_full_by_number_drops_the_newest(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        facts = [data.keep(device.product_id, message(), device)] * (QUEUED_MESSAGES_MAX - 1)
        store.apply_batch(facts)

        numbers = [store.apply(data.keep(device.product_id, message(), device, other)) for _ in range(2)]
        store.apply(DropTopicMessages(device_id=device.id, numbers=(1,)))
        again = store.apply(data.keep(device.product_id, message(), device))

        assert numbers == [(1_000, 1_001), (None, 1_002)]
        assert again == (1_003,)
        assert len(queued(store, device)) == QUEUED_MESSAGES_MAX

    def test_a_queue_that_is_full_by_bytes_drops_the_newest(self, store: StoreHarness, device: Device) -> None:
        """Bytes of topic and payload; what was acknowledged makes room again."""
        half = message("温", bytes(QUEUED_BYTES_MAX // 2 - 3))
        facts = [data.keep(device.product_id, each, device) for each in (half, half, message("a", b""))]

        numbers = [store.apply(fact) for fact in facts]
        store.apply(DropTopicMessages(device_id=device.id, numbers=(1,)))
        after = [store.apply(fact) for fact in facts[1:]]

        assert numbers == [(1,), (2,), (None,)]
        assert after == [(3,), (None,)]

    def test_a_session_that_starts_clean_has_room_again(self, store: StoreHarness, device: Device) -> None:
        fact = data.keep(device.product_id, message("a", bytes(QUEUED_BYTES_MAX - 1)), device)
        store.apply(fact)

        keep_session(store, data.topic_session(device), starts_clean=True)

        assert store.apply(fact) == (2,)


class TestRetained:
    def test_the_last_of_a_topic_stays_and_an_empty_one_removes_it(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        older, newer = message("a", b"1", expires=9), replace(message("a", b"2"), qos=2, properties=b"")
        for what in (older, message("b", b"3"), newer, message("b", b""), message("c", b"")):
            assert store.apply(data.keep(product_id, what, retains=True)) == ()

        assert retained(store, product_id) == [replace(newer, is_retained=True)]

    def test_what_is_not_to_be_retained_is_not(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        store.apply(data.keep(product_id, message("a", b"1"), retains=True))

        for payload in (b"2", b""):
            store.apply(data.keep(product_id, message("a", payload)))

        assert [each.payload for each in retained(store, product_id)] == [b"1"]

    def test_they_are_paged_bytewise_by_topic(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        topics = ["é", "a/b", "B", "温度", "a", "\U0001f600", "\ufffd"]
        for topic in topics:
            store.apply(data.keep(product_id, message(topic), retains=True))
        store.apply(data.keep(store.make_product("other"), message("x"), retains=True))

        pages = [retained(store, product_id, after=after, limit=4) for after in ("", "é", "\U0001f600")]

        by_bytes = sorted(topics, key=str.encode)
        assert [[each.topic for each in page] for page in pages] == [by_bytes[:4], by_bytes[4:], []]

    def test_a_product_retains_a_bounded_number(self, store: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        """What would be one too many is not retained; a topic that has one may change it."""
        for module in ("memory", "sqlite"):
            monkeypatch.setattr(f"commandpost.stores.{module}.topics.RETAINED_MAX", 2)
        product_id = store.make_product()
        for topic, payload in (("a", b"1"), ("b", b"1"), ("c", b"1"), ("b", b"2")):
            store.apply(data.keep(product_id, message(topic, payload), retains=True))

        assert [(each.topic, each.payload) for each in retained(store, product_id)] == [("a", b"1"), ("b", b"2")]


class TestPrune:
    def prune(self, store: StoreHarness, now: int, limit: int = 100) -> int:
        """Sweep once."""
        return self.sweep(store, now, limit).count

    def sweep(self, store: StoreHarness, now: int, limit: int = 100) -> Swept:
        """The same, with whether there is more."""
        return store.apply(PruneTopics(now=build.at(now), limit=limit))

    def test_a_session_ends_its_expiry_after_its_device_left(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        keep_session(store, data.topic_session(device, expiry_s=10, left=5_000))
        store.apply(data.keep(device.product_id, message(), device, other))

        counts = [self.prune(store, now) for now in (14_999, 15_000, 15_000)]

        assert counts == [0, 1, 0]
        assert [each.device_id for each in sessions(store, device.product_id)] == [other.id]
        assert (queued(store, device), len(queued(store, other))) == ((), 1)

    def test_a_connected_one_and_one_that_never_expires_stay(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        keep_session(store, data.topic_session(device, expiry_s=0))
        keep_session(store, data.topic_session(other, expiry_s=2**32 - 1, left=0))

        assert self.prune(store, 10**12) == 0
        assert len(sessions(store, device.product_id)) == 2

    def test_a_session_that_was_taken_up_again_stays(self, store: StoreHarness, device: Device) -> None:
        keep_session(store, data.topic_session(device, expiry_s=10, left=5_000))
        keep_session(store, data.topic_session(device, expiry_s=10))

        assert self.prune(store, 10**9) == 0

    def test_expired_messages_go_from_every_queue_and_from_what_is_retained(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        for topic, expires in (("a", 5), ("b", 6), ("c", None)):
            store.apply(data.keep(device.product_id, message(topic, expires=expires), device, other, retains=True))

        counts = [self.prune(store, now) for now in (4, 5, 5)]

        assert counts == [0, 3, 0]
        assert [each.message.topic for each in queued(store, device)] == ["b", "c"]
        assert [each.message.topic for each in queued(store, other)] == ["b", "c"]
        assert [each.topic for each in retained(store, device.product_id)] == ["b", "c"]

    def test_in_slices_longest_expired_first(self, store: StoreHarness, device: Device, other: Device) -> None:
        keep_session(store, data.topic_session(device, expiry_s=2, left=0))
        keep_session(store, data.topic_session(other, expiry_s=1, left=0))
        third = store.make_connecting_device(device.product_id, "sn-3")
        keep_session(store, data.topic_session(third))
        for expires in (7, 5, 6):
            store.apply(data.keep(device.product_id, message(str(expires), expires=expires), third, retains=True))

        first = self.sweep(store, 10_000, limit=1)

        assert first == Swept(count=3, has_more=True)
        assert [each.device_id for each in sessions(store, device.product_id)] == [device.id, third.id]
        assert [each.message.topic for each in queued(store, third)] == ["7", "6"]
        assert [each.topic for each in retained(store, device.product_id)] == ["6", "7"]
        assert [self.prune(store, 10_000, limit=9), self.prune(store, 10_000)] == [5, 0]

    def test_a_slice_ends_when_it_has_swept_a_full_queue(
        self, store: StoreHarness, device: Device, other: Device
    ) -> None:
        store.apply_batch([data.keep(device.product_id, message(), device)] * QUEUED_MESSAGES_MAX)
        for each, left in ((device, 0), (other, 1)):
            keep_session(store, data.topic_session(each, expiry_s=0, left=left))

        slices = [self.sweep(store, 10) for _ in range(3)]

        assert [(each.count, each.has_more) for each in slices] == [(1, True), (1, False), (0, False)]

    def test_what_expired_makes_room(self, store: StoreHarness, device: Device) -> None:
        fact = data.keep(device.product_id, message("a", bytes(QUEUED_BYTES_MAX - 1), expires=5), device)
        store.apply(fact)
        full = store.apply(fact)

        self.prune(store, 5)

        assert (full, store.apply(fact)) == ((None,), (2,))
