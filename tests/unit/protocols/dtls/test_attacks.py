"""Attacks, each by its name."""

import pytest

from commandpost.protocols.dtls.client import ClientClosed, ClientEnd
from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationOpened,
    CloseReason,
    DataReceived,
)
from commandpost.protocols.dtls.parameters import DtlsLimits
from commandpost.protocols.dtls.registries import CipherSuite, ContentType
from tests.unit.protocols.dtls.conversation import (
    ELSEWHERE,
    KEY,
    REMOTE,
    Listener,
    carry,
    client_events,
    new_client,
    open_association,
    payload_datagram,
)
from tests.unit.protocols.dtls.hellos import hello_datagram
from tests.unit.protocols.dtls.openssl_peer import cut_at_records

ALL_SUITES = tuple(CipherSuite)
SUITES = pytest.mark.parametrize("suite", ALL_SUITES)


@SUITES
def test_replay(suite: CipherSuite) -> None:
    """A record counts once, however often and from wherever it comes."""
    listener = Listener()
    client, association = open_association(listener, new_client(cipher_suites=(suite,)))
    records = [payload_datagram(client, bytes((number,))) for number in range(70)]
    for record in (records[1], records[0], *records[2:]):
        listener.hear(record)
    assert len(listener.events()) == 70

    for record in records:
        listener.hear(record)
        listener.hear(record, ELSEWHERE)

    assert listener.events() == []
    assert listener.server.counters.records_replayed == 70
    assert listener.server.find_remote(association) == REMOTE


@SUITES
def test_record_forgery(suite: CipherSuite) -> None:
    """Changing any byte of a record makes it nothing, and the genuine one still counts."""
    listener = Listener()
    client, association = open_association(listener, new_client(cipher_suites=(suite,)))
    genuine = payload_datagram(client, b"open the gate")

    for position in range(len(genuine)):
        for bit in (1, 2, 0x80):
            listener.hear(genuine[:position] + bytes((genuine[position] ^ bit,)) + genuine[position + 1 :])
        listener.hear(genuine[:position])

    assert listener.events() == []
    assert listener.sent() == []
    listener.hear(genuine)
    assert listener.events() == [DataReceived(association, b"open the gate")]


@pytest.mark.parametrize("suite", [CipherSuite.PSK_AES_128_CBC_SHA256, CipherSuite.PSK_AES_128_GCM_SHA256])
@pytest.mark.parametrize("is_extended", [True, False])
def test_downgrade_by_a_hello_changed_on_the_way(suite: CipherSuite, is_extended: bool) -> None:
    """Taking the best suite out of both hellos shows in the Finished: no association.

    Without extended master secret the keys are the same on both sides, and only what Finished holds differs.
    """
    listener = Listener()
    client = new_client(cipher_suites=(CipherSuite.PSK_AES_128_CCM_8, suite), offers_extended_master_secret=is_extended)
    for _ in range(2):
        (hello,) = client.datagrams_to_send()
        assert b"\xc0\xa8" in hello
        for answer in listener.hear(hello.replace(b"\xc0\xa8", b"\x13\x02")):
            client.receive_datagram(answer, now=0.0)

    carry(client, listener)

    assert client_events(client) == [ClientClosed(ClientEnd.REFUSED, alert=51)]
    assert listener.server.association_count == 0


def test_hijack_by_address_without_an_id() -> None:
    """A record of the device from another address is for nobody there; the device stays where it is."""
    listener = Listener()
    client, association = open_association(listener)

    assert listener.hear(payload_datagram(client, b"x"), ELSEWHERE) == []

    assert listener.events() == []
    assert listener.server.find_remote(association) == REMOTE


def test_hijack_by_address_with_an_id() -> None:
    """A captured record sent on from elsewhere after the device's own, or changed, moves nobody."""
    listener = Listener()
    client, association = open_association(listener, new_client(connection_id=b""))
    captured = payload_datagram(client, b"captured")
    listener.hear(captured)

    listener.hear(captured, ELSEWHERE)
    for position in range(len(captured)):
        listener.hear(captured[:position] + bytes((captured[position] ^ 4,)) + captured[position + 1 :], ELSEWHERE)

    assert listener.server.find_remote(association) == REMOTE
    assert listener.server.counters.remotes_changed == 0


@pytest.mark.parametrize("connection_id", [None, b""])
def test_the_old_session_survives_an_unproven_hello(connection_id: bytes | None) -> None:
    """RFC 6347 section 4.2.8: cookie and all, without the key it ends in its own alert; data flows meanwhile."""
    listener = Listener()
    client, association = open_association(listener, new_client(connection_id=connection_id))
    intruder = new_client(key=b"wrong", seed=9)
    for _ in range(2):
        for answer in listener.hear(intruder.datagrams_to_send()[0]):
            intruder.receive_datagram(answer, now=0.0)
    listener.hear(payload_datagram(client, b"meanwhile"))
    assert listener.events() == [DataReceived(association, b"meanwhile")]

    carry(intruder, listener)
    listener.hear(payload_datagram(client, b"after"))

    assert client_events(intruder) == [ClientClosed(ClientEnd.REFUSED, alert=51)]
    assert DataReceived(association, b"after") in listener.events()
    assert listener.server.association_count == 1


