"""Definitions of LwM2M objects and resources, and their registry.

Here: records and look-up. Not here: the files, which an adapter reads and `app` passes in. A definition decides types
and names only; it never refuses an operation or an unknown resource, because the device decides (design 3).
Source: OMA LwM2M object registry; IPSO smart objects.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from commandpost.domain.resource import ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDefinition:
    """One resource of an object: `operations` is any of "R", "W", "RW", "E"; `type` None for an executable."""

    id: int
    name: str
    operations: str
    type: ValueType | None
    is_multiple: bool = False
    is_mandatory: bool = False
    units: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDefinition:
    """One object with its resources by id."""

    id: int
    name: str
    version: str
    is_multiple: bool
    resources: Mapping[int, ResourceDefinition]


class ObjectModel:
    """The registry: definitions by object id; where two have the same id, the one added last stands."""

    def __init__(self, definitions: Iterable[ObjectDefinition] = ()) -> None:
        self._by_id = {definition.id: definition for definition in definitions}

    def __iter__(self) -> Iterator[ObjectDefinition]:
        return iter(self._by_id[key] for key in sorted(self._by_id))

    def __len__(self) -> int:
        return len(self._by_id)

    def find_object(self, object_id: int) -> ObjectDefinition | None:
        """Give the definition of an object, None when it is unknown."""
        return self._by_id.get(object_id)

    def find_resource(self, object_id: int, resource_id: int) -> ResourceDefinition | None:
        """Give the definition of a resource, None when the object or the resource is unknown."""
        definition = self._by_id.get(object_id)
        return None if definition is None else definition.resources.get(resource_id)

    def type_of(self, object_id: int, resource_id: int) -> ValueType | None:
        """Give the data type of a resource, None when it is not known."""
        definition = self.find_resource(object_id, resource_id)
        return None if definition is None else definition.type
