"""Updates that say something new: on disk before they are answered and before they hold, one after the other."""

from commandpost.domain.facts import Priority
from commandpost.domain.resource import DiscoveredInstance, DiscoveredObject, ObjectLinkEntry
from commandpost.domain.session import Session
from commandpost.domain.session_facts import ChangeSession, StartSession
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal
from tests.event_loop import on_event_loop
from tests.unit.services.house import HERE, IMEI, IMSI, THERE, House, house_with_device

DEVICE_ONLY = (ObjectLinkEntry(3, 0),)
WITH_TEMPERATURE = (ObjectLinkEntry(3, 0), ObjectLinkEntry(3303, 0))
NEW_OBJECTS = RegistrationUpdate(location=IMEI, links=WITH_TEMPERATURE)


def listed(*object_ids: int) -> tuple[DiscoveredObject, ...]:
    """What is known of objects with one instance each that nobody has asked about."""
    return tuple(DiscoveredObject(each, (DiscoveredInstance(0, ()),)) for each in object_ids)


def begin(house: House, update: RegistrationUpdate, answers: list[Session | SessionRefusal]) -> None:
    """Have an update arrive; its answer comes to the list."""
    house.sessions.update(update, HERE, answers.append)


async def registered() -> tuple[House, Session]:
    """A device that has registered with one object."""
    house, _, device = await house_with_device(is_registered=False)
    return house, await house.register(device, links=DEVICE_ONLY)


@on_event_loop
async def test_listed_objects_are_known_before_the_registration_is_answered() -> None:
    """Design 4, in the same commit: whoever sees the 2.01 may ask for them."""
    house, _, device = await house_with_device(is_registered=False)
    house.writer.overloaded = {Priority.BEHIND, Priority.ACCEPT}
    commits = house.writer.commits
    registration = Registration(endpoint_name=f"{IMEI};{IMSI}", lifetime_s=100, links=WITH_TEMPERATURE)

    answer = await house.do(house.sessions.register(registration, HERE))

    assert isinstance(answer, Session)
    assert await house.store.list_resources(device.id) == listed(3, 3303)
    assert (house.writer.commits, len(house.writer.of(StartSession))) == (commits + 1, 1)


@on_event_loop
async def test_changed_objects_are_known_before_the_update_is_answered() -> None:
    """The same, for 2.04."""
    house, session = await registered()
    house.writer.overloaded = {Priority.BEHIND, Priority.ACCEPT}
    commits = house.writer.commits
    answers: list[Session | SessionRefusal] = []

    begin(house, NEW_OBJECTS, answers)
    await house.settle()

    assert answers == [session]
    assert await house.store.list_resources(session.device_id) == listed(3, 3303)
    assert house.writer.commits == commits + 1


@on_event_loop
async def test_a_change_that_could_not_be_written_is_written_at_the_next_try() -> None:
    """After a 5.03 nothing has changed, so the repeated update is no plain one."""
    house, session = await registered()
    before = session.links, session.pending_setup, session.stored_deadline
    answers: list[Session | SessionRefusal] = []

    house.writer.failing.add(ChangeSession)
    begin(house, NEW_OBJECTS, answers)
    await house.settle()
    after_failure = session.links, session.pending_setup, session.stored_deadline
    house.writer.failing.clear()
    begin(house, NEW_OBJECTS, answers)
    await house.settle()

    assert answers == [SessionRefusal.UNAVAILABLE, session]
    assert after_failure == before
    stored = await house.store.find_session(session.device_id)
    assert stored is not None
    assert stored.links == session.links == WITH_TEMPERATURE
    assert stored.pending_setup == session.pending_setup


@on_event_loop
async def test_changes_of_one_device_at_once_are_all_kept() -> None:
    """Each is made from what the one before has left, in memory and on disk."""
    house, session = await registered()
    answers: list[Session | SessionRefusal] = []

    begin(house, NEW_OBJECTS, answers)
    begin(house, RegistrationUpdate(location=IMEI, lifetime_s=600), answers)
    begin(house, RegistrationUpdate(location=IMEI, binding="UQ"), answers)
    await house.settle()

    assert answers == [session] * 3
    stored = await house.store.find_session(session.device_id)
    assert stored is not None
    for each in (stored, session):
        assert (each.links, each.lifetime_s, each.binding) == (WITH_TEMPERATURE, 600, "UQ")
    assert stored.deadline == session.deadline == session.stored_deadline


@on_event_loop
async def test_an_update_is_plain_only_if_it_says_what_holds_now_and_what_is_being_written() -> None:
    """A repeated one waits for the disk, one that takes the change back is not lost, and a bare one is answered."""
    house, session = await registered()
    house.writer.is_held = True
    answers: list[Session | SessionRefusal] = []

    begin(house, NEW_OBJECTS, answers)
    await house.settle()
    begin(house, NEW_OBJECTS, answers)
    begin(house, RegistrationUpdate(location=IMEI, links=DEVICE_ONLY), answers)
    assert answers == []
    begin(house, RegistrationUpdate(location=IMEI), answers)
    assert answers == [session]
    house.writer.release()
    await house.settle()

    assert answers == [session] * 4
    stored = await house.store.find_session(session.device_id)
    assert stored is not None
    assert stored.links == session.links == DEVICE_ONLY
    assert len(house.writer.of(ChangeSession)) == 2


@on_event_loop
async def test_what_was_heard_while_a_change_is_being_written_holds() -> None:
    """The change is put on the session as it is by then."""
    house, session = await registered()
    house.writer.is_held = True
    answers: list[Session | SessionRefusal] = []
    begin(house, NEW_OBJECTS, answers)
    await house.settle()

    house.sessions.update(RegistrationUpdate(location=IMEI), THERE, answers.append)
    house.writer.release()
    await house.settle()

    assert answers == [session, session]
    assert (session.remote, session.links) == (THERE, WITH_TEMPERATURE)
    house.sessions.write_behind(10)
    await house.settle()
    stored = await house.store.find_session(session.device_id)
    assert stored is not None
    assert (stored.remote, stored.deadline) == (THERE, session.deadline)


@on_event_loop
async def test_a_session_that_ends_while_its_change_is_being_written_is_not_found() -> None:
    """The device registers anew."""
    house, session = await registered()
    house.writer.is_held = True
    answers: list[Session | SessionRefusal] = []
    begin(house, NEW_OBJECTS, answers)
    await house.settle()

    house.sessions.forget_device(session.device_id)
    house.writer.release()
    await house.settle()

    assert answers == [SessionRefusal.NOT_FOUND]
