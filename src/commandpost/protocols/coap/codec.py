"""CoAP over UDP: bytes to record and record to bytes.

Written by hand for the hot path: one pass, no intermediate views. What a message means, and which combinations of
type and code make sense, is the endpoint's matter. Source: RFC 7252 section 3.
"""

from collections.abc import Sequence
from operator import itemgetter

from commandpost.protocols.coap.codes import RESERVED_CLASSES
from commandpost.protocols.coap.message import (
    OPTION_NUMBER_MAX,
    OPTION_VALUE_BYTES_MAX,
    TOKEN_BYTES_MAX,
    CoapMessage,
    MessageType,
)
from commandpost.protocols.errors import DecodeError, EncodeError

HEADER_BYTES = 4
PAYLOAD_MARKER = 0xFF
OPTIONS_MAX = 256  # a LwM2M message has about ten; this only stops a datagram made of 60,000 empty options

_TYPES = (MessageType.CON, MessageType.NON, MessageType.ACK, MessageType.RST)
_MARKER = b"\xff"
_option_number = itemgetter(0)


def peek_header(data: bytes) -> tuple[MessageType, int] | None:
    """Give type and message id of a datagram that need not be well formed.

    Returns:
        None if it is too short to say, or of another CoAP version, which must be ignored (RFC 7252 section 3).
    """
    if len(data) < HEADER_BYTES or data[0] >> 6 != 1:
        return None
    return _TYPES[data[0] >> 4 & 3], data[2] << 8 | data[3]


def decode(data: bytes) -> CoapMessage:
    """Read one datagram.

    Wire: version 2 bits, type 2, token length 4; code; message id, big-endian; token; options; 0xFF and payload.
    Returns:
        The message, its options in ascending order.
    Raises:
        DecodeError: not version 1, or malformed; `offset` is the first byte at fault.
    Source: RFC 7252 section 3.
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise DecodeError("a CoAP message has at least 4 bytes", offset=size)
    first = data[0]
    if first >> 6 != 1:
        raise DecodeError(f"CoAP version {first >> 6} is not 1")
    code = data[1]
    message_id = data[2] << 8 | data[3]
    token_bytes = first & 0x0F
    if code == 0:
        # RFC 7252 section 4.1: anything after the message id of an empty message is a format error.
        if token_bytes or size != HEADER_BYTES:
            raise DecodeError("an empty message ends after the message id", offset=0 if token_bytes else HEADER_BYTES)
        return CoapMessage(type=_TYPES[first >> 4 & 3], code=0, message_id=message_id)
    if code >> 5 in RESERVED_CLASSES:
        raise DecodeError(f"code class {code >> 5} is reserved", offset=1)
    if token_bytes > TOKEN_BYTES_MAX:
        raise DecodeError(f"token length {token_bytes} is reserved")
    position = HEADER_BYTES + token_bytes
    if position > size:
        raise DecodeError("the token is cut off", offset=size)
    token = data[HEADER_BYTES:position]
    payload = b""
    options: list[tuple[int, bytes]] = []
    number = 0
    while position < size:
        head = data[position]
        if head == PAYLOAD_MARKER:
            payload = data[position + 1 :]
            if not payload:
                raise DecodeError("a payload marker without a payload", offset=position)
            break
        position += 1
        delta = head >> 4
        length = head & 0x0F
        if delta > 12:
            delta, position = _extended(data, delta, position)
        if length > 12:
            length, position = _extended(data, length, position)
        number += delta
        end = position + length
        if end > size:
            raise DecodeError(f"option {number} is cut off", offset=size)
        options.append((number, data[position:end]))
        position = end
    # Numbers only grow, so the last one is the largest; each costs a byte, so the list is short before it is checked.
    if number > OPTION_NUMBER_MAX or len(options) > OPTIONS_MAX:
        raise DecodeError(f"{len(options)} options up to number {number}", offset=HEADER_BYTES + token_bytes)
    return CoapMessage(
        type=_TYPES[first >> 4 & 3],
        code=code,
        message_id=message_id,
        token=token,
        options=tuple(options),
        payload=payload,
    )


def _extended(data: bytes, nibble: int, position: int) -> tuple[int, int]:
    if nibble == 13 and position < len(data):
        return data[position] + 13, position + 1
    if nibble == 14 and position + 1 < len(data):
        return (data[position] << 8 | data[position + 1]) + 269, position + 2
    if nibble == 15:
        raise DecodeError("option nibble 15 is reserved for the payload marker", offset=position - 1)
    raise DecodeError("an extended option header is cut off", offset=len(data))


def encode(message: CoapMessage) -> bytes:
    """Write one datagram; options are put in ascending order.

    Raises:
        EncodeError: more options than a receiver of ours would take.
    """
    return encode_fields(
        message.type, message.code, message.message_id, message.token, message.options, message.payload
    )


def encode_fields(
    message_type: int,
    code: int,
    message_id: int,
    token: bytes,
    options: Sequence[tuple[int, bytes]],
    payload: bytes,
) -> bytes:
    """Write one datagram from its fields, without a record in between.

    Raises:
        EncodeError: a field is out of its range.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise EncodeError(f"a token has 0 to {TOKEN_BYTES_MAX} bytes, not {len(token)}")
    buffer = bytearray((0x40 | message_type << 4 | len(token), code, message_id >> 8, message_id & 0xFF))
    buffer += token
    if options:
        if len(options) > OPTIONS_MAX:
            raise EncodeError(f"a message has at most {OPTIONS_MAX} options, not {len(options)}")
        ordered = sorted(options, key=_option_number)
        if ordered[0][0] < 0 or ordered[-1][0] > OPTION_NUMBER_MAX:
            raise EncodeError(f"option numbers are 0 to {OPTION_NUMBER_MAX}: {[number for number, _ in ordered]}")
        previous = 0
        for number, value in ordered:
            delta = number - previous
            length = len(value)
            if delta < 13 and length < 13:
                buffer.append(delta << 4 | length)
            else:
                _append_extended_head(buffer, number, delta, length)
            buffer += value
            previous = number
    if payload:
        buffer += _MARKER
        buffer += payload
    return bytes(buffer)


def _append_extended_head(buffer: bytearray, number: int, delta: int, length: int) -> None:
    if length > OPTION_VALUE_BYTES_MAX:
        raise EncodeError(f"option {number} with {length} bytes has no form on the wire")
    delta_nibble, delta_tail = _extend(delta)
    length_nibble, length_tail = _extend(length)
    buffer.append(delta_nibble << 4 | length_nibble)
    buffer += delta_tail
    buffer += length_tail


def _extend(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")


def encode_empty(message_type: MessageType, message_id: int) -> bytes:
    """Write an empty acknowledgement, a reset or a ping."""
    return bytes((0x40 | message_type << 4, 0, message_id >> 8, message_id & 0xFF))
