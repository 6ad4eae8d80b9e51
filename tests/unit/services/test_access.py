"""Who is asking: MasterKeys, device-level keys and signed tokens, and what each of them opens."""

import base64
import hmac
from collections.abc import Callable
from urllib.parse import quote

import pytest

from commandpost.domain.device import Device, KeyKind, Product, ProductChange
from commandpost.domain.device_key import ACCESS_METHODS, KeyPermission, KeyResource
from commandpost.domain.errors import Forbidden, Unauthenticated
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.services.access import Access, Authenticator
from commandpost.services.device_keys import DeviceKeys
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMEI, House

ACCESS_KEY = "ZGVtby1hY2Nlc3Mta2V5LTAxMjM0NTY3ODlhYmNkZWY="
ET = 1_700_000_000
SIGNATURES = {
    "md5": "8SHyblqeZcxAuz4P9x7Wbw==",
    "sha1": "8ftZ6mJJ7mKcYqlq6OeToFtG+Io=",
    "sha256": "mEfoFTxET5es1J+BWUo0g8FXz3X6BVnzirGIgMJ/+BA=",
}
BEFORE = Instant(ET * 1000 - 1)
PRODUCT_ID = ProductId(123123)
WHOLE_DEVICE = (KeyResource(device_id=DeviceId(1)),)


class Gate:
    """A house with a product whose access key is that of the vectors."""

    def __init__(self) -> None:
        self.house = House()
        # The second secret that is made for a product is its access key, the third its register code.
        secrets = iter(["master-key-1", ACCESS_KEY, "code-1"])
        made = self.house.ids.new_secret
        self.house.ids.new_secret = lambda: next(secrets, None) or made()  # type: ignore[method-assign]  # for vectors
        self.authenticator = Authenticator(
            products=self.house.products,
            reader=self.house.store,
            key_reader=self.house.store,
            secrets=self.house.box,
            clock=self.house.clock,
        )
        self.keys = DeviceKeys(
            writer=self.house.writer,
            reader=self.house.store,
            key_reader=self.house.store,
            authenticator=self.authenticator,
            secrets=self.house.box,
            ids=self.house.ids,
            clock=self.house.clock,
        )

    async def furnish(self) -> tuple[Product, Device]:
        created = await self.house.do(self.house.products.create(name="one", product_id=PRODUCT_ID))
        return created.product, await self.house.add_device(created.product)

    async def key(self, product: Product, *permissions: KeyPermission) -> str:
        return (await self.house.do(self.keys.create(product, title="k", permissions=permissions))).text

    async def ask(
        self, api_key: str | None = None, authorization: str | None = None, *, now: Instant = BEFORE
    ) -> Access:
        return await self.house.do(self.authenticator.authenticate(api_key, authorization, now))


def token(method: str = "sha256", *, sign: str | None = None, **fields: object) -> str:
    """Write the vectors' token un-encoded, with what a test wants different."""
    shown = {"version": "2018-10-31", "res": "products/123123", "et": ET, "method": method, **fields}
    pairs = [f"{name}={value}" for name, value in shown.items()]
    return "&".join([*pairs, f"sign={SIGNATURES.get(method, '') if sign is None else sign}"])


def encode_values(text: str) -> str:
    """Percent-encode every value in full."""
    pairs = (pair.partition("=") for pair in text.split("&"))
    return "&".join(f"{name}={quote(value, safe='')}" for name, _, value in pairs)


def signed(res: str, *, et: int = ET, key: str = ACCESS_KEY) -> str:
    """Sign as the reference says, for resources it has no vector of."""
    text = f"{et}\nsha1\n{res}\n2018-10-31"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha1")).decode()
    return f"version=2018-10-31&res={quote(res, safe='')}&et={et}&method=sha1&sign={quote(signature, safe='')}"


@on_event_loop
async def test_who_shows_nothing_or_something_wrong() -> None:
    """Missing and wrong are told apart, and nothing else is said."""
    gate = Gate()
    await gate.furnish()

    for nothing in ((None, None), ("", ""), ("", None)):
        with pytest.raises(Unauthenticated) as raised:
            await gate.ask(*nothing)
        assert raised.value.is_missing
    others = (ACCESS_KEY, None), ("code-1", None)  # keys of the product for other things
    for wrong in (("nonsense", None), (None, "nonsense"), ("\ud800", "\ud800"), ("x" * 10_000, "y" * 10_000), *others):
        with pytest.raises(Unauthenticated) as raised:
            await gate.ask(*wrong)
        assert not raised.value.is_missing


@on_event_loop
async def test_master_key_opens_everything_of_its_product() -> None:
    """Any device, any verb, any stream."""
    gate = Gate()
    product, device = await gate.furnish()

    access = await gate.ask("master-key-1")

    assert (access.product, access.is_master) == (product, True)
    access.require_master()
    access.require_device(device.id, "DELETE", "temp")


