"""Products and their keys.

Keys are sealed at rest and found by a keyed hash; what a caller showed is compared with the unsealed key in constant
time. Source: northbound reference 1.4; design 10.1.
"""

import hmac
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.device import ImeiRule, KeyKind, Product, SealedKey
from commandpost.domain.errors import Invalid, NotFound, Taken, Unauthenticated
from commandpost.domain.facts import CreateProduct, ReplaceKey, UpdateProduct
from commandpost.domain.ids import ProductId
from commandpost.domain.ports import Clock, IdSource, SecretBox, StoreReader, StoreWriter

NAME_CHARACTERS_MAX: Final = 64
KEY_CHARACTERS_MAX: Final = 256  # longer ones are not looked up: no key of ours has more than 44
KNOWN_KEYS_MAX: Final = 256
KEY_CHARACTERS_MIN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductKeys:
    """A product's keys, unsealed."""

    product_id: ProductId
    master_key: str
    access_key: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange:
    """What is to be different; None stays."""

    name: str | None = None
    is_auto_discovered: bool | None = None
    imei_rule: ImeiRule | None = None
    allow_imei_only: bool | None = None
    execute_delivery: DeliveryPolicy | None = None


class Products:
    """See the module."""

    def __init__(
        self, *, writer: StoreWriter, reader: StoreReader, secrets: SecretBox, ids: IdSource, clock: Clock
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._known: dict[bytes, tuple[Product, bytes]] = {}
        self._changes = 0

    async def create(
        self,
        *,
        name: str,
        product_id: ProductId | None = None,
        master_key: str | None = None,
        settings: ProductSettings | None = None,
    ) -> CreatedProduct:
        """Create a product with a MasterKey and an access key; those not given are made.

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
        )
        master_key = master_key or self._ids.new_secret()
        access_key = self._ids.new_secret()
        keys = (
            self._seal(product.id, KeyKind.MASTER, master_key),
            self._seal(product.id, KeyKind.ACCESS, access_key),
        )
        created = await self._writer.perform(CreateProduct(product=product, keys=keys))
        if created is None:
            raise Taken("product id or key", str(product.id))
        return CreatedProduct(
            product=created,
            keys=ProductKeys(product_id=created.id, master_key=master_key, access_key=access_key),
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
        changed = await self._writer.perform(UpdateProduct(product=product))
        self._forget_known()
        if changed is None:
            raise NotFound("product", str(product_id))
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
        index = self._secrets.index(shown)
        found = self._known.get(index) or await self._look_up(index)
        if found is None or not hmac.compare_digest(found[1], shown):
            raise Unauthenticated(is_missing=False)
        return found[0]

    async def _look_up(self, index: bytes) -> tuple[Product, bytes] | None:
        changes = self._changes
        key = await self._reader.find_key(index)
        if key is None or key.kind is not KeyKind.MASTER:
            return None
        product = await self._reader.find_product(key.product_id)
        if product is None:
            return None
        found = product, self._secrets.unseal(key.sealed)
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
        if master is None or access is None:
            raise NotFound("product", str(product_id))
        return ProductKeys(
            product_id=product_id,
            master_key=self._secrets.unseal(master.sealed).decode(),
            access_key=self._secrets.unseal(access.sealed).decode(),
        )

    async def rotate_key(self, product_id: ProductId, kind: KeyKind) -> str:
        """Put a new key in place of one; the old one is void at once.

        Raises:
            NotFound: there is no such product.
        """
        key = self._ids.new_secret()
        is_replaced = await self._writer.perform(ReplaceKey(key=self._seal(product_id, kind, key)))
        self._forget_known()
        if not is_replaced:
            raise NotFound("product", str(product_id))
        return key

    def _forget_known(self) -> None:
        self._known.clear()
        self._changes += 1

    def _seal(self, product_id: ProductId, kind: KeyKind, key: str) -> SealedKey:
        secret = key.encode()
        return SealedKey(
            product_id=product_id,
            kind=kind,
            sealed=self._secrets.seal(secret),
            index=self._secrets.index(secret),
            created_at=self._clock.wall_ms(),
        )


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Invalid("name", name, f"1 to {NAME_CHARACTERS_MAX} characters")
