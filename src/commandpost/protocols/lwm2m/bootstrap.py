"""Bootstrap that a client begins: its request, and what is written to it, for OneNET modules and for everybody else.

A module takes one write to the Security object and nothing of LwM2M's usual order: `DELETE /` and `PUT /1/0` are
errors to it, and one unknown resource stops its write. So there are two sequences, and a rule for which (`style_of`).
Not here: whether the device may (services), in what time, and what an error means (southbound).
Source: southbound reference 1.3; OMA LwM2M 1.0 section 5.2, 1.1 core sections 6.1 and 6.4.7.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.formats import encode_values
from commandpost.protocols.lwm2m.operations import encode_path
from commandpost.protocols.lwm2m.registration import (
    RefusedValue,
    Rejected,
    read_auth_code,
    read_endpoint_name,
    read_queries,
)
from commandpost.protocols.lwm2m.tlv import encode_text

BOOTSTRAP_PATH: Final = "bs"
SHORT_SERVER_ID: Final = 123  # any of 1 to 65534; the one every example of OMA's uses
LIFETIME_S: Final = 86_400  # written to object 1; modules, which have none, take theirs from the application
BINDING: Final = "U"  # UDP is all there is (southbound reference 1.1)

SECURITY_OBJECT: Final = 0
SERVER_OBJECT: Final = 1
MODE_PSK: Final = 0
MODE_NOSEC: Final = 3

_FIRST_ACCOUNT: Final = ResourcePath(object_id=SECURITY_OBJECT, instance_id=0)
_SECOND_ACCOUNT: Final = ResourcePath(object_id=SECURITY_OBJECT, instance_id=1)
_SERVER: Final = ResourcePath(object_id=SERVER_OBJECT, instance_id=0)
_QUERIES: Final = frozenset({"ep", "pct"})
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_TREE_FORMATS: Final = frozenset(
    {ContentFormat.LWM2M_TLV, ContentFormat.LWM2M_JSON, ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR}
)
_NO_MODEL: Final = ObjectModel()


class BootstrapStyle(Enum):
    """Which of the two sequences a client takes."""

    MODULE = "module"
    """One write to /0/0, then the finish."""
    GENERIC = "generic"
    """Delete everything, write the accounts of both servers and the Server object, then the finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapRequest:
    """A Bootstrap-Request. `content_format` is what the client prefers (`pct`), else TLV."""

    endpoint_name: str | None
    """None: an LwM2M 1.1 client leaves it to its DTLS identity."""
    auth_code: bytes | None
    style: BootstrapStyle
    content_format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PskCredential:
    """What a device is to prove itself by."""

    identity: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccount:
    """Where the device finds its server, and how it proves itself there; no credential: without DTLS."""

    uri: str
    credential: PskCredential | None = None
    bootstrap_credential: PskCredential | None = None
    """The same for its next bootstrap, at the same place."""


class StepKind(Enum):
    """What a request of the sequence does."""

    DELETE = "delete"
    WRITE = "write"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapStep:
    """One request of the sequence."""

    kind: StepKind
    request: Request


def parse_bootstrap(message: CoapMessage) -> BootstrapRequest | Rejected | None:
    """Read a Bootstrap-Request; None when the path is another."""
    try:
        path = message.uri_path
        if not path or path[0] != BOOTSTRAP_PATH or any(path[1:]):
            return None
        if message.code != Code.POST:
            return Rejected(code=Code.METHOD_NOT_ALLOWED, reason=f"method {message.code} on /{BOOTSTRAP_PATH}")
        queries = read_queries(message, _QUERIES)
        endpoint_name = read_endpoint_name(queries)
        auth_code = read_auth_code(message)
    except (DecodeError, RefusedValue) as error:
        return Rejected(code=Code.BAD_REQUEST, reason=str(error))
    preferred = queries.get("pct")
    content_format = int(ContentFormat.LWM2M_TLV)
    if preferred is not None:
        # OMA LwM2M 1.1 core table 6.1.3-1: a format that cannot be written is answered 4.15.
        content_format = canonical(int(preferred)) if _NUMBER.fullmatch(preferred) else -1
        if content_format not in _TREE_FORMATS:
            return Rejected(code=Code.UNSUPPORTED_CONTENT_FORMAT, reason=f"preferred content format {preferred:.20}")
    return BootstrapRequest(
        endpoint_name=endpoint_name,
        auth_code=auth_code,
        style=style_of(endpoint_name, auth_code, has_preferred_format=preferred is not None),
        content_format=content_format,
    )


