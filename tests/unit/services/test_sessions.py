"""Registering, updating, leaving, being heard; addresses; restarts."""

import asyncio

import pytest

from commandpost.domain.command import CommandState, Outcome
from commandpost.domain.device import Device, Product
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import Priority
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Observation, Remote, Session
from commandpost.domain.session_facts import ChangeSession, StartSession, TouchSession
from commandpost.services.identities import GivenKeys
from commandpost.services.products import ProductSettings
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal, SessionSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import BARE, HERE, IMEI, IMSI, THERE, House, execute, house_with_device

OTHER_IMEI = "860000000000002"


async def register(
    house: House, endpoint_name: str, *, auth_code: bytes | None = None, lifetime_s: int = 100
) -> Session | SessionRefusal:
    registration = Registration(endpoint_name=endpoint_name, lifetime_s=lifetime_s, auth_code=auth_code)
    return await house.do(house.sessions.register(registration, HERE))


async def send_update(house: House, update: RegistrationUpdate, remote: Remote = HERE) -> Session | SessionRefusal:
    answers: list[Session | SessionRefusal] = []
    house.sessions.update(update, remote, answers.append)
    await house.settle()
    (answer,) = answers
    return answer


async def sender(house: House, remote: Remote) -> Session | None:
    """Whose a Send from there is."""
    found: list[Session | None] = []
    house.sessions.hear_sender(remote, found.append, lambda: pytest.fail("the store can be asked"))
    await house.settle()
    (session,) = found
    return session


# --- who may register ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint_name", "allow_imei_only", "is_welcome"),
    [
        (f"{IMEI};{IMSI}", False, True),
        (f"{IMEI};460000000000009", False, False),
        (f"{IMEI};460000000000009", True, False),
        (IMEI, False, False),
        (IMEI, True, True),
        (f"{IMEI};", False, False),
        (f"{IMEI};{IMSI};x", False, False),
        (f"860000000000009;{IMSI}", False, False),
        ("", True, False),
        (";", True, False),
        ("x" * 10_000, True, False),
    ],
)
def test_endpoint_name_has_to_be_the_devices(endpoint_name: str, allow_imei_only: bool, is_welcome: bool) -> None:
    """SB 1.2; 4.03 for all others."""

    @on_event_loop
    async def run() -> None:
        house = House()
        product = await house.add_product(settings=ProductSettings(allow_imei_only=allow_imei_only))
        await house.add_device(product)

        answer = await register(house, endpoint_name)

        assert isinstance(answer, Session) is is_welcome
        if not is_welcome:
            assert answer is SessionRefusal.FORBIDDEN
            assert len(house.sessions) == 0

    run()


@on_event_loop
async def test_auth_code_is_asked_for_on_register_update_and_leave() -> None:
    """SB 4.4, wherever the record has one."""
    house = House()
    product = await house.add_product()
    await house.add_device(product, auth_code="abc123")
    name = f"{IMEI};{IMSI}"

    for wrong in (None, b"", b"abc124", b"abc1234"):
        assert await register(house, name, auth_code=wrong) is SessionRefusal.FORBIDDEN
    assert isinstance(await register(house, name, auth_code=b"abc123"), Session)
    for wrong in (None, b"abc124"):
        update = RegistrationUpdate(location=IMEI, auth_code=wrong)
        assert await send_update(house, update) is SessionRefusal.FORBIDDEN
        assert await house.do(house.sessions.deregister(IMEI, wrong, HERE)) is SessionRefusal.FORBIDDEN
    right = RegistrationUpdate(location=IMEI, auth_code=b"abc123")
    assert isinstance(await send_update(house, right), Session)
    again = house.restarted()
    assert await send_update(again, RegistrationUpdate(location=IMEI)) is SessionRefusal.FORBIDDEN
    assert isinstance(await send_update(again, right), Session)


@on_event_loop
async def test_a_changed_auth_code_holds_at_once_for_a_session_of_the_old_one() -> None:
    """In memory as after a restart; a device that registers with the new one goes on."""
    house = House()
    product = await house.add_product()
    device = await house.add_device(product, auth_code="abc123")
    name = f"{IMEI};{IMSI}"
    await register(house, name, auth_code=b"abc123")

    await house.do(house.identities.change(device, GivenKeys(auth_code="new456")))

    old, new = (RegistrationUpdate(location=IMEI, auth_code=code) for code in (b"abc123", b"new456"))
    for each in (house, house.restarted()):
        assert await send_update(each, old) is SessionRefusal.FORBIDDEN
        assert await register(each, name, auth_code=b"abc123") is SessionRefusal.FORBIDDEN
        assert isinstance(await send_update(each, new), Session)


