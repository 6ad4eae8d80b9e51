"""SenML in JSON and CBOR: the vectors in both directions, base fields, and what must be refused."""

import json

import cbor2
import pytest

from commandpost.domain.resource import ObjectValues, ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.senml_cbor import decode_senml_cbor, encode_senml_cbor
from commandpost.protocols.lwm2m.senml_json import decode_senml_json, encode_senml_json
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, model_of, path_of, tree_of, values_of

VECTORS = load_vectors("senml")
TEMPERATURE = model_of({"/3303/0/5700": ValueType.FLOAT, "/3303/0/5701": ValueType.STRING})


def decode(pack: object, path: str = "/3303/0") -> ObjectValues:
    return decode_senml_json(json.dumps(pack).encode(), path=path_of(path), model=TEMPERATURE)


def temperature(degrees: float, path: str = "/3303/0/5700") -> ObjectValues:
    return values_of(3303, [(path, ResourceValue(ValueType.FLOAT, degrees))])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_json_vector_decodes(vector: Vector) -> None:
    path, values, model = tree_of(vector)

    assert decode_senml_json(vector["json"].encode(), path=path, model=model) == values


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_json_vector_encodes(vector: Vector) -> None:
    path, values, _ = tree_of(vector)

    assert encode_senml_json(values, path=path).decode() == vector["json"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_cbor_vector_decodes(vector: Vector) -> None:
    path, values, model = tree_of(vector)

    assert decode_senml_cbor(bytes.fromhex(vector["cbor"]), path=path, model=model) == values


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_cbor_vector_encodes(vector: Vector) -> None:
    path, values, _ = tree_of(vector)

    assert encode_senml_cbor(values, path=path) == bytes.fromhex(vector["cbor"])


@pytest.mark.parametrize(
    "pack",
    [
        [{"n": "/3303/0/5700", "v": 20.5}],
        [{"bn": "/3303/0/5700", "v": 20.5}],
        [{"bn": "/3303/0", "n": "/5700", "v": 20.5}],
        [{"n": "5700", "v": 20.5}],
        [{"bn": "/3303/"}, {"n": "0/5700", "v": 20.5, "u": "Cel"}],
        [{"bn": "/3303/0/", "bv": 20, "n": "5700", "v": 0.5}],
        [{"bn": "/1/0/", "n": "9", "bver": 10}, {"bn": "/3303/0/", "n": "5700", "v": 20.5}],
    ],
    ids=["full name", "base only", "slash in the name", "relative", "base record", "base value", "base replaced"],
)
def test_names_and_base_fields_are_resolved(pack: object) -> None:
    assert decode(pack) == temperature(20.5)


def test_latest_of_several_times_stands() -> None:
    """A device that was asleep sends its history in one pack, in any order."""
    pack = [
        {"bn": "/3303/0/5700", "bt": 1000, "v": 1.0, "t": -20},
        {"v": 3.0},
        {"v": 2.0, "t": -10},
    ]

    assert decode(pack) == temperature(3.0)


def test_whole_number_of_a_float_resource_is_a_float() -> None:
    assert decode([{"n": "/3303/0/5700", "v": 22}]) == temperature(22.0)


def test_value_that_does_not_fit_the_model_keeps_its_own_type() -> None:
    values = decode([{"n": "/3303/0/5700", "vs": "broken"}])

    assert values == values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.STRING, "broken"))])


@pytest.mark.parametrize("text", ["-_8", "+/8=", "-_8=", "+/8"])
def test_base64_of_either_alphabet_is_read(text: str) -> None:
    values = decode([{"n": "/3303/0/1", "vd": text}])

    assert values == values_of(3303, [("/3303/0/1", ResourceValue(ValueType.OPAQUE, b"\xfb\xff"))])


