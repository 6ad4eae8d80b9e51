"""The steps after a registration: their order, their time, what silence does, what is kept."""

import asyncio

from commandpost.domain.command import CommandState, Outcome, Trigger
from commandpost.domain.device import Device, Product
from commandpost.domain.operation import Discover, Lwm2mOperation, Observe, Read
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectInstance,
    ObjectLinkEntry,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.domain.session import Session
from commandpost.services.dispatcher import DispatcherSettings
from commandpost.services.products import ProductSettings
from commandpost.services.sessions import Registration, RegistrationUpdate
from commandpost.services.setup import READ_DEVICE
from tests.event_loop import on_event_loop
from tests.unit.services.house import BARE, HERE, IMEI, IMSI, THERE, House, execute

LINKS = (
    ObjectLinkEntry(0, 0),
    ObjectLinkEntry(3, 0),
    ObjectLinkEntry(3303, 0),
    ObjectLinkEntry(3303, 1),
    ObjectLinkEntry(3306),
)


def observe(object_id: int, instance_id: int) -> Observe:
    return Observe(path=ResourcePath(object_id=object_id, instance_id=instance_id))


def discover(object_id: int) -> Discover:
    return Discover(path=ResourcePath(object_id=object_id))


READ_3_0 = Read(path=ResourcePath(object_id=3, instance_id=0))
ALL_STEPS: list[Lwm2mOperation] = [
    observe(3303, 0),
    observe(3303, 1),
    discover(3),
    discover(3303),
    discover(3306),
    READ_3_0,
]


async def a_house(
    *, settings: DispatcherSettings = BARE, is_auto_discovered: bool = True, is_auto_observed: bool = True
) -> tuple[House, Product, Device]:
    house = House(dispatcher_settings=settings)
    product = await house.add_product(settings=ProductSettings(is_auto_discovered=is_auto_discovered))
    device = await house.add_device(product, is_auto_observed=is_auto_observed)
    return house, product, device


async def answer_all(house: House, device: Device) -> None:
    while not house.is_quiet(device.id):
        house.downlink.answer(device.id)
        await house.settle()


@on_event_loop
async def test_steps_go_one_by_one_in_the_documented_order() -> None:
    """SB 1.6: observe each instance of objects not excluded, discover each object, read /3/0."""
    house, _, device = await a_house()

    session = await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)

    assert house.downlink.operations() == ALL_STEPS
    assert session.pending_setup == ()
    stored = await house.store.find_device(device.id)
    assert stored is not None
    assert stored.is_setup_done
    assert [kept.path for kept in session.observations] == [
        ResourcePath(object_id=3303, instance_id=0),
        ResourcePath(object_id=3303, instance_id=1),
    ]
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_device_and_product_decide_what_is_asked() -> None:
    """`obsv` is per device, auto-discover per product, off by default; /3/0 is read always."""
    house, _, device = await a_house(is_auto_discovered=False, is_auto_observed=False)

    await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)

    assert house.downlink.operations() == [READ_3_0]


@on_event_loop
async def test_token_of_an_observation_is_on_disk_before_the_observe_leaves() -> None:
    """Design 5: an unknown token would be answered with a RST, which stops real devices."""
    house, _, device = await a_house()
    await house.register(device, links=LINKS, is_set_up=False)

    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.find_observation(house.downlink.sent[0][1].coap_token) is not None


@on_event_loop
async def test_error_answers_never_stop_it_and_a_refused_observation_is_forgotten() -> None:
    """CIS answers 4.05 to many of these."""
    house, _, device = await a_house()

    session = await house.register(device, links=LINKS, is_set_up=False)
    while not house.is_quiet(device.id):
        house.downlink.answer_badly(device.id)
        await house.settle()

    assert house.downlink.operations() == ALL_STEPS
    assert session.observations == ()
    assert session.pending_setup == ()


@on_event_loop
async def test_first_request_waits_for_the_device_to_take_in_our_answer() -> None:
    """SB 1.6: modules ignore what comes before they are registered."""
    house, _, device = await a_house(settings=DispatcherSettings(setup_delay_ms=250))

    await house.register(device, links=LINKS, is_set_up=False)
    assert house.downlink.sent == []
    await house.advance(0.25)

    assert house.downlink.operations() == ALL_STEPS[:1]


