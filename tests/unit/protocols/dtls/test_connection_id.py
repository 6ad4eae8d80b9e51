"""Connection ids, against a client written from RFC 9146 alone."""

import pytest

from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationId,
    AssociationOpened,
    CloseReason,
    DataReceived,
    RemoteChanged,
)
from commandpost.protocols.dtls.parameters import DtlsParameters
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.errors import EncodeError
from tests.unit.protocols.dtls.conversation import (
    ELSEWHERE,
    IDENTITY,
    KEY,
    REMOTE,
    Listener,
    carry,
    new_client,
    open_association,
    payload_datagram,
)
from tests.unit.protocols.dtls.rfc9146_client import CBC, CCM_8, GCM, CidClient

SUITES = pytest.mark.parametrize("suite", [CCM_8, GCM, CBC])
DATA = 23


def open_with_id(listener: Listener, *, suite: int = CCM_8, own_id: bytes = b"dev") -> tuple[CidClient, AssociationId]:
    """Complete a handshake of the independent client."""
    client = CidClient(identity=IDENTITY, key=KEY, suite=suite, own_id=own_id)
    (verify_request,) = listener.hear(client.hello())
    (flight,) = listener.hear(client.verified_hello(verify_request))
    (final_flight,) = listener.hear(client.answer(flight))
    client.finish(final_flight)
    return client, listener.event(AssociationOpened).association


@SUITES
@pytest.mark.parametrize("own_id", [b"", b"d", b"device-7" * 4])
def test_an_independent_client_completes_a_handshake_and_talks(suite: int, own_id: bytes) -> None:
    """Every suite, with ids of its own of any length, the empty one too."""
    listener = Listener()
    client, association = open_with_id(listener, suite=suite, own_id=own_id)

    listener.hear(client.protect(DATA, b"register"))
    listener.server.send(association, b"created", now=listener.now)

    assert listener.events() == [DataReceived(association, b"register")]
    assert len(client.peer_id) == 8
    ((remote, record),) = listener.sent()
    assert remote == REMOTE
    assert client.open(record) == (DATA, b"created")


@SUITES
def test_padding_inside_a_record_is_taken_off(suite: int) -> None:
    """The real type is the last byte that is not zero, also when the payload ends in zeros."""
    listener = Listener()
    client, association = open_with_id(listener, suite=suite)

    listener.hear(client.protect(DATA, b"zeros\0\0", padding=40))
    listener.hear(client.protect(DATA, b"", padding=1))

    assert listener.events() == [DataReceived(association, b"zeros\0\0"), DataReceived(association, b"")]


def test_a_record_of_zeros_only_is_dropped() -> None:
    """It has no type."""
    listener = Listener()
    client, _ = open_with_id(listener)

    listener.hear(client.protect(0, b"", padding=20))

    assert listener.events() == []
    assert listener.server.counters.records_unreadable == 1


def test_the_server_gives_no_id_unless_asked() -> None:
    """Nor when it is told to give none."""
    for parameters, offer in ((DtlsParameters(), None), (DtlsParameters(connection_id_bytes=None), b"dev")):
        listener = Listener(parameters=parameters)

        client, _ = open_association(listener, new_client(connection_id=offer))

        assert payload_datagram(client, b"x")[0] == DATA


def test_a_server_without_ids_of_its_own_still_uses_the_clients() -> None:
    """An empty id is an answer: records to the client carry its id, records to us none."""
    listener = Listener(parameters=DtlsParameters(connection_id_bytes=0))
    client, association = open_association(listener, new_client(connection_id=b"dev"))

    to_us = payload_datagram(client, b"x")
    listener.hear(to_us)
    listener.server.send(association, b"y", now=listener.now)

    assert to_us[0] == DATA
    assert listener.events() == [DataReceived(association, b"x")]
    assert listener.sent()[0][1][:1] == b"\x19"


def test_a_device_that_moves_keeps_its_association() -> None:
    """Its next record tells where it is, and answers go there."""
    listener = Listener()
    client, association = open_with_id(listener)

    listener.hear(client.protect(DATA, b"from elsewhere"), ELSEWHERE)
    listener.server.send(association, b"found you", now=listener.now)

    assert listener.events() == [RemoteChanged(association, ELSEWHERE), DataReceived(association, b"from elsewhere")]
    ((remote, record),) = listener.sent()
    assert remote == ELSEWHERE
    assert client.open(record) == (DATA, b"found you")


def test_only_the_newest_record_moves_a_peer() -> None:
    """One that was overtaken is taken in, and nothing more (RFC 9146 section 6)."""
    listener = Listener()
    client, association = open_with_id(listener)
    late = client.protect(DATA, b"late")
    listener.hear(client.protect(DATA, b"newest"))
    listener.events()

    listener.hear(late, ELSEWHERE)

    assert listener.events() == [DataReceived(association, b"late")]
    assert listener.server.find_remote(association) == REMOTE


