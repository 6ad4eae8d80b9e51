"""Associations over a restart: no nonce twice, no old record twice."""

import pytest

from commandpost.protocols.dtls.association import SavedAssociation
from commandpost.protocols.dtls.client import PayloadReceived
from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationId,
    CloseReason,
    DataReceived,
    Remote,
    ReservationWanted,
)
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.records import split_records
from commandpost.protocols.dtls.registries import CipherSuite
from tests.unit.protocols.dtls.conversation import (
    ELSEWHERE,
    REMOTE,
    Listener,
    carry,
    client_events,
    new_client,
    open_association,
    payload_datagram,
)

BLOCK = 16
PERSISTED = DtlsParameters(reservation_block=BLOCK)
LAST = (1 << 48) - 1


class Disk:
    """What an owner would have on disk; `commit` is its fsync."""

    def __init__(self) -> None:
        self.saved: SavedAssociation | None = None

    def commit(self, listener: Listener) -> None:
        """Save whatever is wanted, then confirm it."""
        for event in listener.events():
            if isinstance(event, ReservationWanted):
                self.saved = listener.server.export(event.association)
                assert self.saved.write_sequence >= event.upto
                listener.server.reserve(event.association, event.upto)


def sequences(sent: list[tuple[Remote, bytes]]) -> list[int]:
    """Give the numbers of the protected records."""
    return [
        record.sequence
        for _, datagram in sent
        for record in split_records(datagram, connection_id_bytes=0)
        if record.epoch == 1
    ]


@pytest.mark.parametrize("suite", list(CipherSuite))
@pytest.mark.parametrize("connection_id", [None, b"dev"])
def test_an_association_outlives_a_restart(suite: CipherSuite, connection_id: bytes | None) -> None:
    """Both directions go on, whoever speaks first."""
    before = Listener(parameters=PERSISTED)
    client = new_client(cipher_suites=(suite,), connection_id=connection_id)
    disk = Disk()
    carry(client, before)
    client_events(client)
    disk.commit(before)
    assert disk.saved is not None

    after = Listener(parameters=PERSISTED, seed=6)
    association = after.server.restore(disk.saved, now=after.now)
    after.hear(payload_datagram(client, b"still me"))
    after.server.send(association, b"welcome back", now=after.now)
    assert after.sent() == []  # no number is reserved yet
    assert DataReceived(association, b"still me") in after.log
    disk.commit(after)

    ((remote, datagram),) = after.sent()
    client.receive_datagram(datagram, now=0.0)
    assert remote == REMOTE
    assert client_events(client) == [PayloadReceived(b"welcome back")]


def test_a_nonce_never_repeats_across_crashes() -> None:
    """Twenty lives, each killed after a number of sends that the disk knows nothing of."""
    used: list[int] = []
    disk = Disk()
    listener = Listener(parameters=PERSISTED)
    client = new_client()
    for datagram in client.datagrams_to_send():
        listener.hear(datagram)
    client, association = open_association(listener)
    disk.saved = listener.server.export(association)
    used.append(0)  # the server's Finished

    for life in range(20):
        for number in range(life % 7 * 3):
            listener.server.send(association, b"x", now=listener.now)
            if number % 2:
                disk.commit(listener)
        used += sequences(listener.sent())
        listener = Listener(parameters=PERSISTED, seed=life)
        association = listener.server.restore(disk.saved, now=listener.now)

    assert len(used) == len(set(used)) > 100


def test_a_bound_put_on_disk_for_all_needs_no_further_wait() -> None:
    """The owner raised every row in one transaction before it restored them."""
    before = Listener(parameters=PERSISTED)
    client, association = open_association(before)
    saved = before.server.export(association)

    after = Listener(parameters=PERSISTED)
    restored = after.server.restore(saved, now=0.0, reserved_upto=saved.write_sequence + BLOCK)
    after.server.send(restored, b"at once", now=0.0)

    ((_, datagram),) = after.sent()
    client.receive_datagram(datagram, now=0.0)
    assert client_events(client) == [PayloadReceived(b"at once")]


def test_sending_stops_at_the_bound_until_it_is_on_disk() -> None:
    """What waits is bounded; it goes out in order once the owner confirms."""
    listener = Listener(parameters=PERSISTED, limits=DtlsLimits(payloads_held_max=3))
    client, association = open_association(listener)

    for number in range(BLOCK + 4):
        listener.server.send(association, bytes((number,)), now=listener.now)

    assert sequences(listener.sent()) == list(range(1, BLOCK))
    assert listener.server.counters.payloads_dropped == 2
    Disk().commit(listener)
    # The question of the handshake was forgotten with its events, so the owner answers by number.
    listener.server.reserve(association, 2 * BLOCK)
    for _, datagram in listener.sent():
        client.receive_datagram(datagram, now=0.0)
    assert client_events(client) == [PayloadReceived(bytes((number,))) for number in (15, 16, 17)]


def test_a_reservation_is_asked_for_once_and_in_time() -> None:
    """At half a block, so that a busy association need not wait for the disk."""
    listener = Listener(parameters=PERSISTED)
    carry(new_client(), listener)
    (opening,) = (event for event in listener.events() if isinstance(event, ReservationWanted))
    assert opening.upto == 1 + BLOCK
    listener.server.reserve(opening.association, opening.upto)

    asked = []
    for _ in range(BLOCK - 1):
        listener.server.send(opening.association, b"x", now=listener.now)
        asked.append(len(listener.events()))

    assert sum(asked) == 1
    assert asked.index(1) == BLOCK // 2 - 1


