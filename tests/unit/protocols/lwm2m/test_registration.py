"""Register, Update, De-register: the frames of the reference and every leniency real devices need."""

import pytest

from commandpost.domain.resource import ObjectLinkEntry
from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.errors import EncodeError
from commandpost.protocols.lwm2m.registration import (
    OBJECT_LINKS_MAX,
    DeregisterRequest,
    RegisterRequest,
    Rejected,
    UpdateRequest,
    format_deregister,
    format_register,
    format_update,
    parse_registration,
    split_endpoint_name,
)

EP = "865820031234567;460040427001234"
FRAME = bytes.fromhex(
    "44 02 12 34 34 12 8F 1A B2 72 64 11 28"
    "3D 15 65 70 3D 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37 3B 34 36 30 30 34 30 34 32 37 30 30 31 32 33 34"
    "03 62 3D 55 06 6C 74 3D 33 30 30 D6 23 61 62 63 31 32 33 FF"
    "3C 2F 3E 3B 72 74 3D 22 6F 6D 61 2E 6C 77 6D 32 6D 22 2C 3C 2F 33 32 30 30 2F 30 3E"
)
LINKS = b'</>;rt="oma.lwm2m",</3303/0>'


def message(
    *queries: str,
    path: str = "rd",
    code: int = Code.POST,
    payload: bytes = LINKS,
    content_format: bytes | None = None,
    auth_codes: tuple[bytes, ...] = (),
    token: bytes = b"",
) -> CoapMessage:
    options: list[tuple[int, bytes]] = [(Option.URI_PATH, segment.encode()) for segment in path.split("/")]
    if content_format is not None:
        options.append((Option.CONTENT_FORMAT, content_format))
    options.extend((Option.URI_QUERY, query.encode("utf-8", "surrogateescape")) for query in queries)
    options.extend((Option.ONENET_AUTH_CODE, code) for code in auth_codes)
    return CoapMessage(
        type=MessageType.CON, code=code, message_id=1, token=token, options=tuple(options), payload=payload
    )


def sent(request: Request) -> CoapMessage:
    return CoapMessage(
        type=MessageType.CON,
        code=request.code,
        message_id=0x1234,
        token=bytes.fromhex("34128F1A"),
        options=request.options,
        payload=request.payload,
    )


def registered(*queries: str, payload: bytes = LINKS) -> RegisterRequest:
    request = parse_registration(message(f"ep={EP}", *queries, payload=payload))
    assert isinstance(request, RegisterRequest)
    return request


def test_frame_of_the_reference_is_read() -> None:
    assert parse_registration(decode(FRAME)) == RegisterRequest(
        endpoint_name=EP,
        lifetime_s=300,
        binding="U",
        is_queue_mode=False,
        lwm2m_version=None,
        links=(ObjectLinkEntry(3200, 0),),
        alternate_path=(),
        accepted_formats=(),
        auth_code=b"abc123",
    )


def test_frame_of_the_reference_is_written() -> None:
    request = format_register(EP, links=[ObjectLinkEntry(3200, 0)], lifetime_s=300, auth_code=b"abc123")

    assert encode(sent(request)) == FRAME


def test_least_a_device_says_is_enough() -> None:
    """No lifetime, binding, version, Content-Format, token or auth code."""
    request = registered()

    assert (request.lifetime_s, request.binding, request.is_queue_mode) == (86400, "U", False)
    assert (request.lwm2m_version, request.accepted_formats, request.auth_code) == (None, (), None)
    assert request.links == (ObjectLinkEntry(3303, 0),)


@pytest.mark.parametrize(
    "endpoint_name", [EP, "imei", "a;b;c", "a%3Bb", "a&lt=5", "a=b", "设备-1", "urn:imei:1", "x" * 250]
)
def test_endpoint_name_is_taken_as_it_is(endpoint_name: str) -> None:
    request = parse_registration(message(f"ep={endpoint_name}"))

    assert isinstance(request, RegisterRequest)
    assert request.endpoint_name == endpoint_name


@pytest.mark.parametrize(
    ("queries", "binding", "is_queue_mode"),
    [
        ((), "U", False),
        (("b=U",), "U", False),
        (("b=UQ",), "UQ", True),
        (("b=U&Q",), "U&Q", True),
        (("b=U", "Q"), "U", True),
        (("Q",), "U", True),
        (("b=",), "U", False),
        (("b=UQS",), "UQS", True),
    ],
)
def test_binding_says_whether_the_device_sleeps(queries: tuple[str, ...], binding: str, is_queue_mode: bool) -> None:
    request = registered(*queries)

    assert (request.binding, request.is_queue_mode) == (binding, is_queue_mode)


@pytest.mark.parametrize(
    ("text", "lifetime_s"), [("1", 5), ("4", 5), ("5", 5), ("300", 300), ("086400", 86400), ("4294967295", 2**32 - 1)]
)
def test_lifetime_is_lengthened_to_what_can_be_kept(text: str, lifetime_s: int) -> None:
    assert registered(f"lt={text}").lifetime_s == lifetime_s


