"""A scripted device behind DTLS: what it says in CoAP is the scripted device's, who protects it is chosen.

OpenSSL and the client written from RFC 9146 share nothing with the server; the house's own client can do both and
loses datagrams gracefully.
"""

import contextlib
import os
import socket
import time
from typing import Protocol

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.dtls.client import ClientParameters, DtlsClient, PayloadReceived
from commandpost.protocols.errors import DecodeError
from tests.simulators.scripted_device import ScriptedDevice
from tests.unit.protocols.dtls.openssl_peer import CCM_8, openssl_client
from tests.unit.protocols.dtls.rfc9146_client import CCM_8 as CID_CCM_8
from tests.unit.protocols.dtls.rfc9146_client import CidClient

HANDSHAKE_S = 10.0
APPLICATION_DATA, ALERT = 23, 21
CLOSE_NOTIFY = b"\x01\x00"


class Wire:
    """One blocking UDP socket towards one server."""

    def __init__(self, server: tuple[str, int], host: str = "127.0.0.1") -> None:
        self.server = server
        self.sent_bytes = 0
        self.received_bytes = 0
        self.sent: list[bytes] = []
        self.heard: list[bytes] = []
        self._host = host
        self._socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((self._host, 0))
        return opened

    @property
    def address(self) -> tuple[str, int]:
        """Where it sends from."""
        host, port = self._socket.getsockname()
        return str(host), int(port)

    def send(self, datagram: bytes) -> None:
        """Send one datagram."""
        self.sent.append(datagram)
        self.sent_bytes += len(datagram)
        self._socket.sendto(datagram, self.server)

    def receive(self, timeout_s: float = HANDSHAKE_S) -> bytes | None:
        """Give the next datagram, None when none came in time."""
        self._socket.settimeout(max(timeout_s, 0.001))
        with contextlib.suppress(TimeoutError, ConnectionError):
            datagram = self._socket.recv(65_536)
            self.received_bytes += len(datagram)
            self.heard.append(datagram)
            return datagram
        return None

    def expect(self, timeout_s: float = HANDSHAKE_S) -> bytes:
        """Give the next datagram, which has to come."""
        datagram = self.receive(timeout_s)
        assert datagram is not None, f"nothing came within {timeout_s} s"
        return datagram

    def move(self) -> None:
        """Go on from another port."""
        self._socket.close()
        self._socket = self._open()

    def close(self) -> None:
        """Close the socket; harmless when done twice."""
        self._socket.close()


class Tunnel(Protocol):
    """A DTLS client on a wire."""

    def shake_hands(self, wire: Wire) -> bool:
        """Tell whether both sides have proved the key."""
        ...

    def protect(self, payload: bytes) -> bytes:
        """Give the datagram that carries a payload."""
        ...

    def open(self, datagram: bytes) -> bytes | None:
        """Give the payload of a datagram, if it carries one."""
        ...


class OpensslTunnel:
    """OpenSSL; it knows no connection ids."""

    def __init__(self, identity: bytes, key: bytes, *, suites: str = CCM_8, options: int = 0) -> None:
        self._peer = openssl_client(identity=identity, key=key, suites=suites, options=options)

    def shake_hands(self, wire: Wire) -> bool:
        """Raises OpenSSL's own error when the server refuses."""
        deadline = time.monotonic() + HANDSHAKE_S
        is_done = self._peer.handshake()
        while not is_done and time.monotonic() < deadline:
            flight = self._peer.sent_together()  # one datagram, as OpenSSL writes it to a socket
            if flight:
                wire.send(flight)
            heard = wire.receive(1.0)
            if heard is not None:
                for record in _records(heard):
                    self._peer.hear(record)
                    is_done = self._peer.handshake()
        return is_done

    def protect(self, payload: bytes) -> bytes:
        """One record."""
        self._peer.connection.send(payload)
        return self._peer.sent_together()

    def open(self, datagram: bytes) -> bytes | None:
        """None for what carries no payload, such as the end of the session."""
        self._peer.hear(datagram)
        with contextlib.suppress(Exception):  # whatever OpenSSL says of it, no payload came
            return self._peer.read()
        return None


