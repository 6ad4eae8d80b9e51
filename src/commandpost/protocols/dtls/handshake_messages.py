"""Handshake messages and their fragments, and the small bodies that need no file of their own.

Wire: type, length of the message (3 bytes), message number (2), offset and length of the fragment (3 each), bytes.
Source: RFC 6347 section 4.2.2, RFC 4279 section 2.
"""

from struct import Struct
from typing import Final, NamedTuple

from commandpost.protocols.dtls.registries import HandshakeType
from commandpost.protocols.dtls.wire import WireReader, encode_vector
from commandpost.protocols.errors import DecodeError

FRAGMENT_HEADER_BYTES: Final = 12
IDENTITY_BYTES_MAX: Final = 256  # RFC 4279 section 5.3 asks for 128; room for long endpoint names
FRAGMENTS_PER_RECORD_MAX: Final = 32  # a flight has three messages

# Type, then length, number, offset, length of the fragment; numbers of three bytes as one and two.
_HEADER = Struct(">BBHHBHBH")


class Fragment(NamedTuple):
    """A part of a handshake message, or all of it."""

    message_type: int
    message_bytes: int
    message_number: int
    offset: int
    body: bytes

    @property
    def is_whole(self) -> bool:
        """Tell whether the message has no other part."""
        return len(self.body) == self.message_bytes


def split_fragments(content: bytes) -> list[Fragment]:
    """Cut the content of a handshake record into its fragments.

    Raises:
        DecodeError: the content is empty, cut short, holds too many, or a fragment leaves its message.
    """
    fragments: list[Fragment] = []
    start, total = 0, len(content)
    while start < total or not fragments:
        if len(fragments) == FRAGMENTS_PER_RECORD_MAX:
            raise DecodeError(f"more than {FRAGMENTS_PER_RECORD_MAX} fragments in a record", offset=start)
        if total - start < FRAGMENT_HEADER_BYTES:
            raise DecodeError(f"a fragment of {total - start} bytes", offset=start)
        kind, size_high, size, number, offset_high, offset, length_high, length = _HEADER.unpack_from(content, start)
        size, offset, length = size_high << 16 | size, offset_high << 16 | offset, length_high << 16 | length
        body_at = start + FRAGMENT_HEADER_BYTES
        if offset + length > size or body_at + length > total:
            raise DecodeError(f"bytes {offset} to {offset + length} of a message of {size}", offset=start)
        start = body_at + length
        fragments.append(Fragment(kind, size, number, offset, content[body_at:start]))
    return fragments


def encode_message(message_type: HandshakeType, message_number: int, body: bytes) -> bytes:
    """Write a message as one fragment, which is also the form that is hashed (RFC 6347 section 4.2.6)."""
    length = len(body).to_bytes(3, "big")
    return bytes((message_type,)) + length + message_number.to_bytes(2, "big") + bytes(3) + length + body


def decode_client_key_exchange(body: bytes) -> bytes:
    """Read the identity a client claims.

    Raises:
        DecodeError: it is cut short or longer than IDENTITY_BYTES_MAX.
    """
    reader = WireReader(body)
    identity = reader.take_vector(2, bytes_max=IDENTITY_BYTES_MAX)
    reader.expect_end()
    return identity


def encode_client_key_exchange(identity: bytes) -> bytes:
    """Write the identity a client claims."""
    return encode_vector(identity, 2)
