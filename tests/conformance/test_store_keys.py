"""What every store does with device-level keys and with devices that register themselves."""

from dataclasses import replace

import pytest

from commandpost.domain.device import Device, KeyKind
from commandpost.domain.device_key import DeviceKey, KeyPermission, KeyResource
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import CreateDevice, DeleteDevice, NotCreated, ReplaceKey
from commandpost.domain.ids import DEVICE_ID_MAX, DeviceId, ProductId
from commandpost.domain.key_facts import (
    AddDeviceKey,
    ChangeDeviceKey,
    DeleteDeviceKey,
    NotAdded,
    RegisterDevice,
    SelfRegistered,
)
from commandpost.domain.ports import Page
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

ALL = Page(number=1, size=100)
FIRST, SECOND = DeviceId(1), DeviceId(2)


def add(store: StoreHarness, product_id: ProductId, number: int, *names: DeviceId) -> DeviceKey:
    """A key that is in the store."""
    key = data.device_key(product_id, number, *names)
    assert store.apply(AddDeviceKey(key=key, keys_max=100)) is None
    return key


def listed(
    store: StoreHarness, product_id: ProductId, device_id: DeviceId | None = None, page: Page = ALL
) -> tuple[int, tuple[DeviceKey, ...]]:
    """A page of a product's keys."""
    return store.ask(store.reader.list_device_keys(product_id, device_id, page))


