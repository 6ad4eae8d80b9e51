"""What is written of sessions and of what devices say of themselves: facts like those of `domain.facts`, same promises.

Those that name an epoch change nothing once the session has another.
"""

from dataclasses import dataclass
from typing import ClassVar

from commandpost.domain.fact import Fact, Priority, units_of_rows
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Observation, Remote, Session, SetupStep


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSession(Fact[int | None]):
    """A REGISTER: put this session in place of whatever the device had, and drop its observations.

    Gives the new epoch (the old one plus one); None when the device is gone. Also sets the device's activated_at if it
    is unset, clears is_setup_done, and tells the outbox if the device was offline before. What is known of the device's
    objects follows its list (domain.resource.listed_objects).
    """

    session: Session

    @property
    def units(self) -> int:
        """By its objects."""
        return units_of_rows(len(self.session.links))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession(Fact[bool]):
    """A de-register or an expired lifetime: the session goes offline and its observations and setup are dropped.

    False when the epoch is not the current one or it was offline already. Tells the outbox.
    """

    device_id: DeviceId
    epoch: int
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSession(Fact[bool]):
    """Write the session's detail: objects, pending setup, lifetime, address; guarded by its epoch.

    Its observations stay as the disk has them, where more may have been put meanwhile, but for the dropped ones.
    """

    session: Session
    dropped_tokens: tuple[bytes, ...] = ()
    """Of observations of objects that the device has no more."""
    has_new_objects: bool = False
    """Its list of objects is another one: what is known of the device's objects follows it, as in StartSession."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddObservation(Fact[bool]):
    """Put an observation's token on disk before its Observe leaves; guarded by the epoch."""

    device_id: DeviceId
    epoch: int
    observation: Observation
    """Replaces another observation of the same path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropObservation(Fact[bool]):
    """Forget an observation."""

    device_id: DeviceId
    coap_token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSetup(Fact[None]):
    """Write what is still to do of a setup, and whether it is done, so that a restart resumes it."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    epoch: int
    pending: tuple[SetupStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchSession(Fact[None]):
    """Write behind where and when a device was last heard, and its deadline; guarded by the epoch."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    epoch: int
    remote: Remote | None
    last_heard_at: Instant
    deadline: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepResources(Fact[None]):
    """Keep what a Discover said of a device's objects; survives going offline."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    objects: tuple[DiscoveredObject, ...]
    """Each replaces what is known of that object."""

    @property
    def units(self) -> int:
        """By its objects."""
        return units_of_rows(len(self.objects))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepIdentity(Fact[None]):
    """Keep manufacturer and model as read from /3/0."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    manufacturer: str
    model: str
