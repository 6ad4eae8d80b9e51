"""The client of simulated devices: when it repeats, when it gives up, whom it believes."""

import pytest

from commandpost.protocols.dtls.client import ClientClosed, ClientEnd, ClientOpened, PayloadReceived
from commandpost.protocols.dtls.events import AssociationClosed, AssociationId, AssociationOpened, CloseReason
from commandpost.protocols.dtls.record_protection import seal
from commandpost.protocols.dtls.records import encode_record, split_records
from commandpost.protocols.dtls.registries import CipherSuite, ContentType
from commandpost.protocols.errors import EncodeError
from tests.unit.protocols.dtls.conversation import (
    Listener,
    carry,
    client_events,
    new_client,
    open_association,
    payload_datagram,
)


def test_an_unanswered_hello_is_repeated_with_doubling_waits_and_then_given_up() -> None:
    """About a minute of it; every repetition has a record number of its own."""
    client = new_client()
    sent: list[tuple[float, bytes]] = [(0.0, datagram) for datagram in client.datagrams_to_send()]

    while (deadline := client.next_deadline()) is not None:
        client.handle_deadline(now=deadline)
        sent += [(deadline, datagram) for datagram in client.datagrams_to_send()]

    assert [at for at, _ in sent] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0]
    assert len({datagram for _, datagram in sent}) == 7
    assert len({datagram[13:] for _, datagram in sent}) == 1
    assert client_events(client) == [ClientClosed(ClientEnd.TIMED_OUT)]


def test_a_repeated_server_flight_brings_the_last_flight_again() -> None:
    """RFC 6347 section 4.2.4: the server has not got it."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (lost,) = client.datagrams_to_send()
    ((_, _, repeated),) = listener.wait_until(listener.now + 1.5)

    client.receive_datagram(repeated, now=1.0)

    (again,) = client.datagrams_to_send()
    assert again != lost
    assert [record.sequence for record in split_records(again, connection_id_bytes=0)] == [4, 5, 1]
    (final_flight,) = listener.hear(again)
    client.receive_datagram(final_flight, now=1.0)
    assert client.is_open


def test_a_server_without_the_key_is_not_believed() -> None:
    """What it calls Finished opens with no key of ours, so the client waits on."""
    listener = Listener()
    client = new_client()
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (flight,) = client.datagrams_to_send()
    (final_flight,) = listener.hear(flight)
    change, finished = split_records(final_flight, connection_id_bytes=0)
    forged = encode_record(ContentType.HANDSHAKE, epoch=1, sequence=0, body=finished.body[:-1] + b"?")

    client.receive_datagram(forged, now=0.0)
    assert not client.is_open
    client.receive_datagram(final_flight, now=0.0)

    assert client_events(client) == [ClientOpened()]
    assert change.content_type == ContentType.CHANGE_CIPHER_SPEC


@pytest.mark.parametrize(
    ("position", "value", "alert"),
    [(26, 0xFF, 70), (61, 0x2C, 47), (62, 1, 47), (66, 77, 110)],  # version, suite, compression, extension
)
def test_a_server_hello_that_agrees_to_what_was_not_offered_is_refused(position: int, value: int, alert: int) -> None:
    """With the alert that says why."""
    listener = Listener()
    client = new_client(cipher_suites=(CipherSuite.PSK_AES_128_CCM_8,))
    client.receive_datagram(listener.hear(client.datagrams_to_send()[0])[0], now=0.0)
    (flight,) = listener.hear(client.datagrams_to_send()[0])

    client.receive_datagram(flight[:position] + bytes((value,)) + flight[position + 1 :], now=0.0)

    (refusal,) = client.datagrams_to_send()
    assert (refusal[0], refusal[13:]) == (ContentType.ALERT, bytes((2, alert)))
    assert client_events(client) == [ClientClosed(ClientEnd.FAILED)]


@pytest.mark.parametrize("connection_id", [None, b"", b"dev"])
def test_a_goodbye_of_either_side_ends_both(connection_id: bytes | None) -> None:
    """The client's, then the server's."""
    listener = Listener()
    client, association = open_association(listener, new_client(connection_id=connection_id))
    client.close(now=0.0)
    carry(client, listener)
    assert client_events(client) == [ClientClosed(ClientEnd.CLOSED_HERE)]
    assert listener.events() == [AssociationClosed(association, CloseReason.CLOSED_BY_PEER)]

    client, association = open_association(listener, new_client(connection_id=connection_id, seed=2))
    listener.server.close(association, now=listener.now)
    ((_, goodbye),) = listener.sent()
    client.receive_datagram(goodbye, now=0.0)

    assert client_events(client) == [ClientClosed(ClientEnd.CLOSED_BY_PEER)]


def test_a_fatal_alert_under_the_keys_ends_the_association() -> None:
    """In the clear it would be nothing."""
    listener = Listener()
    client, association = open_association(listener)
    traffic = client._handshake.traffic
    assert traffic is not None

    answers = listener.hear(traffic.seal(ContentType.ALERT, b"\2\x50", random_bytes=bytes))
    listener.hear(traffic.seal(ContentType.APPLICATION_DATA, b"after", random_bytes=bytes))

    assert answers == []
    assert listener.events() == [AssociationClosed(association, CloseReason.FAILED_BY_PEER)]


def test_a_warning_changes_nothing() -> None:
    """user_canceled and its like."""
    listener = Listener()
    client, _ = open_association(listener)
    traffic = client._handshake.traffic
    assert traffic is not None

    listener.hear(traffic.seal(ContentType.ALERT, b"\1\x5a", random_bytes=bytes))

    assert listener.events() == []
    assert listener.server.association_count == 1


def test_a_payload_is_given_once() -> None:
    """Replays are dropped, and so is what comes after the end."""
    listener = Listener()
    client, association = open_association(listener)
    listener.server.send(association, b"once", now=listener.now)
    ((_, datagram),) = listener.sent()

    client.receive_datagram(datagram, now=0.0)
    client.receive_datagram(datagram, now=0.0)

    assert client_events(client) == [PayloadReceived(b"once")]
    with pytest.raises(EncodeError):
        client.send(bytes(16_385), now=0.0)
    client.close(now=0.0)
    with pytest.raises(EncodeError):
        client.send(b"x", now=0.0)


def test_records_in_another_form_or_epoch_than_agreed_are_dropped() -> None:
    """Even under the right keys: without the id, with another, in an epoch that never began."""
    listener = Listener()
    client, association = open_association(listener, new_client(connection_id=b"dev"))
    saved = listener.server.export(association)

    for sequence, (epoch, connection_id) in enumerate([(1, b""), (1, b"vid"), (2, b"dev"), (1, b"dev")], start=50):
        record = seal(
            saved.protection,
            saved.write_keys,
            ContentType.APPLICATION_DATA,
            connection_id,
            epoch=epoch,
            sequence=sequence,
            connection_id=connection_id,
            random_bytes=bytes,
        )
        client.receive_datagram(record, now=0.0)

    assert client_events(client) == [PayloadReceived(b"dev")]


def test_nothing_can_be_sent_before_the_handshake_is_done() -> None:
    """Data in the clear does not exist."""
    with pytest.raises(EncodeError):
        new_client().send(b"x", now=0.0)


def test_numbers_of_associations_are_never_used_again() -> None:
    """An owner may still hold one that is over."""
    listener = Listener()
    numbers: list[AssociationId] = []
    for seed in range(3):
        carry(new_client(seed=seed), listener)
        numbers.append(listener.event(AssociationOpened).association)

    assert len(set(numbers)) == 3
    assert payload_datagram(open_association(listener)[0], b"x")
