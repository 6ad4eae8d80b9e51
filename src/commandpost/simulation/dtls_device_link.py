"""One simulated device's DTLS session on top of its datagram link.

The device hears nothing of it: what it sends before the handshake is done waits, and what it cannot send is lost. With
a connection id the session outlives a new address; without one the device shakes hands again. So it does after its
server was silent for long, as modules do (southbound reference 4.1). Not here: DTLS itself (protocols/dtls).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from commandpost.domain.ports import Clock, Scheduler, Timer
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import peek_header
from commandpost.protocols.coap.message import MessageType
from commandpost.protocols.dtls.client import (
    ClientClosed,
    ClientEnd,
    ClientOpened,
    ClientParameters,
    DtlsClient,
    PayloadReceived,
)
from commandpost.protocols.errors import EncodeError
from commandpost.simulation.device_channel import DeviceLink
from commandpost.simulation.device_settings import DeviceCounters

WAITING_MAX: Final = 4  # while the handshake lasts: a Register and its repetitions
SILENT_SENDS_MAX: Final = 5  # confirmable messages without any answer: one and its four repetitions

_FAILED: Final = (ClientEnd.REFUSED, ClientEnd.FAILED, ClientEnd.TIMED_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsCredential:
    """What one device proves itself by."""

    identity: bytes
    key: bytes = field(repr=False)
    has_connection_id: bool = True


class DtlsDeviceLink:
    """A DeviceLink that protects what it carries."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        server: Remote,
        credential: DtlsCredential,
        scheduler: Scheduler,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        counters: DeviceCounters | None = None,
    ) -> None:
        """Carry nothing yet; the first datagram begins a handshake. What fails is counted in `counters` too."""
        self._link = link
        self._server = server
        self._credential = credential
        self._scheduler = scheduler
        self._clock = clock
        self._random_bytes = random_bytes
        self._counters = counters if counters is not None else DeviceCounters()
        self._client: DtlsClient | None = None
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self._timer: Timer | None = None
        self._silent_sends = 0
        self.handshakes = 0
        """How many were completed."""
        self.failures = 0
        """How many were refused or never answered, and sessions the server ended."""

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Say who gets what arrives; once."""
        self._receiver = receiver
        self._link.listen(self._receive)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send, or wait for the handshake, or be lost."""
        header = peek_header(datagram)
        if header is not None and header[0] is MessageType.CON:
            self._silent_sends += 1
        if self._silent_sends > SILENT_SENDS_MAX and self._client is not None and self._client.is_open:
            self._client = None
        if self._client is None:
            self._begin()
        assert self._client is not None
        if not self._client.is_open:
            self._waiting.append(datagram)
            return
        self._send(datagram)
        self._drive()

    def rebind(self) -> None:
        """Take a fresh source address; without a connection id the session is lost by it."""
        self._link.rebind()
        if not self._credential.has_connection_id:
            self._client = None

    def close(self) -> None:
        """Say goodbye."""
        if self._client is not None:
            self._client.close(now=self._clock.monotonic())
            self._drive()

    def _begin(self) -> None:
        self._silent_sends = 0
        self._waiting.clear()
        credential = self._credential
        parameters = ClientParameters(
            identity=credential.identity,
            key=credential.key,
            connection_id=b"" if credential.has_connection_id else None,
        )
        self._client = DtlsClient(parameters, random_bytes=self._random_bytes)
        self._client.start(now=self._clock.monotonic())
        self._drive()

    def _send(self, datagram: bytes) -> None:
        assert self._client is not None
        try:
            self._client.send(datagram, now=self._clock.monotonic())
        except EncodeError:
            self.failures += 1

    def _receive(self, remote: Remote, datagram: bytes) -> None:
        if self._client is not None and remote == self._server:
            self._client.receive_datagram(datagram, now=self._clock.monotonic())
            self._drive()

    def _drive(self) -> None:
        client = self._client
        while client is not None and (event := client.next_event()) is not None:
            match event:
                case PayloadReceived(payload=payload):
                    self._silent_sends = 0
                    if self._receiver is not None:
                        self._receiver(self._server, payload)
                case ClientOpened():
                    self.handshakes += 1
                    while self._waiting:
                        self._send(self._waiting.popleft())
                case ClientClosed(reason=reason, alert=alert):
                    self.failures += 1
                    if reason in _FAILED:
                        self._counters.failures += 1
                        told = "" if alert is None else f", alert {alert}"
                        self._counters.last_failure = f"DTLS handshake {reason.value}{told}"
                    if self._client is client:
                        self._client = None
        if client is not None:
            for datagram in client.datagrams_to_send():
                self._link.send(self._server, datagram)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = None if self._client is None else self._client.next_deadline()
        if at is not None:
            self._timer = self._scheduler.call_later(max(0.0, at - self._clock.monotonic()), self._deadline_came)

    def _deadline_came(self) -> None:
        self._timer = None
        if self._client is not None:
            self._client.handle_deadline(now=self._clock.monotonic())
            self._drive()
