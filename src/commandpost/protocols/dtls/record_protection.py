"""Sealing and opening the body of a record, for each kind of protection, with and without a connection id.

`seal` and `open_record` are the only ways in. Cipher objects are built for each record: that costs half a
microsecond for CCM and saves 600 bytes a direction (2,500 for GCM) in every association.

Source: RFC 5246 section 6.2.3, RFC 6655 (CCM_8), RFC 5288 (GCM), RFC 7366 (encrypt-then-MAC), RFC 9146 sections 4, 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

from commandpost.protocols.dtls import cbc_protection
from commandpost.protocols.dtls.records import Record, encode_record
from commandpost.protocols.dtls.registries import DTLS_1_2, PLAINTEXT_BYTES_MAX, CipherSuite, ContentType

RandomBytes: TypeAlias = Callable[[int], bytes]

_EXPLICIT_NONCE_BYTES: Final = 8
_CCM_8_TAG_BYTES: Final = 8
_GCM_TAG_BYTES: Final = 16
_VERSION: Final = DTLS_1_2.to_bytes(2, "big")
_CID_TYPE: Final = int(ContentType.TLS12_CID)
_CID_PLACEHOLDER: Final = b"\xff" * 8 + bytes((_CID_TYPE,))


class Protection(Enum):
    """How bodies are protected: the suite, and for CBC the order of its two steps."""

    CCM_8 = "ccm_8"
    GCM = "gcm"
    CBC_ENCRYPT_THEN_MAC = "cbc_encrypt_then_mac"
    CBC_MAC_THEN_ENCRYPT = "cbc_mac_then_encrypt"
    """Not in constant time; only behind a switch."""

    @property
    def suite(self) -> CipherSuite:
        """Give the suite it belongs to."""
        match self:
            case Protection.CCM_8:
                return CipherSuite.PSK_AES_128_CCM_8
            case Protection.GCM:
                return CipherSuite.PSK_AES_128_GCM_SHA256
            case _:
                return CipherSuite.PSK_AES_128_CBC_SHA256

    @property
    def key_block_bytes(self) -> int:
        """Give the length of the key block: keys, and salts or MAC keys, for both directions."""
        return 2 * (16 + 4) if self in (Protection.CCM_8, Protection.GCM) else 2 * (32 + 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteKeys:
    """The secrets of one direction. Nothing of it is ever printed.

    Attributes:
        key: 16 bytes of AES.
        salt: the 4 implicit bytes of an AEAD nonce, or the 32 bytes of a CBC suite's MAC key.
    """

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)


def cut_key_block(block: bytes, protection: Protection) -> tuple[WriteKeys, WriteKeys]:
    """Cut a key block into the client's and the server's write keys (RFC 5246 section 6.3)."""
    if protection in (Protection.CCM_8, Protection.GCM):
        client_key, server_key, client_salt, server_salt = block[:16], block[16:32], block[32:36], block[36:40]
    else:
        client_salt, server_salt, client_key, server_key = block[:32], block[32:64], block[64:80], block[80:96]
    return WriteKeys(key=client_key, salt=client_salt), WriteKeys(key=server_key, salt=server_salt)


def seal(
    protection: Protection,
    keys: WriteKeys,
    content_type: int,
    content: bytes,
    *,
    epoch: int,
    sequence: int,
    connection_id: bytes,
    random_bytes: RandomBytes,
) -> bytes:
    """Give the whole protected record.

    Args:
        connection_id: the receiver's; empty for a record of the classic form.
        random_bytes: used by CBC only, whose every record has an IV of its own.
    """
    number = (epoch << 48 | sequence).to_bytes(8, "big")
    outer_type = content_type
    if connection_id:
        # RFC 9146 section 4: the real type goes inside. We add no padding of our own.
        content += bytes((content_type,))
        outer_type = _CID_TYPE
    if protection is Protection.CCM_8 or protection is Protection.GCM:
        added = _added_data(number, outer_type, connection_id, len(content))
        if protection is Protection.CCM_8:
            sealed = AESCCM(keys.key, tag_length=_CCM_8_TAG_BYTES).encrypt(keys.salt + number, content, added)
        else:
            sealed = AESGCM(keys.key).encrypt(keys.salt + number, content, added)
        body = number + sealed
    else:

        def added_for(length: int) -> bytes:
            return _added_data(number, outer_type, connection_id, length)

        seal_cbc = (
            cbc_protection.seal_then_mac
            if protection is Protection.CBC_ENCRYPT_THEN_MAC
            else cbc_protection.mac_then_seal
        )
        body = seal_cbc(keys.key, keys.salt, content, added_for, initial_vector=random_bytes(16))
    return encode_record(outer_type, epoch=epoch, sequence=sequence, connection_id=connection_id, body=body)


def open_record(protection: Protection, keys: WriteKeys, record: Record) -> tuple[int, bytes] | None:
    """Give the real content type and the content; None if the record is not authentic, whatever the reason."""
    number = (record.epoch << 48 | record.sequence).to_bytes(8, "big")
    if record.version != DTLS_1_2:
        return None
    if protection is Protection.CCM_8 or protection is Protection.GCM:
        content = _open_aead(protection, keys, record, number)
    else:

        def added_for(length: int) -> bytes:
            return _added_data(number, record.content_type, record.connection_id, length)

        open_cbc = (
            cbc_protection.check_then_open
            if protection is Protection.CBC_ENCRYPT_THEN_MAC
            else cbc_protection.open_then_check
        )
        content = open_cbc(keys.key, keys.salt, record.body, added_for)
    if content is None or len(content) > PLAINTEXT_BYTES_MAX:
        return None
    if record.content_type != _CID_TYPE:
        return record.content_type, content
    content = content.rstrip(b"\0")  # RFC 9146 section 4: zeros after the real type are padding
    return (content[-1], content[:-1]) if content else None


def _open_aead(protection: Protection, keys: WriteKeys, record: Record, number: bytes) -> bytes | None:
    is_ccm = protection is Protection.CCM_8
    body = record.body
    content_bytes = len(body) - _EXPLICIT_NONCE_BYTES - (_CCM_8_TAG_BYTES if is_ccm else _GCM_TAG_BYTES)
    if content_bytes < 0:
        return None
    nonce = keys.salt + body[:_EXPLICIT_NONCE_BYTES]
    added = _added_data(number, record.content_type, record.connection_id, content_bytes)
    try:
        if is_ccm:
            return AESCCM(keys.key, tag_length=_CCM_8_TAG_BYTES).decrypt(nonce, body[_EXPLICIT_NONCE_BYTES:], added)
        return AESGCM(keys.key).decrypt(nonce, body[_EXPLICIT_NONCE_BYTES:], added)
    except InvalidTag:
        return None


def _added_data(number: bytes, outer_type: int, connection_id: bytes, length: int) -> bytes:
    """Give what is authenticated beside the content: RFC 5246 section 6.2.3.3, or RFC 9146 section 5 with an id."""
    if not connection_id:
        return number + bytes((outer_type,)) + _VERSION + length.to_bytes(2, "big")
    inner = bytes((len(connection_id), _CID_TYPE)) + _VERSION + number + connection_id
    return _CID_PLACEHOLDER + inner + length.to_bytes(2, "big")
