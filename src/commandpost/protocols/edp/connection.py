"""The platform's side of one EDP connection: bytes in, events out, nothing else known.

Which devices exist, what is on disk and when a socket is read belong to the owner. After an event's answer, and after
anything else that ends a pause, drain the events again: what was held is decoded only as there is room for it.
Source: southbound reference 6.8.
"""

from typing import Final

from commandpost.protocols.data_report import decode_save_body
from commandpost.protocols.edp.close_codes import CODES_BEFORE_LOGIN, CloseCode, LoginCode
from commandpost.protocols.edp.codec import (
    AES_128,
    MessageFault,
    check_size,
    decode_command,
    decode_encryption,
    decode_login,
    decode_push,
    decode_save_header,
    decode_update,
    encode_command,
    encode_push,
    encode_save,
    encode_save_ack,
    write_string,
)
from commandpost.protocols.edp.encryption import BodyCipher, encrypt_key
from commandpost.protocols.edp.endings import no_decision, no_login, no_message, spelled
from commandpost.protocols.edp.events import (
    CloseReason,
    CommandAnswered,
    ConnectionClosed,
    DataPushed,
    DataRefused,
    DataSaved,
    EncryptionRequested,
    LoginRequested,
    SaveHandle,
    ServerEvent,
    UpdateAsked,
)
from commandpost.protocols.edp.framing import FrameBuffer, frame
from commandpost.protocols.edp.limits import KEEPALIVE_DEFAULT_S, KEEPALIVE_TOLERANCE, EdpLimits
from commandpost.protocols.edp.messages import (
    COMMAND_PAYLOAD_BYTES_MAX,
    PUSH_PAYLOAD_BYTES_MAX,
    CommandMessage,
    EncryptionRequest,
    MessageType,
    SaveHeader,
)
from commandpost.protocols.edp.saves import SaveQueue
from commandpost.protocols.edp.server_state import ServerState
from commandpost.protocols.errors import DecodeError

# Messages without an event that one call takes: a read of 256 KiB may hold 130,000 PING_REQ, a third of a second.
SILENT_MESSAGES_MAX: Final = 1_000


