"""Facts about products, keys and devices, on SQLite."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from commandpost.domain.device import Device, Product, SealedKey
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.fact import Swept
from commandpost.domain.facts import (
    ChangeDeviceKeys,
    CreateDevice,
    CreateProduct,
    DeleteDevice,
    KeysNotChanged,
    NotCreated,
    NotUpdated,
    PruneOldKeys,
    ReplaceKey,
    UpdateDevice,
    UpdateProduct,
)
from commandpost.domain.ids import DEVICE_ID_MAX, DeviceId, ProductId
from commandpost.domain.resource import DiscoveredObject, ObjectLinkEntry, listed_objects
from commandpost.domain.session_facts import KeepIdentity, KeepResources
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.device_rules import change_device, change_keys, change_product, claimed_imei
from commandpost.stores.rows import (
    device_from_row,
    device_to_row,
    discovered_from_row,
    discovered_to_row,
    key_to_row,
    product_from_row,
    product_to_row,
)
from commandpost.stores.sqlite.queries import load_queries

_DELETE_ALL_OF_DEVICE = (
    "delete_attempts",
    "delete_feedback",
    "delete_commands",
    "delete_observations",
    "delete_session_detail",
    "delete_session",
    "delete_resources",
)


class DeviceFacts:
    """Applies the facts about products, keys and devices, inside the transaction the store has begun."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        forget: Sequence[Callable[[DeviceId], None]],
        forget_proofs: Callable[[DeviceId], None],
        purge: Callable[[DeviceId], None],
    ) -> None:
        """Take the connection, and what removes the things of a deleted device that are not known here.

        Args:
            forget: called while the device is there still.
            forget_proofs: removes what a device has proved with keys that are replaced.
            purge: removes what an earlier device of an id has left that goes in slices.
        """
        self._execute = connection.execute
        self._forget = tuple(forget)
        self._forget_proofs = forget_proofs
        self._purge = purge
        self._sql = load_queries("devices.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            CreateProduct: self._create_product,
            UpdateProduct: self._update_product,
            ReplaceKey: self._replace_key,
            PruneOldKeys: self._prune_old_keys,
            CreateDevice: self.create_device,
            UpdateDevice: self._update_device,
            ChangeDeviceKeys: self._change_keys,
            DeleteDevice: self._delete_device,
            KeepResources: self._keep_resources,
            KeepIdentity: self._keep_identity,
        }

    def _create_product(self, fact: CreateProduct) -> Product | None:
        product = fact.product
        kinds = [key.kind for key in fact.keys]
        if len(set(kinds)) < len(kinds):
            raise StoreUnavailable("a product has one key of a kind")
        offered = [key.index for key in fact.keys]
        is_taken = len(set(offered)) < len(offered) or any(self._find_key_place(index) for index in offered)
        if is_taken or self._is_product(product.id):
            return None
        inserted = self._execute(self._sql["insert_product"], (product.id or None, *product_to_row(product)))
        product = replace(product, id=ProductId(inserted.lastrowid or 0))
        for key in fact.keys:
            self._put_key(replace(key, product_id=product.id))
        return product

    def _update_product(self, fact: UpdateProduct) -> Product | None:
        row = self._execute(self._sql["find_product"], (fact.product_id,)).fetchone()
        if row is None:
            return None
        after = change_product(product_from_row(row), fact.change)
        self._execute(self._sql["update_product"], (*product_to_row(after), after.id))
        return after

    def _replace_key(self, fact: ReplaceKey) -> bool:
        key = fact.key
        if not self._is_product(key.product_id):
            return False
        if self._find_key_place(key.index) not in (None, (key.product_id, key.kind.value)):
            return False
        place = key.product_id, key.kind.value
        if fact.old_until is None:
            self._execute(self._sql["delete_old_keys"], place)
        else:
            old = {"product_id": place[0], "kind": place[1], "key_index": key.index, "expires_at": fact.old_until}
            self._execute(self._sql["retire_key"], old)
        self._execute(self._sql["delete_old_key"], (key.index,))
        self._put_key(key)
        return True

    def _prune_old_keys(self, fact: PruneOldKeys) -> Swept:
        count = self._execute(self._sql["prune_old_keys"], (fact.expired_before, fact.limit)).rowcount
        return Swept(count=count, has_more=count >= fact.limit)

    def create_device(self, fact: CreateDevice) -> Device | NotCreated:
        """Apply a CreateDevice; for a device that registers itself, too."""
        device = fact.device
        if not self._is_product(device.product_id):
            return NotCreated.PRODUCT_GONE
        if device.imei is not None and self._is_true("is_imei_taken", device.imei):
            return NotCreated.IMEI_TAKEN
        if device.imei is None and self._is_true("is_auth_info_taken", device.product_id, device.auth_info):
            return NotCreated.AUTH_INFO_TAKEN
        if self._is_psk_identity_taken(device) or self._is_imei_claimed(device):
            return NotCreated.PSK_IDENTITY_TAKEN
        if not device.id:
            (next_id,) = self._execute(self._sql["next_device_id"]).fetchone()
            if next_id > DEVICE_ID_MAX:
                return NotCreated.FULL
            device = replace(device, id=DeviceId(next_id))
        else:
            self._purge(device.id)
        self._execute(self._sql["insert_device"], device_to_row(device))
        return device

    def _update_device(self, fact: UpdateDevice) -> Device | NotUpdated:
        row = self._execute(self._sql["find_device_row"], (fact.device_id,)).fetchone()
        before = None if row is None else device_from_row(row)
        if before is None or before.product_id != fact.product_id:
            return NotUpdated.DEVICE_GONE
        after = change_device(before, fact.change, at=fact.at)
        is_new_login = after.imei is None and after.auth_info != before.auth_info
        if is_new_login and self._is_true("is_auth_info_taken", after.product_id, after.auth_info):
            return NotUpdated.AUTH_INFO_TAKEN
        self._execute(self._sql["update_device"], device_to_row(after))
        return after

    def _change_keys(self, fact: ChangeDeviceKeys) -> Device | KeysNotChanged:
        row = self._execute(self._sql["find_device_row"], (fact.device_id,)).fetchone()
        before = None if row is None else device_from_row(row)
        if before is None or before.product_id != fact.product_id:
            return KeysNotChanged.DEVICE_GONE
        after = change_keys(before, fact)
        if self._is_psk_identity_taken(after):
            return KeysNotChanged.PSK_IDENTITY_TAKEN
        self._execute(self._sql["update_device"], device_to_row(after))
        self._forget_proofs(fact.device_id)
        return after

    def _is_psk_identity_taken(self, device: Device) -> bool:
        if device.psk_identity is None:
            return False
        wanted = {
            "psk_identity": device.psk_identity,
            "claimed_imei": claimed_imei(device.psk_identity),
            "id": device.id,
        }
        (is_taken,) = self._execute(self._sql["is_psk_identity_of_other"], wanted).fetchone()
        return bool(is_taken)

    def _is_imei_claimed(self, device: Device) -> bool:
        if device.imei is None:
            return False
        (is_claimed,) = self._execute(self._sql["is_imei_claimed"], {"imei": device.imei}).fetchone()
        return bool(is_claimed)

    def _delete_device(self, fact: DeleteDevice) -> bool:
        if not self._is_true("is_device", fact.device_id, fact.product_id):
            return False
        for name in _DELETE_ALL_OF_DEVICE:
            self._execute(self._sql[name], (fact.device_id,))
        for forget in self._forget:
            forget(fact.device_id)
        self._execute(self._sql["delete_device"], (fact.device_id,))
        return True

    def follow_list(self, device_id: DeviceId, links: Iterable[ObjectLinkEntry]) -> None:
        """Let what is known of a device's objects be what it lists; most lists say what is known."""
        rows = self._execute(self._sql["list_resources"], (device_id,)).fetchall()
        known = tuple(discovered_from_row(row) for row in rows)
        objects = listed_objects(links, known)
        if objects != known:
            self._execute(self._sql["delete_resources"], (device_id,))
            self._put_resources(device_id, objects)

    def _keep_resources(self, fact: KeepResources) -> None:
        self._put_resources(fact.device_id, fact.objects)

    def _put_resources(self, device_id: DeviceId, objects: Iterable[DiscoveredObject]) -> None:
        for discovered in objects:
            object_id, instances = discovered_to_row(discovered)
            row = {"device_id": device_id, "object_id": object_id, "instances": instances}
            self._execute(self._sql["put_resource"], row)

    def _keep_identity(self, fact: KeepIdentity) -> None:
        self._execute(self._sql["set_identity"], (fact.manufacturer, fact.model, fact.device_id))

    def _is_product(self, product_id: ProductId) -> bool:
        return self._execute(self._sql["find_product"], (product_id,)).fetchone() is not None

    def _find_key_place(self, index: bytes) -> tuple[int, str] | None:
        row = self._execute(self._sql["find_key"], {"key_index": index}).fetchone()
        return None if row is None else (row[0], row[1])

    def _put_key(self, key: SealedKey) -> None:
        self._execute(self._sql["insert_key"], key_to_row(key))

    def _is_true(self, name: str, *arguments: object) -> bool:
        (value,) = self._execute(self._sql[name], arguments).fetchone()
        return bool(value)
