"""Device-level keys: making them, changing what they open, showing and removing them.

A key is shown to its owner as often as he likes, so it is sealed at rest, not hashed. What a key opens for whom is
asked in `access`. Source: northbound reference 9.1; design 10.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.device import Product
from commandpost.domain.device_key import (
    ACCESS_METHODS,
    DEVICE_KEYS_MAX,
    KEY_RESOURCES_MAX,
    PERMISSIONS_MAX,
    DeviceKey,
    KeyPermission,
)
from commandpost.domain.errors import DomainError, Invalid, NotFound
from commandpost.domain.ids import DeviceId
from commandpost.domain.key_facts import AddDeviceKey, ChangeDeviceKey, DeleteDeviceKey, NotAdded
from commandpost.domain.payload_ports import DeviceKeyReader
from commandpost.domain.ports import Clock, IdSource, Page, SecretBox, StoreReader, StoreWriter
from commandpost.domain.proof import DeviceKeyChanged
from commandpost.services.access import Authenticator
from commandpost.services.named_devices import check_named_devices
from commandpost.services.product_keys import KEY_CHARACTERS_MAX, url_safe

TITLE_CHARACTERS_MAX: Final = 256  # as long as a device's may be


class TooManyKeys(DomainError):
    """The product has its full number of device keys."""

    code = "too_many_keys"

    def __init__(self, keys_max: int) -> None:
        self.keys_max = keys_max
        super().__init__(f"the product has {keys_max} device keys: at most {keys_max} are allowed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A device key with its text."""

    text: str
    key: DeviceKey


class DeviceKeys:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        key_reader: DeviceKeyReader,
        authenticator: Authenticator,
        secrets: SecretBox,
        ids: IdSource,
        clock: Clock,
        keys_max: int = DEVICE_KEYS_MAX,
        on_changed: Sequence[Callable[[DeviceKeyChanged], object]] = (),
    ) -> None:
        """Connect the service; `on_changed` are told of every key that opens something else now, or nothing."""
        self._writer = writer
        self._reader = reader
        self._key_reader = key_reader
        self._authenticator = authenticator
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._keys_max = keys_max
        self._on_changed = tuple(on_changed)

    async def create(self, product: Product, *, title: str, permissions: Sequence[KeyPermission]) -> ShownKey:
        """Make a key.

        Raises:
            Invalid: the title or a permission cannot be; names the field.
            NotFound: a permission names a device that is not the product's.
            TooManyKeys: the product has its full number.
        """
        _check_title(title)
        await self._check_permissions(product, permissions)
        text = url_safe(self._ids.new_secret())
        secret = text.encode()
        key = DeviceKey(
            product_id=product.id,
            title=title,
            sealed=self._secrets.seal(secret),
            index=self._secrets.index(secret),
            permissions=tuple(permissions),
            created_at=self._clock.wall_ms(),
        )
        match await self._writer.perform(AddDeviceKey(key=key, keys_max=self._keys_max)):
            case NotAdded.FULL:
                raise TooManyKeys(self._keys_max)
            case NotAdded.PRODUCT_GONE:
                raise NotFound("product", str(product.id))
        return ShownKey(text=text, key=key)

    async def find(self, product: Product, text: str) -> ShownKey | None:
        """Give a key of the product by its text."""
        if not text or len(text) > KEY_CHARACTERS_MAX:
            return None
        key = await self._key_reader.find_device_key(self._index(text))
        return None if key is None or key.product_id != product.id else ShownKey(text=text, key=key)

    async def list(self, product: Product, device_id: DeviceId | None, page: Page) -> tuple[int, tuple[ShownKey, ...]]:
        """Give how many keys a product has, and one page of them; with a device id, only keys that name it."""
        total, keys = await self._key_reader.list_device_keys(product.id, device_id, page)
        return total, tuple(ShownKey(text=self._secrets.unseal(key.sealed).decode(), key=key) for key in keys)

    async def change(
        self, product: Product, text: str, *, title: str | None, permissions: Sequence[KeyPermission] | None
    ) -> None:
        """Give a key another title, other permissions in place of those it had, or both; None stays.

        Raises:
            Invalid: the title or a permission cannot be; names the field.
            NotFound: the product has no such key, or a permission names a device that is not the product's.
        """
        found = await self.find(product, text)
        if found is None:
            raise NotFound("key", "of this text")
        if title is not None:
            _check_title(title)
        if permissions is not None:
            await self._check_permissions(product, permissions)
        change = ChangeDeviceKey(
            product_id=product.id,
            index=found.key.index,
            title=title,
            permissions=None if permissions is None else tuple(permissions),
        )
        is_changed = await self._writer.perform(change)
        self._authenticator.forget_keys()
        if not is_changed:
            raise NotFound("key", "of this text")
        if change.permissions is not None:
            changed = replace(found.key, permissions=change.permissions)
            self._tell(DeviceKeyChanged(fingerprint=change.index, key=changed))

    async def remove(self, product: Product, text: str) -> None:
        """Remove a key; it is void at once.

        Raises:
            NotFound: the product has no such key.
        """
        is_removed = bool(text) and len(text) <= KEY_CHARACTERS_MAX
        if is_removed:
            is_removed = await self._writer.perform(DeleteDeviceKey(product_id=product.id, index=self._index(text)))
            self._authenticator.forget_keys()
        if not is_removed:
            raise NotFound("key", "of this text")
        self._tell(DeviceKeyChanged(fingerprint=self._index(text)))

    def _tell(self, change: DeviceKeyChanged) -> None:
        for told in self._on_changed:
            told(change)

    def _index(self, text: str) -> bytes:
        return self._secrets.index(text.encode("utf-8", "surrogatepass"))

    async def _check_permissions(self, product: Product, permissions: Sequence[KeyPermission]) -> None:
        if len(permissions) > PERMISSIONS_MAX:
            raise Invalid("permissions", f"{len(permissions)} of them", f"at most {PERMISSIONS_MAX}")
        resources = [resource for permission in permissions for resource in permission.resources]
        if len(resources) > KEY_RESOURCES_MAX:
            raise Invalid("resources", f"{len(resources)} of them", f"at most {KEY_RESOURCES_MAX} in all permissions")
        for method in (method for permission in permissions for method in permission.methods):
            if method not in ACCESS_METHODS:
                raise Invalid("access_methods", method, " or ".join(ACCESS_METHODS))
        named = {resource.device_id for resource in resources if resource.device_id is not None}
        await check_named_devices(self._reader, product.id, named)


def _check_title(title: str) -> None:
    if not 1 <= len(title) <= TITLE_CHARACTERS_MAX:
        raise Invalid("title", f"{len(title)} characters", f"1 to {TITLE_CHARACTERS_MAX}")