@on_event_loop
async def test_an_auth_code_that_changes_during_a_registration_holds_for_what_comes_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device had shown the old one before it was void."""
    house = House()
    product = await house.add_product()
    device = await house.add_device(product, auth_code="abc123")
    find_product = house.store.find_product

    async def change_meanwhile(product_id: ProductId) -> Product | None:
        monkeypatch.undo()
        await house.identities.change(device, GivenKeys(auth_code="new456"))
        return await find_product(product_id)

    monkeypatch.setattr(house.store, "find_product", change_meanwhile)
    assert isinstance(await register(house, f"{IMEI};{IMSI}", auth_code=b"abc123"), Session)

    old = RegistrationUpdate(location=IMEI, auth_code=b"abc123")
    assert await send_update(house, old) is SessionRefusal.FORBIDDEN


@on_event_loop
async def test_registration_is_on_disk_when_it_returns_and_replaces_everything() -> None:
    house, _, device = await house_with_device()
    first = house.sessions.find(device.id)
    assert first is not None
    observation = Observation(coap_token=b"12345678", path=ResourcePath(object_id=3303), is_automatic=False)
    await house.do(house.sessions.add_observation(first, observation))

    session = await house.register(device, remote=THERE)

    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert (stored.epoch, stored.remote, stored.observations) == (first.epoch + 1, THERE, ())
    assert session.epoch == stored.epoch
    assert session.location == IMEI
    assert house.downlink.forgotten == [HERE]


@on_event_loop
async def test_lifetimes_are_brought_into_range() -> None:
    house, _, _ = await house_with_device(is_registered=False)
    session = await register(house, f"{IMEI};{IMSI}", lifetime_s=1)
    assert isinstance(session, Session)
    assert session.lifetime_s == 5


@on_event_loop
async def test_too_many_registrations_at_once_are_put_off() -> None:
    """P11: 5.03, not a growing queue."""
    house = House(session_settings=SessionSettings(registrations_max=1))
    product = await house.add_product()
    await house.add_device(product)
    registration = Registration(endpoint_name=f"{IMEI};{IMSI}", lifetime_s=100)

    first = asyncio.ensure_future(house.sessions.register(registration, HERE))
    await asyncio.sleep(0)
    second = await house.sessions.register(registration, HERE)
    await house.settle()

    assert second is SessionRefusal.UNAVAILABLE
    assert isinstance(await first, Session)


@on_event_loop
async def test_store_that_cannot_write_means_unavailable() -> None:
    house, _, _ = await house_with_device(is_registered=False)
    house.writer.failing = {StartSession}

    assert await register(house, f"{IMEI};{IMSI}") is SessionRefusal.UNAVAILABLE
    assert len(house.sessions) == 0


# --- update and leave ------------------------------------------------------------------------------------------------


@on_event_loop
async def test_plain_update_is_answered_inside_the_call_and_written_nowhere() -> None:
    """Design 4: uplinks are not disk writes."""
    house, _, device = await house_with_device()
    facts = len(house.writer.facts)
    answers: list[Session | SessionRefusal] = []

    house.sessions.update(RegistrationUpdate(location=IMEI, lifetime_s=86_400), HERE, answers.append)

    assert answers == [house.sessions.find(device.id)]
    assert len(house.writer.facts) == facts


@on_event_loop
async def test_overload_never_fails_an_update() -> None:
    house, _, device = await house_with_device()
    house.writer.overloaded = {Priority.BEHIND, Priority.ACCEPT}

    assert isinstance(await house.update(device, remote=THERE), Session)
    assert house.sessions.write_behind(10) == 0
    house.writer.overloaded = set()
    assert house.sessions.write_behind(10) == 1


@on_event_loop
async def test_deadline_on_disk_is_renewed_when_it_lags_by_more_than_a_quarter() -> None:
    house, _, device = await house_with_device()
    quarter_s = 86_400 / 4
    house.sessions.write_behind(10)
    await house.settle()

    await house.advance(quarter_s)
    await house.update(device)
    session = house.sessions.find(device.id)
    assert session is not None
    assert house.sessions._touches.urgent == 0
    await house.advance(1)
    await house.update(device)
    assert house.sessions._touches.urgent == 1
    house.sessions.write_behind(10)
    await house.settle()

    touch = house.writer.of(TouchSession)[-1]
    assert touch.deadline == session.deadline
    assert house.sessions._touches.urgent == 0


@on_event_loop
async def test_rows_written_behind_are_coalesced_and_have_a_budget() -> None:
    house = House()
    product = await house.add_product()
    devices = [await house.add_device(product, imei=f"86000000000010{number}") for number in range(5)]
    for number, device in enumerate(devices):
        await house.register(device, remote=Remote(b"%d" % number))
    house.sessions.write_behind(100)
    for _ in range(10):
        for number, device in enumerate(devices):
            await house.update(device, remote=Remote(b"new %d" % number))

    assert house.sessions.write_behind(3) == 3
    assert house.sessions.write_behind(3) == 2
    assert house.sessions.write_behind(3) == 0


@on_event_loop
async def test_changed_lifetime_is_on_disk_before_the_answer() -> None:
    house, _, device = await house_with_device()
    answers: list[Session | SessionRefusal] = []

    house.sessions.update(RegistrationUpdate(location=IMEI, lifetime_s=600), HERE, answers.append)
    assert answers == []
    await house.settle()

    assert isinstance(answers[0], Session)
    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.lifetime_s == 600
    assert stored.deadline == house.clock.wall_ms() + 600_000
    assert len(house.writer.of(ChangeSession)) == 1


@on_event_loop
async def test_unknown_and_expired_sessions_are_not_found() -> None:
    """SB 1.5: then the device registers anew."""
    house, _, device = await house_with_device(is_registered=False)
    for location in ("unknown", "x" * 500, IMEI):
        assert await send_update(house, RegistrationUpdate(location=location)) is SessionRefusal.NOT_FOUND
    await house.register(device, lifetime_s=60)
    await house.advance(60)

    assert await send_update(house, RegistrationUpdate(location=IMEI)) is SessionRefusal.NOT_FOUND
    assert await house.do(house.sessions.deregister(IMEI, None, HERE)) is SessionRefusal.NOT_FOUND


@on_event_loop
async def test_leaving_ends_the_session_on_disk_and_in_memory() -> None:
    house, product, device = await house_with_device()

    left = await house.do(house.sessions.deregister(IMEI, None, THERE))

    assert isinstance(left, Session)
    assert await house.store.find_session(device.id) is None
    assert len(house.sessions) == 0
    view = await house.do(house.devices.get(product, device.id))
    assert not view.is_online


@on_event_loop
async def test_deleted_device_hears_of_it_at_its_next_update() -> None:
    house, product, device = await house_with_device()

    await house.do(house.devices.remove(product, device.id))

    assert await send_update(house, RegistrationUpdate(location=IMEI)) is SessionRefusal.NOT_FOUND
    assert len(house.sessions) == 0


# --- notifications ---------------------------------------------------------------------------------------------------


async def observed(house: House, device: Device) -> tuple[Session, Observation]:
    session = house.sessions.find(device.id)
    assert session is not None
    token = house.ids.new_coap_token(device.id)
    observation = Observation(coap_token=token, path=ResourcePath(object_id=3303), is_automatic=False)
    assert await house.do(house.sessions.add_observation(session, observation))
    return session, observation


def _never() -> None:
    raise AssertionError("the store could be asked")


@on_event_loop
async def test_notification_moves_the_address_and_not_the_deadline() -> None:
    """SB 0.8."""
    house, _, device = await house_with_device()
    session, observation = await observed(house, device)
    deadline = session.deadline
    await house.advance(50)
    heard: list[object] = []

    house.sessions.hear_notification(observation.coap_token, THERE, heard.append, _never)

    assert heard == [(session, observation)]
    assert (session.remote, session.deadline) == (THERE, deadline)
    assert session.last_heard_at == house.clock.wall_ms()


@on_event_loop
async def test_unknown_token_and_offline_device_ask_for_a_reset() -> None:
    house, _, device = await house_with_device()
    session, observation = await observed(house, device)
    heard: list[object] = []

    house.sessions.hear_notification(b"", HERE, heard.append, _never)
    house.sessions.hear_notification(b"short", HERE, heard.append, _never)
    house.sessions.hear_notification(observation.coap_token[:4] + b"none", HERE, heard.append, _never)
    house.sessions.hear_notification(b"\xff" * 8, HERE, heard.append, _never)
    session.deadline = Instant(house.clock.wall_ms())
    house.sessions.hear_notification(observation.coap_token, HERE, heard.append, _never)
    await house.settle()

    assert heard == [None] * 5


@on_event_loop
async def test_a_sender_is_known_by_its_address() -> None:
    """Refreshes when it was last heard, and not the deadline: only REGISTER and UPDATE do (SB 0.8)."""
    house, _, device = await house_with_device()
    session = house.sessions.find(device.id)
    assert session is not None
    deadline = session.deadline
    await house.advance(50)

    assert await sender(house, HERE) is session
    assert await sender(house, THERE) is None
    assert (session.last_heard_at, session.deadline) == (house.clock.wall_ms(), deadline)
    session.deadline = house.clock.wall_ms()
    assert await sender(house, HERE) is None


@on_event_loop
async def test_a_sender_is_known_by_its_address_after_a_restart() -> None:
    """No other uplink has to come before it; a session whose time is over is not found."""
    house, _, device = await house_with_device()
    await house.sessions.flush()
    again = house.restarted()

    found = await sender(again, HERE)

    assert found is not None and found.device_id == device.id
    assert found is again.sessions.find(device.id)
    assert found.last_heard_at == again.clock.wall_ms()
    assert await sender(again, THERE) is None
    late = again.restarted()
    await late.advance(2 * found.lifetime_s)
    assert await sender(late, HERE) is None


@on_event_loop
async def test_who_has_left_an_address_does_not_send_from_it() -> None:
    """Memory knows it before the disk does: the next at that address is not taken for the device."""
    house, _, device = await house_with_device()
    await house.sessions.flush()
    again = house.restarted()
    await sender(again, HERE)
    moved: list[object] = []
    again.sessions.update(RegistrationUpdate(location=str(device.imei)), THERE, moved.append)
    await again.settle()

    assert await sender(again, HERE) is None
    assert moved == [await sender(again, THERE)]


@on_event_loop
async def test_where_the_store_cannot_be_read_a_sender_is_asked_to_come_again() -> None:
    """4.04 would make it register anew."""
    house, _, _ = await house_with_device()
    again = House(before=house, session_settings=SessionSettings(loads_max=1))
    heard: list[str] = []

    def hear() -> None:
        again.sessions.hear_sender(HERE, lambda _session: heard.append("found"), lambda: heard.append("later"))

    hear()
    hear()
    at_once = list(heard)
    await again.settle()

    assert at_once == ["later"]
    assert heard == ["later", "found"]


@on_event_loop
async def test_observation_outlives_a_restart() -> None:
    """Design 5; the session is read once for a burst."""
    house, _, device = await house_with_device()
    _, observation = await observed(house, device)
    again = house.restarted()
    heard: list[object] = []

    for _ in range(5):
        again.sessions.hear_notification(observation.coap_token, THERE, heard.append, _never)
    assert heard == []
    await again.settle()

    session = again.sessions.find(device.id)
    assert heard == [(session, observation)] * 5
    assert session is not None
    assert session.remote == THERE


@on_event_loop
async def test_loads_are_bounded_and_the_rest_is_as_if_lost() -> None:
    """A careless RST would stop a real device, so none is asked for."""
    house = House(session_settings=SessionSettings(loads_max=4, load_waiters_max=2))
    heard: list[object] = []
    declined: list[None] = []

    for number in range(100):
        house.sessions.hear_notification(
            number.to_bytes(4, "big") + b"1234", HERE, heard.append, lambda: declined.append(None)
        )
    for _ in range(10):
        house.sessions.hear_notification(bytes(4) + b"1234", HERE, heard.append, lambda: declined.append(None))
    await house.settle()

    assert heard == [None] * 5
    assert len(declined) == 105
    assert house.events.count("session_load_refused") == 105


# --- addresses -------------------------------------------------------------------------------------------------------


async def two_devices() -> tuple[House, Product, Device, Device]:
    house, product, first = await house_with_device()
    second = await house.add_device(product, imei=OTHER_IMEI)
    await house.register(second, remote=THERE)
    return house, product, first, second


@on_event_loop
async def test_two_devices_that_swap_addresses_both_end_up_right() -> None:
    """SB 2.2: the newest wins, twice."""
    house, _, first, second = await two_devices()

    await house.update(first, remote=THERE)
    await house.update(second, remote=HERE)

    sessions = house.sessions.find(first.id), house.sessions.find(second.id)
    assert [session and session.remote for session in sessions] == [THERE, HERE]
    house.sessions.write_behind(10)
    await house.settle()
    stored = await house.store.find_session(first.id), await house.store.find_session(second.id)
    assert [session and session.remote for session in stored] == [THERE, HERE]


@on_event_loop
async def test_flight_to_an_address_that_another_took_ends_addr_occupied() -> None:
    """A failure by silence: the run stops, the command waits for its device's next uplink."""
    house, product, first, second = await two_devices()
    command = await house.submit(product, first, execute(1))
    await house.update(first)

    await house.update(second, remote=HERE)
    record = (await house.look(product, command)).command
    assert (record.state, record.outcome) == (CommandState.WAITING, Outcome.ADDR_OCCUPIED)
    assert len(house.downlink.abandoned) == 1
    await house.update(first, remote=THERE)

    assert [sent.remote for _, sent in house.downlink.sent] == [HERE, THERE]


