"""Collecting single values into the tree of one object.

Here: the builder every format decoder ends in. Not here: the records of the tree (domain.resource) and their bytes.
"""

from typing import Final

from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
)
from commandpost.protocols.errors import DecodeError

RESOURCE_PARTS: Final = 3  # object, instance, resource
RESOURCE_INSTANCE_PARTS: Final = 4


class ValuesBuilder:
    """Gathers values by their ids; instances and resources keep the order in which they first came."""

    def __init__(self, path: ResourcePath) -> None:
        """Collect for the path that was asked; anything outside it is refused."""
        self._path = path
        self._asked = path.parts
        self._instances: dict[int, dict[int, ResourceValue | dict[int, ResourceValue]]] = {}

    def add_instance(self, instance_id: int, *, offset: int) -> None:
        """Note an instance, which may stay without resources."""
        self._check((self._path.object_id, instance_id), offset)
        self._instances.setdefault(instance_id, {})

    def add_resource(self, instance_id: int, resource_id: int, *, offset: int) -> None:
        """Note a resource with instances, which may stay without any."""
        self._check((self._path.object_id, instance_id, resource_id), offset)
        held = self._instances.setdefault(instance_id, {}).setdefault(resource_id, {})
        if not isinstance(held, dict):
            raise DecodeError(f"resource {resource_id} comes both with and without instances", offset=offset)

    def add(self, parts: tuple[int, ...], value: ResourceValue, *, offset: int) -> None:
        """Add one value; where one path comes twice the later value stands.

        Raises:
            DecodeError: the path is not below the one asked, names no resource, or mixes a single value with instances.
        """
        if parts[: len(self._asked)] != self._asked:
            raise self._foreign(parts, offset)
        if not RESOURCE_PARTS <= len(parts) <= RESOURCE_INSTANCE_PARTS:
            raise DecodeError(f"{_text(parts)} names no resource", offset=offset)
        resources = self._instances.setdefault(parts[1], {})
        held = resources.get(parts[2])
        if len(parts) == RESOURCE_PARTS:
            if isinstance(held, dict):
                raise DecodeError(f"resource {parts[2]} comes both with and without instances", offset=offset)
            resources[parts[2]] = value
            return
        if held is None:
            held = resources[parts[2]] = {}
        if not isinstance(held, dict):
            raise DecodeError(f"resource {parts[2]} comes both with and without instances", offset=offset)
        held[parts[3]] = value

    def build(self) -> ObjectValues:
        """Give what was collected; the instances of a resource are in ascending order."""
        return ObjectValues(
            self._path.object_id,
            tuple(
                ObjectInstance(
                    instance_id,
                    tuple(
                        Resource(number, tuple(sorted(held.items(), key=_first)) if isinstance(held, dict) else held)
                        for number, held in resources.items()
                    ),
                )
                for instance_id, resources in self._instances.items()
            ),
        )

    def _check(self, parts: tuple[int, ...], offset: int) -> None:
        """Refuse an instance or a resource that is neither above nor below the path asked."""
        shared = min(len(parts), len(self._asked))
        if parts[:shared] != self._asked[:shared]:
            raise self._foreign(parts, offset)

    def _foreign(self, parts: tuple[int, ...], offset: int) -> DecodeError:
        return DecodeError(f"{_text(parts)} came, {self._path} was asked", offset=offset)


def _first(item: tuple[int, ResourceValue]) -> int:
    return item[0]


def _text(parts: tuple[int, ...]) -> str:
    return "/" + "/".join(str(part) for part in parts)
