"""Our client against OpenSSL's server, so that a mistake shared by our two sides cannot hide."""

import pytest
from OpenSSL import SSL

from commandpost.protocols.dtls.client import ClientClosed, ClientEnd, ClientOpened, PayloadReceived
from commandpost.protocols.dtls.registries import CipherSuite
from tests.unit.protocols.dtls.conversation import IDENTITY, KEY, client_events, new_client
from tests.unit.protocols.dtls.openssl_peer import (
    CBC,
    CCM_8,
    GCM,
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    OpensslPeer,
    openssl_server,
)

CASES = [
    (CCM_8, CipherSuite.PSK_AES_128_CCM_8),
    (GCM, CipherSuite.PSK_AES_128_GCM_SHA256),
    (CBC, CipherSuite.PSK_AES_128_CBC_SHA256),
]


def carry(client_sends: list[bytes], peer: OpensslPeer) -> bytes:
    """Deliver datagrams to OpenSSL; give its answer."""
    for datagram in client_sends:
        peer.hear(datagram)
        peer.handshake()
    return peer.sent_together()


@pytest.mark.parametrize(("name", "suite"), CASES)
@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET, NO_ENCRYPT_THEN_MAC])
def test_our_client_completes_every_suite_and_talks(name: str, suite: CipherSuite, options: int) -> None:
    """Cookie, hello, finished, payloads both ways."""
    peer = openssl_server(identity=IDENTITY, key=KEY, suites=name, options=options)
    client = new_client(cipher_suites=(suite,))
    for _ in range(3):
        client.receive_datagram(carry(client.datagrams_to_send(), peer), now=0.0)
    assert client_events(client) == [ClientOpened()]

    client.send(b"to the server", now=0.0)
    (datagram,) = client.datagrams_to_send()
    peer.hear(datagram)
    assert peer.read() == b"to the server"
    peer.connection.send(b"to the client")
    client.receive_datagram(peer.sent_together(), now=0.0)

    assert client_events(client) == [PayloadReceived(b"to the client")]


def test_a_refusal_ends_our_client() -> None:
    """No suite in common: OpenSSL says handshake_failure (40)."""
    peer = openssl_server(identity=IDENTITY, key=KEY, suites=GCM)
    client = new_client(cipher_suites=(CipherSuite.PSK_AES_128_CCM_8,))
    client.receive_datagram(carry(client.datagrams_to_send(), peer), now=0.0)
    (hello,) = client.datagrams_to_send()
    peer.hear(hello)

    with pytest.raises(SSL.Error, match="no shared cipher"):
        peer.handshake()
    client.receive_datagram(peer.sent_together(), now=0.0)

    assert client_events(client) == [ClientClosed(ClientEnd.REFUSED, alert=40)]
