"""One EDP connection: the engine's events become logins, datapoints, replies and pushes; payloads become messages.

It is the PayloadChannel of its device. Here: what an event leads to. Not here: bytes (protocols/edp), the stream
(stream_peer, device_peer). Source: southbound reference 6.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from commandpost.domain.command import Transport
from commandpost.domain.connection import Connection
from commandpost.domain.errors import CommandpostError
from commandpost.domain.ids import AttemptId, DeviceId, format_command_id, parse_command_id, parse_device_id
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.proof import ProofKind
from commandpost.protocols.data_report import DataReport, encode_save_body
from commandpost.protocols.edp.close_codes import CloseCode, LoginCode
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.events import (
    CommandAnswered,
    ConnectionClosed,
    DataPushed,
    DataRefused,
    DataSaved,
    EncryptionRequested,
    LoginRequested,
    SaveHandle,
    UpdateAsked,
)
from commandpost.protocols.edp.limits import KEEPALIVE_DEFAULT_S, EdpLimits
from commandpost.protocols.errors import EncodeError
from commandpost.services.logins import LoginRefusal
from commandpost.services.payloads import PUSH_DATA
from commandpost.southbound.device_peer import DeviceHouse, DevicePeer
from commandpost.southbound.reported_data import Stored

AES_KEY_BYTES: Final = 16
FORM_BY_KEY: Final = 1
REPLIES_OPEN_MAX: Final = 64  # of one connection, on their way to the disk; four windows of commands


@dataclass(frozen=True, slots=True, kw_only=True)
class EdpHouse(DeviceHouse):
    """What every EDP connection stands on."""

    peers: "EdpPeers"
    limits: EdpLimits
    random_bytes: Callable[[int], bytes]
    takes_over: bool = True
    """Whether a new login of a connected device wins; else it is refused (southbound reference 6.8)."""


class EdpPeers:
    """Logged-in connections by device: where pushes from device to device find their way."""

    def __init__(self) -> None:
        self._by_device: dict[DeviceId, EdpPeer] = {}

    def add(self, device_id: DeviceId, peer: "EdpPeer") -> None:
        """A device has logged in."""
        self._by_device[device_id] = peer

    def remove(self, device_id: DeviceId, peer: "EdpPeer") -> None:
        """A connection is gone."""
        if self._by_device.get(device_id) is peer:
            del self._by_device[device_id]

    def find(self, text: str, sender: Connection) -> "EdpPeer | None":
        """Give the connection of another device of the sender's product (P12)."""
        device_id = parse_device_id(text)
        peer = None if device_id is None else self._by_device.get(device_id)
        if peer is None or peer.connection is None or peer.connection.product_id != sender.product_id:
            return None
        return peer