@pytest.mark.parametrize("text", ["", "0", "-1", "+5", "5.0", "abc", "4294967296", "99999999999", "١٢", " 5"])
def test_bad_lifetime_is_refused(text: str) -> None:
    rejected = parse_registration(message(f"ep={EP}", f"lt={text}"))

    assert isinstance(rejected, Rejected)
    assert rejected.code == Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("payload", "links", "alternate_path", "accepted_formats"),
    [
        (b"", (), (), ()),
        (b"</3303/0>", (ObjectLinkEntry(3303, 0),), (), ()),
        (b'</>;rt="oma.lwm2m";ct=1543,</3303/0>', (ObjectLinkEntry(3303, 0),), (), (1543,)),
        (b'</>;rt="oma.lwm2m";ct="60 110 112 11542",</3>', (ObjectLinkEntry(3),), (), (60, 110, 112, 11542)),
        (b'</>;ct="110 x 99999"', (), (), (110,)),
        (b"</3303>;ver=1.1,</3303/0>", (ObjectLinkEntry(3303, None, "1.1"), ObjectLinkEntry(3303, 0)), (), ()),
        (b'</3303>;ver="1.1"', (ObjectLinkEntry(3303, None, "1.1"),), (), ()),
        (b"</0/0>,</21/0>,</1/0>,</3/0>", (ObjectLinkEntry(1, 0), ObjectLinkEntry(3, 0)), (), ()),
        (b"</3303/0>,</3303/0>,</3303/1>", (ObjectLinkEntry(3303, 0), ObjectLinkEntry(3303, 1)), (), ()),
        (b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3303/0>,</3304/0>', (ObjectLinkEntry(3303, 0),), ("lwm2m",), ()),
        (b'</a/b>;rt="oma.lwm2m";ct=112,</a/b/3>', (ObjectLinkEntry(3),), ("a", "b"), (112,)),
        (b"</3303/0/5700>,</well-known>,</x/0>,</3303/y>,</65536/0>,</3/0/>", (ObjectLinkEntry(3, 0),), (), ()),
        (b" </3303/0> , </3304/0>,\0", (ObjectLinkEntry(3303, 0), ObjectLinkEntry(3304, 0)), (), ()),
    ],
)
def test_object_list_is_read(
    payload: bytes,
    links: tuple[ObjectLinkEntry, ...],
    alternate_path: tuple[str, ...],
    accepted_formats: tuple[int, ...],
) -> None:
    request = registered(payload=payload)

    assert (request.links, request.alternate_path, request.accepted_formats) == (
        links,
        alternate_path,
        accepted_formats,
    )


@pytest.mark.parametrize("content_format", [None, b"", b"\x28", b"\x2d\x16"])
def test_object_list_is_read_whatever_its_content_format(content_format: bytes | None) -> None:
    request = parse_registration(message(f"ep={EP}", content_format=content_format))

    assert isinstance(request, RegisterRequest)
    assert request.links == (ObjectLinkEntry(3303, 0),)


@pytest.mark.parametrize(
    "refused",
    [
        message(),
        message("ep="),
        message("ep"),
        message("ep=a", "ep=a"),
        message("ep=a", "lt=5", "lt=6"),
        message("ep=a\x00b"),
        message("ep=\udcff"),
        message("ep=a", "b=" + "U" * 17),
        message("ep=a", "lwm2m=" + "1" * 17),
        message("ep=a", payload=b"3303/0"),
        message("ep=a", payload=b"</3303"),
        message("ep=a", payload=b"\xff\xfe"),
        message("ep=a", payload=b"</3303>;ver=" + b"1" * 17),
        message("ep=a", payload=b'</a/b/c/d/e/f/g/h/i>;rt="oma.lwm2m"'),
        message("ep=a", auth_codes=(b"1", b"2")),
        message("ep=a", auth_codes=(b"x" * 271,)),
        message("ep=a", payload=b",".join(b"</3303/%d>" % number for number in range(OBJECT_LINKS_MAX + 1))),
    ],
    ids=range(17),
)
def test_register_that_cannot_be_used_is_a_bad_request(refused: CoapMessage) -> None:
    """Never 4.01, which makes some clients repeat the Register for ever."""
    rejected = parse_registration(refused)

    assert isinstance(rejected, Rejected)
    assert rejected.code == Code.BAD_REQUEST
    assert rejected.reason


def test_object_list_at_its_limit_is_read() -> None:
    payload = b",".join(b"</3303/%d>" % number for number in range(OBJECT_LINKS_MAX))

    assert len(registered(payload=payload).links) == OBJECT_LINKS_MAX


@pytest.mark.parametrize("length", [1, 270])
def test_auth_code_is_taken_as_bytes(length: int) -> None:
    request = parse_registration(message(f"ep={EP}", auth_codes=(b"\xff" * length,)))

    assert isinstance(request, RegisterRequest)
    assert request.auth_code == b"\xff" * length


def test_unknown_queries_are_passed_over() -> None:
    assert registered("sms=123", "et=oic.d", "x", "x").endpoint_name == EP


