"""EDP over TCP: bytes to records and records to bytes.

Framing is in framing.py; which message may come when is the connections' matter. Every reader takes the whole body of
one message. Source: OneNET EDP 1.6; southbound reference 6.3 to 6.7.
"""

from typing import Final

from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.messages import (
    COMMAND_ID_BYTES_MAX,
    CommandMessage,
    EncryptionRequest,
    LoginRequest,
    SaveHeader,
)
from commandpost.protocols.errors import DecodeError, EncodeError

PROTOCOL_NAME: Final = b"EDP"
PROTOCOL_VERSION: Final = 1
MODULUS_BITS: Final = 1024  # the field has 128 bytes
AES_128: Final = 1  # the only cipher the document numbers

_PRODUCT_FLAG: Final = 0x80
_AUTH_FLAG: Final = 0x40
_DEVICE_FLAG: Final = 0x80
_MESSAGE_ID_FLAG: Final = 0x40
_ENCRYPTION_BYTES: Final = 4 + MODULUS_BITS // 8 + 1


class MessageFault(DecodeError):
    """A message that ends the connection; `code` is what its CONN_CLOSE says."""

    def __init__(self, code: CloseCode, message: str, *, offset: int = 0) -> None:
        super().__init__(message, offset=offset)
        self.code = code


def read_string(body: bytes, position: int, code: CloseCode) -> tuple[bytes, int]:
    """Read a string of 16 bit length; give it and where it ends.

    Raises:
        MessageFault: it is cut off.
    """
    start = position + 2
    if start > len(body):
        raise MessageFault(code, "a length is cut off", offset=len(body))
    end = start + (body[position] << 8 | body[position + 1])
    if end > len(body):
        raise MessageFault(code, f"a string of {end - start} bytes is cut off", offset=position)
    return body[start:end], end


def write_string(text: bytes) -> bytes:
    """Write a string of 16 bit length; records have checked that it fits."""
    return len(text).to_bytes(2, "big") + text


def decode_login(body: bytes) -> LoginRequest:
    """Read a CONN_REQ.

    Wire: string "EDP", version 1, flags (bit 7 product id, bit 6 auth), u16 keepalive, string device id, string
        product id if bit 7, string auth.
    Raises:
        MessageFault: the first field at fault has the code.
    Source: southbound reference 6.3 and 6.4.
    """
    name, position = read_string(body, 0, CloseCode.PROTOCOL_NAME)
    if name != PROTOCOL_NAME:
        raise MessageFault(CloseCode.PROTOCOL_NAME, f"protocol name {name[:8]!r} is not 'EDP'")
    if body[position : position + 1] != bytes((PROTOCOL_VERSION,)):
        raise MessageFault(CloseCode.PROTOCOL_VERSION, "the protocol version is not 1", offset=position)
    flags_at = position + 1
    flags = body[flags_at] if flags_at < len(body) else 0x01
    if flags & ~(_PRODUCT_FLAG | _AUTH_FLAG):
        raise MessageFault(CloseCode.CONNECT_FLAGS, "connect flags are missing or reserved", offset=flags_at)
    if not flags & _AUTH_FLAG:
        raise MessageFault(CloseCode.AUTH_FLAG_MISSING, "no auth info is announced", offset=flags_at)
    keepalive_at = flags_at + 1
    if len(body) < keepalive_at + 2:
        raise MessageFault(CloseCode.KEEPALIVE, "the keepalive is cut off", offset=len(body))
    keepalive_s = body[keepalive_at] << 8 | body[keepalive_at + 1]
    device_id_at = keepalive_at + 2
    raw, position = read_string(body, device_id_at, CloseCode.DEVICE_ID)
    device_id = _text(raw, CloseCode.DEVICE_ID, device_id_at)
    product_id = None
    if flags & _PRODUCT_FLAG:
        raw, auth_at = read_string(body, position, CloseCode.PRODUCT_ID)
        product_id = _text(raw, CloseCode.PRODUCT_ID, position)
        if not product_id:
            raise MessageFault(CloseCode.PRODUCT_ID, "the product id is empty", offset=position)
        position = auth_at
    elif not device_id:
        raise MessageFault(CloseCode.DEVICE_ID, "the device id is empty", offset=device_id_at)
    auth, end = read_string(body, position, CloseCode.AUTH_EMPTY)
    if not auth:
        raise MessageFault(CloseCode.AUTH_EMPTY, "the auth info is empty", offset=position)
    if end != len(body):
        raise MessageFault(CloseCode.LENGTH, "bytes follow the auth info", offset=end)
    return LoginRequest(device_id=device_id, product_id=product_id, auth=auth, keepalive_s=keepalive_s)


