"""Device-level keys: which devices and streams they open, for which HTTP verbs.

Source: northbound reference 1.4, 9.1.
"""

from dataclasses import dataclass
from typing import Final

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant

ACCESS_METHODS: Final = ("get", "put", "post", "delete")
PERMISSIONS_MAX: Final = 100  # the documents name no number; a body of 64 KiB could hold more than anybody can oversee
KEY_RESOURCES_MAX: Final = 1_000  # of all permissions of one key together
DEVICE_KEYS_MAX: Final = 10_000  # of one product


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResource:
    """What a permission reaches; None: every device of the product, every stream of the device."""

    device_id: DeviceId | None = None
    stream_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPermission:
    """Some resources, and the verbs allowed on them, of ACCESS_METHODS."""

    resources: tuple[KeyResource, ...]
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """A device-level key at rest: sealed, with an HMAC index to find it by."""

    product_id: ProductId
    title: str
    sealed: bytes
    index: bytes
    permissions: tuple[KeyPermission, ...]
    registered_device: DeviceId | None = None
    """The device that registered itself and was given this key (northbound reference 3.9)."""
    created_at: Instant

    def opens(self, device_id: DeviceId, method: str, *, stream_id: str | None = None) -> bool:
        """Tell whether a verb (lower case) is allowed on a device, or on one of its streams."""
        return any(
            method in permission.methods
            and any(
                resource.device_id in (None, device_id) and resource.stream_id in (None, stream_id)
                for resource in permission.resources
            )
            for permission in self.permissions
        )