@on_event_loop
async def test_address_left_behind_is_forgotten_by_the_driver() -> None:
    house, _, device = await house_with_device()

    await house.update(device, remote=THERE)

    assert house.downlink.forgotten == [HERE]


@on_event_loop
async def test_stored_address_that_another_was_heard_from_since_is_not_taken_over() -> None:
    house, _, first, second = await two_devices()
    again = house.restarted()
    await again.advance(1)
    await again.update(second, remote=HERE)

    loaded = await again.do(again.sessions.load(first.id))

    assert loaded is not None
    assert loaded.remote is None
    owner = again.sessions.find(second.id)
    assert owner is not None
    assert owner.remote == HERE


# --- restarts and the sweep ------------------------------------------------------------------------------------------


@on_event_loop
async def test_sessions_of_another_run_get_a_quarter_of_slack() -> None:
    """Design 4: the disk may lag, and no device may be falsely offline."""
    house, _, device = await house_with_device(is_registered=False)
    await house.register(device, lifetime_s=100)
    again = house.restarted()
    await again.advance(124)
    assert await again.do(again.sessions.sweep(again.clock.wall_ms())) == 0
    assert again.sessions.find(device.id) is not None
    await again.advance(1)

    assert await again.do(again.sessions.sweep(again.clock.wall_ms())) == 1
    assert len(again.sessions) == 0
    assert await again.store.find_session(device.id) is None


