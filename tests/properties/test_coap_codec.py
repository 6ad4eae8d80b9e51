"""Every message that can be constructed survives the wire, and an independent codec reads the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.link_format import Link, format_link_format, parse_link_format
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import (
    DEFINITIONS,
    Block,
    OptionDefinition,
    OptionFormat,
    decode_uint,
    encode_uint,
)
from tests.unit.protocols.coap.independent_codec import read_independently, write_independently

CODES = st.one_of(st.integers(1, 31), st.integers(0x40, 0xBF))


def values_of(definition: OptionDefinition) -> st.SearchStrategy[bytes]:
    """Give values a registered option may have; the oracle refuses some of the others."""
    if definition.format is OptionFormat.STRING:
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=definition.bytes_min, max_size=60).map(
            str.encode
        )
    return st.binary(min_size=definition.bytes_min, max_size=definition.bytes_max)


REGISTERED = st.sampled_from(list(DEFINITIONS.values())).flatmap(
    lambda definition: st.tuples(st.just(int(definition.number)), values_of(definition))
)
UNREGISTERED = st.tuples(st.integers(0, 65_535), st.binary(max_size=300)).filter(
    lambda option: option[0] not in DEFINITIONS
)
OPTIONS = st.lists(REGISTERED | UNREGISTERED, max_size=12).map(
    lambda options: tuple(sorted(options, key=lambda option: option[0]))
)
MESSAGES = st.builds(
    CoapMessage,
    type=st.sampled_from(MessageType),
    code=CODES,
    message_id=st.integers(0, 65_535),
    token=st.binary(max_size=8),
    options=OPTIONS,
    payload=st.binary(max_size=200),
)


@given(MESSAGES)
def test_encode_then_decode_gives_the_same_message(message: CoapMessage) -> None:
    """Nothing is lost or changed."""
    assert decode(encode(message)) == message


@given(MESSAGES)
def test_aiocoap_reads_what_we_write(message: CoapMessage) -> None:
    """The oracle is somebody else's decoder."""
    theirs = read_independently(encode(message))

    # What aiocoap knows to be a number or text it may write back differently; numbers and order are enough there.
    assert replace(theirs, options=()) == replace(message, options=())
    assert [number for number, _ in theirs.options] == [number for number, _ in message.options]


@given(MESSAGES)
def test_we_read_what_aiocoap_writes(message: CoapMessage) -> None:
    """The oracle is somebody else's encoder."""
    data = write_independently(message)

    assert decode(data) == message
    assert encode(message) == data


@given(st.integers(0, (1 << 32) - 1))
def test_uints_round_trip_in_the_fewest_bytes(value: int) -> None:
    """No leading zero is ever written."""
    data = encode_uint(value)

    assert decode_uint(data) == value
    assert not data.startswith(b"\0")


@given(st.builds(Block, number=st.integers(0, (1 << 20) - 1), more=st.booleans(), szx=st.integers(0, 6)))
def test_blocks_round_trip(block: Block) -> None:
    """At most three bytes."""
    assert Block.decode(block.encode()) == block
    assert len(block.encode()) <= 3


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
LINKS = st.lists(
    st.builds(
        Link,
        target=st.lists(st.integers(0, 65_535).map(str), max_size=4).map(lambda path: "/" + "/".join(path)),
        attributes=st.lists(st.tuples(NAMES, st.none() | TEXT), max_size=4).map(tuple),
    ),
    max_size=6,
).map(tuple)


@given(LINKS)
def test_links_round_trip(links: tuple[Link, ...]) -> None:
    """Whatever the attribute values hold."""
    assert parse_link_format(format_link_format(links)) == links
