"""AES-128-CBC with HMAC-SHA256, in both orders.

Encrypt-then-MAC checks before it decrypts, so padding tells an attacker nothing. MAC-then-encrypt is here for devices
that know nothing else: it does the same amount of hashing for good and bad padding, but Python gives no constant
time, so the engine offers it only behind a switch.

Source: RFC 5246 section 6.2.3.2, RFC 7366 section 3, RFC 9146 sections 5.1 and 5.2.
"""

import hmac
from collections.abc import Callable
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

AddedData: TypeAlias = Callable[[int], bytes]
"""What the MAC covers in front of the content, given the length that it names."""

_BLOCK_BYTES: Final = 16
_MAC_BYTES: Final = 32


def seal_then_mac(key: bytes, mac_key: bytes, content: bytes, added_for: AddedData, *, initial_vector: bytes) -> bytes:
    """Encrypt, then authenticate initial vector and ciphertext."""
    sealed = initial_vector + _encrypt(key, initial_vector, _pad(content))
    # RFC 7366 section 3: the length in the MAC is that of vector and ciphertext, not yet of the MAC.
    return sealed + hmac.digest(mac_key, added_for(len(sealed)) + sealed, "sha256")


def check_then_open(key: bytes, mac_key: bytes, body: bytes, added_for: AddedData) -> bytes | None:
    """Check first; None if anything is wrong."""
    sealed, mac = body[:-_MAC_BYTES], body[-_MAC_BYTES:]
    if len(sealed) < 2 * _BLOCK_BYTES or len(sealed) % _BLOCK_BYTES:
        return None
    if not hmac.compare_digest(hmac.digest(mac_key, added_for(len(sealed)) + sealed, "sha256"), mac):
        return None
    padded = _decrypt(key, sealed)
    pad_bytes = padded[-1] + 1
    if pad_bytes > len(padded) or padded[-pad_bytes:] != bytes((pad_bytes - 1,)) * pad_bytes:
        return None
    return padded[:-pad_bytes]


def mac_then_seal(key: bytes, mac_key: bytes, content: bytes, added_for: AddedData, *, initial_vector: bytes) -> bytes:
    """Authenticate the content, then encrypt both."""
    mac = hmac.digest(mac_key, added_for(len(content)) + content, "sha256")
    return initial_vector + _encrypt(key, initial_vector, _pad(content + mac))


def open_then_check(key: bytes, mac_key: bytes, body: bytes, added_for: AddedData) -> bytes | None:
    """Decrypt, then check MAC and padding together; None if anything is wrong."""
    if len(body) < _BLOCK_BYTES + _MAC_BYTES + _BLOCK_BYTES or len(body) % _BLOCK_BYTES:
        return None
    padded = _decrypt(key, body)
    pad_bytes = padded[-1] + 1
    is_padded = pad_bytes + _MAC_BYTES <= len(padded) and padded[-pad_bytes:] == bytes((pad_bytes - 1,)) * pad_bytes
    # RFC 5246 section 6.2.3.2: bad padding is treated as none, and the MAC is computed all the same.
    end = len(padded) - (pad_bytes if is_padded else 0)
    content, mac = padded[: end - _MAC_BYTES], padded[end - _MAC_BYTES : end]
    expected = hmac.digest(mac_key, added_for(len(content)) + content, "sha256")
    is_authentic = hmac.compare_digest(expected, mac)
    return content if is_authentic and is_padded else None


def _pad(content: bytes) -> bytes:
    pad_bytes = _BLOCK_BYTES - len(content) % _BLOCK_BYTES
    return content + bytes((pad_bytes - 1,)) * pad_bytes


def _encrypt(key: bytes, initial_vector: bytes, padded: bytes) -> bytes:
    encryptor = Cipher(AES(key), CBC(initial_vector)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def _decrypt(key: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(sealed[:_BLOCK_BYTES])).decryptor()
    return decryptor.update(sealed[_BLOCK_BYTES:]) + decryptor.finalize()
