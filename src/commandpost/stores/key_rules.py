"""Rules about device-level keys that every store applies."""

from dataclasses import replace

from commandpost.domain.device import Device
from commandpost.domain.device_key import DeviceKey, KeyResource
from commandpost.domain.ids import DeviceId
from commandpost.domain.key_facts import ChangeDeviceKey


def mentioned_devices(key: DeviceKey) -> frozenset[DeviceId]:
    """Give the devices a key names; one that opens every device names none by that."""
    return frozenset(
        resource.device_id
        for permission in key.permissions
        for resource in permission.resources
        if resource.device_id is not None
    )


def change_key(before: DeviceKey, fact: ChangeDeviceKey) -> DeviceKey:
    """Give the key with what is named; what is not named stays."""
    return replace(
        before,
        title=before.title if fact.title is None else fact.title,
        permissions=before.permissions if fact.permissions is None else fact.permissions,
    )


def key_for_registered(key: DeviceKey, device: Device) -> DeviceKey:
    """Give the key of a device that registered itself: it opens this device where it names nothing."""
    own = (KeyResource(device_id=device.id),)
    return replace(
        key,
        product_id=device.product_id,
        registered_device=device.id,
        permissions=tuple(replace(permission, resources=permission.resources or own) for permission in key.permissions),
    )
