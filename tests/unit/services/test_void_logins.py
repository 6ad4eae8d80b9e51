"""What ends a connection: a change of what its device logged in with, and nothing else.

Source: southbound reference 5.1, 5.5, 6.3; northbound reference 9.1.
"""

import asyncio
import base64
import hmac
from urllib.parse import quote

import pytest

from commandpost.domain.command import CommandState, Transport
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device, DeviceChange, KeyKind, Product
from commandpost.domain.device_key import KeyPermission, KeyResource
from commandpost.domain.ids import DeviceId
from commandpost.domain.payload_facts import EndConnection, StartConnection
from commandpost.domain.proof import AuthInfoChanged, Proof, ProofKind, RegisteredDeviceGone, fingerprint_auth_info
from commandpost.services.access import Authenticator
from commandpost.services.connections import CHANGES_KEPT
from commandpost.services.device_keys import DeviceKeys
from commandpost.services.devices import Devices, NewDevice
from commandpost.services.logins import Login, Logins
from commandpost.services.products import Products
from commandpost.services.proof_keeper import ProofKeeper
from tests.event_loop import on_event_loop
from tests.unit.services.payload_house import FakeChannel, PayloadHouse

HOUR_S = 3_600
SECRET = "secret-of-m"


class Bench:
    """A product with two devices, everything that lets them in, and everything that can make it void."""

    def __init__(self) -> None:
        self.house = house = PayloadHouse()
        made = house.ids.new_secret
        # Real ones are base64, which tokens rely on.
        house.ids.new_secret = lambda: base64.b64encode(made().encode()).decode()  # type: ignore[method-assign]
        tell = house.connections.credential_changed
        self.products = Products(
            writer=house.writer,
            reader=house.store,
            secrets=house.box,
            ids=house.ids,
            clock=house.clock,
            on_key_replaced=(tell,),
        )
        authenticator = Authenticator(
            products=self.products, reader=house.store, key_reader=house.store, secrets=house.box, clock=house.clock
        )
        self.keys = DeviceKeys(
            writer=house.writer,
            reader=house.store,
            key_reader=house.store,
            authenticator=authenticator,
            secrets=house.box,
            ids=house.ids,
            clock=house.clock,
            on_changed=(tell,),
        )
        self.devices = Devices(
            writer=house.writer,
            reader=house.store,
            sessions=house.sessions,
            dispatcher=house.dispatcher,
            identities=house.identities,
            secrets=house.box,
            clock=house.clock,
            on_changed=(self._device_changed,),
        )
        self.logins = Logins(reader=house.store, keyring=authenticator)
        self.keeper = ProofKeeper(connections=house.connections, slice_max=1)

    def _device_changed(self, device: Device) -> None:
        fingerprint = fingerprint_auth_info(device.auth_info)
        self.house.connections.credential_changed(AuthInfoChanged(only_device=device.id, fingerprint=fingerprint))

    async def furnish(self) -> tuple[Product, Device, Device]:
        product, device = await self.house.add_product_with_device()
        new = NewDevice(protocol="MQTT", title="n", auth_info='"secret-of-n"')
        return product, device, await self.house.do(self.devices.create(product, new))

    async def login(self, device: Device, password: str) -> Login:
        found = await self.house.do(
            self.logins.by_password(
                Transport.MQTT,
                device_id=str(device.id),
                product_id=str(device.product_id),
                password=password.encode(),
            )
        )
        assert isinstance(found, Login), found
        return found

    async def connect(self, device: Device, password: str = SECRET) -> FakeChannel:
        """Log a device in by what it shows."""
        _, channel = await self.house.connect(device, proof=(await self.login(device, password)).proof)
        return channel

    async def change(self, product: Product, device: Device, change: DeviceChange) -> Device:
        return await self.house.do(self.devices.change(product, device.id, change))

    async def device_key(self, product: Product, *ids: DeviceId) -> str:
        shown = await self.house.do(self.keys.create(product, title="k", permissions=permissions(*ids)))
        return shown.text

    async def rotate(self, product: Product, kind: KeyKind, overlap_s: int = 0) -> str:
        return await self.house.do(self.products.keyring.rotate(product.id, kind, overlap_s=overlap_s))

    async def master_key(self, product: Product) -> str:
        return (await self.house.do(self.products.keyring.show(product.id))).master_key

    async def token(self, product: Product) -> str:
        """Sign as the reference says (northbound reference 1.4)."""
        access_key = (await self.house.do(self.products.keyring.show(product.id))).access_key
        expiry, method, resource, version = "1800000000", "sha256", f"products/{product.id}", "2018-10-31"
        signed = f"{expiry}\n{method}\n{resource}\n{version}"
        sign = base64.b64encode(hmac.digest(base64.b64decode(access_key), signed.encode(), method)).decode()
        return f"version={version}&res={quote(resource, safe='')}&et={expiry}&method={method}&sign={quote(sign)}"

    async def wait(self, seconds: float) -> None:
        """Let time pass, and the duty be done."""
        await self.house.advance(seconds)
        while await self.keeper.tick():
            pass


