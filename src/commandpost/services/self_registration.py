"""Devices that register themselves with their product's register code.

Whoever holds the code may do so: it authorises, no other credential is asked for. The same serial number gives the same
device and the same key, however often. Source: northbound reference 3.9.
"""

import json
from dataclasses import dataclass
from typing import Final

from commandpost.domain.device import Device, Product
from commandpost.domain.device_key import ACCESS_METHODS, DeviceKey, KeyPermission
from commandpost.domain.errors import Invalid, NotFound, StoreUnavailable, Taken, Unauthenticated
from commandpost.domain.facts import NotCreated
from commandpost.domain.ids import DeviceId
from commandpost.domain.key_facts import RegisterDevice
from commandpost.domain.ports import Clock, IdSource, SecretBox, StoreWriter
from commandpost.services.product_keys import url_safe
from commandpost.services.products import Products

SERIAL_NUMBER_CHARACTERS_MAX: Final = 512
MAC_CHARACTERS_MAX: Final = 32
TITLE_CHARACTERS_MAX: Final = 32
TITLE_DEFAULT: Final = "auto_register"
KEY_TITLE: Final = "auto generated device key"
PROTOCOLS: Final = ("EDP", "MQTT", "HTTP")
"""Of devices that register themselves; the first holds where none is named. Naming one is an addition of ours: the
documents leave the protocol to the product, and a product here has devices of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfDescription:
    """What a device says of itself: exactly one of serial number and MAC."""

    serial_number: str | None = None
    mac: str | None = None
    title: str = TITLE_DEFAULT
    protocol: str = PROTOCOLS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDevice:
    """A device that registered itself, and its key."""

    device: Device
    key: str
    is_new: bool


class SelfRegistration:
    """See the module."""

    def __init__(
        self, *, writer: StoreWriter, products: Products, secrets: SecretBox, ids: IdSource, clock: Clock
    ) -> None:
        self._writer = writer
        self._products = products
        self._secrets = secrets
        self._ids = ids
        self._clock = clock

    async def authenticate(self, register_code: str) -> Product:
        """Give the product whose code it is.

        Raises:
            Unauthenticated: it is no product's.
        """
        product = await self._products.keyring.find_by_register_code(register_code)
        if product is None:
            raise Unauthenticated(is_missing=not register_code)
        return product

    async def register(self, product: Product, description: SelfDescription) -> RegisteredDevice:
        """Register a device, or give the one that has registered like this before.

        Raises:
            Invalid: a value cannot be; names the field.
            Taken: the identity belongs to a device that may not register itself.
        """
        now = self._clock.wall_ms()
        device = Device(
            id=DeviceId(0),
            product_id=product.id,
            protocol=_check_protocol(description.protocol),
            title=_check_length("title", description.title, TITLE_CHARACTERS_MAX),
            auth_info=json.dumps(_identity(description), ensure_ascii=False),
            created_at=now,
        )
        secret = url_safe(self._ids.new_secret()).encode()
        key = DeviceKey(
            product_id=product.id,
            title=KEY_TITLE,
            sealed=self._secrets.seal(secret),
            index=self._secrets.index(secret),
            permissions=(KeyPermission(resources=(), methods=ACCESS_METHODS),),
            created_at=now,
        )
        registered = await self._writer.perform(RegisterDevice(device=device, key=key))
        match registered:
            case NotCreated.PRODUCT_GONE:
                raise NotFound("product", str(product.id))
            case NotCreated.FULL:
                raise StoreUnavailable("every device id is used up")
            case NotCreated.AUTH_INFO_TAKEN | NotCreated.IMEI_TAKEN | NotCreated.PSK_IDENTITY_TAKEN:
                raise Taken("auth_info", _identity(description))
        text = self._secrets.unseal(registered.key.sealed).decode()
        return RegisteredDevice(device=registered.device, key=text, is_new=registered.is_new)


def _identity(description: SelfDescription) -> str:
    given = [
        _check_length(name, text, length_max)
        for name, text, length_max in (
            ("sn", description.serial_number, SERIAL_NUMBER_CHARACTERS_MAX),
            ("mac", description.mac, MAC_CHARACTERS_MAX),
        )
        if text is not None
    ]
    if len(given) != 1:
        raise Invalid("sn and mac", "both" if given else "neither", "exactly one of them")
    return given[0]


def _check_length(name: str, text: str, length_max: int) -> str:
    if not 1 <= len(text) <= length_max or not text.isprintable():
        raise Invalid(name, text[:length_max], f"1 to {length_max} visible characters")
    return text


def _check_protocol(protocol: str) -> str:
    if protocol.upper() not in PROTOCOLS:
        raise Invalid("protocol", protocol, " or ".join(PROTOCOLS))
    return protocol
