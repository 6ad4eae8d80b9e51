"""Short ways to subscribe, report, fail and settle, for the suites about pushing."""

from commandpost.domain.command_state import Succeeded
from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.facts import FinishAndClaim
from commandpost.domain.ids import CommandId, ProductId
from commandpost.domain.push import (
    GiveUpRule,
    QueueTrouble,
    Subscription,
)
from commandpost.domain.push_facts import (
    AddSubscription,
    RecordPushFailure,
    ReplayFailures,
    SettleEvents,
)
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness


def add(store: StoreHarness, product_id: ProductId, **changes: object) -> Subscription:
    """A subscription that is in."""
    added = store.apply(AddSubscription(subscription=build.subscription(product_id, **changes), subscriptions_max=16))
    assert isinstance(added, Subscription)
    return added


def report(store: StoreHarness, device: Device, *values: str, when: int = 0) -> None:
    """A device reports values of one stream, in one fact."""
    points = tuple(Datapoint(stream_id="t", at=build.at(when), value=value) for value in values)
    fact = AddDatapoints(
        device_id=device.id,
        product_id=device.product_id,
        points=points,
        received_at=build.at(when),
        streams_max=10,
    )
    assert store.apply(fact) is None


def fail(
    store: StoreHarness,
    subscription: Subscription,
    *seqs: int,
    when: int = 0,
    failures_max: int = 2_000,
    give_up_max: int = 500,
    unit: float = 0.0,
) -> tuple[QueueTrouble, ...]:
    """A request with these events fails."""
    failed = store.apply(
        RecordPushFailure(
            subscription_id=subscription.id,
            seqs=seqs,
            at=build.at(when),
            reason="http 500",
            rule=GiveUpRule(failures_max=failures_max),
            give_up_max=give_up_max,
            unit=unit,
        )
    )
    return tuple(each.trouble for each in failed)


def settle(store: StoreHarness, subscription: Subscription, *seqs: int, when: int = 0) -> None:
    """These events were accepted."""
    told = [event for event in store.outbox() if event.seq in seqs]
    fact = SettleEvents(
        subscription_id=subscription.id,
        seqs=tuple(event.seq for event in told if event.command_id is None),
        command_seqs=tuple(event.seq for event in told if event.command_id is not None),
        device_ids=tuple(dict.fromkeys(event.device_id for event in told)),
        at=build.at(when),
    )
    store.apply(fact)


def replay(store: StoreHarness, subscription: Subscription, product_id: ProductId, last_id: int) -> int:
    """Tell failures again."""
    return store.apply(
        ReplayFailures(
            product_id=product_id, subscription_id=subscription.id, last_id=last_id, at=build.at(5), limit=100
        )
    )


def waiting(store: StoreHarness, subscription: Subscription, device: Device, *, limit: int = 100) -> list[int]:
    """The seqs of a queue."""
    page = store.ask(store.store.waiting_events(subscription.id, device.id, limit=limit, bytes_max=1_000_000))
    return [waiting.event.seq for waiting in page.events]


def failed_ids(store: StoreHarness, subscription: Subscription) -> list[int]:
    """The list of failures, newest first."""
    return [each.id for each in store.ask(store.store.list_failures(subscription.id, before_id=None, limit=100))]


def end_command(store: StoreHarness, device: Device, number: int) -> CommandId:
    """A cached command of an online device succeeds."""
    command = store.accept(device, number)
    claim = build.claim(command, number)
    store.apply(claim)
    end = build.success(number)
    store.apply(FinishAndClaim(command_id=command.id, event=Succeeded(at=end.at, end=end)))
    return command.id
