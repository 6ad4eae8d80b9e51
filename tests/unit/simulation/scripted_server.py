"""A server that does what the test says, on the memory network: the other side of a simulated device.

It registers whoever comes, notes what it hears, and sends what it is told to. The CoAP and LwM2M engines do the bytes.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

from commandpost.domain.instant import Instant
from commandpost.domain.operation import Lwm2mOperation
from commandpost.domain.ports import DatagramLink
from commandpost.domain.resource import OperationResult
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.protocols.coap.events import (
    Event,
    ExchangeEnded,
    RequestReceived,
    ResponseReceived,
    UnmatchedResponse,
)
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from commandpost.protocols.coap.parameters import EndpointLimits, TransmissionParameters
from commandpost.protocols.lwm2m.dialect import DeviceDialect
from commandpost.protocols.lwm2m.operations import OperationRun, RequestPurpose, SendNext, encode_operation
from commandpost.protocols.lwm2m.registration import (
    DeregisterRequest,
    RegisterRequest,
    UpdateRequest,
    parse_registration,
)
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.datagram_trace import DatagramTrace
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.memory_network import (
    PERFECT,
    MemoryLink,
    MemoryNetwork,
    NetworkConditions,
    memory_remote,
)
from commandpost.simulation.objects import DEVICE_MODEL
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually

SERVER = memory_remote("192.0.2.1", 5683)
START = Instant(1_700_000_000_000)
IMEI = "860000000000001"
IMSI = "460000000000001"
SETTINGS = DeviceSettings(imei=IMEI, imsi=IMSI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """One Register, Update, De-register or notification."""

    at_s: float
    remote: Remote
    kind: str
    message: CoapMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of an operation: code 0 means that the device said nothing usable."""

    code: int
    result: OperationResult | None = None
    payload: bytes = b""
    after_s: float = 0.0