class EdpServerConnection:
    """One TCP connection of a device. Nothing that a peer sends raises an error here."""

    __slots__ = (
        "_cipher",
        "_encryption",
        "_events",
        "_frames",
        "_has_more",
        "_heard_at",
        "_keepalive_s",
        "_limits",
        "_output",
        "_received_at",
        "_saves",
        "_state",
    )

    def __init__(self, *, limits: EdpLimits, now: float) -> None:
        self._limits = limits
        self._state = ServerState.NEW
        self._frames = FrameBuffer()
        self._has_more = False  # whole messages may be there that were not decoded yet
        self._events: list[ServerEvent] = []
        # One piece: a read full of pings would make thousands.
        self._output = bytearray()
        self._saves = SaveQueue()
        self._keepalive_s = 0
        self._heard_at = now
        self._received_at = now
        self._encryption: EncryptionRequest | None = None
        self._cipher: BodyCipher | None = None

    @property
    def is_paused(self) -> bool:
        """Tell whether the owner should stop reading: as much as may waits for its answers, or for being decoded."""
        state = self._state
        return (
            self._has_more
            or state is ServerState.DECIDING
            or state is ServerState.KEYING
            or len(self._events) >= self._limits.events_max
            or self._saves.is_full(self._limits)
        )

    @property
    def is_logged_in(self) -> bool:
        """Tell whether a login was accepted and the connection is open."""
        return self._state is ServerState.READY

    @property
    def is_closed(self) -> bool:
        """Tell whether the connection is over, whether or not its last event was taken."""
        return self._state is ServerState.CLOSED

    @property
    def is_encrypted(self) -> bool:
        """Tell whether bodies are encrypted."""
        return self._cipher is not None

    @property
    def buffered_bytes(self) -> int:
        """Bytes held that are no message yet."""
        return self._frames.buffered_bytes

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought."""
        if self._state is ServerState.CLOSED:
            return
        self._received_at = now
        self._frames.feed(data)
        self._decode()
        if self._frames.buffered_bytes and self.is_paused:
            is_ready = self._state is ServerState.READY
            held_max = self._limits.held_bytes_max if is_ready else self._limits.held_before_login_bytes_max
            if self.buffered_bytes > held_max:
                self._end(CloseReason.FLOODED, CloseCode.SERVER_UNAVAILABLE, detail=f"over {held_max} bytes to hold")

    def receive_end(self, detail: str = "the stream has ended") -> None:
        """Take the end of the stream; `detail` says how it ended, for a log."""
        self._end(CloseReason.PEER_GONE, detail=detail)

    def drop(self, detail: str) -> None:
        """End the connection without a word, because its stream was given up; `detail` says why, for a log."""
        self._end(CloseReason.OWNER, detail=detail)

    def next_event(self) -> ServerEvent | None:
        """Give the oldest event not yet given; None: there is none now."""
        if not self._events and self._frames.buffered_bytes and not self._has_more:
            self._decode()
        return self._events.pop(0) if self._events else None

    def bytes_to_send(self) -> bytes:
        """Give what has to be written to the stream, and forget it."""
        if not self._output:
            return b""
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_deadline(self) -> float | None:
        """Give when `handle_deadline` wants to be called; None: nothing is waited for."""
        match self._state:
            case ServerState.NEW:
                # Since the beginning: neither a byte now and then nor an ENCRYPT_REQ prolongs it.
                return self._heard_at + self._limits.login_s
            case ServerState.DECIDING:
                return self._heard_at + self._limits.decision_s
            case ServerState.READY:
                return self._received_at if self._has_more else self._heard_at + KEEPALIVE_TOLERANCE * self._keepalive_s
        return None

    def handle_deadline(self, *, now: float) -> None:
        """Go on decoding, or close what has been silent for too long."""
        if self._has_more:
            self._decode()
            return
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        if self._state is ServerState.READY and self.is_paused:
            # We are the ones who do not listen; the device's messages may lie in the socket.
            self._heard_at = now
            return
        if self._state is ServerState.DECIDING:
            self._refuse(LoginCode.SERVER_FAILURE, CloseReason.TIMED_OUT, no_decision(self._limits))
        else:
            detail = no_message(self._keepalive_s) if self._state is ServerState.READY else no_login(self._limits)
            self._end(CloseReason.TIMED_OUT, CloseCode.TIMEOUT, detail=detail)

    def start_encryption(self, aes_key: bytes) -> None:
        """Answer EncryptionRequested with 16 random bytes; a key of the device's that is none closes the connection.

        Raises:
            EncodeError: the AES key has not 16 bytes.
        """
        if self._state is not ServerState.KEYING or self._encryption is None:
            return
        try:
            sealed_key = encrypt_key(self._encryption, aes_key)
        except MessageFault as fault:
            self._end(CloseReason.FAULT, fault.code, detail=str(fault))
            return
        self._send(MessageType.ENCRYPT_RESP, write_string(sealed_key))
        self._cipher = BodyCipher(aes_key)
        self._encryption = None
        self._state = ServerState.NEW

    def refuse_encryption(self) -> None:
        """Answer EncryptionRequested with CONN_CLOSE 10."""
        if self._state is ServerState.KEYING:
            self._end(CloseReason.OWNER, CloseCode.ENCRYPTION, detail="encryption is refused")

    def accept(self, *, now: float, keepalive_s: int | None = None) -> None:
        """Answer LoginRequested: the device is who it says.

        Args:
            keepalive_s: what is kept instead of the device's wish; 0, from either, is KEEPALIVE_DEFAULT_S.
        """
        if self._state is not ServerState.DECIDING:
            return
        if keepalive_s is not None:
            self._keepalive_s = keepalive_s
        self._keepalive_s = self._keepalive_s or KEEPALIVE_DEFAULT_S
        self._heard_at = now
        self._state = ServerState.READY
        self._send(MessageType.CONN_RESP, bytes((0, LoginCode.ACCEPTED)))

    def refuse(self, code: LoginCode) -> None:
        """Answer LoginRequested with a CONN_RESP that says why not, and end the connection."""
        if self._state is ServerState.DECIDING:
            self._refuse(code, CloseReason.LOGIN_REFUSED, f"the CONN_REQ was answered {spelled(code)}")

    def _refuse(self, code: LoginCode, reason: CloseReason, detail: str) -> None:
        self._send(MessageType.CONN_RESP, bytes((0, code)))
        self._end(reason, detail=detail, login_code=code)

    def acknowledge(self, handle: SaveHandle, *, is_saved: bool) -> None:
        """Answer DataSaved. SAVE_ACKs leave in the order of the messages, whatever the order of these calls."""
        for settled in self._saves.settle(handle, is_saved=is_saved):
            if settled.message_id is not None:
                body = encode_save_ack(settled.message_id, is_saved=bool(settled.is_saved))
                self._send(MessageType.SAVE_ACK, body)

    def send_command(self, command_id: str, payload: bytes) -> bool:
        """Send a CMD_REQ. False: nobody is logged in, nothing was sent.

        Raises:
            EncodeError: the id or the payload is longer than devices take.
        """
        check_size(payload, COMMAND_PAYLOAD_BYTES_MAX)
        body = encode_command(CommandMessage(command_id=command_id, payload=payload))
        return self._send_to_device(MessageType.CMD_REQ, body)

    def push_data(self, source: str, payload: bytes) -> bool:
        """Send a PUSH_DATA of another device. False: nobody is logged in, nothing was sent.

        Raises:
            EncodeError: the payload is longer than PUSH_PAYLOAD_BYTES_MAX.
        """
        check_size(payload, PUSH_PAYLOAD_BYTES_MAX)
        return self._send_to_device(MessageType.PUSH_DATA, encode_push(source, payload))

    def save_data(self, source: str, report: bytes) -> bool:
        """Forward a SAVE_DATA of another device, without a message id. False: nobody is logged in, nothing was sent.

        Args:
            report: as `data_report.encode_save_body` writes it.
        Raises:
            EncodeError: the report is longer than a message may be.
        """
        check_size(report, self._limits.message_bytes_max)
        return self._send_to_device(MessageType.SAVE_DATA, encode_save(SaveHeader(device_id=source), report))

    def close(self, code: CloseCode | None = None, *, detail: str = "") -> None:
        """End the connection, with a CONN_CLOSE where there is a code to tell; `detail` is for a log."""
        self._end(CloseReason.OWNER, code, detail=detail or f"the server ended it: {spelled(code)}")

    def _send_to_device(self, message_type: MessageType, body: bytes) -> bool:
        if self._state is not ServerState.READY:
            return False
        self._send(message_type, body)
        return True

    def _send(self, message_type: MessageType, body: bytes) -> None:
        if self._state is not ServerState.CLOSED:
            self._output += frame(message_type, body if self._cipher is None else self._cipher.encrypt(body))

    def _end(
        self, reason: CloseReason, code: CloseCode | None = None, *, detail: str, login_code: LoginCode | None = None
    ) -> None:
        if self._state is ServerState.CLOSED:
            return
        if code is not None:
            self._send(MessageType.CONN_CLOSE, bytes((code,)))
        self._state = ServerState.CLOSED
        self._has_more = False
        self._frames.clear()
        self._saves.clear()
        self._encryption = None
        self._events.append(ConnectionClosed(reason=reason, code=login_code if code is None else code, detail=detail))

    def _decode(self) -> None:
        limits = self._limits
        self._has_more = False
        silent = 0
        try:
            while self._frames.buffered_bytes and not self.is_paused:
                if silent == SILENT_MESSAGES_MAX:
                    self._has_more = True  # the rest has its turn after others: `handle_deadline`
                    return
                known = len(self._events)
                is_ready = self._state is ServerState.READY
                found = self._frames.next_frame(
                    bytes_max=limits.message_bytes_max if is_ready else limits.login_bytes_max
                )
                if found is None:
                    return
                message_type, body = found
                if self._cipher is not None:
                    body = self._cipher.decrypt(body)
                if is_ready:
                    # Its last byte had come by then, whenever it is decoded; a part of a message keeps nothing alive.
                    self._heard_at = self._received_at
                    self._receive(message_type, body)
                else:
                    self._receive_first(message_type, body)
                silent += len(self._events) == known
        except MessageFault as fault:
            self._end(CloseReason.FAULT, fault.code, detail=str(fault))

    def _receive_first(self, message_type: MessageType, body: bytes) -> None:
        match message_type:
            case MessageType.CONN_REQ:
                request = decode_login(body)
                self._keepalive_s = request.keepalive_s
                self._heard_at = self._received_at
                self._state = ServerState.DECIDING
                self._events.append(
                    LoginRequested(
                        device_id=request.device_id,
                        product_id=request.product_id,
                        auth=request.auth,
                        keepalive_s=request.keepalive_s,
                        form=request.form,
                    )
                )
            case MessageType.ENCRYPT_REQ if self._cipher is None:
                self._encryption = decode_encryption(body)
                if self._encryption.algorithm != AES_128:
                    raise MessageFault(CloseCode.ENCRYPTION, f"cipher {self._encryption.algorithm} is not AES-128")
                self._state = ServerState.KEYING
                self._events.append(EncryptionRequested())
            case _:
                raise MessageFault(
                    CODES_BEFORE_LOGIN.get(message_type, CloseCode.UNKNOWN_TYPE), f"{message_type.name} before login"
                )

    def _receive(self, message_type: MessageType, body: bytes) -> None:
        match message_type:
            case MessageType.SAVE_DATA:
                self._receive_save(body)
            case MessageType.PING_REQ:
                if body:
                    raise MessageFault(CloseCode.LENGTH, "a PING_REQ has no body")
                self._send(MessageType.PING_RESP, b"")
            case MessageType.CMD_RESP:
                answer = decode_command(body)
                self._events.append(CommandAnswered(command_id=answer.command_id, payload=answer.payload))
            case MessageType.PUSH_DATA:
                device_id, payload = decode_push(body)
                self._events.append(DataPushed(device_id=device_id, payload=payload))
            case MessageType.UPDATE_REQ:
                self._events.append(UpdateAsked(items=decode_update(body, items_max=self._limits.update_items_max)))
                self._send(MessageType.UPDATE_RESP, b"")
            case MessageType.CONN_REQ:
                # SB 6.8: a repeated login is told so and changes nothing.
                self._send(MessageType.CONN_RESP, bytes((0, LoginCode.REPEATED_CONNECT)))
            case MessageType.ENCRYPT_REQ:
                raise MessageFault(CloseCode.ENCRYPTION, "ENCRYPT_REQ is the first message or none")
            case MessageType.SUB_DEVICE:
                pass  # SB 6.2: rarely used, and nothing is known of an answer
            case _:
                raise MessageFault(CloseCode.UNKNOWN_TYPE, f"{message_type.name} is no message of a device")

    def _receive_save(self, body: bytes) -> None:
        header, type_at, is_sound = decode_save_header(body)
        handle = self._saves.add(header.message_id, len(body))
        try:
            if not is_sound:
                raise DecodeError("the head of a SAVE_DATA is cut off, or has reserved flags or message id 0")
            report = decode_save_body(body[type_at], body[type_at + 1 :])
        except DecodeError as error:
            # DEVIATION: the document closes with 60 to 86; samples of the vendor send such data (SB 5.3, leniency).
            self._events.append(DataRefused(message_id=header.message_id, reason=str(error)))
            self.acknowledge(handle, is_saved=False)
        else:
            self._events.append(
                DataSaved(handle=handle, device_id=header.device_id, message_id=header.message_id, report=report)
            )
