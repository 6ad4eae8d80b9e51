"""Triggers: make, change, list, remove; and whether anything is pushed. Source: northbound reference 3.10, 9.2.

Only the MasterKey opens these calls. What the documents leave open is said in domain/trigger.py.
"""

from collections.abc import Sequence
from typing import Final

from commandpost.domain.datapoint import STREAM_ID_CHARACTERS_MAX, JsonValue
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import ID_MAX, DeviceId
from commandpost.domain.ports import Page
from commandpost.domain.push import URL_CHARACTERS_MAX
from commandpost.domain.trigger import (
    DEVICES_MAX,
    STREAMS_MAX,
    TITLE_CHARACTERS_MAX,
    Condition,
    Trigger,
    TriggerChange,
    TriggerKind,
    parse_condition,
)
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call, PushServices
from commandpost.northbound.onenet.envelope import raw_json, succeed, succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, invalid, missing, printable
from commandpost.northbound.onenet.json_body import JsonObject, describe
from commandpost.northbound.onenet.parameters import PAGE, parse_device_id
from commandpost.northbound.onenet.values import Json
from commandpost.northbound.parameter import integer, parse_id, text
from commandpost.services.triggers import NewTrigger

PER_PAGE_DEFAULT: Final = 10  # northbound reference 1.6
UUID_CHARACTERS_MAX: Final = 64

PID: Final = integer(
    "pid", "Id of the product; it has to be the key's own.", minimum=1, maximum=ID_MAX, is_required=True, example=1
)
TITLE_FILTER: Final = text("title", "Only triggers with this in their title.", length_max=TITLE_CHARACTERS_MAX)
TRIGGERS_PER_PAGE: Final = integer("per_page", "Items on a page.", minimum=1, maximum=100, default=PER_PAGE_DEFAULT)

