"""What every store does with pushes that fail: counts, the list of failures, and the feedback of commands."""

from dataclasses import replace

import pytest

from commandpost.domain.command_state import FailedForGood
from commandpost.domain.events import EventKind
from commandpost.domain.facts import DeleteDevice, FinishAndClaim, PruneCommands
from commandpost.domain.ids import DeviceId
from commandpost.domain.push import (
    FAILING_MAX_MS,
    FEEDBACKS_MAX,
    Feedback,
    QueueTrouble,
)
from commandpost.domain.push_facts import (
    PrunePushes,
    ReplayFailures,
    SettleEvents,
)
from tests.conformance import store_builders as build
from tests.conformance.push_shortcuts import add, end_command, fail, failed_ids, replay, report, settle, waiting
from tests.conformance.store_harness import StoreHarness


class TestFailures:
    def test_failures_in_a_row_are_counted_for_queue_and_head(self, store: StoreHarness) -> None:
        """The time of the first stays; a success forgets both."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1")

        fail(store, subscription, 1, when=10)
        (second,) = fail(store, subscription, 1, when=20)
        settle(store, subscription, 1)
        report(store, device, "2")
        (afresh,) = fail(store, subscription, 2, when=30)

        assert second == QueueTrouble(
            device_id=device.id,
            failures=2,
            head_seq=1,
            head_failures=2,
            failing_since=build.at(10),
            due_at=build.at(2_020),
        )
        assert (afresh.failures, afresh.failing_since) == (1, build.at(30))

    def test_a_head_with_too_many_failures_goes_to_the_list(self, store: StoreHarness) -> None:
        """The next one is head then, with failures of its own; the row says how it came there."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2")

        fail(store, subscription, 1, when=10, failures_max=2)
        (given_up,) = fail(store, subscription, 1, when=20, failures_max=2)
        (next_head,) = fail(store, subscription, 2, when=30, failures_max=2)

        assert given_up.given_up == 1
        assert (next_head.failures, next_head.head_failures) == (3, 1)
        (failure,) = store.ask(store.store.list_failures(subscription.id, before_id=None, limit=10))
        assert (failure.failures, failure.failing_since, failure.given_up_at) == (2, build.at(10), build.at(20))
        assert (failure.kind, failure.stream_id, failure.reason) == (EventKind.DATA, "t", "http 500")
        assert waiting(store, subscription, device) == [2]

    def test_a_head_that_failed_for_a_day_goes_alone(self, store: StoreHarness) -> None:
        """The fault may be its own: what came with it gets its chance."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2")
        fail(store, subscription, 1)

        before = fail(store, subscription, 1, when=FAILING_MAX_MS - 1)
        (given_up,) = fail(store, subscription, 1, when=FAILING_MAX_MS)

        assert before[0].given_up == 0
        assert given_up.given_up == 1
        assert waiting(store, subscription, device) == [2]

    def test_when_the_next_fails_as_well_all_that_is_over_age_goes(self, store: StoreHarness) -> None:
        """Then the receiver is dead; what is younger than a day stays."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2", "3")
        report(store, device, "4", when=500)
        fail(store, subscription, 1)
        fail(store, subscription, 1, when=FAILING_MAX_MS)

        (trouble,) = fail(store, subscription, 2, when=FAILING_MAX_MS + 1)

        assert trouble.given_up == 3
        assert waiting(store, subscription, device) == [4]
        assert len(failed_ids(store, subscription)) == 3

    def test_a_request_with_events_of_many_devices_counts_once_for_each(self, store: StoreHarness) -> None:
        """The first of each device is its head."""
        product_id = store.make_product()
        first, second = store.make_device(product_id, "1"), store.make_device(product_id, "2")
        subscription = add(store, product_id)
        report(store, first, "1", "2")
        report(store, second, "3")

        troubles = fail(store, subscription, 1, 2, 3)

        assert [(each.device_id, each.head_seq, each.failures) for each in troubles] == [
            (first.id, 1, 1),
            (second.id, 3, 1),
        ]

    def test_queues_that_failed_together_rest_differently(self, store: StoreHarness) -> None:
        """Chance is spread over them, so that they do not march in step; each says when it is due."""
        product_id = store.make_product()
        devices = [store.make_device(product_id, str(number)) for number in range(4)]
        subscription = add(store, product_id)
        for device in devices:
            report(store, device, "1")

        fail(store, subscription, 1, 2, 3, 4, unit=0.25)

        queues = store.ask(store.store.waiting_queues(subscription.id, DeviceId(0), 9))
        told = store.ask(store.store.told_after(0, 9))
        due = [build.at(950), build.at(900), build.at(850), build.at(1_000)]
        assert [(each.device_id, each.failures, each.due_at) for each in queues] == [
            (device.id, 1, due_at) for device, due_at in zip(devices, due, strict=True)
        ]
        assert [(each.failures, each.due_at) for each in told] == [(1, due_at) for due_at in due]

    def test_one_fact_gives_up_no_more_than_it_says(self, store: StoreHarness) -> None:
        """The head of each queue, and of what goes with the heads what fits; the rest goes another time."""
        product_id = store.make_product()
        devices = [store.make_device(product_id, str(number)) for number in range(3)]
        subscription = add(store, product_id)
        for device in devices:
            report(store, device, *"123456")
        fail(store, subscription, 1, 7, 13)
        fail(store, subscription, 1, 7, 13, when=FAILING_MAX_MS)

        troubles = fail(store, subscription, 2, 8, 14, when=FAILING_MAX_MS + 1, give_up_max=5)

        assert [each.given_up for each in troubles] == [1 + 3, 1 + 1, 1 + 1]
        assert [len(waiting(store, subscription, device)) for device in devices] == [2, 4, 4]

    def test_an_event_that_is_gone_does_not_fail(self, store: StoreHarness) -> None:
        """Its device was deleted while the request was open."""
        device = store.make_device()
        subscription = add(store, device.product_id)

        assert fail(store, subscription, 77) == ()

    def test_replayed_failures_go_behind_what_waits(self, store: StoreHarness) -> None:
        """In their own order, each with its content, off the list, and with a new day before them."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2", "3")
        fail(store, subscription, 1, failures_max=1)
        fail(store, subscription, 2, failures_max=1)
        newest = failed_ids(store, subscription)[0]

        assert replay(store, subscription, device.product_id, newest) == 2

        assert [event.value for event in store.outbox()] == ["3", "1", "2"]
        assert store.outbox()[1].told_at == build.at(5)
        assert failed_ids(store, subscription) == []

    @pytest.mark.parametrize("field", ["product_id", "last_id"])
    def test_what_is_not_meant_is_not_replayed(self, store: StoreHarness, field: str) -> None:
        """Another product's, or a later failure."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1")
        fail(store, subscription, 1, failures_max=1)
        fact = ReplayFailures(
            product_id=device.product_id, subscription_id=subscription.id, last_id=99, at=build.at(5), limit=9
        )
        other = replace(fact, product_id=store.make_product()) if field == "product_id" else replace(fact, last_id=0)

        assert store.apply(other) == 0
        assert store.apply(fact) == 1

    def test_one_failure_alone_can_be_replayed(self, store: StoreHarness) -> None:
        """The others stay on the list."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2")
        fail(store, subscription, 1, failures_max=1)
        fail(store, subscription, 2, failures_max=1)
        second, first = failed_ids(store, subscription)

        fact = ReplayFailures(
            product_id=device.product_id,
            subscription_id=subscription.id,
            last_id=second,
            at=build.at(5),
            limit=9,
            only_id=first,
        )

        assert store.apply(fact) == 1
        assert failed_ids(store, subscription) == [second]

    def test_old_failures_are_removed_in_slices(self, store: StoreHarness) -> None:
        """By when they were given up."""
        device = store.make_device()
        subscription = add(store, device.product_id)
        report(store, device, "1", "2", "3")
        for seq in (1, 2, 3):
            fail(store, subscription, seq, when=seq * 100, failures_max=1)

        removed = [store.apply(PrunePushes(given_up_before=build.at(250), limit=1)) for _ in range(3)]

        assert [(each.count, each.has_more) for each in removed] == [(1, True), (1, True), (0, False)]
        assert len(failed_ids(store, subscription)) == 1


class TestFeedback:
    def test_a_command_remembers_its_newest_attempts(self, store: StoreHarness) -> None:
        """Oldest first; older ones than that go."""
        device = store.make_online_device()
        subscription = add(store, device.product_id)
        command_id = end_command(store, device, 1)

        for number in range(FEEDBACKS_MAX + 5):
            fail(store, subscription, 1, when=number)
        settle(store, subscription, 1, when=1_000)

        feedback = store.ask(store.store.list_feedback([command_id, build.command_id(7)]))[command_id]
        assert len(feedback) == FEEDBACKS_MAX
        assert feedback[0] == Feedback(at=build.at(6), is_accepted=False)
        assert feedback[-1] == Feedback(at=build.at(1_000), is_accepted=True)

    def test_a_command_that_is_gone_gets_none(self, store: StoreHarness) -> None:
        """Its device was deleted while the request was open."""
        device = store.make_online_device()
        subscription = add(store, device.product_id)
        command_id = end_command(store, device, 1)
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        fact = SettleEvents(
            subscription_id=subscription.id, seqs=(), command_seqs=(1,), device_ids=(device.id,), at=build.at(9)
        )
        store.apply(fact)

        assert store.ask(store.store.list_feedback([command_id])) == {}

    @pytest.mark.parametrize("how", ["pruned", "deleted"])
    def test_feedback_goes_with_its_command(self, store: StoreHarness, how: str) -> None:
        """Whether the command is pruned or its device deleted."""
        device = store.make_online_device()
        subscription = add(store, device.product_id)
        command_id = end_command(store, device, 1)
        settle(store, subscription, 1)

        if how == "pruned":
            store.apply(PruneCommands(created_before=build.at(10_000), limit=10))
        else:
            store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert store.ask(store.store.list_feedback([command_id])) == {}

    def test_a_failed_command_is_told_as_well(self, store: StoreHarness) -> None:
        """Its end is an event like any other."""
        device = store.make_online_device()
        add(store, device.product_id)
        command = store.accept(device, 1)
        store.apply(build.claim(command, 1))
        end = build.refusal(1)

        store.apply(FinishAndClaim(command_id=command.id, event=FailedForGood(at=end.at, end=end)))

        assert [event.kind for event in store.outbox()] == [EventKind.COMMAND_ENDED]
