"""Any bytes: a record or DecodeError from the codec, and never an error from an endpoint."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.coap.codec import decode, encode, peek_header
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import CoapEndpoint, EndpointLimits, Request, TransmissionParameters
from commandpost.protocols.coap.events import RequestReceived, UnmatchedResponse
from commandpost.protocols.coap.link_format import Link, parse_link_format
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError

TOKEN = b"\x01\x02"
# Bytes that begin like CoAP reach far deeper than bytes that do not.
HEADERS = st.tuples(
    st.integers(0x40, 0x7F),
    st.sampled_from([0x00, 0x01, 0x02, 0x03, 0x41, 0x44, 0x45, 0x5F, 0x80, 0x88, 0x8D, 0xA0]),
    st.just(0),
    st.integers(0, 5),
).map(bytes)
OPTION = st.builds(
    lambda delta, value: bytes((delta << 4 | len(value),)) + value, st.integers(0, 12), st.binary(max_size=12)
)
LIKELY = st.builds(
    lambda header, options, tail: header + TOKEN + b"".join(options) + tail,
    HEADERS,
    st.lists(OPTION, max_size=6),
    st.binary(max_size=40),
)
BLOCKS = st.builds(
    lambda kind, code, message_id, number, value, payload: (
        bytes((kind << 4 | 0x42, code, 0, message_id))
        + TOKEN
        + (bytes((0xD1, number - 13)) + value)
        + b"\xff"
        + payload
    ),
    st.integers(0, 2),
    st.sampled_from([0x01, 0x03, 0x44, 0x45, 0x5F, 0x8D]),
    st.integers(0, 8),
    st.sampled_from([23, 27]),
    st.binary(min_size=1, max_size=1),
    st.sampled_from([b"x", bytes(16), bytes(32), bytes(512)]),
)
DATAGRAMS = st.one_of(st.binary(max_size=80), LIKELY, BLOCKS)


@settings(max_examples=500)
@given(DATAGRAMS)
def test_the_codec_gives_a_message_or_a_decode_error(data: bytes) -> None:
    """And what it gives can be written and read again."""
    peek_header(data)
    try:
        message = decode(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
    else:
        assert isinstance(message, CoapMessage)
        assert decode(encode(message)) == message


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(DATAGRAMS, st.integers(0, 2), st.floats(0, 60)), max_size=25),
    st.booleans(),
    st.booleans(),
)
def test_an_endpoint_never_raises(arrivals: list[tuple[bytes, int, float]], known: bool, separate: bool) -> None:
    """Requests of ours open, requests of theirs answered, at any time, in any state."""
    endpoint = CoapEndpoint(
        parameters=TransmissionParameters(),
        limits=EndpointLimits(response_body_bytes_max=2_000, block_bodies_max=2),
        random=Random(0),
    )
    now = 0.0
    if known:
        endpoint.know_peer(0)
    for peer, options, payload in ((0, ((int(Option.OBSERVE), b""),), b""), (1, (), bytes(2_000))):
        endpoint.send_request(
            peer,
            Request(code=Code.GET, options=options, payload=payload),
            exchange_id=peer,
            token=TOKEN,
            deadline=100.0,
            now=now,
        )
    # Message ids of ours are random: let some arrivals carry one that is open.
    open_ids = [data[2:4] for _, data in endpoint.datagrams_to_send()]
    for data, peer, pause_s in arrivals:
        now += pause_s
        endpoint.handle_deadline(now=now)
        endpoint.receive_datagram(data, peer, now=now)
        if peer < 2 and len(data) > 4:
            endpoint.receive_datagram(data[:2] + open_ids[peer] + data[4:], peer, now=now)
        while (event := endpoint.next_event()) is not None:
            if isinstance(event, RequestReceived):
                if separate:
                    endpoint.send_empty_ack(event.reply_to)
                endpoint.respond(event.reply_to, code=Code.CONTENT, payload=bytes(600), now=now)
            elif isinstance(event, UnmatchedResponse):
                endpoint.reset(event.handle, now=now)
        sent = endpoint.datagrams_to_send()
        open_ids = [
            next((data[2:4] for to, data in reversed(sent) if to == peer and data[1] & 0xE0 == 0), open_ids[peer])
            for peer in (0, 1)
        ]

    endpoint.handle_deadline(now=now + 1_000.0)
    assert endpoint.open_exchange_count == 0


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=80), st.text('<>/;,="\\ 0a\0', max_size=60).map(str.encode)))
def test_a_link_list_is_links_or_a_decode_error(payload: bytes) -> None:
    """Whatever a device registers with."""
    try:
        links = parse_link_format(payload)
    except DecodeError as error:
        assert 0 <= error.offset <= len(payload)
    else:
        assert all(isinstance(link, Link) for link in links)
