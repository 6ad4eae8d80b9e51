"""Products and their keys.

Keys are sealed at rest and found by a keyed hash; what a caller showed is compared with the unsealed key in constant
time. Source: northbound reference 1.4; design 10.1.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.device import DeviceSecurity, ImeiRule, KeyKind, Product, SealedKey
from commandpost.domain.errors import DomainError, Invalid, NotFound, Taken, Unauthenticated
from commandpost.domain.facts import CreateProduct, ReplaceKey, UpdateProduct
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.proof import ProductKeyReplaced, ProofKind
from commandpost.services.device_rules import check_bootstrap_uri

NAME_CHARACTERS_MAX: Final = 64
KEY_CHARACTERS_MAX: Final = 256  # longer ones are not looked up: no key of ours has more than 44
KNOWN_KEYS_MAX: Final = 256
KEY_CHARACTERS_MIN: Final = 8
KEY_CHARACTERS_GOOD: Final = 16  # 96 bits if they are random; ours have 32
EXAMPLE_KEYS: Final = frozenset({"my-master-key-0001"})  # of the README
OVERLAP_S_MAX: Final = 31_536_000  # a year: what takes longer than that to change its key never will
_PROVING_KEYS: Final = {KeyKind.MASTER: ProofKind.MASTER_KEY, KeyKind.ACCESS: ProofKind.ACCESS_KEY}
"""Keys that devices log in with, or with what they signed."""
OLD_KEYS_MAX: Final = 8  # replaced keys of one kind that are good yet; whoever needs more has lost count of them


class TooManyOldKeys(DomainError):
    """The product has its full number of replaced keys that are good yet."""

    code = "too_many_old_keys"

    def __init__(self, kind: KeyKind) -> None:
        super().__init__(
            f"{OLD_KEYS_MAX} replaced {kind.value} keys are good yet: wait for one to end, or rotate without overlap, "
            f"which ends all of them"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OldKey:
    """A replaced key that is good for a while yet."""

    kind: KeyKind
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMasterKey:
    """A MasterKey, unsealed, and whose it is."""

    product: Product
    key: bytes
    expires_at: Instant | None

    def is_good(self, now: Instant) -> bool:
        """Tell whether its time is not over."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductKeys:
    """A product's keys, unsealed."""

    product_id: ProductId
    master_key: str
    access_key: str
    register_code: str | None = None
    """None: the product is older than register codes, and none was made since (`rotate_key`)."""
    old_keys: tuple[OldKey, ...] = ()
    """Replaced ones that are good yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedProduct:
    """A new product with its keys."""

    product: Product
    keys: ProductKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSettings:
    """What may be said of a product at its creation."""

    is_auto_discovered: bool = False
    imei_rule: ImeiRule = ImeiRule.PERMISSIVE
    allow_imei_only: bool = False
    execute_delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE
    device_security: DeviceSecurity = DeviceSecurity.MIXED
    bootstrap_uri: str | None = None
    bootstrap_secure_uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """What is to be different; None stays."""

    name: str | None = None
    is_auto_discovered: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None
    device_security: DeviceSecurity | None = None
    bootstrap_uri: str | None = None
    """Empty: the server's own setting holds again."""
    bootstrap_secure_uri: str | None = None


