"""Device-level keys: make, change, list, remove. Source: northbound reference 9.1; only the MasterKey sees them."""

from collections.abc import Sequence
from typing import Final

from commandpost.domain.datapoint import check_stream_id
from commandpost.domain.device_key import ACCESS_METHODS, PERMISSIONS_MAX, DeviceKey, KeyPermission, KeyResource
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Page
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call, known_device_id
from commandpost.northbound.onenet.envelope import succeed, succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, invalid, missing
from commandpost.northbound.onenet.further_parameters import (
    KEY_DEVICE_ID,
    KEY_FILTER,
    KEYS_PER_PAGE,
    KEYS_PER_PAGE_DEFAULT,
)
from commandpost.northbound.onenet.json_body import JsonObject, as_object, describe
from commandpost.northbound.onenet.parameters import PAGE
from commandpost.northbound.onenet.values import Json
from commandpost.services.device_keys import TITLE_CHARACTERS_MAX, ShownKey

_METHODS_SCHEMA: Final = {
    "type": "array",
    "items": {"type": "string", "enum": list(ACCESS_METHODS)},
    "description": "Verbs, in any case. Absent here and beside `permissions`: all four, unless the server is set to "
    "the documents' letter, by which it is none.",
}
_PROPERTIES: Final = {
    "title": {"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX},
    "permissions": {
        "type": "array",
        "maxItems": PERMISSIONS_MAX,
        "description": "A key without permissions opens nothing.",
        "items": {
            "type": "object",
            "required": ["resources"],
            "properties": {
                "resources": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "minProperties": 1,
                        "description": "Without `ds_id` the whole device, without `dev_id` that datastream of every "
                        "device of the product.",
                        "properties": {"dev_id": {"type": ["string", "integer"]}, "ds_id": {"type": "string"}},
                    },
                },
                "access_methods": _METHODS_SCHEMA,
            },
        },
    },
    "access_methods": _METHODS_SCHEMA,
}
NEW_KEY_SCHEMA: Final = {"type": "object", "required": ["title"], "properties": _PROPERTIES}
KEY_CHANGE_SCHEMA: Final = {"type": "object", "properties": _PROPERTIES}


async def create(call: Call) -> ApiResponse:
    """`POST /keys`."""
    body = call.body_object()
    title = _title(body)
    if title is None:
        raise missing("title")
    shown = await call.platform.device_keys.create(
        call.product, title=title, permissions=_permissions(call, body) or ()
    )
    return succeed_with({"key": shown.text})


async def change(call: Call) -> ApiResponse:
    """`PUT /keys/{key}`: the permissions replace the old ones; what is not named stays."""
    text = call.path_text("key")
    if await call.platform.device_keys.find(call.product, text) is None:
        raise _unknown()
    body = call.body_object()
    title, permissions = _title(body), _permissions(call, body)
    await call.platform.device_keys.change(call.product, text, title=title, permissions=permissions)
    return succeed()


async def remove(call: Call) -> ApiResponse:
    """`DELETE /keys/{key}`."""
    try:
        await call.platform.device_keys.remove(call.product, call.path_text("key"))
    except NotFound:
        raise _unknown() from None
    return succeed()


async def list_keys(call: Call) -> ApiResponse:
    """`GET /keys`."""
    call.request.trail.is_for_audit = True
    page = Page(number=call.find_or(PAGE, 1), size=call.find_or(KEYS_PER_PAGE, KEYS_PER_PAGE_DEFAULT))
    text, device_text = call.find(KEY_FILTER), call.query.find(KEY_DEVICE_ID.name)
    device_id = None if device_text is None else known_device_id(device_text)
    if device_id is not None:
        await call.platform.devices.find(call.product, device_id)
    if text is None:
        total, keys = await call.platform.device_keys.list(call.product, device_id, page)
    else:
        found = await call.platform.device_keys.find(call.product, text)
        matches = () if found is None or not _names(found.key, device_id) else (found,)
        total, keys = len(matches), matches if page.number == 1 else ()
    shown = [_shown(key, call.platform.times) for key in keys]
    return succeed_with({"total_count": total, "page": page.number, "per_page": page.size, "keys": shown})


