"""What owners say of products and devices, and what they are shown."""

import asyncio
from collections.abc import Coroutine, Sequence

import pytest

from commandpost.domain.command import CommandState, DeliveryPolicy, Trigger
from commandpost.domain.device import (
    DeviceChange,
    DeviceFilter,
    ImeiRule,
    KeyKind,
    Product,
    ProductChange,
)
from commandpost.domain.errors import Invalid, NotFound, NotWaiting, QueueFull, Taken
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Discover
from commandpost.domain.ports import Page
from commandpost.domain.resource import ResourcePath
from commandpost.services.commands import CachedRequest
from commandpost.services.devices import NewDevice
from commandpost.services.products import ProductSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMEI, IMSI, House, execute, house_with_device

PAGE = Page(number=1, size=10)


@on_event_loop
async def test_product_has_two_keys_from_its_creation() -> None:
    """Design 10.1; sealed at rest, shown when asked."""
    house = House()
    created = await house.do(house.products.create(name="one", master_key="given by hand"))

    assert created.keys.master_key == "given by hand"
    assert await house.do(house.products.keyring.show(created.product.id)) == created.keys
    stored = await house.store.get_key(created.product.id, KeyKind.MASTER)
    assert stored is not None
    assert b"given by hand" not in stored.sealed + stored.index


async def whose(house: House, key: str) -> Product | None:
    """Whose MasterKey it is."""
    shown = key.encode("utf-8", "surrogatepass")
    found = await house.do(house.products.keyring.find_by_master_key(shown, house.box.index(shown)))
    return None if found is None else found.product


@on_event_loop
async def test_only_the_master_key_is_found_as_one() -> None:
    """What a credential opens is the authenticator's word (test_access)."""
    house = House()
    one = await house.do(house.products.create(name="one"))
    two = await house.do(house.products.create(name="two"))

    assert [await whose(house, each.keys.master_key) for each in (one, two)] == [one.product, two.product]
    assert one.keys.register_code is not None
    for wrong in (one.keys.access_key, one.keys.register_code, "nonsense", "x" * 10_000, "\ud800"):
        assert await whose(house, wrong) is None


@on_event_loop
async def test_rotated_key_is_void_at_once_and_changes_are_seen() -> None:
    house = House()
    one = await house.do(house.products.create(name="one"))
    seen = house.products.changes

    changed = await house.do(house.products.change(one.product.id, ProductChange(name="uno")))
    assert await whose(house, one.keys.master_key) == changed
    new = await house.do(house.products.keyring.rotate(one.product.id, KeyKind.MASTER))

    assert await whose(house, new) == changed
    assert await whose(house, one.keys.master_key) is None
    assert house.products.changes == seen + 2


@on_event_loop
async def test_product_that_cannot_be() -> None:
    house = House()
    one = await house.do(house.products.create(name="one", product_id=ProductId(7), master_key="the same key"))

    with pytest.raises(Taken):
        await house.do(house.products.create(name="two", product_id=one.product.id))
    with pytest.raises(Taken):
        await house.do(house.products.create(name="two", master_key="the same key"))
    for name, key in (("", None), ("x" * 65, None), ("two", "short")):
        with pytest.raises(Invalid):
            await house.do(house.products.create(name=name, master_key=key))
    with pytest.raises(NotFound):
        await house.do(house.products.get(ProductId(8)))
    with pytest.raises(NotFound):
        await house.do(house.products.keyring.rotate(ProductId(8), KeyKind.ACCESS))
    assert await house.do(house.products.list()) == (one.product,)


def a_device(
    *,
    imei: str | None = IMEI,
    imsi: str | None = IMSI,
    title: str = "d",
    protocol: str = "LwM2M",
    auth_code: str | None = None,
    psk: str | None = None,
) -> NewDevice:
    return NewDevice(
        protocol=protocol,
        title=title,
        auth_info=f'{{"{imei}":"{imsi}"}}',
        imei=imei,
        imsi=imsi,
        auth_code=auth_code,
        psk=psk,
    )


@on_event_loop
async def test_device_that_cannot_be() -> None:
    """NB 3.1; the error names the field."""
    house = House()
    product = await house.add_product()
    strict = await house.add_product("strict", ProductSettings(imei_rule=ImeiRule.STRICT))
    wrong = [
        (product, a_device(imei="86 0"), "auth_info"),
        (product, a_device(imei="8" * 18), "auth_info"),
        (product, a_device(imei=None), "auth_info"),
        (product, a_device(imei="٣" * 15), "auth_info"),
        (product, a_device(imsi="4" * 17), "auth_info"),
        (strict, a_device(imei="86000000000000A"), "auth_info"),
        (strict, a_device(imsi="060000000000001"), "auth_info"),
        (product, a_device(auth_code="a" * 17), "auth_code"),
        (product, a_device(auth_code=""), "auth_code"),
        (product, a_device(psk="short"), "psk"),
        (product, a_device(protocol="CARRIER PIGEON"), "protocol"),
        (product, a_device(title=""), "title"),
    ]
    for owner, new, field in wrong:
        with pytest.raises(Invalid) as raised:
            await house.do(house.devices.create(owner, new))
        assert raised.value.field == field


