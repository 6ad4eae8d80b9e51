"""A platform that does what the test says: the other side of a simulated MQTT or EDP device, in virtual time.

It lets in whoever comes, notes what it hears, and sends what it is told to. The server engines do the bytes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from commandpost.domain.instant import Instant
from commandpost.protocols.data_report import DataReport, decode_dp
from commandpost.protocols.edp import events as edp
from commandpost.protocols.edp.close_codes import CloseCode, LoginCode
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.edp.messages import LoginRequest
from commandpost.protocols.mqtt import events as mqtt
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage
from commandpost.simulation.edp_device import EdpDeviceClient
from commandpost.simulation.mqtt_device import MqttDeviceClient, MqttLogin
from commandpost.simulation.stream_behaviours import StreamBehaviour
from commandpost.simulation.stream_client import StreamClient
from commandpost.simulation.stream_device import StreamDevice
from commandpost.simulation.stream_device_settings import StreamDeviceSettings
from commandpost.simulation.stream_link import StreamOwner
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually

DELAY_S = 0.01  # each way
START = Instant(1_700_000_000_000)
KEEPALIVE_S = 60
COMMAND_ID = "81572aae-fc34-5deb-8f06-ab45d73cb12b"
SETTINGS = StreamDeviceSettings()


class StreamPlatform(ABC):
    """What both protocols' platforms have in common: a stream, notes, and a scripted answer to logins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.lets_in = True
        self.logins: list[float] = []
        """When each login came."""
        self.reports: list[tuple[float, DataReport]] = []
        self.answers: list[tuple[float, str, bytes]] = []
        self.delivered: list[object] = []
        """Ids of commands the device acknowledged."""
        self.closes: list[str] = []
        self.received = b""
        """Everything the last connection has sent."""
        self.send_to_device: Callable[[bytes], None] = lambda _: None
        self.end_for_device: Callable[[], None] = lambda: None

    def opened(self) -> None:
        """A stream is there."""
        self.received = b""
        self.begin()

    def receive(self, data: bytes) -> None:
        self.received += data
        self.feed(data)
        self.drive()

    def drive(self) -> None:
        is_over = self.take_events()
        data = self.take_output()
        if data:
            self.send_to_device(data)
        if is_over:
            self.end_for_device()
            return
        at = self.next_deadline()
        if at is not None:
            self.loop.call_at(at, self._on_deadline)

    def _on_deadline(self) -> None:
        at = self.next_deadline()
        if at is not None and at <= self.loop.time():
            self.handle_deadline()
            self.drive()

    @abstractmethod
    def begin(self) -> None: ...
    @abstractmethod
    def feed(self, data: bytes) -> None: ...
    @abstractmethod
    def take_events(self) -> bool: ...
    @abstractmethod
    def take_output(self) -> bytes: ...
    @abstractmethod
    def next_deadline(self) -> float | None: ...
    @abstractmethod
    def handle_deadline(self) -> None: ...
    @abstractmethod
    def lost(self) -> None: ...
    @abstractmethod
    def command(self, payload: bytes, *, command_id: str = COMMAND_ID) -> None: ...
    @abstractmethod
    def message(self, payload: bytes) -> None: ...
    @abstractmethod
    def kick(self) -> None: ...