class CidTunnel:
    """The client written from RFC 9146 alone."""

    def __init__(self, identity: bytes, key: bytes, *, own_id: bytes = b"dev", suite: int = CID_CCM_8) -> None:
        self.client = CidClient(identity=identity, key=key, suite=suite, own_id=own_id)
        self.is_over = False

    def shake_hands(self, wire: Wire) -> bool:
        """It knows no loss, so the wire must lose nothing."""
        wire.send(self.client.hello())
        wire.send(self.client.verified_hello(wire.expect()))
        wire.send(self.client.answer(wire.expect()))
        self.client.finish(wire.expect())
        return True

    def protect(self, payload: bytes) -> bytes:
        """One record."""
        return self.client.protect(APPLICATION_DATA, payload)

    def open(self, datagram: bytes) -> bytes | None:
        """None for an alert."""
        kind, content = self.client.open(datagram)
        if kind == ALERT:
            self.is_over = True
            return None
        return content


class OwnTunnel:
    """The house's own client."""

    def __init__(self, identity: bytes, key: bytes, *, connection_id: bytes | None = b"") -> None:
        parameters = ClientParameters(identity=identity, key=key, connection_id=connection_id)
        self.client = DtlsClient(parameters, random_bytes=os.urandom)

    def shake_hands(self, wire: Wire) -> bool:
        """Goes on through loss until the client gives up."""
        deadline = time.monotonic() + HANDSHAKE_S
        self.client.start(now=time.monotonic())
        while not self.client.is_open and time.monotonic() < deadline:
            for datagram in self.client.datagrams_to_send():
                wire.send(datagram)
            heard = wire.receive(0.5)
            if heard is not None:
                self.client.receive_datagram(heard, now=time.monotonic())
            self.client.handle_deadline(now=time.monotonic())
            if self.client.next_deadline() is None and not self.client.is_open:
                return False
        return self.client.is_open

    def protect(self, payload: bytes) -> bytes:
        """One record."""
        self.client.send(payload, now=time.monotonic())
        (datagram,) = self.client.datagrams_to_send()
        return datagram

    def open(self, datagram: bytes) -> bytes | None:
        """None for a replay, a forgery or an alert."""
        self.client.receive_datagram(datagram, now=time.monotonic())
        while (event := self.client.next_event()) is not None:
            if isinstance(event, PayloadReceived):
                return event.payload
        return None


class DtlsScriptedDevice(ScriptedDevice):
    """A scripted device whose datagrams go through a tunnel."""

    def __init__(
        self,
        server: tuple[str, int],
        imei: str,
        tunnel: Tunnel,
        *,
        imsi: str = "460000000000001",
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(server, imei, imsi)
        self.wire = Wire(server, host)
        self.tunnel = tunnel

    def shake_hands(self, tunnel: Tunnel | None = None) -> None:
        """Begin a session; with another tunnel, a new one."""
        self.tunnel = tunnel or self.tunnel
        assert self.tunnel.shake_hands(self.wire)

    def close(self) -> None:
        """Close both sockets; harmless when done twice."""
        super().close()
        self.wire.close()

    def move(self) -> None:
        """Come back from another port."""
        self.wire.move()

    def send(self, message: CoapMessage) -> None:
        """Put one message on the wire, in a record of its own."""
        self.wire.send(self.tunnel.protect(encode(message)))

    def receive(self, timeout_s: float = 10.0) -> CoapMessage | None:
        """Give the next message, None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            datagram = self.wire.receive(left)
            payload = None if datagram is None else self.tunnel.open(datagram)
            if payload is not None:
                with contextlib.suppress(DecodeError):
                    return decode(payload)
        return None


def _records(datagram: bytes) -> list[bytes]:
    # OpenSSL in memory wants one record at a time where it would read one datagram.
    records = []
    while datagram:
        end = 13 + int.from_bytes(datagram[11:13], "big")
        records.append(datagram[:end])
        datagram = datagram[end:]
    return records
