"""The client's side of a handshake: messages in, flights and at last the protected traffic out.

Source: RFC 6347 section 4.2, RFC 4279 section 2, RFC 9146 section 3.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from commandpost.protocols.dtls.alerts import HandshakeFault
from commandpost.protocols.dtls.handshake_messages import encode_client_key_exchange, encode_message
from commandpost.protocols.dtls.hello import (
    ClientHello,
    ServerHello,
    decode_hello_verify_request,
    decode_server_hello,
    encode_client_hello,
)
from commandpost.protocols.dtls.key_schedule import (
    RANDOM_BYTES,
    client_verify_data,
    extended_master_secret,
    key_block,
    master_secret,
    server_verify_data,
)
from commandpost.protocols.dtls.negotiation import decode_connection_id, encode_connection_id
from commandpost.protocols.dtls.record_protection import Protection, RandomBytes, cut_key_block
from commandpost.protocols.dtls.registries import (
    DTLS_1_2,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    FRAGMENT_BYTES_BY_CODE,
    PLAINTEXT_BYTES_MAX,
    AlertDescription,
    CipherSuite,
    ContentType,
    ExtensionType,
    HandshakeType,
)
from commandpost.protocols.dtls.replay_window import ReplayWindow
from commandpost.protocols.dtls.traffic import PROTECTED_EPOCH, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParameters:
    """What a client is and offers."""

    identity: bytes
    key: bytes = field(repr=False)
    cipher_suites: tuple[CipherSuite, ...] = tuple(CipherSuite)
    connection_id: bytes | None = None
    """What the server shall write to us; empty asks only for the server's, None for neither."""
    offers_extended_master_secret: bool = True
    offers_encrypt_then_mac: bool = True
    max_fragment_length: int | None = None
    """A code of RFC 6066: 1 to 4."""
    flight_timeout_s: float = 1.0  # RFC 6347 section 4.2.4.1
    flight_timeout_max_s: float = 60.0  # RFC 6347 section 4.2.4.1
    flight_transmissions_max: int = 7  # about a minute


class FlightRecord(NamedTuple):
    """One record of a flight, before it has a sequence number."""

    epoch: int
    content_type: ContentType
    body: bytes


class _Step(Enum):
    HELLO = "hello"
    HELLO_DONE = "hello_done"
    FINISHED = "finished"
    DONE = "done"


_CHANGE_CIPHER_SPEC: Final = FlightRecord(0, ContentType.CHANGE_CIPHER_SPEC, b"\1")
_AEAD: Final = {
    CipherSuite.PSK_AES_128_CCM_8: Protection.CCM_8,
    CipherSuite.PSK_AES_128_GCM_SHA256: Protection.GCM,
}


