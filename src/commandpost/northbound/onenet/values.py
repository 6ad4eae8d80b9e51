"""What a device answered, as the dialect's JSON.

Source: northbound reference 4.1, 4.5, 4.6, 8.5.
"""

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from commandpost.domain.instant import SECOND_MS
from commandpost.domain.resource import (
    INTEGER_MIN,
    UNSIGNED_MAX,
    DiscoveredObject,
    ObjectLink,
    ObjectValues,
    OperationResult,
    Resource,
    ResourceValue,
    ValueType,
)

Json = dict[str, object]

_NO_RESULT: Final[list[Json]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueStyle:
    """How values are written where the dialect knows two ways."""

    time_in_ms: bool = True
    opaque_as_hex: bool = False


def result_data(result: OperationResult | None, style: ValueStyle) -> list[Json]:
    """Give what stands in `data` of a read or a discover."""
    match result:
        case ObjectValues():
            return [
                {"obj_inst_id": instance.id, "res": [_resource(resource, style) for resource in instance.resources]}
                for instance in result.instances
            ]
        case DiscoveredObject():
            return [
                {"obj_inst_id": instance.id, "res_id": list(instance.resource_ids)} for instance in result.instances
            ]
        case None:
            return _NO_RESULT


def resources_data(objects: tuple[DiscoveredObject, ...]) -> Json:
    """Give what stands in `data` of the resource list."""
    items = [
        {
            "obj_id": found.object_id,
            "instances": [
                {"inst_id": instance.id, "resources": list(instance.resource_ids)} for instance in found.instances
            ],
        }
        for found in objects
    ]
    return {"total_count": len(items), "item": items}


def _resource(resource: Resource, style: ValueStyle) -> Json:
    if isinstance(resource.value, tuple):
        values = [{"res_inst_id": number, "val": _value(value, style)} for number, value in resource.value]
        return {"res_id": resource.id, "res_inst": values}
    return {"res_id": resource.id, "val": _value(resource.value, style)}


def _value(value: ResourceValue, style: ValueStyle) -> object:
    match value.value:
        case bool() | str():
            return value.value
        case bytes():
            return value.value.hex() if style.opaque_as_hex else list(value.value)
        case ObjectLink():
            return str(value.value)
        case int() | float():
            if value.type is ValueType.TIME and style.time_in_ms:
                return _milliseconds(value.value)
            return _number(value.value)


def _milliseconds(seconds: int | float) -> object:
    if isinstance(seconds, int):
        return _number(seconds * SECOND_MS)
    return _number(round(seconds * SECOND_MS)) if math.isfinite(seconds * SECOND_MS) else None


def _number(number: int | float) -> object:
    """JSON has no NaN and no infinity: null stands for them. Integers of any size are written in full."""
    if isinstance(number, float):
        return number if math.isfinite(number) else None
    return number if INTEGER_MIN <= number <= UNSIGNED_MAX else msgspec.Raw(str(number).encode())
