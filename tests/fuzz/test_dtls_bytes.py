"""Any bytes, and real flights changed: no error, bounded tables, and no handshake where OpenSSL would have none."""

from collections.abc import Callable
from functools import partial
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from commandpost.protocols.dtls.client import ClientParameters, DtlsClient
from commandpost.protocols.dtls.events import KeysWanted
from commandpost.protocols.dtls.handshake_messages import decode_client_key_exchange, split_fragments
from commandpost.protocols.dtls.hello import decode_client_hello, decode_hello_verify_request, decode_server_hello
from commandpost.protocols.dtls.negotiation import decode_connection_id
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.records import split_records
from commandpost.protocols.dtls.server import DtlsServer
from commandpost.protocols.errors import DecodeError
from tests.unit.protocols.dtls.conversation import IDENTITY, KEY, Listener, new_client, open_association
from tests.unit.protocols.dtls.hellos import cookie_of, hello_datagram
from tests.unit.protocols.dtls.openssl_peer import (
    CBC,
    CCM_8,
    GCM,
    OpensslPeer,
    openssl_client,
    openssl_server,
)

DECODERS = [
    decode_client_hello,
    decode_server_hello,
    decode_hello_verify_request,
    decode_client_key_exchange,
    decode_connection_id,
    split_fragments,
]
# Bytes that begin like a record reach far deeper than bytes that do not.
RECORDS = st.builds(
    lambda kind, version, epoch, sequence, body, length: (
        bytes((kind,)) + version + bytes((0, epoch)) + sequence + (length or len(body)).to_bytes(2, "big") + body
    ),
    st.sampled_from([20, 21, 22, 23, 25, 26]),
    st.sampled_from([b"\xfe\xfd", b"\xfe\xff", b"\x03\x03"]),
    st.integers(0, 2),
    st.binary(min_size=6, max_size=6),
    st.binary(max_size=60),
    st.sampled_from([0, 0, 0, 1, 60_000]),
)
HANDSHAKE_BODIES = st.builds(
    lambda kind, number, body: bytes((kind, 0, 0, len(body), 0, number, 0, 0, 0, 0, 0, len(body))) + body,
    st.sampled_from([0, 1, 2, 3, 11, 14, 16, 20]),
    st.integers(0, 4),
    st.binary(max_size=120),
)
DATAGRAMS = st.one_of(
    st.binary(max_size=80),
    st.lists(RECORDS, min_size=1, max_size=3).map(b"".join),
    HANDSHAKE_BODIES.map(lambda body: b"\x16\xfe\xfd" + bytes(9) + bytes((len(body),)) + body),
)
# What is done to one datagram: copies, a position, a bit pattern, how much of it stays.
CHANGES = st.tuples(st.integers(0, 2), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 300))


def changed(datagram: bytes, change: tuple[int, int, int, int]) -> list[bytes]:
    """Give what arrives in place of a datagram."""
    copies, position, pattern, kept = change
    position %= len(datagram)
    datagram = datagram[:position] + bytes((datagram[position] ^ pattern,)) + datagram[position + 1 :]
    return [datagram[: len(datagram) if kept > 150 else kept]] * copies


@pytest.mark.parametrize("decode", DECODERS)
@given(st.one_of(st.binary(max_size=120), DATAGRAMS.map(lambda data: data[25:])))
def test_a_decoder_gives_a_record_or_a_decode_error(decode: Callable[[bytes], object], data: bytes) -> None:
    """Nothing else, with an offset inside."""
    try:
        decode(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)


@given(DATAGRAMS, st.integers(0, 20))
def test_a_datagram_is_cut_into_records_that_lie_in_it(data: bytes, connection_id_bytes: int) -> None:
    """Whatever their lengths say."""
    records = split_records(data, connection_id_bytes=connection_id_bytes)

    assert sum(13 + len(record.connection_id) + len(record.body) for record in records) <= len(data)


@given(st.lists(st.tuples(DATAGRAMS, st.integers(0, 5), st.floats(0, 40)), max_size=30), st.booleans())
def test_a_server_never_raises_and_answers_strangers_with_no_more_than_they_sent(
    arrivals: list[tuple[bytes, int, float]], with_association: bool
) -> None:
    """At any time, from anywhere, beside an association that lives through it."""
    listener = Listener(limits=DtlsLimits(half_open_max=3, alerts_burst=5, alerts_per_s=1.0))
    if with_association:
        open_association(listener, new_client(connection_id=b""), remote=0)

    for data, remote, pause_s in arrivals:
        answers = listener.hear(data, remote)
        assert sum(map(len, answers)) <= len(data)
        listener.wait_until(listener.now + pause_s)

    assert listener.server.association_count == with_association
    assert listener.server.half_open_count == 0


