"""A device's present attachment, and what it said of itself when it registered.

Source: southbound reference 1.4 to 1.6; OMA LwM2M 1.1 core 6.2.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

from commandpost.domain.device import KeyLabel
from commandpost.domain.ids import DeviceId, ProductId, StartId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.resource import ObjectLinkEntry, ResourcePath

Remote = NewType("Remote", bytes)
"""Where a peer is, opaque to all but the transport that made it; at most 32 bytes, comparable, storable."""

LIFETIME_DEFAULT_S: Final = 86_400
LIFETIME_MIN_S: Final = 5
LIFETIME_MAX_S: Final = 2**32 - 1
OBSERVATION_TOKEN_BYTES: Final = 8  # four of the device's id, four random (design 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One observation; its token is on disk before the Observe leaves."""

    coap_token: bytes
    path: ResourcePath
    is_automatic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerIdentity:
    """Who a peer has proved to be, by a pre-shared key of the device."""

    device_id: DeviceId
    label: KeyLabel


class SetupKind(Enum):
    """The steps after a registration, in this order (southbound reference 1.6)."""

    OBSERVE = "observe"
    DISCOVER = "discover"
    READ_DEVICE = "read_device"


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step that is still to do."""

    kind: SetupKind
    operation: Lwm2mOperation


@dataclass(slots=True, kw_only=True)
class Session:
    """One registration as it stands. Mutable on purpose: it is touched by every datagram and there may be a million.

    The store keeps it in two rows, a narrow one and a detail written only when it changed. `epoch` grows with every
    registration of the device and fences claims and outcomes.
    """

    device_id: DeviceId
    product_id: ProductId
    epoch: int
    endpoint_name: str
    location: str
    """The path segment after `/rd/`."""
    remote: Remote | None
    """None once another device was heard from that address."""
    start_id: StartId
    """The run of the server that wrote the row."""
    lifetime_s: int
    registered_at: Instant
    last_heard_at: Instant
    deadline: Instant
    """When it goes offline: last REGISTER or UPDATE plus lifetime (and grace)."""
    stored_deadline: Instant
    """What the disk says of it; behind the true one by at most a quarter of the lifetime."""
    binding: str = "U"
    is_queue_mode: bool = False
    lwm2m_version: str = "1.0"
    links: tuple[ObjectLinkEntry, ...] = ()
    alternate_path: tuple[str, ...] = ()
    accepted_formats: tuple[int, ...] = ()
    observations: tuple[Observation, ...] = ()
    pending_setup: tuple[SetupStep, ...] = ()
    identity_label: KeyLabel | None = None
    """The key with which the device registered; None: without DTLS. Only the same device over DTLS may touch it."""

    def is_online(self, now: Instant) -> bool:
        """Tell whether the lifetime is still running; nothing else decides (southbound reference 1.5)."""
        return now < self.deadline

    def find_observation(self, coap_token: bytes) -> Observation | None:
        """Give the observation with this token."""
        for observation in self.observations:
            if observation.coap_token == coap_token:
                return observation
        return None


def stored_slack_ms(lifetime_s: int) -> int:
    """Give how far the deadline on disk may lag behind the true one: a quarter of the lifetime (design 4)."""
    return lifetime_s * SECOND_MS // 4
