"""Targets of DTLS: records, handshake messages, a server before, at and after the cookie, and a client.

Both ends draw from seeded numbers, so that a recorded handshake can be replayed, and changed, to its very end.
"""

from collections.abc import Sequence
from typing import Final

from commandpost.protocols.dtls.client import DtlsClient
from commandpost.protocols.dtls.handshake_messages import decode_client_key_exchange, encode_message, split_fragments
from commandpost.protocols.dtls.hello import decode_client_hello, decode_hello_verify_request, decode_server_hello
from commandpost.protocols.dtls.negotiation import decode_connection_id
from commandpost.protocols.dtls.parameters import DtlsLimits
from commandpost.protocols.dtls.records import encode_record, split_records
from commandpost.protocols.dtls.registries import ContentType, HandshakeType
from commandpost.protocols.errors import DecodeError
from tests.fuzz.guided.target import Parse, Target, joined, pieces, stateless
from tests.unit.protocols.dtls.conversation import Listener, new_client, open_association
from tests.unit.protocols.dtls.hellos import cookie_of, hello_datagram

_ARRIVALS_MAX: Final = 12  # of one input
_RECORD_BYTES: Final = 13
_RECORD_AND_MESSAGE_BYTES: Final = 25
_SESSION_ID_AT: Final = 34  # in a hello: after version and random
_CONNECTION_ID: Final = b"dev"
# The content types an input names by their place; the last two are none.
_CONTENT_TYPES: Final = (*ContentType, 19, 99)
_LATER_S: Final = 700_000.0  # longer than anything is kept


def _handshake(connection_id: bytes | None) -> tuple[list[bytes], list[bytes]]:
    """Record a handshake and one payload: what the client says, and what the server does."""
    listener, client = Listener(), new_client(connection_id=connection_id)
    said: list[bytes] = []
    answered: list[bytes] = []
    while datagrams := client.datagrams_to_send():
        said += datagrams
        for answer in (answer for datagram in datagrams for answer in listener.hear(datagram)):
            answered.append(answer)
            client.receive_datagram(answer, now=listener.now)
    client.send(b"payload", now=listener.now)
    client.close(now=listener.now)
    return said + client.datagrams_to_send(), answered


def _records(data: bytes) -> None:
    size = data[0] % 21 if data else 0
    records = split_records(data[1:], connection_id_bytes=size)
    assert sum(_RECORD_BYTES + len(record.connection_id) + len(record.body) for record in records) <= len(data)


