"""Bootstrap: the request, the two sequences, the rule between them. Southbound reference 1.3; OMA LwM2M 1.1 core."""

from collections.abc import Sequence

import pytest

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.lwm2m.bootstrap import (
    BootstrapRequest,
    BootstrapStep,
    BootstrapStyle,
    PskCredential,
    ServerAccount,
    format_bootstrap_request,
    parse_bootstrap,
    plan_bootstrap,
)
from commandpost.protocols.lwm2m.registration import Rejected

TLV, SENML_JSON = 11542, 110
NAME = "865820031234567;460040427001234"
URI = "coap://192.0.2.1:5683"
# CON POST /bs?ep={imei};{imsi}, token 34128F1A, MID 1234, option 63 abc123: southbound reference 1.3, with the
# identity, code and header of the Register of reference 9. Option 63 follows 15: delta 48 is D and 0x23.
FRAME = bytes.fromhex(
    "44 02 12 34 34 12 8F 1A B2 62 73"
    "4D 15 65 70 3D 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37 3B 34 36 30 30 34 30 34 32 37 30 30 31 32 33 34"
    "D6 23 61 62 63 31 32 33"
)


def frame(
    *queries: str, path: Sequence[str] = ("bs",), code: int = Code.POST, auth: bytes | None = None
) -> CoapMessage:
    options = [(int(Option.URI_PATH), segment.encode()) for segment in path]
    options += [(int(Option.URI_QUERY), query.encode()) for query in queries]
    if auth is not None:
        options.append((63, auth))
    return CoapMessage(type=MessageType.CON, code=code, message_id=1, token=b"t", options=tuple(options))


def shape(step: BootstrapStep) -> tuple[int, str, int | None, str]:
    """Method, path, content format and payload of a request."""
    options = step.request.options
    path = "/".join(value.decode() for number, value in options if number == Option.URI_PATH)
    formats = [int.from_bytes(value, "big") for number, value in options if number == Option.CONTENT_FORMAT]
    return step.request.code, f"/{path}", formats[0] if formats else None, step.request.payload.hex(" ")


# --- the request -----------------------------------------------------------------------------------------------------


def test_frame_of_a_module_is_read() -> None:
    """Name, code, and that it is a module."""
    assert parse_bootstrap(decode(FRAME)) == BootstrapRequest(
        endpoint_name=NAME, auth_code=b"abc123", style=BootstrapStyle.MODULE, content_format=TLV
    )


def test_frame_of_a_module_is_written() -> None:
    """The same bytes."""
    request = format_bootstrap_request(NAME, auth_code=b"abc123")
    message = CoapMessage(
        type=MessageType.CON,
        code=request.code,
        message_id=0x1234,
        token=bytes.fromhex("34128F1A"),
        options=request.options,
    )

    assert encode(message).hex(" ") == FRAME.hex(" ")


@pytest.mark.parametrize(
    ("message", "style", "content_format"),
    [
        (frame(f"ep={NAME}"), BootstrapStyle.MODULE, TLV),
        (frame("ep=865820031234567", auth=b"x"), BootstrapStyle.MODULE, TLV),
        (frame("ep=865820031234567"), BootstrapStyle.GENERIC, TLV),
        (frame(f"ep={NAME}", "pct=110"), BootstrapStyle.GENERIC, SENML_JSON),
        (frame("ep=x", "pct=112"), BootstrapStyle.GENERIC, 112),
        (frame("ep=x", "pct=11542"), BootstrapStyle.GENERIC, TLV),
        (frame("ep=x", "pct=1543"), BootstrapStyle.GENERIC, 11543),
        (frame("pct=110"), BootstrapStyle.GENERIC, SENML_JSON),
        (frame(), BootstrapStyle.GENERIC, TLV),
        (frame("ep=x", path=("bs", "")), BootstrapStyle.GENERIC, TLV),
    ],
)
def test_sequence_is_chosen_by_what_the_client_shows(
    message: CoapMessage, style: BootstrapStyle, content_format: int
) -> None:
    """Modules never name a format and call themselves `IMEI;IMSI`, or have option 63."""
    request = parse_bootstrap(message)

    assert isinstance(request, BootstrapRequest)
    assert (request.style, request.content_format) == (style, content_format)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (frame("ep=x", code=Code.GET), Code.METHOD_NOT_ALLOWED),
        (frame("ep=x", code=Code.DELETE), Code.METHOD_NOT_ALLOWED),
        (frame("ep=x", "ep=y"), Code.BAD_REQUEST),
        (frame("ep=a\x00b"), Code.BAD_REQUEST),
        (frame("ep=x", auth=b"c" * 271), Code.BAD_REQUEST),
        (frame("ep=x", "pct=0"), Code.UNSUPPORTED_CONTENT_FORMAT),
        (frame("ep=x", "pct=60"), Code.UNSUPPORTED_CONTENT_FORMAT),
        (frame("ep=x", "pct=-1"), Code.UNSUPPORTED_CONTENT_FORMAT),
        (frame("ep=x", "pct=" + "9" * 200), Code.UNSUPPORTED_CONTENT_FORMAT),
        (frame("ep=x", "pct="), Code.UNSUPPORTED_CONTENT_FORMAT),
    ],
)
def test_what_cannot_be_served_is_answered_with_its_code(message: CoapMessage, code: int) -> None:
    """4.00, 4.05, 4.15."""
    rejected = parse_bootstrap(message)

    assert isinstance(rejected, Rejected)
    assert rejected.code == code


