"""The record of one CoAP message and what its options say.

Bytes are in `codec`. Nothing here judges an option; readers of a value raise `DecodeError` when it cannot be read.
Source: RFC 7252 sections 3 and 5.10.
"""

from dataclasses import dataclass
from enum import IntEnum

from commandpost.protocols.coap.codes import format_code
from commandpost.protocols.coap.options import Block, Option
from commandpost.protocols.errors import DecodeError, EncodeError

TOKEN_BYTES_MAX = 8  # RFC 7252 section 3
OPTION_NUMBER_MAX = 0xFFFF  # RFC 7252 section 12.2
OPTION_VALUE_BYTES_MAX = 0xFFFF + 269  # RFC 7252 section 3.1: the most a two-byte extended length can say


class MessageType(IntEnum):
    """The two bits after the version."""

    CON = 0
    NON = 1
    ACK = 2
    RST = 3


def check_options(options: tuple[tuple[int, bytes], ...]) -> None:
    """Refuse options that have no form on the wire.

    Raises:
        EncodeError: a number or a length is out of range.
    """
    for number, value in options:
        if not 0 <= number <= OPTION_NUMBER_MAX or len(value) > OPTION_VALUE_BYTES_MAX:
            raise EncodeError(f"option {number} with {len(value)} bytes has no form on the wire")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapMessage:
    """One CoAP message.

    Options may be given in any order; the wire has them ascending, and equal numbers keep their order.
    """

    type: MessageType
    code: int
    message_id: int
    token: bytes = b""
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        if not 0 <= self.message_id <= 0xFFFF:
            raise EncodeError(f"a message id has 16 bits, not {self.message_id}")
        if not 0 <= self.code <= 0xFF:
            raise EncodeError(f"a code has 8 bits, not {self.code}")
        if len(self.token) > TOKEN_BYTES_MAX:
            raise EncodeError(f"a token has 0 to {TOKEN_BYTES_MAX} bytes, not {len(self.token)}")
        if self.code == 0 and (self.token or self.options or self.payload):
            raise EncodeError("an empty message has no token, options or payload")
        check_options(self.options)

    def __str__(self) -> str:
        """Give one line for a log; payload and token are not secret, option values may be and are left out."""
        return (
            f"{self.type.name} {format_code(self.code)} mid={self.message_id:#06x} token={self.token.hex()}"
            f" options={[number for number, _ in self.options]} payload_bytes={len(self.payload)}"
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether this is an empty ACK, a reset or a ping."""
        return self.code == 0

    @property
    def is_request(self) -> bool:
        """Tell whether the code is a method."""
        return 0 < self.code < 0x20

    @property
    def is_response(self) -> bool:
        """Tell whether the code is a response."""
        return self.code >= 0x40

    def find_option(self, number: int) -> bytes | None:
        """Give the first value of an option, or None."""
        for candidate, value in self.options:
            if candidate == number:
                return value
        return None

    def option_values(self, number: int) -> tuple[bytes, ...]:
        """Give every value of an option, in wire order."""
        return tuple(value for candidate, value in self.options if candidate == number)

    @property
    def uri_path(self) -> tuple[str, ...]:
        """Give the path segments; DecodeError if one is not UTF-8."""
        return self._strings(Option.URI_PATH)

    @property
    def uri_query(self) -> tuple[str, ...]:
        """Give the query options as they stand, nothing split or unescaped; DecodeError if one is not UTF-8."""
        return self._strings(Option.URI_QUERY)

    @property
    def location_path(self) -> tuple[str, ...]:
        """Give the segments of the created resource's path; DecodeError if one is not UTF-8."""
        return self._strings(Option.LOCATION_PATH)

    @property
    def content_format(self) -> int | None:
        """Give the payload's format as sent; see `content_formats.canonical` for the old numbers."""
        return self._uint(Option.CONTENT_FORMAT, bytes_max=2)

    @property
    def accept(self) -> int | None:
        """Give the format asked for, as sent."""
        return self._uint(Option.ACCEPT, bytes_max=2)

    @property
    def observe(self) -> int | None:
        """Give the Observe value: 0 or 1 in a request, a sequence number in a notification."""
        return self._uint(Option.OBSERVE, bytes_max=3)

    @property
    def etag(self) -> bytes | None:
        """Give the first entity tag."""
        return self.find_option(Option.ETAG)

    @property
    def block1(self) -> Block | None:
        """Give the block of a request body; DecodeError if it cannot be read."""
        value = self.find_option(Option.BLOCK1)
        return None if value is None else Block.decode(value)

    @property
    def block2(self) -> Block | None:
        """Give the block of a response body; DecodeError if it cannot be read."""
        value = self.find_option(Option.BLOCK2)
        return None if value is None else Block.decode(value)

    @property
    def auth_code(self) -> bytes | None:
        """Give the OneNET auth code (private option 63)."""
        return self.find_option(Option.ONENET_AUTH_CODE)

    def _uint(self, number: int, *, bytes_max: int) -> int | None:
        value = self.find_option(number)
        # RFC 7252 section 5.4.3: a value of a wrong length counts as an option that is not there.
        return None if value is None or len(value) > bytes_max else int.from_bytes(value, "big")

    def _strings(self, number: int) -> tuple[str, ...]:
        try:
            return tuple([value.decode() for candidate, value in self.options if candidate == number])
        except UnicodeDecodeError as error:
            raise DecodeError(f"option {number} is not UTF-8", offset=error.start) from error
