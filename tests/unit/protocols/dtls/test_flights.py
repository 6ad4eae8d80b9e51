"""What is lost, late, doubled or cut in a handshake, and when it is repeated (RFC 6347 section 4.2)."""

from itertools import combinations, permutations

import pytest

from commandpost.protocols.dtls.client import ClientOpened, DtlsClient
from commandpost.protocols.dtls.events import (
    AssociationOpened,
    DataReceived,
    HandshakeEnd,
    HandshakeFailed,
    KeysWanted,
)
from commandpost.protocols.dtls.handshake_messages import encode_message
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import ContentType, HandshakeType
from commandpost.protocols.errors import EncodeError
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
from tests.unit.protocols.dtls.hellos import cut_message
from tests.unit.protocols.dtls.openssl_peer import cut_at_records


def verified_hello(listener: Listener, *, seed: int = 1) -> tuple[bytes, list[bytes]]:
    """Give a hello with its cookie and what the server answers."""
    client = new_client(seed=seed)
    (hello,) = client.datagrams_to_send()
    (verify_request,) = listener.hear(hello)
    client.receive_datagram(verify_request, now=0.0)
    (hello,) = client.datagrams_to_send()
    return hello, listener.hear(hello)


def test_the_servers_flight_is_repeated_at_doubling_intervals_and_not_for_ever() -> None:
    """1 s, doubled up to 60 s; after the handshake's time nothing is left."""
    listener = Listener(parameters=DtlsParameters(handshake_timeout_s=200.0))
    begun = listener.now
    verified_hello(listener)

    sent = listener.wait_until(begun + 1_000.0)

    assert [round(at - begun) for at, _, _ in sent] == [1, 3, 7, 15, 31, 63, 123, 183]
    assert len({data for _, _, data in sent}) == 8  # every repetition has record numbers of its own
    assert listener.server.half_open_count == 0
    assert listener.server.next_deadline() is None
    assert listener.server.counters.handshakes_timed_out == 1


def test_a_repeated_hello_gets_the_flight_again_a_bounded_number_of_times() -> None:
    """So a captured hello is no lever."""
    listener = Listener(parameters=DtlsParameters(flight_transmissions_max=4))
    hello, (flight,) = verified_hello(listener)

    answers = [answer for _ in range(10) for answer in listener.hear(hello)]

    assert len(answers) == 3
    assert {answer[13:] for answer in answers} != {flight[13:]}
    assert listener.server.half_open_count == 1


def test_a_lost_final_flight_is_sent_again_when_the_client_repeats_its_own() -> None:
    """Under a new record number, and only until the client shows that it has it."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (lost,) = listener.hear(client.datagrams_to_send()[0])
    client.handle_deadline(now=1.0)
    (repeated,) = client.datagrams_to_send()

    (again,) = listener.hear(repeated)
    client.receive_datagram(again, now=1.0)

    assert again != lost
    assert client_events(client) == [ClientOpened()]
    opened = listener.event(AssociationOpened)
    listener.hear(payload_datagram(client, b"x"))
    assert listener.events() == [DataReceived(opened.association, b"x")]
    client._send_flight(2.0)  # a client that should know better
    assert listener.hear(client.datagrams_to_send()[0]) == []


def carry_with_losses(client: DtlsClient, listener: Listener, lost: frozenset[int]) -> int:
    """Carry datagrams, of which those with these numbers are lost, while both sides' clocks run; count all."""
    started, count = listener.now, 0
    to_server, to_client = client.datagrams_to_send(), list[bytes]()
    while count < 40 and not client.is_open:
        for datagram in to_server:
            if count not in lost:
                to_client += listener.hear(datagram)
            count += 1
        for datagram in to_client:
            if count not in lost:
                client.receive_datagram(datagram, now=listener.now - started)
            count += 1
        to_server, to_client = client.datagrams_to_send(), []
        if not to_server and not client.is_open:
            waits = [client.next_deadline(), (listener.server.next_deadline() or 1e9) - started]
            now = min(at for at in waits if at is not None)
            to_client = [data for _, _, data in listener.wait_until(started + now)]
            client.handle_deadline(now=now)
            to_server = client.datagrams_to_send()
    return count


@pytest.mark.parametrize("lost", [frozenset(pair) for pair in combinations(range(8), 2)])
def test_any_two_datagrams_may_be_lost(lost: frozenset[int]) -> None:
    """Timers of both sides bring them again, and one association opens."""
    listener = Listener()
    client = new_client()

    count = carry_with_losses(client, listener, lost)

    assert client.is_open
    assert count > 6 or not lost & set(range(6))
    assert len([event for event in listener.events() if isinstance(event, AssociationOpened)]) == 1


