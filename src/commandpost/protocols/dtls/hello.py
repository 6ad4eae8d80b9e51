"""The three hellos: ClientHello, HelloVerifyRequest, ServerHello, and their extensions.

What is chosen from them is `negotiation`'s matter. Source: RFC 5246 section 7.4.1, RFC 6347 section 4.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from commandpost.protocols.dtls.key_schedule import RANDOM_BYTES
from commandpost.protocols.dtls.registries import DTLS_1_2
from commandpost.protocols.dtls.wire import WireReader, encode_vector
from commandpost.protocols.errors import DecodeError

SESSION_ID_BYTES_MAX: Final = 32  # RFC 5246 section 7.4.1.2
COOKIE_BYTES_MAX: Final = 255  # RFC 6347 section 4.3.2
CLIENT_HELLO_BYTES_MAX: Final = 2_048  # must fit a datagram; those of desktop libraries have 150 to 600 bytes
EXTENSIONS_MAX: Final = 64  # about as many as are registered

Extensions = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What a client offers."""

    client_version: int = DTLS_1_2
    random: bytes
    session_id: bytes = b""
    cookie: bytes = b""
    cipher_suites: tuple[int, ...]
    compression_methods: bytes = b"\0"
    extensions: Extensions = ()

    def extension(self, kind: int) -> bytes | None:
        """Give the body of an extension; None if the client did not send it."""
        return next((body for number, body in self.extensions if number == kind), None)

    @property
    def parameters(self) -> bytes:
        """Give what a client may not change between its two hellos (RFC 6347 section 4.2.1)."""
        return (
            self.client_version.to_bytes(2, "big")
            + self.random
            + encode_vector(self.session_id, 1)
            + _encode_suites(self.cipher_suites)
            + encode_vector(self.compression_methods, 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What a server chose."""

    server_version: int = DTLS_1_2
    random: bytes = field(repr=False)
    session_id: bytes = b""
    cipher_suite: int
    compression_method: int = 0
    extensions: Extensions = ()

    def extension(self, kind: int) -> bytes | None:
        """Give the body of an extension; None if the server did not send it."""
        return next((body for number, body in self.extensions if number == kind), None)


def decode_client_hello(body: bytes) -> ClientHello:
    """Read a ClientHello.

    Raises:
        DecodeError: it is cut short, too long, or an extension stands in it twice (RFC 5246 section 7.4.1.4).
    """
    reader = WireReader(body)
    version = reader.take_uint(2)
    random = reader.take(RANDOM_BYTES)
    session_id = reader.take_vector(1, bytes_max=SESSION_ID_BYTES_MAX)
    cookie = reader.take_vector(1, bytes_max=COOKIE_BYTES_MAX)
    suites_at = reader.offset
    suites = reader.take_vector(2, bytes_max=CLIENT_HELLO_BYTES_MAX)
    if not suites or len(suites) % 2:
        raise DecodeError(f"cipher suites of {len(suites)} bytes", offset=suites_at)
    compression_methods = reader.take_vector(1, bytes_max=255)
    if not compression_methods:
        raise DecodeError("no compression method", offset=reader.offset - 1)
    extensions = _decode_extensions(reader)
    reader.expect_end()
    return ClientHello(
        client_version=version,
        random=random,
        session_id=session_id,
        cookie=cookie,
        cipher_suites=tuple(int.from_bytes(suites[at : at + 2], "big") for at in range(0, len(suites), 2)),
        compression_methods=compression_methods,
        extensions=extensions,
    )


def encode_client_hello(hello: ClientHello) -> bytes:
    """Write a ClientHello."""
    return (
        hello.client_version.to_bytes(2, "big")
        + hello.random
        + encode_vector(hello.session_id, 1)
        + encode_vector(hello.cookie, 1)
        + _encode_suites(hello.cipher_suites)
        + encode_vector(hello.compression_methods, 1)
        + _encode_extensions(hello.extensions)
    )


def decode_server_hello(body: bytes) -> ServerHello:
    """Read a ServerHello.

    Raises:
        DecodeError: it is cut short or too long.
    """
    reader = WireReader(body)
    version = reader.take_uint(2)
    random = reader.take(RANDOM_BYTES)
    session_id = reader.take_vector(1, bytes_max=SESSION_ID_BYTES_MAX)
    cipher_suite = reader.take_uint(2)
    compression_method = reader.take_uint(1)
    extensions = _decode_extensions(reader)
    reader.expect_end()
    return ServerHello(
        server_version=version,
        random=random,
        session_id=session_id,
        cipher_suite=cipher_suite,
        compression_method=compression_method,
        extensions=extensions,
    )


def encode_server_hello(hello: ServerHello) -> bytes:
    """Write a ServerHello."""
    return (
        hello.server_version.to_bytes(2, "big")
        + hello.random
        + encode_vector(hello.session_id, 1)
        + hello.cipher_suite.to_bytes(2, "big")
        + bytes((hello.compression_method,))
        + _encode_extensions(hello.extensions)
    )


def decode_hello_verify_request(body: bytes) -> bytes:
    """Read a HelloVerifyRequest: its cookie. Its version says nothing (RFC 6347 section 4.2.1).

    Raises:
        DecodeError: it is cut short or too long.
    """
    reader = WireReader(body)
    reader.take_uint(2)
    cookie = reader.take_vector(1, bytes_max=COOKIE_BYTES_MAX)
    reader.expect_end()
    return cookie


def encode_hello_verify_request(cookie: bytes, *, version: int) -> bytes:
    """Write a HelloVerifyRequest."""
    return version.to_bytes(2, "big") + encode_vector(cookie, 1)


def _encode_suites(suites: tuple[int, ...]) -> bytes:
    return encode_vector(b"".join(suite.to_bytes(2, "big") for suite in suites), 2)


def _encode_extensions(extensions: Extensions) -> bytes:
    if not extensions:
        return b""
    return encode_vector(b"".join(kind.to_bytes(2, "big") + encode_vector(body, 2) for kind, body in extensions), 2)


def _decode_extensions(reader: WireReader) -> Extensions:
    if not reader.has_more:
        return ()
    start = reader.offset + 2
    block = WireReader(reader.take_vector(2, bytes_max=CLIENT_HELLO_BYTES_MAX))
    extensions: dict[int, bytes] = {}
    while block.has_more:
        kind = block.take_uint(2)
        if kind in extensions or len(extensions) == EXTENSIONS_MAX:
            raise DecodeError(f"extension {kind} twice, or more than {EXTENSIONS_MAX}", offset=start + block.offset - 2)
        extensions[kind] = block.take_vector(2, bytes_max=CLIENT_HELLO_BYTES_MAX)
    return tuple(extensions.items())
