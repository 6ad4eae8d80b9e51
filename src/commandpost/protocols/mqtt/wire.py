"""The data types both versions of MQTT are made of: integers, variable byte integers, strings, binary data.

Source: MQTT 5.0 section 1.5; MQTT 3.1.1 section 1.5 and 2.2.3.
"""

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.errors import PacketError

VARINT_MAX = 268_435_455  # MQTT 5.0 section 1.5.5: four bytes of seven bits
STRING_BYTES_MAX = 0xFFFF  # MQTT 5.0 section 1.5.4: a length of two bytes


def encode_varint(value: int) -> bytes:
    """Write a variable byte integer, 0 to VARINT_MAX, in the fewest bytes.

    Raises:
        EncodeError: the value is out of range.
    """
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value <= VARINT_MAX:
        raise EncodeError(f"a variable byte integer is 0 to {VARINT_MAX}, not {value}")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_binary(value: bytes) -> bytes:
    """Write binary data with its length of two bytes.

    Raises:
        EncodeError: more than STRING_BYTES_MAX bytes.
    """
    if len(value) > STRING_BYTES_MAX:
        raise EncodeError(f"binary data has at most {STRING_BYTES_MAX} bytes, not {len(value)}")
    return len(value).to_bytes(2, "big") + value


def encode_text(value: str) -> bytes:
    """Write a string with its length of two bytes.

    Raises:
        EncodeError: NUL or a surrogate in it, or too long.
    """
    if "\0" in value:
        raise EncodeError("a string holds no NUL")
    try:
        return encode_binary(value.encode())
    except UnicodeEncodeError as error:
        raise EncodeError(f"character {error.start} of a string is a surrogate") from error


def check_text(value: str, *, name: str) -> None:
    """Refuse a string that has no form on the wire.

    Raises:
        EncodeError: NUL or a surrogate in it, or more than STRING_BYTES_MAX bytes.
    """
    # A character has at most four bytes and at least one: most strings need no encoding to be known to be short.
    if "\0" in value or len(value) * 4 > STRING_BYTES_MAX or not value.isascii():
        try:
            encode_text(value)
        except EncodeError as error:
            raise EncodeError(f"{name}: {error}") from error


class Cursor:
    """A place in the body of a packet, from which values are read one after the other.

    Every reading method raises PacketError with the offset where the value should have been.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, *, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def is_at_end(self) -> bool:
        """Tell whether everything has been read."""
        return self.position >= self.end

    def read_bytes(self, count: int) -> bytes:
        """Read so many bytes."""
        start = self.position
        if count > self.end - start:
            raise PacketError(f"{count} bytes are wanted, {self.end - start} are left", offset=start)
        self.position = start + count
        return self.data[start : start + count]

    def read_byte(self) -> int:
        """Read one byte."""
        return self.read_bytes(1)[0]

    def read_u16(self) -> int:
        """Read two bytes, big-endian."""
        return int.from_bytes(self.read_bytes(2), "big")

    def read_u32(self) -> int:
        """Read four bytes, big-endian."""
        return int.from_bytes(self.read_bytes(4), "big")

    def read_varint(self) -> int:
        """Read a variable byte integer; one written with more bytes than it needs is taken as it is meant."""
        start = self.position
        value = shift = 0
        while shift < 28:
            byte = self.read_byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise PacketError("a variable byte integer has at most 4 bytes", offset=start)

    def read_binary(self) -> bytes:
        """Read binary data after its length of two bytes."""
        return self.read_bytes(self.read_u16())

    def read_text(self) -> str:
        """Read a UTF-8 string after its length of two bytes; no NUL and no surrogate is in it."""
        start = self.position
        try:
            text = self.read_binary().decode()
        except UnicodeDecodeError as error:
            raise PacketError("a string is not UTF-8", offset=start + 2 + error.start) from error
        if "\0" in text:
            raise PacketError("a string holds NUL", offset=start + 2)  # MQTT 3.1.1 section 1.5.3
        return text