_PROPERTIES: Final = {
    "title": {"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX},
    "ds_id": {"type": "string", "minLength": 1, "maxLength": STREAM_ID_CHARACTERS_MAX},
    "dev_ids": {
        "type": "array",
        "maxItems": DEVICES_MAX,
        "items": {"type": ["string", "integer"]},
        "description": "Only these devices; absent or empty: all.",
    },
    "ds_uuids": {
        "type": "array",
        "maxItems": STREAMS_MAX,
        "items": {"type": "string"},
        "description": "Only these datastreams; absent or empty: that of every device.",
    },
    "url": {"type": "string", "minLength": 1, "maxLength": URL_CHARACTERS_MAX},
    "type": {"type": "string", "enum": [kind.value for kind in TriggerKind]},
    "threshold": {
        "type": ["number", "string", "object", "null"],
        "description": "A number; for `==` a text, too; for `in`, `out`, `inout` "
        '`{"lolmt": number, "uplmt": number}`; for `frozen` and `live` seconds; for `change` none.',
    },
}
NEW_TRIGGER_SCHEMA: Final = {"type": "object", "required": ["title", "ds_id", "url", "type"], "properties": _PROPERTIES}
TRIGGER_CHANGE_SCHEMA: Final = {"type": "object", "properties": _PROPERTIES}


async def create(call: Call) -> ApiResponse:
    """`POST /triggers`."""
    body = call.body_object()
    new = NewTrigger(
        title=_required(body, "title"),
        stream_id=_required(body, "ds_id"),
        device_ids=_device_ids(body),
        stream_uuids=_stream_uuids(body),
        url=_required(body, "url"),
        condition=_condition(body, _required(body, "type")),
    )
    trigger = await _push(call).triggers.create(call.product, new)
    return succeed_with({"trigger_id": trigger.id})


async def change(call: Call) -> ApiResponse:
    """`PUT /triggers/{trigger_id}`: what is not named stays; a new condition needs both its parts."""
    trigger_id = _trigger_id(call)
    body = call.body_object()
    kind = body.text("type")
    if kind is None and body.find("threshold") is not None:
        raise missing("type")
    changed = TriggerChange(
        title=body.text("title"),
        stream_id=body.text("ds_id"),
        device_ids=_device_ids(body),
        stream_uuids=_stream_uuids(body),
        url=body.text("url"),
        condition=None if kind is None else _condition(body, kind),
    )
    await _push(call).triggers.change(call.product, trigger_id, changed)
    return succeed()


async def show(call: Call) -> ApiResponse:
    """`GET /triggers/{trigger_id}`."""
    trigger = await _push(call).triggers.get(call.product, _trigger_id(call))
    return succeed_with(_shown(trigger, call.platform.times))


async def list_triggers(call: Call) -> ApiResponse:
    """`GET /triggers`."""
    page = Page(number=call.find_or(PAGE, 1), size=call.find_or(TRIGGERS_PER_PAGE, PER_PAGE_DEFAULT))
    total, found = await _push(call).triggers.list(call.product, call.find_or(TITLE_FILTER, ""), page)
    shown = [_shown(trigger, call.platform.times) for trigger in found]
    return succeed_with({"total_count": total, "page": page.number, "per_page": page.size, "triggers": shown})


async def remove(call: Call) -> ApiResponse:
    """`DELETE /triggers/{trigger_id}`."""
    await _push(call).triggers.remove(call.product, _trigger_id(call))
    return succeed()


async def push_status(call: Call) -> ApiResponse:
    """`GET /third/platform/status`: whether anybody is told of the product's events."""
    product_id = call.get(PID)
    if product_id != call.product.id:
        raise Fault(FaultKind.DEVICE_UNKNOWN, f"product {product_id}")
    return succeed_with({"status": await _push(call).subscriptions.has_any(call.product.id)})


async def group_status(call: Call) -> ApiResponse:
    """`GET /msg_group/{group_id}/status`: whether there is such a subscription; one that is there is on."""
    group_id = _number(call.path_values["group_id"], "group")
    await _push(call).subscriptions.get(call.product, group_id)
    return succeed_with({"status": True})


def _push(call: Call) -> PushServices:
    assert call.platform.push is not None, "these routes are served only where there is push"
    return call.platform.push


def _trigger_id(call: Call) -> int:
    return _number(call.path_values["trigger_id"], "trigger")


def _number(value: str, kind: str) -> int:
    number = parse_id(value)
    if number is None:
        raise Fault(FaultKind.DEVICE_UNKNOWN, f"{kind} {printable(value)}")
    return number


def _required(body: JsonObject, name: str) -> str:
    value = body.text(name)
    if value is None:
        raise missing(name)
    return value


def _condition(body: JsonObject, kind: str) -> Condition:
    try:
        # What a JSON body holds is one.
        threshold: JsonValue = body.find("threshold")  # type: ignore[assignment]  # msgspec gives plain JSON values
        return parse_condition(kind, threshold)
    except Invalid as error:
        if error.field == "threshold" and body.find("threshold") is None:
            raise missing("threshold") from None
        raise


def _device_ids(body: JsonObject) -> tuple[DeviceId, ...] | None:
    items = _array(body, "dev_ids", DEVICES_MAX)
    if items is None:
        return None
    found: dict[DeviceId, None] = {}
    for at, item in enumerate(items):
        is_id = isinstance(item, str | int) and not isinstance(item, bool)
        device_id = parse_device_id(str(item)) if is_id else None
        if device_id is None:
            raise invalid(f"dev_ids[{at}]", describe(item), "a device id")
        found[device_id] = None
    return tuple(found)


def _stream_uuids(body: JsonObject) -> tuple[str, ...] | None:
    items = _array(body, "ds_uuids", STREAMS_MAX)
    if items is None:
        return None
    found: dict[str, None] = {}
    for at, item in enumerate(items):
        if not isinstance(item, str) or not 1 <= len(item) <= UUID_CHARACTERS_MAX:
            raise invalid(f"ds_uuids[{at}]", describe(item), "the uuid of a datastream")
        found[item] = None
    return tuple(found)


def _array(body: JsonObject, name: str, items_max: int) -> Sequence[object] | None:
    value = body.find(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid(name, describe(value), "an array")
    if len(value) > items_max:
        raise invalid(name, f"{len(value)} items", f"at most {items_max}")
    return value


def _shown(trigger: Trigger, times: TextTimes) -> Json:
    shown: Json = {
        "id": trigger.id,
        "title": trigger.title,
        "ds_id": trigger.stream_id,
        "dev_ids": [str(device_id) for device_id in trigger.device_ids or ()],
        "url": trigger.url,
        "type": trigger.condition.kind.value,
    }
    if trigger.stream_uuids is not None:
        shown["ds_uuids"] = list(trigger.stream_uuids)
    if trigger.condition.threshold is not None:
        shown["threshold"] = raw_json(trigger.condition.threshold)
    shown["create_time"] = times.format_second(trigger.created_at)
    # D18 shows it: whether the trigger is out of use. Ours never is.
    shown["invalid"] = False
    return shown
