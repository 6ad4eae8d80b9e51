"""What the reference store remembers: plain dictionaries, and the two places where commands and outbox change."""

from dataclasses import dataclass, field, fields, replace

from commandpost.domain.audit import StoredAuditEntry
from commandpost.domain.command import Attempt, Command, CommandState, Transport
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device, KeyKind, Product, SealedKey
from commandpost.domain.dtls_association import KeptAssociation
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.events import EventKind, OutboxEvent
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Remote, Session
from commandpost.stores.command_rules import is_told
from commandpost.stores.memory.kept import DataState, KeyRing, TopicState
from commandpost.stores.memory.push_state import PushState


@dataclass(slots=True)
class KeptSession:
    """A device's session row; it outlives going offline, so that the epoch never falls back."""

    session: Session
    is_online: bool

    @property
    def epoch(self) -> int:
        """The session's."""
        return self.session.epoch

    @property
    def last_heard_at(self) -> Instant:
        """The session's."""
        return self.session.last_heard_at


@dataclass(slots=True)
class KeptConnection:
    """The same of a device that connects over MQTT or EDP."""

    connection: Connection
    is_online: bool
    last_heard_at: Instant

    @property
    def epoch(self) -> int:
        """The connection's."""
        return self.connection.epoch


@dataclass(slots=True)
class MemoryState:
    """Everything. Dictionaries keep the order in which things came."""

    products: dict[ProductId, Product] = field(default_factory=dict)
    keys: dict[tuple[ProductId, KeyKind], SealedKey] = field(default_factory=dict)
    old_keys: dict[bytes, SealedKey] = field(default_factory=dict)
    """Replaced keys that have a time yet, by index."""
    devices: dict[DeviceId, Device] = field(default_factory=dict)
    sessions: dict[DeviceId, KeptSession | KeptConnection] = field(default_factory=dict)
    resources: dict[DeviceId, dict[int, DiscoveredObject]] = field(default_factory=dict)
    commands: dict[CommandId, Command] = field(default_factory=dict)
    attempts: dict[AttemptId, Attempt] = field(default_factory=dict)
    attempts_of: dict[CommandId, list[AttemptId]] = field(default_factory=dict)
    waiting: dict[DeviceId, dict[int, CommandId]] = field(default_factory=dict)
    """By seq, which is not always the order of the dictionary: a command may come back to waiting."""
    in_flight: dict[AttemptId, CommandId] = field(default_factory=dict)
    push: PushState = field(default_factory=PushState)
    key_ring: KeyRing = field(default_factory=KeyRing)
    data: DataState = field(default_factory=DataState)
    topics: TopicState = field(default_factory=TopicState)
    associations: dict[Remote, KeptAssociation] = field(default_factory=dict)
    audit: list[StoredAuditEntry] = field(default_factory=list)
    last_audit_number: int = 0
    last_product_id: int = 0
    last_device_id: int = 0
    last_seq: int = 0

    def become(self, other: "MemoryState") -> None:
        """Take over all that another state remembers."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def waiting_of(self, device_id: DeviceId) -> list[Command]:
        """A device's waiting commands in order of acceptance."""
        return [self.commands[command_id] for _, command_id in sorted(self.waiting.get(device_id, {}).items())]

    def payloads_in_flight(self, device_id: DeviceId) -> list[Command]:
        """A device's payloads in state sent or delivered, in order of acceptance."""
        open_ones = (self.commands[command_id] for command_id in self.in_flight.values())
        found = [each for each in open_ones if each.device_id == device_id and each.transport is not Transport.LWM2M]
        return sorted(found, key=lambda command: command.seq)

    def is_busy(self, device_id: DeviceId) -> bool:
        """Whether an LwM2M command of the device is in state sent (P4)."""
        return any(
            command.device_id == device_id
            and command.state is CommandState.SENT
            and command.transport is Transport.LWM2M
            for command in (self.commands[command_id] for command_id in self.in_flight.values())
        )

    def insert_command(self, command: Command, attempts: tuple[Attempt, ...] = ()) -> Command:
        """Give a new command its seq and take it in.

        Raises:
            StoreUnavailable: its id, or the id of an attempt, is there already.
        """
        if command.id in self.commands:
            raise StoreUnavailable(f"command {command.id.hex()} is there already")
        numbers = [attempt.id for attempt in attempts]
        if len(set(numbers)) < len(numbers) or any(number in self.attempts for number in numbers):
            raise StoreUnavailable(f"an attempt of command {command.id.hex()} is there already")
        self.last_seq += 1
        placed = replace(command, seq=self.last_seq)
        self.commands[placed.id] = placed
        self.attempts_of[placed.id] = []
        self._index(placed)
        for attempt in attempts:
            self.insert_attempt(replace(attempt, command_id=placed.id))
        return placed

    def update_command(self, command: Command, *, before: Command) -> None:
        """Put a command in place of what it was, and tell the outbox if that ended it."""
        self._unindex(before)
        self.commands[command.id] = command
        self._index(command)
        if is_told(command) and command.finished_at is not None:
            self.tell(command.product_id, command.device_id, EventKind.COMMAND_ENDED, command.finished_at, command.id)

    def delete_command(self, command: Command) -> None:
        """Forget a command and its attempts."""
        self._unindex(command)
        del self.commands[command.id]
        self.push.feedback.pop(command.id, None)
        for attempt_id in self.attempts_of.pop(command.id):
            del self.attempts[attempt_id]

    def insert_attempt(self, attempt: Attempt) -> None:
        """Take an attempt in; its id must be free. Its device is its command's."""
        if attempt.id in self.attempts:
            raise StoreUnavailable(f"attempt {attempt.id} is there already")
        self.attempts[attempt.id] = replace(attempt, device_id=self.commands[attempt.command_id].device_id)
        self.attempts_of[attempt.command_id].append(attempt.id)

    def tell(
        self,
        product_id: ProductId,
        device_id: DeviceId,
        kind: EventKind,
        at: Instant,
        command_id: CommandId | None = None,
        *,
        is_online: bool | None = None,
    ) -> None:
        """Put an event into the outbox for everybody who wants it."""
        event = OutboxEvent(
            product_id=product_id,
            device_id=device_id,
            kind=kind,
            at=at,
            command_id=command_id,
            is_online=is_online,
            told_at=at,
        )
        self.push.tell_wanting(event)

    def _index(self, command: Command) -> None:
        if command.state is CommandState.WAITING:
            self.waiting.setdefault(command.device_id, {})[command.seq] = command.id
        if command.current_attempt is not None:
            self.in_flight[command.current_attempt] = command.id

    def _unindex(self, command: Command) -> None:
        if command.state is CommandState.WAITING:
            of_device = self.waiting[command.device_id]
            del of_device[command.seq]
            if not of_device:
                del self.waiting[command.device_id]
        if command.current_attempt is not None:
            del self.in_flight[command.current_attempt]
