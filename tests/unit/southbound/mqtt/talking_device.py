"""A device that talks to an MqttPeer as its engine has it: it takes what it is sent, and acknowledges when told to."""

from commandpost.domain.device import Device
from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.events import PublishReceived
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connect, SubscriptionEntry, SubscriptionOptions
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.southbound.stream_house import SECRET, Streams

PINGREQ = bytes.fromhex("C0 00")
ROUNDS_MAX = 2_000  # a window of sixteen each


class TalkingDevice:
    """One connection, from the CONNECT on."""

    def __init__(self, streams: Streams, device: Device, *, takes_all: bool = True) -> None:
        self.peer, self.transport = streams.mqtt_stream(takes_all=takes_all)
        self.device = device
        self.payloads: list[bytes] = []
        self._streams = streams
        self._engine = MqttClientConnection(limits=MqttLimits(), now=0.0)
        self._unacknowledged: list[PublishHandle] = []

    async def connect(self, *, is_clean: bool) -> None:
        """Log in."""
        packet = Connect(
            version=Version.V3_1_1,
            client_id=str(self.device.id),
            clean_start=is_clean,
            keepalive_s=600,
            username=str(self.device.product_id),
            password=SECRET.encode(),
        )
        self._engine.connect(packet, MqttSession(packet.client_id, limits=MqttLimits()), now=0.0)
        await self.exchange()

    async def subscribe(self, *topic_filters: str, qos: int) -> None:
        """Ask for messages."""
        options = SubscriptionOptions(qos=qos)
        self._engine.subscribe(*(SubscriptionEntry(topic_filter=each, options=options) for each in topic_filters))
        await self.exchange()

    async def acknowledge(self, at_most: int = 1_000) -> int:
        """Acknowledge what came so far; gives how many that were."""
        await self.exchange()
        handles, self._unacknowledged = self._unacknowledged[:at_most], self._unacknowledged[at_most:]
        for handle in handles:
            self._engine.acknowledge(handle)
        await self.exchange()
        return len(handles)

    async def acknowledge_all(self) -> None:
        """Acknowledge whatever comes until nothing does."""
        for _ in range(ROUNDS_MAX):
            if not await self.acknowledge():
                return
        raise AssertionError("it goes on for ever")

    async def ping(self) -> None:
        """Say that it is there."""
        await self._streams.say(self.peer, PINGREQ)
        await self.exchange()

    async def exchange(self) -> None:
        """Let go over what either side has to say."""
        sent = b"".join(self._engine.bytes_to_send())
        if sent:
            await self._streams.say(self.peer, sent)
        await self._streams.house.settle()
        self._engine.receive_bytes(self.transport.take(), now=0.0)
        while (event := self._engine.next_event()) is not None:
            if isinstance(event, PublishReceived):
                self.payloads.append(event.payload)
                if event.handle is not None:
                    self._unacknowledged.append(event.handle)
