"""What every store does with sessions, observations and setup."""

from dataclasses import replace

from commandpost.domain.device import Device, DeviceChange, KeyLabel
from commandpost.domain.events import EventKind
from commandpost.domain.facts import DeleteDevice, UpdateDevice
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.operation import Discover, Observe, ObserveAttributes, Read
from commandpost.domain.resource import ObjectLinkEntry, ResourcePath
from commandpost.domain.session import Remote, Session, SetupKind, SetupStep
from commandpost.domain.session_facts import (
    AddObservation,
    ChangeSession,
    DropObservation,
    EndSession,
    KeepSetup,
    StartSession,
    TouchSession,
)
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

PENDING = (
    SetupStep(SetupKind.OBSERVE, Observe(path=ResourcePath(object_id=3303, instance_id=0))),
    SetupStep(
        SetupKind.OBSERVE,
        Observe(path=build.TEMPERATURE, attributes=ObserveAttributes(pmin_s=5, greater_than=20.5, step=1)),
    ),
    SetupStep(SetupKind.DISCOVER, Discover(path=ResourcePath(object_id=3303))),
    SetupStep(SetupKind.READ_DEVICE, Read(path=ResourcePath(object_id=3, instance_id=0))),
)


def found(store: StoreHarness, device: Device) -> Session:
    """The session a reader finds."""
    session = store.ask(store.reader.find_session(device.id))
    assert session is not None
    return session


def read_device(store: StoreHarness, device: Device) -> Device:
    """The device a reader finds."""
    record = store.ask(store.reader.find_device(device.id))
    assert record is not None
    return record


