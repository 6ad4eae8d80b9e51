"""GnuTLS as a DTLS client: the shared library itself, whose datagrams come and go through memory."""

import ctypes
import errno
import time
from collections import deque
from typing import Final

from tests.interop.programs import require_library
from tests.simulators.dtls_device import HANDSHAKE_S, Wire

LIBRARY, PACKAGE = "libgnutls.so.30", "libgnutls30"
# Priorities that leave GnuTLS one suite and no other version; it wants a list of signatures, used or not.
_ONLY: Final = "NONE:+VERS-DTLS1.2:+PSK:+COMP-NULL:+SIGN-ALL"
SUITES = {
    "CCM_8": f"{_ONLY}:+AES-128-CCM-8:+AEAD",
    "GCM": f"{_ONLY}:+AES-128-GCM:+AEAD",
    "CBC": f"{_ONLY}:+AES-128-CBC:+SHA256",
}

# The numbers of gnutls/gnutls.h.
_CLIENT, _DATAGRAM, _NONBLOCK = 2, 4, 8
_CREDENTIALS_PSK: Final = 4
_PSK_KEY_RAW: Final = 0
_E_FATAL_ALERT_RECEIVED: Final = -12

_MTU_BYTES: Final = 1_400
_PAYLOAD_BYTES_MAX: Final = 16_384  # RFC 5246 section 6.2.1

_PUSH = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_PULL = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_PULL_TIMEOUT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


class Datum(ctypes.Structure):
    """gnutls_datum_t."""

    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_uint))


class GnutlsFault(Exception):
    """What GnuTLS says of a session that cannot go on.

    Attributes:
        alert: the number the server has sent, None if it was no alert that ended it.
    """

    def __init__(self, text: str, alert: int | None) -> None:
        super().__init__(f"{text}, alert {alert}")
        self.alert = alert


class GnutlsTunnel:
    """A Tunnel of GnuTLS; one record a datagram. Its memory is not given back: a run of the tests has few."""

    def __init__(self, identity: bytes, key: bytes, *, suite: str = "CCM_8") -> None:
        self._library = require_library(LIBRARY, PACKAGE)
        self._library.gnutls_strerror.restype = ctypes.c_char_p
        self._library.gnutls_record_send.restype = ctypes.c_ssize_t
        self._library.gnutls_record_recv.restype = ctypes.c_ssize_t
        self._outgoing: deque[bytes] = deque()
        self._incoming: deque[bytes] = deque()
        # GnuTLS keeps pointers to these, so they live as long as the session.
        self._callbacks = (_PUSH(self._push), _PULL(self._pull), _PULL_TIMEOUT(self._is_readable))
        self._credentials, self._session = ctypes.c_void_p(), ctypes.c_void_p()
        self._set_up(identity, key, SUITES[suite])

    def _set_up(self, identity: bytes, key: bytes, priority: str) -> None:
        library, session, credentials = self._library, self._session, self._credentials
        self._check(library.gnutls_psk_allocate_client_credentials(ctypes.byref(credentials)))
        secret = Datum(key, len(key))
        self._check(
            library.gnutls_psk_set_client_credentials(credentials, identity, ctypes.byref(secret), _PSK_KEY_RAW)
        )
        self._check(library.gnutls_init(ctypes.byref(session), _CLIENT | _DATAGRAM | _NONBLOCK))
        self._check(library.gnutls_priority_set_direct(session, priority.encode(), None))
        self._check(library.gnutls_credentials_set(session, _CREDENTIALS_PSK, credentials))
        library.gnutls_dtls_set_mtu(session, _MTU_BYTES)
        push, pull, is_readable = self._callbacks
        library.gnutls_transport_set_push_function(session, push)
        library.gnutls_transport_set_pull_function(session, pull)
        library.gnutls_transport_set_pull_timeout_function(session, is_readable)

    def shake_hands(self, wire: Wire) -> bool:
        """Tell whether both sides have proved the key.

        Raises:
            GnutlsFault: the server refuses, or GnuTLS refuses the server.
        """
        deadline = time.monotonic() + HANDSHAKE_S
        while time.monotonic() < deadline:
            result = self._library.gnutls_handshake(self._session)
            while self._outgoing:
                wire.send(self._outgoing.popleft())
            if result == 0:
                return True
            if self._library.gnutls_error_is_fatal(result):
                self._check(result)
            heard = wire.receive(0.05)
            if heard is not None:
                self._incoming.append(heard)
        return False

    def protect(self, payload: bytes) -> bytes:
        """One record."""
        self._check(self._library.gnutls_record_send(self._session, payload, ctypes.c_size_t(len(payload))))
        return self._outgoing.popleft()

    def open(self, datagram: bytes) -> bytes | None:
        """None for what carries no payload."""
        self._incoming.append(datagram)
        payload = ctypes.create_string_buffer(_PAYLOAD_BYTES_MAX)
        received = self._library.gnutls_record_recv(self._session, payload, ctypes.c_size_t(_PAYLOAD_BYTES_MAX))
        return payload.raw[:received] if received > 0 else None

    def _check(self, result: int) -> None:
        if result < 0:
            alert = self._library.gnutls_alert_get(self._session) if result == _E_FATAL_ALERT_RECEIVED else None
            raise GnutlsFault(self._library.gnutls_strerror(result).decode(), alert)

    # What GnuTLS calls in place of a socket.

    def _push(self, _: int | None, data: int, size: int) -> int:
        self._outgoing.append(ctypes.string_at(data, size))
        return size

    def _pull(self, _: int | None, data: int, size: int) -> int:
        if not self._incoming:
            self._library.gnutls_transport_set_errno(self._session, errno.EAGAIN)
            return -1
        datagram = self._incoming.popleft()[:size]
        ctypes.memmove(data, datagram, len(datagram))
        return len(datagram)

    def _is_readable(self, _: int | None, timeout_ms: int) -> int:
        return int(bool(self._incoming))
