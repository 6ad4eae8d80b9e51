"""Much that waits to be told, or is remembered: a deletion returns at once, and what is left goes in slices.

Measured in steps of SQLite's machine, which are the same on every computer.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.device import Device
from commandpost.domain.facts import CreateDevice, DeleteDevice, Fact
from commandpost.domain.ids import ProductId
from commandpost.domain.push import Subscription
from commandpost.domain.push_facts import (
    AddSubscription,
    AddTrigger,
    PrunePushes,
    RemoveTrigger,
    TellSilences,
    UpdateTrigger,
)
from commandpost.domain.topic import RETAINED_MAX, TopicMessage
from commandpost.domain.topic_facts import KeepTopicMessage
from commandpost.domain.trigger import Condition, Trigger, TriggerChange, parse_condition
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness
from tests.unit.stores.test_data_volume import steps

ROWS = 10_000
SLICE = 500
FROZEN = parse_condition("frozen", 60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteHarness]:
    """An empty database."""
    harness = SqliteHarness(tmp_path / "commandpost.db")
    yield harness
    harness.store.close()


def cost_of(store: SqliteHarness, fact: Fact[Any]) -> int:
    """How many thousand steps a fact takes."""
    return steps(store.store._writer, lambda: store.apply(fact))  # type: ignore[attr-defined]  # of the SQLite store


def count(store: SqliteHarness, table: str) -> int:
    """How many rows are on the disk."""
    ((rows,),) = store._execute(f"SELECT count(*) FROM {table}")
    return int(rows)


def sweep(store: SqliteHarness) -> list[int]:
    """Prune until nothing is left; what each slice cost."""
    fact = PrunePushes(given_up_before=build.at(0), limit=SLICE)
    costs: list[int] = []
    has_more = True
    while has_more:
        swept: list[bool] = []
        writer = store.store._writer  # type: ignore[attr-defined]  # of the SQLite store
        costs.append(steps(writer, lambda swept=swept: swept.append(store.apply(fact).has_more)))  # type: ignore[misc]  # bound now
        has_more = swept[0]
    return costs


def add_trigger(store: SqliteHarness, device: Device, condition: Condition = FROZEN) -> Trigger:
    """A trigger on stream `t`."""
    plain = Trigger(
        product_id=device.product_id,
        title="still",
        stream_id="t",
        url="http://192.0.2.7/",
        condition=condition,
        created_at=build.T0,
    )
    added = store.apply(AddTrigger(trigger=plain, triggers_max=99, of_stream_max=99))
    assert isinstance(added, Trigger)
    return added


def remember(store: SqliteHarness, due_at: int) -> None:
    """The only trigger remembers a silence of many devices."""
    store._execute(
        f"""
        WITH RECURSIVE number (value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM number LIMIT {ROWS})
        INSERT INTO trigger_memory (memory_id, device_id, is_inside, value, at, heard_at, due_at)
        SELECT memory_id, number.value, NULL, '1', 1, 1, {due_at} FROM push_trigger, number
        """
    )


def test_a_device_with_much_to_tell_is_deleted_at_once(store: SqliteHarness) -> None:
    """Nobody is told of it any more, its failures are on no list; and another device's are left alone."""
    device = store.make_device()
    other = store.make_device(device.product_id, "861")
    added = store.apply(AddSubscription(subscription=build.subscription(device.product_id), subscriptions_max=9))
    assert isinstance(added, Subscription)
    for first in range(0, ROWS, 5_000):
        store.apply(data.add(device, *(data.point("t", first + at) for at in range(5_000))))
    store.apply(data.add(other, data.point("t", 1)))
    store._execute(
        """
        INSERT INTO push_failure (subscription_id, product_id, device_id, kind, at, stream_id, value, failures,
            failing_since, given_up_at, reason)
        SELECT subscription_id, product_id, device_id, kind, at, stream_id, value, 1, 1, 9999999999999, '' FROM outbox
        """
    )

    cost = cost_of(store, DeleteDevice(product_id=device.product_id, device_id=device.id))
    failures = store.ask(store.store.list_failures(added.id, before_id=None, limit=9))
    events = store.ask(store.store.waiting_events(added.id, device.id, limit=9, bytes_max=9)).events
    costs = sweep(store)

    assert cost <= 2, cost
    assert ([each.device_id for each in failures], events) == ([other.id], ())
    assert max(costs) <= 60, costs
    assert 2 * ROWS // SLICE <= len(costs) <= 2 * ROWS // SLICE + 1
    assert (count(store, "outbox"), count(store, "push_failure"), count(store, "orphan_queue")) == (1, 1, 0)