def permissions(*ids: DeviceId, method: str = "post") -> tuple[KeyPermission, ...]:
    resources = tuple(KeyResource(device_id=each) for each in ids) or (KeyResource(),)
    return (KeyPermission(resources=resources, methods=(method,)),)


# --- auth_info -------------------------------------------------------------------------------------------------------


@on_event_loop
async def test_another_auth_info_ends_the_connection_and_what_waits_stays() -> None:
    """As at any other end of a connection: on disk offline, and a payload of qos 1 goes to the next one."""
    bench = Bench()
    product, device, _ = await bench.furnish()
    channel = await bench.connect(device)
    command = await bench.house.send(product, device, b"open", qos=1, timeout_s=HOUR_S)
    await bench.change(product, device, DeviceChange(auth_info='"another"'))
    ends = len(bench.house.writer.of(EndConnection))
    again = await bench.connect(device, "another")

    assert channel.revoked is ProofKind.AUTH_INFO
    assert (ends, bench.house.events.count("login_void")) == (1, 1)
    assert (channel.payloads, again.payloads) == ([b"open"], [b"open"])
    assert await bench.house.state(product, command) is CommandState.SENT


@on_event_loop
async def test_changes_that_leave_the_auth_info_end_nothing() -> None:
    """A title, the same auth_info once more, another device's auth_info, and every key of the product."""
    bench = Bench()
    product, device, other = await bench.furnish()
    channel = await bench.connect(device)
    await bench.change(product, device, DeviceChange(title="new"))
    await bench.change(product, device, DeviceChange(auth_info=f'"{SECRET}"'))
    await bench.change(product, other, DeviceChange(auth_info='"another"'))
    for kind in KeyKind:
        await bench.rotate(product, kind)

    assert channel.revoked is None


@on_event_loop
async def test_a_device_that_came_by_a_key_does_not_mind_its_auth_info() -> None:
    bench = Bench()
    product, device, _ = await bench.furnish()
    channel = await bench.connect(device, await bench.master_key(product))
    await bench.change(product, device, DeviceChange(auth_info='"another"'))

    assert channel.revoked is None


# --- device-level keys -----------------------------------------------------------------------------------------------


@on_event_loop
async def test_a_removed_key_ends_every_connection_by_it() -> None:
    """And none by another key, or by an auth_info."""
    bench = Bench()
    product, device, other = await bench.furnish()
    gone, kept = await bench.device_key(product), await bench.device_key(product)
    first, second = await bench.connect(device, gone), await bench.connect(other, kept)
    await bench.house.do(bench.keys.remove(product, gone))

    assert (first.revoked, second.revoked) == (ProofKind.DEVICE_KEY, None)


@on_event_loop
async def test_a_key_that_opens_less_ends_those_it_does_not_open_any_more() -> None:
    """A device that is not named any more, and then one that may not be posted to."""
    bench = Bench()
    product, device, other = await bench.furnish()
    key = await bench.device_key(product)
    first, second = await bench.connect(device, key), await bench.connect(other, key)
    seen = []
    for title, opened in (("new", None), (None, permissions(other.id)), (None, permissions(other.id, method="get"))):
        await bench.house.do(bench.keys.change(product, key, title=title, permissions=opened))
        seen.append((first.revoked, second.revoked))

    by_key = ProofKind.DEVICE_KEY
    assert seen == [(None, None), (by_key, None), (by_key, by_key)]


@on_event_loop
async def test_a_key_that_goes_with_its_device_ends_others_that_came_by_it() -> None:
    """The key of a device that registered itself, after somebody let it open more."""
    bench = Bench()
    _, device, other = await bench.furnish()
    proof = Proof(kind=ProofKind.DEVICE_KEY, fingerprint=b"of the key", registered_device=other.id)
    _, channel = await bench.house.connect(device, proof=proof)
    bench.house.connections.credential_changed(RegisteredDeviceGone(device_id=other.id))

    assert channel.revoked is ProofKind.DEVICE_KEY


# --- keys of the product ---------------------------------------------------------------------------------------------


@on_event_loop
async def test_a_rotated_master_key_ends_who_came_by_it_and_nobody_else() -> None:
    """Neither tokens, nor who comes by the new key, nor another product's devices."""
    bench = Bench()
    product, device, other = await bench.furnish()
    stranger_product, stranger = await bench.house.add_product_with_device()
    by_key = await bench.connect(device, await bench.master_key(product))
    by_token = await bench.connect(other, await bench.token(product))
    strange = await bench.connect(stranger, await bench.master_key(stranger_product))
    new = await bench.rotate(product, KeyKind.MASTER)
    again = await bench.connect(device, new)

    assert by_key.revoked is ProofKind.MASTER_KEY
    assert [each.revoked for each in (by_token, strange, again)] == [None] * 3


@on_event_loop
async def test_a_rotated_access_key_ends_who_came_by_a_token_and_nobody_else() -> None:
    bench = Bench()
    product, device, other = await bench.furnish()
    by_token = await bench.connect(device, await bench.token(product))
    by_key = await bench.connect(other, await bench.master_key(product))
    await bench.rotate(product, KeyKind.REGISTER)
    before = by_token.revoked
    await bench.rotate(product, KeyKind.ACCESS)

    assert (before, by_token.revoked, by_key.revoked) == (None, ProofKind.ACCESS_KEY, None)


