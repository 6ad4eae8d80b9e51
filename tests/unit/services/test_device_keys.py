"""Device-level keys: made, shown, changed and removed by their product alone."""

import pytest

from commandpost.domain.device_key import KeyPermission, KeyResource
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Page
from commandpost.services.device_keys import DeviceKeys, TooManyKeys
from tests.event_loop import on_event_loop
from tests.unit.services.test_access import Gate

PAGE = Page(number=1, size=10)


def reading(*device_ids: DeviceId | None, stream_id: str | None = None) -> KeyPermission:
    resources = tuple(KeyResource(device_id=device_id, stream_id=stream_id) for device_id in device_ids)
    return KeyPermission(resources=resources, methods=("get",))


@on_event_loop
async def test_a_key_is_sealed_and_shown_again() -> None:
    """Design 10.1; its text survives any URL."""
    gate = Gate()
    product, device = await gate.furnish()
    gate.house.ids.new_secret = lambda: "ab+/cd+/ef=="  # type: ignore[method-assign]  # base64 with all that is special

    shown = await gate.house.do(gate.keys.create(product, title="k", permissions=[reading(device.id)]))
    total, listed = await gate.house.do(gate.keys.list(product, None, PAGE))

    assert shown.text == "ab-_cd-_ef"
    assert b"ab-_" not in shown.key.sealed + shown.key.index
    assert (total, listed) == (1, (shown,))
    assert await gate.house.do(gate.keys.find(product, shown.text)) == shown


@on_event_loop
async def test_keys_are_listed_by_the_device_they_name() -> None:
    """Oldest first."""
    gate = Gate()
    product, device = await gate.furnish()
    other = await gate.house.add_device(product, imei="860000000000002")
    texts = [await gate.key(product, reading(named)) for named in (device.id, other.id, device.id)]

    total, listed = await gate.house.do(gate.keys.list(product, device.id, PAGE))

    assert (total, [shown.text for shown in listed]) == (2, [texts[0], texts[2]])


@on_event_loop
async def test_a_change_replaces_what_it_names() -> None:
    """Title and permissions each stay when they are not named."""
    gate = Gate()
    product, device = await gate.furnish()
    text = await gate.key(product, reading(device.id))

    await gate.house.do(gate.keys.change(product, text, title="new", permissions=None))
    await gate.house.do(gate.keys.change(product, text, title=None, permissions=[reading(None, stream_id="temp")]))

    shown = await gate.house.do(gate.keys.find(product, text))
    assert shown is not None
    assert (shown.key.title, shown.key.permissions) == ("new", (reading(None, stream_id="temp"),))


@on_event_loop
async def test_another_products_key_does_not_exist() -> None:
    """P12."""
    gate = Gate()
    product, device = await gate.furnish()
    other = await gate.house.add_product("other")
    text = await gate.key(product, reading(device.id))

    assert await gate.house.do(gate.keys.find(other, text)) is None
    for work in (
        gate.keys.change(other, text, title="mine", permissions=None),
        gate.keys.remove(other, text),
        gate.keys.remove(product, "unknown"),
        gate.keys.remove(product, ""),
        gate.keys.remove(product, "x" * 300),
        gate.keys.remove(product, "\ud800"),
    ):
        with pytest.raises(NotFound):
            await gate.house.do(work)
    assert not (await gate.ask(text)).is_master


@on_event_loop
async def test_a_permission_names_devices_of_the_product() -> None:
    """Another product's looks like one that does not exist; nothing is made."""
    gate = Gate()
    product, device = await gate.furnish()
    other = await gate.house.add_product("other")
    theirs = await gate.house.add_device(other, imei="860000000000009")

    for stranger in (theirs.id, DeviceId(999)):
        with pytest.raises(NotFound) as raised:
            await gate.house.do(gate.keys.create(product, title="k", permissions=[reading(device.id, stranger)]))
        assert (raised.value.kind, raised.value.key) == ("device", str(stranger))
    assert await gate.house.do(gate.keys.list(product, None, PAGE)) == (0, ())


@on_event_loop
async def test_keys_that_cannot_be() -> None:
    """The error names the field."""
    gate = Gate()
    product, device = await gate.furnish()
    wrong: list[tuple[str, list[KeyPermission], str]] = [
        ("", [], "title"),
        ("x" * 257, [], "title"),
        ("k", [reading(device.id)] * 101, "permissions"),
        ("k", [reading(*[device.id] * 1001)], "resources"),
        ("k", [KeyPermission(resources=(), methods=("patch",))], "access_methods"),
    ]

    for title, permissions, field in wrong:
        with pytest.raises(Invalid) as raised:
            await gate.house.do(gate.keys.create(product, title=title, permissions=permissions))
        assert raised.value.field == field


@on_event_loop
async def test_a_product_has_so_many_keys_and_no_more() -> None:
    """Refused, none is pushed out."""
    gate = Gate()
    product, _ = await gate.furnish()
    keys = DeviceKeys(
        writer=gate.house.writer,
        reader=gate.house.store,
        key_reader=gate.house.store,
        authenticator=gate.authenticator,
        secrets=gate.house.box,
        ids=gate.house.ids,
        clock=gate.house.clock,
        keys_max=2,
    )
    for _ in range(2):
        await gate.house.do(keys.create(product, title="k", permissions=[]))

    with pytest.raises(TooManyKeys):
        await gate.house.do(keys.create(product, title="k", permissions=[]))
