"""The body of a write, instant or cached: which resource gets which value.

Source: northbound reference 4.2; design 10.3, 10.5.
"""

from typing import Final

from commandpost.domain.operation import WriteItem, WriteKind
from commandpost.domain.resource import ID_MAX, INTEGER_MIN, UNSIGNED_MAX
from commandpost.northbound.onenet.errno import Fault, FaultKind, invalid, missing
from commandpost.northbound.onenet.json_body import JsonObject, as_object, describe

_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")

WRITE_BODY_SCHEMA: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["res_id", "val"],
                "properties": {
                    "res_id": {"type": "integer", "minimum": 0, "maximum": ID_MAX},
                    "type": {
                        "type": "integer",
                        "enum": [1, 2],
                        "description": "1: `val` is the hex text of opaque bytes; 2: `val` is Unix seconds; absent: "
                        "the type of the JSON value decides.",
                    },
                    "val": {"type": ["boolean", "string", "number"]},
                },
            },
        }
    },
}


def parse_write_items(body: JsonObject) -> tuple[WriteItem, ...]:
    """Read `data`.

    Raises:
        Fault: PARAMETER_MISSING when it, or a part of an item, is absent or it is empty; BODY_MALFORMED when it is no
            array of objects; VALUE when a value is not allowed.
    """
    data = body.find("data")
    if data is None:
        raise missing("data")
    if not isinstance(data, list):
        raise Fault(FaultKind.BODY_MALFORMED, f"data is {describe(data)}: an array is allowed")
    if not data:
        raise Fault(FaultKind.PARAMETER_MISSING, "data has no element: at least 1 is required")
    return tuple(_parse_item(as_object(item, f"data[{at}]"), f"data[{at}]") for at, item in enumerate(data))


def _parse_item(item: JsonObject, name: str) -> WriteItem:
    for key in ("res_id", "val"):
        if not item.has(key):
            raise missing(f"{name}.{key}")
    resource_id = item.find("res_id")
    if not isinstance(resource_id, int) or isinstance(resource_id, bool) or not 0 <= resource_id <= ID_MAX:
        raise _not_allowed(f"{name}.res_id", resource_id, f"an integer from 0 to {ID_MAX}")
    kind, value = item.find("type"), item.find("val")
    if kind is None:
        return WriteItem(resource_id, _parse_plain(value, f"{name}.val"))
    if kind == WriteKind.OPAQUE.value and not isinstance(kind, bool | float):
        return WriteItem(resource_id, _parse_opaque(value, f"{name}.val"), WriteKind.OPAQUE)
    if kind == WriteKind.TIME.value and not isinstance(kind, float):
        return WriteItem(resource_id, _parse_time(value, f"{name}.val"), WriteKind.TIME)
    raise _not_allowed(f"{name}.type", kind, "1 (opaque), 2 (time) or its absence")


def _parse_plain(value: object, name: str) -> bool | int | float | str:
    match value:
        case bool() | str() | float():
            return value
        case int() if INTEGER_MIN <= value <= UNSIGNED_MAX:
            return value
    raise _not_allowed(name, value, "a boolean, a string or a number of 64 bits")


def _parse_opaque(value: object, name: str) -> bytes:
    allowed = "hex text of even length"
    match value:
        case bool():
            raise _not_allowed(name, value, allowed)
        case int() if value >= 0:
            text = str(value)
            return bytes.fromhex(text.zfill(len(text) + len(text) % 2))
        case str() if len(value) % 2 == 0 and _HEX_DIGITS.issuperset(value):
            return bytes.fromhex(value)
    raise _not_allowed(name, value, allowed)


def _parse_time(value: object, name: str) -> int | float:
    match value:
        case bool():
            raise _not_allowed(name, value, "a number of seconds since 1970")
        case float():
            return value
        case int() if INTEGER_MIN <= value <= UNSIGNED_MAX:
            return value
    raise _not_allowed(name, value, "a number of seconds since 1970")


def _not_allowed(name: str, value: object, allowed: str) -> Fault:
    return invalid(name, describe(value), allowed)
