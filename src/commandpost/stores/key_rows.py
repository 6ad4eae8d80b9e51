"""Row <-> record for device-level keys; their permissions are versioned text like that of stores/record_texts.py."""

from typing import Final

from msgspec import Struct

from commandpost.domain.device_key import DeviceKey, KeyPermission, KeyResource
from commandpost.domain.ids import DeviceId
from commandpost.stores.record_texts import RecordText
from commandpost.stores.rows import Row


class _Resource(Struct, array_like=True, forbid_unknown_fields=True):
    device_id: int | None
    stream_id: str | None


class _Permission(Struct, array_like=True, forbid_unknown_fields=True):
    resources: tuple[_Resource, ...]
    methods: tuple[str, ...]


_Permissions = tuple[_Permission, ...]


def _permissions_to_text(permissions: tuple[KeyPermission, ...]) -> _Permissions:
    return tuple(
        _Permission(
            tuple(_Resource(each.device_id, each.stream_id) for each in permission.resources), permission.methods
        )
        for permission in permissions
    )


def _permissions_from_text(permissions: _Permissions) -> tuple[KeyPermission, ...]:
    return tuple(
        KeyPermission(
            resources=tuple(
                KeyResource(
                    device_id=None if each.device_id is None else DeviceId(each.device_id), stream_id=each.stream_id
                )
                for each in permission.resources
            ),
            methods=permission.methods,
        )
        for permission in permissions
    )


PERMISSIONS: Final = RecordText("permissions", _Permissions, _permissions_to_text, _permissions_from_text)


def device_key_to_row(key: DeviceKey) -> dict[str, object]:
    """Give the columns of a device-level key, by name."""
    return {
        "product_id": key.product_id,
        "title": key.title,
        "sealed": key.sealed,
        "key_index": key.index,
        "permissions": PERMISSIONS.encode(key.permissions),
        "registered_device": key.registered_device,
        "created_at": key.created_at,
    }


def device_key_from_row(row: Row) -> DeviceKey:
    """Read a device-level key: the columns of `device_key_to_row`; what follows them is not looked at."""
    return DeviceKey(
        product_id=row[0],
        title=row[1],
        sealed=row[2],
        index=row[3],
        permissions=PERMISSIONS.decode(row[4]),
        registered_device=row[5],
        created_at=row[6],
    )
