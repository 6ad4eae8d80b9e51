"""The program of a simulated MQTT device: OneNET's legacy dialect on the client engine. Sans-IO.

Commands come on `$creq/…` without a subscription, answers go to `$crsp/…`, reports to `$dp`.
Source: southbound reference 5.1 to 5.3.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from commandpost.protocols.data_report import DataReport, encode_dp
from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import (
    ClientEvent,
    Connected,
    ConnectionClosed,
    ConnectRefused,
    MessageDelivered,
    MessageRefused,
    PublishReceived,
)
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connect
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage
from commandpost.simulation.stream_client import (
    ClientEnded,
    CommandHeard,
    LoggedIn,
    MessageHeard,
    ReportTaken,
    StreamEvent,
)

COMMAND_PREFIX: Final = "$creq/"
ANSWER_PREFIX: Final = "$crsp/"
DATA_TOPIC: Final = "$dp"
_LIMITS: Final = MqttLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttLogin:
    """With what an MQTT device logs in, and how it speaks."""

    device_id: str
    product_id: str
    password: bytes = field(repr=False)
    """The device's auth_info, or an api-key that covers it."""
    version: Version = Version.V3_1_1
    keepalive_s: int = 120
    clean_start: bool = True
    qos: int = 1
    """Of its reports and answers."""

    @property
    def connect(self) -> Connect:
        """The CONNECT it sends."""
        return Connect(
            version=self.version,
            client_id=self.device_id,
            username=self.product_id,
            password=self.password,
            keepalive_s=self.keepalive_s,
            clean_start=self.clean_start,
        )


class _Tag(Enum):
    """What a message of ours was."""

    REPORT = "report"
    ANSWER = "answer"


class MqttDeviceClient:
    """A StreamClient; see the module."""

    def __init__(self, login: MqttLogin, *, limits: MqttLimits = _LIMITS) -> None:
        self._login = login
        self._connect = login.connect
        self._limits = limits
        self._session = MqttSession(login.device_id, limits=limits)
        self._engine: MqttClientConnection | None = None
        self._refusal: str | None = None

    @property
    def is_paused(self) -> bool:
        """Whether too much waits for an acknowledgement."""
        return self._engine is not None and self._engine.is_paused

    def begin(self, *, now: float) -> None:
        """Send the CONNECT on a new stream."""
        if self._login.clean_start:
            self._session = MqttSession(self._login.device_id, limits=self._limits)
        self._refusal = None
        self._engine = MqttClientConnection(limits=self._limits, now=now)
        self._engine.connect(self._connect, self._session, now=now)

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought."""
        if self._engine is not None:
            self._engine.receive_bytes(data, now=now)

    def next_event(self) -> StreamEvent | None:
        """Give the next event that a device cares about."""
        while self._engine is not None and (event := self._engine.next_event()) is not None:
            told = self._translate(event)
            if told is not None:
                return told
        return None

    def bytes_to_send(self) -> bytes:
        """Give the packets to send."""
        return b"" if self._engine is None else b"".join(self._engine.bytes_to_send())

    def next_deadline(self) -> float | None:
        """Give when to ping, or to give up."""
        return None if self._engine is None else self._engine.next_deadline()

    def handle_deadline(self, *, now: float) -> None:
        """Ping, or give up."""
        if self._engine is not None:
            self._engine.handle_deadline(now=now)

    def acknowledge(self, command: CommandHeard) -> None:
        """Let the PUBACK of a command leave."""
        self._acknowledge(command.receipt)

    def answer(self, command_id: str, payload: bytes, *, now: float) -> bool:
        """Publish on `$crsp/…`."""
        return self._publish(f"{ANSWER_PREFIX}{command_id}", payload, _Tag.ANSWER, now)

    def report(self, report: DataReport, *, now: float) -> bool:
        """Publish on `$dp`."""
        return self._publish(DATA_TOPIC, encode_dp(report), _Tag.REPORT, now)

    def leave(self) -> None:
        """Send a DISCONNECT."""
        if self._engine is not None:
            self._engine.disconnect()

    def lose(self) -> None:
        """Tell the engine that the stream has ended."""
        if self._engine is not None:
            self._engine.connection_lost()

    def _publish(self, topic: str, payload: bytes, tag: _Tag, now: float) -> bool:
        if self._engine is None or self._engine.state is not ConnectionState.OPEN:
            return False
        qos = self._login.qos
        # A device that keeps its session has the server's acknowledgement, or sends again after the next login.
        message = OutboundMessage(
            topic=topic, payload=payload, qos=qos, tag=tag, survives=qos > 0 and not self._login.clean_start
        )
        return self._engine.publish(message, now=now)

    def _acknowledge(self, receipt: object) -> None:
        if self._engine is not None and isinstance(receipt, PublishHandle) and not receipt.is_acknowledged:
            self._engine.acknowledge(receipt)

    def _translate(self, event: ClientEvent) -> StreamEvent | None:
        match event:
            case PublishReceived(topic=topic) if topic.startswith(COMMAND_PREFIX):
                command_id = topic.removeprefix(COMMAND_PREFIX)
                return CommandHeard(command_id=command_id, payload=event.payload, receipt=event.handle)
            case PublishReceived():
                self._acknowledge(event.handle)
                return MessageHeard(source=event.topic, payload=event.payload)
            case MessageDelivered(tag=_Tag.REPORT):
                return ReportTaken(is_stored=True)
            case MessageRefused(tag=_Tag.REPORT):
                return ReportTaken(is_stored=False)
            case Connected():
                return LoggedIn()
            case ConnectRefused(reason=reason):
                self._refusal = reason.name.lower()
            case ConnectionClosed() if self._refusal is not None:
                return ClientEnded(reason=f"refused: {self._refusal}", is_refused=True)
            case ConnectionClosed():
                return ClientEnded(reason=event.reason.value)
            case _:
                pass
        return None
