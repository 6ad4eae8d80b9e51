"""Ports around `/cmds` payloads and connections: questions to the store, and what carries a payload to its device."""

from dataclasses import dataclass
from typing import Protocol

from commandpost.domain.command import Command, CommandState, Outcome
from commandpost.domain.connection import Connection
from commandpost.domain.device_key import DeviceKey
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Deliver
from commandpost.domain.ports import Page
from commandpost.domain.proof import ProofKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFilter:
    """Which payload commands of a device a history shows; by created_at, both ends inclusive."""

    device_id: DeviceId
    start: Instant
    end: Instant
    stands: tuple[tuple[CommandState, Outcome | None], ...] | None = None
    """Only those that stand so; an outcome of None is one that is not known. None: all."""
    now: Instant
    """A waiting one whose window has closed by now counts as expired."""
    is_ascending: bool = False


class PayloadReader(Protocol):
    """Answers questions about payloads from what is committed."""

    async def list_payloads(self, which: PayloadFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many payload commands match, and one page of them by order of creation."""
        ...


class DeviceKeyReader(Protocol):
    """Answers questions about device-level keys from what is committed."""

    async def find_device_key(self, index: bytes) -> DeviceKey | None:
        """Give the key with this index, of any product."""
        ...

    async def list_device_keys(
        self, product_id: ProductId, device_id: DeviceId | None, page: Page
    ) -> tuple[int, tuple[DeviceKey, ...]]:
        """How many keys a product has, and one page of them, oldest first; with a device id, only keys that name it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadTransmission:
    """One attempt to hand a payload to its device."""

    attempt_id: AttemptId
    command_id: CommandId
    payload: Deliver


class PayloadChannel(Protocol):
    """The device's end of one connection, as the transport holds it."""

    def transmit(self, transmission: PayloadTransmission) -> bool:
        """Send; the transport's word comes through the PayloadListener, never from inside this call.

        False: it can never be sent on this connection (the device has said what it takes at most).
        """
        ...

    def settle(self, attempt_id: AttemptId) -> None:
        """The device has replied to a payload before the transport has confirmed it: others may go in its place."""
        ...

    def take_over(self) -> None:
        """The device has logged in elsewhere: tell it as the protocol does, and close."""
        ...

    def remove(self) -> None:
        """The device is gone, or the server stops: close."""
        ...

    def revoke(self, kind: ProofKind) -> None:
        """What the device logged in with is void: tell it as the protocol does, and close."""
        ...


class PayloadListener(Protocol):
    """Hears what the transports know of payloads; all calls name the connection by device and epoch."""

    def payload_confirmed(self, connection: Connection, attempt_id: AttemptId) -> None:
        """The transport has confirmed an attempt: PUBACK, or for QoS 0 and EDP, its bytes are written."""
        ...

    def payload_refused(self, connection: Connection, attempt_id: AttemptId) -> None:
        """The device's protocol engine refused an attempt for good (MQTT 5: PUBACK with an error)."""
        ...