class TestStart:
    def test_a_session_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        device = store.make_device()
        given = replace(
            build.session(device),
            remote=None,
            binding="UQ",
            is_queue_mode=True,
            lwm2m_version="1.1",
            links=(ObjectLinkEntry(3, 0), ObjectLinkEntry(3303, None, "1.1"), ObjectLinkEntry(5, 65535)),
            alternate_path=("lwm2m", "路"),
            accepted_formats=(110, 11542),
            pending_setup=PENDING,
        )

        assert store.apply(StartSession(session=given)) == 1

        expected = replace(given, epoch=1)
        assert found(store, device) == expected
        assert store.ask(store.reader.find_session_by_location(given.location)) == expected
        assert store.ask(store.reader.find_session_by_remote(build.session(device).remote or Remote(b""))) is None

    def test_each_registration_has_the_next_epoch_whatever_lies_between(self, store: StoreHarness) -> None:
        device = store.make_device()
        epochs = [store.apply(StartSession(session=build.session(device))) for _ in range(2)]
        store.apply(EndSession(device_id=device.id, epoch=2, at=build.at(1)))

        epochs.append(store.apply(StartSession(session=build.session(device, epoch=77))))

        assert epochs == [1, 2, 3]

    def test_a_new_registration_drops_observations_and_setup(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(StartSession(session=replace(build.session(device), pending_setup=PENDING)))
        store.apply(AddObservation(device_id=device.id, epoch=1, observation=build.observation(1)))

        store.apply(StartSession(session=build.session(device)))

        session = found(store, device)
        assert (session.observations, session.pending_setup) == ((), ())

    def test_a_device_that_is_gone_does_not_register(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert store.apply(StartSession(session=build.session(device))) is None

    def test_the_key_it_was_registered_with_reads_back(self, store: StoreHarness) -> None:
        device = store.make_device()

        for label in (KeyLabel.ACCESS, KeyLabel.BOOTSTRAP, None):
            store.apply(StartSession(session=replace(build.session(device), identity_label=label)))
            assert found(store, device).identity_label is label

    def test_the_first_registration_activates_and_each_resets_the_setup(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(StartSession(session=build.session(device, registered=1_000)))
        store.apply(KeepSetup(device_id=device.id, epoch=1, pending=()))
        is_done = read_device(store, device).is_setup_done

        store.apply(StartSession(session=build.session(device, registered=2_000)))

        after = read_device(store, device)
        assert is_done
        assert not after.is_setup_done
        assert after.activated_at == build.at(1_000)
        assert after.last_heard_at == build.at(2_000)

    def test_online_state_is_told_when_it_changes(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.subscribe(device.product_id)

        store.apply(StartSession(session=build.session(device, registered=1)))
        store.apply(StartSession(session=build.session(device, registered=2)))
        store.apply(EndSession(device_id=device.id, epoch=2, at=build.at(3)))
        store.apply(StartSession(session=build.session(device, registered=4)))

        told = store.outbox()
        assert {event.kind for event in told} == {EventKind.ONLINE_STATE}
        assert [(event.is_online, event.at) for event in told] == [
            (True, build.at(1)),
            (False, build.at(3)),
            (True, build.at(4)),
        ]

    def test_a_location_that_another_device_has_is_no_failure(self, store: StoreHarness) -> None:
        one = store.make_online_device()
        other = store.make_device(one.product_id, "860000000000002")
        twin = replace(build.session(other), location=str(one.imei))

        assert store.apply(StartSession(session=twin)) == 1
        assert store.ask(store.reader.find_session_by_location(str(one.imei))) is not None

    def test_what_a_reader_got_is_its_own(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        found(store, device).remote = Remote(b"changed")

        assert found(store, device).remote == build.session(device).remote


class TestEnd:
    def test_an_ended_session_is_not_found(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        assert store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1))) is True

        assert store.ask(store.reader.find_session(device.id)) is None
        assert store.ask(store.reader.find_session_by_location(str(device.imei))) is None
        assert store.ask(store.reader.find_session_by_remote(build.session(device).remote or Remote(b""))) is None
        assert read_device(store, device).last_heard_at == build.T0

    def test_a_stale_epoch_or_a_second_end_does_nothing(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        ends = [EndSession(device_id=device.id, epoch=epoch, at=build.at(1)) for epoch in (2, 0, 1, 1)]

        assert store.apply_batch(ends) == [False, False, True, False]

    def test_nothing_is_written_to_an_ended_session(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1)))

        outcomes = store.apply_batch(
            [
                ChangeSession(session=build.session(device, epoch=1)),
                AddObservation(device_id=device.id, epoch=1, observation=build.observation(1)),
                DropObservation(device_id=device.id, coap_token=build.observation(1).coap_token),
                KeepSetup(device_id=device.id, epoch=1, pending=PENDING),
                TouchSession(
                    device_id=device.id, epoch=1, remote=None, last_heard_at=build.at(9), deadline=build.at(99)
                ),
            ]
        )

        assert outcomes == [False, False, False, None, None]
        assert store.ask(store.reader.find_session(device.id)) is None
        assert read_device(store, device).last_heard_at == build.T0


class TestChange:
    def test_detail_and_deadline_are_written(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        changed = replace(
            found(store, device),
            remote=Remote(b"elsewhere"),
            start_id=StartId(8),
            lifetime_s=60,
            deadline=build.at(61_000),
            binding="UQ",
            links=(ObjectLinkEntry(3303, 1),),
            pending_setup=PENDING[:1],
        )

        assert store.apply(ChangeSession(session=changed)) is True
        assert found(store, device) == replace(changed, stored_deadline=changed.deadline)

    def test_of_the_observations_those_it_names_are_dropped(self, store: StoreHarness) -> None:
        """One that was put on disk after the session was read stays, whatever the session says."""
        device = store.make_online_device()
        observations = [build.observation(number, ResourcePath(object_id=number)) for number in (1, 2, 3)]
        for observation in observations[:2]:
            store.apply(AddObservation(device_id=device.id, epoch=1, observation=observation))
        changed = found(store, device)
        store.apply(AddObservation(device_id=device.id, epoch=1, observation=observations[2]))

        store.apply(ChangeSession(session=changed, dropped_tokens=(observations[0].coap_token,)))

        assert found(store, device).observations == tuple(observations[1:])

    def test_a_stale_epoch_changes_nothing(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        before = found(store, device)

        assert store.apply(ChangeSession(session=replace(before, epoch=2, binding="UQ"))) is False
        assert found(store, device) == before


class TestObservations:
    def test_observations_come_in_the_order_in_which_they_were_added(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        paths = [ResourcePath(object_id=number) for number in (5, 3, 4)]
        for number, path in enumerate(paths):
            fact = AddObservation(device_id=device.id, epoch=1, observation=build.observation(number, path))
            assert store.apply(fact) is True

        assert [each.path for each in found(store, device).observations] == paths

    def test_another_observation_of_the_same_path_replaces_it(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        other = ResourcePath(object_id=3)
        for observation in (build.observation(1), build.observation(2, other), build.observation(3)):
            store.apply(AddObservation(device_id=device.id, epoch=1, observation=observation))

        assert found(store, device).observations == (build.observation(2, other), build.observation(3))

    def test_a_stale_epoch_adds_nothing(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        fact = AddObservation(device_id=device.id, epoch=2, observation=build.observation(1))

        assert store.apply(fact) is False
        assert found(store, device).observations == ()

    def test_an_observation_is_forgotten_once(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(AddObservation(device_id=device.id, epoch=1, observation=build.observation(1)))
        fact = DropObservation(device_id=device.id, coap_token=build.observation(1).coap_token)

        assert store.apply_batch([fact, fact, replace(fact, device_id=DeviceId(9))]) == [True, False, False]


class TestSetup:
    def test_pending_setup_is_found_after_a_restart_and_done_when_empty(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(KeepSetup(device_id=device.id, epoch=1, pending=PENDING))
        in_between = store.ask(store.reader.sessions_in_setup(DeviceId(0), 10))

        store.apply(KeepSetup(device_id=device.id, epoch=1, pending=()))

        assert [session.pending_setup for session in in_between] == [PENDING]
        assert store.ask(store.reader.sessions_in_setup(DeviceId(0), 10)) == ()
        assert read_device(store, device).is_setup_done

    def test_a_stale_epoch_keeps_nothing(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        store.apply(KeepSetup(device_id=device.id, epoch=2, pending=()))

        assert not read_device(store, device).is_setup_done

    def test_sessions_in_setup_come_by_device_above_one(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        devices = [store.make_online_device(product_id, f"86000000000000{number}") for number in range(4)]
        for device in devices[:3]:
            store.apply(KeepSetup(device_id=device.id, epoch=1, pending=PENDING))

        pages = [store.ask(store.reader.sessions_in_setup(DeviceId(after), 2)) for after in (0, 2, 3)]

        assert [[session.device_id for session in page] for page in pages] == [[1, 2], [3], []]


class TestAddresses:
    def test_a_session_is_found_where_it_was_last_heard(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        registered = build.session(device)
        assert registered.remote is not None
        before = store.ask(store.reader.find_session_by_remote(registered.remote))

        for deadline, heard in ((registered.deadline, 5), (build.at(10**9), 6), (build.at(10**9), 7)):
            store.apply(
                TouchSession(
                    device_id=device.id,
                    epoch=1,
                    remote=Remote(b"new"),
                    last_heard_at=build.at(heard),
                    deadline=deadline,
                )
            )

        after = store.ask(store.reader.find_session_by_remote(Remote(b"new")))
        assert before is not None and before.device_id == device.id
        assert after == found(store, device)
        assert (after.last_heard_at, after.deadline) == (build.at(7), build.at(10**9))
        assert store.ask(store.reader.find_session_by_remote(registered.remote)) is None

    def test_of_two_at_one_address_the_one_heard_last_is_found(self, store: StoreHarness) -> None:
        """A crash may lose that an address was taken over."""
        product_id = store.make_product()
        devices = [store.make_online_device(product_id, f"86000000000000{number}") for number in range(3)]
        for device, heard in zip(devices, (5, 9, 7), strict=True):
            store.apply(
                TouchSession(
                    device_id=device.id,
                    epoch=1,
                    remote=Remote(b"shared"),
                    last_heard_at=build.at(heard),
                    deadline=build.at(99_000),
                )
            )

        session = store.ask(store.reader.find_session_by_remote(Remote(b"shared")))

        assert session is not None and session.device_id == devices[1].id


class TestTouch:
    def test_where_and_when_it_was_heard_is_written(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        before = found(store, device)

        for deadline in (before.deadline, build.at(10**9)):
            touch = TouchSession(
                device_id=device.id, epoch=1, remote=Remote(b"new"), last_heard_at=build.at(5), deadline=deadline
            )
            assert store.apply(touch) is None

            expected = replace(
                before, remote=Remote(b"new"), last_heard_at=build.at(5), deadline=deadline, stored_deadline=deadline
            )
            assert found(store, device) == expected

    def test_a_stale_epoch_touches_nothing(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        before = found(store, device)

        store.apply(
            TouchSession(device_id=device.id, epoch=2, remote=None, last_heard_at=build.at(5), deadline=build.at(6))
        )

        assert found(store, device) == before

    def test_last_heard_never_goes_back_with_an_old_record_of_the_device(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        old = read_device(store, device)
        store.apply(
            TouchSession(device_id=device.id, epoch=1, remote=None, last_heard_at=build.at(5), deadline=build.at(6))
        )

        change = DeviceChange(title="new")
        store.apply(UpdateDevice(product_id=old.product_id, device_id=old.id, change=change, at=build.at(9)))

        after = read_device(store, device)
        assert (after.title, after.last_heard_at) == ("new", build.at(5))


class TestOverdue:
    def test_overdue_sessions_come_longest_overdue_first(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        for number, lifetime_s in enumerate((30, 10, 20, 40)):
            device = store.make_device(product_id, f"86000000000000{number}")
            store.apply(StartSession(session=build.session(device, lifetime_s=lifetime_s)))
        store.apply(AddObservation(device_id=DeviceId(2), epoch=1, observation=build.observation(1)))

        overdue = store.ask(store.reader.overdue_sessions(build.at(30_000), 10))
        first = store.ask(store.reader.overdue_sessions(build.at(30_000), 1))

        assert [session.device_id for session in overdue] == [2, 3, 1]
        assert overdue[0].observations == (build.observation(1),)
        assert [session.device_id for session in first] == [2]

    def test_an_ended_session_is_not_overdue(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1)))

        assert store.ask(store.reader.overdue_sessions(build.at(10**12), 10)) == ()