@pytest.mark.parametrize("method", SIGNATURES)
@pytest.mark.parametrize("encode", [str, encode_values, lambda text: text.replace("/", "%2f")])
@on_event_loop
async def test_tokens_of_the_vectors(method: str, encode: Callable[[str], str]) -> None:
    """Northbound reference 13: each method, percent-encoded or not."""
    gate = Gate()
    product, _ = await gate.furnish()

    access = await gate.ask(None, encode(token(method)))

    assert (access.product, access.is_master) == (product, True)


@on_event_loop
async def test_a_plus_in_a_token_is_a_plus() -> None:
    """Un-encoded base64 is full of them."""
    gate = Gate()
    await gate.furnish()
    assert "+" in token("sha1")

    assert (await gate.ask(None, token("sha1"))).is_master
    with pytest.raises(Unauthenticated):
        await gate.ask(None, token("sha1").replace("+", " "))


@on_event_loop
async def test_a_token_holds_to_its_time() -> None:
    """`et` is the last second."""
    gate = Gate()
    await gate.furnish()

    assert (await gate.ask(None, token(), now=Instant(ET * 1000))).is_master
    with pytest.raises(Unauthenticated):
        await gate.ask(None, token(), now=Instant(ET * 1000 + 1))


@pytest.mark.parametrize(
    "wrong",
    [
        token("sha256", sign=SIGNATURES["sha1"]),
        token("sha256", sign=""),
        token("sha256", sign="no base64!"),
        token("sha256", sign=SIGNATURES["sha256"] + "A"),
        token("sha256", sign=SIGNATURES["sha256"][:-4]),
        token("sha256", sign="é" * 44),
        token("sha512", sign=SIGNATURES["sha256"]),
        token("SHA256", sign=SIGNATURES["sha256"]),
        token(version="2020-05-29"),
        token(et=ET + 1),
        token(et=-1),
        token(et=""),
        token(et="9" * 40),
        token(et="１７００００００００"),
        token(res="products/123124"),
        token(res="products/0123123"),
        token(res="products/"),
        token(res="products"),
        token(res="products/x"),
        token(res="products/123123/devices"),
        token(res="products/123123/devices/1/x"),
        token(res="mqs/123123"),
        token() + "&et=1700000000",
        token() + "&sign=x",
        token() + "&x=" + "y" * 1024,
        token().replace("&version=2018-10-31", "").replace("version=2018-10-31&", ""),
        token().replace("&method=sha256", ""),
        "&&&&",
        "====",
        "%",
    ],
)
@on_event_loop
async def test_tokens_that_are_not_valid(wrong: str) -> None:
    """Whatever is wrong with them, one answer."""
    gate = Gate()
    await gate.furnish()

    with pytest.raises(Unauthenticated) as raised:
        await gate.ask(None, wrong)
    assert not raised.value.is_missing


@on_event_loop
async def test_a_products_token_ends_with_its_access_key() -> None:
    """Rotated, the old one signs nothing any more, remembered or not."""
    gate = Gate()
    product, _ = await gate.furnish()
    assert (await gate.ask(None, token())).is_master

    await gate.house.do(gate.house.products.keyring.rotate(product.id, KeyKind.ACCESS))

    with pytest.raises(Unauthenticated):
        await gate.ask(None, token())


@pytest.mark.parametrize("name", ["id", "imei"])
@on_event_loop
async def test_a_devices_token_opens_that_device_alone(name: str) -> None:
    """By device id or IMEI; every verb, every stream."""
    gate = Gate()
    product, device = await gate.furnish()
    other = await gate.house.add_device(product, imei="860000000000002")
    named = {"id": str(device.id), "imei": IMEI}[name]

    access = await gate.ask(None, signed(f"products/123123/devices/{named}"))

    assert not access.is_master
    access.require_device(device.id, "delete", "temp")
    for refused in (access.require_master, lambda: access.require_device(other.id, "get")):
        with pytest.raises(Forbidden):
            refused()


@on_event_loop
async def test_a_devices_token_for_a_device_that_is_not_the_products() -> None:
    """P12: another product's device, and one that does not exist."""
    gate = Gate()
    await gate.furnish()
    other = await gate.house.add_product("other")
    theirs = await gate.house.add_device(other, imei="860000000000009")

    for name in (str(theirs.id), "860000000000009", "999999", "9" * 60, "x" * 64, "x" * 65):
        with pytest.raises(Unauthenticated):
            await gate.ask(None, signed(f"products/123123/devices/{name}"))


@on_event_loop
async def test_either_valid_credential_is_enough_and_the_one_that_opens_more_counts() -> None:
    """Samples of the guides show both headers together."""
    gate = Gate()
    product, device = await gate.furnish()
    key = await gate.key(product, KeyPermission(resources=WHOLE_DEVICE, methods=("get",)))

    assert (await gate.ask("wrong", token())).is_master
    assert (await gate.ask("master-key-1", "wrong")).is_master
    assert (await gate.ask(key, token())).is_master
    assert not (await gate.ask(key, "wrong")).is_master
    assert (await gate.ask(key, signed(f"products/123123/devices/{device.id}"))).key is not None


