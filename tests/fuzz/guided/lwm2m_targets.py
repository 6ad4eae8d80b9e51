"""Targets of LwM2M: each payload format by itself, reports, and the requests of devices and of servers."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import cbor2

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.operation import Discover
from commandpost.domain.resource import ObjectValues, ResourcePath, ValueType
from commandpost.protocols.coap.codec import decode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.bootstrap import parse_bootstrap
from commandpost.protocols.lwm2m.formats import decode_values
from commandpost.protocols.lwm2m.operations import decode_answer
from commandpost.protocols.lwm2m.registration import parse_registration
from commandpost.protocols.lwm2m.reports import decode_notification, decode_send, find_send
from commandpost.protocols.lwm2m.served_requests import parse_request
from tests.fuzz.guided.coap_targets import message
from tests.fuzz.guided.target import MANY_DIGITS, Target, stateless

OBJECT_ID: Final = 3303
PATHS: Final = (
    ResourcePath(object_id=OBJECT_ID),
    ResourcePath(object_id=OBJECT_ID, instance_id=0),
    *(ResourcePath(object_id=OBJECT_ID, instance_id=0, resource_id=number) for number in range(10)),
    ResourcePath(object_id=OBJECT_ID, instance_id=0, resource_id=1, resource_instance_id=0),
)
# Resources 0 to 8 have one type each; 9 and above are unknown.
MODEL: Final = ObjectModel(
    [
        ObjectDefinition(
            id=OBJECT_ID,
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
_REPORT_FORMATS: Final = (110, 112, 11543, 11542, None)
_RECORDS: Final = (
    [{"bn": "/3303/0/", "bt": 1.7e9, "n": "1", "v": 22.5}, {"n": "0", "vs": "a", "t": -1}, {"n": "4", "vb": True}],
    [{"n": "/3303/0/6", "vlo": "66:0"}, {"n": "/3303/0/5", "vd": "AQI"}, {"n": "/3303/0/1/2", "v": -1}],
)
_JSON_WORDS: Final = (
    MANY_DIGITS,
    *(f'"{label}":'.encode() for label in ("bn", "n", "bt", "t", "bv", "v", "vs", "vb", "vd", "vlo", "e", "sv", "ov")),
    *(b'"/3303/0/1"', b'"66:0"', b"true", b"1e308", b"-0.5", b"null", b"},{", b"[", b"]", b"\\u0041", b"NaN"),
)
_CBOR_LABELS: Final = (b"\x21", b"\x22", b"\x25", b"\x00", b"\x02", b"\x03", b"\x04", b"\x06", b"\x08", b"cvlo")
_CBOR_HEADS: Final = (
    b"\x9f",
    b"\xff",
    b"\xbf",
    b"\xf9\x7c\x00",
    b"\xfb",
    b"\xc4\x82",
    b"\x1b",
    b"\x5f",
    b"\x7f",
    b"\xf5",
)
_TLV: Final = bytes.fromhex("08 00 0D E4 16 44 41 A4 00 00 E3 16 45 43 65 6C 86 06 41 00 01 41 01 05")
_TEXTS: Final = (b"22.5", b"-1", b"true", b"1", b"66:0", b"AQI=", b"1e5", b"", b"18446744073709551615")


def _payload(content_format: int | None) -> Callable[[bytes], None]:
    # The first byte chooses the path, and so the type of a bare value.
    def parse(data: bytes) -> None:
        path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
        try:
            values = decode_values(content_format, data[1:], path=path, model=MODEL)
        except DecodeError as error:
            assert error.offset >= 0
            return
        _check(values, path)

    return parse


def _check(values: ObjectValues, path: ResourcePath) -> None:
    assert values.object_id == path.object_id
    assert all(path.covers(leaf) for leaf, _ in values.leaves())


def _report(data: bytes) -> None:
    path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
    content_format = _REPORT_FORMATS[data[1] % len(_REPORT_FORMATS)] if len(data) > 1 else None
    with suppress(DecodeError):
        for report in decode_notification(content_format, data[2:], path=path, model=MODEL):
            _check(report.values, path)
    with suppress(DecodeError):
        decode_send(content_format, data[2:], model=MODEL)


def _discovery(data: bytes) -> None:
    path = PATHS[data[0] % 3] if data else PATHS[0]
    with suppress(DecodeError):
        decode_answer(Discover(path=path), code=Code.CONTENT, content_format=40, payload=data[1:], model=MODEL)


def _request(read: Callable[[CoapMessage], object]) -> Callable[[bytes], None]:
    # Every one of these gives a refusal as a record: nothing may be raised.
    def parse(data: bytes) -> None:
        try:
            request = decode(data)
        except DecodeError:
            return
        if Code.GET <= request.code < 0x20:
            read(request)

    return parse


def _seeded(payloads: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(bytes((number,)) + payload for payload in payloads for number in (0, 1, 3, 4))


def _format_target(name: str, content_format: int, payloads: tuple[bytes, ...], *modules: str) -> Target:
    words: tuple[bytes, ...] = (b"\xc8\x01", b"\x86\x06", *_TEXTS, MANY_DIGITS)
    if "json" in name:
        words = _JSON_WORDS
    elif "cbor" in name:
        words = (*_CBOR_LABELS, *_CBOR_HEADS)
    return Target(
        name=name,
        prepare=stateless(_payload(content_format)),
        seeds=_seeded(payloads),
        words=words,
        modules=tuple(f"lwm2m/{module}.py" for module in modules),
    )


def _path_options(*segments: str) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(Option.URI_PATH), segment.encode()) for segment in segments)


def _query_options(*queries: str) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(Option.URI_QUERY), query.encode()) for query in queries)


_REGISTER: Final = message(
    Code.POST,
    *_path_options("rd"),
    *_query_options("ep=a;b", "lt=60", "b=UQ", "lwm2m=1.1", "sms=1"),
    (Option.CONTENT_FORMAT, b"\x28"),
    (Option.ONENET_AUTH_CODE, b"auth"),
    payload=b'</>;rt="oma.lwm2m";ct=11543,</1/0>,</3303/0>;ver="1.1"',
)
_REQUESTS: Final = (
    _REGISTER,
    message(Code.POST, *_path_options("rd", "abc"), *_query_options("lt=5"), payload=b"</3>"),
    message(Code.DELETE, *_path_options("rd", "abc")),
    message(Code.POST, *_path_options("bs"), *_query_options("ep=a", "pct=110")),
    message(Code.POST, *_path_options("dp"), (Option.CONTENT_FORMAT, b"\x6e"), payload=b"[]"),
    message(Code.GET, *_path_options("3303", "0", "1"), (Option.OBSERVE, b""), (Option.ACCEPT, b"\x6e")),
    message(Code.PUT, *_path_options("3303", "0", "1"), *_query_options("pmin=1", "gt=1e3", "st=0.5")),
    message(Code.PUT, *_path_options("3303", "0", "0"), (Option.CONTENT_FORMAT, b""), payload=b"text"),
    message(Code.POST, *_path_options("3303", "0", "1"), payload=b"0='a'"),
)
_REQUEST_WORDS: Final = (
    *(b"\xb2rd", b"\xb2bs", b"lt=", b"b=U", b"ep=", b"lwm2m=1.0", b"</", b">;", b"pct=112", b"pmax=9"),
    *(b"</>;ct=" + MANY_DIGITS, MANY_DIGITS),
)

TARGETS: Final = (
    _format_target("lwm2m_tlv", 11542, (_TLV, b"\xc1\x01\x05", b"\xc8\x00\x08abcdefgh"), "tlv", "node"),
    _format_target(
        "lwm2m_senml_json",
        110,
        tuple(json.dumps(pack).encode() for pack in _RECORDS),
        "senml_json",
        "senml",
        "json_text",
    ),
    _format_target(
        "lwm2m_senml_cbor",
        112,
        tuple(
            cbor2.dumps(pack)
            for pack in (
                [{-2: "/3303/0/", -3: 1.7e9, 0: "1", 2: 22.5}, {0: "0", 3: "a", 6: -1}, {0: "4", 4: True}],
                [{0: "/3303/0/6", "vlo": "66:0"}, {0: "/3303/0/5", 8: b"\1\2"}, {0: "/3303/0/1/2", 2: -1}],
            )
        ),
        "senml_cbor",
        "senml",
        "cbor",
    ),
    _format_target(
        "lwm2m_json",
        11543,
        (b'{"bn":"/3303/0/","e":[{"n":"1","v":22.5},{"n":"0","sv":"a"}]}',),
        "lwm2m_json",
        "json_text",
    ),
    _format_target(
        "lwm2m_cbor_value", 60, (b"\x01", b"\xf5", b"\xf9\x3c\x00", b"\x61a", b"\x42ab"), "cbor_value", "cbor"
    ),
    _format_target("lwm2m_text", 0, _TEXTS, "plain_text"),
    _format_target("lwm2m_opaque", 42, (b"\1\2\3",), "opaque", "formats"),
    Target(
        name="lwm2m_reports",
        prepare=stateless(_report),
        seeds=tuple(
            bytes((path, kind)) + payload
            for path in (0, 1, 4)
            for kind, payload in enumerate(
                (
                    json.dumps(_RECORDS[0]).encode(),
                    cbor2.dumps([{-2: "/3303/0/", 0: "1", 2: 1, 6: 5}]),
                    b'{"e":[]}',
                    _TLV,
                )
            )
        ),
        words=(*_JSON_WORDS, *_CBOR_LABELS),
        modules=("lwm2m/reports.py", "lwm2m/senml.py", "lwm2m/names.py"),
    ),
    Target(
        name="lwm2m_discovery",
        prepare=stateless(_discovery),
        seeds=_seeded((b'</3303>;ver=1.1,</3303/0>;pmin=5,</3303/0/1>;dim=2;pmax="9"',)),
        words=(b"</3303/0/1>", b";pmin=", b";gt=1e3", b",", b";dim=", b";ver=", b"</lwm2m", MANY_DIGITS),
        modules=("lwm2m/discovery.py", "lwm2m/operations.py"),
    ),
    *(
        Target(
            name=name,
            prepare=stateless(_request(read)),
            seeds=_REQUESTS,
            words=_REQUEST_WORDS,
            modules=(f"lwm2m/{module}.py",),
        )
        for name, module, read in (
            ("lwm2m_registration", "registration", parse_registration),
            ("lwm2m_bootstrap", "bootstrap", parse_bootstrap),
            ("lwm2m_send", "reports", find_send),
            ("lwm2m_served_requests", "served_requests", lambda request: parse_request(request, model=MODEL)),
        )
    ),
)
