"""OMA-TLV: the vectors in both directions, and what a decoder must refuse."""

import pytest

from commandpost.domain.resource import ObjectValues, ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.tlv import decode_tlv, decode_value, encode_tlv, encode_value
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, model_of, path_of, tree_of, values_of

VECTORS = load_vectors("tlv")
MALFORMED = load_vectors("tlv_malformed")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_decodes(vector: Vector) -> None:
    path, values, model = tree_of(vector)

    assert decode_tlv(bytes.fromhex(vector["bytes"]), path=path, model=model) == values


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_encodes(vector: Vector) -> None:
    path, values, _ = tree_of(vector)
    wraps_instances = bool(vector.get("wraps")) or path.instance_id is None

    assert encode_tlv(values, wraps_instances=wraps_instances) == bytes.fromhex(vector["bytes"])


def test_long_value_has_two_length_bytes() -> None:
    """A 300-byte opaque value has the header F0 15 81 01 2C."""
    value = ResourceValue(ValueType.OPAQUE, bytes(300))
    values = values_of(3200, [("/3200/0/5505", value)])

    encoded = encode_tlv(values, wraps_instances=False)

    assert encoded[:5] == bytes.fromhex("F0 15 81 01 2C")
    assert decode_tlv(encoded, path=path_of("/3200/0"), model=model_of()) == values


@pytest.mark.parametrize("vector", MALFORMED, ids=lambda vector: str(vector["name"]))
def test_malformed_bytes_are_refused_where_they_go_wrong(vector: Vector) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_tlv(bytes.fromhex(vector["bytes"]), path=path_of(vector["path"]), model=model_of())

    assert caught.value.offset == vector["offset"]


def test_unknown_resource_stays_opaque() -> None:
    values = decode_tlv(bytes.fromhex("E2 16 DB 01 2C"), path=path_of("/40000/0"), model=model_of())

    assert values == values_of(40000, [("/40000/0/5851", ResourceValue(ValueType.OPAQUE, b"\x01\x2c"))])


def test_unwrapped_resources_of_an_object_are_instance_0() -> None:
    """A single-instance object may come without the entry of its instance."""
    values = decode_tlv(bytes.fromhex("C1 09 64"), path=path_of("/3"), model=model_of({"/3/0/9": ValueType.INTEGER}))

    assert values == values_of(3, [("/3/0/9", ResourceValue(ValueType.INTEGER, 100))])


@pytest.mark.parametrize("payload", ["E4 16 44 41 A4 00 00", "07 00 E4 16 44 41 A4 00 00"], ids=["bare", "wrapped"])
def test_resource_read_may_come_as_one_entry(payload: str) -> None:
    values = decode_tlv(
        bytes.fromhex(payload), path=path_of("/3303/0/5700"), model=model_of({"/3303/0/5700": ValueType.FLOAT})
    )

    assert values == values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5))])


def test_resource_instance_read_may_come_bare() -> None:
    values = decode_tlv(
        bytes.fromhex("41 01 05"), path=path_of("/3/0/6"), model=model_of({"/3/0/6": ValueType.INTEGER})
    )

    assert values == values_of(3, [("/3/0/6/1", ResourceValue(ValueType.INTEGER, 5))])


def test_empty_payload_is_an_empty_instance() -> None:
    values = decode_tlv(b"", path=path_of("/3303/0"), model=model_of())

    assert [instance.id for instance in values.instances] == [0]
    assert not list(values.leaves())


def test_empty_payload_is_an_object_without_instances() -> None:
    assert decode_tlv(b"", path=path_of("/3303"), model=model_of()) == ObjectValues(3303, ())


def test_multiple_resource_without_instances_is_kept() -> None:
    values = decode_tlv(bytes.fromhex("80 06"), path=path_of("/3/0"), model=model_of())

    assert values.instances[0].resources[0].value == ()


def test_resource_that_comes_twice_has_its_later_value() -> None:
    values = decode_tlv(
        bytes.fromhex("C1 09 01 C1 09 02"), path=path_of("/3/0"), model=model_of({"/3/0/9": ValueType.INTEGER})
    )

    assert values == values_of(3, [("/3/0/9", ResourceValue(ValueType.INTEGER, 2))])


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_integers_of_any_width_are_read(width: int) -> None:
    assert decode_value(ValueType.INTEGER, (-5).to_bytes(width, "big", signed=True)).value == -5
    assert decode_value(ValueType.UNSIGNED, (250).to_bytes(width, "big")).value == 250
    assert decode_value(ValueType.TIME, (100).to_bytes(width, "big")).value == 100


@pytest.mark.parametrize("value_type", [ValueType.INTEGER, ValueType.UNSIGNED, ValueType.TIME])
def test_integer_of_no_bytes_is_0(value_type: ValueType) -> None:
    assert decode_value(value_type, b"") == ResourceValue(value_type, 0)


@pytest.mark.parametrize(
    ("value_type", "raw"),
    [
        (ValueType.INTEGER, "010203"),
        (ValueType.INTEGER, "010203040506070809"),
        (ValueType.TIME, "0102030405"),
        (ValueType.FLOAT, ""),
        (ValueType.FLOAT, "0102"),
        (ValueType.FLOAT, "0102030405060708 09"),
        (ValueType.FLOAT, "7FC00000"),
        (ValueType.FLOAT, "7F800000"),
        (ValueType.FLOAT, "FFF0000000000000"),
        (ValueType.BOOLEAN, ""),
        (ValueType.BOOLEAN, "02"),
        (ValueType.BOOLEAN, "0001"),
        (ValueType.OBJLNK, "0042"),
        (ValueType.OBJLNK, "0042000000"),
    ],
)
def test_value_of_another_form_is_refused(value_type: ValueType, raw: str) -> None:
    with pytest.raises(DecodeError):
        decode_value(value_type, bytes.fromhex(raw))


def test_string_loses_its_closing_nuls() -> None:
    assert decode_value(ValueType.STRING, b"Cel\0\0").value == "Cel"


def test_string_that_is_no_utf8_stays_opaque() -> None:
    assert decode_value(ValueType.STRING, b"\xb0C") == ResourceValue(ValueType.OPAQUE, b"\xb0C")


@pytest.mark.parametrize(
    "value",
    [
        ResourceValue(ValueType.INTEGER, 2**63),
        ResourceValue(ValueType.UNSIGNED, -1),
        ResourceValue(ValueType.TIME, 1.5),
        ResourceValue(ValueType.FLOAT, float("nan")),
        ResourceValue(ValueType.FLOAT, float("inf")),
        ResourceValue(ValueType.FLOAT, 10**400),
        ResourceValue(ValueType.INTEGER, True),
        ResourceValue(ValueType.BOOLEAN, 1),
        ResourceValue(ValueType.STRING, b"Cel"),
        ResourceValue(ValueType.STRING, "\ud800"),
        ResourceValue(ValueType.OPAQUE, "Cel"),
        ResourceValue(ValueType.OBJLNK, "66:0"),
    ],
    ids=repr,
)
def test_value_outside_its_type_cannot_be_encoded(value: ResourceValue) -> None:
    with pytest.raises(EncodeError):
        encode_value(value)


def test_two_instances_need_their_entries() -> None:
    value = ResourceValue(ValueType.INTEGER, 1)
    values = values_of(3303, [("/3303/0/1", value), ("/3303/1/1", value)])

    with pytest.raises(EncodeError):
        encode_tlv(values, wraps_instances=False)