@on_event_loop
async def test_sweep_ends_what_is_over_and_leaves_what_only_lags_on_disk() -> None:
    house, product, first = await house_with_device(is_registered=False)
    second = await house.add_device(product, imei=OTHER_IMEI)
    await house.register(first, lifetime_s=100)
    await house.register(second, remote=THERE, lifetime_s=100)
    await house.advance(20)
    await house.update(second, remote=THERE)
    await house.advance(80)

    assert await house.do(house.sessions.sweep(house.clock.wall_ms())) == 1

    assert house.sessions.find(first.id) is None
    session = house.sessions.find(second.id)
    assert session is not None
    house.sessions.write_behind(10)
    await house.settle()
    stored = await house.store.find_session(second.id)
    assert stored is not None
    assert stored.deadline == session.deadline


@on_event_loop
async def test_everything_behind_is_written_at_the_end_of_a_run() -> None:
    house, _, device = await house_with_device()
    await house.update(device, remote=THERE)

    await house.do(house.sessions.flush())

    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.remote == THERE


@on_event_loop
async def test_flush_on_a_stopped_writer_says_so() -> None:
    house, _, device = await house_with_device()
    await house.update(device, remote=THERE)
    house.writer.is_stopped = True

    with pytest.raises(StoreUnavailable):
        await house.sessions.flush()


@on_event_loop
async def test_registrations_in_a_row_leave_one_session_and_one_of_each_index() -> None:
    """Bounded by the number of devices."""
    house = House(dispatcher_settings=BARE)
    product = await house.add_product()
    device = await house.add_device(product)

    for number in range(50):
        await house.register(device, remote=Remote(b"%d" % number))

    table = house.sessions._table
    assert len(table) == len(table._by_location) == len(table._by_remote) == 1
    assert house.dispatcher.lanes_open == 0
