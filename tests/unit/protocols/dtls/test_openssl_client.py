"""Handshakes and records of OpenSSL's client against our server: somebody else's reading of the standards."""

from itertools import permutations

import pytest
from OpenSSL import SSL

from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationOpened,
    CloseReason,
    DataReceived,
    HandshakeEnd,
    HandshakeFailed,
)
from commandpost.protocols.dtls.parameters import DtlsParameters
from commandpost.protocols.dtls.registries import CipherSuite
from tests.unit.protocols.dtls.conversation import (
    BOOTSTRAP_KEY,
    IDENTITY,
    KEY,
    REMOTE,
    Listener,
    carry_openssl,
)
from tests.unit.protocols.dtls.openssl_peer import (
    CBC,
    CCM_8,
    GCM,
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    OpensslPeer,
    cut_at_records,
    openssl_client,
)

SUITES = pytest.mark.parametrize("suite", [CCM_8, GCM, CBC])


def talk(peer: OpensslPeer, listener: Listener) -> None:
    """Exchange payloads of several sizes, the empty one and the largest of a datagram among them."""
    association = listener.event(AssociationOpened).association
    for payload in (b"x", b"register" * 16, bytes(1_200)):
        peer.connection.send(payload)
        listener.hear(peer.sent_together())
        listener.server.send(association, payload[::-1], now=listener.now)
        ((_, answer),) = listener.sent()
        peer.hear(answer)

        assert listener.events() == [DataReceived(association, payload)]
        assert peer.read() == payload[::-1]


@SUITES
@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET])
@pytest.mark.parametrize("together", [True, False])
def test_every_suite_completes_and_talks(suite: str, options: int, together: bool) -> None:
    """With and without extended master secret, flights in one datagram or one record each."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY, suites=suite, options=options)

    assert carry_openssl(peer, listener, together=together)

    assert peer.connection.get_cipher_name() == suite
    talk(peer, listener)


@pytest.mark.parametrize("options", [NO_ENCRYPT_THEN_MAC, NO_ENCRYPT_THEN_MAC | NO_EXTENDED_MASTER_SECRET])
def test_mac_then_encrypt_is_spoken_behind_its_switch(options: int) -> None:
    """For clients that know nothing better."""
    listener = Listener(parameters=DtlsParameters(allows_mac_then_encrypt=True))
    peer = openssl_client(identity=IDENTITY, key=KEY, suites=CBC, options=options)

    assert carry_openssl(peer, listener)

    talk(peer, listener)


def test_mac_then_encrypt_is_refused_without_the_switch() -> None:
    """The suite is then none we have in common."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY, suites=CBC, options=NO_ENCRYPT_THEN_MAC)

    with pytest.raises(SSL.Error, match="handshake failure"):
        carry_openssl(peer, listener)

    assert listener.server.half_open_count == 0


def test_a_client_without_extended_master_secret_can_be_refused() -> None:
    """By a switch."""
    listener = Listener(parameters=DtlsParameters(requires_extended_master_secret=True))
    peer = openssl_client(identity=IDENTITY, key=KEY, options=NO_EXTENDED_MASTER_SECRET)

    with pytest.raises(SSL.Error, match="handshake failure"):
        carry_openssl(peer, listener)


@pytest.mark.parametrize(
    ("preference", "chosen"),
    [
        (DtlsParameters().cipher_suites, CCM_8),
        ((CipherSuite.PSK_AES_128_GCM_SHA256, CipherSuite.PSK_AES_128_CCM_8), GCM),
        ((CipherSuite.PSK_AES_128_CBC_SHA256, CipherSuite.PSK_AES_128_CCM_8), CBC),
    ],
)
def test_the_servers_order_of_suites_decides(preference: tuple[CipherSuite, ...], chosen: str) -> None:
    """Whatever the client prefers."""
    listener = Listener(parameters=DtlsParameters(cipher_suites=preference))
    peer = openssl_client(identity=IDENTITY, key=KEY, suites=f"{CBC}:{GCM}:{CCM_8}")

    assert carry_openssl(peer, listener)

    assert peer.connection.get_cipher_name() == chosen


@pytest.mark.parametrize(("key", "label"), [(BOOTSTRAP_KEY, "bootstrap"), (KEY, "access")])
def test_the_label_of_the_key_that_fits_comes_back(key: bytes, label: str) -> None:
    """Both are tried against the one Finished."""
    listener = Listener()

    assert carry_openssl(openssl_client(identity=IDENTITY, key=key), listener)

    opened = listener.event(AssociationOpened)
    assert (opened.remote, opened.identity, opened.label) == (REMOTE, IDENTITY, label)


@SUITES
@pytest.mark.parametrize("identity", [IDENTITY, b"nobody"])
def test_a_wrong_key_and_an_unknown_identity_end_in_decrypt_error(suite: str, identity: bytes) -> None:
    """Alert 51 for both, never 115 (unknown_psk_identity)."""
    listener = Listener()
    peer = openssl_client(identity=identity, key=b"wrong", suites=suite)

    with pytest.raises(SSL.Error, match="decrypt error"):
        carry_openssl(peer, listener)

    assert listener.event(HandshakeFailed).reason is HandshakeEnd.NOT_PROVEN
    assert (listener.server.association_count, listener.server.half_open_count) == (0, 0)


