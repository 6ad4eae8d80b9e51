"""Who may log in over MQTT and EDP: a device by its own secret, or by a key that opens it.

Every wrong login is refused alike, whatever was wrong with it, so that device ids cannot be told from one another by
trying. Source: southbound reference 5.1, 6.3, 8 (auth_info).
"""

import hmac
import json
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from commandpost.domain.command import Transport
from commandpost.domain.device import Device
from commandpost.domain.errors import DomainError
from commandpost.domain.ids import ProductId, parse_device_id, parse_product_id
from commandpost.domain.ports import StoreReader
from commandpost.domain.proof import Proof, ProofKind, fingerprint_auth_info

SECRET_BYTES_MAX: Final = 2_048  # auth_info has at most 512 characters, a token a few hundred
TOKEN_PREFIX: Final = b"version="  # southbound reference 5.5: what tells a token from any other password


class LoginRefusal(Enum):
    """Why a device is not let in."""

    UNKNOWN = "unknown"
    """No such product or device, or not its secret; another product's device looks the same (P12)."""
    TOKEN = "token"
    """A token that is not valid for the device, or not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A device that may be let in, and by what."""

    device: Device
    proof: Proof


class DeviceKeyring(Protocol):
    """What is asked about keys: services.access."""

    async def prove(
        self, *, api_key: str | None, token: str | None, product_id: ProductId, device: Device
    ) -> Proof | None:
        """Tell by what a MasterKey, device-level key or token opens the device; None: it does not."""
        ...


class LoginRefusals(Protocol):
    """Hears of refused logins: services.login_refusals."""

    async def refused(self, transport: Transport, refusal: LoginRefusal, named: str, remote: str) -> None:
        """A login was refused; returns when its answer may leave."""
        ...


class Logins:
    """See the module."""

    def __init__(self, *, reader: StoreReader, keyring: DeviceKeyring, refusals: LoginRefusals | None = None) -> None:
        """Connect.

        Args:
            refusals: hears of every refusal; None: nobody does, and each is answered at once.
        """
        self._reader = reader
        self._keyring = keyring
        self._refusals = refusals

    async def by_password(
        self, transport: Transport, *, device_id: str, product_id: str, password: bytes, remote: str = ""
    ) -> Login | LoginRefusal:
        """MQTT: client id, user name, and the device's auth_info, a key that opens it, or a token.

        Args:
            remote: the address it comes from.
        Raises:
            PortError: the store cannot say.
        """
        found = await self._by_password(transport, device_id, product_id, password)
        return await self._answer(transport, found, f"device_id {device_id}", remote)

    async def _answer(
        self, transport: Transport, found: Login | LoginRefusal, named: str, remote: str
    ) -> Login | LoginRefusal:
        if isinstance(found, LoginRefusal) and self._refusals is not None:
            await self._refusals.refused(transport, found, named, remote)
        return found

    async def _by_password(
        self, transport: Transport, device_id: str, product_id: str, password: bytes
    ) -> Login | LoginRefusal:
        device = await self._find(transport, device_id)
        is_of_product = device is not None and parse_product_id(product_id) == device.product_id
        if device is None or not is_of_product or len(password) > SECRET_BYTES_MAX:
            return LoginRefusal.UNKNOWN
        if password.startswith(TOKEN_PREFIX):
            proof = await self._prove(device, token=password)
            return LoginRefusal.TOKEN if proof is None else Login(device=device, proof=proof)
        if is_auth_info_right(device.auth_info, password):
            return _login_by_auth_info(device)
        proof = await self._prove(device, key=password)
        return LoginRefusal.UNKNOWN if proof is None else Login(device=device, proof=proof)

    async def by_key(
        self, transport: Transport, *, device_id: str, key: bytes, remote: str = ""
    ) -> Login | LoginRefusal:
        """EDP, form 1: device id and a key that opens it. Args and Raises as `by_password`."""
        found = await self._by_key(transport, device_id, key)
        return await self._answer(transport, found, f"device_id {device_id}", remote)

    async def _by_key(self, transport: Transport, device_id: str, key: bytes) -> Login | LoginRefusal:
        device = await self._find(transport, device_id)
        if device is None or len(key) > SECRET_BYTES_MAX:
            return LoginRefusal.UNKNOWN
        proof = await self._prove(device, key=key)
        return LoginRefusal.UNKNOWN if proof is None else Login(device=device, proof=proof)

    async def by_auth_info(
        self, transport: Transport, *, product_id: str, auth_info: bytes, remote: str = ""
    ) -> Login | LoginRefusal:
        """EDP, form 2: product id, and the auth_info of one of its devices. Args and Raises as `by_password`."""
        found = await self._by_auth_info(transport, product_id, auth_info)
        return await self._answer(transport, found, f"product_id {product_id}", remote)

    async def _by_auth_info(self, transport: Transport, product_id: str, auth_info: bytes) -> Login | LoginRefusal:
        number = parse_product_id(product_id)
        product = None if number is None else await self._reader.find_product(number)
        text = _decode(auth_info) if 0 < len(auth_info) <= SECRET_BYTES_MAX else None
        if product is None or text is None:
            return LoginRefusal.UNKNOWN
        for stored in _stored_forms(text):
            device = await self._reader.find_device_by_auth_info(product.id, stored)
            if device is not None and device.payload_transport is transport:
                is_right = is_auth_info_right(device.auth_info, auth_info)
                return _login_by_auth_info(device) if is_right else LoginRefusal.UNKNOWN
        return LoginRefusal.UNKNOWN

    async def _find(self, transport: Transport, device_id: str) -> Device | None:
        number = parse_device_id(device_id)
        device = None if number is None else await self._reader.find_device(number)
        return device if device is not None and device.payload_transport is transport else None

    async def _prove(self, device: Device, *, key: bytes | None = None, token: bytes | None = None) -> Proof | None:
        try:
            return await self._keyring.prove(
                api_key=None if key is None else _decode(key),
                token=None if token is None else _decode(token),
                product_id=device.product_id,
                device=device,
            )
        except DomainError:
            return None


def _login_by_auth_info(device: Device) -> Login:
    proof = Proof(kind=ProofKind.AUTH_INFO, fingerprint=fingerprint_auth_info(device.auth_info))
    return Login(device=device, proof=proof)


def is_auth_info_right(stored: str, shown: bytes) -> bool:
    """Compare what a device shows with its auth_info, in constant time where the forms agree.

    Args:
        stored: JSON text as in `Device.auth_info`: a string, or an object, which a device may write with other spaces.
    """
    try:
        value = json.loads(stored)
    except ValueError:
        return False
    if isinstance(value, str):
        return bool(value) and hmac.compare_digest(value.encode("utf-8", "surrogatepass"), shown)
    if hmac.compare_digest(stored.encode(), shown):
        return True
    text = _decode(shown)
    return text is not None and hmac.compare_digest(_compact(stored).encode(), _compact(text).encode())


def _stored_forms(text: str) -> tuple[str, ...]:
    """Give the JSON texts as which an auth_info that a device shows may be stored: a string, or an object."""
    as_string = json.dumps(text, ensure_ascii=False)
    return tuple(dict.fromkeys((as_string, text, _compact(text)))) if text.startswith("{") else (as_string,)


def _compact(text: str) -> str:
    """Write JSON without spaces, as auth_infos are stored; other text stays as it is."""
    if not text.startswith("{"):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def _decode(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