class ScriptedServer:
    def __init__(self, link: DatagramLink, loop: asyncio.AbstractEventLoop, random: Random) -> None:
        self._link = link
        self._loop = loop
        self._endpoint = CoapEndpoint(
            parameters=TransmissionParameters(), limits=EndpointLimits(), random=Random(random.getrandbits(32))
        )
        self._random = random
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[ResponseReceived | ExchangeEnded]] = {}
        self.uplinks: list[Uplink] = []
        self.remote: Remote | None = None
        self.register_code: int = Code.CREATED
        self.update_code: int = Code.CHANGED
        self.resets_notifications = False
        link.listen(self._receive)

    def heard(self, kind: str) -> list[Uplink]:
        return [uplink for uplink in self.uplinks if uplink.kind == kind]

    async def perform(self, operation: Lwm2mOperation, *, timeout_s: float = 25.0) -> Answered:
        """Send an operation as the platform would and wait for its end."""
        run = OperationRun(encode_operation(operation, dialect=DeviceDialect(), model=DEVICE_MODEL), model=DEVICE_MODEL)
        began = self._loop.time()
        while True:
            end = await self.request(run.request, timeout_s=timeout_s, observes=run.purpose is RequestPurpose.OBSERVE)
            after_s = self._loop.time() - began
            if isinstance(end, ExchangeEnded):
                return Answered(code=0, after_s=after_s)
            step = run.on_answer(code=end.code, content_format=end.message.content_format, payload=end.payload)
            if not isinstance(step, SendNext):
                return Answered(code=step.code, result=step.result, payload=end.payload, after_s=after_s)

    async def request(
        self, request: Request, *, timeout_s: float = 25.0, observes: bool = False
    ) -> ResponseReceived | ExchangeEnded:
        assert self.remote is not None
        number = next(self._numbers)
        now = self._loop.time()
        token = (b"\x00\x00\x00\x07" if observes else b"") + self._random.getrandbits(32).to_bytes(4, "big")
        end: asyncio.Future[ResponseReceived | ExchangeEnded] = self._loop.create_future()
        self._waiting[number] = end
        self._endpoint.send_request(
            self.remote, request, exchange_id=number, token=token, deadline=now + timeout_s, now=now
        )
        self._drive()
        return await end

    def _receive(self, remote: Remote, datagram: bytes) -> None:
        self._endpoint.receive_datagram(datagram, remote, now=self._loop.time())
        self._drive()

    def _drive(self) -> None:
        while (event := self._endpoint.next_event()) is not None:
            self._on_event(event)
        for peer, datagram in self._endpoint.datagrams_to_send():
            assert isinstance(peer, bytes)
            self._link.send(Remote(peer), datagram)
        at = self._endpoint.next_deadline()
        if at is not None:
            self._loop.call_at(at, self._on_deadline)

    def _on_deadline(self) -> None:
        at = self._endpoint.next_deadline()
        if at is not None and at <= self._loop.time():
            self._endpoint.handle_deadline(now=self._loop.time())
            self._drive()

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._register(event)
            case ResponseReceived() | ExchangeEnded():
                self._waiting.pop(event.exchange_id).set_result(event)
            case UnmatchedResponse():
                self._note("notify", event.peer, event.message)
                if self.resets_notifications:
                    self._endpoint.reset(event.handle, now=self._loop.time())
                else:
                    self._endpoint.acknowledge(event.handle, now=self._loop.time())
            case _:
                pass

    def _register(self, event: RequestReceived) -> None:
        request = parse_registration(event.message)
        options: tuple[tuple[int, bytes], ...] = ()
        match request:
            case RegisterRequest():
                code, kind = self.register_code, "register"
                if code == Code.CREATED:
                    imei = (request.endpoint_name or "").partition(";")[0]
                    options = ((Option.LOCATION_PATH, b"rd"), (Option.LOCATION_PATH, imei.encode()))
            case UpdateRequest():
                code, kind = self.update_code, "update"
            case DeregisterRequest():
                code, kind = Code.DELETED, "deregister"
            case _:
                raise AssertionError(f"the device sent {event.message}")
        self._note(kind, event.peer, event.message)
        self._endpoint.respond(event.reply_to, code=code, options=options, now=self._loop.time())

    def _note(self, kind: str, peer: object, message: CoapMessage) -> None:
        assert isinstance(peer, bytes)
        self.remote = Remote(peer)
        self.uplinks.append(Uplink(at_s=self._loop.time(), remote=self.remote, kind=kind, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One device and its server, in virtual time."""

    loop: VirtualLoop
    clock: VirtualClock
    network: MemoryNetwork
    server: ScriptedServer
    device: SimulatedDevice
    link: MemoryLink

    async def registered(self) -> None:
        """Switch the device on and let it register."""
        self.device.start()
        await asyncio.sleep(1)
        assert self.device.location is not None


def on_stage(
    story: Callable[[Stage], Coroutine[Any, Any, None]],
    *,
    settings: DeviceSettings = SETTINGS,
    behaviour: Behaviour = Behaviour.NORMAL,
    conditions: NetworkConditions = PERFECT,
    seed: int = 1,
) -> Stage:
    """Play a story and give the stage as it was left."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, start=START)
    network = MemoryNetwork(
        scheduler=loop,
        clock=clock,
        random=Random(seed),
        conditions=conditions,
        trace=DatagramTrace(entries_kept_max=100_000),
    )
    server = ScriptedServer(network.bind(SERVER), loop, Random(seed + 1))
    link = network.bind()
    device = SimulatedDevice(
        settings=replace(settings, behaviour=behaviour) if behaviour is not Behaviour.NORMAL else settings,
        server=SERVER,
        link=link,
        scheduler=loop,
        clock=clock,
        random=Random(seed + 2),
    )
    stage = Stage(loop=loop, clock=clock, network=network, server=server, device=device, link=link)
    run_virtually(story(stage), loop=loop)
    return stage
