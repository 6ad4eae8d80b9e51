"""Who may touch a session, attack by attack: southbound reference 1.2, 1.5, 4.2 and 4.4."""

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.device import Device, DeviceSecurity, KeyLabel, Product, ProductChange
from commandpost.domain.ids import DeviceId
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Observation, PeerIdentity, Remote, Session
from commandpost.services.products import ProductSettings
from commandpost.services.registration import AddressFollowing
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal, SessionSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMEI, IMSI, LIFETIME_S, House, execute

HOME = Remote(b"192.0.2.7:1000")
OTHER_PORT = Remote(b"192.0.2.7:2000")
ELSEWHERE = Remote(b"198.51.100.9:1000")
SECURE = Remote(b"192.0.2.7:dtls")
SECURE_AGAIN = Remote(b"203.0.113.1:dtls")
OTHER_IMEI = "860000000000002"
NAME = f"{IMEI};{IMSI}"
CODE = b"code12"
FORBIDDEN, NOT_FOUND, BAD_REQUEST = SessionRefusal.FORBIDDEN, SessionRefusal.NOT_FOUND, SessionRefusal.BAD_REQUEST

Answer = Session | SessionRefusal


async def furnished(
    security: DeviceSecurity = DeviceSecurity.MIXED,
    *,
    auth_code: bytes | None = None,
    following: AddressFollowing = AddressFollowing.ANY,
) -> tuple[House, Product, Device]:
    house = House(session_settings=SessionSettings(address_following=following))
    product = await house.add_product(settings=ProductSettings(device_security=security))
    device = await house.add_device(product, auth_code=None if auth_code is None else auth_code.decode())
    house.proven[SECURE] = house.proven[SECURE_AGAIN] = PeerIdentity(device_id=device.id, label=KeyLabel.ACCESS)
    return house, product, device


async def register(house: House, remote: Remote, *, name: str | None = NAME, auth_code: bytes | None = None) -> Answer:
    registration = Registration(endpoint_name=name, lifetime_s=LIFETIME_S, auth_code=auth_code)
    return await house.do(house.sessions.register(registration, remote))


async def update(house: House, remote: Remote, *, auth_code: bytes | None = None, location: str = IMEI) -> Answer:
    answers: list[Answer] = []
    house.sessions.update(RegistrationUpdate(location=location, auth_code=auth_code), remote, answers.append)
    await house.settle()
    (answer,) = answers
    return answer


async def deregister(house: House, remote: Remote, *, auth_code: bytes | None = None) -> Answer:
    return await house.do(house.sessions.deregister(IMEI, auth_code, remote))


async def observed(house: House, device: Device) -> bytes:
    """Give the token of an observation."""
    token = house.ids.new_coap_token(device.id)
    session = house.sessions.find(device.id)
    assert session is not None
    path = ResourcePath(object_id=3303, instance_id=0)
    await house.do(
        house.sessions.add_observation(session, Observation(coap_token=token, path=path, is_automatic=False))
    )
    return token


async def notify(house: House, token: bytes, remote: Remote) -> bool:
    """Tell whether a notification is taken; if not it is answered with a reset."""
    answers: list[object] = []
    house.sessions.hear_notification(token, remote, answers.append, lambda: answers.append("nothing"))
    await house.settle()
    (answer,) = answers
    assert answer != "nothing"
    return answer is not None


async def send(house: House, remote: Remote) -> bool:
    """Tell whether a Send is taken."""
    answers: list[object] = []
    house.sessions.hear_sender(remote, answers.append, lambda: answers.append("nothing"))
    await house.settle()
    (answer,) = answers
    assert answer != "nothing"
    return answer is not None


# --- what a product allows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("security", "nosec", "nosec_with_code", "dtls"),
    [
        (DeviceSecurity.NOSEC, True, True, False),
        (DeviceSecurity.NOSEC_AUTH_CODE, False, True, False),
        (DeviceSecurity.DTLS, False, False, True),
        (DeviceSecurity.MIXED, True, True, True),
    ],
)
@on_event_loop
async def test_policy_decides_how_a_device_may_register(
    security: DeviceSecurity, nosec: bool, nosec_with_code: bool, dtls: bool
) -> None:
    """Each way against each policy; 4.03 for what it forbids."""
    bare, _, _ = await furnished(security)
    coded, _, _ = await furnished(security, auth_code=CODE)
    secure, _, _ = await furnished(security)

    answers = (
        await register(bare, HOME),
        await register(coded, HOME, auth_code=CODE),
        await register(secure, SECURE),
    )

    assert [isinstance(answer, Session) for answer in answers] == [nosec, nosec_with_code, dtls]
    assert {answer for answer in answers if not isinstance(answer, Session)} <= {FORBIDDEN}


@on_event_loop
async def test_a_policy_that_becomes_stricter_holds_at_once() -> None:
    """Update, notify, de-register and commands: the session without DTLS is as good as gone."""
    house, product, device = await furnished()
    await register(house, HOME)
    token = await observed(house, device)

    await house.do(house.products.change(product.id, ProductChange(device_security=DeviceSecurity.DTLS)))

    assert await update(house, HOME) is FORBIDDEN
    assert not await notify(house, token, HOME)
    assert not await send(house, HOME)
    assert await deregister(house, HOME) is FORBIDDEN
    assert await house.do(house.sessions.load(device.id)) is None
    assert isinstance(await register(house, SECURE), Session)


