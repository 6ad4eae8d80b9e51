"""Devices that a caller names in a device-level key or a trigger: each has to be one of the product."""

from collections.abc import Collection

from commandpost.domain.device import DeviceFilter
from commandpost.domain.errors import NotFound
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Page, StoreReader


async def check_named_devices(reader: StoreReader, product_id: ProductId, named: Collection[DeviceId]) -> None:
    """Look every one of them up in one query; the caller has bounded how many.

    Raises:
        NotFound: the product has no such device; the lowest id of those is named.
    """
    wanted = frozenset(named)
    if not wanted:
        return
    which = DeviceFilter(ids=tuple(wanted))
    _, devices = await reader.list_devices(product_id, which, Page(number=1, size=len(wanted)))
    unknown = wanted - {device.id for device in devices}
    if unknown:
        raise NotFound("device", str(min(unknown)))
