"""The CoAP option registry: numbers, value formats, lengths, and what is critical.

The value of the Block options is here too; block-wise transfers are in `blockwise`. Option 63 is private to OneNET
devices: it carries the device's auth code, and being odd it is critical, so it must be known.

Source: RFC 7252 sections 5.4 and 5.10, RFC 7641, RFC 7959, RFC 8613, RFC 8768, RFC 9175, RFC 7967.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from commandpost.protocols.errors import DecodeError, EncodeError


class Option(IntEnum):
    """Option numbers; odd ones are critical."""

    IF_MATCH = 1
    URI_HOST = 3
    ETAG = 4
    IF_NONE_MATCH = 5
    OBSERVE = 6
    URI_PORT = 7
    LOCATION_PATH = 8
    OSCORE = 9
    URI_PATH = 11
    CONTENT_FORMAT = 12
    MAX_AGE = 14
    URI_QUERY = 15
    HOP_LIMIT = 16
    ACCEPT = 17
    LOCATION_QUERY = 20
    BLOCK2 = 23
    BLOCK1 = 27
    SIZE2 = 28
    PROXY_URI = 35
    PROXY_SCHEME = 39
    SIZE1 = 60
    ONENET_AUTH_CODE = 63
    ECHO = 252
    NO_RESPONSE = 258
    REQUEST_TAG = 292


class OptionFormat(Enum):
    """How the bytes of an option value are read."""

    EMPTY = "empty"
    OPAQUE = "opaque"
    UINT = "uint"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionDefinition:
    """One row of the registry."""

    number: Option
    format: OptionFormat
    bytes_min: int
    bytes_max: int
    is_repeatable: bool = False
    # False: the number is known by name, but the engine does not do what it asks.
    is_supported: bool = True


def _define(
    number: Option,
    value_format: OptionFormat,
    bytes_min: int,
    bytes_max: int,
    *,
    is_repeatable: bool = False,
    is_supported: bool = True,
) -> OptionDefinition:
    return OptionDefinition(
        number=number,
        format=value_format,
        bytes_min=bytes_min,
        bytes_max=bytes_max,
        is_repeatable=is_repeatable,
        is_supported=is_supported,
    )


DEFINITIONS: Mapping[int, OptionDefinition] = {
    definition.number: definition
    for definition in (
        _define(Option.IF_MATCH, OptionFormat.OPAQUE, 0, 8, is_repeatable=True),
        _define(Option.URI_HOST, OptionFormat.STRING, 1, 255),
        _define(Option.ETAG, OptionFormat.OPAQUE, 1, 8, is_repeatable=True),
        _define(Option.IF_NONE_MATCH, OptionFormat.EMPTY, 0, 0),
        _define(Option.OBSERVE, OptionFormat.UINT, 0, 3),
        _define(Option.URI_PORT, OptionFormat.UINT, 0, 2),
        _define(Option.LOCATION_PATH, OptionFormat.STRING, 0, 255, is_repeatable=True),
        _define(Option.OSCORE, OptionFormat.OPAQUE, 0, 255, is_supported=False),
        _define(Option.URI_PATH, OptionFormat.STRING, 0, 255, is_repeatable=True),
        _define(Option.CONTENT_FORMAT, OptionFormat.UINT, 0, 2),
        _define(Option.MAX_AGE, OptionFormat.UINT, 0, 4),
        _define(Option.URI_QUERY, OptionFormat.STRING, 0, 255, is_repeatable=True),
        _define(Option.HOP_LIMIT, OptionFormat.UINT, 1, 1),
        _define(Option.ACCEPT, OptionFormat.UINT, 0, 2),
        _define(Option.LOCATION_QUERY, OptionFormat.STRING, 0, 255, is_repeatable=True),
        _define(Option.BLOCK2, OptionFormat.UINT, 0, 3),
        _define(Option.BLOCK1, OptionFormat.UINT, 0, 3),
        _define(Option.SIZE2, OptionFormat.UINT, 0, 4),
        _define(Option.PROXY_URI, OptionFormat.STRING, 1, 1034, is_supported=False),
        _define(Option.PROXY_SCHEME, OptionFormat.STRING, 1, 255, is_supported=False),
        _define(Option.SIZE1, OptionFormat.UINT, 0, 4),
        # Devices send 1 to 270 bytes; an empty one is let through, so that the owner can refuse it as a wrong code.
        _define(Option.ONENET_AUTH_CODE, OptionFormat.OPAQUE, 0, 270),
        _define(Option.ECHO, OptionFormat.OPAQUE, 1, 40),
        _define(Option.NO_RESPONSE, OptionFormat.UINT, 0, 1),
        _define(Option.REQUEST_TAG, OptionFormat.OPAQUE, 0, 8, is_repeatable=True),
    )
}

# The critical options the engine honours, as the one thing the hot path asks: number -> (least, most bytes, repeats).
_SUPPORTED_CRITICAL: Mapping[int, tuple[int, int, bool]] = {
    int(definition.number): (definition.bytes_min, definition.bytes_max, definition.is_repeatable)
    for definition in DEFINITIONS.values()
    if definition.number & 1 and definition.is_supported
}

UINT_OPTION_BYTES_MAX = 4  # RFC 7252 section 5.10: the longest uint option, Max-Age, has four bytes


def is_critical(number: int) -> bool:
    """Tell whether a receiver that does not know the option must refuse the message (RFC 7252 section 5.4.6)."""
    return number & 1 == 1


def find_unrecognised_critical(options: Iterable[tuple[int, bytes]]) -> int | None:
    """Give the first critical option the engine cannot honour, or None.

    An option of a wrong length, or repeated although it must not be, counts as not recognised (RFC 7252 sections
    5.4.3 and 5.4.5). Elective ones never count.

    Args:
        options: in ascending order, as the decoder gives them.
    """
    previous = -1
    for number, value in options:
        if number & 1:
            definition = _SUPPORTED_CRITICAL.get(number)
            if definition is None:
                return number
            bytes_min, bytes_max, is_repeatable = definition
            if not bytes_min <= len(value) <= bytes_max or (number == previous and not is_repeatable):
                return number
        previous = number
    return None


def encode_uint(value: int) -> bytes:
    """Write an unsigned integer in the fewest bytes; 0 is empty (RFC 7252 section 3.2)."""
    if not 0 <= value < 1 << 32:
        raise EncodeError(f"a uint option value is 0 to 2**32 - 1, not {value}")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_uint(value: bytes) -> int:
    """Read an unsigned integer; leading zero bytes are accepted (RFC 7252 section 3.2)."""
    return int.from_bytes(value, "big")


SZX_MAX = 6  # RFC 7959 section 2.2: 2**(6 + 4) = 1024 bytes; 7 is reserved
BLOCK_NUMBER_MAX = (1 << 20) - 1  # RFC 7959 section 2.2: 20 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The value of a Block1 or Block2 option.

    Wire: number << 4 | more << 3 | szx, as a uint of 0 to 3 bytes; a block has 2**(szx + 4) bytes.
    """

    number: int
    more: bool
    szx: int

    def __post_init__(self) -> None:
        """Refuse what has no form on the wire."""
        if not 0 <= self.number <= BLOCK_NUMBER_MAX or not 0 <= self.szx <= SZX_MAX:
            raise EncodeError(f"a block has number 0..{BLOCK_NUMBER_MAX} and szx 0..{SZX_MAX}: {self}")

    @property
    def block_bytes(self) -> int:
        """Give the size of a full block."""
        return 1 << (self.szx + 4)

    @property
    def offset(self) -> int:
        """Give the position of this block's first byte in the body."""
        return self.number << (self.szx + 4)

    def encode(self) -> bytes:
        """Write the option value."""
        return encode_uint(self.number << 4 | self.more << 3 | self.szx)

    @classmethod
    def decode(cls, value: bytes) -> "Block":
        """Read the option value.

        Raises:
            DecodeError: more than 3 bytes, or the reserved size exponent 7.
        """
        if len(value) > 3:
            raise DecodeError(f"a Block option has at most 3 bytes, not {len(value)}")
        number = int.from_bytes(value, "big")
        if number & 7 > SZX_MAX:
            raise DecodeError("block size exponent 7 is reserved")
        return cls(number=number >> 4, more=bool(number & 8), szx=number & 7)


def szx_for(block_bytes: int) -> int:
    """Give the size exponent of a block size.

    Raises:
        EncodeError: not a power of two from 16 to 1024.
    """
    szx = block_bytes.bit_length() - 5
    if not 0 <= szx <= SZX_MAX or 1 << (szx + 4) != block_bytes:
        raise EncodeError(f"a block size is a power of two from 16 to 1024, not {block_bytes}")
    return szx