@pytest.mark.parametrize("size", [1, 7, 300])
def test_a_client_key_exchange_in_fragments_is_put_together(size: int) -> None:
    """In any order, with copies."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    exchange, change, finished = cut_at_records(client.datagrams_to_send()[0])
    fragments = cut_message(exchange, size)

    for fragment in (*fragments[::-1], *fragments):
        listener.hear(fragment)
    answers = listener.hear(change + finished)

    client.receive_datagram(answers[0], now=0.0)
    assert client.is_open
    assert isinstance(listener.events()[0], KeysWanted)


def test_change_cipher_spec_is_waited_for() -> None:
    """RFC 5246 section 7.1: a Finished counts after it; the repeated flight brings both."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    exchange, _, finished = cut_at_records(client.datagrams_to_send()[0])
    assert listener.hear(exchange + finished) == []
    assert listener.server.association_count == 0

    client.handle_deadline(now=1.0)
    carry(client, listener)

    assert client.is_open


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_last_flight_opens_in_any_order_however_late_the_keys_come(order: tuple[int, ...]) -> None:
    """The owner looks them up while the rest arrives."""
    listener = Listener(answers_at_once=False)
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    records = cut_at_records(client.datagrams_to_send()[0])
    for number in order:
        listener.hear(records[number])
    assert listener.wait_until(listener.now + 10.0) == []  # the client has done its part

    listener.answer(listener.event(KeysWanted))

    ((remote, final_flight),) = listener.sent()
    client.receive_datagram(final_flight, now=0.0)
    assert (remote, client.is_open) == (REMOTE, True)


def test_keys_that_come_after_the_end_are_ignored() -> None:
    """And the owner was told that it ended."""
    listener = Listener(answers_at_once=False)
    client = new_client()
    carry(client, listener)
    wanted = listener.event(KeysWanted)

    listener.wait_until(listener.now + 1_000.0)
    listener.answer(wanted)

    assert listener.event(HandshakeFailed).reason is HandshakeEnd.TIMED_OUT
    assert listener.sent() == []


def test_a_newer_hello_of_the_remote_displaces_the_older_one_and_not_the_other_way_round() -> None:
    """A late copy of the older hello changes nothing."""
    listener = Listener()
    older, _ = verified_hello(listener, seed=1)
    newer = new_client(seed=2)
    (hello,) = newer.datagrams_to_send()
    newer.receive_datagram(listener.hear(hello)[0], now=0.0)
    (hello,) = newer.datagrams_to_send()
    newer.receive_datagram(listener.hear(hello)[0], now=0.0)

    assert listener.hear(older) == []
    carry(newer, listener)

    assert newer.is_open
    assert listener.server.counters.handshakes_displaced == 1


def test_a_late_copy_of_the_hello_opens_no_second_handshake() -> None:
    """Its association is there already."""
    listener = Listener()
    client = new_client()
    (first,) = client.datagrams_to_send()
    client.receive_datagram(listener.hear(first)[0], now=0.0)
    (hello,) = client.datagrams_to_send()
    client.receive_datagram(listener.hear(hello)[0], now=0.0)
    carry(client, listener)
    assert client.is_open

    assert listener.hear(hello) == []
    assert listener.server.half_open_count == 0


@pytest.mark.parametrize(
    ("limits", "survivors"),
    [
        (DtlsLimits(half_open_max=3), [("a", 3), ("b", 2), ("c", 1)]),
        (DtlsLimits(half_open_per_source_max=2), [("b", 1), ("a", 2), ("a", 3), ("b", 2), ("c", 1)]),
    ],
)
def test_a_full_table_lets_the_oldest_handshake_go(limits: DtlsLimits, survivors: list[tuple[str, int]]) -> None:
    """The oldest of all, or of the source that has too many."""
    listener = Listener(limits=limits, source_of=lambda remote: remote[0] if isinstance(remote, tuple) else remote)
    clients = {}
    for seed, remote in enumerate([("b", 1), ("a", 1), ("a", 2), ("a", 3), ("b", 2), ("c", 1)]):
        client = clients[remote] = new_client(seed=seed)
        for _ in range(2):
            for answer in listener.hear(client.datagrams_to_send()[0], remote):
                client.receive_datagram(answer, now=0.0)
    assert listener.server.half_open_count == len(survivors)

    for remote, client in clients.items():
        carry(client, listener, remote)

    assert [remote for remote, client in clients.items() if client.is_open] == survivors


