"""The CoAP side of a server on a virtual loop and a network in memory; its devices do exactly what a test says."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from commandpost.domain.command import Answer, AttemptEnd, DeliveryPolicy, Trigger
from commandpost.domain.ids import AttemptId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.ports import Transmission, Unencodable
from commandpost.domain.resource import ValueType
from commandpost.domain.session import Remote, Session
from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.protocols.coap.events import ReplyHandle, ResponseHandle
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.services.observations import Observations
from commandpost.simulation.memory_network import MemoryLink, MemoryNetwork, memory_remote
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually
from commandpost.southbound.coap_driver import CoapDriver, CoapHandler
from commandpost.southbound.lwm2m_downlink import Lwm2mDownlink
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.settings import CoapSettings
from tests.fakes.points import HeldPoints

ResultT = TypeVar("ResultT")

SERVER = memory_remote("192.0.2.1", 5683)
DEVICE_ID = DeviceId(7)
TOKEN = bytes.fromhex("00000007a1a2a3a4")
START = Instant(1_800_000_000_000)

MODEL = ObjectModel(
    (
        ObjectDefinition(
            id=3306,
            name="Actuation",
            version="1.0",
            is_multiple=True,
            resources={
                5850: ResourceDefinition(id=5850, name="On/Off", operations="RW", type=ValueType.BOOLEAN),
                5851: ResourceDefinition(id=5851, name="Dimmer", operations="RW", type=ValueType.INTEGER),
                5750: ResourceDefinition(id=5750, name="Application Type", operations="RW", type=ValueType.STRING),
            },
        ),
    )
)


def make_session(*, device_id: int = DEVICE_ID, remote: Remote | None = None, location: str = "1") -> Session:
    return Session(
        device_id=DeviceId(device_id),
        product_id=ProductId(1),
        epoch=1,
        endpoint_name="865820031234567;460040427001234",
        location=location,
        remote=remote,
        start_id=StartId(1),
        lifetime_s=300,
        registered_at=START,
        last_heard_at=START,
        deadline=Instant(START + 300_000),
        stored_deadline=Instant(START + 300_000),
    )


class HeardSessions:
    """The part of the sessions service a downlink talks to; it remembers who was heard."""

    def __init__(self) -> None:
        self.sessions: dict[DeviceId, Session] = {}
        self.heard: list[DeviceId] = []

    def find(self, device_id: DeviceId) -> Session | None:
        return self.sessions.get(device_id)

    def hear_answer(self, device_id: DeviceId) -> None:
        self.heard.append(device_id)


class RecordingAttempts:
    """Hears how attempts end."""

    def __init__(self) -> None:
        self.ends: list[AttemptEnd] = []
        self.late: list[tuple[AttemptId, Answer | None]] = []
        self._changed = asyncio.Event()

    def attempt_ended(self, end: AttemptEnd) -> None:
        self.ends.append(end)
        self._changed.set()

    def late_answer(self, attempt_id: AttemptId, answer: Answer | None) -> None:
        self.late.append((attempt_id, answer))
        self._changed.set()

    async def wait_for_end(self, count: int = 1) -> AttemptEnd:
        while len(self.ends) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.ends[-1]

    async def wait_for_late(self) -> tuple[AttemptId, Answer | None]:
        while not self.late:
            self._changed.clear()
            await self._changed.wait()
        return self.late[-1]


class RecordingEvents:
    """Hears the log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


class RecordingUplinks:
    """Hears uplinks, and how many datagrams had left the server by then."""

    def __init__(self) -> None:
        self.uplinks: list[tuple[DeviceId, Trigger]] = []
        self.on_uplink: Callable[[Session, Trigger], object] | None = None

    def uplink(self, session: Session, trigger: Trigger) -> None:
        self.uplinks.append((session.device_id, trigger))
        if self.on_uplink is not None:
            self.on_uplink(session, trigger)


class RawDevice:
    """A device that sends what it is told to and keeps what it gets."""

    def __init__(self, link: MemoryLink, server: Remote = SERVER) -> None:
        self.link = link
        self._server = server
        self.received: list[CoapMessage] = []
        self._inbox: asyncio.Queue[CoapMessage] = asyncio.Queue()
        self.answer_with: Callable[[CoapMessage], CoapMessage | None] | None = None
        link.listen(self._on_datagram)

    @property
    def remote(self) -> Remote:
        return self.link.address

    def send(self, message: CoapMessage | bytes) -> None:
        self.link.send(self._server, message if isinstance(message, bytes) else encode(message))

    async def receive(self) -> CoapMessage:
        return await self._inbox.get()

    def _on_datagram(self, _remote: Remote, datagram: bytes) -> None:
        message = decode(datagram)
        self.received.append(message)
        answer = self.answer_with(message) if self.answer_with is not None else None
        if answer is not None:
            self.send(answer)
        else:
            self._inbox.put_nowait(message)


