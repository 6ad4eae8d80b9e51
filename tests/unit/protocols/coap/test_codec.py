"""The codec against published bytes, malformed bytes, and somebody else's codec."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from commandpost.protocols.coap.codec import OPTIONS_MAX, decode, encode, encode_fields, peek_header
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.errors import DecodeError, EncodeError
from tests.unit.protocols.coap.independent_codec import read_independently, write_independently

VECTORS = Path(__file__).parents[3] / "vectors" / "coap"


class MessageVector(TypedDict):
    name: str
    source: str
    bytes: str
    type: str
    code: str
    message_id: int
    token: str
    options: list[tuple[int, str]]
    payload: str


class MalformedVector(TypedDict):
    name: str
    source: str
    bytes: str
    offset: int
    resets: bool


MESSAGES: list[MessageVector] = json.loads((VECTORS / "messages.json").read_text())
MALFORMED: list[MalformedVector] = json.loads((VECTORS / "malformed.json").read_text())


def message_of(vector: MessageVector) -> CoapMessage:
    code_class, detail = vector["code"].split(".")
    return CoapMessage(
        type=MessageType[vector["type"]],
        code=int(code_class) << 5 | int(detail),
        message_id=vector["message_id"],
        token=bytes.fromhex(vector["token"]),
        options=tuple((number, bytes.fromhex(value)) for number, value in vector["options"]),
        payload=bytes.fromhex(vector["payload"]),
    )


@pytest.mark.parametrize("vector", MESSAGES, ids=[vector["name"] for vector in MESSAGES])
def test_published_messages_encode_and_decode(vector: MessageVector) -> None:
    """One table of record and bytes holds in both directions."""
    message, data = message_of(vector), bytes.fromhex(vector["bytes"])

    assert decode(data) == message
    assert encode(message) == data


@pytest.mark.parametrize("vector", MESSAGES, ids=[vector["name"] for vector in MESSAGES])
def test_aiocoap_reads_the_same_from_the_published_bytes(vector: MessageVector) -> None:
    """An independent codec agrees on every vector, in both directions."""
    message, data = message_of(vector), bytes.fromhex(vector["bytes"])

    assert read_independently(data) == message
    assert write_independently(message) == data


@pytest.mark.parametrize("vector", MALFORMED, ids=[vector["name"] for vector in MALFORMED])
def test_malformed_bytes_are_refused_with_an_offset(vector: MalformedVector) -> None:
    """The error names the first byte at fault."""
    with pytest.raises(DecodeError) as raised:
        decode(bytes.fromhex(vector["bytes"]))

    assert raised.value.offset == vector["offset"]
    assert str(vector["offset"]) in str(raised.value)


def test_header_can_be_read_from_a_malformed_message() -> None:
    """Type and message id are all a reset needs."""
    assert peek_header(bytes.fromhex("4F 01 12 34")) == (MessageType.CON, 0x1234)
    assert peek_header(bytes.fromhex("5F 01 12 34")) == (MessageType.NON, 0x1234)
    assert peek_header(bytes.fromhex("80 01 12 34")) is None
    assert peek_header(b"\x40\x01\x12") is None


def test_options_leave_in_ascending_order_and_equal_numbers_keep_theirs() -> None:
    """An owner may name options in any order."""
    options = ((15, b"b"), (11, b"x"), (15, b"a"), (4, b"e"))

    decoded = decode(encode_fields(0, 1, 1, b"", options, b""))

    assert decoded.options == ((4, b"e"), (11, b"x"), (15, b"b"), (15, b"a"))


@pytest.mark.parametrize("length", [0, 12, 13, 14, 268, 269, 270, 65_804])
@pytest.mark.parametrize("number", [0, 12, 13, 268, 269, 270, 65_535])
def test_extended_deltas_and_lengths_round_trip(number: int, length: int) -> None:
    """Every border between the three forms of an option header."""
    message = CoapMessage(type=MessageType.CON, code=1, message_id=7, options=((number, bytes(length)),), payload=b"p")

    assert decode(encode(message)) == message


def test_a_datagram_of_countless_empty_options_is_refused() -> None:
    """A datagram cannot make more option records than a message could sensibly have."""
    with pytest.raises(DecodeError):
        decode(bytes.fromhex("40011234") + b"\x10" + bytes(OPTIONS_MAX))

    assert len(decode(bytes.fromhex("40011234") + bytes(OPTIONS_MAX)).options) == OPTIONS_MAX


@pytest.mark.parametrize(
    ("code", "token", "options", "payload"),
    [
        (0x01, bytes(9), (), b""),
        (0x100, b"", (), b""),
        (0x00, b"t", (), b""),
        (0x00, b"", ((1, b""),), b""),
        (0x00, b"", (), b"p"),
        (0x01, b"", ((65_536, b""),), b""),
        (0x01, b"", ((-1, b""),), b""),
        (0x01, b"", ((1, bytes(65_805)),), b""),
    ],
)
def test_what_has_no_form_on_the_wire_cannot_be_constructed(
    code: int, token: bytes, options: tuple[tuple[int, bytes], ...], payload: bytes
) -> None:
    """A record that exists can be encoded."""
    with pytest.raises(EncodeError):
        CoapMessage(type=MessageType.CON, code=code, message_id=1, token=token, options=options, payload=payload)


@pytest.mark.parametrize(
    ("token", "options"),
    [
        (bytes(9), ()),
        (b"", ((65_536, b""),)),
        (b"", ((65_535, b""), (65_536, b""))),
        (b"", ((-1, b""),)),
        (b"", ((1, bytes(65_805)),)),
        (b"", ((1, b""),) * (OPTIONS_MAX + 1)),
    ],
)
def test_fields_out_of_range_are_not_encoded(token: bytes, options: tuple[tuple[int, bytes], ...]) -> None:
    """The path without a record refuses the same."""
    with pytest.raises(EncodeError):
        encode_fields(0, 1, 1, token, options, b"")