@on_event_loop
async def test_a_device_key_opens_what_its_permissions_name() -> None:
    """Device, stream and verb; a key of streams does not open the whole device."""
    gate = Gate()
    product, device = await gate.furnish()
    other = await gate.house.add_device(product, imei="860000000000002")
    key = await gate.key(
        product,
        KeyPermission(resources=(KeyResource(device_id=device.id, stream_id="temp"),), methods=("get", "post")),
        KeyPermission(resources=(KeyResource(device_id=device.id),), methods=("put",)),
        KeyPermission(resources=(KeyResource(stream_id="public"),), methods=("get",)),
        KeyPermission(resources=(KeyResource(device_id=other.id),), methods=()),
    )

    assert await gate.ask(key) == await gate.ask(key)  # the second time from what is remembered
    access = await gate.ask(key)
    assert (access.product, access.is_master) == (product, False)
    for device_id, method, stream_id in (
        (device.id, "GET", "temp"),
        (device.id, "PUT", None),
        (device.id, "put", "any"),
        (other.id, "get", "public"),
    ):
        access.require_device(device_id, method, stream_id)
    for device_id, method, stream_id in (
        (device.id, "GET", None),
        (device.id, "GET", "hum"),
        (device.id, "DELETE", "temp"),
        (other.id, "GET", None),
        (other.id, "PUT", "public"),
    ):
        with pytest.raises(Forbidden) as raised:
            access.require_device(device_id, method, stream_id)
        assert (stream_id or str(device_id)) in str(raised.value)
    with pytest.raises(Forbidden):
        access.require_master()


@on_event_loop
async def test_a_rotated_master_key_is_void_at_once_and_changes_of_the_product_are_seen() -> None:
    """Remembered or not."""
    gate = Gate()
    product, _ = await gate.furnish()
    await gate.ask("master-key-1")

    renamed = await gate.house.do(gate.house.products.change(product.id, ProductChange(name="uno")))
    assert (await gate.ask("master-key-1")).product == renamed
    new = await gate.house.do(gate.house.products.keyring.rotate(product.id, KeyKind.MASTER))

    assert (await gate.ask(new)).is_master
    with pytest.raises(Unauthenticated):
        await gate.ask("master-key-1")


@on_event_loop
async def test_a_change_of_a_key_is_seen_at_once() -> None:
    """Remembered keys are forgotten when they, their product or their device change."""
    gate = Gate()
    product, device = await gate.furnish()
    permission = KeyPermission(resources=(KeyResource(device_id=device.id),), methods=ACCESS_METHODS)
    key = await gate.key(product, permission)
    await gate.ask(key)

    await gate.house.do(gate.keys.change(product, key, title=None, permissions=()))
    with pytest.raises(Forbidden):
        (await gate.ask(key)).require_device(device.id, "get")
    renamed = await gate.house.do(gate.house.products.change(product.id, ProductChange(name="uno")))
    assert (await gate.ask(key)).product == renamed
    await gate.house.do(gate.keys.remove(product, key))
    with pytest.raises(Unauthenticated):
        await gate.ask(key)


@on_event_loop
async def test_what_is_read_while_a_key_changes_is_not_remembered() -> None:
    """Else an old permission would live on."""
    gate = Gate()
    product, device = await gate.furnish()
    key = await gate.key(product, KeyPermission(resources=(KeyResource(device_id=device.id),), methods=("get",)))
    find = gate.house.store.find_device_key

    async def find_and_change(index: bytes) -> object:
        found = await find(index)
        gate.house.store.find_device_key = find  # type: ignore[method-assign]  # once
        await gate.keys.change(product, key, title=None, permissions=())
        return found

    gate.house.store.find_device_key = find_and_change  # type: ignore[method-assign,assignment]  # a slow read
    await gate.ask(key)

    with pytest.raises(Forbidden):
        (await gate.ask(key)).require_device(device.id, "get")


@on_event_loop
async def test_what_lets_somebody_log_in_as_a_device() -> None:
    """A MasterKey, a key that may post to the whole device, or a token; of its own product (southbound 5.1)."""
    gate = Gate()
    product, device = await gate.furnish()
    may = await gate.key(product, KeyPermission(resources=(KeyResource(device_id=device.id),), methods=("post",)))
    reads = await gate.key(product, KeyPermission(resources=(KeyResource(device_id=device.id),), methods=("get",)))
    stream = KeyResource(device_id=device.id, stream_id="temp")
    of_stream = await gate.key(product, KeyPermission(resources=(stream,), methods=("post",)))
    gate.house.clock.wall = BEFORE

    async def opens(api_key: str | None, token: str | None = None, product_id: ProductId = product.id) -> bool:
        work = gate.authenticator.prove(api_key=api_key, token=token, product_id=product_id, device=device)
        return await gate.house.do(work) is not None

    assert [await opens(key) for key in ("master-key-1", may, reads, of_stream, "wrong", None)] == [
        *(True, True, False, False, False, False)
    ]
    assert await opens(None, token())
    assert await opens(None, signed(f"products/123123/devices/{device.id}"))
    assert not await opens(None, signed("products/123123/devices/999"))
    assert not await opens("master-key-1", product_id=ProductId(5))
