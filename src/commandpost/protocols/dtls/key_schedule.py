"""From a pre-shared key to the keys of an association. The hash is SHA-256 for every suite of this engine.

Source: RFC 4279 section 2 (premaster secret), RFC 5246 sections 5, 6.3, 7.4.9 and 8.1, RFC 7627 section 4.
"""

import hmac
from typing import Final

MASTER_SECRET_BYTES: Final = 48
VERIFY_DATA_BYTES: Final = 12
RANDOM_BYTES: Final = 32


def expand(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """Stretch a secret: the PRF of TLS 1.2, P_SHA256.

    Source: RFC 5246 section 5.
    """
    seed = label + seed
    chained = seed
    output = b""
    while len(output) < length:
        chained = hmac.digest(secret, chained, "sha256")
        output += hmac.digest(secret, chained + seed, "sha256")
    return output[:length]


def premaster_secret(key: bytes) -> bytes:
    """Give the premaster secret of a plain PSK exchange: as many zeros as the key is long, then the key."""
    length = len(key).to_bytes(2, "big")
    return length + bytes(len(key)) + length + key


def master_secret(key: bytes, *, client_random: bytes, server_random: bytes) -> bytes:
    """Give the master secret of a handshake without the extension of RFC 7627."""
    return expand(premaster_secret(key), b"master secret", client_random + server_random, MASTER_SECRET_BYTES)


def extended_master_secret(key: bytes, *, session_hash: bytes) -> bytes:
    """Give the master secret that is bound to every message up to ClientKeyExchange."""
    return expand(premaster_secret(key), b"extended master secret", session_hash, MASTER_SECRET_BYTES)


def key_block(master: bytes, *, client_random: bytes, server_random: bytes, length: int) -> bytes:
    """Give the bytes that the write keys are cut from. The server's random stands first here."""
    return expand(master, b"key expansion", server_random + client_random, length)


def client_verify_data(master: bytes, *, handshake_hash: bytes) -> bytes:
    """Give what the client's Finished holds."""
    return expand(master, b"client finished", handshake_hash, VERIFY_DATA_BYTES)


def server_verify_data(master: bytes, *, handshake_hash: bytes) -> bytes:
    """Give what the server's Finished holds."""
    return expand(master, b"server finished", handshake_hash, VERIFY_DATA_BYTES)
