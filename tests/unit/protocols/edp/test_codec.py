"""Framing and codec against published bytes and malformed ones."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.codec import (
    MessageFault,
    decode_command,
    decode_encryption,
    decode_login,
    decode_push,
    decode_save_ack,
    decode_save_header,
    decode_update,
    encode_command,
    encode_login,
    encode_push,
    encode_save,
    encode_save_ack,
    encode_update,
)
from commandpost.protocols.edp.framing import REMAINING_LENGTH_MAX, FrameBuffer, frame
from commandpost.protocols.edp.messages import CommandMessage, LoginRequest, MessageType, SaveHeader
from commandpost.protocols.errors import EncodeError

VECTORS = Path(__file__).parents[3] / "vectors" / "edp"
LARGEST = 4 * 1024 * 1024


class Fields(TypedDict, total=False):
    device_id: str | None
    product_id: str | None
    auth: str
    keepalive_s: int
    form: int
    command_id: str
    payload: str
    message_id: int | None
    report: str
    is_saved: bool
    items: list[list[str]]


class MessageVector(TypedDict):
    name: str
    source: str
    bytes: str
    kind: str
    fields: Fields


class LengthVector(TypedDict):
    length: int
    bytes: str
    source: str


MESSAGES: list[MessageVector] = json.loads((VECTORS / "messages.json").read_text())
LENGTHS: list[LengthVector] = json.loads((VECTORS / "lengths.json").read_text())


def decode_fields(kind: str, body: bytes) -> Fields:
    match kind:
        case "login":
            login = decode_login(body)
            return {
                "device_id": login.device_id,
                "product_id": login.product_id,
                "auth": login.auth.decode(),
                "keepalive_s": login.keepalive_s,
                "form": login.form,
            }
        case "command":
            command = decode_command(body)
            return {"command_id": command.command_id, "payload": command.payload.decode()}
        case "save":
            header, type_at, is_sound = decode_save_header(body)
            assert is_sound
            report = body[type_at:].hex(" ").upper()
            return {"device_id": header.device_id, "message_id": header.message_id, "report": report}
        case "save_ack":
            message_id, is_saved = decode_save_ack(body)
            return {"message_id": message_id, "is_saved": is_saved}
        case "push":
            device_id, payload = decode_push(body)
            return {"device_id": device_id, "payload": payload.decode()}
        case "update":
            return {"items": [list(item) for item in decode_update(body, items_max=1)]}
    assert body == b""
    return {}


def encode_fields(kind: str, fields: Fields) -> bytes:
    match kind:
        case "login":
            return encode_login(
                LoginRequest(
                    device_id=fields["device_id"] or "",
                    product_id=fields["product_id"],
                    auth=fields["auth"].encode(),
                    keepalive_s=fields["keepalive_s"],
                )
            )
        case "command":
            return encode_command(CommandMessage(command_id=fields["command_id"], payload=fields["payload"].encode()))
        case "save":
            header = SaveHeader(device_id=fields["device_id"], message_id=fields["message_id"])
            return encode_save(header, bytes.fromhex(fields["report"]))
        case "save_ack":
            return encode_save_ack(fields["message_id"] or 0, is_saved=fields["is_saved"])
        case "push":
            return encode_push(fields["device_id"] or "", fields["payload"].encode())
        case "update":
            return encode_update(tuple((name, version) for name, version in fields["items"]))
    return b""


@pytest.mark.parametrize("vector", MESSAGES, ids=[vector["name"] for vector in MESSAGES])
def test_published_messages_encode_and_decode(vector: MessageVector) -> None:
    """One table of record and bytes holds in both directions."""
    data = bytes.fromhex(vector["bytes"])
    buffer = FrameBuffer()
    buffer.feed(data)

    found = buffer.next_frame(bytes_max=LARGEST)

    assert found is not None
    assert decode_fields(vector["kind"], found[1]) == vector["fields"]
    assert frame(found[0], encode_fields(vector["kind"], vector["fields"])) == data
    assert buffer.buffered_bytes == 0


@pytest.mark.parametrize("vector", LENGTHS, ids=[str(vector["length"]) for vector in LENGTHS])
def test_published_lengths_encode_and_decode(vector: LengthVector) -> None:
    """Seven bits a byte, least significant first, at every border."""
    body = bytes(vector["length"])
    head = b"\x80" + bytes.fromhex(vector["bytes"])

    written = frame(MessageType.SAVE_DATA, body)
    buffer = FrameBuffer()
    buffer.feed(written)

    assert written == head + body
    assert buffer.next_frame(bytes_max=LARGEST) == (MessageType.SAVE_DATA, body)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("00 00", CloseCode.UNKNOWN_TYPE),
        ("81 00", CloseCode.TYPE_PARSE),
        ("80 80 80 80 80", CloseCode.LENGTH),
        ("80 FF FF FF FF", CloseCode.LENGTH),
        ("80 81 80 80 02", CloseCode.LENGTH),
    ],
)
def test_a_head_that_is_none_is_refused_before_its_body_comes(head: str, code: CloseCode) -> None:
    """No type, reserved bits, a fifth byte of length, a byte more than the limit of 4 MiB."""
    buffer = FrameBuffer()
    buffer.feed(bytes.fromhex(head))

    with pytest.raises(MessageFault) as raised:
        buffer.next_frame(bytes_max=LARGEST)

    assert raised.value.code is code


def test_a_message_in_single_bytes_is_found_when_it_is_whole() -> None:
    """Not there yet is a value, not an error."""
    data = frame(MessageType.PUSH_DATA, bytes(200)) + frame(MessageType.PING_REQ, b"")
    buffer = FrameBuffer()
    found = []

    for at in range(len(data)):
        buffer.feed(data[at : at + 1])
        while (message := buffer.next_frame(bytes_max=LARGEST)) is not None:
            found.append((at, message))

    assert found == [(202, (MessageType.PUSH_DATA, bytes(200))), (204, (MessageType.PING_REQ, b""))]


def test_reads_that_end_inside_of_messages() -> None:
    """What was taken out of the buffer does not come again, and what is left is not lost."""
    messages = [(MessageType.PUSH_DATA, bytes((number,)) * 10) for number in range(5)]
    data = b"".join(frame(kind, body) for kind, body in messages)
    buffer = FrameBuffer()
    found = []

    for start, end in ((0, 30), (30, 42), (42, 60)):
        buffer.feed(data[start:end])
        while (message := buffer.next_frame(bytes_max=LARGEST)) is not None:
            found.append(message)
        assert buffer.buffered_bytes == end % 12

    assert found == messages


def test_a_message_that_no_length_can_name_is_not_written() -> None:
    """The field ends at 2**28 - 1."""

    class Huge(bytes):
        def __len__(self) -> int:
            return REMAINING_LENGTH_MAX + 1

    with pytest.raises(EncodeError):
        frame(MessageType.PUSH_DATA, Huge())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", CloseCode.COMMAND_ID),
        ("00", CloseCode.COMMAND_ID),
        ("00 00 00 00 00 00", CloseCode.COMMAND_ID),
        ("00 05 61", CloseCode.COMMAND_ID),
        ("00 01 FF", CloseCode.COMMAND_ID),
        ("00 81" + " 61" * 129, CloseCode.COMMAND_ID),
        ("00 01 61 00", CloseCode.COMMAND_LENGTH),
        ("00 01 61 00 00 00 02 61", CloseCode.COMMAND_LENGTH),
        ("00 01 61 00 00 00 00 61", CloseCode.COMMAND_LENGTH),
    ],
)
def test_a_command_answer_that_is_none(body: str, code: CloseCode) -> None:
    """101 for the id, 102 for the length."""
    with pytest.raises(MessageFault) as raised:
        decode_command(bytes.fromhex(body))

    assert raised.value.code is code


def test_an_answer_without_its_length_is_empty() -> None:
    """The vendor's C client leaves it out."""
    assert decode_command(bytes.fromhex("00 01 61")) == CommandMessage(command_id="a", payload=b"")


