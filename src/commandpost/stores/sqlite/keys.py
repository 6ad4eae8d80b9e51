"""Facts and questions about device-level keys, and devices that register themselves, on SQLite."""

import sqlite3

from commandpost.domain.device_key import DeviceKey
from commandpost.domain.facts import CreateDevice, NotCreated
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.key_facts import (
    AddDeviceKey,
    ChangeDeviceKey,
    DeleteDeviceKey,
    NotAdded,
    RegisterDevice,
    SelfRegistered,
)
from commandpost.domain.ports import Page
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.key_rows import PERMISSIONS, device_key_from_row, device_key_to_row
from commandpost.stores.key_rules import change_key, key_for_registered, mentioned_devices
from commandpost.stores.rows import device_from_row
from commandpost.stores.sqlite.devices import DeviceFacts
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions, cut


class KeyFacts:
    """Applies the facts about device-level keys, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sql = load_queries("keys.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {AddDeviceKey: self._add, ChangeDeviceKey: self._change, DeleteDeviceKey: self._delete}

    def insert(self, key: DeviceKey) -> None:
        """Take a key in, and note what it names."""
        inserted = self._execute(self._sql["insert_device_key"], device_key_to_row(key))
        self._note_mentions(inserted.lastrowid or 0, key)

    def find_registered(self, device_id: DeviceId) -> DeviceKey | None:
        """Give the key a device was given when it registered itself."""
        row = self._execute(self._sql["find_registered_key"], (device_id,)).fetchone()
        return None if row is None else device_key_from_row(row)

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted: its own key goes; what other keys say of it stays."""
        for (key_id,) in self._execute(self._sql["delete_registered_key"], (device_id,)).fetchall():
            self._execute(self._sql["delete_mentions"], (key_id,))

    def _add(self, fact: AddDeviceKey) -> NotAdded | None:
        key = fact.key
        is_product, count = self._execute(self._sql["has_room"], {"product_id": key.product_id}).fetchone()
        if not is_product:
            return NotAdded.PRODUCT_GONE
        if count >= fact.keys_max:
            return NotAdded.FULL
        self.insert(key)
        return None

    def _change(self, fact: ChangeDeviceKey) -> bool:
        row = self._execute(self._sql["find_device_key"], (fact.index,)).fetchone()
        before = None if row is None else device_key_from_row(row)
        if before is None or before.product_id != fact.product_id:
            return False
        after = change_key(before, fact)
        arguments = after.title, PERMISSIONS.encode(after.permissions), fact.index, fact.product_id
        ((key_id,),) = self._execute(self._sql["change_device_key"], arguments).fetchall()
        self._execute(self._sql["delete_mentions"], (key_id,))
        self._note_mentions(key_id, after)
        return True

    def _delete(self, fact: DeleteDeviceKey) -> bool:
        deleted = self._execute(self._sql["delete_device_key"], (fact.index, fact.product_id)).fetchall()
        for (key_id,) in deleted:
            self._execute(self._sql["delete_mentions"], (key_id,))
        return bool(deleted)

    def _note_mentions(self, key_id: int, key: DeviceKey) -> None:
        for device_id in sorted(mentioned_devices(key)):
            self._execute(self._sql["insert_mention"], (device_id, key_id))


class RegistrationFacts:
    """Applies the fact that a device registers itself."""

    def __init__(self, connection: sqlite3.Connection, *, devices: DeviceFacts, keys: KeyFacts) -> None:
        self._execute = connection.execute
        self._sql = load_queries("devices.sql")
        self._devices = devices
        self._keys = keys

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {RegisterDevice: self._register}

    def _register(self, fact: RegisterDevice) -> SelfRegistered | NotCreated:
        place = fact.device.product_id, fact.device.auth_info
        row = self._execute(self._sql["find_device_by_auth_info"], place).fetchone()
        known = None if row is None else device_from_row(row)
        if known is not None and known.is_lwm2m:
            return NotCreated.AUTH_INFO_TAKEN
        device = known or self._devices.create_device(CreateDevice(device=fact.device))
        if isinstance(device, NotCreated):
            return device
        key = self._keys.find_registered(device.id)
        if key is None:
            key = key_for_registered(fact.key, device)
            self._keys.insert(key)
        return SelfRegistered(device=device, key=key, is_new=known is None)


class SqliteKeyReader(Questions):
    """A DeviceKeyReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._keys = load_queries("keys.sql")

    async def find_device_key(self, index: bytes) -> DeviceKey | None:
        """Give the key with this index, of any product."""
        row = self._row(self._keys["find_device_key"], (index,))
        return None if row is None else device_key_from_row(row)

    async def list_device_keys(
        self, product_id: ProductId, device_id: DeviceId | None, page: Page
    ) -> tuple[int, tuple[DeviceKey, ...]]:
        """How many keys a product has, and one page of them, oldest first; with a device id, only keys that name it."""
        suffix = "_device_keys" if device_id is None else "_keys_of_device"
        conditions: dict[str, object] = {"product_id": product_id, "device_id": device_id}
        with self._snapshot():
            total = self._count(self._keys[f"count{suffix}"], conditions)
            rows = self._rows(self._keys[f"list{suffix}"], {**conditions, **cut(page)})
        return total, tuple(device_key_from_row(row) for row in rows)