def test_the_old_session_is_replaced_by_a_proven_hello_and_not_a_record_earlier() -> None:
    """Its records count until then, its replays never, and the new Finished is not taken for one of them."""
    listener = Listener()
    client, association = open_association(listener)
    old = payload_datagram(client, b"old")
    listener.hear(old)
    renewed = new_client(seed=9)
    for _ in range(2):
        for answer in listener.hear(renewed.datagrams_to_send()[0]):
            renewed.receive_datagram(answer, now=0.0)
    listener.events()
    listener.hear(old)
    listener.hear(payload_datagram(client, b"last words"))
    assert listener.events() == [DataReceived(association, b"last words")]

    carry(renewed, listener)

    _, closed, opened = listener.events()
    assert closed == AssociationClosed(association, CloseReason.REPLACED)
    assert isinstance(opened, AssociationOpened)
    assert renewed.is_open
    listener.hear(payload_datagram(client, b"too late"))
    assert listener.events() == []


def test_a_replayed_finished_of_the_old_session_is_neither_answered_nor_taken_for_the_new_one() -> None:
    """It opens under the old keys, so it cannot fail the handshake that waits beside them."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (flight,) = client.datagrams_to_send()
    listener.hear(flight)
    renewed = new_client(seed=9)
    for _ in range(2):
        for answer in listener.hear(renewed.datagrams_to_send()[0]):
            renewed.receive_datagram(answer, now=0.0)

    assert listener.hear(cut_at_records(flight)[2]) == []
    carry(renewed, listener)

    assert renewed.is_open
    assert listener.server.counters.records_replayed == 1


def test_idle_associations_end_and_a_full_table_forgets_the_one_silent_for_longest() -> None:
    """Hearing from a peer puts it off; sending to it does not."""
    listener = Listener(limits=DtlsLimits(associations_max=2))
    first, first_number = open_association(listener, new_client(seed=1), remote=1)
    listener.now += 10.0
    _, second_number = open_association(listener, new_client(seed=2), remote=2)
    listener.now += 10.0
    listener.hear(payload_datagram(first, b"x"), 1)
    listener.server.send(second_number, b"x", now=listener.now)
    heard_at = listener.now
    listener.events()

    carry(new_client(seed=3), listener, 3)

    assert listener.event(AssociationClosed) == AssociationClosed(second_number, CloseReason.EVICTED)
    listener.sent()
    sent = listener.wait_until(heard_at + 604_800.0)
    assert sent == []
    assert AssociationClosed(first_number, CloseReason.IDLE) in listener.events()
    assert listener.server.association_count == 0


def test_secrets_are_in_no_repr() -> None:
    """Not of what is saved, not of what a client is, not of the traffic inside, and events have none to show."""
    listener = Listener()
    client = new_client()
    carry(client, listener)
    events = listener.events()
    (opened,) = (event for event in events if isinstance(event, AssociationOpened))
    saved = listener.server.export(opened.association)

    shown = "".join(map(repr, (events, saved, client._parameters, client._handshake.traffic, listener.server)))

    assert "access" in shown
    for secret in (KEY, saved.read_keys.key, saved.read_keys.salt, saved.write_keys.key, saved.write_keys.salt):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_renegotiation_flood() -> None:
    """Hellos inside an association are refused, at a rate."""
    listener = Listener(limits=DtlsLimits(alerts_per_s=1.0, alerts_burst=5))
    client, _ = open_association(listener)
    traffic = client._handshake.traffic
    assert traffic is not None
    hello = hello_datagram()[13:]

    answers = [
        answer
        for _ in range(100)
        for answer in listener.hear(traffic.seal(ContentType.HANDSHAKE, hello, random_bytes=bytes))
    ]

    assert len(answers) == 5
    assert listener.server.association_count == 1


def test_queues_are_bounded() -> None:
    """A full event queue refuses datagrams, a full send queue loses them."""
    listener = Listener(limits=DtlsLimits(events_queued_max=4, datagrams_queued_max=3))
    client, _ = open_association(listener)
    for number in range(10):
        listener.server.receive_datagram(payload_datagram(client, bytes((number,))), REMOTE, now=listener.now)

    assert len(listener.events()) == 4
    for number in range(10):
        listener.server.receive_datagram(hello_datagram(), number, now=listener.now)
    assert len(listener.sent()) == 3
    assert listener.server.counters.datagrams_refused == 6
    assert listener.server.counters.datagrams_dropped == 7
