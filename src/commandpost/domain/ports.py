"""What services need from the world: typing.Protocols that the outer layers satisfy. `app` connects them.

Everything is called on one event loop. Callbacks are called on it too, never from inside the call that takes them,
unless a docstring says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType, Protocol, TypeVar

from commandpost.domain.command import Answer, Attempt, AttemptEnd, Command, DeliveryPolicy
from commandpost.domain.device import Device, DeviceFilter, KeyKind, Product, SealedKey
from commandpost.domain.errors import CommandpostError
from commandpost.domain.facts import Fact
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Remote, Session

ResultT = TypeVar("ResultT")


# --- time, ids, secrets ----------------------------------------------------------------------------------------------


class Clock(Protocol):
    """The one clock. The two may be faulted separately: wall time may jump, monotonic may not."""

    def wall_ms(self) -> Instant:
        """Milliseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of the event loop's own clock; deadlines of engines and timers are on it."""
        ...


class Timer(Protocol):
    """Something that was to happen later."""

    def cancel(self) -> None:
        """Do not let it happen; harmless when it has."""
        ...


class Scheduler(Protocol):
    """Calls later; asyncio's loop is one."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:  # Any: asyncio's own
        """Call once, `delay` seconds from now."""
        ...

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:  # Any: asyncio's own
        """Call once, after what is running now."""
        ...


class IdSource(Protocol):
    """Makes new identifiers and secrets; `app` gives one of true randomness, tests one from a seed."""

    def new_command_id(self, now: Instant) -> CommandId:
        """A fresh command id."""
        ...

    def new_attempt_id(self, now: Instant) -> AttemptId:
        """A fresh attempt id, larger than every earlier one of this run."""
        ...

    def new_coap_token(self, device_id: DeviceId) -> bytes:
        """Eight bytes: the device's id in four, four random ones (southbound reference 1.7)."""
        ...

    def new_secret(self) -> str:
        """A key to show a person: at least 128 bits, base64 text of 32 to 44 characters."""
        ...

    def random_unit(self) -> float:
        """A number in [0, 1) for jitter."""
        ...


class SecretBox(Protocol):
    """Seals secrets for the disk and finds them again (design 10.1)."""

    def seal(self, secret: bytes) -> bytes:
        """Encrypt and authenticate."""
        ...

    def unseal(self, sealed: bytes) -> bytes:
        """Undo `seal`.

        Raises:
            StoreUnavailable: it was sealed with another key, or was changed.
        """
        ...

    def index(self, secret: bytes) -> bytes:
        """A keyed hash to look a secret up by; 32 bytes."""
        ...


# --- the store -------------------------------------------------------------------------------------------------------


