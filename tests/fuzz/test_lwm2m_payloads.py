"""Any bytes in any format give values or `DecodeError`, nothing else, in bounded time."""

import json
from collections.abc import Callable
from random import Random

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.operation import Discover, Observe, Read
from commandpost.domain.resource import ObjectValues, ResourcePath, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.formats import PAYLOAD_BYTES_MAX, decode_values
from commandpost.protocols.lwm2m.operations import decode_answer
from commandpost.protocols.lwm2m.registration import parse_registration
from commandpost.protocols.lwm2m.served_requests import parse_request
from commandpost.stores.model_files import ModelFileError, parse_model_json, parse_oma_xml

FORMATS = [None, 0, 42, 60, 110, 112, 11542, 11543, 1541, 1542, 1543, 1544]
PATHS = [
    ResourcePath(object_id=3303),
    ResourcePath(object_id=3303, instance_id=0),
    *[ResourcePath(object_id=3303, instance_id=0, resource_id=number) for number in range(10)],
    ResourcePath(object_id=3303, instance_id=0, resource_id=1, resource_instance_id=0),
]
# Resources 0 to 8 have one type each; 9 and above are unknown.
MODEL = ObjectModel(
    [
        ObjectDefinition(
            id=3303,
            name="",
            version="1.0",
            is_multiple=True,
            resources={
                number: ResourceDefinition(id=number, name="", operations="RW", type=value_type)
                for number, value_type in enumerate(ValueType)
            },
        )
    ]
)


def decode_or_refuse(content_format: int | None, payload: bytes, path: ResourcePath) -> ObjectValues | None:
    try:
        values = decode_values(content_format, payload, path=path, model=MODEL)
    except DecodeError as error:
        assert error.offset >= 0
        return None
    assert values.object_id == path.object_id
    assert all(path.covers(leaf) for leaf, _ in values.leaves())
    return values


@given(content_format=st.sampled_from(FORMATS), payload=st.binary(max_size=200), path=st.sampled_from(PATHS))
def test_any_bytes(content_format: int | None, payload: bytes, path: ResourcePath) -> None:
    decode_or_refuse(content_format, payload, path)


TLV_ENTRIES = st.builds(
    lambda head, number, value: bytes((head & 0xC0 | len(value), number)) + value,
    st.integers(0, 255),
    st.integers(0, 10),
    st.binary(max_size=7),
)


@given(entries=st.lists(TLV_ENTRIES, max_size=8), path=st.sampled_from(PATHS))
def test_entries_that_look_like_tlv(entries: list[bytes], path: ResourcePath) -> None:
    decode_or_refuse(11542, b"".join(entries), path)


LABELS = ["bn", "n", "bt", "t", "bv", "v", "vs", "vb", "vd", "vlo", "u", "e", "sv", "ov", "x_"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(["/3303/0/", "/3303/0/1", "5", "/3303", "66:0", "Eho"]),
)
RECORDS = st.dictionaries(st.sampled_from(LABELS), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=5)
DOCUMENTS = st.one_of(st.lists(RECORDS, max_size=4), RECORDS, SCALARS, st.builds(lambda e: {"e": e}, st.lists(RECORDS)))


@given(document=DOCUMENTS, content_format=st.sampled_from([110, 11543]), path=st.sampled_from(PATHS))
def test_documents_that_look_like_json(document: object, content_format: int, path: ResourcePath) -> None:
    decode_or_refuse(content_format, json.dumps(document).encode(), path)


CBOR_KEYS = st.one_of(st.integers(-6, 9), st.sampled_from(LABELS), st.booleans(), st.binary(max_size=2))
CBOR_RECORDS = st.dictionaries(CBOR_KEYS, st.one_of(SCALARS, st.binary(max_size=4)), max_size=5)


@given(records=st.lists(CBOR_RECORDS, max_size=4), path=st.sampled_from(PATHS))
def test_documents_that_look_like_cbor(records: list[object], path: ResourcePath) -> None:
    decode_or_refuse(112, cbor2.dumps(records), path)


