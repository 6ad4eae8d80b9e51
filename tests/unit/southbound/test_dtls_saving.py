"""Associations and the disk: their bytes, when they are saved, and how they come back."""

import asyncio
from dataclasses import replace

import pytest

from commandpost.app.part_settings import READS_BEHIND_MAX, RESERVATION_BLOCK
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote
from commandpost.protocols.dtls.association import SavedAssociation
from commandpost.protocols.dtls.parameters import DtlsParameters
from commandpost.protocols.dtls.record_protection import Protection, WriteKeys
from commandpost.southbound.dtls_saving import (
    MARKS_GATHERED_S,
    SAVE_AGAIN_S,
    decode_association_state,
    encode_association_state,
    restore_associations,
)
from tests.unit.southbound.dtls_bench import KEPT, SERVER, HeldStore, House, State

SOON_S = 0.5
BLOCK = 16
AS_SERVED = DtlsParameters(candidates=2, reservation_block=RESERVATION_BLOCK, reservation_read_step=READS_BEHIND_MAX)

SAVED = SavedAssociation(
    remote=bytes.fromhex("00c000020115b3"),
    identity=b"860000000000001",
    label="access",
    protection=Protection.CCM_8,
    read_keys=WriteKeys(key=bytes(range(16)), salt=b"\xa0\xa1\xa2\xa3"),
    write_keys=WriteKeys(key=bytes(range(16, 32)), salt=b"\xb0\xb1\xb2\xb3"),
    read_connection_id=b"\x01\x02\x03\x04\x05\x06\x07\x08",
    write_connection_id=b"",
    write_sequence=1_024,
    read_sequence=-1,
    fragment_bytes_max=16_384,
)
# Written out by hand from the layout in the module: what one version has put on a disk, the next has to read.
SAVED_HEX = (
    "01"
    "0005 63636d5f38"
    "0007 00c000020115b3"
    "000f 383630303030303030303030303031"
    "0006 616363657373"
    "0010 000102030405060708090a0b0c0d0e0f"
    "0004 a0a1a2a3"
    "0010 101112131415161718191a1b1c1d1e1f"
    "0004 b0b1b2b3"
    "0008 0102030405060708"
    "0000"
    "0000000000000400 0000000000000000 4000"
)


def store_of(house: House) -> HeldStore:
    """The house's store."""
    assert house.store is not None
    return house.store


def test_the_bytes_are_those_of_the_layout() -> None:
    """Both ways."""
    state = bytes.fromhex(SAVED_HEX)

    assert encode_association_state(SAVED) == state
    assert decode_association_state(state) == SAVED