def _unknown() -> Fault:
    """What was asked for may be a key, mistyped: it is not told back."""
    return Fault(FaultKind.DEVICE_UNKNOWN, "key")


def _names(key: DeviceKey, device_id: DeviceId | None) -> bool:
    return device_id is None or any(
        resource.device_id == device_id for permission in key.permissions for resource in permission.resources
    )


def _shown(shown: ShownKey, times: TextTimes) -> Json:
    key = shown.key
    permissions = [
        {
            "resources": [_resource(resource) for resource in permission.resources],
            "access_methods": permission.methods,
        }
        for permission in key.permissions
    ]
    created = times.format_second(key.created_at)
    return {"title": key.title, "create_time": created, "key": shown.text, "permissions": permissions}


def _resource(resource: KeyResource) -> Json:
    shown: Json = {}
    if resource.device_id is not None:
        shown["dev_id"] = str(resource.device_id)
    if resource.stream_id is not None:
        shown["ds_id"] = resource.stream_id
    return shown


def _title(body: JsonObject) -> str | None:
    title = body.find("title")
    if title is not None and not isinstance(title, str):
        raise invalid("title", describe(title), "a string")
    return title


def _permissions(call: Call, body: JsonObject) -> Sequence[KeyPermission] | None:
    """Read `permissions`; `access_methods` counts in each of them, else beside them, as both are documented."""
    beside = _methods(body, "access_methods")
    if beside is None:
        beside = () if call.platform.settings.has_strict_key_methods else ACCESS_METHODS
    value = body.find("permissions")
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid("permissions", describe(value), "an array of objects")
    if len(value) > PERMISSIONS_MAX:
        raise invalid("permissions", f"{len(value)} of them", f"at most {PERMISSIONS_MAX}")
    return [_permission(as_object(item, f"permissions[{at}]"), at, beside) for at, item in enumerate(value)]


def _permission(item: JsonObject, at: int, beside: tuple[str, ...]) -> KeyPermission:
    name = f"permissions[{at}].resources"
    resources = item.find("resources")
    if resources is None:
        raise missing(name)
    if not isinstance(resources, list) or not resources:
        raise invalid(name, describe(resources), "an array of at least one object")
    methods = _methods(item, f"permissions[{at}].access_methods")
    return KeyPermission(
        resources=tuple(
            _parse_resource(as_object(each, f"{name}[{number}]"), f"{name}[{number}]")
            for number, each in enumerate(resources)
        ),
        methods=beside if methods is None else methods,
    )


def _parse_resource(item: JsonObject, name: str) -> KeyResource:
    device_id, stream_id = item.find("dev_id"), item.find("ds_id")
    if device_id is None and stream_id is None:
        # A misspelled name must not open every device of the product.
        raise missing(f"{name}.dev_id")
    return KeyResource(
        device_id=None if device_id is None else _device_id(device_id, f"{name}.dev_id"),
        stream_id=None if stream_id is None else _stream_id(stream_id, f"{name}.ds_id"),
    )


def _device_id(value: object, name: str) -> DeviceId:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid(name, describe(value), "a device id")
    return known_device_id(str(value))


def _stream_id(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(name, describe(value), "a string")
    try:
        return check_stream_id(value)
    except Invalid as error:
        raise invalid(name, error.found, error.allowed) from None


def _methods(item: JsonObject, name: str) -> tuple[str, ...] | None:
    value = item.find("access_methods")
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid(name, describe(value), "an array of verbs")
    methods: dict[str, None] = {}
    for at, method in enumerate(value):
        if not isinstance(method, str) or method.lower() not in ACCESS_METHODS:
            raise invalid(f"{name}[{at}]", describe(method), " or ".join(ACCESS_METHODS))
        methods[method.lower()] = None
    return tuple(methods)