class StoreWriter(Protocol):
    """Takes facts to disk. What it has answered is committed and fsynced (P1)."""

    def submit(
        self,
        fact: Fact[ResultT],
        then: Callable[[ResultT], object] | None = None,
        otherwise: Callable[[CommandpostError], object] | None = None,
    ) -> None:
        """Queue a fact; `then` gets its result after the commit, `otherwise` the error if it could not be written.

        Facts of one priority are applied in order of submission.

        Raises:
            Overloaded: the class is ACCEPT or BEHIND and its queue is full, or the oldest has waited too long.
            StoreUnavailable: the writer has stopped.
        """
        ...

    async def perform(self, fact: Fact[ResultT]) -> ResultT:
        """Submit and wait. Raises as `submit`, and what `otherwise` would have got."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list, 1-based."""

    number: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which cached commands of a device a history shows; by created_at, both ends inclusive."""

    device_id: DeviceId
    start: Instant
    end: Instant
    command_id: CommandId | None = None
    is_ascending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """A command with its attempts, oldest first."""

    command: Command
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueAttempt:
    """An attempt that nobody ended in time, with its command."""

    command: Command
    attempt: Attempt


class StoreReader(Protocol):
    """Answers questions from what is committed. Commands come as stored; `as_seen_at` is the caller's duty."""

    async def find_product(self, product_id: ProductId) -> Product | None:
        """Give a product."""
        ...

    async def list_products(self) -> tuple[Product, ...]:
        """Every product, by id."""
        ...

    async def find_key(self, index: bytes) -> SealedKey | None:
        """Give the key with this index; it may be a replaced one, whose time may be over."""
        ...

    async def get_key(self, product_id: ProductId, kind: KeyKind) -> SealedKey | None:
        """Give a product's key of a kind."""
        ...

    async def old_keys(self, product_id: ProductId) -> tuple[SealedKey, ...]:
        """A product's replaced keys that have a time yet, or had: whoever asks compares it. Newest end first."""
        ...

    async def find_device(self, device_id: DeviceId) -> Device | None:
        """Give a device of any product."""
        ...

    async def find_device_by_imei(self, imei: str) -> Device | None:
        """Give the device with this IMEI, of any product."""
        ...

    async def find_device_by_psk_identity(self, psk_identity: str) -> Device | None:
        """Give the device with this DTLS identity of its own, of any product."""
        ...

    async def find_device_by_auth_info(self, product_id: ProductId, auth_info: str) -> Device | None:
        """Give the device of a product that has no IMEI and this auth_info, written as it is stored."""
        ...

    async def list_devices(
        self, product_id: ProductId, which: DeviceFilter, page: Page
    ) -> tuple[int, tuple[Device, ...]]:
        """How many match, and one page of them by id. Online is as the sweep last left it."""
        ...

    async def online_among(self, device_ids: Sequence[DeviceId]) -> frozenset[DeviceId]:
        """Which of these have a session that is online, as the sweep last left it."""
        ...

    async def list_resources(self, device_id: DeviceId) -> tuple[DiscoveredObject, ...]:
        """What is known of a device's objects, by object id."""
        ...

    async def find_session(self, device_id: DeviceId) -> Session | None:
        """Give a device's session with its detail, if it is online."""
        ...

    async def find_session_by_location(self, location: str) -> Session | None:
        """Give the online session with this location."""
        ...

    async def find_session_by_remote(self, remote: Remote) -> Session | None:
        """Give the online session with this address; of several, which a crash may leave, the one heard last."""
        ...

    async def overdue_sessions(self, now: Instant, limit: int) -> tuple[Session, ...]:
        """Online sessions whose stored deadline is at or before `now`, longest overdue first."""
        ...

    async def sessions_in_setup(self, after: DeviceId, limit: int) -> tuple[Session, ...]:
        """Online sessions with pending setup and a device id above `after`, by device id."""
        ...

    async def find_command(self, command_id: CommandId) -> CommandRecord | None:
        """Give a command of any device with its attempts."""
        ...

    async def find_commands(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, CommandRecord]:
        """Give those of these commands that there are, of any device, each with its attempts."""
        ...

    async def list_history(self, which: HistoryFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many cached commands match, and one page of them by order of creation."""
        ...

    async def list_commands(self, product_id: ProductId, *, before_seq: int | None, limit: int) -> tuple[Command, ...]:
        """A product's commands, newest first, with a seq below `before_seq` (keyset)."""
        ...

    async def open_attempts(self, after: AttemptId, limit: int) -> tuple[OverdueAttempt, ...]:
        """Attempts of commands in state sent or delivered, with an id above `after`, by id: what a start adopts."""
        ...

    async def overdue_attempts(self, now: Instant, limit: int) -> tuple[OverdueAttempt, ...]:
        """Current attempts whose deadline is at or before `now`, earliest first."""
        ...

    async def waiting_devices(self, after: DeviceId, limit: int) -> tuple[DeviceId, ...]:
        """Devices with waiting commands and an id above `after`, by id."""
        ...


# --- toward devices --------------------------------------------------------------------------------------------------


PreparedOperation = NewType("PreparedOperation", object)
"""An encoded operation, opaque to services: bytes held by the driver that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unencodable:
    """The operation cannot be written for this device; `reason` names the resource, the value and what is allowed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmission:
    """One attempt to put on the wire."""

    attempt_id: AttemptId
    device_id: DeviceId
    remote: Remote
    coap_token: bytes
    deadline: float
    """On Clock.monotonic."""
    delivery: DeliveryPolicy
    """AT_MOST_ONCE: exactly one datagram, no CoAP retransmission, no fall-back request."""
    is_setup: bool = False
    """The server's own step after a registration: no application asked for it."""


class AttemptListener(Protocol):
    """Hears how attempts end."""

    def attempt_ended(self, end: AttemptEnd) -> None:
        """An attempt ended; called exactly once for each that was transmitted or adopted and not abandoned."""
        ...

    def late_answer(self, attempt_id: AttemptId, answer: Answer | None) -> None:
        """A device answered an attempt that had ended already."""
        ...


class Downlink(Protocol):
    """Sends operations to LwM2M devices, in two steps (design 3)."""

    def listen(self, listener: AttemptListener) -> None:
        """Say who hears of the ends; once, before the first transmission."""
        ...

    def prepare(self, operation: Lwm2mOperation, session: Session) -> PreparedOperation | Unencodable:
        """Encode; pure, nothing is sent."""
        ...

    def transmit(self, prepared: PreparedOperation, transmission: Transmission) -> None:
        """Send. Every end comes through the listener exactly once, never from inside this call."""
        ...

    def adopt(self, operation: Lwm2mOperation, transmission: Transmission) -> None:
        """After a restart: send nothing; an answer to that token still counts until the deadline (P9)."""
        ...

    def abandon(self, attempt_id: AttemptId) -> None:
        """Stop an attempt; no end comes. What arrives later is a late answer."""
        ...

    def forget(self, remote: Remote) -> None:
        """A session left this address: what is kept for it may go."""
        ...


class DatagramLink(Protocol):
    """A bound datagram socket, or its like in memory. Engines never see it; drivers do."""

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Say who gets each datagram that arrives; once."""
        ...

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send, or lose it silently as the network may."""
        ...


# --- what happened ---------------------------------------------------------------------------------------------------


class EventSink(Protocol):
    """Hears what happened, for the log; never blocks, never raises."""

    def emit(self, event: str, **fields: object) -> None:
        """Tell one event with its ids; secrets and payloads are never among the fields."""
        ...