def test_a_long_identity_in_fragments_is_put_together() -> None:
    """ClientKeyExchange does not fit the path, so OpenSSL cuts it."""
    identity = b"urn:dev:os:" + b"x" * 229
    listener = Listener(keys={identity: [("access", KEY)]})
    peer = openssl_client(identity=identity, key=KEY, mtu=260)

    assert carry_openssl(peer, listener, together=False)

    assert listener.event(AssociationOpened).identity == identity
    assert listener.server.counters.datagrams_received == 6  # two hellos, two fragments, change, Finished


def test_the_owner_may_answer_late() -> None:
    """The client's Finished waits for the keys, and a repeated flight brings nothing new."""
    listener = Listener(answers_at_once=False)
    peer = openssl_client(identity=IDENTITY, key=KEY)
    flight = b""
    for _ in range(3):
        peer.handshake()
        flight = peer.sent_together()
        for answer in listener.hear(flight):
            peer.hear(answer)
    (wanted,) = listener.events()
    assert listener.hear(flight) == []

    listener.answer(wanted)  # type: ignore[arg-type] # the only event is KeysWanted, or the test fails here

    ((_, final_flight),) = listener.sent()
    peer.hear(final_flight)
    assert peer.handshake()
    talk(peer, listener)


def test_a_clients_goodbye_is_answered() -> None:
    """close_notify for close_notify."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY)
    assert carry_openssl(peer, listener)
    listener.events()

    peer.connection.shutdown()
    (answer,) = listener.hear(peer.sent_together())
    peer.hear(answer)

    with pytest.raises(SSL.ZeroReturnError):
        peer.read()
    assert listener.event(AssociationClosed).reason is CloseReason.CLOSED_BY_PEER


def test_our_goodbye_is_understood() -> None:
    """OpenSSL reads it as the end."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY)
    assert carry_openssl(peer, listener)
    association = listener.event(AssociationOpened).association

    listener.server.close(association, now=listener.now)

    ((_, goodbye),) = listener.sent()
    peer.hear(goodbye)
    with pytest.raises(SSL.ZeroReturnError):
        peer.read()
    assert listener.event(AssociationClosed).reason is CloseReason.CLOSED_HERE


def test_renegotiation_is_refused_and_the_association_goes_on() -> None:
    """no_renegotiation, a warning (RFC 5246 section 7.2.2)."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY)
    assert carry_openssl(peer, listener)
    association = listener.event(AssociationOpened).association
    peer.connection.renegotiate()
    with pytest.raises(SSL.WantReadError):
        peer.connection.do_handshake()

    (answer,) = listener.hear(peer.sent_together())
    peer.hear(answer)

    with pytest.raises(SSL.Error, match="no renegotiation"):
        peer.connection.do_handshake()
    assert listener.events() == []
    assert listener.server.find_remote(association) == REMOTE


def up_to_last_flight(listener: Listener, *, suite: str) -> tuple[OpensslPeer, list[bytes]]:
    """Give OpenSSL after the server's hello, and the records of its last flight: exchange, change, Finished."""
    peer = openssl_client(identity=IDENTITY, key=KEY, suites=suite)
    for _ in range(2):
        peer.handshake()
        for answer in listener.hear(peer.sent_together()):
            peer.hear(answer)
    peer.handshake()
    return peer, peer.sent()


@SUITES
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("copies", [1, 2])
def test_the_clients_last_flight_may_come_in_any_order(suite: str, order: tuple[int, ...], copies: int) -> None:
    """And more than once: it is one association, opened once."""
    listener = Listener()
    peer, records = up_to_last_flight(listener, suite=suite)

    answers = [answer for number in order for _ in range(copies) for answer in listener.hear(records[number])]

    (final_flight,) = answers
    peer.hear(final_flight)
    assert peer.handshake()
    talk(peer, listener)


def test_the_servers_flight_may_come_in_any_order_and_again() -> None:
    """OpenSSL puts it together; what our timer repeats changes nothing."""
    listener = Listener()
    peer = openssl_client(identity=IDENTITY, key=KEY)
    peer.handshake()
    for answer in listener.hear(peer.sent_together()):
        peer.hear(answer)
    peer.handshake()
    listener.hear(peer.sent_together())
    repeated = [data for _, _, data in listener.wait_until(listener.now + 3.5)]
    assert len(repeated) == 2
    hello, done = cut_at_records(repeated[0])

    for record in (done, done, hello, hello, *cut_at_records(repeated[1])):
        peer.hear(record)
        peer.handshake()

    (final_flight,) = listener.hear(peer.sent_together())
    peer.hear(final_flight)
    assert peer.handshake()
    talk(peer, listener)
