"""Single values as text: the vectors in both directions, and what devices send besides."""

import pytest

from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.plain_text import decode_plain_text, encode_plain_text
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, value_of

VECTORS = load_vectors("text")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_decodes(vector: Vector) -> None:
    value = value_of(vector["type"], vector["value"])

    assert decode_plain_text(value.type, vector["text"].encode()) == value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_encodes(vector: Vector) -> None:
    assert encode_plain_text(value_of(vector["type"], vector["value"])) == vector["text"].encode()


@pytest.mark.parametrize(
    ("value_type", "text", "expected"),
    [
        (ValueType.BOOLEAN, "true", True),
        (ValueType.BOOLEAN, "False", False),
        (ValueType.INTEGER, " +7\r\n", 7),
        (ValueType.FLOAT, "22", 22.0),
        (ValueType.FLOAT, "-1.5E-3", -0.0015),
        (ValueType.FLOAT, ".5", 0.5),
        (ValueType.TIME, "1470355200.5", 1470355200.5),
        (ValueType.STRING, "Cel\0", "Cel"),
    ],
)
def test_lenient_forms_are_read(value_type: ValueType, text: str, expected: object) -> None:
    assert decode_plain_text(value_type, text.encode()) == value_of(value_type.value, expected)


@pytest.mark.parametrize(
    ("value_type", "text"),
    [
        (ValueType.INTEGER, ""),
        (ValueType.INTEGER, "1_000"),
        (ValueType.INTEGER, "١٢"),
        (ValueType.INTEGER, "22.0"),
        (ValueType.INTEGER, "9223372036854775808"),
        (ValueType.INTEGER, "9" * 100_000),
        (ValueType.UNSIGNED, "-1"),
        (ValueType.FLOAT, "nan"),
        (ValueType.FLOAT, "inf"),
        (ValueType.FLOAT, "1e999"),
        (ValueType.FLOAT, "1" * 100_000),
        (ValueType.FLOAT, "."),
        (ValueType.BOOLEAN, "2"),
        (ValueType.TIME, "yesterday"),
        (ValueType.OBJLNK, "66"),
        (ValueType.OBJLNK, "65536:0"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_text_that_is_none_of_the_type_is_refused(value_type: ValueType, text: str) -> None:
    with pytest.raises(DecodeError):
        decode_plain_text(value_type, text.encode())


def test_unknown_resource_is_a_string() -> None:
    assert decode_plain_text(None, b"20.5") == ResourceValue(ValueType.STRING, "20.5")


def test_text_that_is_no_utf8_stays_opaque() -> None:
    assert decode_plain_text(ValueType.STRING, b"\xff\xfe") == ResourceValue(ValueType.OPAQUE, b"\xff\xfe")
    with pytest.raises(DecodeError):
        decode_plain_text(ValueType.INTEGER, b"\xff\xfe")


def test_opaque_that_is_no_base64_is_raw() -> None:
    """Old modules send the bytes themselves."""
    assert decode_plain_text(ValueType.OPAQUE, b"\x12\x1a") == ResourceValue(ValueType.OPAQUE, b"\x12\x1a")


def test_value_outside_its_type_cannot_be_encoded() -> None:
    with pytest.raises(EncodeError):
        encode_plain_text(ResourceValue(ValueType.INTEGER, 2**64))
