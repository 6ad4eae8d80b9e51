"""What an application may ask of a device. Pure requests: how they look on a wire is not known here.

Source: OMA LwM2M 1.1 core sections 6.3 and 6.4; northbound reference 4 and 6.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from commandpost.domain.resource import ResourcePath

WRITE_ITEMS_MAX: Final = 512  # a body of 2 KB cannot hold more items than that (northbound 4.2)


class WriteMode(IntEnum):
    """How a Write treats resources it does not name; the numbers are the dialect's `mode`."""

    REPLACE = 1
    PARTIAL = 2


class WriteKind(Enum):
    """What the caller said of a written value; without it the type of the JSON value decides."""

    OPAQUE = 1
    TIME = 2


@dataclass(frozen=True, slots=True)
class WriteItem:
    """One resource to write. For kind OPAQUE `value` is bytes, for TIME a number of seconds since 1970."""

    resource_id: int
    value: bool | int | float | str | bytes
    kind: WriteKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Read an object, an instance or a resource."""

    path: ResourcePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Write resources of one instance; `path` names object and instance."""

    path: ResourcePath
    mode: WriteMode
    items: tuple[WriteItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Execute a resource; the text goes to the device unchanged, empty means none."""

    path: ResourcePath
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveAttributes:
    """Notification attributes; None means not given. Source: OMA LwM2M core 5.1.2."""

    pmin_s: int | None = None
    pmax_s: int | None = None
    greater_than: float | None = None
    less_than: float | None = None
    step: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no attribute is given, so that none has to be written."""
        return all(value is None for value in (self.pmin_s, self.pmax_s, self.greater_than, self.less_than, self.step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """Write the attributes if there are any, then observe the path."""

    path: ResourcePath
    attributes: ObserveAttributes = ObserveAttributes()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelObserve:
    """End the observation of the path."""

    path: ResourcePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Discover:
    """Ask which instances and resources an object or an instance has."""

    path: ResourcePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Hand a payload to a device that is connected over MQTT or EDP (`/cmds`).

    `qos` 0: at most once; 1: again at each connect until answered or expired. `kind`: 0 a command, which may be
    answered; 1 PUSH_DATA, EDP only, without command id (northbound reference 6.1).
    """

    payload: bytes
    qos: int
    kind: int


Lwm2mOperation = Read | Write | Execute | Observe | CancelObserve | Discover
Operation = Lwm2mOperation | Deliver