def test_trailing_slash_is_still_a_register() -> None:
    assert isinstance(parse_registration(message(f"ep={EP}", path="rd/")), RegisterRequest)


def test_update_without_anything_keeps_everything() -> None:
    """nbiot_sdk sends no query at all."""
    assert parse_registration(message(path="rd/865820031234567", payload=b"")) == UpdateRequest(
        location="865820031234567",
        lifetime_s=None,
        binding=None,
        is_queue_mode=None,
        lwm2m_version=None,
        links=None,
        alternate_path=None,
        accepted_formats=None,
        auth_code=None,
    )


def test_update_says_what_changed() -> None:
    update = parse_registration(message("lt=60", "b=UQ", path="rd/x", auth_codes=(b"abc",)))

    assert isinstance(update, UpdateRequest)
    assert (update.lifetime_s, update.binding, update.is_queue_mode) == (60, "UQ", True)
    assert (update.links, update.alternate_path, update.accepted_formats) == ((ObjectLinkEntry(3303, 0),), (), ())
    assert update.auth_code == b"abc"


@pytest.mark.parametrize("location", ["a/b", "%41", "x" * 255])
def test_location_is_taken_as_it_is(location: str) -> None:
    update = parse_registration(message(path=f"rd/{location}", payload=b""))

    assert isinstance(update, UpdateRequest)
    assert update.location == location


def test_location_longer_than_any_issued_is_not_found() -> None:
    rejected = parse_registration(message(path="rd/" + "x" * 200 + "/" + "y" * 200))

    assert isinstance(rejected, Rejected)
    assert rejected.code == Code.NOT_FOUND


def test_update_with_a_bad_lifetime_is_refused() -> None:
    assert isinstance(parse_registration(message("lt=0", path="rd/x", payload=b"")), Rejected)


def test_deregister_names_its_location() -> None:
    request = parse_registration(message(path="rd/x", code=Code.DELETE, payload=b"", auth_codes=(b"abc",)))

    assert request == DeregisterRequest(location="x", auth_code=b"abc")


@pytest.mark.parametrize(
    ("path", "code"),
    [("rd", Code.GET), ("rd", Code.DELETE), ("rd", Code.PUT), ("rd/x", Code.PUT), ("rd/x", Code.GET), ("rd/x", 0x1F)],
)
def test_other_methods_are_not_allowed(path: str, code: int) -> None:
    rejected = parse_registration(message(path=path, code=code))

    assert isinstance(rejected, Rejected)
    assert rejected.code == Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("path", ["bs", "dp", "rdx", "3303/0", ""])
def test_other_paths_are_not_ours(path: str) -> None:
    assert parse_registration(message(path=path)) is None


def test_path_that_is_no_text_is_refused() -> None:
    strange = CoapMessage(type=MessageType.CON, code=Code.POST, message_id=1, options=((Option.URI_PATH, b"\xff"),))

    assert isinstance(parse_registration(strange), Rejected)


@pytest.mark.parametrize(
    ("endpoint_name", "expected"),
    [
        (EP, ("865820031234567", "460040427001234")),
        ("865820031234567", ("865820031234567", None)),
        ("865820031234567;", ("865820031234567", "")),
        ("a;b;c", ("a", "b;c")),
        ("", ("", None)),
    ],
)
def test_endpoint_name_is_split_at_its_first_semicolon(endpoint_name: str, expected: tuple[str, str | None]) -> None:
    assert split_endpoint_name(endpoint_name) == expected


def test_what_a_generic_client_writes_is_read_back() -> None:
    links = (ObjectLinkEntry(3303, None, "1.1"), ObjectLinkEntry(3303, 0))
    request = format_register(
        "client-1",
        links=links,
        lifetime_s=60,
        binding="UQ",
        lwm2m_version="1.1",
        accepted_formats=(110, 112),
        alternate_path=("lwm2m",),
    )

    assert parse_registration(sent(request)) == RegisterRequest(
        endpoint_name="client-1",
        lifetime_s=60,
        binding="UQ",
        is_queue_mode=True,
        lwm2m_version="1.1",
        links=links,
        alternate_path=("lwm2m",),
        accepted_formats=(110, 112),
        auth_code=None,
    )


def test_written_update_and_deregister_are_read_back() -> None:
    update = parse_registration(sent(format_update("x", lifetime_s=60, links=[ObjectLinkEntry(3, 0)])))
    silent = parse_registration(sent(format_update("x")))
    deregister = parse_registration(sent(format_deregister("x", auth_code=b"abc")))

    assert isinstance(update, UpdateRequest)
    assert (update.location, update.lifetime_s, update.links) == ("x", 60, (ObjectLinkEntry(3, 0),))
    assert isinstance(silent, UpdateRequest)
    assert (silent.lifetime_s, silent.links) == (None, None)
    assert deregister == DeregisterRequest(location="x", auth_code=b"abc")


def test_endpoint_name_that_fits_no_query_cannot_be_written() -> None:
    with pytest.raises(EncodeError):
        format_register("x" * 256, links=[])
