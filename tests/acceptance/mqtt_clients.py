"""MQTT devices of other people's making, paho and gmqtt, as tests want them: every wait has an end.

And the packets of tests that say every byte themselves. Source: OASIS MQTT 3.1.1; southbound reference 5.1, 5.2.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import gmqtt  # type: ignore[import-untyped]  # it has no types
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.acceptance.stream_house import WAIT_S, RawStream, StreamDevice

V3 = MQTTProtocolVersion.MQTTv311
V5 = MQTTProtocolVersion.MQTTv5
ACCEPTED = "20 02 00 00"
QUIET_S = 0.3  # what comes at all comes within a few milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message as a client saw it."""

    topic: str
    payload: bytes
    qos: int
    is_retained: bool = False


class PahoDevice:
    """A paho client that logs in as a device."""

    def __init__(
        self,
        address: tuple[str, int],
        device: StreamDevice,
        *,
        version: MQTTProtocolVersion = V3,
        is_clean: bool = True,
        session_expiry_s: int = 0,
        tls: ssl.SSLContext | None = None,
        answers: bool = False,
        acknowledges: bool = True,
    ) -> None:
        is_5 = version == V5
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=device.id,
            clean_session=None if is_5 else is_clean,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=not acknowledges,
        )
        self.client.username_pw_set(device.product_id, device.secret)
        if tls is not None:
            self.client.tls_set_context(tls)
        self.messages: SimpleQueue[Arrival] = SimpleQueue()
        self.answers = answers
        self.is_session_present = False
        self.code: ReasonCode | None = None
        self._address = address
        self._is_clean = is_clean
        self._session_expiry_s = session_expiry_s
        self._connected = threading.Event()
        self._ended = threading.Event()
        self._granted: SimpleQueue[list[int]] = SimpleQueue()
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda client, data, mid, codes, more: self._granted.put([c.value for c in codes])
        self.client.on_unsubscribe = lambda client, data, mid, codes, more: self._granted.put([c.value for c in codes])

    # --- the connection ---------------------------------------------------------------------------------------------

    def connect(self) -> ReasonCode:
        """Log in; gives what the CONNACK said."""
        properties = None
        if self.client.protocol == V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # of paho
            properties.SessionExpiryInterval = self._session_expiry_s
            self.client.connect(*self._address, keepalive=60, clean_start=self._is_clean, properties=properties)
        else:
            self.client.connect(*self._address, keepalive=60)
        self.client.loop_start()
        assert self._connected.wait(WAIT_S), "no CONNACK"
        assert self.code is not None
        return self.code

    def close(self) -> None:
        """Say goodbye, and end the thread."""
        self.client.disconnect()
        assert self._ended.wait(WAIT_S)
        self.client.loop_stop()

    def wait_ended(self) -> None:
        """Wait until the server has ended the connection."""
        assert self._ended.wait(WAIT_S), "the connection is still there"
        self.client.loop_stop()

    @property
    def is_ended(self) -> bool:
        """Whether the connection is over."""
        return self._ended.is_set()

    # --- messages ---------------------------------------------------------------------------------------------------

    def subscribe(self, topic_filter: str, qos: int = 0, options: SubscribeOptions | None = None) -> int:
        """Subscribe; gives the code of the SUBACK, which is a refusal from 0x80 on."""
        if options is not None:
            self.client.subscribe(topic_filter, options=options)
        else:
            self.client.subscribe(topic_filter, qos)
        return self._granted.get(timeout=WAIT_S)[0]

    def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe, and wait for the UNSUBACK."""
        self.client.unsubscribe(topic_filter)
        self._granted.get(timeout=WAIT_S)

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Publish; with QoS 1 and 2 it is acknowledged when this returns."""
        sent = self.client.publish(topic, payload, qos, retain=retain)
        sent.wait_for_publish(WAIT_S)
        assert sent.is_published(), "no acknowledgement"

    def next_message(self, timeout_s: float = WAIT_S) -> Arrival:
        """Give the next message."""
        try:
            return self.messages.get(timeout=timeout_s)
        except Empty:
            raise AssertionError("no message came") from None

    def next_payload(self) -> bytes:
        """Give what the next message says."""
        return self.next_message().payload

    def expect_nothing_before(self, topic: str) -> None:
        """Be sure that nothing waits: publish a message to oneself, and see that it is the next one."""
        self.publish(topic, b"nothing before this", 1)
        arrival = self.next_message()
        assert arrival.payload == b"nothing before this", arrival

    def skip_until_own(self, topic: str) -> None:
        """Leave behind what has come so far, up to a message to oneself."""
        self.publish(topic, b"from here on", 1)
        while self.next_payload() != b"from here on":
            pass

    # --- paho's callbacks, on its thread ------------------------------------------------------------------------------

    # Any: paho's user data, which is not used
    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self.code, self.is_session_present = code, flags.session_present
        self._connected.set()

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._ended.set()

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self.messages.put(
            Arrival(topic=message.topic, payload=bytes(message.payload), qos=message.qos, is_retained=message.retain)
        )
        if self.answers and message.topic.startswith("$creq/"):
            client.publish(
                "$crsp/" + message.topic.removeprefix("$creq/"), b"answer to " + message.payload, message.qos
            )