def _messages(data: bytes) -> None:
    for decode in (
        decode_client_hello,
        decode_server_hello,
        decode_hello_verify_request,
        decode_client_key_exchange,
        decode_connection_id,
        split_fragments,
    ):
        try:
            decode(data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(data)


def _listener() -> Listener:
    return Listener(limits=DtlsLimits(half_open_max=3, alerts_burst=5, alerts_per_s=1.0))


def _check_forgotten(listener: Listener) -> None:
    listener.wait_until(listener.now + _LATER_S)
    assert (listener.server.association_count, listener.server.half_open_count) == (0, 0)
    assert listener.server.next_deadline() is None


def _strangers() -> Parse:
    listener = _listener()

    def parse(data: bytes) -> None:
        # Each arrival is from somebody else: no cookie can be anybody's.
        for number, datagram in enumerate(pieces(data, count_max=_ARRIVALS_MAX)):
            assert sum(map(len, listener.hear(datagram, number))) <= len(datagram)
        assert (listener.server.half_open_count, listener.server.association_count) == (0, 0)

    return parse


def _with_cookie(body: bytes, cookie: bytes) -> bytes:
    at = _SESSION_ID_AT + 1 + (body[_SESSION_ID_AT] if len(body) > _SESSION_ID_AT else 0)
    return body[:at] + bytes((len(cookie),)) + cookie + body[at + 1 :]


def _hello(body: bytes, *, number: int) -> bytes:
    message = encode_message(HandshakeType.CLIENT_HELLO, number, body)
    return encode_record(ContentType.HANDSHAKE, epoch=0, sequence=number, body=message)


def _hellos() -> Parse:
    listener = _listener()

    def parse(data: bytes) -> None:
        # The first piece is a hello's body, and gets the cookie it is due; the others are contents of records.
        body, *contents = [*pieces(data, count_max=_ARRIVALS_MAX)] or [b""]
        answers = listener.hear(_hello(body, number=0))
        if answers and answers[0][_RECORD_BYTES] == HandshakeType.HELLO_VERIFY_REQUEST:
            listener.hear(_hello(_with_cookie(body, cookie_of(answers[0])), number=1))
        for number, content in enumerate(contents, 2):
            kind = _CONTENT_TYPES[content[0] % len(_CONTENT_TYPES)] if content else 0
            listener.hear(encode_record(kind, epoch=0, sequence=number, body=content[1:]))
        assert listener.server.association_count <= 1
        assert listener.server.half_open_count <= 2
        _check_forgotten(listener)

    return parse


def _flights() -> Parse:
    listener = Listener()

    def parse(data: bytes) -> None:
        for datagram in pieces(data, count_max=_ARRIVALS_MAX):
            listener.hear(datagram)
            assert listener.server.association_count <= 1
        _check_forgotten(listener)

    return parse


def _association() -> Parse:
    listener = Listener()
    client, _ = open_association(listener, new_client(connection_id=_CONNECTION_ID))

    def parse(data: bytes) -> None:
        # A first byte above 127: a bare datagram. Below: what a peer with the keys seals, of any type.
        for content in pieces(data, count_max=_ARRIVALS_MAX):
            if content and content[0] < 0x80:
                kind = _CONTENT_TYPES[content[0] % len(_CONTENT_TYPES)]
                # The client itself seals payloads only; a hostile one with its keys seals anything.
                listener.hear(client._traffic().seal(kind, content[1:], random_bytes=listener.random.randbytes))
            else:
                listener.hear(content[1:])
            assert listener.server.association_count <= 1
        _check_forgotten(listener)

    return parse


def _client() -> Parse:
    client: DtlsClient = new_client(connection_id=_CONNECTION_ID)
    client.datagrams_to_send()

    def parse(data: bytes) -> None:
        for datagram in pieces(data, count_max=_ARRIVALS_MAX):
            client.receive_datagram(datagram, now=0.0)
            client.datagrams_to_send()
            while client.next_event() is not None:
                pass
        client.handle_deadline(now=1.0)
        client.close(now=1.0)
        assert not client.is_open
        assert client.next_deadline() is None

    return parse


def _bodies(datagrams: Sequence[bytes]) -> list[bytes]:
    return [datagram[_RECORD_AND_MESSAGE_BYTES:] for datagram in datagrams]


_SAID, _ANSWERED = _handshake(None)
_SAID_WITH_ID, _ANSWERED_WITH_ID = _handshake(_CONNECTION_ID)
_HELLOS: Final = (
    hello_datagram(cipher_suites=(0xC0A8, 0x00FF)),
    hello_datagram(cipher_suites=(0x00A8,), extensions=((23, b""), (22, b""), (0xFF01, b"\0"), (54, b"\3dev"))),
    hello_datagram(cipher_suites=(0x00AE,), extensions=((22, b""), (1, b"\1"))),
    hello_datagram(client_version=0xFEFF),
)
_KEY_EXCHANGE: Final = bytes((_CONTENT_TYPES.index(ContentType.HANDSHAKE),)) + _SAID[2][_RECORD_BYTES:]
_WORDS: Final = (
    *(b"\x16\xfe\xfd" + bytes(8), b"\x19\xfe\xfd\0\1", b"\x14\xfe\xfd", b"\x15\xfe\xfd", b"\2\x28", b"\1\0"),
    *(b"\x00\x17\0\0", b"\xff\x01\0\1\0", b"\x00\x16\0\0", b"\x00\x36\0\1\0", b"\x00\x01\0\1\1", b"\xc0\xa8"),
)
_SERVER_MODULES: Final = tuple(f"dtls/{name}.py" for name in ("server", "admission", "handshaking", "half_open"))

TARGETS: Final = (
    Target(
        name="dtls_records",
        prepare=stateless(_records),
        seeds=(*(b"\0" + data for data in (*_SAID, *_ANSWERED)), *(b"\3" + data for data in _SAID_WITH_ID)),
        words=_WORDS,
        modules=("dtls/records.py",),
    ),
    Target(
        name="dtls_handshake_messages",
        prepare=stateless(_messages),
        seeds=(
            *_bodies((*_HELLOS, *_SAID[:3], *_ANSWERED[:2])),
            *(data[_RECORD_BYTES:] for data in (*_SAID[:3], *_ANSWERED[:2])),
            b"\3dev",
        ),
        words=_WORDS,
        modules=("dtls/hello.py", "dtls/handshake_messages.py", "dtls/wire.py"),
    ),
    Target(
        name="dtls_server_before_cookie",
        prepare=_strangers,
        seeds=(*(joined((datagram,)) for datagram in (*_HELLOS, *_SAID)), joined(_HELLOS)),
        words=_WORDS,
        modules=("dtls/server.py", "dtls/admission.py", "dtls/cookies.py"),
    ),
    Target(
        name="dtls_server_after_cookie",
        prepare=_hellos,
        seeds=tuple(joined((body, _KEY_EXCHANGE)) for body in _bodies((*_HELLOS, _SAID[0], _SAID_WITH_ID[0]))),
        words=(*_WORDS, joined((_KEY_EXCHANGE,))),
        modules=(*_SERVER_MODULES, "dtls/negotiation.py"),
    ),
    Target(
        name="dtls_server_flights",
        prepare=_flights,
        seeds=(joined(_SAID), joined(_SAID_WITH_ID), joined(_SAID[:3])),
        words=(*_WORDS, *(joined((datagram,)) for datagram in _SAID)),
        modules=(*_SERVER_MODULES, "dtls/associations.py", "dtls/reassembly.py"),
    ),
    Target(
        name="dtls_server_association",
        prepare=_association,
        seeds=(
            *(joined((bytes((number,)) + b"\1\0", b"\0x")) for number in range(len(_CONTENT_TYPES))),
            *(joined((b"\xff" + datagram,)) for datagram in (*_HELLOS, *_SAID_WITH_ID)),
        ),
        words=_WORDS,
        modules=("dtls/associations.py", "dtls/association.py", "dtls/traffic.py", "dtls/record_protection.py"),
    ),
    Target(
        name="dtls_client",
        prepare=_client,
        seeds=(joined(_ANSWERED_WITH_ID), joined(_ANSWERED), *(joined((answer,)) for answer in _ANSWERED)),
        words=(*_WORDS, *(joined((answer,)) for answer in _ANSWERED_WITH_ID)),
        modules=("dtls/client.py", "dtls/client_handshake.py", "dtls/reassembly.py"),
    ),
)