def test_a_forged_or_replayed_record_from_elsewhere_moves_nobody() -> None:
    """Not by its address, its id, or its contents."""
    listener = Listener()
    client, association = open_with_id(listener)
    genuine = client.protect(DATA, b"genuine")
    listener.hear(genuine)
    newer = client.protect(DATA, b"newer")
    listener.events()

    listener.hear(genuine, ELSEWHERE)
    listener.hear(newer[:-1] + bytes((newer[-1] ^ 1,)), ELSEWHERE)
    listener.hear(newer[:11] + b"\xff" * 8 + newer[19:], ELSEWHERE)

    assert listener.events() == []
    assert listener.server.find_remote(association) == REMOTE
    assert listener.sent() == []


def test_a_record_without_the_agreed_id_is_invalid() -> None:
    """Even with the right keys: RFC 9146 section 3."""
    listener = Listener()
    client, _ = open_with_id(listener)

    listener.hear(client.protect_classic(DATA, b"x"))

    assert listener.events() == []
    assert listener.server.counters.records_unreadable == 1


def test_a_device_cannot_take_the_place_of_one_without_an_id() -> None:
    """An authentic record with a stranger's address as its source moves its own association, and nothing else."""
    listener = Listener()
    stranger, strangers = open_association(listener, new_client(), remote=ELSEWHERE)
    client, association = open_with_id(listener)

    listener.hear(client.protect(DATA, b"forged source"), ELSEWHERE)
    listener.hear(payload_datagram(stranger, b"still here"), ELSEWHERE)

    assert listener.events() == [
        RemoteChanged(association, ELSEWHERE),
        DataReceived(association, b"forged source"),
        DataReceived(strangers, b"still here"),
    ]


def test_a_remote_that_passed_to_another_device_ends_no_association_with_an_id() -> None:
    """The first device may be awake again behind another address; the same device's own is replaced."""
    other = b"865820037654321"
    listener = Listener(keys={IDENTITY: [("access", KEY)], other: [("access", b"other")]})
    client, association = open_with_id(listener)
    open_association(listener, new_client(identity=other, key=b"other", seed=2))

    listener.hear(client.protect(DATA, b"awake"), ELSEWHERE)
    assert listener.events() == [RemoteChanged(association, ELSEWHERE), DataReceived(association, b"awake")]


def test_a_device_that_begins_anew_at_its_remote_replaces_its_association() -> None:
    """With an id too."""
    listener = Listener()
    open_association(listener, new_client(connection_id=b"", seed=3))

    carry(new_client(connection_id=b"", seed=4), listener)

    assert listener.event(AssociationClosed).reason is CloseReason.REPLACED


def test_a_handshake_with_an_id_takes_its_finished_from_its_own_remote_in_its_own_form_only() -> None:
    """What comes from elsewhere, or without the id, is not even tried."""
    listener = Listener()
    client = new_client(connection_id=b"")
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (flight,) = client.datagrams_to_send()
    finished_at = flight.index(b"\x19\xfe\xfd")
    listener.hear(flight[:finished_at])

    listener.hear(flight[finished_at:], ELSEWHERE)
    listener.hear(encode_record(22, epoch=1, sequence=0, body=bytes(32)))
    assert (listener.server.association_count, listener.server.half_open_count) == (0, 1)
    listener.hear(flight[finished_at:])

    assert listener.event(AssociationOpened).remote == REMOTE


def test_the_largest_payload_leaves_room_for_its_type() -> None:
    """The inner plaintext is at most 2**14 bytes (RFC 9146 section 5), in both directions."""
    listener = Listener()
    client, association = open_with_id(listener)

    listener.server.send(association, bytes(16_383), now=listener.now)
    listener.hear(client.protect(DATA, bytes(16_383)))
    listener.hear(client.protect(DATA, bytes(16_384)))

    assert listener.events() == [DataReceived(association, bytes(16_383))]
    with pytest.raises(EncodeError, match="16384 bytes"):
        listener.server.send(association, bytes(16_384), now=listener.now)


def test_ids_are_random_unique_and_of_one_length() -> None:
    """A hundred of them."""
    listener = Listener()

    ids = {open_with_id(listener)[0].peer_id for _ in range(100)}

    assert len(ids) == 100
    assert {len(connection_id) for connection_id in ids} == {8}


def test_two_records_with_an_id_share_a_datagram() -> None:
    """The id's length is known, so the second is found; a third that is cut short ends the reading."""
    listener = Listener()
    client, association = open_with_id(listener)

    listener.hear(client.protect(DATA, b"1") + client.protect(DATA, b"2") + client.protect(DATA, b"3")[:20])

    assert listener.events() == [DataReceived(association, b"1"), DataReceived(association, b"2")]


def test_close_notify_under_an_id_is_answered_under_an_id() -> None:
    """And ends the association on both sides."""
    listener = Listener()
    client, association = open_with_id(listener)

    (answer,) = listener.hear(client.protect(21, b"\1\0"))

    assert client.open(answer) == (21, b"\1\0")
    assert listener.events() == [AssociationClosed(association, CloseReason.CLOSED_BY_PEER)]
    assert listener.hear(client.protect(DATA, b"after")) == []
    assert listener.events() == []