@on_event_loop
async def test_policy_holds_after_a_restart() -> None:
    """A session that is read from the store is not better than one in memory, and is refused in the same words."""
    house, product, _ = await furnished()
    await register(house, HOME)
    await house.do(house.products.change(product.id, ProductChange(device_security=DeviceSecurity.DTLS)))

    assert await update(house.restarted(), HOME) is FORBIDDEN
    assert await deregister(house.restarted(), HOME) is FORBIDDEN


# --- a registration made over DTLS -----------------------------------------------------------------------------------


@on_event_loop
async def test_a_session_over_dtls_carries_its_label_across_a_restart() -> None:
    """What it was registered with is on disk before the 2.01."""
    house, _, device = await furnished()

    answer = await register(house, SECURE)
    loaded = await house.restarted().sessions.load(device.id)

    assert isinstance(answer, Session)
    assert answer.identity_label is KeyLabel.ACCESS
    assert loaded is not None
    assert loaded.identity_label is KeyLabel.ACCESS


@pytest.mark.parametrize("is_restarted", [False, True])
@on_event_loop
async def test_traffic_without_dtls_cannot_touch_a_session_over_dtls(is_restarted: bool) -> None:
    """Register, update, de-register and notify from outside, with everything but the key; 4.03, and nothing moved."""
    house, _, device = await furnished(auth_code=CODE)
    await register(house, SECURE, auth_code=CODE)
    token = await observed(house, device)
    if is_restarted:
        house = house.restarted()

    answers = (
        await register(house, ELSEWHERE, auth_code=CODE),
        await update(house, ELSEWHERE, auth_code=CODE),
        await deregister(house, ELSEWHERE, auth_code=CODE),
    )
    is_heard = await notify(house, token, ELSEWHERE)
    session = await house.do(house.sessions.load(device.id))

    assert answers == (FORBIDDEN, FORBIDDEN, FORBIDDEN)
    assert not is_heard
    assert session is not None
    assert (session.remote, session.epoch) == (SECURE, 1)


@on_event_loop
async def test_a_device_may_do_without_dtls_once_its_session_is_over() -> None:
    """Mixed is mixed; only what lives is protected."""
    house, _, _ = await furnished()
    await register(house, SECURE)

    await deregister(house, SECURE)

    assert isinstance(await register(house, HOME), Session)


@on_event_loop
async def test_dtls_may_take_over_a_session_without_it_only_by_registering() -> None:
    """An update over DTLS of a session that is not bound to it is answered 4.04, and the client registers anew."""
    house, _, _ = await furnished()
    await register(house, HOME)

    updated = await update(house, SECURE)
    registered = await register(house, SECURE)

    assert updated is NOT_FOUND
    assert isinstance(registered, Session)
    assert registered.identity_label is KeyLabel.ACCESS


@on_event_loop
async def test_a_session_over_dtls_follows_its_device_whatever_the_policy() -> None:
    """It has proved itself with every record."""
    for following in AddressFollowing:
        house, _, device = await furnished(following=following)
        await register(house, SECURE)
        token = await observed(house, device)

        moved = await update(house, SECURE_AGAIN)
        is_heard = await notify(house, token, SECURE)

        assert isinstance(moved, Session)
        assert is_heard
        assert moved.remote == SECURE


@on_event_loop
async def test_a_name_may_be_left_to_the_identity() -> None:
    """LwM2M 1.1; without DTLS it is 4.00."""
    house, _, _ = await furnished()

    implied = await register(house, SECURE, name=None)
    nameless = await register(house, HOME, name=None)

    assert isinstance(implied, Session)
    assert (implied.endpoint_name, implied.location) == (IMEI, IMEI)
    assert nameless is BAD_REQUEST


# --- keys and identities of others -----------------------------------------------------------------------------------


@on_event_loop
async def test_identity_of_another_product_registers_nobody_else() -> None:
    """SB 4.2: a Register whose name is another record's is 4.03; its update finds nothing."""
    house, _, _ = await furnished()
    other = await house.add_product("other")
    theirs = await house.add_device(other, imei=OTHER_IMEI)
    attacker = Remote(b"203.0.113.66:dtls")
    house.proven[attacker] = PeerIdentity(device_id=theirs.id, label=KeyLabel.ACCESS)
    await register(house, SECURE)

    answers = (
        await register(house, attacker),
        await update(house, attacker),
        await deregister(house, attacker),
    )

    assert answers == (FORBIDDEN, NOT_FOUND, NOT_FOUND)


