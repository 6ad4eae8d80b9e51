"""What every store does with events and failures whose device or trigger is gone: nobody meets them any more."""

from collections.abc import Callable

import pytest

from commandpost.domain.facts import CreateDevice, DeleteDevice
from commandpost.domain.push_facts import PrunePushes
from tests.conformance import store_builders as build
from tests.conformance.push_shortcuts import add, fail, failed_ids, replay, report, waiting
from tests.conformance.store_harness import StoreHarness


def nothing(store: StoreHarness) -> None:
    """Right after the deletion."""


def sweep(store: StoreHarness) -> None:
    """After everything that is left went from the disk."""
    while store.apply(PrunePushes(given_up_before=build.at(0), limit=1)).has_more:
        pass


moments = pytest.mark.parametrize("pass_time", [nothing, sweep])


@moments
def test_a_deleted_device_takes_what_was_to_be_told_of_it(
    store: StoreHarness, pass_time: Callable[[StoreHarness], None]
) -> None:
    """Its events are told to nobody, its failures are on no list and not told again; another device's are."""
    gone = store.make_device()
    other = store.make_device(gone.product_id, "861")
    subscription = add(store, gone.product_id)
    for device in (gone, other):
        report(store, device, "1", "2")
    for seq in (1, 3):
        fail(store, subscription, seq, failures_max=1)

    store.apply(DeleteDevice(product_id=gone.product_id, device_id=gone.id))
    pass_time(store)

    assert waiting(store, subscription, gone) == []
    assert waiting(store, subscription, other) == [4]
    assert failed_ids(store, subscription) == [2]
    assert replay(store, subscription, gone.product_id, 9) == 1


def test_a_request_that_fails_after_its_device_was_deleted_changes_nothing(store: StoreHarness) -> None:
    """Its events count as gone, whether or not they are swept."""
    device = store.make_device()
    subscription = add(store, device.product_id)
    report(store, device, "1", "2")
    store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

    failed = fail(store, subscription, 1, failures_max=1)
    sweep(store)

    assert failed == ()
    assert failed_ids(store, subscription) == []


@moments
def test_a_device_that_is_given_the_same_id_has_nothing_to_tell(
    store: StoreHarness, pass_time: Callable[[StoreHarness], None]
) -> None:
    """And what it tells afterwards is not swept with the other's."""
    device = store.make_device()
    subscription = add(store, device.product_id)
    report(store, device, "1", "2")
    fail(store, subscription, 1, failures_max=1)
    store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

    store.apply(CreateDevice(device=device))
    report(store, device, "3")
    pass_time(store)

    assert waiting(store, subscription, device) == [3]
    assert failed_ids(store, subscription) == []
