"""What the options of a message say."""

import pytest

from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option
from commandpost.protocols.errors import DecodeError


def message_with(*options: tuple[int, bytes]) -> CoapMessage:
    return CoapMessage(type=MessageType.CON, code=1, message_id=1, options=options)


def test_paths_and_queries_are_given_as_they_stand() -> None:
    """A raw semicolon in a query option is content, not a separator; nothing is unescaped."""
    message = message_with(
        (Option.URI_PATH, b"rd"),
        (Option.URI_PATH, b"865820031234567"),
        (Option.URI_QUERY, b"ep=865820031234567;460040427001234"),
        (Option.URI_QUERY, b"x=%41"),
    )

    assert message.uri_path == ("rd", "865820031234567")
    assert message.uri_query == ("ep=865820031234567;460040427001234", "x=%41")
    assert message.location_path == ()


@pytest.mark.parametrize("number", [Option.URI_PATH, Option.URI_QUERY, Option.LOCATION_PATH])
def test_a_string_that_is_not_utf8_raises(number: Option) -> None:
    """Reading it, not receiving it, is what fails."""
    message = message_with((number, b"ok"), (number, b"\xff\xfe"))
    reader = {Option.URI_PATH: "uri_path", Option.URI_QUERY: "uri_query", Option.LOCATION_PATH: "location_path"}

    with pytest.raises(DecodeError):
        getattr(message, reader[number])


def test_absent_options_are_none() -> None:
    """None is not zero."""
    message = message_with()

    assert message.content_format is None
    assert message.accept is None
    assert message.observe is None
    assert message.block1 is None
    assert message.block2 is None
    assert message.auth_code is None
    assert message.etag is None


def test_numbers_are_read_with_empty_as_zero() -> None:
    """Observe 0 has no bytes."""
    message = message_with((Option.OBSERVE, b""), (Option.CONTENT_FORMAT, b"\x2d\x16"), (Option.ACCEPT, b"\x00\x28"))

    assert (message.observe, message.content_format, message.accept) == (0, 11542, 40)


def test_a_number_of_a_wrong_length_counts_as_absent() -> None:
    """RFC 7252 section 5.4.3 for elective options."""
    message = message_with((Option.OBSERVE, bytes(4)), (Option.CONTENT_FORMAT, bytes(3)))

    assert message.observe is None
    assert message.content_format is None


def test_the_auth_code_is_opaque() -> None:
    """Option 63 is not text to the engine."""
    assert message_with((Option.ONENET_AUTH_CODE, b"\xffabc")).auth_code == b"\xffabc"


@pytest.mark.parametrize(
    ("value", "block"),
    [
        (b"", Block(number=0, more=False, szx=0)),
        (b"\x0d", Block(number=0, more=True, szx=5)),
        (b"\x1d", Block(number=1, more=True, szx=5)),
        (b"\x25", Block(number=2, more=False, szx=5)),
        (b"\xff\xff\xfe", Block(number=(1 << 20) - 1, more=True, szx=6)),
    ],
)
def test_block_values_read_and_write(value: bytes, block: Block) -> None:
    """The value is number, more flag and size exponent in the fewest bytes."""
    assert message_with((Option.BLOCK1, value)).block1 == block
    assert message_with((Option.BLOCK2, value)).block2 == block
    assert block.encode() == value


@pytest.mark.parametrize("value", [b"\x07", b"\x1f", bytes(4)])
def test_reserved_block_values_raise(value: bytes) -> None:
    """Size exponent 7 and more than three bytes."""
    with pytest.raises(DecodeError):
        _ = message_with((Option.BLOCK2, value)).block2