@on_event_loop
async def test_imei_is_taken_platform_wide() -> None:
    """P12's exception."""
    house, product, _ = await house_with_device(is_registered=False)
    other = await house.add_product("other")

    for owner in (product, other):
        with pytest.raises(Taken) as raised:
            await house.do(house.devices.create(owner, a_device()))
        assert (raised.value.kind, raised.value.key) == ("auth_info", IMEI)


@on_event_loop
async def test_other_products_device_does_not_exist() -> None:
    """P12."""
    house, product, device = await house_with_device()
    other = await house.add_product("other")
    command = await house.submit(product, device, execute(1))

    for work in (
        house.devices.get(other, device.id),
        house.devices.get_by_imei(other, IMEI),
        house.devices.find_lwm2m(other, IMEI),
        house.devices.change(other, device.id, DeviceChange(title="mine")),
        house.devices.remove(other, device.id),
        house.commands.find(other, command.id),
        house.commands.get(other, device, command.id),
        house.commands.cancel(other, device, command.id),
        house.commands.cancel_all(other, device),
        house.commands.history(other, device, start=Instant(0), end=None, page=PAGE),
    ):
        with pytest.raises(NotFound):
            await house.do(work)
    assert await house.do(house.devices.statuses(other, [device.id])) == ()
    assert (await house.look(product, command)).command.state is CommandState.WAITING


@on_event_loop
async def test_endpoint_name_is_cut_at_its_semicolon() -> None:
    house, product, device = await house_with_device()

    assert (await house.do(house.devices.find_lwm2m(product, f"{IMEI};{IMSI}"))).id == device.id
    for unknown in ("", ";", "860000000000009"):
        with pytest.raises(NotFound):
            await house.do(house.devices.find_lwm2m(product, unknown))


@on_event_loop
async def test_secrets_of_a_device_are_sealed() -> None:
    house = House()
    product = await house.add_product()

    device = await house.do(house.devices.create(product, a_device(auth_code="code12", psk="psk45678")))

    assert device.sealed_auth_code == house.box.seal(b"code12")
    assert device.sealed_psk == house.box.seal(b"psk45678")


@on_event_loop
async def test_changed_imsi_leaves_its_trace() -> None:
    house, product, device = await house_with_device()
    change = DeviceChange(title="new", imsi="460000000000077")

    changed = await house.do(house.devices.change(product, device.id, change))

    assert (changed.title, changed.imsi, changed.imsi_old) == ("new", "460000000000077", (IMSI,))
    assert changed.imsi_changed_at == house.clock.wall_ms()
    assert changed.imei == IMEI


@on_event_loop
async def test_statuses_keep_the_order_asked_for() -> None:
    house, product, first = await house_with_device()
    second = await house.add_device(product, imei="860000000000002")

    views = await house.do(house.devices.statuses(product, [second.id, DeviceId(99), first.id, second.id]))

    assert [(view.device.id, view.is_online) for view in views] == [(second.id, False), (first.id, True)]
    assert await house.do(house.devices.statuses(product, [])) == ()


@on_event_loop
async def test_list_shows_online_as_it_is_now() -> None:
    """A session in memory knows better than the last sweep."""
    house, product, device = await house_with_device(is_registered=False)
    await house.register(device, lifetime_s=60)
    await house.advance(30)
    await house.notify(device)
    total, views = await house.do(house.devices.list(product, DeviceFilter(), PAGE))
    assert (total, [view.is_online for view in views]) == (1, [True])

    await house.advance(30)
    _, views = await house.do(house.devices.list(product, DeviceFilter(), PAGE))
    assert [view.is_online for view in views] == [False]


# --- commands --------------------------------------------------------------------------------------------------------


@on_event_loop
async def test_eleventh_waiting_command_is_refused() -> None:
    """NB 1.6: nothing is evicted."""
    house, product, device = await house_with_device()
    for number in range(10):
        await house.submit(product, device, execute(number))

    with pytest.raises(QueueFull):
        await house.submit(product, device, execute(10))


