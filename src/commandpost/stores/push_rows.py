"""Rows of subscriptions, the outbox, failures and triggers <-> records, in the column order of the .sql files."""

from typing import Final

import msgspec

from commandpost.domain.events import EventKind, OutboxEvent
from commandpost.domain.ids import CommandId, DeviceId
from commandpost.domain.push import (
    Batch,
    PushFailure,
    QueueTrouble,
    Subscription,
    SubscriptionRole,
    kind_bits,
    kinds_of,
)
from commandpost.domain.push_ports import WaitingEvent
from commandpost.domain.trigger import Condition, Trigger, TriggerKind, TriggerMemory
from commandpost.stores.rows import Row, by_value

EVENT_COLUMNS: Final = 12

_event_kind: Final = by_value(EventKind)
_decode_ids: Final = msgspec.json.Decoder(tuple[int, ...]).decode
_decode_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode


def subscription_to_row(subscription: Subscription) -> Row:
    """Give the columns of a subscription, without its id (the store gives it)."""
    batch = subscription.batch
    return (
        subscription.product_id,
        subscription.role.value,
        subscription.url,
        subscription.sealed_token,
        subscription.sealed_aes_key,
        kind_bits(subscription.kinds),
        None if batch is None else batch.count,
        None if batch is None else batch.interval_ms,
        subscription.created_at,
    )


def subscription_from_row(row: Row) -> Subscription:
    """Read a subscription."""
    return Subscription(
        id=row[0],
        product_id=row[1],
        role=SubscriptionRole(row[2]),
        url=row[3],
        sealed_token=row[4],
        sealed_aes_key=row[5],
        kinds=kinds_of(row[6]),
        batch=None if row[7] is None else Batch(count=row[7], interval_ms=row[8]),
        created_at=row[9],
    )


def event_from_row(row: Row) -> OutboxEvent:
    """Read an event of the outbox."""
    return OutboxEvent(
        seq=row[0],
        subscription_id=row[1],
        product_id=row[2],
        device_id=row[3],
        kind=_event_kind(row[4]),
        at=row[5],
        command_id=None if row[6] is None else CommandId(row[6]),
        is_online=None if row[7] is None else bool(row[7]),
        stream_id=row[8],
        value=row[9],
        alarm=row[10],
        told_at=row[11],
    )


def waiting_event_from_row(row: Row) -> WaitingEvent:
    """Read an event with what is told of its device."""
    return WaitingEvent(event=event_from_row(row), imei=row[EVENT_COLUMNS], protocol=row[EVENT_COLUMNS + 1])


def trouble_to_row(trouble: QueueTrouble) -> dict[str, object]:
    """Give the columns of a queue that failed, by name, without its subscription."""
    return {
        "device_id": trouble.device_id,
        "failures": trouble.failures,
        "head_seq": trouble.head_seq,
        "head_failures": trouble.head_failures,
        "failing_since": trouble.failing_since,
        "given_up": trouble.given_up,
        "due_at": trouble.due_at,
    }


def trouble_from_row(row: Row) -> QueueTrouble:
    """Read how a queue that failed stands."""
    return QueueTrouble(
        device_id=row[0],
        failures=row[1],
        head_seq=row[2],
        head_failures=row[3],
        failing_since=row[4],
        given_up=row[5],
        due_at=row[6],
    )


def failure_from_row(row: Row) -> PushFailure:
    """Read an event of the list of failures."""
    return PushFailure(
        id=row[0],
        subscription_id=row[1],
        device_id=row[2],
        kind=_event_kind(row[3]),
        at=row[4],
        command_id=None if row[5] is None else CommandId(row[5]),
        is_online=None if row[6] is None else bool(row[6]),
        stream_id=row[7],
        failures=row[8],
        failing_since=row[9],
        given_up_at=row[10],
        reason=row[11],
    )


def trigger_to_row(trigger: Trigger) -> dict[str, object]:
    """Give the columns of a trigger, by name, without id and subscription."""
    return {
        "product_id": trigger.product_id,
        "title": trigger.title,
        "stream_id": trigger.stream_id,
        "device_ids": _json_or_null(trigger.device_ids),
        "stream_uuids": _json_or_null(trigger.stream_uuids),
        "url": trigger.url,
        "kind": trigger.condition.kind.value,
        "threshold": trigger.condition.threshold,
        "created_at": trigger.created_at,
    }


def trigger_from_row(row: Row) -> Trigger:
    """Read a trigger."""
    device_ids = None if row[4] is None else tuple(DeviceId(number) for number in _decode_ids(row[4]))
    return Trigger(
        id=row[0],
        product_id=row[1],
        title=row[2],
        stream_id=row[3],
        device_ids=device_ids,
        stream_uuids=None if row[5] is None else _decode_texts(row[5]),
        url=row[6],
        condition=condition_from_row(row[7], row[8]),
        created_at=row[9],
    )


def condition_from_row(kind: str, threshold: str | None) -> Condition:
    """Read a condition."""
    return Condition(kind=TriggerKind(kind), threshold=threshold)


def memory_to_row(memory: TriggerMemory) -> Row:
    """Give the columns of what a trigger remembers, after trigger and device."""
    return memory.is_inside, memory.value, memory.at, memory.heard_at, memory.due_at


def memory_from_row(row: Row) -> TriggerMemory:
    """Read what a trigger remembers."""
    return TriggerMemory(
        is_inside=None if row[0] is None else bool(row[0]),
        value=row[1],
        at=row[2],
        heard_at=row[3],
        due_at=row[4],
    )


def _json_or_null(values: tuple[object, ...] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values).decode()
