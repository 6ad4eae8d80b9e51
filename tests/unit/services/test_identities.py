"""DTLS identities and pre-shared keys: southbound reference 4.1 and 4.2, northbound reference 3.10."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from commandpost.domain.device import Device, DeviceChange, DeviceSecurity, KeyLabel, Product, ProductChange
from commandpost.domain.errors import Invalid, NotFound, StoreUnavailable, Taken
from commandpost.domain.facts import ChangeDeviceKeys, Fact, UpdateDevice
from commandpost.domain.ids import DeviceId
from commandpost.services.devices import NewDevice
from commandpost.services.identities import GivenKeys, Identities, KeyText, identity_of
from commandpost.services.products import ProductSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMEI, IMSI, House

KEY = "psk45678"
OTHER_IMEI = "860000000000002"


def a_device(
    imei: str = IMEI, *, psk: str | None = KEY, psk_hex: str | None = None, psk_identity: str | None = None
) -> NewDevice:
    return NewDevice(
        protocol="LWM2M",
        title="d",
        auth_info=f'{{"{imei}":"{IMSI}"}}',
        imei=imei,
        imsi=IMSI,
        psk=psk,
        psk_hex=psk_hex,
        psk_identity=psk_identity,
    )


async def furnished(
    new: NewDevice | None = None, security: DeviceSecurity = DeviceSecurity.MIXED
) -> tuple[House, Product, Device]:
    house = House()
    product = await house.add_product(settings=ProductSettings(device_security=security))
    return house, product, await house.do(house.devices.create(product, new or a_device()))


# --- what is offered to a handshake ----------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [IMEI, f"{IMEI};{IMSI}", "meter on the roof"])
@on_event_loop
async def test_a_device_is_known_by_every_form_of_its_identity(identity: str) -> None:
    """SB 4.2: IMEI, endpoint name, and one it was given."""
    house, _, device = await furnished(a_device(psk_identity="meter on the roof"))

    assert await house.identities.keys_for(identity.encode()) == (device.id, (("access", KEY.encode()),))


@pytest.mark.parametrize(
    "identity",
    [
        b"",
        b";",
        b"860000000000009",
        f"{IMEI};460000000000009".encode(),
        IMEI.encode() + b"\xff",
        IMEI.lower().encode()[1:],
    ],
)
@on_event_loop
async def test_an_identity_nobody_has_gives_no_key(identity: bytes) -> None:
    """A wrong IMSI makes the whole of it wrong."""
    house, _, _ = await furnished()

    assert await house.identities.keys_for(identity) == (None, ())


@pytest.mark.parametrize("security", [DeviceSecurity.NOSEC, DeviceSecurity.NOSEC_AUTH_CODE])
@on_event_loop
async def test_a_product_without_dtls_offers_no_key(security: DeviceSecurity) -> None:
    """Its devices look like nobody's."""
    house, _, _ = await furnished(security=security)

    assert await house.identities.keys_for(IMEI.encode()) == (None, ())


@on_event_loop
async def test_the_bootstrap_key_is_offered_beside_the_access_key_once_it_is_set() -> None:
    """Until then the access key opens both."""
    house, _, device = await furnished()
    before = await house.identities.keys_for(IMEI.encode())

    await house.do(house.identities.change(device, GivenKeys(bootstrap_psk="bskey678")))

    assert before == (device.id, (("access", b"psk45678"),))
    assert await house.identities.keys_for(IMEI.encode()) == (
        device.id,
        (("access", b"psk45678"), ("bootstrap", b"bskey678")),
    )


@on_event_loop
async def test_a_device_without_keys_is_found_and_offers_none() -> None:
    """The handshake fails like one with a wrong key."""
    house, _, device = await furnished(a_device(psk=None))

    assert await house.identities.keys_for(IMEI.encode()) == (device.id, ())


@on_event_loop
async def test_work_for_an_unknown_identity_is_the_same_as_for_a_known_one() -> None:
    """As many questions and as many unsealings, in the same order: time must not tell who exists."""
    house, _, _ = await furnished()
    asked: list[str] = []

    class CountingBox:
        def seal(self, secret: bytes) -> bytes:
            return house.box.seal(secret)

        def unseal(self, sealed: bytes) -> bytes:
            asked.append(f"unseal {len(sealed) > 0}")
            return house.box.unseal(sealed)

        def index(self, secret: bytes) -> bytes:
            return house.box.index(secret)

    class CountingReader:
        def __getattr__(self, name: str) -> Callable[..., object]:
            asked.append(name)
            return getattr(house.store, name)  # type: ignore[no-any-return]  # whatever the store's method is

    identities = Identities(
        writer=house.writer,
        reader=CountingReader(),  # type: ignore[arg-type]  # it answers whatever is asked
        secrets=CountingBox(),
        ids=house.ids,
    )
    work = []
    for identity in (IMEI.encode(), b"860000000000009", b"\xff\xfe"):
        asked.clear()
        await identities.keys_for(identity)
        work.append(tuple(asked))

    assert len(work[0]) == 5
    assert len(set(work)) == 1