def test_records_from_before_the_save_are_replays_after_a_restart() -> None:
    """Also those that were lost on the way: only newer ones count."""
    before = Listener()
    client, association = open_association(before)
    never_arrived = payload_datagram(client, b"lost")
    arrived = payload_datagram(client, b"arrived")
    before.hear(arrived)
    saved = before.server.export(association)

    after = Listener()
    restored = after.server.restore(saved, now=0.0)
    for datagram in (never_arrived, arrived, payload_datagram(client, b"new")):
        after.hear(datagram)

    assert after.events() == [DataReceived(restored, b"new")]


def test_what_was_read_is_saved_every_so_many_records() -> None:
    """So that few records can be replayed after a crash."""
    listener = Listener(parameters=DtlsParameters(reservation_block=BLOCK, reservation_read_step=10))
    disk = Disk()
    client = new_client()
    carry(client, listener)
    disk.commit(listener)

    for _ in range(35):
        listener.hear(payload_datagram(client, b"x"))
        disk.commit(listener)

    assert disk.saved is not None
    assert disk.saved.read_sequence >= 30


def test_what_the_owner_knows_was_read_needs_no_save() -> None:
    """It keeps the number of the newest record beside the state, and may give it back with it."""
    listener = Listener(parameters=DtlsParameters(reservation_block=BLOCK, reservation_read_step=10))
    disk = Disk()
    client = new_client()
    carry(client, listener)
    disk.commit(listener)
    association = AssociationId(1)

    wanted = []
    for number in range(1, 36):
        listener.hear(payload_datagram(client, b"x"))
        assert listener.server.newest_read(association) == number
        if number <= 20:
            listener.server.confirm_read(association, number)
        wanted += [number for event in listener.events() if isinstance(event, ReservationWanted)]

    assert wanted == [30]  # ten after the last that was confirmed, and once until it is answered


def test_a_confirmation_that_comes_late_takes_nothing_back() -> None:
    """Of what is known to be on disk; and of an association that is over there is nothing to know."""
    listener = Listener(parameters=DtlsParameters(reservation_block=BLOCK, reservation_read_step=10))
    client = new_client()
    carry(client, listener)
    Disk().commit(listener)
    association = AssociationId(1)
    for number in range(1, 9):
        listener.hear(payload_datagram(client, b"x"))
        listener.server.confirm_read(association, number)
    listener.server.confirm_read(association, 1)
    listener.events()

    listener.hear(payload_datagram(client, b"x"))
    listener.hear(payload_datagram(client, b"x"))
    gone = AssociationId(7)
    listener.server.confirm_read(gone, 5)

    assert not [event for event in listener.events() if isinstance(event, ReservationWanted)]
    assert listener.server.newest_read(gone) is None


def test_a_full_sequence_space_ends_the_association() -> None:
    """Number 2**48 - 1 says goodbye, and none is used twice."""
    before = Listener()
    client, association = open_association(before)
    saved = before.server.export(association)
    near_the_end = SavedAssociation(
        remote=saved.remote,
        identity=saved.identity,
        label=saved.label,
        protection=saved.protection,
        read_keys=saved.read_keys,
        write_keys=saved.write_keys,
        write_sequence=LAST - 2,
        read_sequence=saved.read_sequence,
    )
    after = Listener()
    restored = after.server.restore(near_the_end, now=0.0)

    for _ in range(5):
        after.server.send(restored, b"x", now=0.0)

    sent = after.sent()
    assert sequences(sent) == [LAST - 2, LAST - 1, LAST]
    assert after.events() == [AssociationClosed(restored, CloseReason.EXHAUSTED)]
    for _, datagram in sent:
        client.receive_datagram(datagram, now=0.0)
    assert len(client_events(client)) == 3


def test_an_exhausted_association_restored_sends_nothing() -> None:
    """Every number may have been used."""
    before = Listener()
    _, association = open_association(before)
    saved = before.server.export(association)
    spent = SavedAssociation(
        remote=saved.remote,
        identity=saved.identity,
        label=saved.label,
        protection=saved.protection,
        read_keys=saved.read_keys,
        write_keys=saved.write_keys,
        write_sequence=LAST + 1,
        read_sequence=saved.read_sequence,
    )
    after = Listener()
    restored = after.server.restore(spent, now=0.0)

    after.server.send(restored, b"x", now=0.0)

    assert after.sent() == []
    assert after.events() == [AssociationClosed(restored, CloseReason.EXHAUSTED)]


def test_a_restored_association_does_not_displace_a_live_one() -> None:
    """The live one is younger."""
    before = Listener()
    _, association = open_association(before)
    saved = before.server.export(association)
    with_id = before.server.export(open_association(before, new_client(connection_id=b""), remote=ELSEWHERE)[1])
    after = Listener(seed=8)
    open_association(after)

    with pytest.raises(ValueError, match="another association"):
        after.server.restore(saved, now=0.0)
    after.server.restore(with_id, now=0.0)
    with pytest.raises(ValueError, match="taken"):
        after.server.restore(with_id, now=0.0)
    with pytest.raises(ValueError, match="8 bytes"):
        Listener(parameters=DtlsParameters(connection_id_bytes=4)).server.restore(with_id, now=0.0)


def test_what_is_over_can_be_spoken_to_but_not_exported() -> None:
    """The owner may not have read the event yet."""
    server = Listener().server
    gone = AssociationId(7)

    server.send(gone, b"x", now=0.0)
    server.close(gone, now=0.0)
    server.reserve(gone, 100)

    assert server.datagrams_to_send() == []
    with pytest.raises(KeyError):
        server.export(gone)