@contextmanager
def paho(address: tuple[str, int], device: StreamDevice, **wishes: Any) -> Iterator[PahoDevice]:
    """A paho client that is logged in; `wishes` are those of PahoDevice."""
    client = PahoDevice(address, device, **wishes)
    assert client.connect().value == 0, client.code
    try:
        yield client
    finally:
        if not client.is_ended:
            client.close()


class GmqttDevice:
    """A gmqtt client, MQTT 5, that logs in as a device."""

    def __init__(self, device: StreamDevice) -> None:
        self.client = gmqtt.Client(device.id, clean_session=True)
        self.client.set_auth_credentials(device.product_id, device.secret)
        self.client.set_config({"reconnect_retries": 0})
        self.messages: asyncio.Queue[Arrival] = asyncio.Queue()
        self.codes: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda client, mid, codes, properties: self.codes.put_nowait(tuple(codes))

    def _on_message(self, client: object, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        # Any: gmqtt's own dictionary
        arrival = Arrival(topic=topic, payload=bytes(payload), qos=qos, is_retained=bool(properties["retain"]))
        self.messages.put_nowait(arrival)
        return 0

    async def next_message(self) -> Arrival:
        """Give the next message."""
        return await asyncio.wait_for(self.messages.get(), WAIT_S)

    async def subscribe(self, topic_filter: str, qos: int) -> tuple[int, ...]:
        """Subscribe; gives the codes of the SUBACK."""
        self.client.subscribe(topic_filter, qos)
        return await asyncio.wait_for(self.codes.get(), WAIT_S)


# --- raw -------------------------------------------------------------------------------------------------------------


def text(value: str | bytes) -> bytes:
    """A string of the wire: its length in two bytes, then its bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def connect_packet(
    device: StreamDevice,
    *,
    flags: int = 0xC2,
    keepalive_s: int = 120,
    level: int = 4,
    name: str = "MQTT",
    will: tuple[str, bytes] | None = None,
    secret: str | None = None,
) -> bytes:
    """A CONNECT as in southbound reference 5.1; `flags` say which of its parts are there."""
    body = text(name) + bytes((level, flags)) + keepalive_s.to_bytes(2, "big")
    body += (b"\0" if level == 5 else b"") + text(device.id)
    if will is not None:
        body += (b"\0" if level == 5 else b"") + text(will[0]) + text(will[1])
    body += text(device.product_id) if flags & 0x80 else b""
    body += text(device.secret if secret is None else secret) if flags & 0x40 else b""
    return packet(0x10, body)


def packet(first: int, body: bytes) -> bytes:
    """A packet of less than 16,384 bytes."""
    length = len(body)
    return bytes((first, length)) + body if length < 0x80 else bytes((first, length & 0x7F | 0x80, length >> 7)) + body


@contextmanager
def raw_device(address: tuple[str, int], device: StreamDevice, **parts: Any) -> Iterator[RawStream]:
    """A stream on which a device has logged in; `parts` are those of connect_packet."""
    stream = RawStream(address)
    try:
        stream.send(connect_packet(device, **parts))
        assert stream.packet().hex(" ") in (ACCEPTED, "20 02 01 00"), "the login was refused"
        yield stream
    finally:
        stream.close()


def eventually_ends(stream: RawStream, after: Callable[[], object] | None = None) -> bytes:
    """Do something, and wait until the other side has ended the stream; gives what it still said."""
    if after is not None:
        after()
    return stream.rest()