def test_programs_are_bounded_and_come_in_pairs() -> None:
    """An UPDATE_REQ cannot make more records than it is allowed."""
    item = bytes.fromhex("00 01 61 00 01 31")

    assert decode_update(b"", items_max=2) == ()
    assert decode_update(item * 2, items_max=2) == (("a", "1"), ("a", "1"))
    for body in (item * 3, item[:3], item[:5], b"\0"):
        with pytest.raises(MessageFault):
            decode_update(body, items_max=2)


def test_an_encryption_request_has_a_modulus_of_1024_bits() -> None:
    """Neither a shorter field nor a smaller number in it."""
    sound = bytes.fromhex("00 01 00 01") + b"\x80" + bytes(126) + b"\x01" + b"\x01"

    request = decode_encryption(sound)

    assert (request.exponent, request.modulus, request.algorithm) == (65_537, 2**1023 + 1, 1)
    for body in (b"", sound[:-1], sound + b"\0", sound[:4] + b"\x7f" + sound[5:]):
        with pytest.raises(MessageFault) as raised:
            decode_encryption(body)
        assert raised.value.code is CloseCode.ENCRYPTION


def test_what_has_no_form_on_the_wire_cannot_be_constructed() -> None:
    """Records check themselves."""
    with pytest.raises(EncodeError):
        LoginRequest(device_id="7", product_id=None, auth=b"", keepalive_s=1)
    with pytest.raises(EncodeError):
        LoginRequest(device_id="7", product_id=None, auth=b"k", keepalive_s=65_536)
    with pytest.raises(EncodeError):
        LoginRequest(device_id="", product_id=None, auth=b"k", keepalive_s=1)
    with pytest.raises(EncodeError):
        LoginRequest(device_id="", product_id="", auth=b"k", keepalive_s=1)
    with pytest.raises(EncodeError):
        LoginRequest(device_id="7" * 65_536, product_id=None, auth=b"k", keepalive_s=1)
    for message_id in (0, 65_536):
        with pytest.raises(EncodeError):
            SaveHeader(message_id=message_id)
    for command_id in ("", "a" * 129):
        with pytest.raises(EncodeError):
            CommandMessage(command_id=command_id, payload=b"")
