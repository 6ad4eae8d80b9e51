"""What every store does with products, keys and devices."""

from dataclasses import fields, replace

import pytest

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.device import (
    IMSI_OLD_MAX,
    Device,
    DeviceChange,
    DeviceFilter,
    DeviceSecurity,
    GeoLocation,
    ImeiRule,
    KeyKind,
    ProductChange,
)
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import (
    ChangeDeviceKeys,
    CreateDevice,
    CreateProduct,
    DeleteDevice,
    ExpireDue,
    KeysNotChanged,
    LateAnswer,
    NotCreated,
    NotUpdated,
    RecordLateAnswer,
    ReplaceKey,
    UpdateDevice,
    UpdateProduct,
)
from commandpost.domain.ids import DEVICE_ID_MAX, AttemptId, DeviceId, ProductId
from commandpost.domain.ports import Page
from commandpost.domain.resource import DiscoveredInstance, DiscoveredObject, ObjectLinkEntry
from commandpost.domain.session_facts import (
    AddObservation,
    ChangeSession,
    EndSession,
    KeepIdentity,
    KeepResources,
    StartSession,
)
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

FIRST_PAGE = Page(number=1, size=30)
MASTER, ACCESS = KeyKind.MASTER, KeyKind.ACCESS
OWNERS_FIELDS = ("title", "description", "tags", "location", "is_private", "other", "auth_info")


def update(device: Device, change: DeviceChange, *, at: int = 0) -> UpdateDevice:
    """A change of a device at its owner's wish."""
    return UpdateDevice(product_id=device.product_id, device_id=device.id, change=change, at=build.at(at))


class TestProducts:
    def test_a_product_reads_back_with_its_keys_under_its_id(self, store: StoreHarness) -> None:
        given = replace(
            build.product(),
            is_auto_discovered=True,
            imei_rule=ImeiRule.STRICT,
            allow_imei_only=True,
            execute_delivery=DeliveryPolicy.AT_MOST_ONCE,
            device_security=DeviceSecurity.NOSEC_AUTH_CODE,
            bootstrap_uri="coap://192.0.2.1:5683",
            bootstrap_secure_uri="coaps://192.0.2.1:5684",
        )
        master, access = build.key(MASTER, index=b"m" * 32, product_id=99), build.key(ACCESS, index=b"a" * 32)

        created = store.apply(CreateProduct(product=given, keys=(master, access)))

        assert created == replace(given, id=ProductId(1))
        assert store.ask(store.reader.find_product(ProductId(1))) == created
        assert store.ask(store.reader.find_key(b"m" * 32)) == replace(master, product_id=ProductId(1))
        assert store.ask(store.reader.get_key(ProductId(1), ACCESS)) == replace(access, product_id=ProductId(1))

    def test_an_id_that_is_given_is_kept_and_taken_once(self, store: StoreHarness) -> None:
        fact = CreateProduct(product=build.product(product_id=42), keys=())

        first, second = store.apply_batch([fact, fact])

        assert first == fact.product
        assert second is None
        assert store.make_product("next") == 43

    def test_a_taken_key_takes_no_product_in(self, store: StoreHarness) -> None:
        store.apply(CreateProduct(product=build.product(), keys=(build.key(),)))

        assert store.apply(CreateProduct(product=build.product(), keys=(build.key(ACCESS),))) is None
        twins = (build.key(MASTER, index=b"t" * 32), build.key(ACCESS, index=b"t" * 32))
        assert store.apply(CreateProduct(product=build.product(), keys=twins)) is None
        assert len(store.ask(store.reader.list_products())) == 1

    def test_products_are_listed_by_id(self, store: StoreHarness) -> None:
        for number in (3, 1, 2):
            store.apply(CreateProduct(product=build.product(product_id=number), keys=()))

        assert [product.id for product in store.ask(store.reader.list_products())] == [1, 2, 3]

    def test_of_a_product_only_what_is_given_changes(self, store: StoreHarness) -> None:
        before = build.product(name="old", product_id=store.make_product("old"))
        change = ProductChange(
            name="new",
            is_auto_discovered=True,
            imei_rule=ImeiRule.STRICT,
            allow_imei_only=True,
            execute_delivery=DeliveryPolicy.AT_MOST_ONCE,
            device_security=DeviceSecurity.DTLS,
            bootstrap_uri="coap://192.0.2.1:5683",
            bootstrap_secure_uri="coaps://192.0.2.1:5684",
        )
        expected = replace(before, **{each.name: getattr(change, each.name) for each in fields(change)})

        assert store.apply(UpdateProduct(product_id=before.id, change=ProductChange())) == before
        assert store.apply(UpdateProduct(product_id=before.id, change=change)) == expected
        assert store.ask(store.reader.find_product(before.id)) == expected
        assert store.apply(UpdateProduct(product_id=ProductId(9), change=change)) is None

    def test_changes_of_a_product_do_not_undo_one_another(self, store: StoreHarness) -> None:
        """Whoever made the later one knew nothing of the earlier one."""
        product_id = store.make_product("old")

        for change in (
            ProductChange(device_security=DeviceSecurity.DTLS, bootstrap_uri="coap://192.0.2.1:5683"),
            ProductChange(name="new"),
            ProductChange(bootstrap_uri="", allow_imei_only=False),
        ):
            store.apply(UpdateProduct(product_id=product_id, change=change))

        expected = replace(
            build.product(name="new", product_id=product_id), device_security=DeviceSecurity.DTLS, bootstrap_uri=None
        )
        assert store.ask(store.reader.find_product(product_id)) == expected

    def test_a_key_is_replaced_and_the_old_one_finds_nothing(self, store: StoreHarness) -> None:
        store.apply(CreateProduct(product=build.product(), keys=(build.key(index=b"o" * 32),)))
        new = build.key(index=b"n" * 32, product_id=1)

        assert store.apply(ReplaceKey(key=new)) is True
        assert store.apply(ReplaceKey(key=new)) is True
        assert store.ask(store.reader.find_key(b"o" * 32)) is None
        assert store.ask(store.reader.find_key(b"n" * 32)) == new

    def test_a_key_of_another_place_is_not_taken(self, store: StoreHarness) -> None:
        store.apply(CreateProduct(product=build.product(), keys=(build.key(index=b"o" * 32),)))

        assert store.apply(ReplaceKey(key=build.key(ACCESS, index=b"o" * 32, product_id=1))) is False
        assert store.apply(ReplaceKey(key=build.key(index=b"x" * 32, product_id=9))) is False
        assert store.ask(store.reader.get_key(ProductId(1), ACCESS)) is None


