"""Rotating a key while the old one is good yet."""

import base64
import hmac
from urllib.parse import quote

import pytest

from commandpost.domain.device import KeyKind, Product
from commandpost.domain.errors import Invalid, Unauthenticated
from commandpost.domain.instant import Instant
from commandpost.services.access import Access, Authenticator
from commandpost.services.product_keys import OLD_KEYS_MAX, OVERLAP_S_MAX, OldKey, TooManyOldKeys
from tests.event_loop import on_event_loop
from tests.unit.services.house import House


class Gate:
    """A product, and who is let in."""

    def __init__(self) -> None:
        self.house = House()
        self.authenticator = Authenticator(
            products=self.house.products,
            reader=self.house.store,
            key_reader=self.house.store,
            secrets=self.house.box,
            clock=self.house.clock,
        )

    async def product(self) -> Product:
        return (await self.house.do(self.house.products.create(name="one"))).product

    async def key(self, product: Product, kind: KeyKind) -> str:
        keys = await self.house.do(self.house.products.keyring.show(product.id))
        return {KeyKind.MASTER: keys.master_key, KeyKind.ACCESS: keys.access_key}[kind]

    async def rotate(self, product: Product, kind: KeyKind, overlap_s: int) -> str:
        return await self.house.do(self.house.products.keyring.rotate(product.id, kind, overlap_s=overlap_s))

    async def opens(self, api_key: str | None, authorization: str | None = None) -> bool:
        try:
            found: Access = await self.house.do(
                self.authenticator.authenticate(api_key, authorization, self.house.clock.wall_ms())
            )
        except Unauthenticated:
            return False
        return found.is_master


def token(product: Product, access_key: str) -> str:
    """Sign as the reference says (northbound reference 1.4)."""
    expiry, method, resource, version = "1800000000", "sha256", f"products/{product.id}", "2018-10-31"
    signed = "\n".join((expiry, method, resource, version)).encode()
    sign = base64.b64encode(hmac.digest(base64.b64decode(access_key), signed, method)).decode()
    return f"version={version}&res={quote(resource, safe='')}&et={expiry}&method={method}&sign={quote(sign, safe='')}"


@on_event_loop
async def test_the_old_master_key_is_good_until_its_time_is_over() -> None:
    """Looked up before or not: what is remembered of it ends with it."""
    gate = Gate()
    product = await gate.product()
    old = await gate.key(product, KeyKind.MASTER)
    assert await gate.opens(old)

    new = await gate.rotate(product, KeyKind.MASTER, 3600)

    gate.house.clock.advance(3599)
    assert await gate.opens(old)
    assert await gate.opens(new)
    gate.house.clock.advance(1)
    assert not await gate.opens(old)
    assert await gate.opens(new)


@on_event_loop
async def test_tokens_signed_with_the_old_access_key_are_good_as_long() -> None:
    """And those of the new one at once."""
    gate = Gate()
    secrets = (base64.b64encode(bytes([number]) * 24).decode() for number in range(100))
    gate.house.ids.new_secret = lambda: next(secrets)  # type: ignore[method-assign]  # access keys have to be base64
    product = await gate.product()
    old = token(product, await gate.key(product, KeyKind.ACCESS))
    assert await gate.opens(None, old)

    new = token(product, await gate.rotate(product, KeyKind.ACCESS, 60))

    gate.house.clock.advance(59)
    assert await gate.opens(None, old)
    assert await gate.opens(None, new)
    gate.house.clock.advance(1)
    assert not await gate.opens(None, old)
    assert await gate.opens(None, new)


@on_event_loop
async def test_without_an_overlap_every_old_key_is_void_at_once() -> None:
    """A key that got out is rotated so, and those before it may have got out with it."""
    gate = Gate()
    product = await gate.product()
    keys = [await gate.key(product, KeyKind.MASTER), await gate.rotate(product, KeyKind.MASTER, 3600)]
    assert [await gate.opens(key) for key in keys] == [True, True]

    await gate.rotate(product, KeyKind.MASTER, 0)

    assert [await gate.opens(key) for key in keys] == [False, False]


@on_event_loop
async def test_old_keys_are_shown_with_their_end_and_without_their_text() -> None:
    """As long as they are good."""
    gate = Gate()
    product = await gate.product()
    await gate.rotate(product, KeyKind.MASTER, 60)
    end = Instant(gate.house.clock.wall_ms() + 60_000)

    keys = await gate.house.do(gate.house.products.keyring.show(product.id))
    assert keys.old_keys == (OldKey(kind=KeyKind.MASTER, expires_at=end),)
    gate.house.clock.advance(60)
    assert (await gate.house.do(gate.house.products.keyring.show(product.id))).old_keys == ()


@on_event_loop
async def test_there_are_only_so_many_old_keys() -> None:
    """Then one has to end, or all of them."""
    gate = Gate()
    product = await gate.product()
    for _ in range(OLD_KEYS_MAX):
        await gate.rotate(product, KeyKind.MASTER, 60)

    with pytest.raises(TooManyOldKeys):
        await gate.rotate(product, KeyKind.MASTER, 60)
    gate.house.clock.advance(60)
    await gate.rotate(product, KeyKind.MASTER, 60)
    await gate.rotate(product, KeyKind.MASTER, 0)


@pytest.mark.parametrize("overlap_s", [-1, OVERLAP_S_MAX + 1])
@on_event_loop
async def test_an_overlap_nobody_needs_is_refused(overlap_s: int) -> None:
    """Nothing is rotated."""
    gate = Gate()
    product = await gate.product()
    before = await gate.key(product, KeyKind.MASTER)

    with pytest.raises(Invalid):
        await gate.rotate(product, KeyKind.MASTER, overlap_s)
    assert await gate.key(product, KeyKind.MASTER) == before
