"""The data types of MQTT, against the tables and figures of the standard."""

import pytest

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.wire import (
    STRING_BYTES_MAX,
    VARINT_MAX,
    Cursor,
    check_text,
    encode_binary,
    encode_text,
    encode_varint,
)

# MQTT 3.1.1 table 2.4 and section 2.2.3, the numbers 64 and 321.
VARINTS = [
    (0, "00"),
    (64, "40"),
    (127, "7F"),
    (128, "80 01"),
    (321, "C1 02"),
    (16_383, "FF 7F"),
    (16_384, "80 80 01"),
    (2_097_151, "FF FF 7F"),
    (2_097_152, "80 80 80 01"),
    (268_435_455, "FF FF FF 7F"),
]


@pytest.mark.parametrize(("value", "encoded"), VARINTS)
def test_variable_byte_integers_of_the_standard(value: int, encoded: str) -> None:
    """Table 2.4: the first and the last number of each length."""
    assert encode_varint(value) == bytes.fromhex(encoded)
    assert Cursor(bytes.fromhex(encoded)).read_varint() == value


@pytest.mark.parametrize("value", [-1, VARINT_MAX + 1])
def test_a_variable_byte_integer_out_of_range_has_no_form(value: int) -> None:
    """Four bytes of seven bits."""
    with pytest.raises(EncodeError):
        encode_varint(value)


def test_a_variable_byte_integer_of_five_bytes_is_malformed() -> None:
    """The offset is where it begins."""
    cursor = Cursor(b"\0\x80\x80\x80\x80\x01", position=1)

    with pytest.raises(PacketError) as raised:
        cursor.read_varint()

    assert raised.value.offset == 1


def test_the_string_of_figure_1_1() -> None:
    """MQTT 3.1.1 section 1.5.3: A, then U+2A6D4."""
    encoded = bytes.fromhex("00 05 41 F0 AA 9B 94")

    assert encode_text("A\U0002a6d4") == encoded
    assert Cursor(encoded).read_text() == "A\U0002a6d4"


def test_a_byte_order_mark_is_a_character() -> None:
    """MQTT 3.1.1 [MQTT-1.5.3-3]: never stripped off."""
    assert Cursor(bytes.fromhex("00 03 EF BB BF")).read_text() == "\ufeff"


@pytest.mark.parametrize(
    ("encoded", "offset"), [("00 03 ED A0 80", 2), ("00 02 61 FF", 3), ("00 01 00", 2), ("00 02 61", 2), ("00", 0)]
)
def test_strings_the_standard_forbids(encoded: str, offset: int) -> None:
    """Surrogates, other bytes that are no UTF-8, NUL, and strings that are cut off."""
    with pytest.raises(PacketError) as raised:
        Cursor(bytes.fromhex(encoded)).read_text()

    assert raised.value.offset == offset


@pytest.mark.parametrize("text", ["\0", "\ud800", "a" * (STRING_BYTES_MAX + 1), "\u4e2d" * 21_846])
def test_text_without_a_form_on_the_wire_is_refused_before_it_gets_there(text: str) -> None:
    """A record and its bytes agree about what can be written."""
    with pytest.raises(EncodeError):
        encode_text(text)
    with pytest.raises(EncodeError, match="the name"):
        check_text(text, name="the name")


@pytest.mark.parametrize("text", ["", "a" * STRING_BYTES_MAX, "\u4e2d" * 21_845])
def test_text_up_to_the_last_byte_is_allowed(text: str) -> None:
    """65,535 bytes, however many characters they are."""
    check_text(text, name="the name")

    assert Cursor(encode_text(text)).read_text() == text


def test_binary_data_is_bounded() -> None:
    """A length of two bytes."""
    assert len(encode_binary(bytes(STRING_BYTES_MAX))) == STRING_BYTES_MAX + 2
    with pytest.raises(EncodeError):
        encode_binary(bytes(STRING_BYTES_MAX + 1))
