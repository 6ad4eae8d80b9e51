"""CBOR: agreement with an independent implementation, and bounds."""

import cbor2
import pytest

from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.cbor import DEPTH_MAX, ITEMS_MAX, Item, decode_cbor, encode_cbor
from commandpost.protocols.lwm2m.cbor_value import decode_cbor_value, encode_cbor_value
from tests.unit.protocols.lwm2m.trees import value_of

ITEMS: list[Item] = [
    0,
    23,
    24,
    255,
    256,
    65536,
    2**64 - 1,
    -1,
    -25,
    -(2**64),
    True,
    False,
    None,
    20.5,
    20.123,
    "",
    "温度",
    b"",
    bytes(300),
    [],
    [1, [2, 3]],
    {},
    {0: "5850", -2: "/3306/0/", "vlo": "66:0"},
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: repr(item)[:40])
def test_item_is_read_by_an_independent_decoder_as_it_was(item: Item) -> None:
    assert cbor2.loads(encode_cbor(item)) == item


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: repr(item)[:40])
def test_item_of_an_independent_encoder_is_read_as_it_was(item: Item) -> None:
    assert decode_cbor(cbor2.dumps(item)) == item


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("F9 3C00", 1.0),
        ("5F 41 01 42 02 03 FF", b"\x01\x02\x03"),
        ("7F 61 61 61 62 FF", "ab"),
        ("9F 01 02 FF", [1, 2]),
        ("BF 00 01 FF", {0: 1}),
        ("C1 1A 57A3D700", 1470355200),
        ("D9 D9F7 01", 1),
    ],
    ids=["half float", "chunked bytes", "chunked text", "open array", "open map", "tagged time", "self-described"],
)
def test_other_spellings_are_read(payload: str, expected: Item) -> None:
    assert decode_cbor(bytes.fromhex(payload)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "01 01",
        "18",
        "1C",
        "1F",
        "62 61",
        "61 FF",
        "9B FFFFFFFFFFFFFFFF",
        "5B FFFFFFFFFFFFFFFF",
        "BB 7FFFFFFFFFFFFFFF",
        "5F 61 61 FF",
        "5F 5F FF FF",
        "9F 01",
        "A1 81 01 01",
        "A1 F5 01",
        "A2 00 01 00 02",
        "F8 20",
        "FF",
        "F9 7E00",
        "FA 7F800000",
        "FB 7FF0000000000000",
    ],
)
def test_malformed_item_is_refused(payload: str) -> None:
    with pytest.raises(DecodeError):
        decode_cbor(bytes.fromhex(payload))


def test_nesting_is_bound() -> None:
    deepest = b"\x81" * DEPTH_MAX + b"\x00"

    assert decode_cbor(deepest) == [[[[0]]]]
    for opening in (b"\x81", b"\x9f", b"\xa1\x00", b"\xbf\x00"):
        with pytest.raises(DecodeError):
            decode_cbor(opening * 100_000 + b"\x00")


def test_items_are_bound() -> None:
    with pytest.raises(DecodeError):
        decode_cbor(b"\x9f" + b"\x00" * (ITEMS_MAX + 1) + b"\xff")
    with pytest.raises(DecodeError):
        decode_cbor(b"\xc1" * (ITEMS_MAX + 1) + b"\x00")


@pytest.mark.parametrize("item", [2**64, -(2**64) - 1, float("nan"), float("inf"), "\ud800"], ids=repr)
def test_item_beyond_the_format_cannot_be_encoded(item: Item) -> None:
    with pytest.raises(EncodeError):
        encode_cbor(item)


@pytest.mark.parametrize(
    ("value_type", "content", "expected"),
    [
        ("integer", -5, "24"),
        ("float", 20.5, "FA 41A40000"),
        ("float", 22, "FA 41B00000"),
        ("boolean", True, "F5"),
        ("string", "Cel", "63 43656C"),
        ("opaque", "121A", "42 121A"),
        ("time", 1470355200, "1A 57A3D700"),
        ("objlnk", "66:0", "64 36363A30"),
    ],
)
def test_single_value_in_both_directions(value_type: str, content: object, expected: str) -> None:
    value = value_of(value_type, content)
    encoded = bytes.fromhex(expected)

    assert encode_cbor_value(value) == encoded
    assert decode_cbor_value(value.type, encoded) == value


def test_single_value_without_a_type_is_what_it_says() -> None:
    assert decode_cbor_value(None, b"\xf5") == ResourceValue(ValueType.BOOLEAN, True)
    assert decode_cbor_value(None, b"\x42\x12\x1a") == ResourceValue(ValueType.OPAQUE, b"\x12\x1a")


@pytest.mark.parametrize("payload", [b"\xf6", b"\x80", b"\xa0"], ids=["null", "array", "map"])
def test_single_value_must_be_one(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_cbor_value(None, payload)
