"""A TlsStream between a peer and a transport that obeys, and the other end of it: OpenSSL's client, in memory."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from commandpost.app.tls import TlsIdentity
from commandpost.domain.ports import Scheduler
from commandpost.southbound.tls_stream import TlsStream
from tests.acceptance.certificates import write_certificate
from tests.fakes.clock import ManualClock
from tests.fakes.scheduler import ManualScheduler
from tests.unit.southbound.stream_fakes import FakeTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsContexts:
    """What the server shows, as `serve` has it, and whom a client trusts."""

    server: ssl.SSLContext
    certificate: Path

    @classmethod
    def write(cls, folder: Path) -> "TlsContexts":
        """Make a certificate."""
        certificate, key = write_certificate(folder, "tls")
        return cls(server=TlsIdentity(certificate, key).context, certificate=certificate)

    def client(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A client of one version."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.minimum_version = context.maximum_version = version
        return context


class RawTransport(FakeTransport):
    """TCP, to the TlsStream above it."""

    has_ended_output = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Any."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert isinstance(data, bytes) and data, "only records, and only whole ones"
        assert not self.has_ended_output
        if not self.is_closing():
            super().write(data)

    def write_eof(self) -> None:
        self.has_ended_output = True


class RecordingPeer(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.pieces: list[bytes] = []
        self.error: Exception | None = None
        self.pauses_at: bytes | None = None
        """Upon a piece that has this, it pauses reading."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.said.append("made")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if self.pauses_at is not None and self.pauses_at in data:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.said.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.said.append("lost")
        self.error = error

    def pause_writing(self) -> None:
        self.said.append("full")

    def resume_writing(self) -> None:
        self.said.append("room")


class TlsBench:
    """One connection, from the accept on; nothing moves but by `exchange`, or by hand."""

    def __init__(
        self,
        contexts: TlsContexts,
        peer: asyncio.Protocol,
        scheduler: Scheduler,
        raw_scheduler: ManualScheduler,
        *,
        takes_all: bool = True,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        self.stream = TlsStream(peer, contexts.server, scheduler)
        self.raw = RawTransport(raw_scheduler, self.stream, takes_all=takes_all)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = contexts.client(version).wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.has_heard_goodbye = False
        self.stream.connection_made(self.raw)

    def hello(self) -> bytes:
        """What the client has to send of the handshake now."""
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        return self.outgoing.read()

    def shake_hands(self) -> None:
        """Do the handshake to its end."""
        while said := self.hello():
            self.stream.data_received(said)
            self.incoming.write(self.raw.take())
        assert self.client.version() is not None

    def say(self, data: bytes) -> bytes:
        """Give the records that say it; nothing is sent."""
        view = memoryview(data)
        while view:
            view = view[self.client.write(view) :]
        return self.outgoing.read()

    def send(self, data: bytes) -> None:
        """Say it in one packet."""
        self.stream.data_received(self.say(data))

    def heard(self) -> bytes:
        """Read what was sent; a goodbye, once, is b"|"."""
        self.incoming.write(self.raw.take())
        pieces = []
        with suppress(ssl.SSLWantReadError):
            while not self.has_heard_goodbye:
                pieces.append(self.client.read(65_536))
                if not pieces[-1]:
                    self.has_heard_goodbye = True
                    pieces.append(b"|")
        return b"".join(pieces)

    def goodbye(self) -> bytes:
        """Give the client's goodbye."""
        with suppress(ssl.SSLWantReadError):
            self.client.unwrap()
        return self.outgoing.read()


class LoneTls(TlsBench):
    """With a peer that takes notes, and a clock of its own."""

    def __init__(
        self,
        contexts: TlsContexts,
        *,
        takes_all: bool = True,
        is_shaken: bool = True,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        self.clock = ManualClock()
        self.scheduler = ManualScheduler(self.clock)
        self.peer = RecordingPeer()
        super().__init__(contexts, self.peer, self.scheduler, self.scheduler, takes_all=True, version=version)
        if is_shaken:
            self.shake_hands()
        self.raw.takes_all = takes_all

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with everything that becomes due on the way."""
        until = self.clock.monotonic() + seconds
        self.scheduler.run_soon()
        while (due := self.scheduler.next_due()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            self.scheduler.run_soon()
        self.clock.advance(until - self.clock.monotonic())
