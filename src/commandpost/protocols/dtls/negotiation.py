"""What the server makes of a ClientHello: the terms of the association to be, or an alert.

Source: RFC 5246 section 7.4.1, RFC 5746 section 3, RFC 6066 section 4, RFC 7366, RFC 7627 section 5, RFC 9146
section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from commandpost.protocols.dtls.alerts import HandshakeFault
from commandpost.protocols.dtls.hello import ClientHello, Extensions
from commandpost.protocols.dtls.parameters import DtlsParameters
from commandpost.protocols.dtls.record_protection import Protection
from commandpost.protocols.dtls.registries import (
    DTLS_1_2,
    DTLS_MAJOR,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    FRAGMENT_BYTES_BY_CODE,
    PLAINTEXT_BYTES_MAX,
    AlertDescription,
    CipherSuite,
    ExtensionType,
)
from commandpost.protocols.dtls.wire import WireReader, encode_vector
from commandpost.protocols.errors import DecodeError

_NO_RENEGOTIATION: Final = b"\0"  # RFC 5746 section 3.2: renegotiated_connection, empty in a first handshake

_AEAD: Final = {
    CipherSuite.PSK_AES_128_CCM_8: Protection.CCM_8,
    CipherSuite.PSK_AES_128_GCM_SHA256: Protection.GCM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What both sides will hold to.

    Attributes:
        peer_connection_id: what records to the client carry; None if ids were not negotiated.
        extensions: those of the ServerHello, but for the server's own connection id.
    """

    protection: Protection
    has_extended_master_secret: bool
    peer_connection_id: bytes | None
    fragment_bytes_max: int
    extensions: Extensions


def is_version_supported(client_version: int) -> bool:
    """Tell whether the client can do DTLS 1.2; its versions count downwards (RFC 6347 section 4.1)."""
    return client_version >> 8 == DTLS_MAJOR and client_version <= DTLS_1_2


def negotiate(hello: ClientHello, parameters: DtlsParameters) -> Terms:
    """Choose.

    Raises:
        HandshakeFault: there is nothing to agree on, or an extension is malformed.
    """
    if not is_version_supported(hello.client_version):
        raise HandshakeFault(AlertDescription.PROTOCOL_VERSION, f"version {hello.client_version:#06x} is not DTLS 1.2")
    if 0 not in hello.compression_methods:
        raise HandshakeFault(AlertDescription.ILLEGAL_PARAMETER, "null compression is not offered")
    extensions: list[tuple[int, bytes]] = []
    if _is_secure_renegotiation_offered(hello):
        extensions.append((ExtensionType.RENEGOTIATION_INFO, _NO_RENEGOTIATION))
    has_extended_master_secret = _has_flag(hello, ExtensionType.EXTENDED_MASTER_SECRET)
    if has_extended_master_secret:
        extensions.append((ExtensionType.EXTENDED_MASTER_SECRET, b""))
    elif parameters.requires_extended_master_secret:
        raise HandshakeFault(AlertDescription.HANDSHAKE_FAILURE, "extended master secret is required")
    protection = _choose_protection(hello, parameters)
    if protection is Protection.CBC_ENCRYPT_THEN_MAC:
        extensions.append((ExtensionType.ENCRYPT_THEN_MAC, b""))
    code = hello.extension(ExtensionType.MAX_FRAGMENT_LENGTH)
    if code is not None:
        if len(code) != 1 or code[0] not in FRAGMENT_BYTES_BY_CODE:
            raise HandshakeFault(AlertDescription.ILLEGAL_PARAMETER, "no such maximum fragment length")
        extensions.append((ExtensionType.MAX_FRAGMENT_LENGTH, code))
    return Terms(
        protection=protection,
        has_extended_master_secret=has_extended_master_secret,
        peer_connection_id=_peer_connection_id(hello) if parameters.connection_id_bytes is not None else None,
        fragment_bytes_max=FRAGMENT_BYTES_BY_CODE[code[0]] if code is not None else PLAINTEXT_BYTES_MAX,
        extensions=tuple(extensions),
    )


def encode_connection_id(connection_id: bytes) -> tuple[int, bytes]:
    """Give the extension that names an id (RFC 9146 section 3)."""
    return ExtensionType.CONNECTION_ID, encode_vector(connection_id, 1)


def decode_connection_id(body: bytes) -> bytes:
    """Read the extension that names an id.

    Raises:
        DecodeError: it is cut short or too long.
    """
    reader = WireReader(body)
    connection_id = reader.take_vector(1, bytes_max=255)
    reader.expect_end()
    return connection_id


def _is_secure_renegotiation_offered(hello: ClientHello) -> bool:
    """Tell whether RFC 5746 wants an answer.

    Raises:
        HandshakeFault: a first handshake names an earlier one (section 3.6).
    """
    body = hello.extension(ExtensionType.RENEGOTIATION_INFO)
    if body is not None and body != _NO_RENEGOTIATION:
        raise HandshakeFault(AlertDescription.HANDSHAKE_FAILURE, "renegotiation_info is not empty")
    return body is not None or EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites


def _has_flag(hello: ClientHello, kind: ExtensionType) -> bool:
    body = hello.extension(kind)
    if body:
        raise HandshakeFault(AlertDescription.DECODE_ERROR, f"{kind.name} has a body")
    return body is not None


def _choose_protection(hello: ClientHello, parameters: DtlsParameters) -> Protection:
    has_encrypt_then_mac = _has_flag(hello, ExtensionType.ENCRYPT_THEN_MAC)
    for suite in parameters.cipher_suites:
        if suite not in hello.cipher_suites:
            continue
        if suite in _AEAD:
            return _AEAD[suite]
        if has_encrypt_then_mac:
            return Protection.CBC_ENCRYPT_THEN_MAC
        if parameters.allows_mac_then_encrypt:
            return Protection.CBC_MAC_THEN_ENCRYPT
    raise HandshakeFault(AlertDescription.HANDSHAKE_FAILURE, "no cipher suite in common")


def _peer_connection_id(hello: ClientHello) -> bytes | None:
    body = hello.extension(ExtensionType.CONNECTION_ID)
    if body is None:
        return None
    try:
        return decode_connection_id(body)
    except DecodeError as error:
        raise HandshakeFault(AlertDescription.DECODE_ERROR, f"connection_id: {error}") from error