# --- keys and identities as their owner gives them -------------------------------------------------------------------


@on_event_loop
async def test_keys_are_sealed_at_rest() -> None:
    """What stands in the store is not what was given."""
    house, _, device = await furnished(a_device(psk=None, psk_hex="00ff" * 8))
    await house.do(house.identities.change(device, GivenKeys(bootstrap_psk="bskey678")))

    kept = await house.store.find_device(device.id)

    assert kept is not None
    assert kept.sealed_psk == house.box.seal(bytes.fromhex("00ff" * 8))
    assert kept.sealed_bootstrap_psk == house.box.seal(b"bskey678")


@on_event_loop
async def test_psk_is_its_characters_and_psk_hex_is_its_bytes() -> None:
    """SB 4.2: a `psk` that looks like hexadecimal digits is not decoded."""
    house, product, _ = await furnished(a_device(psk="0011223344556677"))
    await house.do(house.devices.create(product, a_device(OTHER_IMEI, psk=None, psk_hex="0011223344556677")))

    _, first = await house.identities.keys_for(IMEI.encode())
    _, second = await house.identities.keys_for(OTHER_IMEI.encode())

    assert first == (("access", b"0011223344556677"),)
    assert second == (("access", bytes.fromhex("0011223344556677")),)


@on_event_loop
async def test_a_key_is_shown_as_it_can_be_written() -> None:
    """Letters and digits as they are, anything else in hexadecimal, none as none; bootstrap as access until set."""
    house, product, device = await furnished()
    raw = await house.do(house.devices.create(product, a_device(OTHER_IMEI, psk=None, psk_hex="FF" * 16)))
    bare = await house.do(house.devices.create(product, a_device("860000000000003", psk=None)))
    changed = await house.do(house.identities.change(device, GivenKeys(bootstrap_psk="bskey678")))

    shown = [house.identities.access_key(each) for each in (device, raw, bare)]

    assert shown == [KeyText(psk=KEY), KeyText(psk_hex="ff" * 16), KeyText()]
    assert house.identities.bootstrap_key(device) == KeyText(psk=KEY)
    assert house.identities.bootstrap_key(changed) == KeyText(psk="bskey678")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (GivenKeys(psk="short12"), "psk"),
        (GivenKeys(psk="x" * 17), "psk"),
        (GivenKeys(psk="with spc"), "psk"),
        (GivenKeys(bootstrap_psk="schlüssel"), "psk"),
        (GivenKeys(psk_hex="00" * 7), "psk_hex"),
        (GivenKeys(psk_hex="00" * 65), "psk_hex"),
        (GivenKeys(psk_hex="0" * 17), "psk_hex"),
        (GivenKeys(psk_hex="zz" * 8), "psk_hex"),
        (GivenKeys(psk=KEY, psk_hex="00" * 8), "psk and psk_hex"),
        (GivenKeys(psk_identity=""), "psk_identity"),
        (GivenKeys(psk_identity="x" * 129), "psk_identity"),
        (GivenKeys(psk_identity="ü" * 65), "psk_identity"),
        (GivenKeys(psk_identity="a\nb"), "psk_identity"),
    ],
)
@on_event_loop
async def test_what_cannot_be_a_key_is_refused_with_its_field(given: GivenKeys, field: str) -> None:
    """And the error never repeats a key."""
    house, _, device = await furnished()

    with pytest.raises(Invalid) as raised:
        await house.do(house.identities.change(device, given))

    assert raised.value.field == field
    for secret in (given.psk, given.psk_hex, given.bootstrap_psk):
        assert secret is None or secret not in str(raised.value)


@on_event_loop
async def test_an_identity_is_unique_in_the_whole_platform() -> None:
    """Another product's device neither takes it over nor shadows it, by its identity or by its IMEI."""
    house, _, device = await furnished(a_device(psk_identity="roof"))
    other = await house.add_product("other")
    second = await house.do(house.devices.create(other, a_device(OTHER_IMEI)))

    with pytest.raises(Taken):
        await house.do(house.identities.change(second, GivenKeys(psk_identity="roof")))
    with pytest.raises(Taken):
        await house.do(house.devices.create(other, a_device("860000000000003", psk_identity="roof")))
    with pytest.raises(Taken) as raised:
        await house.do(house.devices.create(other, a_device("roof")))

    assert raised.value.kind == "auth_info"
    assert (await house.identities.keys_for(b"roof"))[0] == device.id


