"""The table of content formats: every number, both directions, and what stands without a number."""

import pytest

from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.formats import (
    KNOWN_FORMATS,
    PAYLOAD_BYTES_MAX,
    decode_values,
    default_format,
    encode_values,
)
from tests.unit.protocols.lwm2m.trees import model_of, path_of, values_of

TYPES = {"/3303/0/5700": ValueType.FLOAT, "/3303/0/5701": ValueType.STRING, "/5/0/0": ValueType.OPAQUE}
MODEL = model_of(TYPES)
INSTANCE = values_of(
    3303,
    [
        ("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5)),
        ("/3303/0/5701", ResourceValue(ValueType.STRING, "Cel")),
    ],
)
SINGLE = values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5))])


def test_table_is_complete() -> None:
    assert sorted(KNOWN_FORMATS) == [0, 42, 60, 110, 112, 11542, 11543]


@pytest.mark.parametrize("content_format", [110, 112, 11542, 1542, 11543, 1543])
@pytest.mark.parametrize("path", ["/3303", "/3303/0"])
def test_instance_survives_every_format_with_names(content_format: int, path: str) -> None:
    encoded = encode_values(content_format, INSTANCE, path=path_of(path), model=MODEL)

    assert decode_values(content_format, encoded, path=path_of(path), model=MODEL) == INSTANCE


@pytest.mark.parametrize("content_format", [0, 1541, 60, 110, 112, 11542, 1542, 11543, 1543])
def test_resource_survives_every_format_that_carries_numbers(content_format: int) -> None:
    path = path_of("/3303/0/5700")

    encoded = encode_values(content_format, SINGLE, path=path, model=MODEL)

    assert decode_values(content_format, encoded, path=path, model=MODEL) == SINGLE


@pytest.mark.parametrize("content_format", [42, 1544])
def test_opaque_format_carries_bytes(content_format: int) -> None:
    path = path_of("/5/0/0")
    values = values_of(5, [("/5/0/0", ResourceValue(ValueType.OPAQUE, b"\x12\x1a"))])

    assert encode_values(content_format, values, path=path, model=MODEL) == b"\x12\x1a"
    assert decode_values(content_format, b"\x12\x1a", path=path, model=MODEL) == values


def test_resource_without_a_format_is_text() -> None:
    assert decode_values(None, b"20.5", path=path_of("/3303/0/5700"), model=MODEL) == SINGLE


def test_unknown_resource_without_a_format_is_a_string() -> None:
    values = decode_values(None, b"20.5", path=path_of("/40000/0/1"), model=MODEL)

    assert values == values_of(40000, [("/40000/0/1", ResourceValue(ValueType.STRING, "20.5"))])


def test_opaque_resource_without_a_format_is_its_bytes() -> None:
    """The letters of a word are also base64; without a format nobody has said that they are meant so."""
    values = decode_values(None, b"abcd", path=path_of("/5/0/0"), model=MODEL)

    assert values == values_of(5, [("/5/0/0", ResourceValue(ValueType.OPAQUE, b"abcd"))])


@pytest.mark.parametrize("path", ["/3303", "/3303/0"])
def test_more_than_a_resource_without_a_format_is_tlv(path: str) -> None:
    encoded = encode_values(11542, INSTANCE, path=path_of(path), model=MODEL)

    assert decode_values(None, encoded, path=path_of(path), model=MODEL) == INSTANCE


def test_resource_instance_is_read_bare() -> None:
    path = path_of("/3/0/6/1")

    values = decode_values(0, b"5", path=path, model=model_of({"/3/0/6": ValueType.INTEGER}))

    assert values == values_of(3, [("/3/0/6/1", ResourceValue(ValueType.INTEGER, 5))])


@pytest.mark.parametrize("content_format", [0, 42, 60])
def test_one_bare_value_cannot_be_an_instance(content_format: int) -> None:
    with pytest.raises(DecodeError):
        decode_values(content_format, b"1", path=path_of("/3303/0"), model=MODEL)
    with pytest.raises(EncodeError):
        encode_values(content_format, INSTANCE, path=path_of("/3303/0"), model=MODEL)


@pytest.mark.parametrize("content_format", [40, 50, 320, 65535])
def test_unknown_format_is_refused(content_format: int) -> None:
    with pytest.raises(DecodeError, match=str(content_format)):
        decode_values(content_format, b"1", path=path_of("/3303/0/5700"), model=MODEL)
    with pytest.raises(EncodeError, match=str(content_format)):
        encode_values(content_format, SINGLE, path=path_of("/3303/0/5700"), model=MODEL)


def test_payload_is_bound() -> None:
    with pytest.raises(DecodeError):
        decode_values(42, bytes(PAYLOAD_BYTES_MAX + 1), path=path_of("/5/0/0"), model=MODEL)


def test_opaque_format_refuses_other_values() -> None:
    with pytest.raises(EncodeError):
        encode_values(42, SINGLE, path=path_of("/3303/0/5700"), model=MODEL)


def test_module_wraps_the_instance_it_answers_with() -> None:
    encoded = encode_values(11542, SINGLE, path=path_of("/3303/0"), model=MODEL, wraps_instance=True)

    assert encoded == bytes.fromhex("07 00 E4 16 44 41 A4 00 00")


@pytest.mark.parametrize(("path", "expected"), [("/3303/0", 11542), ("/3303/0/5700", 0)], ids=["instance", "resource"])
def test_default_format_of_an_answer(path: str, expected: int) -> None:
    assert default_format(SINGLE, path=path_of(path)) == expected


def test_default_format_of_an_opaque_or_multiple_resource() -> None:
    opaque = values_of(5, [("/5/0/0", ResourceValue(ValueType.OPAQUE, b"\x01"))])
    multiple = values_of(3, [("/3/0/6/0", ResourceValue(ValueType.INTEGER, 1))])

    assert default_format(opaque, path=path_of("/5/0/0")) == 42
    assert default_format(multiple, path=path_of("/3/0/6")) == 11542
    assert default_format(multiple, path=path_of("/3/0/6/0")) == 0
