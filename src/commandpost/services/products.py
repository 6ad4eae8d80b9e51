"""Products: what their owner says of them. Their keys are in product_keys.

Source: northbound reference 1.4; design 10.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.device import DeviceSecurity, ImeiRule, Product, ProductChange
from commandpost.domain.errors import Invalid, NotFound, Taken
from commandpost.domain.facts import CreateProduct, UpdateProduct
from commandpost.domain.ids import ProductId
from commandpost.domain.ports import Clock, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.proof import ProductKeyReplaced
from commandpost.services.device_rules import check_bootstrap_uri
from commandpost.services.product_keys import ProductKeyring, ProductKeys

NAME_CHARACTERS_MAX: Final = 64


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
        self._clock = clock
        self._changes = 0
        self._on_changed = tuple(on_changed)
        self.keyring = ProductKeyring(
            writer=writer, reader=reader, secrets=secrets, ids=ids, clock=clock, on_replaced=on_key_replaced
        )
        """The keys of all products."""

    @property
    def changes(self) -> int:
        """How often a product or one of its keys was changed: what somebody remembers of before may be wrong."""
        return self._changes + self.keyring.changes

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
            bootstrap_uri=settings.bootstrap_uri or None,
            bootstrap_secure_uri=settings.bootstrap_secure_uri or None,
        )
        _check_uris(product)
        keys, sealed = self.keyring.make(product.id, master_key)
        created = await self._writer.perform(CreateProduct(product=product, keys=sealed))
        if created is None:
            raise Taken("product id or key", str(product.id))
        return CreatedProduct(product=created, keys=replace(keys, product_id=created.id))

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
            Invalid: the name, or an address for bootstraps, cannot be.
        """
        await self.get(product_id)
        if change.name is not None:
            _check_name(change.name)
        _check_uris(change)
        changed = await self._writer.perform(UpdateProduct(product_id=product_id, change=change))
        self._changes += 1
        if changed is None:
            raise NotFound("product", str(product_id))
        for told in self._on_changed:
            told(changed)
        return changed


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Invalid("name", name, f"1 to {NAME_CHARACTERS_MAX} characters")


def _check_uris(given: Product | ProductChange) -> None:
    if given.bootstrap_uri:
        check_bootstrap_uri("bootstrap_uri", given.bootstrap_uri, is_secure=False)
    if given.bootstrap_secure_uri:
        check_bootstrap_uri("bootstrap_secure_uri", given.bootstrap_secure_uri, is_secure=True)
