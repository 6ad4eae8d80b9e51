"""Products, devices and commands as the admin door shows them: plain JSON values with our own names.

Not here: the OneNET dialect's names and numbers (onenet/), and asking for the records (admin). Ids are text, because
JSON numbers lose digits; times are ISO 8601 in UTC with milliseconds.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from commandpost.domain.command import Attempt, Command, Trigger
from commandpost.domain.device import Product
from commandpost.domain.ids import format_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.operation import (
    CancelObserve,
    Deliver,
    Discover,
    Execute,
    Observe,
    Operation,
    Read,
    Write,
)
from commandpost.domain.ports import CommandRecord
from commandpost.domain.resource import DiscoveredObject
from commandpost.services.devices import DeviceView
from commandpost.services.product_keys import ProductKeys

JsonObject = dict[str, object]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERBS: Final[Mapping[type[Operation], str]] = {
    Read: "read",
    Write: "write",
    Execute: "execute",
    Observe: "observe",
    CancelObserve: "cancel-observe",
    Discover: "discover",
    Deliver: "deliver",
}


def format_instant(instant: Instant | None) -> str | None:
    """Write an instant as `2026-01-31T08:15:00.250Z`; one no calendar holds as its milliseconds."""
    if instant is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=instant)
    except OverflowError:
        return str(instant)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"


def product_to_json(product: Product) -> JsonObject:
    """Give a product."""
    return {
        "id": str(product.id),
        "name": product.name,
        "created_at": format_instant(product.created_at),
        "auto_discover": product.is_auto_discovered,
        "imei_rule": product.imei_rule.value,
        "allow_imei_only": product.allow_imei_only,
        "execute_delivery": product.execute_delivery.value,
        "device_security": product.device_security.value,
        "bootstrap_uri": product.bootstrap_uri,
        "bootstrap_secure_uri": product.bootstrap_secure_uri,
    }


def keys_to_json(keys: ProductKeys) -> JsonObject:
    """Give a product's keys, unsealed: this is for the product's owner only."""
    return {
        "product_id": str(keys.product_id),
        "master_key": keys.master_key,
        "access_key": keys.access_key,
        "register_code": keys.register_code,
        "old_keys": [{"kind": old.kind.value, "valid_until": format_instant(old.expires_at)} for old in keys.old_keys],
    }


def device_to_json(view: DeviceView) -> JsonObject:
    """Give a device, without its secrets."""
    device = view.device
    return {
        "id": str(device.id),
        "product_id": str(device.product_id),
        "title": device.title,
        "description": device.description,
        "protocol": device.protocol,
        "imei": device.imei,
        "imsi": device.imsi,
        "tags": list(device.tags),
        "online": view.is_online,
        "auto_observe": device.is_auto_observed,
        "created_at": format_instant(device.created_at),
        "activated_at": format_instant(device.activated_at),
        "last_heard_at": format_instant(device.last_heard_at),
        "manufacturer": device.manufacturer,
        "model": device.model,
    }


def resources_to_json(objects: tuple[DiscoveredObject, ...]) -> list[JsonObject]:
    """Give what is known of a device's objects."""
    return [
        {
            "object_id": each.object_id,
            "instances": [
                {"instance_id": instance.id, "resource_ids": list(instance.resource_ids)} for instance in each.instances
            ],
        }
        for each in objects
    ]


def describe_operation(operation: Operation) -> str:
    """Say what is asked in a few words, without the values: `write /3303/0 5700 5701`."""
    verb = _VERBS[type(operation)]
    if isinstance(operation, Deliver):
        return f"{verb} {len(operation.payload)} bytes"
    words = [verb, str(operation.path)]
    if isinstance(operation, Write):
        words += [str(item.resource_id) for item in operation.items]
    return " ".join(words)


def command_to_json(command: Command) -> JsonObject:
    """Give a command as it stands."""
    return {
        "id": format_command_id(command.id),
        "seq": str(command.seq),
        "product_id": str(command.product_id),
        "device_id": str(command.device_id),
        "imei": command.imei,
        "operation": describe_operation(command.operation),
        "mode": command.mode.value,
        "state": command.state.value,
        "outcome": None if command.outcome is None else command.outcome.name,
        "retry": command.retry,
        "remaining": command.remaining,
        "attempts": command.attempts,
        "delivery": command.delivery.value,
        "triggers": [trigger.name for trigger in Trigger if trigger in command.triggers],
        "answer_timeout_ms": command.answer_timeout_ms,
        "created_at": format_instant(command.created_at),
        "valid_from": format_instant(command.valid_from),
        "expires_at": format_instant(command.expires_at),
        "sent_at": format_instant(command.sent_at),
        "answered_at": format_instant(command.answered_at),
        "finished_at": format_instant(command.finished_at),
    }


def record_to_json(record: CommandRecord) -> JsonObject:
    """Give a command with every sending of it, oldest first."""
    return {**command_to_json(record.command), "sendings": [_attempt_to_json(attempt) for attempt in record.attempts]}


def _attempt_to_json(attempt: Attempt) -> JsonObject:
    end = attempt.end
    code = None if end is None or end.answer is None else end.answer.code
    return {
        "number": attempt.number,
        "sent_at": format_instant(attempt.sent_at),
        "deadline": format_instant(attempt.deadline),
        "ended_at": None if end is None else format_instant(end.at),
        "outcome": None if end is None else end.outcome.name,
        "answer_code": None if code is None else f"{code >> 5}.{code & 31:02d}",
        "late_answers": attempt.late_answers,
    }