@on_event_loop
async def test_two_silences_in_a_row_postpone_the_rest_to_the_next_uplink() -> None:
    """SB 4.4, 1.6; what met silence is asked again then."""
    house, _, device = await a_house()
    session = await house.register(device, links=LINKS, is_set_up=False)
    house.downlink.answer(device.id)
    await house.settle()

    for _ in range(2):
        house.downlink.stay_silent(device.id)
        await house.settle()
    assert house.is_quiet(device.id)
    assert len(house.downlink.sent) == 3
    assert house.dispatcher.lanes_open == 0
    await house.notify(device)
    await answer_all(house, device)

    assert house.downlink.operations()[3:] == ALL_STEPS[1:]
    assert session.pending_setup == ()


@on_event_loop
async def test_step_that_alone_meets_silence_is_given_up() -> None:
    """A device may ignore one request for ever; that must not be asked at every uplink."""
    house, _, device = await a_house()
    session = await house.register(device, links=LINKS, is_set_up=False)

    house.downlink.stay_silent(device.id)
    await house.settle()
    await answer_all(house, device)

    assert session.pending_setup == ()
    assert house.downlink.operations() == ALL_STEPS


@on_event_loop
async def test_steps_have_their_own_short_deadline() -> None:
    """Design 3: 8 s."""
    house, _, device = await a_house()

    await house.register(device, links=LINKS, is_set_up=False)

    assert house.downlink.sent[0][1].deadline == house.clock.monotonic() + 8.0


@on_event_loop
async def test_setup_goes_before_cached_commands() -> None:
    """SB 8: after REGISTER, released commands go when setup is through."""
    house, product, device = await a_house()
    await house.submit(product, device, execute(1))

    await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)

    assert house.downlink.operations() == [*ALL_STEPS, execute(1)]


@on_event_loop
async def test_after_its_budget_cached_commands_go_first() -> None:
    """Design 3: 10 s; the rest of setup follows."""
    house, product, device = await a_house()
    await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))

    await house.register(device, links=LINKS, is_set_up=False)
    for _ in range(2):
        await house.advance(5.5)
        house.downlink.answer(device.id)
        await house.settle()
    await answer_all(house, device)

    assert house.downlink.operations() == [*ALL_STEPS[:2], execute(1), execute(2), *ALL_STEPS[2:]]


@on_event_loop
async def test_cached_commands_go_first_where_that_is_wished() -> None:
    """SB 2.5: an option for devices with a short window."""
    house, product, device = await a_house(settings=DispatcherSettings(setup_delay_ms=0, cached_before_setup=True))
    await house.submit(product, device, execute(1))

    await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)

    assert house.downlink.operations() == [execute(1), *ALL_STEPS]


@on_event_loop
async def test_cached_commands_still_go_when_setup_met_silence() -> None:
    """Their trigger has happened; the first silence stops their run."""
    house, product, device = await a_house()
    command = await house.submit(product, device, execute(1), triggers=Trigger.REGISTER)

    await house.register(device, links=LINKS, is_set_up=False)
    for _ in range(2):
        house.downlink.stay_silent(device.id)
        await house.settle()
    house.downlink.answer(device.id)
    await house.settle()

    assert (await house.look(product, command)).command.state is CommandState.SUCCEEDED


@on_event_loop
async def test_instant_commands_go_in_between() -> None:
    """SB 2.4: they pre-empt between requests, never within one."""
    house, product, device = await a_house()
    await house.register(device, links=LINKS, is_set_up=False)

    task = await house.begin_instant(product, device, execute(9))
    assert len(house.downlink.sent) == 1
    house.downlink.answer(device.id)
    await house.settle()
    assert house.downlink.last_operation() == execute(9)
    house.downlink.answer(device.id)
    await house.settle()

    assert (await task).outcome is Outcome.SUCCESS
    assert house.downlink.last_operation() == ALL_STEPS[1]


@on_event_loop
async def test_pending_steps_survive_a_restart() -> None:
    """They stand in the store, and are resumed at the next uplink."""
    house, _, device = await a_house()
    await house.register(device, links=LINKS, is_set_up=False)
    house.downlink.answer(device.id)
    await house.settle()

    again = house.restarted()
    await again.do(again.dispatcher.recover())
    assert again.downlink.sent == []
    await again.update(device)
    await answer_all(again, device)

    assert again.downlink.operations() == ALL_STEPS[1:]


@on_event_loop
async def test_new_registration_begins_anew() -> None:
    """The old exchange is abandoned, the observations are gone."""
    house, _, device = await a_house()
    await house.register(device, links=LINKS, is_set_up=False)
    house.downlink.answer(device.id)
    await house.settle()
    in_flight = house.downlink.sent[-1][1].attempt_id

    session = await house.register(device, remote=THERE, links=LINKS[2:3], is_set_up=False)
    await answer_all(house, device)

    assert house.downlink.abandoned == [in_flight]
    assert house.downlink.operations()[2:] == [observe(3303, 0), discover(3303), READ_3_0]
    assert len(session.observations) == 1