@pytest.mark.parametrize("protection", list(Protection))
def test_every_protection_comes_back(protection: Protection) -> None:
    """Whatever the suite."""
    salt = bytes(protection.key_block_bytes // 2 - 16)
    keys = WriteKeys(key=bytes(16), salt=salt)
    saved = replace(SAVED, protection=protection, read_keys=keys, write_keys=keys, read_sequence=7)

    assert decode_association_state(encode_association_state(saved)) == saved


def test_what_is_no_association_is_refused() -> None:
    """Another version, anything cut short, anything longer, and numbers no association has."""
    state = encode_association_state(SAVED)
    broken = [b"", b"\x02" + state[1:], state + b"\0", *(state[:end] for end in range(1, len(state)))]
    broken += [state.replace(b"ccm_8", b"ccm_9"), state[:-18] + b"\xff" * 18]
    for each in broken:
        with pytest.raises(ValueError):
            decode_association_state(each)


def test_the_first_answers_wait_for_nothing_and_the_association_is_saved_at_once() -> None:
    """A block is free before anything is on disk: what is not there cannot come back."""
    house = House(parameters=KEPT)
    store = store_of(house)
    store.is_slow = True

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        ((remote, _),) = house.heard
        house.link.send(remote, b"welcome")
        await asyncio.sleep(SOON_S)

        assert device.heard == [b"welcome"]
        assert store.saves == 1  # one at a time, whatever is heard meanwhile
        store.commit()
        store.commit()
        assert list(store.rows) == [remote]

    house.run(scenario())


def test_nothing_is_sent_beyond_what_is_reserved_on_the_disk() -> None:
    """A slow disk holds answers back, a few; when it comes round they go out in order."""
    house = House(parameters=KEPT)
    store = store_of(house)
    store.is_slow = True

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        remote = house.heard[0][0]
        for number in range(BLOCK + 2):
            house.link.send(remote, b"%d" % number)
        await asyncio.sleep(SOON_S)
        free = len(device.heard)
        assert free < BLOCK + 2

        for _ in range(4):
            store.commit()
            await asyncio.sleep(SOON_S)
        assert device.heard == [b"%d" % number for number in range(BLOCK + 2)]

    house.run(scenario())


def test_an_association_comes_back_under_its_name_and_no_number_is_used_twice() -> None:
    """After an end without a word; the first to speak is the server."""
    house = House(parameters=KEPT)
    store = store_of(house)

    async def scenario() -> None:
        house.listen()
        device = house.device(7)
        device.say(b"before")
        await asyncio.sleep(SOON_S)
        remote = house.heard[0][0]
        house.link.send(remote, b"one")
        await asyncio.sleep(SOON_S)
        house.reopen(KEPT)
        await restore_associations(store, {house.link.listener: house.link}, house.events)
        house.listen()

        house.link.send(remote, b"two")
        await asyncio.sleep(SOON_S)
        device.say(b"after")
        await asyncio.sleep(SOON_S)

        assert device.heard == [b"one", b"two"]  # a number used twice would have been a replay to it
        assert house.heard == [(remote, b"before"), (remote, b"after")]
        identity = house.peers.identify(remote)
        assert identity is not None
        assert identity.device_id == DeviceId(7)
        assert device.session.handshakes == 1

    house.run(scenario())


# --- how far the peer's records were read -----------------------------------------------------------------------------


def test_a_record_heard_is_no_save() -> None:
    """A hundred of them raise the mark a few times, and what is kept of the keys is written twice at most."""
    house = House(parameters=AS_SERVED)
    store = store_of(house)

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        saves, notes = store.saves, store.notes
        for _ in range(100):
            device.say(b"again")
            await asyncio.sleep(0.01)
        await asyncio.sleep(SOON_S)

        assert len(house.heard) == 101
        assert store.saves == saves
        assert 1 <= store.notes - notes <= 100 * 0.01 / MARKS_GATHERED_S + 1
        ((_, row),) = store.rows.items()
        assert row.read_next == 102  # the Finished was number 0

    house.run(scenario())


def test_what_the_disk_cannot_note_behind_is_saved_before_other_work_once_it_is_much() -> None:
    """A replay window of records, and no more, can be forgotten."""
    house = House(parameters=AS_SERVED)
    store = store_of(house)
    store.is_behind = True

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        saves = store.saves
        for _ in range(130):
            device.say(b"again")
            await asyncio.sleep(0.01)

        assert store.saves - saves == 130 // AS_SERVED.reservation_read_step

    house.run(scenario())


@pytest.mark.parametrize("has_settled", [True, False])
def test_what_was_settled_is_never_heard_again(has_settled: bool) -> None:
    """The run ends in the same moment, before anything else could be noted; what was not settled can come once more."""
    house = House(parameters=AS_SERVED)
    store = store_of(house)

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        store.is_behind = True
        captured = house.capture(device, b"register")
        remote = house.heard[-1][0]
        if has_settled:
            house.peers.settle(remote)
        house.reopen(AS_SERVED)
        await restore_associations(store, {house.link.listener: house.link}, house.events)
        house.listen()
        device.link.send(SERVER, captured)
        await asyncio.sleep(SOON_S)
        device.say(b"alive")
        await asyncio.sleep(SOON_S)

        again = [] if has_settled else [(remote, b"register")]
        assert house.heard == [(remote, b"hello"), (remote, b"register"), *again, (remote, b"alive")]

    house.run(scenario())


def test_a_stop_writes_every_mark() -> None:
    """Of the last moment, and of what waited for an earlier mark: nothing is heard twice after it."""
    house = House(parameters=AS_SERVED)
    store = store_of(house)

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        captured = house.capture(device, b"last words")
        house.link.stop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        house.reopen(AS_SERVED)
        await restore_associations(store, {house.link.listener: house.link}, house.events)
        house.listen()
        device.link.send(SERVER, captured)
        await asyncio.sleep(SOON_S)

        assert [payload for _, payload in house.heard] == [b"hello", b"last words"]

    house.run(scenario())


def test_a_mark_that_finds_no_row_is_noted_again_later() -> None:
    """The association itself could not be saved yet."""
    house = House(parameters=AS_SERVED)
    store = store_of(house)
    store.is_broken = True

    async def scenario() -> None:
        house.listen()
        house.device().say(b"hello")
        await asyncio.sleep(SOON_S)
        store.is_broken = False
        await asyncio.sleep(2 * SAVE_AGAIN_S + SOON_S)

        ((_, row),) = store.rows.items()
        assert row.read_next == 2

    house.run(scenario())


def test_without_dtls_there_is_nothing_to_settle() -> None:
    """Nor of an association that is over."""
    house = House(parameters=AS_SERVED)

    async def scenario() -> None:
        house.peers.settle(Remote(b"\0nobody"))

    house.run(scenario())

    assert store_of(house).settled == 0


def test_a_save_that_fails_is_tried_again() -> None:
    """The store was full or gone."""
    house = House(parameters=KEPT)
    store = store_of(house)
    store.is_broken = True

    async def scenario() -> None:
        house.listen()
        house.device().say(b"hello")
        await asyncio.sleep(SOON_S)
        assert not store.rows
        store.is_broken = False
        await asyncio.sleep(SAVE_AGAIN_S + SOON_S)

        assert len(store.rows) == 1

    house.run(scenario())


def test_an_association_that_ends_leaves_the_disk_even_while_it_is_being_saved() -> None:
    """The save that was under way is of no consequence."""
    house = House(parameters=KEPT)
    store = store_of(house)

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(b"hello")
        await asyncio.sleep(SOON_S)
        assert len(store.rows) == 1
        device.session.close()
        await asyncio.sleep(SOON_S)

        assert not store.rows

    house.run(scenario())


def test_what_cannot_come_back_is_forgotten() -> None:
    """Another listener's, another version's, a key label there is not, a connection id of another length."""
    house = House(parameters=KEPT)
    store = store_of(house)
    names = [Remote(b"\x85another"), Remote(b"\x80version"), Remote(b"\x80nolabel"), Remote(b"\x80id-of-3")]
    states = [
        encode_association_state(SAVED),
        b"\x02",
        encode_association_state(replace(SAVED, label="master")),
        encode_association_state(replace(SAVED, read_connection_id=b"123")),
    ]
    for name, state in zip(names, states, strict=True):
        store.rows[name] = State(remote=name, device_id=DeviceId(1), state=state)

    async def scenario() -> None:
        await restore_associations(store, {house.link.listener: house.link}, house.events)

        assert not store.rows
        assert house.events.told == [("dtls_restored", {"associations": 0, "dropped": 4})]

    house.run(scenario())