def encode_login(request: LoginRequest) -> bytes:
    """Write the body of a CONN_REQ."""
    flags = _AUTH_FLAG if request.product_id is None else _AUTH_FLAG | _PRODUCT_FLAG
    product = b"" if request.product_id is None else write_string(request.product_id.encode())
    head = write_string(PROTOCOL_NAME) + bytes((PROTOCOL_VERSION, flags)) + request.keepalive_s.to_bytes(2, "big")
    return head + write_string(request.device_id.encode()) + product + write_string(request.auth)


def decode_save_header(body: bytes) -> tuple[SaveHeader, int, bool]:
    """Read what stands before the report in a SAVE_DATA message.

    Returns:
        The header, where the report's type byte stands, and whether the header is sound. Of one that is not, as much
        is given as a SAVE_ACK needs.
    Source: southbound reference 6.6.
    """
    if not body:
        return SaveHeader(), 0, False
    flags, position, device_id = body[0], 1, None
    is_sound = not flags & ~(_DEVICE_FLAG | _MESSAGE_ID_FLAG)
    if flags & _DEVICE_FLAG:
        try:
            raw, position = read_string(body, position, CloseCode.SAVE_DATA)
            device_id = _text(raw, CloseCode.SAVE_DATA, position)
        except MessageFault:
            return SaveHeader(), position, False
    message_id = None
    if flags & _MESSAGE_ID_FLAG:
        raw = body[position : position + 2]
        position += 2
        # Half an id is none: its acknowledgement would be another message's.
        message_id = int.from_bytes(raw, "big") or None if len(raw) == 2 else None
        is_sound = is_sound and message_id is not None
    # The type byte has to follow.
    return SaveHeader(device_id=device_id, message_id=message_id), position, is_sound and position < len(body)


def encode_save(header: SaveHeader, report: bytes) -> bytes:
    """Write the body of a SAVE_DATA message around a report that begins with its type byte."""
    flags = (0 if header.device_id is None else _DEVICE_FLAG) | (0 if header.message_id is None else _MESSAGE_ID_FLAG)
    device = b"" if header.device_id is None else write_string(header.device_id.encode())
    message_id = b"" if header.message_id is None else header.message_id.to_bytes(2, "big")
    return bytes((flags,)) + device + message_id + report


def decode_save_ack(body: bytes) -> tuple[int, bool]:
    """Read a SAVE_ACK: message id, and whether the data are saved.

    Raises:
        MessageFault: another form.
    """
    if len(body) != 4 or body[0] != _MESSAGE_ID_FLAG:
        raise MessageFault(CloseCode.LENGTH, "a SAVE_ACK has a flag, a message id and a result")
    return body[1] << 8 | body[2], body[3] == 0


def encode_save_ack(message_id: int, *, is_saved: bool) -> bytes:
    """Write the body of a SAVE_ACK: flag 40, u16 message id, 00 saved or 01 failed."""
    return bytes((_MESSAGE_ID_FLAG, message_id >> 8, message_id & 0xFF, 0 if is_saved else 1))


