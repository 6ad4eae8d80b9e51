"""Who may be bootstrapped, and what he is told: southbound reference 1.2, 1.3 and 4."""

import pytest

from commandpost.domain.device import Device, DeviceSecurity, KeyLabel, Product, ProductChange
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import PeerIdentity, Remote
from commandpost.services.bootstraps import BootstrapGrant, Bootstraps, BootstrapSettings
from commandpost.services.identities import GivenKeys
from commandpost.services.products import ProductSettings
from commandpost.services.sessions import SessionRefusal
from tests.event_loop import on_event_loop
from tests.unit.services.house import HERE, IMEI, IMSI, House

NAME = f"{IMEI};{IMSI}"
URI = "coap://192.0.2.1:5683"
SECURE_URI = "coaps://192.0.2.1:5684"
SECURE = Remote(b"192.0.2.7:dtls")
FORBIDDEN = SessionRefusal.FORBIDDEN


class Office:
    """Bootstraps over a house with one device."""

    def __init__(self, house: House, product: Product, device: Device, settings: BootstrapSettings) -> None:
        self.house = house
        self.product = product
        self.device = device
        self.bootstraps = Bootstraps(
            reader=house.store,
            identities=house.identities,
            secrets=house.box,
            events=house.events,
            settings=settings,
            identify=house.proven.get,
        )

    async def ask(
        self, name: str | None = NAME, *, auth_code: bytes | None = None, remote: Remote = HERE
    ) -> BootstrapGrant | SessionRefusal:
        return await self.house.do(self.bootstraps.grant(name, auth_code, remote))

    def prove(self, label: KeyLabel = KeyLabel.ACCESS, device_id: DeviceId | None = None) -> None:
        self.house.proven[SECURE] = PeerIdentity(device_id=device_id or self.device.id, label=label)


async def office(
    security: DeviceSecurity = DeviceSecurity.MIXED,
    *,
    auth_code: str | None = None,
    settings: BootstrapSettings | None = None,
) -> Office:
    house = House()
    product = await house.add_product(settings=ProductSettings(device_security=security))
    device = await house.add_device(product, auth_code=auth_code)
    return Office(house, product, device, settings or BootstrapSettings(uri=URI, secure_uri=SECURE_URI))


@on_event_loop
async def test_a_device_without_dtls_is_told_where_to_register_and_no_key() -> None:
    """A key never travels unprotected."""
    at = await office()
    await at.house.do(at.house.identities.change(at.device, GivenKeys(psk="psk45678")))

    grant = await at.ask()

    assert grant == BootstrapGrant(device_id=at.device.id, uri=URI)
    assert not grant.is_proven


@pytest.mark.parametrize("label", list(KeyLabel))
@on_event_loop
async def test_a_device_over_dtls_is_told_its_access_key(label: KeyLabel) -> None:
    """Whichever of its keys it came with; the identity is its IMEI, or the one it was given."""
    at = await office(DeviceSecurity.DTLS)
    keys = GivenKeys(psk="psk45678", bootstrap_psk="bskey678", psk_identity="roof")
    await at.house.do(at.house.identities.change(at.device, keys))
    at.prove(label)

    grant = await at.ask(remote=SECURE)

    assert grant == BootstrapGrant(
        device_id=at.device.id,
        uri=SECURE_URI,
        psk_identity=b"roof",
        access_key=b"psk45678",
        bootstrap_key=b"bskey678",
    )
    assert grant.is_proven


@on_event_loop
async def test_a_device_with_a_bootstrap_key_alone_gets_an_access_key() -> None:
    """Made, and kept, so that it can register with it."""
    at = await office()
    await at.house.do(at.house.identities.change(at.device, GivenKeys(bootstrap_psk="bskey678")))
    at.prove(KeyLabel.BOOTSTRAP)

    grant = await at.ask(remote=SECURE)
    _, offered = await at.house.identities.keys_for(IMEI.encode())

    assert isinstance(grant, BootstrapGrant)
    assert offered == (("access", grant.access_key), ("bootstrap", b"bskey678"))