@pytest.mark.parametrize("kind", [KeyKind.MASTER, KeyKind.ACCESS])
@pytest.mark.parametrize("is_there_before", [True, False])
@on_event_loop
async def test_an_overlap_ends_connections_when_it_is_over(kind: KeyKind, is_there_before: bool) -> None:
    """Those of before the rotation, and those that came by the old key since."""
    bench = Bench()
    product, device, other = await bench.furnish()
    old = await (bench.master_key(product) if kind is KeyKind.MASTER else bench.token(product))
    channels = [await bench.connect(each, old) for each in (device, other) if is_there_before]
    await bench.rotate(product, kind, overlap_s=60)
    channels += [await bench.connect(each, old) for each in (device, other) if not is_there_before]
    await bench.wait(59)
    before = [each.revoked for each in channels]
    await bench.wait(1)

    assert before == [None, None]
    assert None not in [each.revoked for each in channels]


@on_event_loop
async def test_a_second_overlap_does_not_prolong_the_first() -> None:
    """Every key has the end it was given; one that is good yet is ended by a rotation without overlap."""
    bench = Bench()
    product, device, other = await bench.furnish()
    first = await bench.connect(device, await bench.master_key(product))
    second = await bench.connect(other, await bench.rotate(product, KeyKind.MASTER, overlap_s=60))
    await bench.rotate(product, KeyKind.MASTER, overlap_s=HOUR_S)
    await bench.wait(61)
    after_the_first = (first.revoked, second.revoked)
    await bench.rotate(product, KeyKind.MASTER)

    assert after_the_first == (ProofKind.MASTER_KEY, None)
    assert second.revoked is ProofKind.MASTER_KEY


# --- logins that are overtaken ---------------------------------------------------------------------------------------


async def _log_in_while(bench: Bench, device: Device, proof: Proof, seen: int) -> tuple[Connection | None, FakeChannel]:
    channel = FakeChannel()
    return await bench.house.do(bench.house.open(device, channel, proof=proof, changes_seen=seen)), channel


@on_event_loop
async def test_a_login_that_was_looked_at_before_a_change_is_not_let_in() -> None:
    """Its proof is void by the time it is written: nothing of it stays open."""
    bench = Bench()
    product, device, other = await bench.furnish()
    seen = bench.house.connections.changes_seen
    proof = (await bench.login(device, SECRET)).proof
    await bench.change(product, device, DeviceChange(auth_info='"another"'))
    await bench.change(product, other, DeviceChange(title="new"))
    late, channel = await _log_in_while(bench, device, proof, seen)
    unharmed, _ = await _log_in_while(bench, other, (await bench.login(other, "secret-of-n")).proof, seen)

    assert late is None and unharmed is not None
    assert channel.revoked is None, "there is nobody to tell yet: the login is refused"
    assert bench.house.connections.find(device.id) is None
    assert len(bench.house.writer.of(StartConnection)) == len(bench.house.writer.of(EndConnection)) + 1


@pytest.mark.parametrize("is_login_first", [True, False])
@on_event_loop
async def test_a_change_while_a_login_is_being_written_counts(is_login_first: bool) -> None:
    """Whichever of them is on disk first."""
    bench = Bench()
    product, device, _ = await bench.furnish()
    proof = (await bench.login(device, await bench.master_key(product))).proof
    bench.house.writer.is_held = True
    work = [
        bench.house.open(device, FakeChannel(), proof=proof),
        bench.products.keyring.rotate(product.id, KeyKind.MASTER),
    ]
    tasks = [asyncio.ensure_future(each) for each in (work if is_login_first else reversed(work))]
    await bench.house.settle()
    bench.house.writer.release()
    await bench.house.settle()

    assert all(each.done() for each in tasks)
    assert bench.house.connections.find(device.id) is None


@on_event_loop
async def test_a_login_that_was_overtaken_by_more_changes_than_are_kept_tries_again() -> None:
    """Nobody knows any more whether it is void."""
    bench = Bench()
    _, device, other = await bench.furnish()
    proof, seen = (await bench.login(device, SECRET)).proof, bench.house.connections.changes_seen
    change = AuthInfoChanged(only_device=other.id, fingerprint=b"any")
    for _ in range(CHANGES_KEPT):
        bench.house.connections.credential_changed(change)
    in_time, _ = await _log_in_while(bench, device, proof, seen)
    bench.house.connections.credential_changed(change)
    too_late, _ = await _log_in_while(bench, device, proof, seen)

    assert in_time is not None and too_late is None


def test_a_proof_shows_no_fingerprint() -> None:
    """So that no log has what a secret could be tried against."""
    proof = Proof(kind=ProofKind.AUTH_INFO, fingerprint=fingerprint_auth_info('"secret"'))

    assert "fingerprint" not in repr(proof) and proof.fingerprint.hex() not in repr(proof)