class TestKeys:
    def test_a_key_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        permissions = (
            KeyPermission(
                resources=(KeyResource(device_id=FIRST, stream_id="温度"), KeyResource(stream_id="pm2.5")),
                methods=("get", "put"),
            ),
            KeyPermission(resources=(), methods=()),
        )
        key = replace(data.device_key(product_id, 1), title="钥匙", permissions=permissions)

        assert store.apply(AddDeviceKey(key=key, keys_max=1)) is None

        assert store.ask(store.reader.find_device_key(key.index)) == key

    def test_keys_come_oldest_first_in_pages_and_only_the_products(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        keys = [add(store, product_id, number) for number in (3, 1, 2)]
        add(store, store.make_product("other"), 4)

        pages = [listed(store, product_id, page=Page(number=number, size=2)) for number in (1, 2, 3)]

        assert pages == [(3, tuple(keys[:2])), (3, (keys[2],)), (3, ())]

    def test_keys_that_name_a_device(self, store: StoreHarness) -> None:
        """One that opens every device names none."""
        product_id = store.make_product()
        keys = [
            add(store, product_id, 1, FIRST, FIRST),
            add(store, product_id, 2, SECOND),
            add(store, product_id, 3, SECOND, FIRST),
            add(store, product_id, 4),
        ]
        add(store, store.make_product("other"), 5, FIRST)

        assert listed(store, product_id, FIRST) == (2, (keys[0], keys[2]))
        assert listed(store, product_id, FIRST, Page(number=2, size=1)) == (2, (keys[2],))

    def test_a_changed_key_names_what_it_says_now(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        key = add(store, product_id, 1, FIRST)
        permissions = (KeyPermission(resources=(KeyResource(device_id=SECOND),), methods=("get",)),)
        fact = ChangeDeviceKey(product_id=product_id, index=key.index, title="new", permissions=permissions)

        assert store.apply(fact) is True

        changed = replace(key, title="new", permissions=permissions)
        assert listed(store, product_id, FIRST) == (0, ())
        assert listed(store, product_id, SECOND) == (1, (changed,))

    def test_changes_of_a_key_do_not_undo_one_another(self, store: StoreHarness) -> None:
        """A new title brings no permission back."""
        product_id = store.make_product()
        key = add(store, product_id, 1, FIRST)
        change = ChangeDeviceKey(product_id=product_id, index=key.index)

        for each in (replace(change, permissions=()), replace(change, title="new"), change):
            assert store.apply(each) is True

        assert store.ask(store.reader.find_device_key(key.index)) == replace(key, title="new", permissions=())
        assert listed(store, product_id, FIRST) == (0, ())

    def test_a_deleted_key_is_gone(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        key = add(store, product_id, 1, FIRST)
        fact = DeleteDeviceKey(product_id=product_id, index=key.index)

        results = [store.apply(fact), store.apply(fact)]

        assert results == [True, False]
        assert store.ask(store.reader.find_device_key(key.index)) is None
        assert listed(store, product_id, FIRST) == (0, ())

    def test_another_products_key_is_neither_changed_nor_deleted(self, store: StoreHarness) -> None:
        key = add(store, store.make_product(), 1)
        other = store.make_product("other")

        results = [
            store.apply(ChangeDeviceKey(product_id=other, index=key.index, title="x", permissions=())),
            store.apply(DeleteDeviceKey(product_id=other, index=key.index)),
        ]

        assert results == [False, False]
        assert store.ask(store.reader.find_device_key(key.index)) == key

    def test_a_full_product_and_one_that_is_gone_take_no_key(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        add(store, product_id, 1)
        keys = data.device_key(product_id, 2), data.device_key(ProductId(99), 3)

        refusals = [store.apply(AddDeviceKey(key=key, keys_max=1)) for key in keys]

        assert refusals == [NotAdded.FULL, NotAdded.PRODUCT_GONE]
        assert listed(store, product_id)[0] == 1

    def test_a_key_whose_index_is_taken_is_an_error(self, store: StoreHarness) -> None:
        key = add(store, store.make_product(), 1)

        with pytest.raises(StoreUnavailable):
            store.apply(AddDeviceKey(key=key, keys_max=100))

    def test_a_products_register_code_is_a_key_of_its_own_kind(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        key = build.key(KeyKind.REGISTER, product_id=product_id)

        assert store.apply(ReplaceKey(key=key)) is True
        assert store.ask(store.reader.get_key(product_id, KeyKind.REGISTER)) == key


class TestRegister:
    def newcomer(self, product_id: ProductId, number: int = 1, sn: str = "sn-1") -> RegisterDevice:
        """A device that registers itself, with a fresh key each time."""
        return RegisterDevice(
            device=replace(build.device(product_id, None), auth_info=f'"{sn}"'),
            key=data.device_key(product_id, number),
        )

    def register(self, store: StoreHarness, fact: RegisterDevice) -> SelfRegistered:
        """The same, in the store."""
        registered = store.apply(fact)
        assert isinstance(registered, SelfRegistered)
        return registered

    def test_a_new_device_has_a_key_that_opens_it_and_nothing_else(self, store: StoreHarness) -> None:
        fact = self.newcomer(store.make_product())

        registered = self.register(store, fact)

        device = replace(fact.device, id=DeviceId(1))
        (permission,) = fact.key.permissions
        own = replace(permission, resources=(KeyResource(device_id=device.id),))
        key = replace(fact.key, registered_device=device.id, permissions=(own,))
        assert registered == SelfRegistered(device=device, key=key, is_new=True)
        assert store.ask(store.reader.find_device(device.id)) == device
        assert listed(store, device.product_id, device.id) == (1, (key,))

    def test_a_second_registration_gives_the_same_device_and_key(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        first = self.register(store, self.newcomer(product_id, 1))

        second = self.register(store, self.newcomer(product_id, 2))

        assert second == replace(first, is_new=False)
        assert listed(store, product_id) == (1, (first.key,))

    def test_the_same_serial_number_of_another_product_is_another_device(self, store: StoreHarness) -> None:
        facts = [self.newcomer(store.make_product(name), number) for number, name in enumerate(("a", "b"), start=1)]

        registered = [self.register(store, fact) for fact in facts]

        assert [(each.device.id, each.is_new) for each in registered] == [(1, True), (2, True)]

    def test_resources_that_are_named_stay(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        fact = replace(self.newcomer(product_id), key=data.device_key(product_id, 1, DeviceId(77)))

        assert self.register(store, fact).key.permissions == fact.key.permissions

    def test_a_device_somebody_made_is_given_a_key_too(self, store: StoreHarness) -> None:
        device = store.make_connecting_device()

        registered = self.register(store, self.newcomer(device.product_id))

        assert (registered.device, registered.is_new) == (device, False)
        assert registered.key.registered_device == device.id

    def test_an_lwm2m_device_is_never_found(self, store: StoreHarness) -> None:
        device = store.make_device()
        fact = self.newcomer(device.product_id)
        given = replace(fact.device, auth_info=device.auth_info)

        registered = self.register(store, replace(fact, device=given))

        assert (registered.device.id, registered.is_new) == (2, True)

    def test_registered_keys_take_no_room_from_others(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        self.register(store, self.newcomer(product_id, 1))

        assert store.apply(AddDeviceKey(key=data.device_key(product_id, 2), keys_max=1)) is None

    def test_a_deleted_key_is_replaced_at_the_next_registration(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        first = self.register(store, self.newcomer(product_id, 1))
        store.apply(DeleteDeviceKey(product_id=product_id, index=first.key.index))

        second = self.register(store, self.newcomer(product_id, 2))

        assert second.device == first.device
        assert second.key.index == data.device_key(product_id, 2).index

    def test_a_deleted_devices_own_key_goes_and_other_keys_stay(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        registered = self.register(store, self.newcomer(product_id, 1))
        device = registered.device
        other = add(store, product_id, 2, device.id)

        store.apply(DeleteDevice(product_id=product_id, device_id=device.id))

        assert store.ask(store.reader.find_device_key(registered.key.index)) is None
        assert listed(store, product_id, device.id) == (1, (other,))
        assert self.register(store, self.newcomer(product_id, 3)).is_new is True

    def test_what_cannot_be_created_is_not_registered(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        store.apply(CreateDevice(device=build.device(product_id, device_id=DEVICE_ID_MAX)))

        results = [store.apply(self.newcomer(each)) for each in (product_id, ProductId(99))]

        assert results == [NotCreated.FULL, NotCreated.PRODUCT_GONE]
        assert listed(store, product_id) == (0, ())

    def test_a_taken_index_leaves_no_device_behind(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        add(store, product_id, 1)

        with pytest.raises(StoreUnavailable):
            store.apply(self.newcomer(product_id, 1))

        assert isinstance(store.apply(CreateDevice(device=build.device(product_id, None))), Device)
