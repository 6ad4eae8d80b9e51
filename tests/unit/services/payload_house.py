"""The services around payloads over the memory store, and connections that do as they are told."""

from collections.abc import Coroutine
from dataclasses import dataclass, field

from commandpost.domain.command import Command, CommandState, Transport
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device, Product
from commandpost.domain.ids import AttemptId, CommandId
from commandpost.domain.payload_facts import ReplyToPayload
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.ports import CommandRecord
from commandpost.domain.proof import Proof, ProofKind, fingerprint_auth_info
from commandpost.domain.session import Remote
from commandpost.services.connections import Connections
from commandpost.services.devices import NewDevice
from commandpost.services.payload_dispatcher import PayloadDispatcher
from commandpost.services.payloads import PayloadRequest, Payloads, PayloadSettings
from tests.unit.services.house import House

HERE = Remote(b"here")


@dataclass(eq=False)
class FakeChannel:
    """A connection of a device, as the transport would hold it."""

    sent: list[PayloadTransmission] = field(default_factory=list)
    settled: list[AttemptId] = field(default_factory=list)
    is_taken_over: bool = False
    is_removed: bool = False
    revoked: ProofKind | None = None
    takes_all: bool = True
    """False: what is handed to it can never be sent."""

    def transmit(self, transmission: PayloadTransmission) -> bool:
        if self.takes_all:
            self.sent.append(transmission)
        return self.takes_all

    def settle(self, attempt_id: AttemptId) -> None:
        self.settled.append(attempt_id)

    def take_over(self) -> None:
        self.is_taken_over = True

    def remove(self) -> None:
        self.is_removed = True

    def revoke(self, kind: ProofKind) -> None:
        self.revoked = kind

    @property
    def payloads(self) -> list[bytes]:
        """What was sent, in order."""
        return [each.payload.payload for each in self.sent]

    def attempt(self, payload: bytes) -> AttemptId:
        """The newest attempt that carried a payload."""
        return [each.attempt_id for each in self.sent if each.payload.payload == payload][-1]


class PayloadHouse(House):
    """A House with devices that connect; a second one stands on the store of the first: a restart."""

    def __init__(self, *, before: "PayloadHouse | None" = None, settings: PayloadSettings | None = None) -> None:
        super().__init__(before=before)
        self.payload_dispatcher = PayloadDispatcher(
            writer=self.writer,
            ids=self.ids,
            clock=self.clock,
            scheduler=self.scheduler,
            start_id=self.start_id,
            events=self.events,
        )
        self.connections = Connections(
            writer=self.writer,
            dispatcher=self.payload_dispatcher,
            clock=self.clock,
            scheduler=self.scheduler,
            start_id=self.start_id,
            events=self.events,
        )
        self.payloads = Payloads(
            writer=self.writer,
            reader=self.store,
            payloads=self.store,
            connections=self.connections,
            dispatcher=self.payload_dispatcher,
            ids=self.ids,
            clock=self.clock,
            settings=settings or PayloadSettings(),
        )

    async def add_product_with_device(self, protocol: str = "MQTT") -> tuple[Product, Device]:
        """Give a product with a device that connects."""
        product = (await self.do(self.products.create(name="payloads"))).product
        new = NewDevice(protocol=protocol, title="m", auth_info='"secret-of-m"')
        return product, await self.do(self.devices.create(product, new))

    def open(
        self, device: Device, channel: FakeChannel, *, proof: Proof | None = None, changes_seen: int | None = None
    ) -> Coroutine[object, object, Connection | None]:
        """Let a device in, by its auth_info if nothing else is said."""
        by_auth_info = Proof(kind=ProofKind.AUTH_INFO, fingerprint=fingerprint_auth_info(device.auth_info))
        seen = self.connections.changes_seen if changes_seen is None else changes_seen
        return self.connections.open(
            device,
            Transport.MQTT,
            channel,
            proof=proof or by_auth_info,
            changes_seen=seen,
            remote=HERE,
            keepalive_s=120,
        )

    async def connect(
        self, device: Device, *, begins: bool = True, proof: Proof | None = None
    ) -> tuple[Connection, FakeChannel]:
        """Log a device in; its payloads follow at once, unless `begins` is False."""
        channel = FakeChannel()
        connection = await self.do(self.open(device, channel, proof=proof))
        assert connection is not None
        if begins:
            self.connections.begin(connection)
            await self.settle()
        return connection, channel

    async def send(
        self, product: Product, device: Device, payload: bytes, *, qos: int = 0, timeout_s: int = 0, kind: int = 0
    ) -> Command:
        """Have a payload accepted, and let happen what needs no time."""
        request = PayloadRequest(payload=payload, qos=qos, timeout_s=timeout_s, kind=kind)
        command = await self.do(self.payloads.submit(product, device, request))
        await self.settle()
        return command

    async def reply(self, device: Device, command: CommandId, payload: bytes) -> object:
        """Let a device reply to a payload; gives what the store made of it."""
        fact = ReplyToPayload(device_id=device.id, command_id=command, payload=payload, at=self.clock.wall_ms())
        return await self.do(self.writer.perform(fact))

    def after_crash(self) -> "PayloadHouse":
        """Give a new server over what this one has on disk; this one is dead."""
        return PayloadHouse(before=self)

    async def record(self, product: Product, command: Command) -> CommandRecord:
        """Read a payload command as it is now."""
        return await self.payloads.find(product, command.id)

    async def state(self, product: Product, command: Command) -> CommandState:
        """Read a payload command's state as it is now."""
        return (await self.record(product, command)).command.state
