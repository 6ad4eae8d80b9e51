"""Secrets at rest: AES-256-GCM to seal them, HMAC-SHA256 to find them again. Source: design 10.1, NIST SP 800-38D.

Both keys are derived from one of 32 bytes (HKDF, RFC 5869), so that neither use can tell anything about the other.
Randomness is handed in. Not here: where the key comes from if not from a file (configuration).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from commandpost.domain.errors import StoreUnavailable
from commandpost.stores.errors import KeyFileGarbled, KeyFileRefused

KEY_BYTES: Final = 32
NEXT_SUFFIX: Final = ".next"  # of the file that holds the key that is to come, until everything is under it
ASIDE_SUFFIX: Final = ".abandoned-"  # and a number: of a key file that opened nothing here
ASIDE_MAX: Final = 100  # nobody loses so many keys; it bounds the search for a free name
NONCE_BYTES: Final = 12  # SP 800-38D section 8.2: 96 bits; random ones are safe for 2**32 secrets under one key
_VERSION: Final = b"\x01"
_TAG_BYTES: Final = 16


class AesSecretBox:
    """A SecretBox. What it seals is `version ‖ nonce ‖ ciphertext ‖ tag`; the version is authenticated too."""

    def __init__(self, key: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        """Take the key material and a source of randomness.

        Args:
            key: 32 bytes.
            random_bytes: gives as many random bytes as asked for; 12 for each secret that is sealed.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"the sealing key has {len(key)} bytes: {KEY_BYTES} are needed")
        self._cipher = AESGCM(_derive(key, b"commandpost seal 1"))
        self._index_key = _derive(key, b"commandpost index 1")
        self._random_bytes = random_bytes

    def seal(self, secret: bytes) -> bytes:
        """Encrypt and authenticate."""
        nonce = self._random_bytes(NONCE_BYTES)
        assert len(nonce) == NONCE_BYTES
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, _VERSION)

    def unseal(self, sealed: bytes) -> bytes:
        """Undo `seal`.

        Raises:
            StoreUnavailable: it was sealed with another key, or was changed.
        """
        body = sealed[len(_VERSION) :]
        if not sealed.startswith(_VERSION) or len(body) < NONCE_BYTES + _TAG_BYTES:
            raise StoreUnavailable("a sealed secret is not one that was sealed here")
        try:
            return self._cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], _VERSION)
        except InvalidTag:
            raise StoreUnavailable("a secret was sealed with another key, or was changed") from None

    def index(self, secret: bytes) -> bytes:
        """A keyed hash to look a secret up by; 32 bytes."""
        mac = HMAC(self._index_key, SHA256())
        mac.update(secret)
        return mac.finalize()


def load_or_create_key(path: Path, new_key: Callable[[], bytes]) -> bytes:
    """Give the key of a file; make the file, with a new key, if there is none.

    The file holds 64 hexadecimal digits, belongs to its owner alone (0600), and is whole or not there at all.

    Args:
        new_key: gives 32 random bytes; called only if there is no file.
    Raises:
        KeyFileRefused: others may read it, or it does not hold a key.
    """
    if not path.exists():
        _create(path, new_key())
    return load_key(path)


def load_key(path: Path) -> bytes:
    """Give the key of a file that is there.

    Raises:
        KeyFileRefused: others may read it.
        KeyFileGarbled: it does not hold a key.
    """
    if path.stat().st_mode & 0o077:
        raise KeyFileRefused(f"{path} can be read by others: its mode must be 0600")
    text = path.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyFileGarbled(f"{path} does not hold a key: {KEY_BYTES * 2} hexadecimal digits are needed")
    return key


def next_key_file(path: Path) -> Path:
    """Give where the key that is to come lies, beside the one that holds."""
    return path.with_name(path.name + NEXT_SUFFIX)


def find_next_key(path: Path) -> bytes | None:
    """Give the key that is to come; None: no change of keys has begun.

    Raises:
        KeyFileRefused: others may read it, or it does not hold a key.
    """
    following = next_key_file(path)
    return load_key(following) if following.exists() else None


def replace_key(path: Path) -> None:
    """Let the key that is to come be the one that holds: everything is under it now."""
    next_key_file(path).rename(path)
    _sync_directory(path.parent)


def keep_aside(path: Path) -> Path:
    """Give a key file a second name, under which it stays when another takes its place; gives that name.

    A key is never thrown away by us: what it does not open here it may open elsewhere. Done twice it is one name.
    """
    for number in range(1, ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}{ASIDE_SUFFIX}{number}")
        if not aside.exists():
            os.link(path, aside)
            _sync_directory(path.parent)
            return aside
        if aside.samefile(path):
            return aside
    raise KeyFileRefused(f"{path} opens nothing here and has {ASIDE_MAX} predecessors beside it: move them elsewhere")


def _create(path: Path, key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a new key has {len(key)} bytes: {KEY_BYTES} are needed")
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    # A link, not a rename: a key that is there already must never be replaced, for it opens everything sealed so far.
    os.link(unfinished, path)
    unfinished.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)
