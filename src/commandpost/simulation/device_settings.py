"""What a simulated device is, how it spends its time, and what it tells of itself: records only."""

from dataclasses import dataclass
from typing import Final

from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.protocols.lwm2m.lifetime import LIFETIME_DEFAULT_S
from commandpost.protocols.lwm2m.served_requests import ServedOperation
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.bootstrap_client import BootstrapConduct

SLOW_ANSWER_DEFAULT_S: Final = 45.0  # later than the longest answer timeout, 40 s


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """One device.

    A device with `sleep_s` turns its radio off `awake_s` after the last datagram it sent or heard, once nothing of
    its own is open, and on again `sleep_s` later, or earlier if its lifetime would run out. One without never sleeps.
    """

    imei: str
    imsi: str | None = None
    """None: the endpoint name is the IMEI alone."""
    auth_code: bytes | None = None
    lifetime_s: int = LIFETIME_DEFAULT_S
    binding: str = "U"
    """Modules say `U` even when they sleep."""
    sleep_s: float = 0.0
    awake_s: float = 20.0
    sleep_jitter: float = 0.0
    """0 to 1: every sleep is shorter or longer by up to this share."""
    updates_on_wake: bool = True
    """False: Updates only when the lifetime needs one."""
    notify_s: float | None = None
    """Seconds between notifications of everything observed while awake; 0: once at every wake-up; None: never."""
    confirms_notifications: bool = False
    """Notifications are CON."""
    behaviour: Behaviour = Behaviour.NORMAL
    spares_setup: bool = False
    """Observe, Discover and the Read of 3/0 are answered as by a normal device."""
    answer_delay_s: float = 0.0
    """How long the application behind the module takes; the answer is piggy-backed all the same."""
    slow_answer_s: float = SLOW_ANSWER_DEFAULT_S
    deduplicates: bool = True
    """False, as real modules: a retransmitted request is carried out again."""
    honours_accept: bool = False
    """False, as modules: a resource is text, everything else TLV, whatever the server would accept."""
    tlv_number: int = ContentFormat.LWM2M_TLV
    """How it labels TLV; CIS modules say 1542."""
    answers_observe_with_value: bool = True
    """False, as CIS: 2.05 without a payload."""
    bootstrap: BootstrapConduct | None = None
    """Ask for a bootstrap before the first registration, and take it like this; None: it knows its server."""
    preferred_format: int | None = None
    """What it asks the bootstrap server to write in (`pct`); clients of LwM2M 1.1 do."""
    retry_min_s: float = 5.0  # what CIS waits between two Registers (southbound reference 1.4)
    retry_max_s: float = 300.0

    def __post_init__(self) -> None:
        if self.sleep_s < 0 or self.awake_s <= 0 or not 0 <= self.sleep_jitter <= 1:
            raise ValueError(f"sleep_s is 0 or more, awake_s more than 0, sleep_jitter 0 to 1: {self}")
        if not 1 <= self.lifetime_s < 2**32 or not 0 < self.retry_min_s <= self.retry_max_s:
            raise ValueError(f"lifetime_s is 1 to 2**32 - 1, retry_min_s more than 0 and not above its max: {self}")

    @property
    def endpoint_name(self) -> str:
        """The name it registers with: `IMEI;IMSI`."""
        return self.imei if self.imsi is None else f"{self.imei};{self.imsi}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request of the server as the device saw it."""

    at_s: float
    """On the monotonic clock."""
    operation: ServedOperation | None
    """None: it could not be read."""
    message_id: int
    coap_token: bytes
    code: int | None
    """What the device meant to answer; None: nothing."""
    was_done: bool
    """Whether it was carried out."""


@dataclass(slots=True, kw_only=True)
class DeviceCounters:
    """What happened so far. A fleet's devices share one, and count on one event loop."""

    registered_now: int = 0
    """How many are registered as far as they know."""
    awake_now: int = 0
    """How many have their radio on."""
    registrations: int = 0
    updates: int = 0
    deregistrations: int = 0
    notifications: int = 0
    requests: int = 0
    """Requests of the server that were heard."""
    done: int = 0
    """Operations carried out."""
    answers: int = 0
    let_in: int = 0
    """Devices that were registered at least once."""
    failures: int = 0
    """Registers, Updates and confirmable notifications that were refused or never answered, and failed handshakes."""
    last_failure: str = ""
    """Why a registration or a handshake failed last, in words for people."""
    wakes: int = 0
    reboots: int = 0
    moves: int = 0
    resets: int = 0
    """Notifications the server refused."""
    missed: int = 0
    """Datagrams that came while the radio was off."""
    ignored: int = 0
    """Datagrams of strangers, and requests before the registration was complete."""
    datagrams_sent: int = 0
    datagrams_received: int = 0
