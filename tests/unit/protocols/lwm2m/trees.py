"""Builders of paths, values and models, and the vectors of tests/vectors/lwm2m."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectLink,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    Scalar,
    ValueType,
)

VECTORS = Path(__file__).parents[3] / "vectors" / "lwm2m"

# Any: rows of JSON, whose shape the tests that read them know.
Vector = dict[str, Any]


def load_vectors(name: str) -> list[Vector]:
    """Give the rows of one vector file."""
    rows: list[Vector] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def path_of(text: str) -> ResourcePath:
    """Make a path from `/3303/0/5700`."""
    parts = [int(part) for part in text.strip("/").split("/")]
    padded: list[int | None] = [*parts, None, None, None]
    return ResourcePath(
        object_id=parts[0], instance_id=padded[1], resource_id=padded[2], resource_instance_id=padded[3]
    )


def model_of(types: Mapping[str, ValueType | None] | None = None) -> ObjectModel:
    """Make a model from types by `/object/any instance/resource`; everything else stays unknown."""
    by_object: dict[int, dict[int, ResourceDefinition]] = {}
    for text, value_type in (types or {}).items():
        path = path_of(text)
        assert path.resource_id is not None
        by_object.setdefault(path.object_id, {})[path.resource_id] = ResourceDefinition(
            id=path.resource_id, name="", operations="RW" if value_type else "E", type=value_type
        )
    return ObjectModel(
        ObjectDefinition(id=number, name="", version="1.0", is_multiple=True, resources=resources)
        for number, resources in by_object.items()
    )


def values_of(object_id: int, leaves: Iterable[tuple[str, ResourceValue]]) -> ObjectValues:
    """Make a tree from single values by path, in their order."""
    instances: dict[int, dict[int, list[tuple[int | None, ResourceValue]]]] = {}
    for text, value in leaves:
        path = path_of(text)
        assert path.instance_id is not None
        assert path.resource_id is not None
        resources = instances.setdefault(path.instance_id, {})
        resources.setdefault(path.resource_id, []).append((path.resource_instance_id, value))
    return ObjectValues(
        object_id,
        tuple(
            ObjectInstance(number, tuple(_resource(resource_id, held) for resource_id, held in resources.items()))
            for number, resources in instances.items()
        ),
    )


def value_of(value_type: str, content: object) -> ResourceValue:
    """Make a value from its form in a vector: opaque values are hexadecimal, object links are text."""
    kind = ValueType(value_type)
    scalar: Scalar
    if kind is ValueType.OPAQUE:
        assert isinstance(content, str)
        scalar = bytes.fromhex(content)
    elif kind is ValueType.OBJLNK:
        assert isinstance(content, str)
        object_id, _, instance_id = content.partition(":")
        scalar = ObjectLink(int(object_id), int(instance_id))
    else:
        assert isinstance(content, bool | int | float | str)
        scalar = content
    return ResourceValue(kind, scalar)


def tree_of(vector: Vector) -> tuple[ResourcePath, ObjectValues, ObjectModel]:
    """Give the path, the tree and a model that knows exactly its resources."""
    path = path_of(vector["path"])
    leaves = [(text, value_of(value_type, content)) for text, value_type, content in vector["values"]]
    model = model_of({text: value.type for text, value in leaves})
    return path, values_of(path.object_id, leaves), model


def _resource(resource_id: int, held: list[tuple[int | None, ResourceValue]]) -> Resource:
    if held[0][0] is None:
        return Resource(resource_id, held[0][1])
    return Resource(resource_id, tuple((number, value) for number, value in held if number is not None))