@on_event_loop
async def test_discover_and_device_object_are_kept() -> None:
    """NB 3.2, 4.6."""
    house, product, device = await a_house(is_auto_observed=False)
    await house.register(device, links=(ObjectLinkEntry(3303, 0),), is_set_up=False)

    found = DiscoveredObject(3303, (DiscoveredInstance(0, (5700, 5701)),))
    house.downlink.answer(device.id, result=found)
    await house.settle()
    texts = tuple(Resource(n, ResourceValue(ValueType.STRING, text)) for n, text in ((0, "Maker"), (1, "M" * 99)))
    house.downlink.answer(device.id, result=ObjectValues(3, (ObjectInstance(0, texts),)))
    await house.settle()

    view = await house.do(house.devices.get(product, device.id))
    assert view.resources == (found,)
    assert (view.device.manufacturer, view.device.model) == ("Maker", "M" * 32)


async def update_links(house: House, device: Device, links: tuple[ObjectLinkEntry, ...]) -> Session:
    answers: list[object] = []
    assert device.imei is not None
    update = RegistrationUpdate(location=device.imei, links=links)
    house.sessions.update(update, HERE, answers.append)
    assert answers == []  # it has to be on disk first
    await house.settle()
    (session,) = answers
    assert isinstance(session, Session)
    house.dispatcher.uplink(session, Trigger.UPDATE)
    await house.settle()
    return session


@on_event_loop
async def test_update_with_objects_sets_up_the_added_and_forgets_the_removed() -> None:
    """SB 1.5."""
    house, product, device = await a_house()
    await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)
    asked = len(house.downlink.sent)

    session = await update_links(house, device, (ObjectLinkEntry(3303, 1), ObjectLinkEntry(3304, 0)))
    await answer_all(house, device)

    assert house.downlink.operations()[asked:] == [observe(3304, 0), discover(3304)]
    assert [kept.path.object_id for kept in session.observations] == [3303, 3304]
    resources = (await house.do(house.devices.get(product, device.id))).resources
    assert [(thing.object_id, [instance.id for instance in thing.instances]) for thing in resources] == [
        (3303, [1]),
        (3304, [0]),
    ]
    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.links == session.links
    assert stored.observations == session.observations


@on_event_loop
async def test_objects_that_come_during_setup_join_it() -> None:
    """Nothing is asked twice, nothing is lost."""
    house, _, device = await a_house()
    session = await house.register(device, links=LINKS[2:3], is_set_up=False)
    assert session.pending_setup[-1] == READ_DEVICE

    await update_links(house, device, LINKS[2:4])
    await answer_all(house, device)

    assert sorted(map(str, house.downlink.operations())) == sorted(
        map(str, [observe(3303, 0), observe(3303, 1), discover(3303), READ_3_0])
    )


@on_event_loop
async def test_step_in_flight_when_another_takes_the_address_is_done_later() -> None:
    """It was not the device's silence."""
    house, product, device = await a_house(is_auto_discovered=False, is_auto_observed=False)
    other = await house.add_device(product, imei="860000000000002")
    session = await house.register(device, links=LINKS, is_set_up=False)

    await house.register(other, remote=HERE)
    assert list(session.pending_setup) == [READ_DEVICE]
    await house.update(device, remote=THERE)
    await answer_all(house, device)

    assert house.downlink.operations() == [READ_3_0, READ_3_0]
    assert list(session.pending_setup) == []


@on_event_loop
async def test_observation_overtaken_by_a_registration_does_not_leave_under_the_old_token() -> None:
    """The registration dropped it from the disk."""
    house, _, device = await a_house(is_auto_discovered=False)
    house.writer.is_held = True
    registering = asyncio.ensure_future(
        house.sessions.register(Registration(endpoint_name=f"{IMEI};{IMSI}", lifetime_s=60, links=LINKS), HERE)
    )
    await house.settle()
    house.writer.commit()
    await house.settle()
    first = await registering
    assert isinstance(first, Session)
    house.dispatcher.uplink(first, Trigger.REGISTER)
    await house.settle()  # the first token is on its way to the disk
    house.writer.is_held = False
    house.scheduler.call_soon(house.writer.commit)

    second = await house.register(device, links=LINKS, is_set_up=False)
    await answer_all(house, device)

    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.observations == second.observations
    assert len(second.observations) == 2
