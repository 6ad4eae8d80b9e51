"""Changes that owners make at the same time: each says what is to be different, and none undoes another."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import TypeVar

from commandpost.domain.device import DeviceChange, DeviceSecurity, ProductChange
from commandpost.domain.device_key import KeyPermission, KeyResource
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMSI, House, house_with_device
from tests.unit.services.test_access import Gate

ResultT = TypeVar("ResultT")


async def at_once(changes: Sequence[Coroutine[object, object, ResultT]]) -> list[ResultT]:
    """All of them have read before the first has written."""
    return await asyncio.gather(*changes)


@on_event_loop
async def test_changes_of_a_product_at_once_are_all_kept() -> None:
    """Also the one that makes it safer; whoever is told of both hears last of the product as it is."""
    house = House()
    product = await house.add_product()
    changes = (
        ProductChange(device_security=DeviceSecurity.DTLS),
        ProductChange(name="new"),
        ProductChange(bootstrap_uri="coap://192.0.2.1:5683"),
    )

    answers = await house.do(at_once([house.products.change(product.id, each) for each in changes]))

    expected = replace(product, name="new", device_security=DeviceSecurity.DTLS, bootstrap_uri="coap://192.0.2.1:5683")
    assert await house.do(house.products.get(product.id)) == answers[-1] == expected


@on_event_loop
async def test_changes_of_a_device_at_once_are_all_kept() -> None:
    """Each names what it changes and nothing else."""
    house, product, device = await house_with_device(is_registered=False)
    changes = (
        DeviceChange(title="new"),
        DeviceChange(imsi="460000000000077"),
        DeviceChange(tags=("roof",), is_private=False),
    )

    answers = await house.do(at_once([house.devices.change(product, device.id, each) for each in changes]))

    found = await house.do(house.devices.find(product, device.id))
    assert found == answers[-1]
    assert (found.title, found.imsi, found.imsi_old) == ("new", "460000000000077", (IMSI,))
    assert (found.tags, found.is_private) == (("roof",), False)


@on_event_loop
async def test_a_new_title_of_a_key_brings_no_permission_back_that_is_taken_from_it_at_once() -> None:
    """Whichever of the two is written first."""
    for is_title_first in (True, False):
        gate = Gate()
        product, device = await gate.furnish()
        permission = KeyPermission(resources=(KeyResource(device_id=device.id),), methods=("get",))
        key = await gate.key(product, permission)

        changes = [
            gate.keys.change(product, key, title="new", permissions=None),
            gate.keys.change(product, key, title=None, permissions=()),
        ]
        await gate.house.do(at_once(changes if is_title_first else changes[::-1]))

        shown = await gate.house.do(gate.keys.find(product, key))
        assert shown is not None
        assert (shown.key.title, shown.key.permissions) == ("new", ())