@pytest.mark.parametrize("form", ["{}", "{};460000000000001", "{};x"])
@on_event_loop
async def test_an_imei_is_the_identity_of_no_device_but_its_own(form: str) -> None:
    """Whether there is such a device or not: nobody learns which, and nobody keeps the one out that comes later."""
    house, _, device = await furnished()
    other = await house.add_product("other")
    second = await house.do(house.devices.create(other, a_device(OTHER_IMEI)))

    told = set()
    for imei in (IMEI, "860000000009999"):
        identity = form.format(imei)
        with pytest.raises(Invalid) as raised:
            await house.do(house.identities.change(second, GivenKeys(psk_identity=identity)))
        told.add(str(raised.value).replace(imei, ""))
        with pytest.raises(Invalid):
            await house.do(house.devices.create(other, a_device("860000000000003", psk_identity=identity)))

    assert len(told) == 1
    own = await house.do(house.identities.change(device, GivenKeys(psk_identity=form.format(IMEI))))
    assert own.psk_identity == form.format(IMEI)


@on_event_loop
async def test_an_update_of_the_device_leaves_its_keys_alone() -> None:
    """A change that was begun before a key was replaced does not bring the old one back."""
    house, product, device = await furnished()
    await house.do(house.identities.change(device, GivenKeys(psk="newkey78", psk_identity="roof")))

    await house.do(house.devices.change(product, device.id, DeviceChange(title="new")))

    assert await house.identities.keys_for(b"roof") == (device.id, (("access", b"newkey78"),))


@pytest.mark.parametrize("failing", [UpdateDevice, ChangeDeviceKeys, None])
@on_event_loop
async def test_an_update_that_names_a_key_is_done_as_a_whole_or_not_at_all(failing: type[Fact[Device]] | None) -> None:
    """Whatever the store refuses meanwhile: nobody is told of a failure and has another key all the same."""
    house, product, device = await furnished()
    house.writer.failing = set() if failing is None else {failing}
    wanted = DeviceChange(title="new")

    with suppress(StoreUnavailable):
        await house.do(house.devices.change(product, device.id, wanted, GivenKeys(psk="newkey78")))

    changed = await house.devices.find(product, device.id)
    key = house.identities.access_key(changed).psk
    assert (changed.title, key) in (("new", "newkey78"), ("d", KEY))
    assert (key == KEY) == (failing is ChangeDeviceKeys)


@on_event_loop
async def test_a_device_without_dtls_has_no_key_to_change() -> None:
    """And nothing of the update is done."""
    house, product, _ = await furnished()
    meter = await house.do(house.devices.create(product, NewDevice(protocol="MQTT", title="d", auth_info='"sn"')))

    with pytest.raises(Invalid):
        await house.do(house.devices.change(product, meter.id, DeviceChange(title="new"), GivenKeys(psk="newkey78")))

    assert await house.devices.find(product, meter.id) == meter


@on_event_loop
async def test_whoever_listens_is_told_of_changed_keys() -> None:
    """So that what was proved with the old one can be ended."""
    house, _, device = await furnished()
    told: list[DeviceId] = []
    house.identities.listen(told.append)

    await house.do(house.identities.change(device, GivenKeys(psk="newkey78")))
    with pytest.raises(NotFound):
        await house.do(house.identities.change(replace(device, id=DeviceId(99)), GivenKeys(psk="newkey78")))

    assert told == [device.id]


@pytest.mark.parametrize(
    ("security", "psk", "is_made"),
    [
        (DeviceSecurity.DTLS, None, True),
        (DeviceSecurity.DTLS, KEY, False),
        (DeviceSecurity.MIXED, None, False),
    ],
)
@on_event_loop
async def test_a_key_is_made_for_a_device_that_cannot_do_without(
    security: DeviceSecurity, psk: str | None, is_made: bool
) -> None:
    """NB 3.1: for DTLS devices that were created without one; it is one the dialect can write."""
    house, _, device = await furnished(a_device(psk=psk), security)

    key = house.identities.access_key(device).psk

    assert (key is not None and key != KEY) is is_made
    assert not is_made or (key is not None and len(key) == 16 and key.isalnum())


@on_event_loop
async def test_a_psk_identity_is_for_lwm2m_devices() -> None:
    """Others never come over DTLS."""
    house, product, _ = await furnished()

    with pytest.raises(Invalid, match="psk_identity"):
        await house.do(
            house.devices.create(
                product, NewDevice(protocol="MQTT", title="d", auth_info='"sn"', psk_identity="somebody")
            )
        )


@on_event_loop
async def test_a_device_is_told_to_use_its_own_identity_or_its_imei() -> None:
    """SB 4.1: the IMEI unless it was given another."""
    _, _, device = await furnished()

    assert identity_of(device) == IMEI
    assert identity_of(replace(device, psk_identity="roof")) == "roof"


@on_event_loop
async def test_a_product_that_turns_dtls_off_offers_nothing_from_then_on() -> None:
    """The policy is asked at every handshake."""
    house, product, _ = await furnished()

    await house.do(house.products.change(product.id, ProductChange(device_security=DeviceSecurity.NOSEC)))

    assert await house.identities.keys_for(IMEI.encode()) == (None, ())


def test_labels_are_those_of_the_listener() -> None:
    """They are stored with associations."""
    assert [label.value for label in KeyLabel] == ["access", "bootstrap"]
