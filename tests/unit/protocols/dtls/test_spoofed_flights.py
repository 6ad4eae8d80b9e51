"""What strangers send in the name of a client that shakes hands: passed over, as RFC 6347 section 4.1.2.7 wants it."""

import pytest

from commandpost.protocols.dtls.client import ClientClosed, ClientEnd, DtlsClient
from commandpost.protocols.dtls.events import AssociationOpened, HandshakeEnd, HandshakeFailed
from commandpost.protocols.dtls.half_open import FAILED_PROOFS_MAX
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import CipherSuite, ContentType
from tests.unit.protocols.dtls.conversation import IDENTITY, REMOTE, Listener, carry, client_events, new_client
from tests.unit.protocols.dtls.openssl_peer import cut_at_records

CHANGE = encode_record(ContentType.CHANGE_CIPHER_SPEC, epoch=0, sequence=50, body=b"\1")
ALERT = bytes.fromhex("15 fefd 0000 000000000000 0002 02 33")  # decrypt_error, at whatever number
UNKNOWN = b"865820039999999"


def junk(number: int) -> bytes:
    """A record of epoch 1 that no key opens."""
    return encode_record(ContentType.HANDSHAKE, epoch=1, sequence=number, body=bytes((number,)) * 40)


def last_flight(client: DtlsClient, listener: Listener) -> bytes:
    """Go as far as the client's last flight: ClientKeyExchange, ChangeCipherSpec and Finished in one datagram."""
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0]):
            client.receive_datagram(answer, now=0.0)
    (flight,) = client.datagrams_to_send()
    return flight


def is_alert(datagram: bytes) -> bool:
    """Tell a decrypt_error from anything else, whatever its sequence number."""
    return (datagram[0], datagram[13:]) == (ALERT[0], ALERT[13:])


@pytest.mark.parametrize("answers_at_once", [True, False])
@pytest.mark.parametrize("suite", list(CipherSuite))
def test_junk_before_the_flight_costs_a_right_key_nothing(suite: CipherSuite, answers_at_once: bool) -> None:
    """However much of it, and whether or not the keys are there at once."""
    listener = Listener(answers_at_once=answers_at_once)
    client = new_client(cipher_suites=(suite,))
    flight = last_flight(client, listener)
    for datagram in (CHANGE, *map(junk, range(10))):
        assert listener.hear(datagram) == []

    answers = listener.hear(flight)
    if not answers_at_once:
        for number in range(10, 20):
            listener.hear(junk(number))
        (wanted,) = listener.events()
        listener.answer(wanted)  # type: ignore[arg-type] # the only event before the keys are there
        answers = [datagram for _, datagram in listener.sent()]
    for answer in answers:
        client.receive_datagram(answer, now=0.0)

    assert client.is_open
    assert listener.event(AssociationOpened).identity == IDENTITY


def test_junk_between_the_records_of_a_flight_costs_a_right_key_nothing() -> None:
    """Each comes in a datagram of its own here; the Finished is tried whatever failed before it."""
    listener = Listener()
    client = new_client()
    exchange, change, finished = cut_at_records(last_flight(client, listener))

    sent = [listener.hear(each) for each in (CHANGE, junk(0), exchange, change, junk(1), finished)]
    for answer in sent[-1]:
        client.receive_datagram(answer, now=0.0)

    assert sent[:-1] == [[]] * 5
    assert client.is_open


def test_a_client_that_keeps_failing_is_told_in_the_end() -> None:
    """Its records come apart, so the first may be a stranger's; not so all of them."""
    listener = Listener()
    exchange, change, finished = cut_at_records(last_flight(new_client(key=b"wrong"), listener))
    listener.hear(exchange)
    listener.hear(change)

    answers = [listener.hear(finished) for _ in range(FAILED_PROOFS_MAX)]

    assert answers[:-1] == [[]] * (FAILED_PROOFS_MAX - 1)
    assert len(answers[-1]) == 1
    assert is_alert(answers[-1][0])
    assert listener.event(HandshakeFailed).reason is HandshakeEnd.NOT_PROVEN
    assert listener.server.half_open_count == 0


@pytest.mark.parametrize("identity", [IDENTITY, UNKNOWN])
def test_one_that_failed_and_fell_silent_is_told_at_its_deadline(identity: bytes) -> None:
    """A wrong key and an unknown identity at the same time, with the same bytes."""
    listener = Listener()
    for datagram in cut_at_records(last_flight(new_client(identity=identity, key=b"wrong"), listener)):
        assert listener.hear(datagram) == []
    begun_at = listener.now

    ((told_at, remote, answer),) = listener.wait_until(begun_at + 1_000.0)

    assert (told_at, remote) == (begun_at + 90.0, REMOTE)
    assert is_alert(answer)
    assert listener.event(HandshakeFailed).reason is HandshakeEnd.NOT_PROVEN
    assert listener.server.counters.handshakes_timed_out == 0


def test_a_wrong_key_in_a_whole_flight_is_told_at_once_whatever_strangers_sent_before() -> None:
    """Nobody but the one who named the identity can have written what came with it."""
    listener = Listener()
    client = new_client(key=b"wrong")
    flight = last_flight(client, listener)
    for datagram in (CHANGE, *map(junk, range(3))):
        listener.hear(datagram)

    for answer in listener.hear(flight):
        client.receive_datagram(answer, now=0.0)

    assert client_events(client) == [ClientClosed(ClientEnd.REFUSED, alert=51)]
    assert listener.event(HandshakeFailed).reason is HandshakeEnd.NOT_PROVEN


def test_after_a_stray_record_the_client_s_repetition_opens() -> None:
    """Its first Finished was lost on the way."""
    listener = Listener()
    client = new_client()
    exchange, change, _ = cut_at_records(last_flight(client, listener))
    for datagram in (exchange, change, junk(0)):
        listener.hear(datagram)

    deadline = client.next_deadline()
    assert deadline is not None
    client.handle_deadline(now=deadline)
    carry(client, listener)

    assert client.is_open
