"""What a fleet of simulated MQTT or EDP devices is told, and what it tells: records only."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from commandpost.protocols.edp.messages import LoginRequest
from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.simulation.fleet_settings import PORT_MAX, FleetError, FleetPlan
from commandpost.simulation.mqtt_device import MqttLogin
from commandpost.simulation.stream_behaviours import StreamBehaviour
from commandpost.simulation.stream_device_settings import StreamDeviceSettings

KEEPALIVE_MIN_S: Final = 1
KEEPALIVE_MAX_S: Final = 65_535  # the field has 16 bits in both protocols
DEVICE_ID_DIGITS_MAX: Final = 10


class StreamProtocol(Enum):
    """What the devices speak; the value is the name of it in the HTTP API."""

    MQTT = "MQTT"
    EDP = "EDP"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFleetSettings(FleetPlan):
    """Which devices, where they connect, and how they behave."""

    protocol: StreamProtocol
    host: str
    port: int
    product_id: str = "1"
    """The product that every data directory has from its first start."""
    auth_info: str | None = None
    """None: `simulated-mqtt` or `simulated-edp`. With several devices, `-1`, `-2` and so on follow."""
    first_device_id: int | None = None
    """Of devices that exist, the others count up; None: they are created first, or their login needs no id."""
    is_tls: bool = False
    ca_file: Path | None = None
    """Whose certificates are trusted; None: those the system trusts."""
    keepalive_s: int = 120
    mqtt_version: Version = Version.V3_1_1
    clean_start: bool = True
    qos: int = 1
    edp_form: int = 2
    device: StreamDeviceSettings = field(default_factory=StreamDeviceSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot be run, with the name that people typed."""
        FleetPlan.__post_init__(self)  # no bare super(): slots=True puts another class in the place of the one it means
        if not 1 <= self.port <= PORT_MAX:
            raise FleetError(f"port {self.port} is out of range: 1 to {PORT_MAX} is allowed")
        if not KEEPALIVE_MIN_S <= self.keepalive_s <= KEEPALIVE_MAX_S:
            raise FleetError(f"keepalive {self.keepalive_s} is out of range: 1 to {KEEPALIVE_MAX_S} is allowed")
        if self.qos not in (0, 1, 2) or self.edp_form not in (1, 2):
            raise FleetError(f"qos {self.qos} and EDP login {self.edp_form}: 0 to 2, and 1 or 2 are allowed")
        if self.needs_device_id and self.registry_url is None and self.first_device_id is None:
            raise FleetError("this login needs device ids: let the devices be created, or give the first one's id")
        if self.protocol is StreamProtocol.EDP and self.device.behaviour is StreamBehaviour.NO_PUBACK:
            raise FleetError("behaviour no-puback has no meaning for EDP: a command is not acknowledged there")
        last = (self.first_device_id or 1) + self.pace.count - 1
        if (self.first_device_id or 1) < 1 or len(str(last)) > DEVICE_ID_DIGITS_MAX:
            raise FleetError(f"device ids from {self.first_device_id} to {last}: 1 to 10 digits are allowed")
        try:
            self.login(0, device_id="1")
        except EncodeError as error:
            raise FleetError(f"these devices could not log in: {error}") from error

    @property
    def needs_device_id(self) -> bool:
        """Whether a login names its device: all but EDP's form 2 do."""
        return self.protocol is StreamProtocol.MQTT or self.logs_in_by_key

    @property
    def logs_in_by_key(self) -> bool:
        """Whether the api-key is what the devices log in with: EDP's form 1."""
        return self.protocol is StreamProtocol.EDP and self.edp_form == 1

    def auth_info_of(self, index: int) -> str:
        """Give the secret of the device at this place, counted from 0."""
        stem = self.auth_info or f"simulated-{self.protocol.value.lower()}"
        return stem if self.pace.count == 1 else f"{stem}-{index + 1}"

    def device_id_of(self, index: int) -> str:
        """Give the id of a device that exists; empty where the login names none."""
        return "" if self.first_device_id is None else str(self.first_device_id + index)

    def login(self, index: int, *, device_id: str) -> MqttLogin | LoginRequest:
        """Give what the device at this place logs in with.

        Raises:
            EncodeError: it has no form on the wire.
        """
        secret = self.auth_info_of(index).encode()
        if self.protocol is StreamProtocol.MQTT:
            login = MqttLogin(
                device_id=device_id,
                product_id=self.product_id,
                password=secret,
                version=self.mqtt_version,
                keepalive_s=self.keepalive_s,
                clean_start=self.clean_start,
                qos=self.qos,
            )
            _ = login.connect  # it refuses for us
            return login
        if self.logs_in_by_key:
            key = (self.api_key or "").encode()
            return LoginRequest(device_id=device_id, product_id=None, auth=key, keepalive_s=self.keepalive_s)
        return LoginRequest(device_id="", product_id=self.product_id, auth=secret, keepalive_s=self.keepalive_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProgress:
    """Where the fleet stands; everything but `connected` only grows."""

    elapsed_s: float
    started: int
    connected: int
    """How many are logged in now, as far as they know."""
    never_let_in: int
    """How many are on and were not logged in once."""
    created: int
    """Devices the HTTP API made."""
    existing: int
    """Devices it had already."""
    logins: int
    refused: int
    """Logins the server refused."""
    lost: int
    """Connections that ended otherwise than by the device's own wish."""
    failures: int
    """Attempts to connect that led to no login, refused ones included."""
    sleeps: int
    commands: int
    done: int
    """Commands carried out."""
    answers: int
    messages: int
    """Topic messages and pushes."""
    reports: int
    reports_stored: int
    """Reports the server acknowledged."""
    reports_refused: int
    bytes_sent: int
    bytes_received: int
    last_end: str
    """Why a connection ended last, in words for people."""