@pytest.mark.parametrize(
    "pack",
    [
        {},
        [1],
        [{"n": "/3303/0/5700", "v": 1, "vs": "1"}],
        [{"n": "/3303/0/5700", "v": True}],
        [{"n": "/3303/0/5700", "v": "1"}],
        [{"n": "/3303/0/5700", "v": None}],
        [{"n": "/3303/0/5700", "v": [1]}],
        [{"n": "/3303/0/5700", "vs": 1}],
        [{"n": "/3303/0/5700", "vb": 1}],
        [{"n": "/3303/0/5700", "vd": "!"}],
        [{"n": "/3303/0/5700", "vd": "A"}],
        [{"n": "/3303/0/5700", "vd": 1}],
        [{"n": "/3303/0/5700", "vlo": "66"}],
        [{"n": "/3303/0/5700", "vlo": 66}],
        [{"n": 5700, "v": 1}],
        [{"n": "/3303/0/5700", "v": 1, "t": "now"}],
        [{"n": "/3303/0/5700", "v": 1, "mustknow_": 1}],
        [{"n": "/3303/0/5700", "v": 1, "bver": 11}],
        [{"n": "/3303/0/5700", "v": 1, "bver": "10"}],
        [{"n": "/3303/0", "v": 1}],
        [{"n": "/3303/0/5700/0/0", "v": 1}],
        [{"n": "/3303/0/65536", "v": 1}],
        [{"n": "/3303/0/x", "v": 1}],
        [{"n": "/3303/1/5700", "v": 1}],
        [{"n": "/3304/0/5700", "v": 1}],
        [{"n": "/" * 100, "v": 1}],
        [{"n": "/3303/0/5700", "v": 1}, {"n": "/3303/0/5700/1", "v": 1}],
        [{"n": "/3303/0/9", "v": 2**63}],
        [{"n": "/3303/0/5700", "v": 1, "bt": 10**399, "t": 0.5}],
        [{"n": "/3303/0/5700", "v": 0.5, "bv": 10**399}],
        [{"n": "/3303/0/5700", "v": 1.7e308, "bv": 1.7e308}],
    ],
    ids=lambda pack: repr(pack)[:60],
)
def test_malformed_pack_is_refused(pack: object) -> None:
    with pytest.raises(DecodeError):
        decode(pack)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[",
        b"\xff",
        b'[{"n":"/3303/0/5700","v":NaN}]',
        b'[{"n":"/3303/0/5700","v":-Infinity}]',
        b'[{"n":"/3303/0/5700","v":1e999}]',
        b'[{"n":"/3303/0/5700","v":' + b"9" * 60_000 + b"}]",
        b'[{"n":"/3303/0/5700","v":1' + b"0" * 390 + b"}]",
        b"[" * 60_000,
        b'{"a":' * 12_000,
    ],
    ids=["empty", "open", "no text", "nan", "infinity", "1e999", "digits", "beyond a double", "deep", "deep objects"],
)
def test_text_that_is_no_json_to_rely_on_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_senml_json(payload, path=path_of("/3303/0"), model=TEMPERATURE)


@pytest.mark.parametrize(
    "pack",
    [
        {0: "/3303/0/5700", 2: 1},
        [1],
        [{0: "/3303/0/5700", 2: None}],
        [{0: "/3303/0/5700", 2: [1]}],
        [{0: "/3303/0/5700", 8: "EhoA"}],
        [{0: "/3303/0/5700", 2: 1, "v": 1}],
        [{0: "/3303/0/5700", 2: 1, "mustknow_": 1}],
    ],
    ids=repr,
)
def test_malformed_cbor_pack_is_refused(pack: object) -> None:
    with pytest.raises(DecodeError):
        decode_senml_cbor(cbor2.dumps(pack), path=path_of("/3303/0"), model=TEMPERATURE)


def test_unknown_cbor_label_is_passed_over() -> None:
    payload = cbor2.dumps([{0: "/3303/0/5700", 2: 20.5, 1: "Cel", 99: 1, "x": 2}])

    assert decode_senml_cbor(payload, path=path_of("/3303/0"), model=TEMPERATURE) == temperature(20.5)


def test_empty_pack_is_an_empty_instance() -> None:
    values = decode([])

    assert [instance.id for instance in values.instances] == [0]


def test_value_outside_the_path_cannot_be_encoded() -> None:
    with pytest.raises(EncodeError):
        encode_senml_json(temperature(1.0, "/3303/1/5700"), path=path_of("/3303/0"))