class EdpPeer(DevicePeer):
    """See the module."""

    __slots__ = ("_replies_open", "engine")

    _house: EdpHouse
    engine: EdpServerConnection

    def __init__(self, house: EdpHouse) -> None:
        super().__init__(house)
        self.engine = EdpServerConnection(limits=house.limits, now=house.clock.monotonic())
        self._replies_open = 0

    # --- the stream ---------------------------------------------------------------------------------------------

    def take_output(self) -> bytes:
        """Give what the engine wants written."""
        return self.engine.bytes_to_send()

    def end_engine(self, detail: str, *, is_ours: bool) -> None:
        """Tell the engine that the stream has ended."""
        if is_ours:
            self.engine.drop(detail)
        else:
            self.engine.receive_end(detail)

    @property
    def is_busy(self) -> bool:
        """Whether replies wait for the disk, as many as may."""
        return self._replies_open >= REPLIES_OPEN_MAX

    def connection_over(self) -> None:
        """The stream has ended."""
        if self.connection is not None:
            self._house.peers.remove(self.connection.device_id, self)
        super().connection_over()

    # --- events -------------------------------------------------------------------------------------------------

    def handle_events(self) -> None:
        """Take every event of the engine."""
        engine = self.engine
        while (event := engine.next_event()) is not None:
            match event:
                case DataSaved(handle=handle, report=report, device_id=forward_to):
                    self._on_saved(handle, report, forward_to)
                case CommandAnswered(command_id=command_id, payload=payload):
                    self._on_answered(command_id, payload)
                case LoginRequested():
                    self._login = asyncio.get_running_loop().create_task(self._log_in(event))
                case DataPushed(device_id=device_id, payload=payload):
                    self._on_pushed(device_id, payload)
                case DataRefused(reason=reason):
                    self.events.emit("report_refused", device_id=self._device_id, reason=reason[:200])
                case EncryptionRequested():
                    engine.start_encryption(self._house.random_bytes(AES_KEY_BYTES))
                case UpdateAsked():
                    pass  # the engine has answered
                case ConnectionClosed(reason=reason, code=code, detail=detail):
                    self._on_closed(reason.value, code, detail)

    def _on_closed(self, reason: str, code: int | None, detail: str) -> None:
        number = None if code is None else int(code)
        self.events.emit("edp_closed", device_id=self._device_id, reason=reason, code=number, detail=detail[:200])
        self.close()

    # --- login --------------------------------------------------------------------------------------------------

    async def _log_in(self, request: LoginRequested) -> None:
        try:
            code = await self._decide(request)
        except CommandpostError as error:
            self.events.emit("edp_login_failed", error=error.code)
            code = LoginCode.SERVER_FAILURE
        except Exception as error:  # the top of a task
            self.events.emit("edp_login_failed", error=repr(error))
            code = LoginCode.SERVER_FAILURE
        self._login = None
        if not self.is_open:
            return
        if code is LoginCode.ACCEPTED:
            self.engine.accept(now=self.now(), keepalive_s=_effective_keepalive(request.keepalive_s))
            self.flush()
            self.begin_soon()
        else:
            self.events.emit("edp_login_refused", code=int(code))
            self.engine.refuse(code)
        self.pump()

    async def _decide(self, request: LoginRequested) -> LoginCode:
        house = self._house
        changes_seen = house.connections.changes_seen
        if request.form == FORM_BY_KEY:
            found = await house.logins.by_key(
                Transport.EDP, device_id=request.device_id, key=request.auth, remote=self.peer_host()
            )
            refusal = LoginCode.DEVICE_AUTH_FAILED
        else:
            product_id = request.product_id or ""
            found = await house.logins.by_auth_info(
                Transport.EDP, product_id=product_id, auth_info=request.auth, remote=self.peer_host()
            )
            refusal = LoginCode.PRODUCT_AUTH_FAILED
        if isinstance(found, LoginRefusal):
            return refusal
        if request.device_id not in ("", str(found.device.id)):
            # Form 2 has none (southbound reference 6.3). One that contradicts the rest is no mere habit of a client.
            return LoginCode.DEVICE_AUTH_FAILED
        if not house.takes_over and house.connections.find(found.device.id) is not None:
            return LoginCode.REPEATED_CONNECT
        keepalive_s = _effective_keepalive(request.keepalive_s)
        connection = await self.open_connection(
            Transport.EDP, found, changes_seen=changes_seen, keepalive_s=keepalive_s
        )
        if connection is None:
            return LoginCode.SERVER_FAILURE
        if not self.is_open:  # it left while its login was being written
            house.connections.close(connection)
            return LoginCode.SERVER_FAILURE
        self.connection = connection
        house.registry.proven(self)
        house.peers.add(connection.device_id, self)
        return LoginCode.ACCEPTED

    # --- data ---------------------------------------------------------------------------------------------------

    def _on_saved(self, handle: SaveHandle, report: DataReport, forward_to: str | None) -> None:
        connection = self.connection
        if connection is None:
            return
        self._house.data.take(connection, report, partial(self._saved, handle))
        target = None if forward_to is None else self._house.peers.find(forward_to, connection)
        if target is not None and target is not self:
            target.forward(connection.device_id, report)

    def _saved(self, handle: SaveHandle, stored: Stored) -> None:
        self.engine.acknowledge(handle, is_saved=stored is Stored.YES)
        self.pump()

    def forward(self, source: DeviceId, report: DataReport) -> None:
        """Hand another device's report to this one; lost when it leaves too much lying."""
        self._send(self.engine.save_data, source, encode_save_body(report))

    def _on_pushed(self, device_id: str, payload: bytes) -> None:
        connection = self.connection
        target = None if connection is None else self._house.peers.find(device_id, connection)
        if connection is None or target is None:
            # An empty id means the device's own route, and no route can be set here (southbound reference 6.7).
            self.events.emit("edp_push_without_target", device_id=self._device_id)
            return
        target.push(connection.device_id, payload)

    def push(self, source: DeviceId, payload: bytes) -> None:
        """Hand another device's bytes to this one; lost when it leaves too much lying."""
        self._send(self.engine.push_data, source, payload)

    def _send(self, send: Callable[[str, bytes], object], source: DeviceId, data: bytes) -> None:
        if not self.has_room(len(data)):
            # Kept, it would take memory; waited for, it would slow a sender that has nothing to do with it.
            self.events.emit("edp_push_lost", device_id=self._device_id, source=source, payload_bytes=len(data))
            return
        try:
            send(str(source), data)
        except EncodeError as error:
            self.events.emit("edp_not_encodable", device_id=self._device_id, reason=str(error)[:200])
        self.pump()

    # --- payloads -----------------------------------------------------------------------------------------------

    def _on_answered(self, text: str, payload: bytes) -> None:
        connection = self.connection
        command_id = parse_command_id(text)
        if connection is not None and command_id is not None:
            self._replies_open += 1
            self._house.dispatcher.reply(connection.device_id, command_id, payload, self._replied)

    def _replied(self, _is_kept: bool) -> None:
        self._replies_open -= 1
        self.pump()

    def transmit(self, transmission: PayloadTransmission) -> bool:
        """Write a CMD_REQ, or a PUSH_DATA for kind 1 (northbound reference 6.1)."""
        connection = self.connection
        if connection is None or not self.is_open:
            return True  # the end of the connection is the word on it
        payload = transmission.payload
        try:
            if payload.kind == PUSH_DATA:
                self.engine.push_data("", payload.payload)
            else:
                self.engine.send_command(format_command_id(transmission.command_id), payload.payload)
        except EncodeError as error:
            self.events.emit("edp_not_encodable", device_id=connection.device_id, reason=str(error)[:200])
            return False
        self.flush()
        self.when_written(partial(self._written, connection, transmission.attempt_id))
        self.pump()
        return True

    def _written(self, connection: Connection, attempt_id: AttemptId) -> None:
        self._house.dispatcher.payload_confirmed(connection, attempt_id)

    def settle(self, attempt_id: AttemptId) -> None:
        """A reply came first; here nothing waits for a confirmation but the writing itself."""

    def take_over(self) -> None:
        """The device has logged in elsewhere."""
        self._leave(CloseCode.LOGGED_IN_ELSEWHERE, "the device has logged in anew")

    def remove(self) -> None:
        """The device is gone, or the server stops."""
        self._leave(CloseCode.SERVER_UNAVAILABLE, "the device was deleted, or the server stops")

    def revoke(self, kind: ProofKind) -> None:
        """What the device logged in with is void: the code that its login would be refused with."""
        is_by_auth_info = kind is ProofKind.AUTH_INFO
        code = CloseCode.WRONG_PRODUCT_OR_AUTH if is_by_auth_info else CloseCode.WRONG_DEVICE_OR_KEY
        self._leave(code, f"what the device logged in with is void: {kind.value}")

    def _leave(self, code: CloseCode, why: str) -> None:
        if self.connection is not None:
            self._house.peers.remove(self.connection.device_id, self)
        self.engine.close(code, detail=why)
        self.pump()  # while it is known whose connection ends
        self.connection = None


def _effective_keepalive(wished_s: int) -> int:
    return wished_s or KEEPALIVE_DEFAULT_S