@pytest.mark.parametrize("path", [(), ("rd",), ("bs", "1"), ("BS",), ("", "bs")])
def test_other_paths_are_somebody_elses(path: tuple[str, ...]) -> None:
    """None, and nothing is looked at."""
    assert parse_bootstrap(frame("ep=x", path=path)) is None


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_module_gets_the_one_write_it_takes() -> None:
    """SB 1.3: resources 0, 1, 2 and 10 of /0/0 in TLV and nothing else, then the finish.

    TLV by OMA LwM2M 1.0 section 6.4.3: C8 00 15 is resource 0 with 21 bytes, C1 xx one byte of resource xx.
    """
    steps = plan_bootstrap(ServerAccount(uri=URI), BootstrapStyle.MODULE, TLV)

    assert [shape(step) for step in steps] == [
        (Code.PUT, "/0/0", TLV, f"c8 00 15 {URI.encode().hex(' ')} c1 01 00 c1 02 03 c1 0a 7b"),
        (Code.POST, "/bs", None, ""),
    ]


def test_a_module_with_dtls_gets_identity_and_secret_too() -> None:
    """SB 4.1: mode 0, resource 3 the identity, resource 5 the key; C4 03 and C8 05 08."""
    account = ServerAccount(uri="coaps://192.0.2.1:5684", credential=PskCredential(identity=b"roof", key=b"psk45678"))

    first, _ = plan_bootstrap(account, BootstrapStyle.MODULE, TLV)

    assert first.request.payload[25:].hex(" ") == (
        "c1 01 00 c1 02 00 c4 03 72 6f 6f 66 c8 05 08 70 73 6b 34 35 36 37 38 c1 0a 7b"
    )


def test_a_client_of_the_standard_gets_everything_in_its_order() -> None:
    """Delete everything, both accounts, the Server object with its mandatory resources, the finish."""
    steps = plan_bootstrap(ServerAccount(uri=URI), BootstrapStyle.GENERIC, TLV)
    uri = f"c8 00 15 {URI.encode().hex(' ')}"

    assert [shape(step) for step in steps] == [
        (Code.DELETE, "/", None, ""),
        (Code.PUT, "/0/0", TLV, f"{uri} c1 01 01 c1 02 03 c0 03 c0 04 c0 05"),
        (Code.PUT, "/0/1", TLV, f"{uri} c1 01 00 c1 02 03 c0 03 c0 04 c0 05 c1 0a 7b"),
        (Code.PUT, "/1/0", TLV, "c1 00 7b c4 01 00 01 51 80 c1 06 00 c1 07 55"),
        (Code.POST, "/bs", None, ""),
    ]


def test_senml_is_written_where_it_is_preferred() -> None:
    """RFC 8428 with the names of LwM2M 1.1; base64url without padding for what is empty."""
    steps = plan_bootstrap(ServerAccount(uri=URI), BootstrapStyle.GENERIC, SENML_JSON)

    server = steps[3].request
    assert shape(steps[3])[:3] == (Code.PUT, "/1/0", SENML_JSON)
    assert server.payload.startswith(b'[{"bn":"/1/0/"')
    assert b'"vs":"U"' in server.payload
    assert b'"v":86400' in server.payload


def test_each_account_has_its_own_key() -> None:
    """The next bootstrap is proved by the bootstrap key, the registration by the access key."""
    account = ServerAccount(
        uri="coaps://192.0.2.1:5684",
        credential=PskCredential(identity=b"roof", key=b"accesskey"),
        bootstrap_credential=PskCredential(identity=b"roof", key=b"bootstrapkey"),
    )

    _, bootstrap, access, *_ = plan_bootstrap(account, BootstrapStyle.GENERIC, TLV)

    assert (b"bootstrapkey" in bootstrap.request.payload, b"accesskey" in bootstrap.request.payload) == (True, False)
    assert (b"bootstrapkey" in access.request.payload, b"accesskey" in access.request.payload) == (False, True)