def piggybacked(
    request: CoapMessage, code: int, *, options: tuple[tuple[int, bytes], ...] = (), payload: bytes = b""
) -> CoapMessage:
    """The answer inside the ACK."""
    return CoapMessage(
        type=MessageType.ACK,
        code=code,
        message_id=request.message_id,
        token=request.token,
        options=options,
        payload=payload,
    )


def separate(
    request: CoapMessage,
    code: int,
    *,
    message_id: int,
    type: MessageType = MessageType.CON,
    options: tuple[tuple[int, bytes], ...] = (),
    payload: bytes = b"",
) -> CoapMessage:
    """The answer as a message of its own."""
    return CoapMessage(
        type=type, code=code, message_id=message_id, token=request.token, options=options, payload=payload
    )


def empty(type: MessageType, message_id: int) -> CoapMessage:
    return CoapMessage(type=type, code=0, message_id=message_id)


class AnswersOnly:
    """Expects nothing but answers; those that belong to nothing are kept."""

    def __init__(self) -> None:
        self.unmatched: list[CoapMessage] = []

    def request_received(self, _remote: Remote, message: CoapMessage, _reply_to: ReplyHandle) -> None:
        raise AssertionError(f"no request was to come: {message}")

    def response_unmatched(self, _remote: Remote, message: CoapMessage, _handle: ResponseHandle) -> None:
        self.unmatched.append(message)


class Bench:
    """One server side and its network."""

    def __init__(
        self, *, settings: CoapSettings | None = None, seed: int = 1, handler: CoapHandler | None = None
    ) -> None:
        self.settings = settings or CoapSettings()
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start=START)
        self.network = MemoryNetwork(scheduler=self.loop, clock=self.clock, random=Random(seed))
        self.link = self.network.bind(SERVER)
        self.driver = CoapDriver(
            endpoint=CoapEndpoint(
                parameters=self.settings.transmission_parameters(),
                limits=self.settings.endpoint_limits(),
                random=Random(seed + 1),
            ),
            link=self.link,
            clock=self.clock,
            scheduler=self.loop,
            known_peers_max=self.settings.known_peers_max,
            known_peer_idle_s=self.settings.known_peer_idle_s,
        )
        self.heard = HeardSessions()
        self.events = RecordingEvents()
        self.points = HeldPoints()
        self.reports = Lwm2mReports(
            observations=Observations(points=self.points, events=self.events), model=MODEL, clock=self.clock
        )
        self.downlink = Lwm2mDownlink(
            driver=self.driver,
            sessions=self.heard,
            model=MODEL,
            clock=self.clock,
            settings=self.settings,
            reports=self.reports,
        )
        self.attempts = RecordingAttempts()
        self.downlink.listen(self.attempts)
        if handler is not None:
            self.driver.serve(handler)

    def run(self, scenario: Coroutine[Any, Any, ResultT]) -> ResultT:  # Any: asyncio's own
        return run_virtually(scenario, loop=self.loop)

    def device(self) -> RawDevice:
        return RawDevice(self.network.bind())

    def transmit(
        self,
        operation: Lwm2mOperation,
        remote: Remote,
        *,
        attempt_id: int = 1,
        token: bytes = TOKEN,
        timeout_s: float = 25.0,
        delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE,
        session: Session | None = None,
    ) -> None:
        prepared = self.downlink.prepare(operation, session or make_session(remote=remote))
        assert not isinstance(prepared, Unencodable), prepared.reason
        self.downlink.transmit(
            prepared,
            self.transmission(remote, attempt_id=attempt_id, token=token, timeout_s=timeout_s, delivery=delivery),
        )

    def transmission(
        self,
        remote: Remote,
        *,
        attempt_id: int = 1,
        token: bytes = TOKEN,
        timeout_s: float = 25.0,
        delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE,
    ) -> Transmission:
        return Transmission(
            attempt_id=AttemptId(attempt_id),
            device_id=DEVICE_ID,
            remote=remote,
            coap_token=token,
            deadline=self.clock.monotonic() + timeout_s,
            delivery=delivery,
        )
