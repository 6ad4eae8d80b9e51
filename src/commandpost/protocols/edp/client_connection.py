"""A device's side of one EDP connection, as far as a simulated device needs it: no encryption.

The login goes out at once; pings go out by themselves. Source: southbound reference 6.
"""

from enum import Enum, auto
from typing import Final

from commandpost.protocols.data_report import DataReport, decode_save_body, encode_save_body
from commandpost.protocols.edp.close_codes import LoginCode
from commandpost.protocols.edp.codec import (
    decode_command,
    decode_push,
    decode_save_ack,
    decode_save_header,
    encode_command,
    encode_login,
    encode_push,
    encode_save,
    encode_update,
)
from commandpost.protocols.edp.events import (
    ClientEvent,
    CloseReason,
    CommandReceived,
    ConnectionClosed,
    LoggedIn,
    PushReceived,
    ReportReceived,
    SaveAcknowledged,
    UpdateAnswered,
)
from commandpost.protocols.edp.framing import FrameBuffer, frame
from commandpost.protocols.edp.limits import KEEPALIVE_DEFAULT_S, KEEPALIVE_TOLERANCE, EdpLimits
from commandpost.protocols.edp.messages import CommandMessage, LoginRequest, MessageType, SaveHeader
from commandpost.protocols.errors import DecodeError

PINGS_PER_KEEPALIVE: Final = 3  # the vendor's newest SDK pings at a third of it, southbound reference 6.3


class _State(Enum):
    LOGGING_IN = auto()
    READY = auto()
    CLOSED = auto()


