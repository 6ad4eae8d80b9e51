"""Products and devices: what their owner says of them, and what the platform learned.

Source: northbound reference 3.
"""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Final

from commandpost.domain.command import DeliveryPolicy, Transport
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant

PROTOCOL_LWM2M: Final = "LWM2M"
PROTOCOL_MQTT: Final = "MQTT"
PROTOCOL_EDP: Final = "EDP"
IMSI_OLD_MAX: Final = 10  # earlier IMSIs kept for show
PROTOCOLS: Final = ("LWM2M", "EDP", "MQTT", "HTTP", "TCP", "TCPTRANSPARENT", "MODBUS", "JTEXT")
"""What `protocol` may be, compared in capitals (northbound reference 3.1)."""

_PAYLOAD_TRANSPORTS: Final = {PROTOCOL_MQTT: Transport.MQTT, PROTOCOL_EDP: Transport.EDP}


class DeviceSecurity(Enum):
    """How the devices of a product prove who they are; holds for everything they send (southbound reference 4)."""

    NOSEC = "nosec"
    """Without DTLS; a device whose record has an auth code shows it. DTLS is refused."""
    NOSEC_AUTH_CODE = "nosec+auth_code"
    """Without DTLS, and every device has to show an auth code. DTLS is refused."""
    DTLS = "dtls"
    """With a pre-shared key over DTLS; nothing else is listened to."""
    MIXED = "mixed"
    """Either way; what was registered over DTLS is touched over DTLS alone."""

    @property
    def allows_dtls(self) -> bool:
        """Whether a device may come over DTLS."""
        return self in (DeviceSecurity.DTLS, DeviceSecurity.MIXED)

    @property
    def allows_nosec(self) -> bool:
        """Whether a device may come without it."""
        return self is not DeviceSecurity.DTLS


class KeyLabel(Enum):
    """Which of a device's two pre-shared keys (southbound reference 4.1)."""

    ACCESS = "access"
    """Opens everything a device does."""
    BOOTSTRAP = "bootstrap"
    """Opens `/bs` alone."""


class ImeiRule(Enum):
    """What an IMEI and IMSI may look like (northbound reference 3.1)."""

    PERMISSIVE = "permissive"
    """1 to 17 letters or digits; IMSI 1 to 16."""
    STRICT = "strict"
    """Exactly 15 digits; IMSI 1 to 15 digits, the first not 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product: the circle within which keys, devices and commands see one another (P12)."""

    id: ProductId
    name: str
    created_at: Instant
    is_auto_discovered: bool = False
    imei_rule: ImeiRule = ImeiRule.PERMISSIVE
    allow_imei_only: bool = False
    """Whether a device that has an IMSI may register with its IMEI alone."""
    execute_delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE
    """What holds for an Execute whose caller names no policy."""
    device_security: DeviceSecurity = DeviceSecurity.MIXED
    bootstrap_uri: str | None = None
    """Where its devices are sent by a bootstrap; None: where all are."""
    bootstrap_secure_uri: str | None = None
    """The same for devices that get a pre-shared key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """What is to be different of a product; None stays."""

    name: str | None = None
    is_auto_discovered: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None
    device_security: DeviceSecurity | None = None
    bootstrap_uri: str | None = None
    """Empty: the server's own setting holds again."""
    bootstrap_secure_uri: str | None = None


class KeyKind(Enum):
    """What a product key is for."""

    MASTER = "master"
    """Shown as `api-key`."""
    ACCESS = "access"
    """Signs `Authorization` tokens."""
    REGISTER = "register"
    """The register code: lets a device register itself (northbound reference 3.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A product key at rest: sealed, with an HMAC index to find it by."""

    product_id: ProductId
    kind: KeyKind
    sealed: bytes
    index: bytes
    created_at: Instant
    expires_at: Instant | None = None
    """Of a key that was replaced and is good for a while yet; None: it is the product's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoLocation:
    """Degrees and metres, as the owner gave them; None where not given."""

    longitude: float | None = None
    latitude: float | None = None
    elevation: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device. Texts are as its owner gave them."""

    id: DeviceId
    product_id: ProductId
    protocol: str
    """One of PROTOCOLS, spelled as given at creation."""
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    location: GeoLocation | None = None
    is_private: bool = True
    is_auto_observed: bool = True
    """`obsv`: observe automatically after registration."""
    auth_info: str
    """JSON text: `{"<imei>": "<imsi>"}` for LwM2M, a JSON string else."""
    imei: str | None = None
    """LwM2M only; unique in the whole platform."""
    imsi: str | None = None
    imsi_old: tuple[str, ...] = ()
    imsi_changed_at: Instant | None = None
    chip: int | None = None
    other: str = "{}"
    """JSON object text."""
    sealed_auth_code: bytes | None = None
    sealed_psk: bytes | None = None
    """The access key; the bootstrap key too while there is no other."""
    sealed_bootstrap_psk: bytes | None = None
    psk_identity: str | None = None
    """A DTLS identity beside IMEI and endpoint name; unique in the whole platform."""
    created_at: Instant
    activated_at: Instant | None = None
    """When it first registered."""
    last_heard_at: Instant | None = None
    manufacturer: str = ""
    model: str = ""
    is_setup_done: bool = False
    """`obsv_st`: the automatic observations of the present registration are through."""

    @property
    def is_lwm2m(self) -> bool:
        """Whether the device speaks LwM2M."""
        return self.protocol.upper() == PROTOCOL_LWM2M

    @property
    def payload_transport(self) -> Transport | None:
        """What carries a `/cmds` payload to it; None: it speaks nothing that could."""
        return _PAYLOAD_TRANSPORTS.get(self.protocol.upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChange:
    """What is to be different of a device, at its owner's wish; None stays."""

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    location: GeoLocation | None = None
    is_private: bool | None = None
    other: str | None = None
    imsi: str | None = None
    """Empty: it has none any more."""
    auth_info: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices of a product a list shows; None or empty: no condition."""

    key_words: str = ""
    """Left match on id and title."""
    auth_info: str = ""
    """Equal to the IMEI, to the stored auth_info, or to the text that it holds as a JSON string."""
    tags: tuple[str, ...] = ()
    """All of them."""
    is_online: bool | None = None
    is_private: bool | None = None
    ids: tuple[DeviceId, ...] | None = None
    created_from: Instant | None = None
    created_before: Instant | None = None

    @property
    def auth_info_as_json(self) -> str:
        """The auth_info looked for, written as a stored text of it would be."""
        return json.dumps(self.auth_info, ensure_ascii=False)