@pytest.mark.parametrize("how", ["removed", "changed"])
def test_a_trigger_that_remembers_much_forgets_at_once(store: SqliteHarness, how: str) -> None:
    """And what it remembered goes in slices."""
    device = store.make_device()
    added = add_trigger(store, device)
    remember(store, due_at=build.at(10**9))
    change = TriggerChange(condition=parse_condition("frozen", 61))
    fact: Fact[Any] = RemoveTrigger(product_id=added.product_id, trigger_id=added.id)
    if how == "changed":
        fact = UpdateTrigger(product_id=added.product_id, trigger_id=added.id, change=change, of_stream_max=9)

    cost = cost_of(store, fact)
    if how == "changed":
        store.apply(data.add(device, data.point("t", 1)))
    costs = sweep(store)

    assert cost <= 2, cost
    assert max(costs) <= 60, costs
    assert count(store, "trigger_memory") == (how == "changed")
    assert count(store, "orphan_memory") == 0


def test_subscriptions_that_left_nothing_are_swept_in_slices_too(store: SqliteHarness) -> None:
    """Whoever made and removed a thousand of them has left a thousand notes."""
    store._execute(
        """
        WITH RECURSIVE number (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM number LIMIT 1200)
        INSERT INTO orphan_subscription (subscription_id) SELECT value FROM number
        """
    )
    fact = PrunePushes(given_up_before=build.at(0), limit=SLICE)

    slices = [store.apply(fact) for _ in range(3)]

    assert [(each.count, each.has_more) for each in slices] == [(500, True), (500, True), (200, False)]


def test_silences_of_a_trigger_that_is_gone_are_not_walked_again_and_again(store: SqliteHarness) -> None:
    """A slice looks at so many, tells of none of them, and does away with them."""
    device = store.make_device()
    added = add_trigger(store, device)
    remember(store, due_at=5)
    store.apply(RemoveTrigger(product_id=added.product_id, trigger_id=added.id))
    fact = TellSilences(now=build.at(0), limit=200)

    swept = store.apply(fact)
    cost = cost_of(store, fact)

    assert (swept.count, swept.has_more) == (0, True)
    assert cost <= 30, cost
    assert count(store, "trigger_memory") == ROWS - 400
    assert store.outbox() == ()


def test_a_device_that_is_given_the_id_of_another_has_nothing_to_tell(store: SqliteHarness) -> None:
    """Whatever was not swept yet."""
    device = store.make_device()
    store.subscribe(device.product_id)
    store.apply(data.add(device, data.point("t", 1)))
    store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

    store.apply(CreateDevice(device=device))

    assert store.outbox() == ()
    assert count(store, "orphan_queue") == 0


def test_what_is_kept_of_triggers_has_a_bound(store: SqliteHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it they are read again, and look at points all the same."""
    monkeypatch.setattr("commandpost.stores.sqlite.triggers.WATCHED_MAX", 3)
    store.store._teller.forget()  # type: ignore[attr-defined]  # of the SQLite store
    device = store.make_device()
    add_trigger(store, device, parse_condition(">", 9))

    for stream_id in ("a", "b", "t", "c", "t"):
        store.apply(data.add(device, data.point(stream_id, 1, "10")))

    assert len(store.outbox()) == 2
    assert len(store.store._teller._watches) <= 3  # type: ignore[attr-defined]  # of the SQLite store


def retain(number: int) -> KeepTopicMessage:
    """The n-th topic's message."""
    message = TopicMessage(topic=f"t/{number}", payload=b"x", qos=0)
    return KeepTopicMessage(product_id=ProductId(1), message=message, retains=True, receivers=(), at=build.T0)


def test_a_topic_more_costs_the_same_however_many_are_retained(store: SqliteHarness) -> None:
    """The bound is looked up, not counted; what goes makes room."""
    store.apply_batch([retain(number) for number in range(RETAINED_MAX - 1)])

    cost = cost_of(store, retain(RETAINED_MAX))
    store.apply(retain(RETAINED_MAX + 1))
    full = count(store, "retained_message")
    gone = retain(7)
    store.apply(replace(gone, message=replace(gone.message, payload=b"")))
    store.apply(retain(RETAINED_MAX + 2))

    assert cost <= 4, cost
    assert full == count(store, "retained_message") == RETAINED_MAX
    assert store._execute("SELECT * FROM retained_message WHERE topic = ?", f"t/{RETAINED_MAX + 2}")


@pytest.mark.parametrize("threshold", [9, 99])
def test_silent_triggers_cost_a_point_no_statement(store: SqliteHarness, threshold: int) -> None:
    """They are read once; and a stream's uuid is asked for once a point, when there is an alarm."""
    device = store.make_device()
    for _ in range(64):
        add_trigger(store, device, parse_condition(">", threshold))
    report = AddDatapoints(
        device_id=device.id,
        product_id=device.product_id,
        points=(data.point("t", 1, "10"),),
        received_at=build.T0,
        streams_max=9,
    )
    store.apply(report)
    statements: list[str] = []
    writer = store.store._writer  # type: ignore[attr-defined]  # of the SQLite store

    writer.set_trace_callback(statements.append)
    store.apply(report)
    writer.set_trace_callback(None)

    alarms = 64 if threshold == 9 else 0
    assert sum("INSERT INTO outbox" in each for each in statements) == alarms
    assert len(statements) <= alarms + 9, statements