class EdpClientConnection:
    """One TCP connection to a platform. Nothing that a peer sends raises an error here."""

    __slots__ = ("_events", "_frames", "_heard_at", "_keepalive_s", "_limits", "_output", "_pinged_at", "_state")

    def __init__(self, request: LoginRequest, *, limits: EdpLimits, now: float) -> None:
        self._limits = limits
        self._state = _State.LOGGING_IN
        self._frames = FrameBuffer()
        self._events: list[ClientEvent] = []
        self._keepalive_s = request.keepalive_s or KEEPALIVE_DEFAULT_S
        self._heard_at = now
        self._pinged_at = now
        self._output = bytearray(frame(MessageType.CONN_REQ, encode_login(request)))

    @property
    def is_logged_in(self) -> bool:
        """Tell whether the server accepted the login and the connection is open."""
        return self._state is _State.READY

    @property
    def is_closed(self) -> bool:
        """Tell whether the connection is over, whether or not its last event was taken."""
        return self._state is _State.CLOSED

    @property
    def is_paused(self) -> bool:
        """Tell whether the owner should take events before it reads on."""
        return len(self._events) >= self._limits.events_max

    @property
    def buffered_bytes(self) -> int:
        """Bytes held that are no message yet."""
        return self._frames.buffered_bytes

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought."""
        if self._state is _State.CLOSED:
            return
        self._heard_at = now
        self._frames.feed(data)
        self._decode()
        if self.is_paused and self.buffered_bytes > self._limits.held_bytes_max:
            self._end(CloseReason.FLOODED)

    def receive_end(self) -> None:
        """Take the end of the stream."""
        self._end(CloseReason.PEER_GONE)

    def next_event(self) -> ClientEvent | None:
        """Give the oldest event not yet given; None: there is none now."""
        if not self._events and self._frames.buffered_bytes:
            self._decode()
        return self._events.pop(0) if self._events else None

    def bytes_to_send(self) -> bytes:
        """Give what has to be written to the stream, and forget it."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_deadline(self) -> float | None:
        """Give when `handle_deadline` wants to be called; None: nothing is waited for."""
        match self._state:
            case _State.LOGGING_IN:
                return self._pinged_at + self._limits.login_s
            case _State.READY:
                return min(self._pinged_at + self._keepalive_s / PINGS_PER_KEEPALIVE, self._silence_ends_at())
        return None

    def handle_deadline(self, *, now: float) -> None:
        """Ping when it is time to, and close when the server has been silent for too long."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        if self._state is _State.LOGGING_IN or now >= self._silence_ends_at():
            self._end(CloseReason.TIMED_OUT)
            return
        self._pinged_at = now
        self._send(MessageType.PING_REQ, b"")

    def save_data(self, report: DataReport, *, message_id: int | None = None, device_id: str | None = None) -> bool:
        """Send a SAVE_DATA; with a message id the server acknowledges it. False: not logged in, nothing was sent.

        Raises:
            EncodeError: the report or the id has no form on the wire.
        """
        header = SaveHeader(device_id=device_id, message_id=message_id)
        return self._send(MessageType.SAVE_DATA, encode_save(header, encode_save_body(report)))

    def push_data(self, device_id: str, payload: bytes) -> bool:
        """Send bytes to another device. False: not logged in, nothing was sent."""
        return self._send(MessageType.PUSH_DATA, encode_push(device_id, payload))

    def answer_command(self, command_id: str, payload: bytes) -> bool:
        """Answer a CommandReceived. False: not logged in, nothing was sent."""
        body = encode_command(CommandMessage(command_id=command_id, payload=payload))
        return self._send(MessageType.CMD_RESP, body)

    def ask_update(self, items: tuple[tuple[str, str], ...]) -> bool:
        """Tell names and versions of programs. False: not logged in, nothing was sent."""
        return self._send(MessageType.UPDATE_REQ, encode_update(items))

    def close(self) -> None:
        """End the connection; a device has no message for that."""
        self._end(CloseReason.OWNER)

    def _silence_ends_at(self) -> float:
        return self._heard_at + KEEPALIVE_TOLERANCE * self._keepalive_s

    def _send(self, message_type: MessageType, body: bytes) -> bool:
        if self._state is not _State.READY:
            return False
        self._output += frame(message_type, body)
        return True

    def _end(self, reason: CloseReason, code: int | None = None, detail: str = "") -> None:
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._frames.clear()
        self._events.append(ConnectionClosed(reason=reason, code=code, detail=detail))

    def _decode(self) -> None:
        try:
            while self._state is not _State.CLOSED and not self.is_paused:
                found = self._frames.next_frame(bytes_max=self._limits.message_bytes_max)
                if found is None:
                    return
                self._receive(*found)
        except DecodeError as error:
            self._end(CloseReason.FAULT, detail=str(error))

    def _receive(self, message_type: MessageType, body: bytes) -> None:
        if message_type is MessageType.CONN_RESP:
            self._receive_login_answer(body)
        elif message_type is MessageType.CONN_CLOSE:
            self._end(CloseReason.PEER_CLOSED, body[0] if body else None)
        elif self._state is _State.LOGGING_IN:
            raise DecodeError(f"{message_type.name} before the answer to the login")
        else:
            self._receive_ready(message_type, body)

    def _receive_login_answer(self, body: bytes) -> None:
        if len(body) != 2:
            raise DecodeError("a CONN_RESP has flags and a code")
        if self._state is _State.READY:
            return  # a repeated login is answered with 9, and nothing changes
        if body[1] != LoginCode.ACCEPTED:
            self._end(CloseReason.LOGIN_REFUSED, body[1])
            return
        self._state = _State.READY
        self._pinged_at = self._heard_at
        self._events.append(LoggedIn())

    def _receive_ready(self, message_type: MessageType, body: bytes) -> None:
        match message_type:
            case MessageType.CMD_REQ:
                command = decode_command(body)
                self._events.append(CommandReceived(command_id=command.command_id, payload=command.payload))
            case MessageType.SAVE_ACK:
                message_id, is_saved = decode_save_ack(body)
                self._events.append(SaveAcknowledged(message_id=message_id, is_saved=is_saved))
            case MessageType.PUSH_DATA:
                source, payload = decode_push(body)
                self._events.append(PushReceived(source=source, payload=payload))
            case MessageType.SAVE_DATA:
                header, type_at, is_sound = decode_save_header(body)
                if not is_sound:
                    raise DecodeError("the head of a SAVE_DATA is cut off")
                report = decode_save_body(body[type_at], body[type_at + 1 :])
                self._events.append(ReportReceived(source=header.device_id, report=report))
            case MessageType.UPDATE_RESP:
                self._events.append(UpdateAnswered(body=body))
            case MessageType.PING_RESP | MessageType.SUB_DEVICE:
                pass
            case _:
                raise DecodeError(f"{message_type.name} is no message of a server")