@pytest.mark.parametrize(
    ("name", "auth_code"),
    [
        (f"860000000000009;{IMSI}", b"code12"),
        (f"{IMEI};460000000000009", b"code12"),
        (IMEI, b"code12"),
        ("", b"code12"),
        (NAME, None),
        (NAME, b"code13"),
    ],
)
@on_event_loop
async def test_unknown_and_wrong_look_alike(name: str, auth_code: bytes | None) -> None:
    """4.03 for each of them, and nothing is told of it."""
    at = await office(auth_code="code12")

    assert await at.ask(name, auth_code=auth_code) is FORBIDDEN
    assert isinstance(await at.ask(auth_code=b"code12"), BootstrapGrant)


@pytest.mark.parametrize(
    ("security", "nosec", "dtls"),
    [
        (DeviceSecurity.NOSEC, True, False),
        (DeviceSecurity.NOSEC_AUTH_CODE, False, False),
        (DeviceSecurity.DTLS, False, True),
        (DeviceSecurity.MIXED, True, True),
    ],
)
@on_event_loop
async def test_policy_holds_for_the_bootstrap_too(security: DeviceSecurity, nosec: bool, dtls: bool) -> None:
    """A product for DTLS alone bootstraps nobody without it."""
    at = await office(security)
    at.prove()

    answers = [await at.ask(), await at.ask(remote=SECURE)]

    assert [isinstance(answer, BootstrapGrant) for answer in answers] == [nosec, dtls]


@on_event_loop
async def test_identity_of_another_device_is_told_nothing() -> None:
    """Neither under its name nor under the other's."""
    at = await office()
    other = await at.house.add_device(at.product, imei="860000000000002")
    at.prove(device_id=other.id)

    assert await at.ask(remote=SECURE) is FORBIDDEN


@on_event_loop
async def test_a_name_may_be_left_to_the_identity() -> None:
    """LwM2M 1.1; without DTLS it is 4.00."""
    at = await office()
    at.prove()

    assert isinstance(await at.ask(None, remote=SECURE), BootstrapGrant)
    assert await at.ask(None) is SessionRefusal.BAD_REQUEST


@on_event_loop
async def test_a_product_may_send_its_devices_elsewhere() -> None:
    """Its own URI goes before the server's; an empty one gives it back."""
    at = await office()
    change = ProductChange(bootstrap_uri="coap://192.0.2.99:5683")
    await at.house.do(at.house.products.change(at.product.id, change))
    elsewhere = await at.ask()
    await at.house.do(at.house.products.change(at.product.id, ProductChange(bootstrap_uri="")))

    assert isinstance(elsewhere, BootstrapGrant)
    assert elsewhere.uri == "coap://192.0.2.99:5683"
    assert await at.ask() == BootstrapGrant(device_id=at.device.id, uri=URI)


@on_event_loop
async def test_without_a_uri_nobody_is_bootstrapped_and_the_log_says_what_is_missing() -> None:
    """5.03: the device may try again when the operator has said where."""
    at = await office(settings=BootstrapSettings())

    assert await at.ask() is SessionRefusal.UNAVAILABLE
    assert at.house.events.told[-1] == (
        "bootstrap_without_uri",
        {"device_id": at.device.id, "missing": "lwm2m.bootstrap_uri"},
    )


@pytest.mark.parametrize(
    "uri",
    [
        "coap://192.0.2.1",
        "coap://192.0.2.1:56830",
        "coap://192.0.2.1:568",
        "coap://192.0.2.1:0683",
        "coap://example.net:5683",
        "coap://192.0.2.256:5683",
        "coap://[2001:db8::1]:5683",
        "coaps://192.0.2.1:5684",
        "coap://192.0.2.1:5683/",
        "http://192.0.2.1:5683",
    ],
)
@on_event_loop
async def test_a_uri_that_a_module_would_cut_wrong_is_refused(uri: str) -> None:
    """SB 1.3: it takes seven bytes from the front and five from the end, whatever they are."""
    at = await office()

    with pytest.raises(Invalid, match="bootstrap_uri"):
        await at.house.do(at.house.products.change(at.product.id, ProductChange(bootstrap_uri=uri)))
