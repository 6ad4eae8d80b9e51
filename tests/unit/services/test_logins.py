"""Who may log in: every wrong login is refused alike. Source: southbound reference 5.1, 6.3, 8."""

import pytest

from commandpost.domain.command import Transport
from commandpost.domain.device import Device, Product
from commandpost.domain.errors import Unauthenticated
from commandpost.domain.ids import ProductId
from commandpost.domain.proof import Proof, ProofKind
from commandpost.services.devices import NewDevice
from commandpost.services.logins import SECRET_BYTES_MAX, Login, LoginRefusal, Logins, is_auth_info_right
from tests.event_loop import on_event_loop
from tests.unit.services.payload_house import PayloadHouse

BY_KEY = Proof(kind=ProofKind.MASTER_KEY, fingerprint=b"of a key")
KEY, TOKEN = "a key", "version=2018-10-31&res=products%2F1"


class FakeKeyring:
    """One key and one token, which open every device of one product."""

    def __init__(self) -> None:
        self.product_id: ProductId | None = None
        self.asked: list[tuple[str | None, str | None]] = []
        self.is_broken = False

    async def prove(
        self, *, api_key: str | None, token: str | None, product_id: ProductId, device: Device
    ) -> Proof | None:
        self.asked.append((api_key, token))
        if self.is_broken:
            raise Unauthenticated(is_missing=False)
        is_right = (product_id == self.product_id and api_key == KEY) or token == TOKEN
        return BY_KEY if is_right else None


def _device_of(found: Login | LoginRefusal) -> Device | LoginRefusal:
    return found.device if isinstance(found, Login) else found


class LoginBench:
    """Two products, and a device of each protocol in the first."""

    def __init__(self) -> None:
        self.house = PayloadHouse()
        self.keyring = FakeKeyring()
        self.logins = Logins(reader=self.house.store, keyring=self.keyring)

    async def furnish(self) -> tuple[Product, Device, Device]:
        product, mqtt = await self.house.add_product_with_device("MQTT")
        self.keyring.product_id = product.id
        new = NewDevice(protocol="EDP", title="e", auth_info='"secret-of-e"')
        return product, mqtt, await self.house.do(self.house.devices.create(product, new))

    async def by_password(
        self, device_id: object, product_id: object, password: bytes, transport: Transport = Transport.MQTT
    ) -> Device | LoginRefusal:
        login = self.logins.by_password(
            transport, device_id=str(device_id), product_id=str(product_id), password=password
        )
        return _device_of(await self.house.do(login))

    async def by_key(self, device_id: object, key: bytes) -> Device | LoginRefusal:
        return _device_of(await self.house.do(self.logins.by_key(Transport.EDP, device_id=str(device_id), key=key)))

    async def by_auth_info(self, product_id: object, auth_info: bytes) -> Device | LoginRefusal:
        login = self.logins.by_auth_info(Transport.EDP, product_id=str(product_id), auth_info=auth_info)
        return _device_of(await self.house.do(login))


@on_event_loop
async def test_a_device_logs_in_with_its_secret_a_key_or_a_token() -> None:
    """Southbound reference 5.1, 5.5."""
    bench = LoginBench()
    product, mqtt, _ = await bench.furnish()
    found = [await bench.by_password(mqtt.id, product.id, each) for each in (b"secret-of-m", b"a key", TOKEN.encode())]

    assert found == [mqtt] * 3
    assert bench.keyring.asked == [(KEY, None), (None, TOKEN)]


@on_event_loop
async def test_every_wrong_login_looks_the_same() -> None:
    """So that device ids cannot be told from one another by trying."""
    bench = LoginBench()
    product, mqtt, edp = await bench.furnish()
    other = (await bench.house.do(bench.house.products.create(name="other"))).product
    right = b"secret-of-m"
    wrong = [
        (mqtt.id, product.id, b"wrong"),
        (mqtt.id, product.id, b""),
        (mqtt.id, product.id, b"secret-of-e"),
        (mqtt.id, product.id, b'"secret-of-m"'),
        (mqtt.id, product.id, right + b"\x00"),
        (mqtt.id, product.id, b"\xff\xfe"),
        (mqtt.id, product.id, right * SECRET_BYTES_MAX),
        (mqtt.id, other.id, right),
        (mqtt.id, other.id, b"a key"),
        (mqtt.id, "", right),
        (mqtt.id, "one", right),
        (mqtt.id, "9" * 30, right),
        (edp.id, product.id, b"secret-of-e"),
        (mqtt.id + 1_000, product.id, right),
        (0, product.id, right),
        (-1, product.id, right),
        ("", product.id, right),
        ("9" * 30, product.id, right),
        (f" {mqtt.id}", product.id, right),
        ("\u0661", product.id, right),
    ]

    assert {await bench.by_password(*each) for each in wrong} == {LoginRefusal.UNKNOWN}