@on_event_loop
async def test_bootstrap_key_opens_no_session() -> None:
    """A session opened with it alone may use only `/bs`."""
    house, _, device = await furnished()
    await register(house, SECURE)
    token = await observed(house, device)
    bootstrapping = Remote(b"192.0.2.7:bs")
    house.proven[bootstrapping] = PeerIdentity(device_id=device.id, label=KeyLabel.BOOTSTRAP)

    answers = (
        await register(house, bootstrapping),
        await update(house, bootstrapping),
        await deregister(house, bootstrapping),
    )

    assert answers == (FORBIDDEN, FORBIDDEN, FORBIDDEN)
    assert not await notify(house, token, bootstrapping)


@on_event_loop
async def test_identity_of_a_deleted_device_registers_nobody() -> None:
    """The association may outlive the record."""
    house, _, _ = await furnished()
    gone = Remote(b"192.0.2.7:gone")
    house.proven[gone] = PeerIdentity(device_id=DeviceId(999), label=KeyLabel.ACCESS)

    assert await register(house, gone) is FORBIDDEN
    assert await register(house, gone, name=None) is FORBIDDEN


@pytest.mark.parametrize(
    "name", [f"{IMEI};460000000000009", f"860000000000009;{IMSI}", IMEI, "", ";", f"{IMEI};{IMSI}"]
)
@on_event_loop
async def test_registering_someone_elses_imei_tells_nothing(name: str) -> None:
    """Enumeration by answer: 4.03 for an unknown device, a wrong IMSI and a wrong or missing code alike."""
    house, _, _ = await furnished(auth_code=CODE)

    answers = {await register(house, ELSEWHERE, name=name, auth_code=code) for code in (None, b"code13", b"")}

    assert answers == {FORBIDDEN}
    assert len(house.sessions) == 0


# --- hijack by address -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("following", "has_code", "shows_code", "remote", "is_followed"),
    [
        (AddressFollowing.ANY, False, False, ELSEWHERE, True),
        (AddressFollowing.ANY, True, False, ELSEWHERE, False),
        (AddressFollowing.ANY, True, True, ELSEWHERE, True),
        (AddressFollowing.SAME_IP, False, False, OTHER_PORT, True),
        (AddressFollowing.SAME_IP, False, False, ELSEWHERE, False),
        (AddressFollowing.SAME_IP, True, True, ELSEWHERE, False),
        (AddressFollowing.AUTH_ONLY, False, False, HOME, True),
        (AddressFollowing.AUTH_ONLY, False, False, OTHER_PORT, False),
        (AddressFollowing.AUTH_ONLY, True, True, ELSEWHERE, True),
        (AddressFollowing.AUTH_ONLY, True, False, ELSEWHERE, False),
    ],
)
@on_event_loop
async def test_hijack_by_address_under_each_policy(
    following: AddressFollowing, has_code: bool, shows_code: bool, remote: Remote, is_followed: bool
) -> None:
    """SB 4.4: an update from elsewhere moves the session, or is refused and moves nothing."""
    house, _, device = await furnished(auth_code=CODE if has_code else None, following=following)
    await register(house, HOME, auth_code=CODE)

    answer = await update(house, remote, auth_code=CODE if shows_code else None)
    session = house.sessions.find(device.id)

    assert session is not None
    assert (answer is session) is is_followed
    assert session.remote == (remote if is_followed else HOME)
    assert is_followed or answer is FORBIDDEN


@pytest.mark.parametrize(
    ("following", "remote", "is_followed"),
    [
        (AddressFollowing.ANY, ELSEWHERE, True),
        (AddressFollowing.SAME_IP, OTHER_PORT, True),
        (AddressFollowing.SAME_IP, ELSEWHERE, False),
        (AddressFollowing.AUTH_ONLY, OTHER_PORT, False),
    ],
)
@on_event_loop
async def test_notification_from_elsewhere_is_heard_and_moves_what_the_policy_lets_it(
    following: AddressFollowing, remote: Remote, is_followed: bool
) -> None:
    """Its token is proof enough of what it says, but not of where commands are to go."""
    house, _, device = await furnished(following=following)
    await register(house, HOME)
    token = await observed(house, device)

    is_heard = await notify(house, token, remote)
    session = house.sessions.find(device.id)

    assert is_heard
    assert session is not None
    assert session.remote == (remote if is_followed else HOME)


@on_event_loop
async def test_a_cached_command_does_not_go_where_a_forged_update_came_from() -> None:
    """Under `same-ip` the forger gets 4.03, and the command waits for its device."""
    house, product, device = await furnished(following=AddressFollowing.SAME_IP)
    await house.register(device, remote=HOME)
    command = await house.submit(product, device, execute(1))

    await house.update(device, remote=ELSEWHERE)
    waiting = await house.look(product, command)
    await house.update(device, remote=OTHER_PORT)

    assert waiting.command.state is CommandState.WAITING
    assert not house.is_quiet(device.id)


@on_event_loop
async def test_leaving_from_elsewhere_is_as_good_as_an_update_from_there() -> None:
    """Otherwise a forged de-register would do what a forged update may not."""
    house, _, _ = await furnished(following=AddressFollowing.SAME_IP)
    await register(house, HOME)

    refused = await deregister(house, ELSEWHERE)
    left = await deregister(house, OTHER_PORT)

    assert refused is FORBIDDEN
    assert isinstance(left, Session)