class TestCreateDevice:
    def test_a_device_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        given = replace(
            build.device(store.make_product()),
            description="on the roof",
            tags=("china", "屋顶"),
            location=GeoLocation(longitude=109, latitude=23.5, elevation=None),
            is_private=False,
            is_auto_observed=False,
            imsi_old=("460000000000000",),
            imsi_changed_at=build.at(1),
            chip=3,
            other='{"a":1}',
            sealed_auth_code=b"\x00code",
            sealed_psk=b"\x00psk",
            sealed_bootstrap_psk=b"\x00bs",
            psk_identity="roof",
        )

        created = store.apply(CreateDevice(device=given))

        assert created == replace(given, id=DeviceId(1))
        assert store.ask(store.reader.find_device(DeviceId(1))) == created
        assert store.ask(store.reader.find_device_by_imei("860000000000001")) == created

    def test_a_dtls_identity_is_taken_platform_wide(self, store: StoreHarness) -> None:
        """By itself, and by the IMEI it would name; neither way round may a device stand in another's light."""
        store.apply(CreateDevice(device=replace(build.device(store.make_product()), psk_identity="roof;1")))
        other = store.make_product("other")
        second = build.device(other, "860000000000002")

        for identity in ("roof;1", "860000000000001", "860000000000001;46"):
            created = store.apply(CreateDevice(device=replace(second, psk_identity=identity)))
            assert created is NotCreated.PSK_IDENTITY_TAKEN
        assert store.apply(CreateDevice(device=build.device(other, "roof"))) is NotCreated.PSK_IDENTITY_TAKEN
        for imei in ("roo", "roof1"):
            assert isinstance(store.apply(CreateDevice(device=build.device(other, imei))), Device)
        own = replace(second, psk_identity="860000000000002")
        assert isinstance(store.apply(CreateDevice(device=own)), Device)

    def test_an_imei_is_taken_platform_wide(self, store: StoreHarness) -> None:
        store.make_device()
        other = store.make_product("other")

        assert store.apply(CreateDevice(device=build.device(other))) is NotCreated.IMEI_TAKEN

    def test_an_imei_is_taken_by_an_earlier_item_of_the_batch(self, store: StoreHarness) -> None:
        fact = CreateDevice(device=build.device(store.make_product()))

        first, second = store.apply_batch([fact, fact])

        assert isinstance(first, Device)
        assert second is NotCreated.IMEI_TAKEN

    def test_auth_info_is_taken_within_a_product(self, store: StoreHarness) -> None:
        product_id, other = store.make_product(), store.make_product("other")
        store.make_device(product_id, imei=None)

        assert store.apply(CreateDevice(device=build.device(product_id, None))) is NotCreated.AUTH_INFO_TAKEN
        assert isinstance(store.apply(CreateDevice(device=build.device(other, None))), Device)

    def test_a_product_that_is_gone_takes_no_device(self, store: StoreHarness) -> None:
        assert store.apply(CreateDevice(device=build.device(ProductId(9)))) is NotCreated.PRODUCT_GONE

    def test_device_ids_end_with_four_bytes(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        last = store.apply(CreateDevice(device=build.device(product_id, "a", device_id=DEVICE_ID_MAX)))

        assert isinstance(last, Device)
        assert store.apply(CreateDevice(device=build.device(product_id, "b"))) is NotCreated.FULL

    def test_a_device_id_that_is_taken_is_an_error(self, store: StoreHarness) -> None:
        device = store.make_device()

        with pytest.raises(StoreUnavailable):
            store.apply(CreateDevice(device=build.device(device.product_id, "b", device_id=device.id)))


class TestChangeDeviceKeys:
    def test_what_is_given_is_changed_and_the_rest_stays(self, store: StoreHarness) -> None:
        device = store.make_device()
        keys = ChangeDeviceKeys(product_id=device.product_id, device_id=device.id, sealed_psk=b"a", psk_identity="roof")
        store.apply(keys)

        store.apply(replace(keys, sealed_psk=None, psk_identity=None, sealed_bootstrap_psk=b"b"))
        changed = store.apply(replace(keys, sealed_psk=None, psk_identity=None, sealed_auth_code=b"c"))

        expected = replace(
            device, sealed_psk=b"a", sealed_bootstrap_psk=b"b", sealed_auth_code=b"c", psk_identity="roof"
        )
        assert changed == expected
        assert store.ask(store.reader.find_device(device.id)) == expected
        assert store.ask(store.reader.find_device_by_psk_identity("roof")) == expected
        assert store.ask(store.reader.find_device_by_psk_identity("Roof")) is None

    def test_an_update_of_the_device_leaves_them_alone(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(ChangeDeviceKeys(product_id=device.product_id, device_id=device.id, sealed_psk=b"a"))

        store.apply(ChangeDeviceKeys(product_id=device.product_id, device_id=device.id, sealed_auth_code=b"c"))

        updated = store.apply(update(device, DeviceChange(title="new")))

        assert updated == replace(device, title="new", sealed_psk=b"a", sealed_auth_code=b"c")

    def test_what_else_is_changed_with_them_is_done_with_them_or_not_at_all(self, store: StoreHarness) -> None:
        device = store.make_device()
        first = store.make_device(store.make_product("other"), imei="860000000000002")
        store.apply(ChangeDeviceKeys(product_id=first.product_id, device_id=first.id, psk_identity="roof"))
        both = ChangeDeviceKeys(
            product_id=device.product_id,
            device_id=device.id,
            sealed_psk=b"a",
            also=update(device, DeviceChange(title="new", imsi="460000000000009"), at=7),
        )

        refused = store.apply(replace(both, psk_identity="roof"))
        untouched = store.ask(store.reader.find_device(device.id))
        changed = store.apply(both)

        assert refused is KeysNotChanged.PSK_IDENTITY_TAKEN
        assert untouched == device
        assert isinstance(changed, Device)
        assert (changed.sealed_psk, changed.title, changed.imsi) == (b"a", "new", "460000000000009")
        assert (changed.imsi_old[-1:], changed.imsi_changed_at) == ((device.imsi,), build.at(7))
        assert store.ask(store.reader.find_device(device.id)) == changed

    def test_an_identity_of_another_device_is_refused(self, store: StoreHarness) -> None:
        first = store.make_device()
        second = store.make_device(store.make_product("other"), imei="860000000000002")
        store.apply(ChangeDeviceKeys(product_id=first.product_id, device_id=first.id, psk_identity="roof"))
        mine = ChangeDeviceKeys(product_id=second.product_id, device_id=second.id, sealed_psk=b"a")

        for identity in ("roof", "860000000000001", "860000000000001;46"):
            refused = store.apply(replace(mine, psk_identity=identity))
            assert refused is KeysNotChanged.PSK_IDENTITY_TAKEN
        assert store.ask(store.reader.find_device(second.id)) == second
        again = ChangeDeviceKeys(product_id=first.product_id, device_id=first.id, psk_identity="roof")
        assert isinstance(store.apply(again), Device)

    def test_another_products_device_does_not_exist(self, store: StoreHarness) -> None:
        device = store.make_device()
        other = store.make_product("other")

        for fact in (
            ChangeDeviceKeys(product_id=other, device_id=device.id, sealed_psk=b"a"),
            ChangeDeviceKeys(product_id=device.product_id, device_id=DeviceId(99), sealed_psk=b"a"),
        ):
            assert store.apply(fact) is KeysNotChanged.DEVICE_GONE
        assert store.ask(store.reader.find_device(device.id)) == device


class TestUpdateDevice:
    def test_what_is_given_changes_and_the_rest_stays(self, store: StoreHarness) -> None:
        device = store.make_device()
        change = DeviceChange(
            title="new",
            description="on the roof",
            tags=("a", "b"),
            location=GeoLocation(longitude=1.5),
            is_private=False,
            other='{"a":1}',
            auth_info='{"860000000000001":"460000000000009"}',
        )
        expected = replace(device, **{name: getattr(change, name) for name in OWNERS_FIELDS})

        assert store.apply(update(device, DeviceChange())) == device
        assert store.apply(update(device, change)) == expected
        assert store.ask(store.reader.find_device(device.id)) == expected

    def test_changes_made_at_once_and_what_was_learned_do_not_undo_one_another(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        store.apply(KeepIdentity(device_id=device.id, manufacturer="ACME", model="M1"))

        store.apply(update(device, DeviceChange(title="new")))
        store.apply(update(device, DeviceChange(description="on the roof")))

        after = store.ask(store.reader.find_device(device.id))
        assert after is not None
        assert (after.title, after.description, after.manufacturer) == ("new", "on the roof", "ACME")
        assert after.activated_at is not None

    def test_another_imsi_leaves_a_trace_of_each_one_before(self, store: StoreHarness) -> None:
        device = store.make_device()
        wanted = [str(460_000_000_000_010 + number) for number in range(IMSI_OLD_MAX + 2)]

        for number, imsi in enumerate(["", *wanted, wanted[-1]]):
            store.apply(update(device, DeviceChange(imsi=imsi), at=number))

        after = store.ask(store.reader.find_device(device.id))
        assert after is not None
        assert (after.imsi, after.imsi_old) == (wanted[-1], tuple(wanted[1:-1]))
        assert after.imsi_changed_at == build.at(len(wanted))

    def test_another_products_device_does_not_exist(self, store: StoreHarness) -> None:
        device = store.make_device()
        foreign = replace(device, product_id=store.make_product("other"))

        assert store.apply(update(foreign, DeviceChange(title="mine now"))) is NotUpdated.DEVICE_GONE
        assert store.ask(store.reader.find_device(device.id)) == device

    def test_of_two_who_want_one_auth_info_one_gets_it(self, store: StoreHarness) -> None:
        first = store.make_connecting_device()
        second = store.make_connecting_device(first.product_id, "sn-2")

        assert store.apply(update(second, DeviceChange(auth_info=first.auth_info))) is NotUpdated.AUTH_INFO_TAKEN
        assert store.ask(store.reader.find_device(second.id)) == second

    def test_an_auth_info_is_free_for_its_owner_other_products_and_lwm2m(self, store: StoreHarness) -> None:
        owner = store.make_connecting_device()
        stranger = store.make_connecting_device(sn="sn-2")
        by_imei = store.make_device(owner.product_id)

        for device in (owner, stranger, by_imei):
            expected = replace(device, title="new", auth_info=owner.auth_info)
            assert store.apply(update(device, DeviceChange(title="new", auth_info=owner.auth_info))) == expected

    def test_a_device_is_found_by_its_auth_info_in_its_product_alone(self, store: StoreHarness) -> None:
        """One that has an IMEI is known by that; what is stored is compared as it is stored."""
        device = store.make_connecting_device()
        twin = store.make_connecting_device(store.make_product("other"))
        lwm2m = store.make_device(device.product_id)
        store.apply(update(lwm2m, DeviceChange(auth_info=device.auth_info)))

        def find(product_id: ProductId, auth_info: str) -> Device | None:
            return store.ask(store.reader.find_device_by_auth_info(product_id, auth_info))

        assert find(device.product_id, device.auth_info) == device
        assert find(twin.product_id, twin.auth_info) == twin
        assert find(device.product_id, device.auth_info.strip('"')) is None
        assert find(device.product_id, lwm2m.auth_info) is None

    def test_manufacturer_and_model_are_kept(self, store: StoreHarness) -> None:
        device = store.make_device()

        store.apply(KeepIdentity(device_id=device.id, manufacturer="ACME", model="M1"))
        store.apply(KeepIdentity(device_id=DeviceId(99), manufacturer="-", model="-"))

        found = store.ask(store.reader.find_device(device.id))
        assert found == replace(device, manufacturer="ACME", model="M1")


class TestDeleteDevice:
    def test_everything_of_a_device_goes_and_nothing_else(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        other = store.make_online_device(device.product_id, "860000000000002")
        store.subscribe(device.product_id)
        gone, kept = store.accept(device, 1), store.accept(other, 2)
        store.apply(build.claim(gone, 1))
        store.apply(build.claim(kept, 2))
        for each in (device, other):
            store.apply(AddObservation(device_id=each.id, epoch=1, observation=build.observation(each.id)))
            store.apply(KeepResources(device_id=each.id, objects=(DiscoveredObject(3, ()),)))
            store.accept(each, 10 + each.id, expires=1)
        store.apply(ExpireDue(now=build.at(1), limit=10))

        assert store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id)) is True

        assert store.ask(store.reader.find_device(device.id)) is None
        assert store.ask(store.reader.find_session(device.id)) is None
        assert store.ask(store.reader.list_resources(device.id)) == ()
        assert store.ask(store.reader.find_command(gone.id)) is None
        assert [each.command.id for each in store.ask(store.reader.open_attempts(AttemptId(0), 10))] == [kept.id]
        assert store.apply(RecordLateAnswer(attempt_id=AttemptId(1))) is LateAnswer.UNKNOWN
        assert store.apply(RecordLateAnswer(attempt_id=AttemptId(2))) is LateAnswer.RECORDED
        assert [event.device_id for event in store.outbox()] == [other.id]
        survivor = store.ask(store.reader.find_session(other.id))
        assert survivor is not None
        assert survivor.observations == (build.observation(other.id),)
        assert store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id)) is False

    def test_another_products_device_does_not_exist(self, store: StoreHarness) -> None:
        device = store.make_device()

        assert store.apply(DeleteDevice(product_id=store.make_product("b"), device_id=device.id)) is False
        assert store.ask(store.reader.find_device(device.id)) == device

    def test_an_imei_is_free_again(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert store.make_device(device.product_id).id != device.id


class TestResources:
    def test_each_object_replaces_what_was_known_of_it(self, store: StoreHarness) -> None:
        device = store.make_device()
        old = DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)),))
        new = DiscoveredObject(3303, (DiscoveredInstance(0, (5700, 5701)), DiscoveredInstance(1, ())))
        third = DiscoveredObject(3, (DiscoveredInstance(0, (0, 1)),))

        store.apply(KeepResources(device_id=device.id, objects=(old,)))
        store.apply(KeepResources(device_id=device.id, objects=(new, third)))

        assert store.ask(store.reader.list_resources(device.id)) == (third, new)

    def test_a_registration_drops_others_than_it_lists_and_keeps_what_is_known_of_those(
        self, store: StoreHarness
    ) -> None:
        device = store.make_device()
        known = DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)), DiscoveredInstance(1, (5700,))))
        store.apply(KeepResources(device_id=device.id, objects=(DiscoveredObject(1, ()), known)))
        links = (ObjectLinkEntry(3303, 0), ObjectLinkEntry(5), ObjectLinkEntry(0, 0), ObjectLinkEntry(3, 0))

        store.apply(StartSession(session=replace(build.session(device), links=links)))

        assert store.ask(store.reader.list_resources(device.id)) == (
            DiscoveredObject(3, (DiscoveredInstance(0, ()),)),
            DiscoveredObject(5, ()),
            DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)),)),
        )

    def test_a_changed_session_drops_others_if_its_list_is_another_one(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(StartSession(session=build.session(device)))
        asked_for = DiscoveredObject(1, (DiscoveredInstance(0, (1,)),))
        store.apply(KeepResources(device_id=device.id, objects=(asked_for,)))
        changed = replace(build.session(device, epoch=1), links=(ObjectLinkEntry(3, 0),))
        stale = replace(changed, epoch=7, links=(ObjectLinkEntry(5, 0),))

        store.apply(ChangeSession(session=changed))
        before = store.ask(store.reader.list_resources(device.id))
        store.apply(ChangeSession(session=changed, has_new_objects=True))
        store.apply(ChangeSession(session=stale, has_new_objects=True))

        assert before == (asked_for,)
        assert store.ask(store.reader.list_resources(device.id)) == (DiscoveredObject(3, (DiscoveredInstance(0, ()),)),)

    def test_nothing_is_kept_of_a_device_that_is_gone(self, store: StoreHarness) -> None:
        store.apply(KeepResources(device_id=DeviceId(9), objects=(DiscoveredObject(1, ()),)))

        assert store.ask(store.reader.list_resources(DeviceId(9))) == ()


class TestListDevices:
    @pytest.fixture
    def fleet(self, store: StoreHarness) -> ProductId:
        """Five devices, ids 1 to 5, and one of another product."""
        product_id = store.make_product()
        for number in range(1, 6):
            device = replace(
                build.device(product_id, f"86000000000000{number}"),
                title=f"meter-{number}" if number < 4 else f"Valve-{number}",
                tags=("a", "b") if number == 1 else ("b",) if number == 2 else (),
                is_private=number != 5,
                created_at=build.at(number * 1_000),
            )
            created = store.apply(CreateDevice(device=device))
            assert isinstance(created, Device)
            if number % 2 == 0:
                store.apply(StartSession(session=build.session(created)))
        store.make_device(store.make_product("other"), "860000000000009")
        return product_id

    def test_a_text_auth_info_is_found_as_it_was_given(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        given = replace(build.device(product_id, "860000000000001"), imei=None, imsi=None, auth_info='"sn-7"')
        created = store.apply(CreateDevice(device=given))

        which = DeviceFilter(auth_info="sn-7")
        assert store.ask(store.reader.list_devices(product_id, which, Page(number=1, size=10))) == (1, (created,))

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            (DeviceFilter(), [1, 2, 3, 4, 5]),
            (DeviceFilter(key_words="meter-"), [1, 2, 3]),
            (DeviceFilter(key_words="METER"), []),
            (DeviceFilter(key_words="4"), [4]),
            (DeviceFilter(key_words="%"), []),
            (DeviceFilter(auth_info="860000000000003"), [3]),
            (DeviceFilter(auth_info='{"860000000000002":"460000000000001"}'), [2]),
            (DeviceFilter(tags=("b",)), [1, 2]),
            (DeviceFilter(tags=("a", "b")), [1]),
            (DeviceFilter(tags=("1",)), []),
            (DeviceFilter(is_online=True), [2, 4]),
            (DeviceFilter(is_online=False), [1, 3, 5]),
            (DeviceFilter(is_private=False), [5]),
            (DeviceFilter(is_private=True), [1, 2, 3, 4]),
            (DeviceFilter(ids=(DeviceId(5), DeviceId(1), DeviceId(6), DeviceId(77))), [1, 5]),
            (DeviceFilter(ids=(DeviceId(2), DeviceId(3)), is_online=True), [2]),
            (DeviceFilter(ids=()), []),
            (DeviceFilter(created_from=build.at(2_000), created_before=build.at(4_000)), [2, 3]),
        ],
    )
    def test_a_filter_finds(
        self, store: StoreHarness, fleet: ProductId, which: DeviceFilter, expected: list[int]
    ) -> None:
        total, devices = store.ask(store.reader.list_devices(fleet, which, FIRST_PAGE))

        assert [device.id for device in devices] == expected
        assert total == len(expected)

    def test_pages_cut_the_list_and_the_total_counts_it(self, store: StoreHarness, fleet: ProductId) -> None:
        pages = [
            store.ask(store.reader.list_devices(fleet, DeviceFilter(), Page(number=number, size=2)))
            for number in (1, 2, 3, 4)
        ]

        assert [total for total, _ in pages] == [5, 5, 5, 5]
        assert [[device.id for device in devices] for _, devices in pages] == [[1, 2], [3, 4], [5], []]

    def test_online_is_as_the_sweep_left_it(self, store: StoreHarness, fleet: ProductId) -> None:
        store.apply(EndSession(device_id=DeviceId(4), epoch=1, at=build.at(1)))
        asked = [DeviceId(number) for number in (1, 2, 4, 99)]

        assert fleet == 1
        assert store.ask(store.reader.online_among(asked)) == frozenset({2})
        assert store.ask(store.reader.online_among([])) == frozenset()
