"""What every part of the server shares: what it tells, what it sends, its counters and its patience with strangers."""

from collections import deque
from dataclasses import dataclass

from commandpost.protocols.dtls.alerts import encode_alert
from commandpost.protocols.dtls.events import Event, Remote
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.record_protection import RandomBytes
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import AlertDescription, AlertLevel, ContentType


@dataclass(slots=True)
class DtlsCounters:
    """What has happened so far; only ever counts up."""

    datagrams_received: int = 0
    datagrams_refused: int = 0  # the event queue was full
    datagrams_dropped: int = 0  # the send queue was full
    hellos_malformed: int = 0
    cookies_sent: int = 0
    handshakes_begun: int = 0
    handshakes_completed: int = 0
    handshakes_not_proven: int = 0
    handshakes_timed_out: int = 0
    handshakes_displaced: int = 0
    flights_repeated: int = 0
    records_unreadable: int = 0  # not authentic, or for nobody here
    records_replayed: int = 0
    payloads_dropped: int = 0  # waited for a reservation, and too many did
    alerts_sent: int = 0
    alerts_suppressed: int = 0
    remotes_changed: int = 0


class AlertBudget:
    """A bucket of alerts that refills with time."""

    __slots__ = ("_burst", "_left", "_per_s", "_refilled_at")

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._refilled_at: float | None = None

    def take(self, *, now: float) -> bool:
        """Take one if there is one."""
        if self._refilled_at is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._refilled_at) * self._per_s)
        self._refilled_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Outlet:
    """Queues towards the owner and the network."""

    __slots__ = ("_budget", "counters", "datagrams", "events", "limits", "parameters", "random_bytes")

    def __init__(self, *, parameters: DtlsParameters, limits: DtlsLimits, random_bytes: RandomBytes) -> None:
        self.parameters = parameters
        self.limits = limits
        self.random_bytes = random_bytes
        self.events: deque[Event] = deque()
        self.datagrams: list[tuple[Remote, bytes]] = []
        self.counters = DtlsCounters()
        self._budget = AlertBudget(per_s=limits.alerts_per_s, burst=limits.alerts_burst)

    @property
    def has_room(self) -> bool:
        """Tell whether more events may be caused."""
        return len(self.events) < self.limits.events_queued_max

    def tell(self, event: Event) -> None:
        """Queue an event. What causes events asks `has_room` before it begins."""
        self.events.append(event)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Queue a datagram; at the limit it is lost, as any datagram may be."""
        if len(self.datagrams) >= self.limits.datagrams_queued_max:
            self.counters.datagrams_dropped += 1
            return
        self.datagrams.append((remote, datagram))

    def may_alert(self, *, now: float) -> bool:
        """Take from the budget for alerts that a stranger can cause."""
        if self._budget.take(now=now):
            self.counters.alerts_sent += 1
            return True
        self.counters.alerts_suppressed += 1
        return False

    def send_plain_alert(self, remote: Remote, description: AlertDescription, *, sequence: int, now: float) -> None:
        """Send a fatal alert in the clear: 15 bytes, shorter than any hello. At the limit nothing is sent."""
        if self.may_alert(now=now):
            alert = encode_alert(AlertLevel.FATAL, description)
            self.send(remote, encode_record(ContentType.ALERT, epoch=0, sequence=sequence, body=alert))
