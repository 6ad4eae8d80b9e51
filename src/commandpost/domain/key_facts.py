"""What is written of device-level keys and of devices that register themselves: facts like those of `domain.facts`.

Source: northbound reference 3.9, 9.1.
"""

from dataclasses import dataclass
from enum import Enum

from commandpost.domain.device import Device
from commandpost.domain.device_key import DeviceKey, KeyPermission
from commandpost.domain.facts import Fact, NotCreated
from commandpost.domain.ids import ProductId


class NotAdded(Enum):
    """Why a key was not added."""

    PRODUCT_GONE = "product_gone"
    FULL = "full"
    """The product has its full number of keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDeviceKey(Fact[NotAdded | None]):
    """Take a key in; None when it is."""

    key: DeviceKey
    keys_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDeviceKey(Fact[bool]):
    """Give a key another title, other permissions, or both; None stays. False when the product has no such key."""

    product_id: ProductId
    index: bytes
    title: str | None = None
    permissions: tuple[KeyPermission, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDeviceKey(Fact[bool]):
    """Forget a key; False when the product has no such key."""

    product_id: ProductId
    index: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRegistered:
    """A device that registered itself, and the key it was given: the same at every further registration."""

    device: Device
    key: DeviceKey
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterDevice(Fact[SelfRegistered | NotCreated]):
    """A device registers itself: the device of the product with this auth_info, or else this one, and its key.

    The key's one permission is filled in with the device's id where its resources are empty. An existing device that
    was not registered this way is given the key, too. An LwM2M device is never found.
    """

    device: Device
    key: DeviceKey