class Products:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        secrets: SecretBox,
        ids: IdSource,
        clock: Clock,
        on_changed: Sequence[Callable[[Product], object]] = (),
        on_key_replaced: Sequence[Callable[[ProductKeyReplaced], object]] = (),
    ) -> None:
        """Connect the service; `on_changed` are told of every product that is different now.

        `on_key_replaced` are told of every new MasterKey and access key, and until when the old ones are good.
        """
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._known: dict[bytes, KnownMasterKey] = {}
        self._changes = 0
        self._on_changed = tuple(on_changed)
        self._on_key_replaced = tuple(on_key_replaced)

    @property
    def changes(self) -> int:
        """How often a product or one of its keys was changed: what somebody remembers of before may be wrong."""
        return self._changes

    async def create(
        self,
        *,
        name: str,
        product_id: ProductId | None = None,
        master_key: str | None = None,
        settings: ProductSettings | None = None,
    ) -> CreatedProduct:
        """Create a product with a MasterKey, an access key and a register code; a MasterKey not given is made.

        Raises:
            Invalid: the name or the key cannot be.
            Taken: the id, or the key, belongs to another product.
        """
        _check_name(name)
        if master_key is not None and not KEY_CHARACTERS_MIN <= len(master_key) <= KEY_CHARACTERS_MAX:
            allowed = f"{KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters"
            raise Invalid("master_key", f"{len(master_key)} characters", allowed)
        settings = settings or ProductSettings()
        product = Product(
            id=product_id or ProductId(0),
            name=name,
            created_at=self._clock.wall_ms(),
            is_auto_discovered=settings.is_auto_discovered,
            imei_rule=settings.imei_rule,
            allow_imei_only=settings.allow_imei_only,
            execute_delivery=settings.execute_delivery,
            device_security=settings.device_security,
            bootstrap_uri=_check_uri("bootstrap_uri", settings.bootstrap_uri, is_secure=False),
            bootstrap_secure_uri=_check_uri("bootstrap_secure_uri", settings.bootstrap_secure_uri, is_secure=True),
        )
        master_key = master_key or self._new_key(KeyKind.MASTER)
        access_key = self._new_key(KeyKind.ACCESS)
        register_code = self._new_key(KeyKind.REGISTER)
        keys = (
            self._seal(product.id, KeyKind.MASTER, master_key),
            self._seal(product.id, KeyKind.ACCESS, access_key),
            self._seal(product.id, KeyKind.REGISTER, register_code),
        )
        created = await self._writer.perform(CreateProduct(product=product, keys=keys))
        if created is None:
            raise Taken("product id or key", str(product.id))
        return CreatedProduct(
            product=created,
            keys=ProductKeys(
                product_id=created.id, master_key=master_key, access_key=access_key, register_code=register_code
            ),
        )

    async def list(self) -> tuple[Product, ...]:
        """Give every product, by id."""
        return await self._reader.list_products()

    async def get(self, product_id: ProductId) -> Product:
        """Give a product.

        Raises:
            NotFound: there is none with this id.
        """
        product = await self._reader.find_product(product_id)
        if product is None:
            raise NotFound("product", str(product_id))
        return product

    async def change(self, product_id: ProductId, change: ProductChange) -> Product:
        """Change what the caller gave.

        Raises:
            NotFound: there is no such product.
            Invalid: the name cannot be.
        """
        product = await self.get(product_id)
        if change.name is not None:
            _check_name(change.name)
            product = replace(product, name=change.name)
        if change.is_auto_discovered is not None:
            product = replace(product, is_auto_discovered=change.is_auto_discovered)
        if change.imei_rule is not None:
            product = replace(product, imei_rule=change.imei_rule)
        if change.allow_imei_only is not None:
            product = replace(product, allow_imei_only=change.allow_imei_only)
        if change.execute_delivery is not None:
            product = replace(product, execute_delivery=change.execute_delivery)
        if change.device_security is not None:
            product = replace(product, device_security=change.device_security)
        if change.bootstrap_uri is not None:
            uri = _check_uri("bootstrap_uri", change.bootstrap_uri, is_secure=False)
            product = replace(product, bootstrap_uri=uri)
        if change.bootstrap_secure_uri is not None:
            uri = _check_uri("bootstrap_secure_uri", change.bootstrap_secure_uri, is_secure=True)
            product = replace(product, bootstrap_secure_uri=uri)
        changed = await self._writer.perform(UpdateProduct(product=product))
        self._forget_known()
        if changed is None:
            raise NotFound("product", str(product_id))
        for told in self._on_changed:
            told(changed)
        return changed

    async def authenticate(self, api_key: str | None) -> Product:
        """Give the product whose MasterKey this is.

        Raises:
            Unauthenticated: no key was shown, or it is not the MasterKey of a product.
        """
        if not api_key:
            raise Unauthenticated(is_missing=True)
        if len(api_key) > KEY_CHARACTERS_MAX:
            raise Unauthenticated(is_missing=False)
        shown = api_key.encode("utf-8", "surrogatepass")
        found = await self.find_by_master_key(shown, self._secrets.index(shown))
        if found is None:
            raise Unauthenticated(is_missing=False)
        return found.product

    async def find_by_master_key(self, shown: bytes, index: bytes) -> KnownMasterKey | None:
        """Give the MasterKey that was shown, if it is one and its time is not over; `index` is the secret box's."""
        found = self._known.get(index) or await self._look_up(index)
        is_right = found is not None and hmac.compare_digest(found.key, shown)
        return found if found is not None and is_right and found.is_good(self._clock.wall_ms()) else None

    async def find_by_register_code(self, code: str) -> Product | None:
        """Give the product with this register code."""
        if not code or len(code) > KEY_CHARACTERS_MAX:
            return None
        shown = code.encode("utf-8", "surrogatepass")
        key = await self._reader.find_key(self._secrets.index(shown))
        if key is None or key.kind is not KeyKind.REGISTER or is_over(key, self._clock.wall_ms()):
            return None
        if not hmac.compare_digest(self._secrets.unseal(key.sealed), shown):
            return None
        return await self._reader.find_product(key.product_id)

    async def _look_up(self, index: bytes) -> KnownMasterKey | None:
        changes = self._changes
        key = await self._reader.find_key(index)
        if key is None or key.kind is not KeyKind.MASTER:
            return None
        product = await self._reader.find_product(key.product_id)
        if product is None:
            return None
        found = KnownMasterKey(product=product, key=self._secrets.unseal(key.sealed), expires_at=key.expires_at)
        if changes == self._changes:  # else what was read may be of before a change
            if len(self._known) >= KNOWN_KEYS_MAX:
                del self._known[next(iter(self._known))]
            self._known[index] = found
        return found

    async def keys(self, product_id: ProductId) -> ProductKeys:
        """Give a product's keys, unsealed.

        Raises:
            NotFound: there is no such product.
        """
        master = await self._reader.get_key(product_id, KeyKind.MASTER)
        access = await self._reader.get_key(product_id, KeyKind.ACCESS)
        register = await self._reader.get_key(product_id, KeyKind.REGISTER)
        if master is None or access is None:
            raise NotFound("product", str(product_id))
        now = self._clock.wall_ms()
        old = [key for key in await self._reader.old_keys(product_id) if not is_over(key, now)]
        return ProductKeys(
            product_id=product_id,
            master_key=self._secrets.unseal(master.sealed).decode(),
            access_key=self._secrets.unseal(access.sealed).decode(),
            register_code=None if register is None else self._secrets.unseal(register.sealed).decode(),
            old_keys=tuple(OldKey(kind=key.kind, expires_at=key.expires_at or now) for key in old),
        )

    async def rotate_key(self, product_id: ProductId, kind: KeyKind, *, overlap_s: int = 0) -> str:
        """Put a new key in place of one. A register code that is not there yet is made.

        Args:
            overlap_s: how long the old key is good yet. 0: it is void at once, and so is every one that was replaced
                before; keys that got out are rotated so.
        Raises:
            NotFound: there is no such product.
            Invalid: nobody needs that long.
            TooManyOldKeys: too many are good yet.
        """
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            raise Invalid("overlap", overlap_s, f"0 to {OVERLAP_S_MAX} seconds")
        key = self._new_key(kind)
        sealed = self._seal(product_id, kind, key)
        old_until = Instant(sealed.created_at + overlap_s * SECOND_MS) if overlap_s else None
        if old_until is not None:
            await self._check_room_for_old(product_id, kind, sealed.created_at)
        is_replaced = await self._writer.perform(ReplaceKey(key=sealed, old_until=old_until))
        self._forget_known()
        if not is_replaced:
            raise NotFound("product", str(product_id))
        self._tell_replaced(sealed, old_until)
        return key

    def _tell_replaced(self, key: SealedKey, old_until: Instant | None) -> None:
        proves = _PROVING_KEYS.get(key.kind)
        if proves is None:
            return
        change = ProductKeyReplaced(product_id=key.product_id, kind=proves, fingerprint=key.index, old_until=old_until)
        for told in self._on_key_replaced:
            told(change)

    async def _check_room_for_old(self, product_id: ProductId, kind: KeyKind, now: Instant) -> None:
        old = [key for key in await self._reader.old_keys(product_id) if key.kind is kind and not is_over(key, now)]
        if len(old) >= OLD_KEYS_MAX:
            raise TooManyOldKeys(kind)

    def _forget_known(self) -> None:
        self._known.clear()
        self._changes += 1

    def _new_key(self, kind: KeyKind) -> str:
        secret = self._ids.new_secret()
        return url_safe(secret) if kind is KeyKind.REGISTER else secret

    def _seal(self, product_id: ProductId, kind: KeyKind, key: str) -> SealedKey:
        secret = key.encode()
        return SealedKey(
            product_id=product_id,
            kind=kind,
            sealed=self._secrets.seal(secret),
            index=self._secrets.index(secret),
            created_at=self._clock.wall_ms(),
        )


def is_over(key: SealedKey, now: Instant) -> bool:
    """Tell whether a key was replaced and its time is over."""
    return key.expires_at is not None and now >= key.expires_at


def is_weak_master_key(key: str) -> bool:
    """Tell whether a key is one that everybody knows, or that can be found by trying."""
    return key in EXAMPLE_KEYS or len(key) < KEY_CHARACTERS_GOOD or len(set(key)) == 1


def url_safe(secret: str) -> str:
    """Write base64 so that it stays what it is in a URL, be it percent-encoded there or not (RFC 4648 section 5)."""
    return secret.replace("+", "-").replace("/", "_").rstrip("=")


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Invalid("name", name, f"1 to {NAME_CHARACTERS_MAX} characters")


def _check_uri(name: str, uri: str | None, *, is_secure: bool) -> str | None:
    if not uri:
        return None
    check_bootstrap_uri(name, uri, is_secure=is_secure)
    return uri
