"""One server under test, its owner with a table of keys, and peers whose datagrams the test carries by hand."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from random import Random
from typing import TypeVar

from commandpost.protocols.dtls.client import ClientEvent, ClientParameters, DtlsClient
from commandpost.protocols.dtls.events import AssociationId, AssociationOpened, Event, KeysWanted, Remote
from commandpost.protocols.dtls.registries import CipherSuite
from commandpost.protocols.dtls.server import DtlsLimits, DtlsParameters, DtlsServer
from tests.unit.protocols.dtls.openssl_peer import OpensslPeer

REMOTE: Remote = ("coaps", "10.0.0.1", 40_000)
ELSEWHERE: Remote = ("coaps", "10.9.9.9", 40_001)
IDENTITY = b"865820031234567"
KEY = b"Ab3dEf6hIj9lMn2p"
BOOTSTRAP_KEY = b"bootstrap"
KEYS: Mapping[bytes, Sequence[tuple[str, bytes]]] = {IDENTITY: [("bootstrap", BOOTSTRAP_KEY), ("access", KEY)]}
RANDOM_SEED = 5

AnyEvent = TypeVar("AnyEvent")


class Listener:
    """A server whose owner answers with what the table says, at once unless told otherwise."""

    def __init__(
        self,
        *,
        parameters: DtlsParameters | None = None,
        limits: DtlsLimits | None = None,
        keys: Mapping[bytes, Sequence[tuple[str, bytes]]] = KEYS,
        answers_at_once: bool = True,
        source_of: Callable[[Remote], Hashable] | None = None,
        seed: int = RANDOM_SEED,
        now: float = 100.0,
    ) -> None:
        self.now = now
        self.keys = keys
        self.answers_at_once = answers_at_once
        self.random = Random(seed)
        self.server = DtlsServer(
            parameters=parameters or DtlsParameters(),
            limits=limits or DtlsLimits(),
            random_bytes=self.random.randbytes,
            source_of=source_of,
        )
        self.log: list[Event] = []

    def hear(self, datagram: bytes, remote: Remote = REMOTE) -> list[bytes]:
        """Let a datagram arrive; give what goes back to its remote."""
        self.server.receive_datagram(datagram, remote, now=self.now)
        self._take_events()
        return [data for to, data in self.server.datagrams_to_send() if to == remote]

    def answer(self, wanted: KeysWanted) -> None:
        """Answer a question for keys."""
        self.server.offer_keys(wanted.handle, self.keys.get(wanted.identity, ()), now=self.now)

    def sent(self) -> list[tuple[Remote, bytes]]:
        """Give everything that is to be sent."""
        return self.server.datagrams_to_send()

    def events(self) -> list[Event]:
        """Give every event since the last call."""
        self._take_events()
        events, self.log = self.log, []
        return events

    def event(self, kind: type[AnyEvent]) -> AnyEvent:
        """Give the only event of a kind since the last call; the others are forgotten."""
        (event,) = (event for event in self.events() if isinstance(event, kind))
        return event

    def wait_until(self, now: float) -> list[tuple[float, Remote, bytes]]:
        """Let time pass, calling the server exactly when it asks; give what it sent and when."""
        sent: list[tuple[float, Remote, bytes]] = []
        while (deadline := self.server.next_deadline()) is not None and deadline <= now:
            self.now = max(self.now, deadline)
            self.server.handle_deadline(now=self.now)
            self._take_events()
            sent.extend((self.now, remote, data) for remote, data in self.server.datagrams_to_send())
        self.now = now
        return sent

    def _take_events(self) -> None:
        while (event := self.server.next_event()) is not None:
            self.log.append(event)
            if isinstance(event, KeysWanted) and self.answers_at_once:
                self.answer(event)


def new_client(
    *,
    identity: bytes = IDENTITY,
    key: bytes = KEY,
    cipher_suites: tuple[CipherSuite, ...] = tuple(CipherSuite),
    connection_id: bytes | None = None,
    max_fragment_length: int | None = None,
    offers_extended_master_secret: bool = True,
    offers_encrypt_then_mac: bool = True,
    seed: int = 1,
) -> DtlsClient:
    """Make a client that has said hello."""
    client = DtlsClient(
        ClientParameters(
            identity=identity,
            key=key,
            cipher_suites=cipher_suites,
            connection_id=connection_id,
            max_fragment_length=max_fragment_length,
            offers_extended_master_secret=offers_extended_master_secret,
            offers_encrypt_then_mac=offers_encrypt_then_mac,
        ),
        random_bytes=Random(seed).randbytes,
    )
    client.start(now=0.0)
    return client


def carry(client: DtlsClient, listener: Listener, remote: Remote = REMOTE) -> None:
    """Carry datagrams both ways until nobody says anything."""
    while datagrams := client.datagrams_to_send():
        for datagram in datagrams:
            for answer in listener.hear(datagram, remote):
                client.receive_datagram(answer, now=listener.now)


def client_events(client: DtlsClient) -> list[ClientEvent]:
    """Give every event of a client so far."""
    events: list[ClientEvent] = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return events


def open_association(
    listener: Listener, client: DtlsClient | None = None, remote: Remote = REMOTE
) -> tuple[DtlsClient, AssociationId]:
    """Complete a handshake; forget the events of it."""
    client = client or new_client()
    carry(client, listener, remote)
    assert client.is_open
    client_events(client)
    return client, listener.event(AssociationOpened).association


def payload_datagram(client: DtlsClient, payload: bytes) -> bytes:
    """Give the datagram of a payload, for the test to deliver, change or lose."""
    client.send(payload, now=0.0)
    (datagram,) = client.datagrams_to_send()
    return datagram


def carry_openssl(peer: OpensslPeer, listener: Listener, remote: Remote = REMOTE, *, together: bool = True) -> bool:
    """Carry the datagrams of OpenSSL's handshake; tell whether it completed."""
    for _ in range(8):
        if peer.handshake():
            return True
        datagrams = [peer.sent_together()] if together else peer.sent()
        for datagram in datagrams:
            for answer in listener.hear(datagram, remote):
                peer.hear(answer)
                if peer.handshake():
                    return True
    return False
