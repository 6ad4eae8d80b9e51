"""mbedTLS as a DTLS client, through python-mbedtls, which is installed once into the cache and has no types."""

import sys
import time
from pathlib import Path
from typing import Any

from tests.interop.programs import install_once
from tests.simulators.dtls_device import HANDSHAKE_S, Wire

MANIFEST = Path(__file__).parent / "mbedtls" / "requirements.txt"
HAS_WHEEL = sys.version_info < (3, 13)
DATAGRAM_BYTES_MAX = 16_384
SUITES = ("TLS-PSK-WITH-AES-128-CCM-8",)


def load_mbedtls() -> Any:  # Any: no types
    """Give the module `mbedtls.tls`."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", "modules"]
    modules = install_once("mbedtls", MANIFEST, [*pip, "--requirement", MANIFEST.name], "modules")
    if str(modules) not in sys.path:
        sys.path.append(str(modules))
    from mbedtls import tls  # type: ignore[import-not-found]  # only there once it is installed

    return tls


class MbedtlsTunnel:
    """A Tunnel of mbedTLS; one record a datagram."""

    def __init__(self, identity: bytes, key: bytes, *, suites: tuple[str, ...] = SUITES) -> None:
        self._tls = load_mbedtls()
        configuration = self._tls.DTLSConfiguration(
            pre_shared_key=(identity.decode(), key), ciphers=suites, validate_certificates=False
        )
        self._buffer = self._tls.ClientContext(configuration).wrap_buffers(None)

    def shake_hands(self, wire: Wire) -> bool:
        """Tell whether both sides have proved the key."""
        deadline = time.monotonic() + HANDSHAKE_S
        while time.monotonic() < deadline:
            try:
                self._buffer.do_handshake()
            except (self._tls.WantReadError, self._tls.WantWriteError):
                pass
            else:
                if self._outgoing(wire):
                    continue
                if self._buffer._handshake_state is self._tls.HandshakeStep.HANDSHAKE_OVER:
                    return True
            self._outgoing(wire)
            heard = wire.receive(0.05)
            if heard is not None:
                self._buffer.receive_from_network(heard)
        return False

    def protect(self, payload: bytes) -> bytes:
        """One record."""
        self._buffer.write(payload)
        datagram = bytes(self._buffer.peek_outgoing(DATAGRAM_BYTES_MAX))
        self._buffer.consume_outgoing(len(datagram))
        return datagram

    def open(self, datagram: bytes) -> bytes | None:
        """None for what carries no payload."""
        self._buffer.receive_from_network(datagram)
        try:
            return bytes(self._buffer.read(DATAGRAM_BYTES_MAX))
        except self._tls.TLSError:
            return None

    def _outgoing(self, wire: Wire) -> bool:
        datagram = bytes(self._buffer.peek_outgoing(DATAGRAM_BYTES_MAX))
        if datagram:
            self._buffer.consume_outgoing(len(datagram))
            wire.send(datagram)
        return bool(datagram)
