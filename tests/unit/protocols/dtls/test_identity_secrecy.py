"""An outsider learns nothing about which identities exist: same alert, same datagrams, same time."""

from statistics import median
from time import perf_counter

import pytest

from commandpost.protocols.dtls.client import ClientClosed, ClientEnd, ClientParameters, DtlsClient
from commandpost.protocols.dtls.events import KeysWanted, Remote
from commandpost.protocols.dtls.parameters import DtlsParameters
from commandpost.protocols.dtls.registries import CipherSuite
from tests.unit.protocols.dtls.conversation import IDENTITY, REMOTE, Listener, client_events, new_client

UNKNOWN = b"865820039999999"


def refuse(listener: Listener, identity: bytes, suite: CipherSuite) -> tuple[list[bytes], DtlsClient]:
    """Let a client with a wrong key try; give every answer it got."""
    client = new_client(identity=identity, key=b"wrong", cipher_suites=(suite,))
    answers: list[bytes] = []
    while datagrams := client.datagrams_to_send():
        for datagram in datagrams:
            for answer in listener.hear(datagram):
                answers.append(answer)
                client.receive_datagram(answer, now=0.0)
    return answers, client


@pytest.mark.parametrize("suite", list(CipherSuite))
def test_a_wrong_key_and_an_unknown_identity_get_the_same_datagrams(suite: CipherSuite) -> None:
    """To the byte, but for what is random in a hello."""
    known, known_client = refuse(Listener(), IDENTITY, suite)
    unknown, unknown_client = refuse(Listener(), UNKNOWN, suite)

    assert [len(answer) for answer in known] == [len(answer) for answer in unknown]
    assert known == unknown  # both servers draw from the same seed
    assert client_events(known_client) == client_events(unknown_client) == [ClientClosed(ClientEnd.REFUSED, alert=51)]


def test_the_number_of_keys_offered_changes_nothing_outside() -> None:
    """None, one and all that may be."""
    for count in (0, 1, 4):
        listener = Listener(keys={IDENTITY: [("key", bytes((number,)) * 16) for number in range(1, count + 1)]})

        answers, _ = refuse(listener, IDENTITY, CipherSuite.PSK_AES_128_CCM_8)

        assert [len(answer) for answer in answers] == [44, 99, 15]
        assert answers == refuse(Listener(), UNKNOWN, CipherSuite.PSK_AES_128_CCM_8)[0]


def time_of_refusal(identity: bytes, number: int, listener: Listener) -> float:
    """Measure what the server takes from the client's last flight to its alert."""
    remote: Remote = (*REMOTE, number) if isinstance(REMOTE, tuple) else number
    parameters = ClientParameters(identity=identity, key=b"wrong key")
    client = DtlsClient(parameters, random_bytes=listener.random.randbytes)
    client.start(now=0.0)
    for _ in range(2):
        for answer in listener.hear(client.datagrams_to_send()[0], remote):
            client.receive_datagram(answer, now=0.0)
    (flight,) = client.datagrams_to_send()
    listener.server.receive_datagram(flight, remote, now=listener.now)
    wanted = listener.server.next_event()
    assert isinstance(wanted, KeysWanted)
    keys = listener.keys.get(wanted.identity, ())
    started = perf_counter()
    listener.server.offer_keys(wanted.handle, keys, now=listener.now)
    taken = perf_counter() - started
    listener.sent()
    listener.events()
    return taken


def test_an_unknown_identity_takes_as_long_as_a_wrong_key() -> None:
    """Medians of interleaved handshakes; skipping even one of the four keys would show as a quarter."""
    listener = Listener(parameters=DtlsParameters(), keys={IDENTITY: [("key", bytes((n,)) * 16) for n in range(1, 5)]})
    known: list[float] = []
    unknown: list[float] = []
    for number in range(400):
        known.append(time_of_refusal(IDENTITY, 2 * number, listener))
        unknown.append(time_of_refusal(UNKNOWN, 2 * number + 1, listener))

    assert 0.85 < median(unknown) / median(known) < 1.15