def test_a_fatal_alert_in_the_clear_ends_neither_handshake_nor_association() -> None:
    """Anybody can send one; it only stops our repetitions."""
    alert = encode_record(ContentType.ALERT, epoch=0, sequence=9, body=b"\2\x28")
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    listener.hear(alert)
    assert listener.wait_until(listener.now + 20.0) == []

    carry(client, listener)
    association = listener.event(AssociationOpened).association
    listener.hear(alert)
    listener.hear(payload_datagram(client, b"alive"))

    assert listener.events() == [DataReceived(association, b"alive")]


def test_a_fragment_is_at_most_as_long_as_agreed() -> None:
    """max_fragment_length of RFC 6066: 512 bytes, and a record never more."""
    listener = Listener()
    client, association = open_association(listener, new_client(max_fragment_length=1))

    listener.server.send(association, bytes(512), now=listener.now)
    listener.hear(payload_datagram(client, bytes(512)))

    assert client._handshake.traffic is not None
    listener.hear(client._handshake.traffic.seal(ContentType.APPLICATION_DATA, bytes(513), random_bytes=bytes))
    assert listener.events() == [DataReceived(association, bytes(512))]
    with pytest.raises(EncodeError, match="513 bytes"):
        listener.server.send(association, bytes(513), now=listener.now)


def test_a_record_in_an_unknown_epoch_is_dropped() -> None:
    """There is no renegotiation, so there is no epoch 2; nor is data believed in the clear."""
    listener = Listener()
    client, _ = open_association(listener)
    record = payload_datagram(client, b"x")

    listener.hear(record[:4] + b"\2" + record[5:])
    listener.hear(encode_record(ContentType.APPLICATION_DATA, epoch=0, sequence=50, body=b"clear"))
    listener.hear(encode_record(ContentType.APPLICATION_DATA, epoch=0, sequence=50, body=b"clear"), ELSEWHERE)

    assert listener.events() == []


def test_offering_too_many_or_empty_keys_is_the_owners_mistake() -> None:
    """An empty key would let anybody in."""
    listener = Listener(answers_at_once=False)
    carry(new_client(), listener)
    wanted = listener.event(KeysWanted)

    with pytest.raises(ValueError, match="at most 4 keys"):
        listener.server.offer_keys(wanted.handle, [("a", b"x")] * 5, now=0.0)
    with pytest.raises(ValueError, match="none is empty"):
        listener.server.offer_keys(wanted.handle, [("a", b"")], now=0.0)


def test_an_identity_that_is_too_long_is_dropped_and_the_right_one_still_counts() -> None:
    """256 bytes are taken; anybody may have sent the longer one, so it ends nothing."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    for body in (b"\x01\x01" + bytes(257), b"\x00\x05abc", b"\x00\x01ab", b""):
        message = encode_message(HandshakeType.CLIENT_KEY_EXCHANGE, 2, body)
        listener.hear(encode_record(ContentType.HANDSHAKE, epoch=0, sequence=70, body=message))
    listener.hear(
        encode_record(
            ContentType.HANDSHAKE, epoch=0, sequence=71, body=encode_message(HandshakeType.FINISHED, 2, bytes(12))
        )
    )
    assert listener.events() == []

    carry(client, listener)

    assert client.is_open


def test_a_hello_that_leaves_no_numbers_is_dropped() -> None:
    """Neither message numbers nor record numbers may run out in a handshake."""
    listener = Listener()
    (hello,) = new_client().datagrams_to_send()

    for changed in (hello[:17] + b"\xff\xff" + hello[19:], hello[:5] + b"\xff" * 6 + hello[11:]):
        assert listener.hear(changed) == []

    assert listener.server.counters.hellos_malformed == 2


def test_what_is_kept_of_an_unfinished_handshake_is_bounded() -> None:
    """Two early records of the size a Finished has; the client's own repetition makes up for the rest."""
    listener = Listener(answers_at_once=False)
    verified_hello(listener)

    for sequence in range(100):
        listener.hear(encode_record(ContentType.HANDSHAKE, epoch=1, sequence=sequence, body=bytes(257)))
        listener.hear(encode_record(ContentType.HANDSHAKE, epoch=1, sequence=sequence, body=bytes(56)))

    handshake = listener.server._half_open.find(REMOTE)
    assert handshake is not None
    assert [len(record.body) for record in handshake.early_records] == [56, 56]
