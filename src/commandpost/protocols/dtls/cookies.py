"""Cookies that prove a return path without a byte kept (RFC 6347 section 4.2.1)."""

import hmac
from typing import Final

from commandpost.protocols.dtls.events import Remote
from commandpost.protocols.dtls.hello import ClientHello
from commandpost.protocols.dtls.record_protection import RandomBytes

# 128 bits cannot be guessed, and with 16 bytes the answer (44) is shorter than the shortest hello (67).
COOKIE_BYTES: Final = 16
_SECRET_BYTES: Final = 32


class HelloCookies:
    """Makes and checks cookies under a secret that changes; the one before it stays good for one more period."""

    __slots__ = ("_current", "_previous", "_random_bytes", "_rotate_at", "_rotation_s")

    def __init__(self, *, rotation_s: float, random_bytes: RandomBytes) -> None:
        self._rotation_s = rotation_s
        self._random_bytes = random_bytes
        self._current = random_bytes(_SECRET_BYTES)
        self._previous = random_bytes(_SECRET_BYTES)
        self._rotate_at: float | None = None

    def make(self, remote: Remote, hello: ClientHello, *, now: float) -> bytes:
        """Give the cookie for this remote and this hello."""
        self._rotate(now)
        return self._sign(self._current, remote, hello)

    def is_valid(self, remote: Remote, hello: ClientHello, *, now: float) -> bool:
        """Tell whether the hello carries a cookie of ours that is young enough."""
        if not hello.cookie:
            return False
        self._rotate(now)
        is_current = hmac.compare_digest(hello.cookie, self._sign(self._current, remote, hello))
        is_previous = hmac.compare_digest(hello.cookie, self._sign(self._previous, remote, hello))
        return is_current or is_previous

    def _sign(self, secret: bytes, remote: Remote, hello: ClientHello) -> bytes:
        place = repr(remote).encode("utf-8", "backslashreplace")
        signed = len(place).to_bytes(4, "big") + place + hello.parameters
        return hmac.digest(secret, signed, "sha256")[:COOKIE_BYTES]

    def _rotate(self, now: float) -> None:
        if self._rotate_at is None:
            self._rotate_at = now + self._rotation_s
        if now < self._rotate_at:
            return
        # After a long silence neither secret may live on.
        is_old = now >= self._rotate_at + self._rotation_s
        self._previous = self._random_bytes(_SECRET_BYTES) if is_old else self._current
        self._current = self._random_bytes(_SECRET_BYTES)
        self._rotate_at = now + self._rotation_s