@given(st.lists(CHANGES, min_size=1, max_size=12), st.sampled_from([None, b"", b"dev"]), st.booleans())
def test_changed_flights_never_raise_and_open_only_what_both_sides_agree_on(
    changes: list[tuple[int, int, int, int]], connection_id: bytes | None, changes_answers: bool
) -> None:
    """A real handshake through a hostile network; what it leaves behind is bounded and goes away."""
    listener = Listener(limits=DtlsLimits(half_open_max=2))
    client = new_client(connection_id=connection_id)
    pending = iter(changes)
    for _ in range(8):
        for datagram in client.datagrams_to_send():
            to_server = [datagram] if changes_answers else changed(datagram, next(pending, (1, 0, 0, 300)))
            for arrived in to_server:
                for answer in listener.hear(arrived):
                    to_client = changed(answer, next(pending, (1, 0, 0, 300))) if changes_answers else [answer]
                    for returned in to_client:
                        client.receive_datagram(returned, now=listener.now)
        deadline = listener.server.next_deadline()
        if deadline is not None and not client.is_open:
            listener.wait_until(min(deadline, listener.now + 5.0))
        client.handle_deadline(now=client.next_deadline() or listener.now)

    assert listener.server.association_count <= 1
    assert not client.is_open or listener.server.association_count == 1
    assert listener.server.half_open_count <= 2
    listener.wait_until(listener.now + 700_000.0)
    assert (listener.server.association_count, listener.server.half_open_count) == (0, 0)
    assert listener.server.next_deadline() is None


@given(st.lists(DATAGRAMS, max_size=20), st.booleans())
def test_a_client_never_raises(arrivals: list[bytes], is_open: bool) -> None:
    """Before, in and after its handshake."""
    listener = Listener()
    client = DtlsClient(ClientParameters(identity=IDENTITY, key=KEY), random_bytes=Random(3).randbytes)
    client.start(now=0.0)
    if is_open:
        client.datagrams_to_send()
        client, _ = open_association(listener)

    for data in arrivals:
        client.receive_datagram(data, now=0.0)
        client.datagrams_to_send()
    client.handle_deadline(now=1.0)
    client.close(now=1.0)

    assert not client.is_open
    assert client.next_deadline() is None


# The same stream to us and to OpenSSL.

Arrive = Callable[[int, bytes], list[bytes]]

FLIGHT_BYTES = (138, 146, 97)  # OpenSSL's: two hellos; exchange (42), change (14) and, with CCM, Finished (41)
# Where the numbers of records of epoch 0 are. OpenSSL keeps a replay window there too, which a forged number moves past
# every genuine one. Here messages are told apart by their own numbers, so a stranger cannot end a handshake that way.
NUMBERS_IN_THE_CLEAR = ({*range(5, 11)}, {*range(5, 11)}, {*range(5, 11), *range(47, 53)})


def is_completed_by_openssl(suite: str, arrive: Arrive) -> bool:
    """Let OpenSSL's client speak to OpenSSL's server through a network; tell whether the server is done."""
    client, server = (
        make(identity=IDENTITY, key=KEY, suites=suite, options=SSL.OP_NO_TICKET)
        for make in (openssl_client, openssl_server)
    )
    for flight in range(3):
        if not go_on(client):
            return False
        for datagram in arrive(flight, client.sent_together()):
            server.hear(datagram)
            if not go_on(server):
                return False
        client.hear(server.sent_together())
    return server.handshake()


def is_completed_by_us(suite: str, arrive: Arrive) -> bool:
    """The same, with our server in OpenSSL's place."""
    client = openssl_client(identity=IDENTITY, key=KEY, suites=suite, options=SSL.OP_NO_TICKET)
    listener = Listener()
    for flight in range(3):
        if not go_on(client):
            return False
        answers = [answer for datagram in arrive(flight, client.sent_together()) for answer in listener.hear(datagram)]
        client.hear(b"".join(answers))
    return listener.server.association_count == 1


