"""Messages in a stream of bytes: one byte of type, one to four of length, then the body.

Source: OneNET EDP 1.6; southbound reference 6.1.
"""

from typing import Final, TypeAlias

from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.codec import MessageFault
from commandpost.protocols.edp.messages import MessageType
from commandpost.protocols.errors import EncodeError

REMAINING_LENGTH_MAX: Final = 268_435_455  # four groups of seven bits
LENGTH_BYTES_MAX: Final = 4

_TYPES: Final = (None, *MessageType)


Frame: TypeAlias = tuple[MessageType, bytes]
"""One message as it stands on the wire, without its length: type and body. Bare, as every message makes one."""


def frame(message_type: MessageType, body: bytes) -> bytes:
    """Write one message.

    Raises:
        EncodeError: the body is longer than REMAINING_LENGTH_MAX.
    """
    length = len(body)
    if length < 0x80:
        return bytes((message_type << 4, length)) + body
    if length > REMAINING_LENGTH_MAX:
        raise EncodeError(f"a message has at most {REMAINING_LENGTH_MAX} bytes, not {length}")
    head = bytearray((message_type << 4,))
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


class FrameBuffer:
    """Bytes that came, until they make messages. Holds what it is fed; who feeds it keeps the bound."""

    __slots__ = ("_data", "_position")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._position = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of no message yet."""
        return len(self._data) - self._position

    def feed(self, data: bytes) -> None:
        """Take what came next."""
        if self._position == len(self._data):
            self._data = bytes(data)  # no copy of what is bytes already
            self._position = 0
            return
        if isinstance(self._data, bytes):
            # A copy, once; what follows is appended in place, so that a large message costs time linear in its size.
            self._data = bytearray(self._data[self._position :])
        else:
            del self._data[: self._position]
        self._position = 0
        self._data += data

    def clear(self) -> None:
        """Forget everything."""
        self._data = b""
        self._position = 0

    def next_frame(self, *, bytes_max: int) -> Frame | None:
        """Give the next whole message; None: not there yet.

        Raises:
            MessageFault: no type, no length, or a length above `bytes_max`, which is refused before its body comes.
        """
        data = self._data
        at = self._position
        end = len(data)
        if at == end:
            return None
        first = data[at]
        message_type = _TYPES[first >> 4]
        if first & 0x0F:
            raise MessageFault(CloseCode.TYPE_PARSE, f"the reserved bits of first byte {first:#04x} are set")
        if message_type is None:
            raise MessageFault(CloseCode.UNKNOWN_TYPE, "type 0 is none")
        at += 1
        if at == end:
            return None
        length = data[at]
        if length > 0x7F:
            longer = _read_length(data, at)
            if longer is None:
                return None
            length, at = longer
        if length > bytes_max:
            raise MessageFault(CloseCode.LENGTH, f"{length} bytes: at most {bytes_max} are taken", offset=1)
        start = at + 1
        if end - start < length:
            return None
        stop = start + length
        body = bytes(data[start:stop])
        if stop == end:
            self._data = b""
            self._position = 0
        else:
            self._position = stop
        return message_type, body


def _read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Read a length of two to four bytes; give it and where its last byte stands. None: not there yet."""
    length = 0
    for shift in range(LENGTH_BYTES_MAX):
        if at + shift == len(data):
            return None
        group = data[at + shift]
        length |= (group & 0x7F) << 7 * shift
        if group <= 0x7F:
            return length, at + shift
    raise MessageFault(CloseCode.LENGTH, "a length has more than 4 bytes", offset=1)
