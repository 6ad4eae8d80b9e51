"""Who is asking, and what may be shown to them: MasterKeys, device-level keys, and signed `Authorization` tokens.

Here: what a credential opens. Not here: which call asks for what (northbound). Keys are found by a keyed hash and
compared in constant time; so are signatures. Source: northbound reference 1.4, 13.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import unquote

from commandpost.domain.audit import Actor
from commandpost.domain.device import Device, KeyKind, Product, SealedKey
from commandpost.domain.device_key import DeviceKey
from commandpost.domain.errors import Forbidden, Unauthenticated
from commandpost.domain.ids import DEVICE_ID_MAX, DeviceId, ProductId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.payload_ports import DeviceKeyReader
from commandpost.domain.ports import Clock, SecretBox, StoreReader
from commandpost.domain.proof import LOGIN_METHOD, Proof, ProofKind
from commandpost.services.product_keys import KEY_CHARACTERS_MAX
from commandpost.services.products import Products

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

TOKEN_CHARACTERS_MAX: Final = 1024  # the longest honest one, percent-encoded and with sha256, has some 200
TOKEN_VERSION: Final = "2018-10-31"
TOKEN_METHODS: Final = ("md5", "sha1", "sha256")
KNOWN_KEYS_MAX: Final = 1024  # of all products together; a key looked up again costs two reads of the store
KNOWN_ACCESS_KEYS_MAX: Final = 256  # products whose devices or applications show tokens; each costs three reads again
_TOKEN_FIELDS: Final = ("et", "method", "res", "version")
_DIGITS_MAX: Final = 18  # of a product id or a time: more do not fit into an int64
_NAME_CHARACTERS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a caller may do: everything of its product, or what a device key or a device's token opens."""

    product: Product
    key: DeviceKey | None = None
    device_id: DeviceId | None = None
    """The one device a token was signed for."""
    is_by_token: bool = False
    proof: Proof | None = field(default=None, compare=False, repr=False)
    """By which credential, for who keeps it open longer than a call."""

    @property
    def actor(self) -> Actor:
        """By what the caller was recognised."""
        if self.key is not None:
            return Actor.DEVICE_KEY
        if self.device_id is not None:
            return Actor.DEVICE_TOKEN
        return Actor.TOKEN if self.is_by_token else Actor.MASTER

    @property
    def is_master(self) -> bool:
        """Whether everything of the product is open."""
        return self.key is None and self.device_id is None

    def require_master(self) -> None:
        """Raise Forbidden unless everything of the product is open."""
        if not self.is_master:
            raise Forbidden("the credential opens single devices: this call needs the MasterKey")

    def require_device(self, device_id: DeviceId, method: str, stream_id: str | None = None) -> None:
        """Raise Forbidden unless an HTTP verb is allowed on a device, or on one of its streams.

        Args:
            device_id: a device of the product; whether it is one, the caller has seen already.
            method: in any case.
            stream_id: None asks for the whole device.
        """
        if self.is_allowed(device_id, method, stream_id):
            return
        what = f"device {device_id}" if stream_id is None else f"datastream {stream_id} of device {device_id}"
        raise Forbidden(f"the credential does not open {what} for {method.lower()}")

    def is_allowed(self, device_id: DeviceId, method: str, stream_id: str | None = None) -> bool:
        """Tell what `require_device` asks for."""
        if self.key is not None:
            return self.key.opens(device_id, method.lower(), stream_id=stream_id)
        return self.device_id in (None, device_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownKey:
    access: Access
    text: bytes
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownAccessKeys:
    """A product's access key, and the replaced ones, decoded."""

    product: Product
    secrets: tuple[tuple[bytes, Proof], ...]


class Authenticator:
    """Tells who shows a credential. What it has seen it remembers until a product or a key changes."""

    def __init__(
        self,
        *,
        products: Products,
        reader: StoreReader,
        key_reader: DeviceKeyReader,
        secrets: SecretBox,
        clock: Clock,
    ) -> None:
        self._products = products
        self._reader = reader
        self._key_reader = key_reader
        self._secrets = secrets
        self._clock = clock
        self._keys: dict[bytes, _KnownKey] = {}
        self._access_keys: dict[ProductId, _KnownAccessKeys] = {}
        self._product_changes = products.changes
        self._key_changes = 0

    async def authenticate(self, api_key: str | None, authorization: str | None, now: Instant) -> Access:
        """Say what the credentials open; either one that is valid is enough, and the one that opens more counts.

        Raises:
            Unauthenticated: none was shown, or none is valid.
        """
        by_key = await self._by_api_key(api_key) if api_key else None
        if by_key is not None and (by_key.is_master or not authorization):
            return by_key
        by_token = await self._by_token(authorization, now) if authorization else None
        found = by_token if by_key is None or (by_token is not None and by_token.is_master) else by_key
        if found is None:
            raise Unauthenticated(is_missing=not (api_key or authorization))
        return found

    async def prove(
        self, *, api_key: str | None, token: str | None, product_id: ProductId, device: Device
    ) -> Proof | None:
        """Tell what lets somebody log in as a device of the product by a key or a token; None: nothing does.

        A device key does when it may post to the whole device: whoever has logged in reports for it.
        """
        try:
            access = await self.authenticate(api_key, token, self._clock.wall_ms())
        except Unauthenticated:
            return None
        if access.product.id != product_id or device.product_id != product_id:
            return None
        return access.proof if access.is_allowed(device.id, LOGIN_METHOD) else None

    def forget_keys(self) -> None:
        """A device key was changed or removed: what is remembered of them is void."""
        self._keys.clear()
        self._key_changes += 1

    def forget_device(self, _device_id: DeviceId) -> None:
        """A device is gone, and with it the key it was given when it registered itself."""
        self.forget_keys()

    # --- api-key ------------------------------------------------------------------------------------------------------

    async def _by_api_key(self, api_key: str) -> Access | None:
        if len(api_key) > KEY_CHARACTERS_MAX:
            return None
        shown = api_key.encode("utf-8", "surrogatepass")
        index = self._secrets.index(shown)
        self._forget_changed()
        known = self._keys.get(index) or await self._look_up(shown, index)
        if known is None or not hmac.compare_digest(known.text, shown):
            return None
        return known.access if _is_good(known.expires_at, self._clock.wall_ms()) else None

    async def _look_up(self, shown: bytes, index: bytes) -> _KnownKey | None:
        changes = self._changes()
        master = await self._products.keyring.find_by_master_key(shown, index)
        if master is None:
            found = await self._look_up_device_key(index)
        else:
            proof = Proof(kind=ProofKind.MASTER_KEY, fingerprint=index, until=master.expires_at)
            access = Access(product=master.product, proof=proof)
            found = _KnownKey(access=access, text=shown, expires_at=master.expires_at)
        if found is not None and changes == self._changes():  # else what was read may be of before a change
            _remember(self._keys, index, found, KNOWN_KEYS_MAX)
        return found

    async def _look_up_device_key(self, index: bytes) -> _KnownKey | None:
        key = await self._key_reader.find_device_key(index)
        product = None if key is None else await self._reader.find_product(key.product_id)
        if key is None or product is None:
            return None
        proof = Proof(kind=ProofKind.DEVICE_KEY, fingerprint=index, registered_device=key.registered_device)
        access = Access(product=product, key=key, proof=proof)
        return _KnownKey(access=access, text=self._secrets.unseal(key.sealed))

    # --- Authorization ------------------------------------------------------------------------------------------------

    async def _by_token(self, text: str, now: Instant) -> Access | None:
        fields = _token_fields(text)
        if fields is None or not _is_current(fields["et"], now):
            return None
        product_id, device_name = _parse_resource(fields["res"])
        known = None if product_id is None else await self._find_access_keys(product_id)
        if known is None:
            return None
        # Every key is tried, whichever fits: a token tells nobody how many there are.
        fits = [
            proof for secret, proof in known.secrets if _is_signed_by(secret, fields) and _is_good(proof.until, now)
        ]
        if not fits:
            return None
        product, proof = known.product, fits[0]
        if device_name is None:
            return Access(product=product, is_by_token=True, proof=proof)
        device_id = await self._find_device_id(product, device_name)
        if device_id is None:
            return None
        return Access(product=product, device_id=device_id, is_by_token=True, proof=proof)

    async def _find_access_keys(self, product_id: ProductId) -> _KnownAccessKeys | None:
        self._forget_changed()
        known = self._access_keys.get(product_id)
        if known is not None:
            return known
        changes = self._changes()
        key = await self._reader.get_key(product_id, KeyKind.ACCESS)
        product = None if key is None else await self._reader.find_product(product_id)
        if product is None or key is None:
            return None
        old = [each for each in await self._reader.old_keys(product_id) if each.kind is KeyKind.ACCESS]
        found = _KnownAccessKeys(product=product, secrets=tuple(self._decoded((key, *old))))
        if changes == self._changes():
            _remember(self._access_keys, product_id, found, KNOWN_ACCESS_KEYS_MAX)
        return found

    def _decoded(self, keys: Iterable[SealedKey]) -> Iterator[tuple[bytes, Proof]]:
        for key in keys:
            secret = _decode_base64(self._secrets.unseal(key.sealed))
            if secret is not None:
                yield secret, Proof(kind=ProofKind.ACCESS_KEY, fingerprint=key.index, until=key.expires_at)

    async def _find_device_id(self, product: Product, name: str) -> DeviceId | None:
        """A device is named by its id, or else by its IMEI."""
        number = int(name) if _is_number(name) else 0
        device = await self._reader.find_device(DeviceId(number)) if 1 <= number <= DEVICE_ID_MAX else None
        if device is None or device.product_id != product.id:
            device = await self._reader.find_device_by_imei(name)
        return None if device is None or device.product_id != product.id else device.id

    # --- what is remembered -------------------------------------------------------------------------------------------

    def _changes(self) -> tuple[int, int]:
        return self._products.changes, self._key_changes

    def _forget_changed(self) -> None:
        if self._product_changes != self._products.changes:
            self._product_changes = self._products.changes
            self._keys.clear()
            self._access_keys.clear()


def _remember(known: dict[KeyT, ValueT], key: KeyT, value: ValueT, known_max: int) -> None:
    if len(known) >= known_max:
        del known[next(iter(known))]
    known[key] = value


def _token_fields(text: str) -> Mapping[str, str] | None:
    """Read `version=…&res=…&et=…&method=…&sign=…`, each once, percent-encoded or not; a plus is a plus."""
    if len(text) > TOKEN_CHARACTERS_MAX:
        return None
    fields: dict[str, str] = {}
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        if name in fields:
            return None
        fields[name] = unquote(value)
    is_whole = all(name in fields for name in (*_TOKEN_FIELDS, "sign"))
    is_known = is_whole and fields["version"] == TOKEN_VERSION and fields["method"] in TOKEN_METHODS
    return fields if is_known else None


def _is_current(expiry: str, now: Instant) -> bool:
    return _is_number(expiry) and now <= int(expiry) * SECOND_MS


def _is_good(end: Instant | None, now: Instant) -> bool:
    return end is None or now < end


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= _DIGITS_MAX and text.isascii() and text.isdigit()


def _parse_resource(resource: str) -> tuple[ProductId | None, str | None]:
    """Read `products/{pid}` or `products/{pid}/devices/{name}`; no product when it is neither."""
    match resource.split("/"):
        case ["products", product] if _is_number(product):
            return ProductId(int(product)), None
        case ["products", product, "devices", name] if _is_number(product) and _is_name(name):
            return ProductId(int(product)), name
    return None, None


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= _NAME_CHARACTERS_MAX and text.isprintable()


def _is_signed_by(access_key: bytes, fields: Mapping[str, str]) -> bool:
    signed = "\n".join(fields[name] for name in _TOKEN_FIELDS)
    signature = _decode_base64(fields["sign"].encode("utf-8", "replace"))
    expected = hmac.digest(access_key, signed.encode("utf-8", "replace"), fields["method"])
    return signature is not None and hmac.compare_digest(signature, expected)


def _decode_base64(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