class MqttPlatform(StreamPlatform):
    engine: MqttServerConnection
    keeps_sessions = False
    acknowledges = True
    session: MqttSession | None = None

    def begin(self) -> None:
        self.engine = MqttServerConnection(limits=MqttLimits(), now=self.loop.time())

    def feed(self, data: bytes) -> None:
        self.engine.receive_bytes(data, now=self.loop.time())

    def take_output(self) -> bytes:
        return b"".join(self.engine.bytes_to_send())

    def next_deadline(self) -> float | None:
        return self.engine.next_deadline()

    def handle_deadline(self) -> None:
        self.engine.handle_deadline(now=self.loop.time())

    def lost(self) -> None:
        self.engine.connection_lost()
        self.take_events()

    def take_events(self) -> bool:
        while (event := self.engine.next_event()) is not None:
            match event:
                case mqtt.ConnectRequested():
                    self._on_connect(event)
                case mqtt.PublishReceived(topic="$dp"):
                    self.reports.append((self.loop.time(), decode_dp(event.payload)))
                    self._acknowledge(event)
                case mqtt.PublishReceived():
                    self.answers.append((self.loop.time(), event.topic.removeprefix("$crsp/"), event.payload))
                    self._acknowledge(event)
                case mqtt.MessageDelivered(tag=tag):
                    self.delivered.append(tag)
                case mqtt.ConnectionClosed(reason=reason):
                    self.closes.append(reason.value)
                    return True
                case _:
                    pass
        return False

    def _on_connect(self, event: mqtt.ConnectRequested) -> None:
        now = self.loop.time()
        self.logins.append(now)
        if not self.lets_in:
            self.engine.refuse(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
            return
        is_present = self.session is not None and self.keeps_sessions
        if self.session is None or not is_present:
            self.session = MqttSession(event.client_id, limits=MqttLimits())
        self.engine.accept(self.session, session_present=is_present, keepalive_s=event.keepalive_s, now=now)

    def _acknowledge(self, event: mqtt.PublishReceived) -> None:
        if event.handle is not None and self.acknowledges:
            self.engine.acknowledge(event.handle)

    def command(self, payload: bytes, *, command_id: str = COMMAND_ID) -> None:
        topic = f"$creq/{command_id}"
        message = OutboundMessage(topic=topic, payload=payload, qos=1, tag=command_id, survives=False)
        assert self.engine.publish(message, now=self.loop.time())
        self.drive()

    def message(self, payload: bytes) -> None:
        message = OutboundMessage(topic="rooms/1", payload=payload, qos=1, tag="message")
        assert self.engine.publish(message, now=self.loop.time())
        self.drive()

    def kick(self) -> None:
        self.engine.disconnect(ReasonCode.SESSION_TAKEN_OVER)
        self.drive()


class EdpPlatform(StreamPlatform):
    engine: EdpServerConnection

    def begin(self) -> None:
        self.engine = EdpServerConnection(limits=EdpLimits(), now=self.loop.time())

    def feed(self, data: bytes) -> None:
        self.engine.receive_bytes(data, now=self.loop.time())

    def take_output(self) -> bytes:
        return self.engine.bytes_to_send()

    def next_deadline(self) -> float | None:
        return self.engine.next_deadline()

    def handle_deadline(self) -> None:
        self.engine.handle_deadline(now=self.loop.time())

    def lost(self) -> None:
        self.engine.receive_end()
        self.take_events()

    def take_events(self) -> bool:
        while (event := self.engine.next_event()) is not None:
            match event:
                case edp.LoginRequested():
                    self.logins.append(self.loop.time())
                    if self.lets_in:
                        self.engine.accept(now=self.loop.time())
                    else:
                        self.engine.refuse(LoginCode.PRODUCT_AUTH_FAILED)
                case edp.DataSaved(handle=handle, report=report):
                    self.reports.append((self.loop.time(), report))
                    self.engine.acknowledge(handle, is_saved=True)
                case edp.CommandAnswered(command_id=command_id, payload=payload):
                    self.answers.append((self.loop.time(), command_id, payload))
                case edp.ConnectionClosed(reason=reason):
                    self.closes.append(reason.value)
                    return True
                case _:
                    pass
        return False

    def command(self, payload: bytes, *, command_id: str = COMMAND_ID) -> None:
        assert self.engine.send_command(command_id, payload)
        self.drive()

    def message(self, payload: bytes) -> None:
        assert self.engine.push_data("8029377", payload)
        self.drive()

    def kick(self) -> None:
        self.engine.close(CloseCode.LOGGED_IN_ELSEWHERE)
        self.drive()


class MemoryStreamLink:
    """A StreamLink to a StreamPlatform; what is not read waits, as in an operating system."""

    def __init__(self, loop: asyncio.AbstractEventLoop, platform: StreamPlatform) -> None:
        self._loop = loop
        self._platform = platform
        self._owner: StreamOwner | None = None
        self._number = 0
        self._is_open = False
        self._is_reading = True
        self.unread = b""
        self.is_there = True
        """Whether a server answers the opening of a stream."""

    def listen(self, owner: StreamOwner) -> None:
        self._owner = owner

    def open(self) -> None:
        self._number += 1
        self._later(self._opened)

    def write(self, data: bytes) -> None:
        if self._is_open:
            self._later(self._platform.receive, data)

    def set_reading(self, *, is_on: bool) -> None:
        self._is_reading = is_on
        if is_on and self.unread:
            data, self.unread = self.unread, b""
            self._later(self._deliver, data)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            # Whatever was written before arrives before.
            self._loop.call_later(DELAY_S, self._platform.lost)
        self._number += 1

    def abort(self) -> None:
        self.close()

    def _later(self, act: Callable[..., object], *arguments: Any) -> None:  # Any: what `act` takes
        number = self._number

        def come() -> None:
            if act == self._platform.receive or number == self._number:
                act(*arguments)

        self._loop.call_later(DELAY_S, come)

    def _opened(self) -> None:
        assert self._owner is not None
        if not self.is_there:
            self._owner.stream_ended()
            return
        self._is_open = self._is_reading = True
        self.unread = b""
        self._platform.send_to_device = lambda data: self._later(self._deliver, data)
        self._platform.end_for_device = lambda: self._later(self._ended)
        self._platform.opened()
        self._owner.stream_opened()

    def _deliver(self, data: bytes) -> None:
        assert self._owner is not None
        if self._is_reading:
            self._owner.stream_received(data)
        else:
            self.unread += data

    def _ended(self) -> None:
        assert self._owner is not None
        self._is_open = False
        self._owner.stream_ended()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way of speaking: the device's program, and the platform that understands it."""

    name: str
    client: Callable[[], StreamClient] = field(repr=False)
    platform: type[StreamPlatform] = field(repr=False)

    def __str__(self) -> str:
        return self.name


MQTT_LOGIN = MqttLogin(device_id="8029377", product_id="433223", password=b"authinfo1", keepalive_s=KEEPALIVE_S)
EDP_LOGIN = LoginRequest(device_id="", product_id="433223", auth=b"authinfo1", keepalive_s=KEEPALIVE_S)
MQTT = Dialect(name="mqtt", client=lambda: MqttDeviceClient(MQTT_LOGIN), platform=MqttPlatform)
MQTT_5 = Dialect(
    name="mqtt5", client=lambda: MqttDeviceClient(replace(MQTT_LOGIN, version=Version.V5)), platform=MqttPlatform
)
EDP = Dialect(name="edp", client=lambda: EdpDeviceClient(EDP_LOGIN), platform=EdpPlatform)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStage:
    """One device and its platform, in virtual time."""

    loop: VirtualLoop
    platform: StreamPlatform
    device: StreamDevice
    link: MemoryStreamLink

    async def connected(self) -> None:
        """Switch the device on and let it log in."""
        self.device.start()
        await asyncio.sleep(1)
        assert self.device.counters.logins == 1


def on_stream_stage(
    story: Callable[[StreamStage], Coroutine[Any, Any, None]],
    dialect: Dialect,
    *,
    settings: StreamDeviceSettings = SETTINGS,
    behaviour: StreamBehaviour = StreamBehaviour.NORMAL,
) -> StreamStage:
    """Play a story and give the stage as it was left."""
    loop = VirtualLoop()
    platform = dialect.platform(loop)
    link = MemoryStreamLink(loop, platform)
    device = StreamDevice(
        settings=replace(settings, behaviour=behaviour),
        client=dialect.client(),
        link=link,
        scheduler=loop,
        clock=VirtualClock(loop, start=START),
        random=Random(1),
    )
    stage = StreamStage(loop=loop, platform=platform, device=device, link=link)
    run_virtually(story(stage), loop=loop)
    return stage