def go_on(peer: OpensslPeer) -> bool:
    """Let OpenSSL go as far as it can; tell whether it has not given up."""
    try:
        peer.handshake()
    except SSL.Error:
        return False
    return True


def arrive_changed(flight: int, position: int, pattern: int, number: int, data: bytes) -> list[bytes]:
    """Change one byte of one flight."""
    if number != flight:
        return [data]
    position %= max(len(data), 1)
    return [data[:position] + bytes((byte ^ pattern,)) + data[position + 1 :] for byte in data[position : position + 1]]


@pytest.mark.parametrize("suite", [CCM_8, GCM, CBC])
def test_where_openssl_completes_no_changed_handshake_we_complete_none(suite: str) -> None:
    """One byte changed in any of the client's flights, at places spread over all of it."""
    assert is_completed_by_us(suite, lambda flight, data: [data])
    assert is_completed_by_openssl(suite, lambda flight, data: [data])

    for flight, length in enumerate(FLIGHT_BYTES):
        in_the_clear = NUMBERS_IN_THE_CLEAR[flight]
        for position, pattern in product(range(flight, length, 5), (0x01, 0xFF)):
            arrive = partial(arrive_changed, flight, position, pattern)
            if position not in in_the_clear and is_completed_by_us(suite, arrive):
                assert flight == 0  # what follows is in a Finished, to the last byte
                assert is_completed_by_openssl(suite, arrive), (position, pattern)


def hello_stream(random: Random) -> bytes:
    """Make a hello with every extension that means something here, some of its body changed."""
    extensions = [(23, b""), (22, b""), (0xFF01, b"\0")]
    random.shuffle(extensions)
    suites = random.choice([(0xC0A8, 0x00FF), (0x00A8, 0x1301), (0x00AE, 0xC0A8), (0x002F, 0xC02B)])
    hello = bytearray(hello_datagram(cipher_suites=suites, extensions=tuple(extensions[: random.randrange(4)])))
    for _ in range(random.choice([0, 1, 1, 2])):
        hello[random.randrange(25, len(hello))] ^= random.choice([1, 2, 4, 0x10, 0x80, 0xFF])
    return bytes(hello)


def with_cookie(hello: bytes, cookie: bytes) -> bytes:
    """Put a cookie into the hello of a datagram, and mend the lengths of record and message for it."""
    body = hello[25:]
    at = 35 + body[34]
    body = body[:at] + bytes((len(cookie),)) + cookie + body[at + 1 :]
    size = len(body).to_bytes(3, "big")
    message = b"\1" + size + b"\0\1" + bytes(3) + size + body
    return hello[:3] + b"\0\0\0\0\0\0\0\1" + len(message).to_bytes(2, "big") + message


def is_admitted_by_openssl(hello: bytes) -> bool:
    """Tell whether OpenSSL's server answers with a ServerHello."""
    server = openssl_server(identity=IDENTITY, key=KEY, suites=f"{CCM_8}:{GCM}:{CBC}")
    for datagram in (hello, with_cookie(hello, b"a cookie")):
        server.hear(datagram)
        if not go_on(server):
            return False
    return any(record[13:14] == b"\2" for record in server.sent())


def is_admitted_by_us(hello: bytes) -> bool:
    """Tell whether our server does."""
    server = DtlsServer(parameters=DtlsParameters(), limits=DtlsLimits(), random_bytes=Random(1).randbytes)
    server.receive_datagram(hello, 1, now=0.0)
    for _, answer in server.datagrams_to_send():
        if answer[0] == 22:
            server.receive_datagram(with_cookie(hello, cookie_of(answer)), 1, now=0.0)
    assert not isinstance(server.next_event(), KeysWanted)
    return server.half_open_count == 1


def test_a_hello_that_openssl_does_not_admit_is_not_admitted_by_us() -> None:
    """Bodies changed at random, with the cookie of each server put in afterwards."""
    random = Random(20_250_917)
    verdicts: dict[tuple[bool, bool], int] = {}

    for _ in range(800):
        hello = hello_stream(random)
        ours = is_admitted_by_us(hello)
        theirs = is_admitted_by_openssl(hello)
        verdicts[ours, theirs] = verdicts.get((ours, theirs), 0) + 1
        assert theirs or not ours, hello.hex()

    assert verdicts[True, True] > 100
    assert verdicts[False, False] > 100
