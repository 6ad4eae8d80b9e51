"""Facts about products, keys and devices, in memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from commandpost.domain.device import Device, KeyKind, Product
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
from commandpost.domain.resource import ObjectLinkEntry, listed_objects
from commandpost.domain.session_facts import KeepIdentity, KeepResources
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.device_rules import change_device, change_keys, change_product, claimed_imei
from commandpost.stores.memory.state import MemoryState


class DeviceFacts:
    """Applies the facts about products, keys and devices to a state."""

    def __init__(
        self,
        state: MemoryState,
        *,
        forget: Sequence[Callable[[DeviceId], None]],
        forget_proofs: Callable[[DeviceId], None],
    ) -> None:
        """Take the state, and what removes the things of a deleted device that are not known here.

        Args:
            forget_proofs: removes what a device has proved with keys that are replaced.
        """
        self._state = state
        self._forget = tuple(forget)
        self._forget_proofs = forget_proofs

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
        kinds = [key.kind for key in fact.keys]
        if len(set(kinds)) < len(kinds):
            raise StoreUnavailable("a product has one key of a kind")
        taken = {key.index for key in self._state.keys.values()} | set(self._state.old_keys)
        offered = [key.index for key in fact.keys]
        if fact.product.id in self._state.products or len(set(offered)) < len(offered) or taken & set(offered):
            return None
        product = replace(fact.product, id=fact.product.id or ProductId(self._state.last_product_id + 1))
        self._state.last_product_id = max(self._state.last_product_id, product.id)
        self._state.products[product.id] = product
        for key in fact.keys:
            self._state.keys[product.id, key.kind] = replace(key, product_id=product.id)
        return product

    def _update_product(self, fact: UpdateProduct) -> Product | None:
        before = self._state.products.get(fact.product_id)
        if before is None:
            return None
        after = self._state.products[before.id] = change_product(before, fact.change)
        return after

    def _replace_key(self, fact: ReplaceKey) -> bool:
        place = fact.key.product_id, fact.key.kind
        if fact.key.product_id not in self._state.products:
            return False
        if any(key.index == fact.key.index for at, key in self._state.keys.items() if at != place):
            return False
        old = self._state.old_keys.get(fact.key.index)
        if old is not None and (old.product_id, old.kind) != place:
            return False
        self._retire(place, fact)
        self._state.keys[place] = fact.key
        return True

    def _retire(self, place: tuple[ProductId, KeyKind], fact: ReplaceKey) -> None:
        replaced = self._state.keys.get(place)
        if fact.old_until is None:
            for index in [key.index for key in self._state.old_keys.values() if (key.product_id, key.kind) == place]:
                del self._state.old_keys[index]
        elif replaced is not None and replaced.index != fact.key.index:
            self._state.old_keys[replaced.index] = replace(replaced, expires_at=fact.old_until)
        self._state.old_keys.pop(fact.key.index, None)

    def _prune_old_keys(self, fact: PruneOldKeys) -> Swept:
        due = sorted((key.expires_at or 0, key.index) for key in self._state.old_keys.values())
        due = [(at, index) for at, index in due if at < fact.expired_before][: fact.limit]
        for _, index in due:
            del self._state.old_keys[index]
        return Swept(count=len(due), has_more=len(due) >= fact.limit)

    def create_device(self, fact: CreateDevice) -> Device | NotCreated:
        """Apply a CreateDevice; for a device that registers itself, too."""
        device = fact.device
        if device.product_id not in self._state.products:
            return NotCreated.PRODUCT_GONE
        if device.imei is not None and any(other.imei == device.imei for other in self._state.devices.values()):
            return NotCreated.IMEI_TAKEN
        if self._is_auth_info_taken(device):
            return NotCreated.AUTH_INFO_TAKEN
        if self._is_psk_identity_taken(device) or self._is_imei_claimed(device):
            return NotCreated.PSK_IDENTITY_TAKEN
        if device.id in self._state.devices:
            raise StoreUnavailable(f"device {device.id} is there already")
        device_id = device.id or DeviceId(self._state.last_device_id + 1)
        if device_id > DEVICE_ID_MAX:
            return NotCreated.FULL
        created = replace(device, id=device_id)
        self._state.last_device_id = max(self._state.last_device_id, device_id)
        self._state.devices[device_id] = created
        return created

    def _update_device(self, fact: UpdateDevice) -> Device | NotUpdated:
        before = self._state.devices.get(fact.device_id)
        if before is None or before.product_id != fact.product_id:
            return NotUpdated.DEVICE_GONE
        after = change_device(before, fact.change, at=fact.at)
        if after.auth_info != before.auth_info and self._is_auth_info_taken(after):
            return NotUpdated.AUTH_INFO_TAKEN
        self._state.devices[after.id] = after
        return after

    def _change_keys(self, fact: ChangeDeviceKeys) -> Device | KeysNotChanged:
        before = self._state.devices.get(fact.device_id)
        if before is None or before.product_id != fact.product_id:
            return KeysNotChanged.DEVICE_GONE
        after = change_keys(before, fact)
        if self._is_psk_identity_taken(after):
            return KeysNotChanged.PSK_IDENTITY_TAKEN
        self._state.devices[after.id] = after
        self._forget_proofs(fact.device_id)
        return after

    def _is_auth_info_taken(self, device: Device) -> bool:
        return device.imei is None and any(
            other.imei is None and other.product_id == device.product_id and other.auth_info == device.auth_info
            for other in self._state.devices.values()
            if other.id != device.id
        )

    def _is_psk_identity_taken(self, device: Device) -> bool:
        identity = device.psk_identity
        return identity is not None and any(
            identity == other.psk_identity or claimed_imei(identity) == other.imei
            for other in self._state.devices.values()
            if other.id != device.id
        )

    def _is_imei_claimed(self, device: Device) -> bool:
        claimed = (claimed_imei(each.psk_identity) for each in self._state.devices.values() if each.psk_identity)
        return device.imei is not None and device.imei in claimed

    def _delete_device(self, fact: DeleteDevice) -> bool:
        device = self._state.devices.get(fact.device_id)
        if device is None or device.product_id != fact.product_id:
            return False
        for command in [each for each in self._state.commands.values() if each.device_id == fact.device_id]:
            self._state.delete_command(command)
        self._state.resources.pop(fact.device_id, None)
        self._state.sessions.pop(fact.device_id, None)
        del self._state.devices[fact.device_id]
        for forget in self._forget:
            forget(fact.device_id)
        return True

    def follow_list(self, device_id: DeviceId, links: Iterable[ObjectLinkEntry]) -> None:
        """Let what is known of a device's objects be what it lists."""
        known = self._state.resources.get(device_id, {})
        listed = listed_objects(links, known.values())
        self._state.resources[device_id] = {discovered.object_id: discovered for discovered in listed}

    def _keep_resources(self, fact: KeepResources) -> None:
        if fact.device_id not in self._state.devices:
            return
        known = self._state.resources.setdefault(fact.device_id, {})
        for discovered in fact.objects:
            known[discovered.object_id] = discovered

    def _keep_identity(self, fact: KeepIdentity) -> None:
        device = self._state.devices.get(fact.device_id)
        if device is not None:
            self._state.devices[device.id] = replace(device, manufacturer=fact.manufacturer, model=fact.model)