class ClientHandshake:
    """One handshake. `flight` is what to send, and to repeat until the next one replaces it."""

    __slots__ = ("_hello", "_messages", "_parameters", "_server_hello", "_step", "_verify_data", "flight", "traffic")

    def __init__(self, parameters: ClientParameters, *, random_bytes: RandomBytes) -> None:
        self._parameters = parameters
        self._hello = ClientHello(
            random=random_bytes(RANDOM_BYTES),
            cipher_suites=(*parameters.cipher_suites, EMPTY_RENEGOTIATION_INFO_SCSV),
            extensions=_offered_extensions(parameters),
        )
        self._server_hello: ServerHello | None = None
        self._messages = b""  # the transcript
        self._verify_data = b""
        self._step = _Step.HELLO
        self.traffic: Traffic | None = None
        self.flight: tuple[FlightRecord, ...] = ()
        self._say_hello(0)

    @property
    def is_done(self) -> bool:
        """Tell whether the server's Finished has been verified."""
        return self._step is _Step.DONE

    @property
    def awaits_finished(self) -> bool:
        """Tell whether a repeated ServerHelloDone means that our last flight was lost."""
        return self._step is _Step.FINISHED

    def take(self, number: int, message_type: int, body: bytes) -> None:
        """Take the next message of the server.

        Raises:
            DecodeError: it is malformed.
            HandshakeFault: it does not belong here, or agrees to what was not offered, or is not authentic.
        """
        whole = _whole_message(number, message_type, body)
        match self._step, message_type:
            case _Step.HELLO, HandshakeType.HELLO_VERIFY_REQUEST:
                self._hello = ClientHello(
                    random=self._hello.random,
                    cookie=decode_hello_verify_request(body),
                    cipher_suites=self._hello.cipher_suites,
                    extensions=self._hello.extensions,
                )
                self._say_hello(number + 1)
            case _Step.HELLO, HandshakeType.SERVER_HELLO:
                self._server_hello = self._checked(decode_server_hello(body))
                self._messages += whole
                self._step = _Step.HELLO_DONE
            case _Step.HELLO_DONE, HandshakeType.SERVER_KEY_EXCHANGE:
                self._messages += whole  # an identity hint, which says nothing to a device with one identity
            case _Step.HELLO_DONE, HandshakeType.SERVER_HELLO_DONE:
                self._messages += whole
                self._finish(self._hello_number + 1)
                self._step = _Step.FINISHED
            case _Step.FINISHED, HandshakeType.FINISHED:
                if not hmac.compare_digest(body, self._verify_data):
                    raise HandshakeFault(AlertDescription.DECRYPT_ERROR, "the server's Finished does not fit")
                self._step = _Step.DONE
            case _:
                raise HandshakeFault(AlertDescription.UNEXPECTED_MESSAGE, f"message {message_type} is not expected")

    @property
    def _hello_number(self) -> int:
        return int.from_bytes(self._messages[4:6], "big")

    def _say_hello(self, number: int) -> None:
        # RFC 6347 section 4.2.1: the transcript begins with the hello that is answered by ServerHello.
        self._messages = encode_message(HandshakeType.CLIENT_HELLO, number, encode_client_hello(self._hello))
        self.flight = (FlightRecord(0, ContentType.HANDSHAKE, self._messages),)

    def _checked(self, hello: ServerHello) -> ServerHello:
        """Give the hello back if it chooses among what was offered."""
        offered = {kind for kind, _ in self._hello.extensions} | {ExtensionType.RENEGOTIATION_INFO}
        if hello.server_version != DTLS_1_2:
            raise HandshakeFault(AlertDescription.PROTOCOL_VERSION, f"version {hello.server_version:#06x}")
        if hello.cipher_suite not in self._parameters.cipher_suites or hello.compression_method:
            raise HandshakeFault(AlertDescription.ILLEGAL_PARAMETER, "a suite that was not offered, or compression")
        if any(kind not in offered for kind, _ in hello.extensions):
            raise HandshakeFault(AlertDescription.UNSUPPORTED_EXTENSION, "an extension that was not offered")
        return hello

    def _finish(self, number: int) -> None:
        """Derive everything and make the last flight: ClientKeyExchange, ChangeCipherSpec, Finished."""
        assert self._server_hello is not None
        hello, parameters = self._server_hello, self._parameters
        exchange = encode_message(
            HandshakeType.CLIENT_KEY_EXCHANGE, number, encode_client_key_exchange(parameters.identity)
        )
        self._messages += exchange
        session_hash = sha256(self._messages).digest()
        randoms = {"client_random": self._hello.random, "server_random": hello.random}
        if hello.extension(ExtensionType.EXTENDED_MASTER_SECRET) is not None:
            master = extended_master_secret(parameters.key, session_hash=session_hash)
        else:
            master = master_secret(parameters.key, **randoms)
        finished = encode_message(
            HandshakeType.FINISHED, number + 1, client_verify_data(master, handshake_hash=session_hash)
        )
        self._verify_data = server_verify_data(master, handshake_hash=sha256(self._messages + finished).digest())
        protection = self._protection(hello)
        block = key_block(master, **randoms, length=protection.key_block_bytes)
        self.traffic = self._make_traffic(hello, protection, block)
        self.flight = (
            FlightRecord(0, ContentType.HANDSHAKE, exchange),
            _CHANGE_CIPHER_SPEC,
            FlightRecord(PROTECTED_EPOCH, ContentType.HANDSHAKE, finished),
        )

    def _protection(self, hello: ServerHello) -> Protection:
        suite = CipherSuite(hello.cipher_suite)
        if suite in _AEAD:
            return _AEAD[suite]
        if hello.extension(ExtensionType.ENCRYPT_THEN_MAC) is not None:
            return Protection.CBC_ENCRYPT_THEN_MAC
        return Protection.CBC_MAC_THEN_ENCRYPT

    def _make_traffic(self, hello: ServerHello, protection: Protection, block: bytes) -> Traffic:
        client_keys, server_keys = cut_key_block(block, protection)
        peer_id = hello.extension(ExtensionType.CONNECTION_ID)
        own_id = self._parameters.connection_id if peer_id is not None else None
        code = hello.extension(ExtensionType.MAX_FRAGMENT_LENGTH) or b"\0"
        return Traffic(
            protection=protection,
            read_keys=server_keys,
            write_keys=client_keys,
            read_connection_id=own_id or b"",
            write_connection_id=decode_connection_id(peer_id) if peer_id is not None else b"",
            window=ReplayWindow(),
            write_sequence=0,
            fragment_bytes_max=FRAGMENT_BYTES_BY_CODE.get(code[0], PLAINTEXT_BYTES_MAX),
        )


def _offered_extensions(parameters: ClientParameters) -> tuple[tuple[int, bytes], ...]:
    extensions: list[tuple[int, bytes]] = []
    if parameters.offers_extended_master_secret:
        extensions.append((ExtensionType.EXTENDED_MASTER_SECRET, b""))
    if parameters.offers_encrypt_then_mac and CipherSuite.PSK_AES_128_CBC_SHA256 in parameters.cipher_suites:
        extensions.append((ExtensionType.ENCRYPT_THEN_MAC, b""))
    if parameters.max_fragment_length is not None:
        extensions.append((ExtensionType.MAX_FRAGMENT_LENGTH, bytes((parameters.max_fragment_length,))))
    if parameters.connection_id is not None:
        extensions.append(encode_connection_id(parameters.connection_id))
    return tuple(extensions)


def _whole_message(number: int, message_type: int, body: bytes) -> bytes:
    """Give a message as it is hashed."""
    try:
        return encode_message(HandshakeType(message_type), number, body)
    except ValueError:
        raise HandshakeFault(AlertDescription.UNEXPECTED_MESSAGE, f"message {message_type} is unknown") from None
