"""Targets of CoAP: messages, options, link lists, and an endpoint with block-wise transfers and observations."""

from contextlib import suppress
from random import Random
from typing import Final

from commandpost.protocols.coap.codec import decode, encode, peek_header
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import CoapEndpoint, EndpointLimits, Request, TransmissionParameters
from commandpost.protocols.coap.events import RequestReceived, UnmatchedResponse
from commandpost.protocols.coap.link_format import parse_link_format
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option, decode_uint, encode_uint, find_unrecognised_critical
from commandpost.protocols.errors import DecodeError
from tests.fuzz.guided.target import MANY_DIGITS, Parse, Target, joined, pieces, stateless

TOKEN: Final = b"\x01\x02"
_ARRIVALS_MAX: Final = 16  # of one input
_LINKS: Final = b'</>;rt="oma.lwm2m";ct="11543 112",</3303/0>;ver=1.1,<a>;title="x\\"y" , <b>\0'


def message(code: int, *options: tuple[int, bytes], payload: bytes = b"", kind: int = MessageType.CON) -> bytes:
    """Write a message with the token of the open exchange."""
    return encode(
        CoapMessage(
            type=MessageType(kind),
            code=code,
            message_id=1,
            token=TOKEN,
            options=tuple(sorted(options)),
            payload=payload,
        )
    )


def _block(number: int, more: bool, szx: int) -> bytes:
    return Block(number=number, more=more, szx=szx).encode()


_MESSAGES: Final = (
    message(Code.POST, (Option.URI_PATH, b"rd"), (Option.URI_QUERY, b"ep=a"), payload=b"</1/0>"),
    message(Code.CONTENT, (Option.OBSERVE, b"\5"), (Option.CONTENT_FORMAT, b"\x2d\x16"), payload=b"\xc1\0\1"),
    message(Code.CONTENT, (Option.BLOCK2, _block(0, True, 0)), (Option.SIZE2, b"\x20"), payload=bytes(16)),
    message(Code.PUT, (Option.BLOCK1, _block(0, True, 0)), (Option.SIZE1, b"\x20"), payload=bytes(16)),
    message(Code.PUT, (Option.BLOCK1, _block(1, False, 0)), (Option.REQUEST_TAG, b"x"), payload=bytes(16)),
    message(Code.GET, (Option.BLOCK2, _block(1, False, 0)), (Option.NO_RESPONSE, b"\2"), (Option.ECHO, b"e")),
    message(Code.CONTINUE, (Option.BLOCK1, _block(0, True, 2)), kind=MessageType.ACK),
    bytes.fromhex("40 00 77 77"),
    bytes.fromhex("70 00 00 01"),
)
_PROPERTIES: Final = (
    *("uri_path", "uri_query", "location_path", "content_format", "accept", "observe", "etag", "block1", "block2"),
    *("auth_code", "is_empty", "is_request", "is_response"),
)
# Which of ours an arrival answers: 0 as it is, 1 to 3 with the number of the message that is open to that peer.
_ARRIVAL_KINDS: Final = 4


def _decode(data: bytes) -> None:
    peek_header(data)
    try:
        found = decode(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
        return
    assert decode(encode(found)) == found


def _options(data: bytes) -> None:
    try:
        found = decode(data)
    except DecodeError:
        return
    find_unrecognised_critical(found.options)
    for _, value in found.options:
        decode_uint(value)
        try:
            block = Block.decode(value)
        except DecodeError:
            continue
        assert Block.decode(block.encode()) == block
    for name in _PROPERTIES:
        with suppress(DecodeError):
            getattr(found, name)


def _links(data: bytes) -> None:
    try:
        links = parse_link_format(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
        return
    for link in links:
        formats = link.content_formats
        assert link.has("ct") or not formats
        assert "" not in link.path


def _endpoint() -> Parse:
    endpoint = CoapEndpoint(
        parameters=TransmissionParameters(),
        limits=EndpointLimits(response_body_bytes_max=2_000, block_bodies_max=2),
        random=Random(0),
    )
    endpoint.know_peer(0)
    for peer, options, payload in ((0, ((int(Option.OBSERVE), b""),), b""), (1, (), bytes(2_000))):
        endpoint.send_request(
            peer,
            Request(code=Code.GET if not payload else Code.PUT, options=options, payload=payload),
            exchange_id=peer,
            token=TOKEN,
            deadline=100.0,
            now=0.0,
        )

    def parse(data: bytes) -> None:
        # Numbers of ours are random: an arrival says whether it wants the one that is open.
        open_ids = {to: sent[2:4] for to, sent in endpoint.datagrams_to_send()}
        now = 0.0
        for arrival in pieces(data, count_max=_ARRIVALS_MAX):
            kind, datagram = arrival[0] if arrival else 0, arrival[1:]
            peer = kind % 2
            if kind // 2 % 2 and len(datagram) >= 4:
                datagram = datagram[:2] + open_ids[peer] + datagram[4:]
            now += kind // 4
            endpoint.handle_deadline(now=now)
            endpoint.receive_datagram(datagram, peer, now=now)
            _answer(endpoint, is_separate=kind >= 128, now=now)
            open_ids |= {to: sent[2:4] for to, sent in endpoint.datagrams_to_send() if sent[1] & 0xE0 == 0}
        endpoint.handle_deadline(now=now + 1_000.0)
        assert endpoint.open_exchange_count == 0

    return parse


def _answer(endpoint: CoapEndpoint, *, is_separate: bool, now: float) -> None:
    while (event := endpoint.next_event()) is not None:
        if isinstance(event, RequestReceived):
            if is_separate:
                endpoint.send_empty_ack(event.reply_to)
            endpoint.respond(event.reply_to, code=Code.CONTENT, payload=bytes(600), now=now)
        elif isinstance(event, UnmatchedResponse):
            endpoint.reset(event.handle, now=now)


_OPTION_WORDS: Final = (b"\xff", b"\xd1\x0a", b"\xd1\x0e", b"\xe0\x00\x17", b"\xb2rd", b"\x60", b"\x61\x05", TOKEN)

TARGETS: Final = (
    Target(
        name="coap_codec",
        prepare=stateless(_decode),
        seeds=_MESSAGES,
        words=_OPTION_WORDS,
        modules=("coap/codec.py", "coap/message.py"),
    ),
    Target(
        name="coap_options",
        prepare=stateless(_options),
        seeds=_MESSAGES,
        words=(*_OPTION_WORDS, encode_uint(65_535)),
        modules=("coap/options.py", "coap/message.py"),
    ),
    Target(
        name="coap_link_format",
        prepare=stateless(_links),
        seeds=(_LINKS, b"</1/0>,</5>"),
        words=(b"</", b">", b";", b'="', b"\\", b",", b" ", b"\0", b";ct=60", b"\xe6\xb8\xa9", b";ct=" + MANY_DIGITS),
        modules=("coap/link_format.py",),
    ),
    Target(
        name="coap_endpoint",
        prepare=_endpoint,
        seeds=(
            *(joined((bytes((kind,)) + datagram,)) for datagram in _MESSAGES for kind in range(_ARRIVAL_KINDS)),
            joined(b"\2" + datagram for datagram in _MESSAGES),
            joined(b"\1" + datagram for datagram in _MESSAGES),
        ),
        words=(*_OPTION_WORDS, *(joined((b"\3" + datagram,)) for datagram in _MESSAGES)),
        modules=("coap/blockwise.py", "coap/exchange.py", "coap/endpoint.py", "coap/responder.py"),
    ),
)
