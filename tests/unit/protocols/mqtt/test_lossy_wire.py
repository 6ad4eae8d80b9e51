"""Two engines wired to each other, and the connection lost at every point.

QoS 1 arrives at least once and QoS 2 exactly once, both ways, and every sender hears of the delivery.
"""

from collections import Counter

import pytest

from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.connection import MqttConnection
from commandpost.protocols.mqtt.events import (
    ClientEvent,
    ConnectRequested,
    MessageDelivered,
    PublishReceived,
    ServerEvent,
)
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connect
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, outbound

MESSAGES = 3
UNLIMITED = 10_000
LIMITS = MqttLimits(inflight_max=2)  # so that some wait in the queue


class House:
    """A server and a device with a session on each side, and a wire that carries so many packets and then breaks."""

    def __init__(self, version: Version, qos: int) -> None:
        self.version = version
        self.server_session = MqttSession("d", limits=LIMITS)
        self.client_session = MqttSession("d", limits=LIMITS)
        self.is_known = False
        self.arrived: Counter[bytes] = Counter()
        self.delivered: Counter[object] = Counter()
        for number in range(MESSAGES):
            for name, session in (("up", self.client_session), ("down", self.server_session)):
                payload = f"{name}{number}".encode()
                assert session.enqueue(outbound(payload, qos=qos, tag=payload))

    def connect(self, *, packets_max: int) -> int:
        """Let the device connect and everything run until it stands still or the wire breaks; give what was carried."""
        server = MqttServerConnection(limits=LIMITS, now=0.0)
        client = MqttClientConnection(limits=LIMITS, now=0.0)
        properties = Properties(session_expiry_s=3_600) if self.version is Version.V5 else NO_PROPERTIES
        connect = Connect(version=self.version, client_id="d", clean_start=False, properties=properties)
        client.connect(connect, self.client_session, now=0.0)
        carried = 0
        while chunks := [(server, chunk) for chunk in client.bytes_to_send()] + [
            (client, chunk) for chunk in server.bytes_to_send()
        ]:
            for taker, chunk in chunks:
                if carried == packets_max:
                    client.connection_lost()
                    server.connection_lost()
                    return carried
                carried += 1
                taker.receive_bytes(chunk, now=0.0)
                self._drain(taker)
        return carried

    def _drain(self, taker: MqttServerConnection | MqttClientConnection) -> None:
        while (event := self._next(taker)) is not None:
            if isinstance(event, ConnectRequested):
                assert isinstance(taker, MqttServerConnection)
                is_known, self.is_known = self.is_known, True
                taker.accept(self.server_session, session_present=is_known, keepalive_s=0, now=0.0)
            elif isinstance(event, PublishReceived):
                self.arrived[event.payload] += 1
                assert event.handle is not None
                taker.acknowledge(event.handle)
            elif isinstance(event, MessageDelivered):
                self.delivered[event.tag] += 1

    @staticmethod
    def _next(taker: MqttConnection[ServerEvent] | MqttConnection[ClientEvent]) -> ServerEvent | ClientEvent | None:
        return taker.next_event()


ALL = {f"{name}{number}".encode() for name in ("up", "down") for number in range(MESSAGES)}


def judge(house: House, qos: int) -> None:
    assert set(house.arrived) == ALL
    assert dict.fromkeys(ALL, 1) == house.delivered
    if qos == 2:
        assert set(house.arrived.values()) == {1}
    for session in (house.client_session, house.server_session):
        assert session.pending_count == 0
        assert session.queued_bytes == 0
        assert session.inbound_ids is None


@pytest.mark.parametrize("version", BOTH_VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_a_wire_that_holds_carries_every_message_once(version: Version, qos: int) -> None:
    """In order, too."""
    house = House(version, qos)

    house.connect(packets_max=UNLIMITED)

    judge(house, qos)
    assert set(house.arrived.values()) == {1}
    assert [payload for payload in house.arrived if payload.startswith(b"up")] == [b"up0", b"up1", b"up2"]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_a_wire_that_breaks_anywhere_loses_nothing(version: Version, qos: int) -> None:
    """Whatever packet is the one that is lost."""
    total = House(version, qos).connect(packets_max=UNLIMITED)
    assert total == 2 + 2 * MESSAGES * 2 * qos  # CONNECT and CONNACK; a message takes two packets, or four
    for carried in range(total):
        house = House(version, qos)

        house.connect(packets_max=carried)
        house.connect(packets_max=UNLIMITED)

        judge(house, qos)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_a_wire_that_breaks_twice_loses_nothing(version: Version, qos: int) -> None:
    """At every second pair of points."""
    total = House(version, qos).connect(packets_max=UNLIMITED)
    for first in range(total):
        for second in range(first % 2, total, 2):
            house = House(version, qos)

            house.connect(packets_max=first)
            house.connect(packets_max=second)
            house.connect(packets_max=UNLIMITED)

            judge(house, qos)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_server_that_forgot_the_session_is_forgotten_too(version: Version) -> None:
    """What was on its way is lost, and its owner told; what had not begun arrives."""
    house = House(version, 2)
    house.connect(packets_max=3)
    house.server_session = MqttSession("d", limits=LIMITS)
    house.is_known = False

    house.connect(packets_max=UNLIMITED)

    assert house.client_session.pending_count == 0
    assert house.arrived[b"up2"] == 1
    assert house.delivered[b"up2"] == 1
    assert house.delivered[b"up0"] == 0
