"""The JSON of LwM2M 1.0: the vectors in both directions, and what must be refused."""

import json

import pytest

from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.lwm2m_json import decode_lwm2m_json, encode_lwm2m_json
from tests.unit.protocols.lwm2m.trees import Vector, load_vectors, model_of, path_of, tree_of, values_of

VECTORS = load_vectors("lwm2m_json")
TEMPERATURE = model_of({"/3303/0/5700": ValueType.FLOAT, "/3303/0/1": ValueType.OPAQUE})


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_decodes(vector: Vector) -> None:
    path, values, model = tree_of(vector)

    assert decode_lwm2m_json(vector["json"].encode(), path=path, model=model) == values


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector_encodes(vector: Vector) -> None:
    path, values, _ = tree_of(vector)

    assert encode_lwm2m_json(values, path=path).decode() == vector["json"]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/3303/0", {"e": [{"n": "5700", "v": 20.5}]}),
        ("/3303/0/5700", {"bn": "/3303/0/5700", "e": [{"v": 20.5}]}),
        ("/3303/0/5700", {"e": [{"n": "", "v": 20.5}]}),
        ("/3303", {"bn": "/3303/", "bt": 1000, "e": [{"n": "0/5700", "v": 20.5, "t": -5}]}),
        ("/3303/0", {"bn": "/3303/0/", "e": [{"n": "5700", "v": 20.5}, {"n": "5700", "v": 1, "t": -60}]}),
    ],
    ids=["relative", "base only", "empty name", "object", "history"],
)
def test_names_and_times_are_resolved(path: str, document: object) -> None:
    values = decode_lwm2m_json(json.dumps(document).encode(), path=path_of(path), model=TEMPERATURE)

    assert values == values_of(3303, [("/3303/0/5700", ResourceValue(ValueType.FLOAT, 20.5))])


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"bn": 1, "e": []},
        {"e": {}},
        {"e": [1]},
        {"e": [{"n": "5700"}]},
        {"e": [{"n": "5700", "v": 1, "bv": True}]},
        {"e": [{"n": "5700", "v": True}]},
        {"e": [{"n": "5700", "v": None}]},
        {"e": [{"n": "5700", "bv": 1}]},
        {"e": [{"n": "5700", "sv": 1}]},
        {"e": [{"n": "5700", "ov": "66"}]},
        {"e": [{"n": "5700", "v": 1, "t": "now"}]},
        {"e": [{"n": 5700, "v": 1}]},
        {"e": [{"n": "1", "sv": "no base64!"}]},
        {"e": [{"n": "/3303/1/5700", "v": 1}]},
        {"e": [{"n": "", "v": 1}]},
        {"bn": "/" * 100, "e": [{"n": "5700", "v": 1}]},
    ],
    ids=repr,
)
def test_malformed_document_is_refused(document: object) -> None:
    with pytest.raises(DecodeError):
        decode_lwm2m_json(json.dumps(document).encode(), path=path_of("/3303/0"), model=TEMPERATURE)


def test_value_outside_the_path_cannot_be_encoded() -> None:
    values = values_of(3303, [("/3303/1/5700", ResourceValue(ValueType.FLOAT, 1.0))])

    with pytest.raises(EncodeError):
        encode_lwm2m_json(values, path=path_of("/3303/0"))