@on_event_loop
async def test_a_token_that_opens_nothing_is_told_apart() -> None:
    """CONNACK 5, southbound reference 5.1: whoever has a token knows the device."""
    bench = LoginBench()
    product, mqtt, _ = await bench.furnish()

    assert await bench.by_password(mqtt.id, product.id, b"version=1&x") is LoginRefusal.TOKEN
    assert await bench.by_password(mqtt.id + 1_000, product.id, b"version=1&x") is LoginRefusal.UNKNOWN


@on_event_loop
async def test_a_keyring_that_refuses_lets_nobody_in() -> None:
    bench = LoginBench()
    product, mqtt, _ = await bench.furnish()
    bench.keyring.is_broken = True

    assert await bench.by_password(mqtt.id, product.id, b"a key") is LoginRefusal.UNKNOWN


@on_event_loop
async def test_edp_form_1_takes_a_key_and_never_the_secret() -> None:
    """Device id and api-key."""
    bench = LoginBench()
    _, mqtt, edp = await bench.furnish()
    found = [
        await bench.by_key(edp.id, b"a key"),
        await bench.by_key(edp.id, b"secret-of-e"),
        await bench.by_key(mqtt.id, b"a key"),
        await bench.by_key("", b"a key"),
        await bench.by_key(edp.id, KEY.encode() * SECRET_BYTES_MAX),
    ]

    assert found == [edp, *[LoginRefusal.UNKNOWN] * 4]


@on_event_loop
async def test_edp_form_2_finds_the_device_by_its_secret() -> None:
    """Product id and auth_info; a key is no auth_info."""
    bench = LoginBench()
    product, _, edp = await bench.furnish()
    other = (await bench.house.do(bench.house.products.create(name="other"))).product
    found = [
        await bench.by_auth_info(product.id, b"secret-of-e"),
        await bench.by_auth_info(product.id, b"secret-of-m"),
        await bench.by_auth_info(product.id, b"a key"),
        await bench.by_auth_info(product.id, b""),
        await bench.by_auth_info(product.id, b"\xff"),
        await bench.by_auth_info(other.id, b"secret-of-e"),
        await bench.by_auth_info("", b"secret-of-e"),
    ]

    assert found == [edp, *[LoginRefusal.UNKNOWN] * 6]


@on_event_loop
async def test_a_secret_that_is_an_imei_of_another_device_still_lets_its_device_in() -> None:
    """The LwM2M device was there first, and has no secret of its own."""
    bench = LoginBench()
    product, _, _ = await bench.furnish()
    imei = "860000000000001"
    lwm2m = NewDevice(protocol="LWM2M", title="l", auth_info=f'{{"{imei}":"46"}}', imei=imei, imsi="46")
    await bench.house.do(bench.house.devices.create(product, lwm2m))
    edp = NewDevice(protocol="EDP", title="e", auth_info=f'"{imei}"')
    device = await bench.house.do(bench.house.devices.create(product, edp))

    assert await bench.by_auth_info(product.id, imei.encode()) == device


@on_event_loop
async def test_a_login_by_secret_alone_looks_at_no_list_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may try, so what it costs must not grow with the product."""
    bench = LoginBench()
    product, _, edp = await bench.furnish()
    monkeypatch.setattr(bench.house.store, "list_devices", None)

    assert await bench.by_auth_info(product.id, b"secret-of-e") == edp
    assert await bench.by_auth_info(product.id, b"wrong") is LoginRefusal.UNKNOWN


@on_event_loop
async def test_an_auth_info_that_is_an_object_may_be_written_with_other_spaces() -> None:
    """Southbound reference 8; another value is another secret."""
    bench = LoginBench()
    product, _, _ = await bench.furnish()
    new = NewDevice(protocol="EDP", title="json", auth_info='{"mac":"FF","n":1}')
    device = await bench.house.do(bench.house.devices.create(product, new))
    shown = [b'{"mac":"FF","n":1}', b'{ "mac": "FF", "n": 1 }', b'{"mac":"FE","n":1}', b'{"mac":"FF"', b"{" * 2_000]

    assert [await bench.by_auth_info(product.id, each) for each in shown] == [
        device,
        device,
        *[LoginRefusal.UNKNOWN] * 3,
    ]


@pytest.mark.parametrize(
    ("stored", "shown", "is_right"),
    [
        ('"abc"', b"abc", True),
        ('"abc"', b'"abc"', False),
        ('""', b"", False),
        ('"\\u4e2d"', "中".encode(), True),
        ('"\\ud800"', b"x", False),
        ('{"a":1}', b'{"a":1}', True),
        ('{"a":1}', b'{"a": 1}', True),
        ('{"a":1}', b"\xff", False),
        ("no json", b"no json", False),
    ],
)
def test_a_secret_is_compared_as_it_was_stored(stored: str, shown: bytes, is_right: bool) -> None:
    """A string by its bytes, an object by its text or its value; nothing is ever raised."""
    assert is_auth_info_right(stored, shown) is is_right
