"""What every store does with DTLS associations that are kept over a restart."""

from dataclasses import replace

import pytest

from commandpost.domain.device import Device
from commandpost.domain.dtls_association import (
    DropAssociation,
    KeepAssociation,
    KeptAssociation,
    NoteRead,
    ReadMark,
    SettleRead,
)
from commandpost.domain.facts import ChangeDeviceKeys, DeleteDevice
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote
from tests.conformance.store_harness import StoreHarness

FIRST = Remote(b"")


def kept(device: Device, name: bytes = b"\x80association", state: bytes = b"sealed") -> KeptAssociation:
    """An association of a device."""
    return KeptAssociation(remote=Remote(name), device_id=device.id, sealed_state=state, saved_at=Instant(1))


def listed(store: StoreHarness, after: bytes = FIRST, limit: int = 10) -> tuple[KeptAssociation, ...]:
    """A page."""
    return store.ask(store.reader.list_associations(after=Remote(after), limit=limit))


def keep(store: StoreHarness, *associations: KeptAssociation) -> None:
    """Keep them all."""
    for each in associations:
        assert store.apply(KeepAssociation(association=each))


def test_the_newest_state_is_kept(store: StoreHarness) -> None:
    """One row an association, however often it is saved."""
    device = store.make_device()
    newer = replace(kept(device), sealed_state=b"newer", saved_at=Instant(2))

    keep(store, kept(device), newer)

    assert listed(store) == (newer,)


def test_they_come_in_pages_by_name(store: StoreHarness) -> None:
    """Bytewise, each once."""
    device = store.make_device()
    names = [b"\x81a", b"\x80\xff", b"\x80\x00", b"\x80\x00\x00"]
    keep(store, *(kept(device, name) for name in names))

    first = listed(store, limit=3)
    rest = listed(store, after=first[-1].remote, limit=3)

    assert [each.remote for each in (*first, *rest)] == sorted(names)


def test_a_dropped_one_is_gone_and_dropping_twice_does_no_harm(store: StoreHarness) -> None:
    """Only that one."""
    device = store.make_device()
    keep(store, kept(device, b"\x80a"), kept(device, b"\x80b"))

    for _ in range(2):
        store.apply(DropAssociation(remote=Remote(b"\x80a")))

    assert listed(store) == (kept(device, b"\x80b"),)


@pytest.mark.parametrize("kind", [NoteRead, SettleRead])
def test_a_mark_is_raised_and_never_lowered(store: StoreHarness, kind: type[NoteRead] | type[SettleRead]) -> None:
    """By no late mark, and not by a state that was taken before it; the state stays as it is."""
    device = store.make_device()
    mine, another = kept(device, b"\x80a"), kept(device, b"\x80b")
    keep(store, mine, another)
    for read_next, at in ((7, 5), (3, 4)):
        assert store.apply(kind(mark=ReadMark(remote=mine.remote, read_next=read_next, at=Instant(at))))

    before = listed(store)
    keep(store, replace(mine, sealed_state=b"later", saved_at=Instant(6)))

    assert before == (replace(mine, read_next=7, saved_at=Instant(5)), another)
    assert listed(store)[0] == replace(mine, sealed_state=b"later", saved_at=Instant(6), read_next=7)


@pytest.mark.parametrize("kind", [NoteRead, SettleRead])
def test_what_is_not_kept_has_no_mark(store: StoreHarness, kind: type[NoteRead] | type[SettleRead]) -> None:
    """And is not begun by one."""
    mark = ReadMark(remote=Remote(b"\x80nobody"), read_next=1, at=Instant(1))

    assert not store.apply(kind(mark=mark))
    assert listed(store) == ()


def test_a_deleted_device_takes_its_own_along(store: StoreHarness) -> None:
    """And keeps no further one."""
    product_id = store.make_product()
    gone, stays = store.make_device(product_id), store.make_device(product_id, "860000000000002")
    keep(store, kept(gone, b"\x80a"), kept(stays, b"\x80b"))

    store.apply(DeleteDevice(product_id=product_id, device_id=gone.id))

    assert listed(store) == (kept(stays, b"\x80b"),)
    assert not store.apply(KeepAssociation(association=kept(gone, b"\x80a")))
    assert not store.apply(KeepAssociation(association=replace(kept(stays), device_id=DeviceId(999))))


def test_changed_keys_end_what_was_proved_with_the_old_ones(store: StoreHarness) -> None:
    """In the same transaction, so that no crash brings it back; other devices keep theirs."""
    product_id = store.make_product()
    changed, stays = store.make_device(product_id), store.make_device(product_id, "860000000000002")
    keep(store, kept(changed, b"\x80a"), kept(stays, b"\x80b"))

    store.apply(ChangeDeviceKeys(product_id=product_id, device_id=changed.id, sealed_psk=b"another"))

    assert listed(store) == (kept(stays, b"\x80b"),)
