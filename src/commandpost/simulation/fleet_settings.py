"""What a fleet of simulated devices is told, and what it tells: records only."""

from dataclasses import dataclass, field
from typing import Final

from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.bootstrap_client import BootstrapConduct
from commandpost.simulation.device_settings import SLOW_ANSWER_DEFAULT_S, DeviceSettings

IMEI_START_DEFAULT: Final = 860_000_000_000_001
IMSI_START_DEFAULT: Final = 460_000_000_000_001
COUNT_MAX: Final = 100_000  # far beyond the ports of one host; only stops a slip of the finger
PORT_MAX: Final = 65_535
PSK_LENGTHS: Final = range(8, 17)  # northbound reference 3.1
_FIFTEEN_DIGITS: Final = range(10**14, 10**15)


class FleetError(Exception):
    """The fleet cannot run as it was told; the text says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many devices, how fast, and for how long."""

    count: int
    ramp_per_s: float = 200.0
    """How many are switched on in a second."""
    duration_s: float | None = None
    """None: until it is stopped."""
    progress_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be kept, with the name that people typed."""
        if not 1 <= self.count <= COUNT_MAX:
            raise FleetError(f"count {self.count} is out of range: 1 to {COUNT_MAX} is allowed")
        if self.ramp_per_s <= 0 or self.progress_s <= 0:
            raise FleetError("ramp_per_s and progress_s must be more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What fleets of either kind are told."""

    pace: Pace
    registry_url: str | None = None
    """Where the devices are created first, such as `http://127.0.0.1:8080`; None: they are known already."""
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a key that is missing, and one that nobody would use, with the names that people typed."""
        if self.logs_in_by_key and self.api_key is None:
            raise FleetError("an EDP login of form 1 needs an api-key")
        if not self.logs_in_by_key and (self.registry_url is None) != (self.api_key is None):
            raise FleetError("creating devices first needs both the address of the HTTP API and an api-key")

    @property
    def logs_in_by_key(self) -> bool:
        """Whether the api-key is also what the devices log in with."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings(FleetPlan):
    """Which devices, where they register, and how they behave. IMEI and IMSI count up side by side."""

    coap_host: str
    coap_port: int
    imei_start: int = IMEI_START_DEFAULT
    imsi_start: int = IMSI_START_DEFAULT
    lifetime_s: int = 300
    sleep_s: float = 0.0
    awake_s: float = 20.0
    notify_s: float | None = None
    answer_delay_s: float = 0.0
    slow_answer_s: float = SLOW_ANSWER_DEFAULT_S
    loss: float = 0.0
    """0 to 1, of the datagrams of each direction."""
    behaviour: Behaviour = Behaviour.NORMAL
    deduplicates: bool = True
    bootstrap: BootstrapConduct | None = None
    """Ask for a bootstrap before the first registration; None: the devices know their server."""
    psk: str | None = field(default=None, repr=False)
    """The key every device proves itself by over DTLS, its IMEI being the identity; None: no DTLS."""
    has_connection_id: bool = True
    """Over DTLS: ask for a connection id, so that a new address needs no new handshake."""

    def __post_init__(self) -> None:
        """Refuse what cannot be run, with the name that people typed."""
        FleetPlan.__post_init__(self)  # no bare super(): slots=True puts another class in the place of the one it means
        if not 1 <= self.coap_port <= PORT_MAX:
            raise FleetError(f"coap_port {self.coap_port} is out of range: 1 to {PORT_MAX} is allowed")
        for name, first in (("imei_start", self.imei_start), ("imsi_start", self.imsi_start)):
            if first not in _FIFTEEN_DIGITS or first + self.pace.count - 1 not in _FIFTEEN_DIGITS:
                raise FleetError(f"{name} {first} and the {self.pace.count - 1} after it must have 15 digits")
        if not 0.0 <= self.loss <= 1.0:
            raise FleetError(f"loss {self.loss} is out of range: 0 to 1 is allowed")
        if self.psk is not None and not (self.psk.isascii() and self.psk.isalnum() and len(self.psk) in PSK_LENGTHS):
            raise FleetError(f"psk is {PSK_LENGTHS[0]} to {PSK_LENGTHS[-1]} letters and digits")

    def device(self, index: int) -> DeviceSettings:
        """Give the settings of the device at this place, counted from 0."""
        return DeviceSettings(
            imei=str(self.imei_start + index),
            imsi=str(self.imsi_start + index),
            lifetime_s=self.lifetime_s,
            sleep_s=self.sleep_s,
            awake_s=self.awake_s,
            notify_s=self.notify_s,
            answer_delay_s=self.answer_delay_s,
            slow_answer_s=self.slow_answer_s,
            behaviour=self.behaviour,
            deduplicates=self.deduplicates,
            bootstrap=self.bootstrap,
            # Without it a client that calls itself IMEI;IMSI is taken for a module.
            preferred_format=ContentFormat.LWM2M_TLV if self.bootstrap is BootstrapConduct.GENERIC else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetProgress:
    """Where the fleet stands; everything but the first rows only grows, and the last one is words."""

    elapsed_s: float
    started: int
    registered: int
    """How many are registered now, as far as they know."""
    never_let_in: int
    """How many are on and were not registered once."""
    awake: int
    """How many have their radio on now."""
    created: int
    """Devices the HTTP API made."""
    existing: int
    """Devices it had already."""
    registrations: int
    updates: int
    notifications: int
    requests: int
    answers: int
    done: int
    """Operations carried out."""
    failures: int
    datagrams_sent: int
    datagrams_received: int
    datagrams_lost: int
    """Lost on purpose, both directions."""
    sends_failed: int
    """Datagrams the operating system would not take."""
    last_failure: str
    """Why a registration or a handshake failed last, in words for people."""
