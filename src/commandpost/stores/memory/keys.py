"""Facts and questions about device-level keys, and devices that register themselves, in memory."""

from commandpost.domain.device_key import DeviceKey
from commandpost.domain.errors import StoreUnavailable
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
from commandpost.stores.key_rules import change_key, key_for_registered, mentioned_devices
from commandpost.stores.memory.devices import DeviceFacts
from commandpost.stores.memory.questions import Questions, cut
from commandpost.stores.memory.state import MemoryState


class KeyFacts:
    """Applies the facts about device-level keys to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {AddDeviceKey: self._add, ChangeDeviceKey: self._change, DeleteDeviceKey: self._delete}

    def check_free(self, key: DeviceKey) -> None:
        """Refuse a key whose index is taken.

        Raises:
            StoreUnavailable: it is; keys are random, so nobody can do anything about it but try again.
        """
        if key.index in self._state.key_ring.keys:
            raise StoreUnavailable("a device key with this index is there already")

    def insert(self, key: DeviceKey) -> None:
        """Take a key in."""
        self.check_free(key)
        self._state.key_ring.keys[key.index] = key

    def find_registered(self, device_id: DeviceId) -> DeviceKey | None:
        """Give the key a device was given when it registered itself."""
        return next((key for key in self._state.key_ring.keys.values() if key.registered_device == device_id), None)

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted: its own key goes; what other keys say of it stays."""
        key = self.find_registered(device_id)
        if key is not None:
            del self._state.key_ring.keys[key.index]

    def _add(self, fact: AddDeviceKey) -> NotAdded | None:
        if fact.key.product_id not in self._state.products:
            return NotAdded.PRODUCT_GONE
        added = [
            key
            for key in self._state.key_ring.keys.values()
            if key.product_id == fact.key.product_id and key.registered_device is None
        ]
        if len(added) >= fact.keys_max:
            return NotAdded.FULL
        self.insert(fact.key)
        return None

    def _change(self, fact: ChangeDeviceKey) -> bool:
        key = self._find(fact.product_id, fact.index)
        if key is None:
            return False
        self._state.key_ring.keys[key.index] = change_key(key, fact)
        return True

    def _delete(self, fact: DeleteDeviceKey) -> bool:
        key = self._find(fact.product_id, fact.index)
        if key is None:
            return False
        del self._state.key_ring.keys[key.index]
        return True

    def _find(self, product_id: ProductId, index: bytes) -> DeviceKey | None:
        key = self._state.key_ring.keys.get(index)
        return None if key is None or key.product_id != product_id else key


class RegistrationFacts:
    """Applies the fact that a device registers itself."""

    def __init__(self, state: MemoryState, *, devices: DeviceFacts, keys: KeyFacts) -> None:
        self._state = state
        self._devices = devices
        self._keys = keys

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {RegisterDevice: self._register}

    def _register(self, fact: RegisterDevice) -> SelfRegistered | NotCreated:
        place = fact.device.product_id, fact.device.auth_info
        matches = [
            each
            for _, each in sorted(self._state.devices.items())
            if each.imei is None and (each.product_id, each.auth_info) == place
        ]
        known = matches[0] if matches else None
        if known is not None and known.is_lwm2m:
            return NotCreated.AUTH_INFO_TAKEN
        is_given = known is not None and self._keys.find_registered(known.id) is not None
        if not is_given and fact.device.product_id in self._state.products:
            self._keys.check_free(fact.key)
        device = known or self._devices.create_device(CreateDevice(device=fact.device))
        if isinstance(device, NotCreated):
            return device
        key = self._keys.find_registered(device.id)
        if key is None:
            key = key_for_registered(fact.key, device)
            self._keys.insert(key)
        return SelfRegistered(device=device, key=key, is_new=known is None)


class MemoryKeyReader(Questions):
    """A DeviceKeyReader over a state."""

    async def find_device_key(self, index: bytes) -> DeviceKey | None:
        """Give the key with this index, of any product."""
        return self._state.key_ring.keys.get(index)

    async def list_device_keys(
        self, product_id: ProductId, device_id: DeviceId | None, page: Page
    ) -> tuple[int, tuple[DeviceKey, ...]]:
        """How many keys a product has, and one page of them, oldest first; with a device id, only keys that name it."""
        matches = [
            key
            for key in self._state.key_ring.keys.values()
            if key.product_id == product_id and (device_id is None or device_id in mentioned_devices(key))
        ]
        return len(matches), tuple(cut(matches, page))
