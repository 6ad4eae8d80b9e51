"""What a device answered, as the dialect's JSON.

Source: northbound reference 4.1, 4.5, 4.6, 8.5.
"""

from typing import Final

from commandpost.domain.resource import (
    INTEGER_MIN,
    UNSIGNED_MAX,
    DiscoveredObject,
    ObjectValues,
    OperationResult,
    Resource,
    ResourceValue,
)
from commandpost.domain.resource_json import ValueStyle, value_json
from commandpost.northbound.onenet.envelope import raw_json

__all__ = ["Json", "ValueStyle", "resources_data", "result_data"]

Json = dict[str, object]

_NO_RESULT: Final[list[Json]] = []


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
    """Give a value as the encoder takes it; integers beyond 64 bits, which it refuses, are written in full."""
    shown = value_json(value, style)
    if isinstance(shown, int) and not INTEGER_MIN <= shown <= UNSIGNED_MAX:
        return raw_json(str(shown))
    return shown