@on_event_loop
async def test_window_of_a_command() -> None:
    """Design 10.4: a valid_time in the past counts as now."""
    house, product, device = await house_with_device()

    command = await house.submit(product, device, execute(1), valid_in_ms=-5_000)
    assert command.valid_from == house.clock.wall_ms()
    for valid_in_ms, expires_in_ms in ((0, 0), (0, -1), (5_000, 5_000), (-10_000, -5_000)):
        with pytest.raises(Invalid) as raised:
            await house.submit(product, device, execute(1), valid_in_ms=valid_in_ms, expires_in_ms=expires_in_ms)
        assert raised.value.field == "expired_time"


@on_event_loop
async def test_only_what_can_wait_is_cached() -> None:
    house, product, device = await house_with_device()
    request = CachedRequest(
        operation=Discover(path=ResourcePath(object_id=3)),
        expires_at=Instant(house.clock.wall_ms() + 1_000),
        retry=0,
        answer_timeout_ms=5_000,
        triggers=Trigger.UPDATE,
    )
    with pytest.raises(Invalid):
        await house.do(house.commands.submit(product, device, request))


@on_event_loop
async def test_policy_of_an_execute_is_the_products_unless_the_caller_says() -> None:
    house = House()
    settings = ProductSettings(execute_delivery=DeliveryPolicy.AT_MOST_ONCE)
    product = await house.add_product(settings=settings)
    device = await house.add_device(product)

    default = await house.submit(product, device, execute(1))
    said = await house.submit(product, device, execute(1), delivery=DeliveryPolicy.AT_LEAST_ONCE)

    assert default.delivery is DeliveryPolicy.AT_MOST_ONCE
    assert said.delivery is DeliveryPolicy.AT_LEAST_ONCE


@on_event_loop
async def test_reader_sees_expired_at_the_very_instant() -> None:
    """P6: before any sweep."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), expires_in_ms=1_000)
    await house.advance(1)

    assert (await house.look(product, command)).command.state is CommandState.EXPIRED
    total, (listed,) = await house.do(house.commands.history(product, device, start=Instant(0), end=None, page=PAGE))
    assert (total, listed.state) == (1, CommandState.EXPIRED)
    (recent,) = await house.do(house.commands.list_recent(product, before_seq=None, limit=5))
    assert recent.state is CommandState.EXPIRED
    with pytest.raises(NotWaiting) as raised:
        await house.do(house.commands.cancel(product, device, command.id))
    assert raised.value.state is CommandState.EXPIRED


@on_event_loop
async def test_cancel_takes_back_what_waits_only() -> None:
    house, product, device = await house_with_device()
    sent = await house.submit(product, device, execute(1))
    waiting = await house.submit(product, device, execute(2))
    third = await house.submit(product, device, execute(3))
    await house.update(device)

    with pytest.raises(NotWaiting):
        await house.do(house.commands.cancel(product, device, sent.id))
    with pytest.raises(NotFound):
        await house.do(house.commands.cancel(product, device, CommandId(bytes(16))))
    cancelled = await house.do(house.commands.cancel(product, device, waiting.id))
    assert cancelled.state is CommandState.CANCELLED
    assert [command.id for command in await house.do(house.commands.cancel_all(product, device))] == [third.id]


@on_event_loop
async def test_command_for_a_device_that_was_deleted_meanwhile() -> None:
    house, product, device = await house_with_device()
    await house.do(house.devices.remove(product, device.id))

    with pytest.raises(NotFound):
        await house.submit(product, device, execute(1))


@on_event_loop
async def test_command_of_another_device_is_not_this_ones() -> None:
    house, product, device = await house_with_device()
    other = await house.add_device(product, imei="860000000000002")
    command = await house.submit(product, device, execute(1))

    with pytest.raises(NotFound):
        await house.do(house.commands.get(product, other, command.id))
    with pytest.raises(NotFound):
        await house.do(house.commands.cancel(product, other, command.id))


@on_event_loop
async def test_of_changes_at_once_to_one_auth_info_one_is_taken() -> None:
    """It is what an EDP device logs in with: two that had it would be one to the platform."""
    house = House()
    product = await house.add_product()
    devices = [
        await house.do(house.devices.create(product, NewDevice(protocol="EDP", title="e", auth_info=f'"sn-{number}"')))
        for number in range(3)
    ]

    changes = [house.devices.change(product, each.id, DeviceChange(auth_info='"one"')) for each in devices]
    ends = await house.do(_ends_of(changes))

    assert [isinstance(end, Taken) for end in ends] == [False, True, True]


async def _ends_of(changes: Sequence[Coroutine[object, object, object]]) -> list[object]:
    return await asyncio.gather(*changes, return_exceptions=True)
