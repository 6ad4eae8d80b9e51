"""LwM2M paths and values as the house speaks of them, whatever format they came in.

Here: paths, typed values, and trees of them. Not here: their bytes (protocols/lwm2m) or JSON (northbound).
Source: OMA LwM2M 1.1 core, sections 6 and 7; appendix C for the data types.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

ID_MAX: Final = 65535  # object, instance and resource ids are 16 bit (OMA LwM2M core 7.2)
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
UNSIGNED_MAX: Final = 2**64 - 1
UNLISTED_OBJECTS: Final = (0, 21)
"""Security and OSCORE: a device that lists them is mistaken, and is not asked about them."""


class ValueType(Enum):
    """The data types of OMA LwM2M core appendix C; the value is the name used in our data files."""

    STRING = "string"
    INTEGER = "integer"
    UNSIGNED = "unsigned"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OPAQUE = "opaque"
    TIME = "time"
    OBJLNK = "objlnk"
    CORELNK = "corelnk"


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """A reference to an object instance; 65535:65535 is the null link."""

    object_id: int
    instance_id: int

    def __post_init__(self) -> None:
        _check_id("object_id", self.object_id)
        _check_id("instance_id", self.instance_id)

    def __str__(self) -> str:
        return f"{self.object_id}:{self.instance_id}"


Scalar = bool | int | float | str | bytes | ObjectLink
"""TIME is int seconds since 1970 UTC; OPAQUE is bytes; CORELNK is str."""


@dataclass(frozen=True, slots=True)
class ResourceValue:
    """One value with its type. TIME holds seconds since 1970 as an int (or float where a device sends fractions)."""

    type: ValueType
    value: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePath:
    """`/object[/instance[/resource[/resource instance]]]`; each part needs the one before it."""

    object_id: int
    instance_id: int | None = None
    resource_id: int | None = None
    resource_instance_id: int | None = None

    def __post_init__(self) -> None:
        absent = False
        for name in ("object_id", "instance_id", "resource_id", "resource_instance_id"):
            part = getattr(self, name)
            if part is None:
                absent = True
                continue
            if absent:
                raise ValueError(f"{name} {part} is given without the part before it")
            _check_id(name, part)

    @property
    def parts(self) -> tuple[int, ...]:
        """The ids that are given, object first."""
        every = (self.object_id, self.instance_id, self.resource_id, self.resource_instance_id)
        return tuple(part for part in every if part is not None)

    def __str__(self) -> str:
        return "/" + "/".join(str(part) for part in self.parts)

    def covers(self, other: "ResourcePath") -> bool:
        """Tell whether `other` is this path or lies below it."""
        mine = self.parts
        return other.parts[: len(mine)] == mine


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: a single value, or the values of its instances by resource instance id, ascending."""

    id: int
    value: ResourceValue | tuple[tuple[int, ResourceValue], ...]

    @property
    def is_multiple(self) -> bool:
        """Whether the resource came with instances."""
        return isinstance(self.value, tuple)


@dataclass(frozen=True, slots=True)
class ObjectInstance:
    """One object instance with the resources that were read, in the order in which they came."""

    id: int
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class ObjectValues:
    """What a Read or a Notify brought: instances of one object, in the order in which they came."""

    object_id: int
    instances: tuple[ObjectInstance, ...]

    def leaves(self) -> Iterator[tuple[ResourcePath, ResourceValue]]:
        """Every single value with its full path."""
        for instance in self.instances:
            for resource in instance.resources:
                if isinstance(resource.value, tuple):
                    for number, value in resource.value:
                        yield (
                            ResourcePath(
                                object_id=self.object_id,
                                instance_id=instance.id,
                                resource_id=resource.id,
                                resource_instance_id=number,
                            ),
                            value,
                        )
                else:
                    path = ResourcePath(object_id=self.object_id, instance_id=instance.id, resource_id=resource.id)
                    yield path, resource.value


@dataclass(frozen=True, slots=True)
class DiscoveredInstance:
    """An object instance and the ids of its resources, ascending, each once."""

    id: int
    resource_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DiscoveredObject:
    """What a Discover brought about one object: its instances, ascending."""

    object_id: int
    instances: tuple[DiscoveredInstance, ...]


OperationResult = ObjectValues | DiscoveredObject
"""What a successful answer may carry; None where it carries nothing (Write, Execute)."""


@dataclass(frozen=True, slots=True)
class ObjectLinkEntry:
    """One entry of a registration's object list: `</3303/0>;ver=1.1`; instance_id None for `</3303>`."""

    object_id: int
    instance_id: int | None = None
    version: str | None = None


def listed_objects(links: Iterable[ObjectLinkEntry], known: Iterable[DiscoveredObject]) -> tuple[DiscoveredObject, ...]:
    """Give a device's objects as its list has them, with the resources that are known of those instances."""
    resources = {
        (thing.object_id, instance.id): instance.resource_ids for thing in known for instance in thing.instances
    }
    instances: dict[int, set[int]] = {}
    for link in links:
        if link.object_id in UNLISTED_OBJECTS:
            continue
        found = instances.setdefault(link.object_id, set())
        if link.instance_id is not None:
            found.add(link.instance_id)
    return tuple(
        DiscoveredObject(
            object_id=object_id,
            instances=tuple(
                DiscoveredInstance(id=number, resource_ids=resources.get((object_id, number), ()))
                for number in sorted(instances[object_id])
            ),
        )
        for object_id in sorted(instances)
    )


def _check_id(name: str, value: int) -> None:
    if not 0 <= value <= ID_MAX:
        raise ValueError(f"{name} {value} is out of range: 0 to {ID_MAX} is allowed")
