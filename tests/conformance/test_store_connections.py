"""What every store does with connections over MQTT and EDP."""

from dataclasses import replace

import pytest

from commandpost.domain.command import Command, Transport
from commandpost.domain.device import Device, DeviceFilter
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.events import EventKind
from commandpost.domain.facts import DeleteDevice, NotClaimed
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.payload_facts import EndConnection, EndStaleConnections, NoteHeard, StartConnection
from commandpost.domain.ports import Page
from commandpost.domain.session_facts import (
    AddObservation,
    ChangeSession,
    EndSession,
    KeepSetup,
    StartSession,
    TouchSession,
)
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

OTHER_RUN = StartId(8)


def read_device(store: StoreHarness, device: Device) -> Device:
    """The device a reader finds."""
    record = store.ask(store.reader.find_device(device.id))
    assert record is not None
    return record


def is_online(store: StoreHarness, device: Device) -> bool:
    """Whether a reader takes it for online."""
    return device.id in store.ask(store.reader.online_among([device.id]))


def end(device: Device, epoch: int = 1, *, when: int = 9_000, heard: int = 8_000) -> EndConnection:
    """The end of a connection."""
    return EndConnection(device_id=device.id, epoch=epoch, at=build.at(when), last_heard_at=build.at(heard))


class TestStart:
    def test_the_device_is_online_heard_and_activated(self, store: StoreHarness) -> None:
        device = store.make_connecting_device()

        epoch = store.apply(StartConnection(connection=payloads.connection(device, connected=5)))

        after = read_device(store, device)
        assert (epoch, is_online(store, device)) == (1, True)
        assert (after.last_heard_at, after.activated_at) == (build.at(5), build.at(5))

    def test_each_connection_has_the_next_epoch_and_the_first_activates(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        store.apply(end(device))

        epochs = [store.apply(StartConnection(connection=payloads.connection(device, connected=n))) for n in (5, 6)]

        assert epochs == [2, 3]
        assert read_device(store, device).activated_at == build.at(0)

    @pytest.mark.parametrize("transport", [Transport.MQTT, Transport.EDP])
    def test_each_transport_of_payloads_may_connect(self, store: StoreHarness, transport: Transport) -> None:
        device = store.make_connecting_device()

        assert store.apply(StartConnection(connection=replace(payloads.connection(device), transport=transport))) == 1

    def test_an_lwm2m_connection_is_refused(self, store: StoreHarness) -> None:
        connection = replace(payloads.connection(store.make_connecting_device()), transport=Transport.LWM2M)

        with pytest.raises(StoreUnavailable):
            store.apply(StartConnection(connection=connection))

    def test_a_device_that_is_gone_does_not_connect(self, store: StoreHarness) -> None:
        device = store.make_connecting_device()
        elsewhere = replace(device, product_id=store.make_product("other"))
        unknown = replace(device, id=DeviceId(99))

        results = [store.apply(StartConnection(connection=payloads.connection(each))) for each in (elsewhere, unknown)]

        assert results == [None, None]

    def test_the_outbox_hears_of_it_once(self, store: StoreHarness) -> None:
        device = store.make_connecting_device()
        store.subscribe(device.product_id)
        for number in (1, 2):
            store.apply(StartConnection(connection=payloads.connection(device, connected=number)))

        (event,) = store.outbox()

        assert (event.kind, event.device_id, event.at) == (EventKind.ONLINE_STATE, device.id, build.at(1))
        assert event.is_online is True

    def test_nothing_is_left_of_an_lwm2m_session(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(AddObservation(device_id=device.id, epoch=1, observation=build.observation(1)))

        assert store.apply(StartConnection(connection=payloads.connection(device))) == 2

        assert store.ask(store.reader.find_session(device.id)) is None
        assert store.ask(store.reader.find_session_by_location(str(device.imei))) is None
        assert is_online(store, device)


class TestEnd:
    def test_the_device_is_offline_and_the_outbox_hears_of_it(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        store.subscribe(device.product_id)

        results = [store.apply(end(device)), store.apply(end(device))]

        (event,) = store.outbox()
        assert results == [True, False]
        assert (is_online(store, device), read_device(store, device).last_heard_at) == (False, build.at(8_000))
        assert (event.kind, event.at, event.is_online) == (EventKind.ONLINE_STATE, build.at(9_000), False)

    def test_the_end_of_a_former_connection_ends_nothing(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        store.apply(StartConnection(connection=payloads.connection(device)))

        assert store.apply(end(device, epoch=1)) is False
        assert is_online(store, device)

    def test_when_it_was_heard_is_noted_for_the_present_connection_only(self, store: StoreHarness) -> None:
        device = store.make_connected_device()

        for epoch, heard in ((1, 5), (2, 6)):
            note = NoteHeard(device_id=device.id, epoch=epoch, last_heard_at=build.at(heard))
            assert store.apply(note) is None

        assert read_device(store, device).last_heard_at == build.at(5)

    def test_a_list_of_devices_tells_online_and_heard(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        store.make_connecting_device(device.product_id, "sn-2")
        store.apply(NoteHeard(device_id=device.id, epoch=1, last_heard_at=build.at(5)))

        listed = store.ask(
            store.reader.list_devices(device.product_id, DeviceFilter(is_online=True), Page(number=1, size=9))
        )

        assert listed == (1, (replace(device, activated_at=build.at(0), last_heard_at=build.at(5)),))


class TestStale:
    def test_connections_of_other_runs_end_and_are_told(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        stale = [store.make_connected_device(product_id, f"sn-{number}") for number in range(3)]
        present = store.make_connecting_device(product_id, "present")
        store.apply(StartConnection(connection=payloads.connection(present, start_id=OTHER_RUN)))
        store.subscribe(product_id)
        fact = EndStaleConnections(start_id=OTHER_RUN, at=build.at(9), limit=2)

        counts = [store.apply(fact) for _ in range(3)]

        assert counts == [2, 1, 0]
        assert [(event.device_id, event.is_online, event.at) for event in store.outbox()] == [
            (device.id, False, build.at(9)) for device in stale
        ]
        assert store.ask(store.reader.online_among([each.id for each in (*stale, present)])) == {present.id}

    def test_of_runs_with_a_higher_number_too(self, store: StoreHarness) -> None:
        """A database may have been put back from a backup; numbers need not ascend then."""
        device = store.make_connecting_device()
        store.apply(StartConnection(connection=payloads.connection(device, start_id=OTHER_RUN)))

        assert store.apply(EndStaleConnections(start_id=build.START, at=build.at(9), limit=9)) == 1
        assert not is_online(store, device)

    def test_lwm2m_sessions_stay(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        assert store.apply(EndStaleConnections(start_id=OTHER_RUN, at=build.at(9), limit=9)) == 0
        assert is_online(store, device)


class TestApart:
    """Sessions and connections share their epoch, and nothing else."""

    def test_questions_about_sessions_never_see_a_connection(self, store: StoreHarness) -> None:
        device = store.make_connected_device()

        assert store.ask(store.reader.find_session(device.id)) is None
        assert store.ask(store.reader.overdue_sessions(build.at(10**12), 9)) == ()
        assert store.ask(store.reader.sessions_in_setup(DeviceId(0), 9)) == ()

    def test_facts_about_sessions_leave_a_connection_alone(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        session = build.session(device, epoch=1)
        touch = TouchSession(
            device_id=device.id, epoch=1, remote=None, last_heard_at=build.at(5), deadline=session.deadline
        )

        results = [
            store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1))),
            store.apply(ChangeSession(session=session)),
            store.apply(AddObservation(device_id=device.id, epoch=1, observation=build.observation(1))),
        ]
        store.apply(touch)
        store.apply(KeepSetup(device_id=device.id, epoch=1, pending=()))

        after = read_device(store, device)
        assert results == [False, False, False]
        assert (after.last_heard_at, after.is_setup_done, is_online(store, device)) == (build.at(0), False, True)

    def test_facts_about_connections_leave_a_session_alone(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        before = store.ask(store.reader.find_session(device.id))

        assert store.apply(end(device)) is False
        store.apply(NoteHeard(device_id=device.id, epoch=1, last_heard_at=build.at(5)))

        assert store.ask(store.reader.find_session(device.id)) == before
        assert before is not None

    def test_a_session_in_place_of_a_connection_has_the_next_epoch(self, store: StoreHarness) -> None:
        device = store.make_connected_device()

        assert store.apply(StartSession(session=build.session(device))) == 2

        session = store.ask(store.reader.find_session(device.id))
        assert session is not None
        assert store.ask(store.reader.overdue_sessions(session.deadline, 9)) == (session,)

    def test_a_claim_is_guarded_by_the_epoch_of_the_connection(self, store: StoreHarness) -> None:
        device = store.make_connected_device()
        store.apply(payloads.accept(device, 1))
        command = payloads.payload(device, 1)

        stale = store.apply(build.claim(command, 1, epoch=2))
        claimed = store.apply(build.claim(command, 2, epoch=1))

        assert stale is NotClaimed.STALE_EPOCH
        assert isinstance(claimed, Command)

    def test_a_deleted_device_has_no_connection(self, store: StoreHarness) -> None:
        device = store.make_connected_device()

        assert store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id)) is True

        assert not is_online(store, device)
        assert store.apply(end(device)) is False