HOSTILE: list[tuple[str, Callable[[int], bytes]]] = [
    ("open arrays", lambda size: b"[" * size),
    ("open objects", lambda size: b'{"e":' * (size // 5)),
    ("long number", lambda size: b'[{"n":"/3303/0/1","v":' + b"9" * (size - 30) + b"}]"),
    ("long exponent", lambda size: b'[{"n":"/3303/0/1","v":1e' + b"9" * (size - 30) + b"}]"),
    ("long name", lambda size: b'[{"n":"' + b"/1" * (size // 2 - 10) + b'","v":1}]'),
    ("many records", lambda size: b"[" + b",".join([b'{"n":"/3303/0/1","v":1}'] * (size // 24 - 1)) + b"]"),
    ("cbor arrays", lambda size: b"\x81" * size),
    ("cbor open arrays", lambda size: b"\x9f" * size),
    ("cbor tags", lambda size: b"\xc1" * size),
    ("cbor chunks", lambda size: b"\x5f" + b"\x40" * (size - 2) + b"\xff"),
    ("cbor zeros", lambda size: b"\x9f" + b"\x00" * (size - 2) + b"\xff"),
    ("tlv of nothing", lambda size: b"\xc0\x01" * (size // 2)),
    ("tlv instances", lambda size: b"\x00\x00" * (size // 2)),
    ("tlv one long value", lambda size: b"\xd8\x09" + (size - 5).to_bytes(3, "big") + bytes(size - 5)),
    ("digits", lambda size: b"9" * size),
    ("links", lambda size: b"<a>," * (size // 4)),
    ("open link", lambda size: b"<" * size),
    ("semicolons", lambda size: b"<a>" + b";" * (size - 3)),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "build"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_largest_hostile_payload_takes_bounded_time(name: str, build: Callable[[int], bytes]) -> None:
    """As large as an answer may be, in every format and for every kind of path."""
    payload = build(PAYLOAD_BYTES_MAX)
    assert len(payload) <= PAYLOAD_BYTES_MAX, name

    for content_format in FORMATS:
        for path in (PATHS[0], PATHS[1], PATHS[3]):
            decode_or_refuse(content_format, payload, path)


@pytest.mark.parametrize("seed", range(200))
def test_changed_bytes_of_a_good_payload(seed: int) -> None:
    random = Random(seed)
    good = bytearray(bytes.fromhex("08 00 0D E4 16 44 41 A4 00 00 E3 16 45 43 65 6C 86 06 41 00 01 41 01 05"))
    for _ in range(random.randint(1, 4)):
        good[random.randrange(len(good))] = random.randrange(256)

    for path in PATHS:
        decode_or_refuse(11542, bytes(good[: random.randint(0, len(good))]), path)


OPERATIONS = st.one_of(
    st.builds(Read, path=st.sampled_from(PATHS)),
    st.builds(Observe, path=st.sampled_from(PATHS)),
    st.builds(Discover, path=st.sampled_from(PATHS[:3])),
)


@given(
    operation=OPERATIONS,
    code=st.sampled_from([0x44, 0x45, 0x84, 0xA0]),
    content_format=st.one_of(st.sampled_from([*FORMATS, 40]), st.integers(0, 65535)),
    payload=st.one_of(st.binary(max_size=60), st.text('</>,;="0123 lwm2m.', max_size=60).map(str.encode)),
)
def test_any_answer_is_a_result_or_refused(
    operation: Read | Observe | Discover, code: int, content_format: int | None, payload: bytes
) -> None:
    try:
        result = decode_answer(operation, code=code, content_format=content_format, payload=payload, model=MODEL)
    except DecodeError:
        assert code in (0x44, 0x45)
        return
    assert result is None or code in (0x44, 0x45)


OPTIONS = st.lists(
    st.tuples(
        st.sampled_from([Option.URI_PATH, Option.URI_QUERY, Option.CONTENT_FORMAT, Option.ACCEPT, Option.OBSERVE, 63]),
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from([b"rd", b"3303", b"0", b"ep=a", b"lt=5", b"b=U", b"Q", b"pmin=1", b"gt=1e3", b"st="]),
        ),
    ),
    max_size=8,
)
PAYLOADS = st.one_of(st.binary(max_size=60), st.text('</>,;="0123 lwm2m.', max_size=60).map(str.encode))


@given(code=st.sampled_from([Code.GET, Code.POST, Code.PUT, Code.DELETE, 0x1F]), options=OPTIONS, payload=PAYLOADS)
def test_any_request_to_the_registration_interface_is_answered(
    code: int, options: list[tuple[int, bytes]], payload: bytes
) -> None:
    path = (int(Option.URI_PATH), b"rd")
    message = CoapMessage(type=MessageType.CON, code=code, message_id=1, options=(path, *options), payload=payload)

    result = parse_registration(message)

    assert result is not None
    assert getattr(result, "code", Code.BAD_REQUEST) in (Code.BAD_REQUEST, Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED)


@given(code=st.sampled_from([Code.GET, Code.POST, Code.PUT, Code.DELETE]), options=OPTIONS, payload=PAYLOADS)
def test_any_request_to_a_device_is_parsed_or_refused(
    code: int, options: list[tuple[int, bytes]], payload: bytes
) -> None:
    message = CoapMessage(type=MessageType.CON, code=code, message_id=1, options=tuple(options), payload=payload)

    assert parse_request(message, model=MODEL) is not None


@given(content=st.one_of(st.binary(max_size=200), st.text('<>/="LWM2MObject ', max_size=80).map(str.encode)))
def test_any_definition_file_is_read_or_refused(content: bytes) -> None:
    for parse in (parse_model_json, parse_oma_xml):
        try:
            definitions = parse(content, file="any")
        except ModelFileError:
            continue
        assert all(0 <= definition.id <= 65535 for definition in definitions)
