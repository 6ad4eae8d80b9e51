"""Devices that register themselves with their product's code."""

import pytest

from commandpost.domain.device import DeviceChange, KeyKind, Product
from commandpost.domain.errors import Invalid, Taken, Unauthenticated
from commandpost.services.devices import Devices, NewDevice
from commandpost.services.self_registration import SelfDescription, SelfRegistration
from tests.event_loop import on_event_loop
from tests.unit.services.test_access import Gate

CODE = "code-1"


def registration(gate: Gate) -> SelfRegistration:
    return SelfRegistration(
        writer=gate.house.writer,
        products=gate.house.products,
        secrets=gate.house.box,
        ids=gate.house.ids,
        clock=gate.house.clock,
    )


async def furnished() -> tuple[Gate, SelfRegistration, Product]:
    gate = Gate()
    product, _ = await gate.furnish()
    return gate, registration(gate), product


@on_event_loop
async def test_the_code_is_the_products_from_its_creation() -> None:
    """Shown with its other keys; no other key of it is one."""
    gate, service, product = await furnished()

    assert (await gate.house.do(gate.house.products.keyring.show(product.id))).register_code == CODE
    assert await gate.house.do(service.authenticate(CODE)) == product
    for wrong in ("", "nonsense", "master-key-1", "x" * 300, "\ud800"):
        with pytest.raises(Unauthenticated):
            await gate.house.do(service.authenticate(wrong))
    with pytest.raises(Unauthenticated):  # nor does the code open anything else
        await gate.ask(CODE)


@on_event_loop
async def test_a_new_code_voids_the_old_one() -> None:
    """The same verb makes the first one of a product that has none."""
    gate, service, product = await furnished()
    del gate.house.store.state.keys[product.id, KeyKind.REGISTER]
    assert (await gate.house.do(gate.house.products.keyring.show(product.id))).register_code is None

    first = await gate.house.do(gate.house.products.keyring.rotate(product.id, KeyKind.REGISTER))
    second = await gate.house.do(gate.house.products.keyring.rotate(product.id, KeyKind.REGISTER))

    assert await gate.house.do(service.authenticate(second)) == product
    with pytest.raises(Unauthenticated):
        await gate.house.do(service.authenticate(first))


@pytest.mark.parametrize(
    ("description", "auth_info"),
    [
        (SelfDescription(serial_number="SN-1"), '"SN-1"'),
        (SelfDescription(mac="00:11:22:33:44:55"), '"00:11:22:33:44:55"'),
        (SelfDescription(serial_number='序"列'), '"序\\"列"'),
    ],
)
@on_event_loop
async def test_a_device_gets_an_id_and_a_key_that_opens_it(description: SelfDescription, auth_info: str) -> None:
    """The serial number is what it logs in with; the key has every verb."""
    gate, service, product = await furnished()

    registered = await gate.house.do(service.register(product, description))

    device = registered.device
    assert (device.auth_info, device.title, device.protocol) == (auth_info, "auto_register", "EDP")
    assert (device.product_id, registered.is_new) == (product.id, True)
    access = await gate.ask(registered.key)
    for method in ("get", "put", "post", "delete"):
        access.require_device(device.id, method)


@on_event_loop
async def test_the_same_serial_number_gives_the_same_device_and_key() -> None:
    """Whatever else the device says of itself the next time."""
    gate, service, product = await furnished()
    first = await gate.house.do(service.register(product, SelfDescription(serial_number="1")))

    again = await gate.house.do(service.register(product, SelfDescription(serial_number="1", title="t")))
    by_mac = await gate.house.do(service.register(product, SelfDescription(mac="1", protocol="mqtt")))
    other = await gate.house.do(service.register(product, SelfDescription(serial_number="2", protocol="mqtt")))

    assert (again.device.id, again.key, again.is_new) == (first.device.id, first.key, False)
    assert (by_mac.device.id, by_mac.key) == (first.device.id, first.key)  # one text, one identity
    assert other.device.id != first.device.id
    assert (other.key != first.key, other.device.protocol) == (True, "mqtt")


@on_event_loop
async def test_an_identity_belongs_to_one_device_of_a_product() -> None:
    """Neither a create nor a change gives it to another; the same text in another product is another identity."""
    gate, service, product = await furnished()
    other = await gate.house.add_product("other")
    first = (await gate.house.do(service.register(product, SelfDescription(serial_number="1")))).device
    second = (await gate.house.do(service.register(product, SelfDescription(serial_number="2")))).device
    devices = gate.house.devices

    for work in (
        devices.create(product, NewDevice(protocol="MQTT", title="d", auth_info='"1"')),
        devices.change(product, second.id, DeviceChange(auth_info='"1"')),
    ):
        with pytest.raises(Taken) as raised:
            await gate.house.do(work)
        assert (raised.value.kind, raised.value.key) == ("auth_info", '"1"')
    await gate.house.do(devices.create(other, NewDevice(protocol="MQTT", title="d", auth_info='"1"')))
    for auth_info in ('"1"', '"3"', '{"a":1}'):  # its own again, a free one, an object
        changed = await gate.house.do(devices.change(product, first.id, DeviceChange(auth_info=auth_info)))
        assert changed.auth_info == auth_info


@on_event_loop
async def test_the_key_of_a_registered_device_ends_with_it() -> None:
    """Whoever wants to know of a removal is told."""
    gate, service, product = await furnished()
    devices = Devices(
        writer=gate.house.writer,
        reader=gate.house.store,
        sessions=gate.house.sessions,
        dispatcher=gate.house.dispatcher,
        identities=gate.house.identities,
        secrets=gate.house.box,
        clock=gate.house.clock,
        on_removed=(gate.authenticator.forget_device,),
    )
    registered = await gate.house.do(service.register(product, SelfDescription(serial_number="1")))
    await gate.ask(registered.key)

    await gate.house.do(devices.remove(product, registered.device.id))

    with pytest.raises(Unauthenticated):
        await gate.ask(registered.key)


@pytest.mark.parametrize(
    ("description", "field"),
    [
        (SelfDescription(), "sn and mac"),
        (SelfDescription(serial_number="1", mac="1"), "sn and mac"),
        (SelfDescription(serial_number=""), "sn"),
        (SelfDescription(serial_number="x" * 513), "sn"),
        (SelfDescription(serial_number="a\nb"), "sn"),
        (SelfDescription(mac="x" * 33), "mac"),
        (SelfDescription(mac="1", title="x" * 33), "title"),
        (SelfDescription(mac="1", protocol="LWM2M"), "protocol"),
    ],
)
@on_event_loop
async def test_descriptions_that_cannot_be(description: SelfDescription, field: str) -> None:
    """The error names the field; no device is made."""
    gate, service, product = await furnished()

    with pytest.raises(Invalid) as raised:
        await gate.house.do(service.register(product, description))
    assert raised.value.field == field
    assert len(gate.house.store.state.devices) == 1