def style_of(endpoint_name: str | None, auth_code: bytes | None, *, has_preferred_format: bool) -> BootstrapStyle:
    """Tell a OneNET module from a client of the standard by what it shows.

    Modules are LwM2M 1.0 and never name a format; they call themselves `IMEI;IMSI`, and nobody else has option 63.
    """
    if has_preferred_format or endpoint_name is None:
        return BootstrapStyle.GENERIC
    return BootstrapStyle.MODULE if ";" in endpoint_name or auth_code is not None else BootstrapStyle.GENERIC


def plan_bootstrap(account: ServerAccount, style: BootstrapStyle, content_format: int) -> tuple[BootstrapStep, ...]:
    """Give the requests of a bootstrap in their order; the last is the finish, which is sent whatever came before."""
    steps: tuple[BootstrapStep, ...]
    if style is BootstrapStyle.MODULE:
        steps = (_write(_FIRST_ACCOUNT, _module_account(account), content_format),)
    else:
        steps = (
            BootstrapStep(kind=StepKind.DELETE, request=Request(code=Code.DELETE)),
            _write(_FIRST_ACCOUNT, _bootstrap_account(account), content_format),
            _write(_SECOND_ACCOUNT, _server_account(account), content_format),
            _write(_SERVER, _server_object(), content_format),
        )
    finish = Request(code=Code.POST, options=((int(Option.URI_PATH), BOOTSTRAP_PATH.encode()),))
    return (*steps, BootstrapStep(kind=StepKind.FINISH, request=finish))


def format_bootstrap_request(
    endpoint_name: str, *, auth_code: bytes | None = None, preferred_format: int | None = None
) -> Request:
    """Write a Bootstrap-Request as devices do.

    Raises:
        EncodeError: the name is text that UTF-8 cannot carry.
    """
    options: list[tuple[int, bytes]] = [
        (int(Option.URI_PATH), BOOTSTRAP_PATH.encode()),
        (int(Option.URI_QUERY), encode_text(f"ep={endpoint_name}")),
    ]
    if preferred_format is not None:
        options.append((int(Option.URI_QUERY), b"pct=%d" % preferred_format))
    if auth_code is not None:
        options.append((int(Option.ONENET_AUTH_CODE), auth_code))
    return Request(code=Code.POST, options=tuple(options))


_Values = Mapping[int, ResourceValue]


def _module_account(account: ServerAccount) -> _Values:
    """Give exactly what a module takes: nothing else may stand in the write (southbound reference 1.3)."""
    values = {0: _text(account.uri), 1: _truth(False), 2: _mode(account.credential)}
    if account.credential is not None:
        values |= {3: _bytes(account.credential.identity), 5: _bytes(account.credential.key)}
    return {**values, 10: _integer(SHORT_SERVER_ID)}


def _bootstrap_account(account: ServerAccount) -> _Values:
    credential = account.bootstrap_credential
    return {0: _text(account.uri), 1: _truth(True), 2: _mode(credential), **_credential(credential)}


def _server_account(account: ServerAccount) -> _Values:
    return {
        0: _text(account.uri),
        1: _truth(False),
        2: _mode(account.credential),
        **_credential(account.credential),
        10: _integer(SHORT_SERVER_ID),
    }


def _credential(credential: PskCredential | None) -> _Values:
    """Identity, server's public key and secret: mandatory in LwM2M 1.0, so they are there, empty, without DTLS too."""
    identity, key = (b"", b"") if credential is None else (credential.identity, credential.key)
    return {3: _bytes(identity), 4: _bytes(b""), 5: _bytes(key)}


def _server_object() -> _Values:
    """Give the mandatory resources: short id, lifetime, no storing of notifications while disabled, binding."""
    return {0: _integer(SHORT_SERVER_ID), 1: _integer(LIFETIME_S), 6: _truth(False), 7: _text(BINDING)}


def _write(path: ResourcePath, values: _Values, content_format: int) -> BootstrapStep:
    assert path.instance_id is not None, "a bootstrap writes instances"
    instance = ObjectInstance(path.instance_id, tuple(Resource(number, value) for number, value in values.items()))
    tree = ObjectValues(path.object_id, (instance,))
    options = (*encode_path(path), (int(Option.CONTENT_FORMAT), encode_uint(content_format)))
    payload = encode_values(content_format, tree, path=path, model=_NO_MODEL)
    return BootstrapStep(kind=StepKind.WRITE, request=Request(code=Code.PUT, options=options, payload=payload))


def _mode(credential: PskCredential | None) -> ResourceValue:
    return _integer(MODE_NOSEC if credential is None else MODE_PSK)


def _text(value: str) -> ResourceValue:
    return ResourceValue(ValueType.STRING, value)


def _truth(value: bool) -> ResourceValue:
    return ResourceValue(ValueType.BOOLEAN, value)


def _integer(value: int) -> ResourceValue:
    return ResourceValue(ValueType.INTEGER, value)


def _bytes(value: bytes) -> ResourceValue:
    return ResourceValue(ValueType.OPAQUE, value)