def decode_command(body: bytes) -> CommandMessage:
    """Read a CMD_REQ or a CMD_RESP.

    Wire: string command id, u32 length, payload. A client of the vendor leaves the length out when nothing follows it.
    Raises:
        MessageFault: 101 for the id, 102 for the length.
    Source: southbound reference 6.5.
    """
    raw, position = read_string(body, 0, CloseCode.COMMAND_ID)
    command_id = _text(raw, CloseCode.COMMAND_ID, 0)
    if not 0 < len(raw) <= COMMAND_ID_BYTES_MAX:
        raise MessageFault(CloseCode.COMMAND_ID, f"a command id has {len(raw)} bytes")
    if position == len(body):
        return CommandMessage(command_id=command_id, payload=b"")
    payload = body[position + 4 :]
    if len(body) < position + 4 or int.from_bytes(body[position : position + 4], "big") != len(payload):
        raise MessageFault(CloseCode.COMMAND_LENGTH, "the length of a payload disagrees with it", offset=position)
    return CommandMessage(command_id=command_id, payload=payload)


def encode_command(message: CommandMessage) -> bytes:
    """Write the body of a CMD_REQ or a CMD_RESP."""
    return write_string(message.command_id.encode()) + len(message.payload).to_bytes(4, "big") + message.payload


def decode_push(body: bytes) -> tuple[str, bytes]:
    """Read a PUSH_DATA: the other device's id, and everything after it.

    Raises:
        MessageFault: the id is cut off or no text.
    """
    raw, position = read_string(body, 0, CloseCode.PUSH_DATA)
    return _text(raw, CloseCode.PUSH_DATA, 0), body[position:]


def encode_push(device_id: str, payload: bytes) -> bytes:
    """Write the body of a PUSH_DATA."""
    return write_string(device_id.encode()) + payload


def decode_update(body: bytes, *, items_max: int) -> tuple[tuple[str, str], ...]:
    """Read an UPDATE_REQ: names and versions of programs.

    Raises:
        MessageFault: a string is cut off or no text, or there are more than `items_max`.
    """
    texts: list[str] = []
    position = 0
    while position < len(body):
        at = position
        raw, position = read_string(body, at, CloseCode.LENGTH)
        texts.append(_text(raw, CloseCode.LENGTH, at))
        if len(texts) > 2 * items_max:
            raise MessageFault(CloseCode.LENGTH, f"more than {items_max} programs", offset=at)
    if len(texts) % 2:
        raise MessageFault(CloseCode.LENGTH, "a version is missing", offset=len(body))
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def encode_update(items: tuple[tuple[str, str], ...]) -> bytes:
    """Write the body of an UPDATE_REQ."""
    return b"".join(write_string(text.encode()) for item in items for text in item)


def decode_encryption(body: bytes) -> EncryptionRequest:
    """Read an ENCRYPT_REQ: u32 exponent, modulus of 128 bytes, u8 algorithm.

    Raises:
        MessageFault: another length, or a modulus that has not 1024 bits.
    Source: southbound reference 6.7.
    """
    if len(body) != _ENCRYPTION_BYTES:
        raise MessageFault(CloseCode.ENCRYPTION, f"an ENCRYPT_REQ has {_ENCRYPTION_BYTES} bytes, not {len(body)}")
    modulus = int.from_bytes(body[4:-1], "big")
    if modulus.bit_length() != MODULUS_BITS:
        raise MessageFault(CloseCode.ENCRYPTION, f"a modulus of {modulus.bit_length()} bits, not 1024", offset=4)
    return EncryptionRequest(exponent=int.from_bytes(body[:4], "big"), modulus=modulus, algorithm=body[-1])


def _text(raw: bytes, code: CloseCode, offset: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MessageFault(code, "a text is not UTF-8", offset=offset + 2 + error.start) from None


def check_size(data: bytes, bytes_max: int) -> None:
    """Refuse what is longer than it may be.

    Raises:
        EncodeError: it is.
    """
    if len(data) > bytes_max:
        raise EncodeError(f"{len(data)} bytes: at most {bytes_max} are allowed")
