"""Letting an MQTT device in: the half of a connection that knows logins.

Not here: what a device that is in says (peer), and what EDP does alike (device_peer).
Source: southbound reference 5.1, 5.2, 8.
"""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

from commandpost.domain.command import Transport
from commandpost.domain.errors import CommandpostError
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import ConnectRequested
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import OutboundMessage
from commandpost.services.logins import Login, LoginRefusal
from commandpost.southbound.device_peer import DeviceHouse, DevicePeer
from commandpost.southbound.mqtt.broker import Broker, SessionWish
from commandpost.southbound.mqtt.device_topics import DeviceTopics

KEEPALIVE_MIN_S: Final = 10  # southbound reference 8: 10 to 65535 is taken, 0 means 1200
KEEPALIVE_DEFAULT_S: Final = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttHouse(DeviceHouse):
    """What every MQTT connection stands on."""

    broker: Broker
    limits: MqttLimits
    session_expiry_s: int
    """How long a 3.1.1 session with clean session 0 outlives its connection; the protocol knows no end."""


class MqttEntrance(DevicePeer):
    """See the module. The other half is the device's PayloadChannel and TopicLink."""

    __slots__ = ("engine", "topics")

    _house: MqttHouse
    engine: MqttServerConnection

    def __init__(self, house: MqttHouse) -> None:
        super().__init__(house)
        self.engine = MqttServerConnection(limits=house.limits, now=house.clock.monotonic())
        self.topics: DeviceTopics | None = None

    # --- the stream ---------------------------------------------------------------------------------------------

    def take_output(self) -> bytes:
        """Give what the engine wants written."""
        chunks = self.engine.bytes_to_send()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def end_engine(self, detail: str, *, is_ours: bool) -> None:
        """Tell the engine that the stream has ended."""
        if is_ours:
            self.engine.drop(detail)
        else:
            self.engine.connection_lost(detail)

    # --- what the other half does -------------------------------------------------------------------------------

    @abstractmethod
    def send_message(self, message: OutboundMessage) -> bool:
        """See TopicLink."""

    # --- login --------------------------------------------------------------------------------------------------

    def log_in(self, request: ConnectRequested) -> None:
        """Decide about a CONNECT, in a task of its own."""
        self._login = asyncio.get_running_loop().create_task(self._log_in(request))

    async def _log_in(self, request: ConnectRequested) -> None:
        try:
            refusal = await self._decide(request)
        except CommandpostError as error:
            self.events.emit("mqtt_login_failed", error=error.code)
            refusal = ReasonCode.SERVER_UNAVAILABLE
        except Exception as error:  # the top of a task
            self.events.emit("mqtt_login_failed", error=repr(error))
            refusal = ReasonCode.SERVER_UNAVAILABLE
        self._login = None
        if refusal is not None and self.engine.state is ConnectionState.AWAITING_DECISION:
            self.events.emit("mqtt_login_refused", reason=refusal.name.lower())
            self.engine.refuse(refusal)
        self.pump()

    async def _decide(self, request: ConnectRequested) -> ReasonCode | None:
        """Let the client in; gives why not."""
        house = self._house
        if not request.client_id:
            return ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        if request.username is None or request.password is None:
            if request.version is not Version.V5:  # closed without a word (southbound reference 5.1, which knows no 5)
                self.events.emit("mqtt_login_refused", reason="no_user_name_or_password")
                self.engine.disconnect(ReasonCode.NOT_AUTHORIZED, detail="the CONNECT has no user name or no password")
            return ReasonCode.BAD_USER_NAME_OR_PASSWORD
        changes_seen = house.connections.changes_seen
        found = await house.logins.by_password(
            Transport.MQTT,
            device_id=request.client_id,
            product_id=request.username,
            password=request.password,
            remote=self.peer_host(),
        )
        if found is LoginRefusal.TOKEN:
            return ReasonCode.NOT_AUTHORIZED
        if isinstance(found, LoginRefusal):
            return ReasonCode.BAD_USER_NAME_OR_PASSWORD
        return await self._enter(request, found, changes_seen)

    async def _enter(self, request: ConnectRequested, login: Login, changes_seen: int) -> ReasonCode | None:
        house = self._house
        keepalive_s = _effective_keepalive(request.keepalive_s)
        connection = await self.open_connection(
            Transport.MQTT, login, changes_seen=changes_seen, keepalive_s=keepalive_s
        )
        if connection is None:
            return ReasonCode.SERVER_UNAVAILABLE

        def is_wanted() -> bool:
            is_current = house.connections.find(login.device.id) == connection
            return is_current and self.is_open and self.engine.state is ConnectionState.AWAITING_DECISION

        try:
            attached = await house.broker.attach(connection, self._session_wish(request), is_wanted)
        except BaseException:
            house.connections.close(connection)
            raise
        if attached is None:
            house.connections.close(connection)
            return ReasonCode.SERVER_UNAVAILABLE
        self.connection = connection
        self.topics = attached.topics
        house.registry.proven(self)
        self.engine.accept(
            attached.topics.session,
            session_present=attached.is_present,
            keepalive_s=keepalive_s,
            properties=self._connack_properties(request, attached.expiry_s),
            now=self.now(),
        )
        self.flush()
        attached.topics.attach(self)
        self.begin_soon()
        return None

    def _session_wish(self, request: ConnectRequested) -> SessionWish:
        if request.version is Version.V5:
            expiry_s = request.properties.session_expiry_s or 0
        else:
            expiry_s = 0 if request.clean_start else self._house.session_expiry_s
        return SessionWish(client_id=request.client_id, starts_clean=request.clean_start, expiry_s=expiry_s)

    @staticmethod
    def _connack_properties(request: ConnectRequested, expiry_s: int) -> Properties:
        if request.version is not Version.V5:
            return NO_PROPERTIES
        wished = request.properties.session_expiry_s or 0
        return Properties(
            session_expiry_s=None if wished == expiry_s else expiry_s, shared_subscription_available=False
        )


def _effective_keepalive(wished_s: int) -> int:
    return max(wished_s, KEEPALIVE_MIN_S) if wished_s else KEEPALIVE_DEFAULT_S
