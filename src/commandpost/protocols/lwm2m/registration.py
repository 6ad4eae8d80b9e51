"""Register, Update and De-register: what a device says about itself, read and written.

Here: the requests as records, with every leniency real devices need. Not here: whether the device is known, its
auth code right, or its location issued (services); Bootstrap.
Source: OMA LwM2M 1.1 core section 6.2; southbound reference 1.2, 1.4 and 1.5.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.resource import ObjectLinkEntry
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.link_format import Link, format_link_format, parse_link_format
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.lifetime import LIFETIME_DEFAULT_S, LIFETIME_MAX_S, clamp_lifetime
from commandpost.protocols.lwm2m.names import parse_id
from commandpost.protocols.lwm2m.tlv import encode_text

REGISTRATION_PATH: Final = "rd"
OBJECT_LINKS_MAX: Final = 512  # modules fit some 20 into their 512 bytes; generic clients list a few dozen
ACCEPTED_FORMATS_MAX: Final = 32  # of `ct`; a dozen formats are registered for LwM2M
ALTERNATE_PATH_SEGMENTS_MAX: Final = 8
AUTH_CODE_BYTES_MAX: Final = 270  # southbound reference 1.2
BINDING_CHARACTERS_MAX: Final = 16  # all bindings of LwM2M 1.2 together have 6
VERSION_CHARACTERS_MAX: Final = 16
LOCATION_CHARACTERS_MAX: Final = 255
UNLISTED_OBJECTS: Final = frozenset({0, 21})  # security and OSCORE: no server may touch them

_LIFETIME: Final = re.compile(r"[0-9]{1,10}")
_SEGMENTS_OF_ENTRY_MAX: Final = 2
_QUERIES: Final = frozenset({"ep", "lt", "b", "lwm2m", "Q"})
_VERSION_WITHOUT_NAMES: Final = "1.0"  # its clients always say who they are; later ones may leave it to DTLS


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """A Register. `lwm2m_version` None: not said, which means 1.0; `auth_code` None: no option 63."""

    endpoint_name: str | None
    """None: an LwM2M 1.1 client leaves it to its DTLS identity."""
    lifetime_s: int
    binding: str
    is_queue_mode: bool
    lwm2m_version: str | None
    links: tuple[ObjectLinkEntry, ...]
    alternate_path: tuple[str, ...]
    accepted_formats: tuple[int, ...]
    auth_code: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """An Update of the registration at `/rd/{location}`; None wherever the device left something as it was.

    `alternate_path` and `accepted_formats` are None exactly when `links` is.
    """

    location: str
    lifetime_s: int | None
    binding: str | None
    is_queue_mode: bool | None
    lwm2m_version: str | None
    links: tuple[ObjectLinkEntry, ...] | None
    alternate_path: tuple[str, ...] | None
    accepted_formats: tuple[int, ...] | None
    auth_code: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeregisterRequest:
    """A De-register of the registration at `/rd/{location}`."""

    location: str
    auth_code: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The request is answered with this code. Never 4.01: some clients would repeat the Register for ever."""

    code: int
    reason: str


def parse_registration(
    message: CoapMessage,
) -> RegisterRequest | UpdateRequest | DeregisterRequest | Rejected | None:
    """Read a request to the registration interface; None when the path is not below `/rd`."""
    try:
        path = message.uri_path
        if not path or path[0] != REGISTRATION_PATH:
            return None
        location = "/".join(path[1:]).rstrip("/")
        if len(location) > LOCATION_CHARACTERS_MAX:
            return Rejected(code=Code.NOT_FOUND, reason="no location is that long")
        match message.code:
            case Code.POST if not location:
                return _parse_register(message)
            case Code.POST:
                return _parse_update(message, location)
            case Code.DELETE if location:
                return DeregisterRequest(location=location, auth_code=read_auth_code(message))
        return Rejected(code=Code.METHOD_NOT_ALLOWED, reason=f"method {message.code} on /{'/'.join(path)}")
    except (DecodeError, RefusedValue) as error:
        return Rejected(code=Code.BAD_REQUEST, reason=str(error))


def split_endpoint_name(endpoint_name: str) -> tuple[str, str | None]:
    """Give what stands before and after the first `;`: IMEI and IMSI; without a `;` there is no IMSI."""
    imei, separator, imsi = endpoint_name.partition(";")
    return imei, imsi if separator else None


def format_register(
    endpoint_name: str,
    *,
    links: Sequence[ObjectLinkEntry],
    lifetime_s: int | None = LIFETIME_DEFAULT_S,
    binding: str | None = "U",
    lwm2m_version: str | None = None,
    accepted_formats: Sequence[int] = (),
    alternate_path: Sequence[str] = (),
    auth_code: bytes | None = None,
) -> Request:
    """Write a Register as devices do: queries in the order ep, b, lt, lwm2m, then option 63.

    Raises:
        EncodeError: a query has more than 255 bytes, or text that UTF-8 cannot carry.
    """
    queries = [f"ep={endpoint_name}", *_queries(lifetime_s, binding, lwm2m_version)]
    payload = format_links(links, accepted_formats=accepted_formats, alternate_path=alternate_path)
    return _request(Code.POST, (), queries, payload, auth_code)


def format_update(
    location: str,
    *,
    lifetime_s: int | None = None,
    binding: str | None = None,
    links: Sequence[ObjectLinkEntry] | None = None,
    accepted_formats: Sequence[int] = (),
    alternate_path: Sequence[str] = (),
    auth_code: bytes | None = None,
) -> Request:
    """Write an Update that says only what is given.

    Raises:
        EncodeError: a query has more than 255 bytes, or text that UTF-8 cannot carry.
    """
    payload = b""
    if links is not None:
        payload = format_links(links, accepted_formats=accepted_formats, alternate_path=alternate_path)
    return _request(Code.POST, location.split("/"), _queries(lifetime_s, binding, None), payload, auth_code)


def format_deregister(location: str, *, auth_code: bytes | None = None) -> Request:
    """Write a De-register."""
    return _request(Code.DELETE, location.split("/"), [], b"", auth_code)


def format_links(
    links: Sequence[ObjectLinkEntry], *, accepted_formats: Sequence[int] = (), alternate_path: Sequence[str] = ()
) -> bytes:
    """Write an object list behind its root link `</>;rt="oma.lwm2m"`."""
    prefix = "".join(f"/{segment}" for segment in alternate_path)
    attributes: list[tuple[str, str | None]] = [("rt", "oma.lwm2m")]
    if accepted_formats:
        attributes.append(("ct", " ".join(str(number) for number in accepted_formats)))
    written = [Link(target=prefix or "/", attributes=tuple(attributes))]
    for entry in links:
        target = f"{prefix}/{entry.object_id}"
        if entry.instance_id is not None:
            target += f"/{entry.instance_id}"
        version = (("ver", entry.version),) if entry.version is not None else ()
        written.append(Link(target=target, attributes=version))
    return format_link_format(written)


class RefusedValue(Exception):
    """A value of a request cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ObjectList:
    links: tuple[ObjectLinkEntry, ...]
    alternate_path: tuple[str, ...]
    accepted_formats: tuple[int, ...]


def _parse_register(message: CoapMessage) -> RegisterRequest:
    queries = read_queries(message, _QUERIES)
    endpoint_name = read_endpoint_name(queries)
    if endpoint_name is None and queries.get("lwm2m", _VERSION_WITHOUT_NAMES) == _VERSION_WITHOUT_NAMES:
        raise RefusedValue("the endpoint name (ep) is missing")
    binding, is_queue_mode = _binding(queries)
    listed = _object_list(message.payload) or _ObjectList(links=(), alternate_path=(), accepted_formats=())
    lifetime_s = _lifetime(queries)
    return RegisterRequest(
        endpoint_name=endpoint_name,
        lifetime_s=LIFETIME_DEFAULT_S if lifetime_s is None else lifetime_s,
        binding=binding or "U",
        is_queue_mode=is_queue_mode,
        lwm2m_version=_version(queries),
        links=listed.links,
        alternate_path=listed.alternate_path,
        accepted_formats=listed.accepted_formats,
        auth_code=read_auth_code(message),
    )


def _parse_update(message: CoapMessage, location: str) -> UpdateRequest:
    queries = read_queries(message, _QUERIES)
    binding, is_queue_mode = _binding(queries)
    listed = _object_list(message.payload)
    return UpdateRequest(
        location=location,
        lifetime_s=_lifetime(queries),
        binding=binding,
        is_queue_mode=is_queue_mode if binding is not None or is_queue_mode else None,
        lwm2m_version=_version(queries),
        links=None if listed is None else listed.links,
        alternate_path=None if listed is None else listed.alternate_path,
        accepted_formats=None if listed is None else listed.accepted_formats,
        auth_code=read_auth_code(message),
    )


def read_endpoint_name(queries: Mapping[str, str]) -> str | None:
    """Give the endpoint name; None when it is missing or empty. Raises RefusedValue for one with control characters."""
    endpoint_name = queries.get("ep")
    if endpoint_name and not endpoint_name.isprintable():
        raise RefusedValue("the endpoint name (ep) holds control characters")
    return endpoint_name or None


def read_queries(message: CoapMessage, names: Collection[str]) -> Mapping[str, str]:
    """Give the queries with these names; each option value is one parameter, whatever characters it holds.

    Raises:
        RefusedValue: one of them comes twice.
    """
    found: dict[str, str] = {}
    for query in message.uri_query:
        name, _, value = query.partition("=")
        if name not in names:
            continue
        if name in found:
            raise RefusedValue(f"the parameter {name} comes twice")
        found[name] = value
    return found


def _lifetime(queries: Mapping[str, str]) -> int | None:
    text = queries.get("lt")
    if text is None:
        return None
    if not _LIFETIME.fullmatch(text) or not 1 <= int(text) <= LIFETIME_MAX_S:
        raise RefusedValue(f"lifetime (lt) {text!r:.40}: 1 to {LIFETIME_MAX_S} is allowed")
    return clamp_lifetime(int(text))


def _binding(queries: Mapping[str, str]) -> tuple[str | None, bool]:
    """Give the binding and whether it asks for queue mode: `b=UQ`, or `Q` beside it, or both in one value."""
    text = queries.get("b")
    if text is not None and len(text) > BINDING_CHARACTERS_MAX:
        raise RefusedValue(f"binding (b) of {len(text)} characters: up to {BINDING_CHARACTERS_MAX} are allowed")
    return text, "Q" in queries or "Q" in (text or "")


def _version(queries: Mapping[str, str]) -> str | None:
    text = queries.get("lwm2m")
    if text is not None and len(text) > VERSION_CHARACTERS_MAX:
        raise RefusedValue(f"version (lwm2m) of {len(text)} characters: up to {VERSION_CHARACTERS_MAX} are allowed")
    return text or None


def read_auth_code(message: CoapMessage) -> bytes | None:
    """Give private option 63; None when it is not there. Raises RefusedValue."""
    codes = message.option_values(Option.ONENET_AUTH_CODE)
    if len(codes) > 1:
        raise RefusedValue("the auth code (option 63) comes twice")
    if codes and len(codes[0]) > AUTH_CODE_BYTES_MAX:
        raise RefusedValue(f"auth code of {len(codes[0])} bytes: up to {AUTH_CODE_BYTES_MAX} are allowed")
    return codes[0] if codes else None


def _object_list(payload: bytes) -> _ObjectList | None:
    """Read an object list whatever its Content-Format says; None when there is none."""
    text = payload.strip(b" \t\r\n\0")
    if not text:
        return None
    if not text.startswith(b"<"):
        raise RefusedValue("the object list does not begin with a link")
    links = parse_link_format(text)
    if len(links) > OBJECT_LINKS_MAX:
        raise RefusedValue(f"{len(links)} links: up to {OBJECT_LINKS_MAX} are allowed")
    root = _find_root(links)
    alternate_path = () if root is None else root.path
    if len(alternate_path) > ALTERNATE_PATH_SEGMENTS_MAX:
        raise RefusedValue(f"an alternate path of {len(alternate_path)} segments")
    entries: dict[tuple[int, int | None], ObjectLinkEntry] = {}
    for link in links:
        entry = _entry(link, alternate_path)
        if entry is not None:
            entries.setdefault((entry.object_id, entry.instance_id), entry)
    formats = () if root is None else tuple(number for number in root.content_formats if number <= 0xFFFF)
    return _ObjectList(
        links=tuple(entries.values()), alternate_path=alternate_path, accepted_formats=formats[:ACCEPTED_FORMATS_MAX]
    )


def _find_root(links: Sequence[Link]) -> Link | None:
    for link in links:
        if "oma.lwm2m" in (link.get("rt") or "").split():
            return link
    return next((link for link in links if not link.path), None)


def _entry(link: Link, alternate_path: tuple[str, ...]) -> ObjectLinkEntry | None:
    """Give the entry of a link to an object or an instance; None for any other link."""
    segments = link.path
    if segments[: len(alternate_path)] != alternate_path:
        return None
    segments = segments[len(alternate_path) :]
    if not 1 <= len(segments) <= _SEGMENTS_OF_ENTRY_MAX:
        return None
    ids = [parse_id(segment) for segment in segments]
    object_id, instance_id = ids[0], ids[1] if len(ids) > 1 else None
    if object_id is None or object_id in UNLISTED_OBJECTS or (len(ids) > 1 and instance_id is None):
        return None
    version = link.get("ver")
    if version is not None and len(version) > VERSION_CHARACTERS_MAX:
        raise RefusedValue(f"object version of {len(version)} characters: up to {VERSION_CHARACTERS_MAX} are allowed")
    return ObjectLinkEntry(object_id=object_id, instance_id=instance_id, version=version or None)


def _queries(lifetime_s: int | None, binding: str | None, lwm2m_version: str | None) -> list[str]:
    named = (("b", binding), ("lt", lifetime_s), ("lwm2m", lwm2m_version))
    return [f"{name}={value}" for name, value in named if value is not None]


def _request(
    code: int, location: Sequence[str], queries: Sequence[str], payload: bytes, auth_code: bytes | None
) -> Request:
    options: list[tuple[int, bytes]] = [(Option.URI_PATH, REGISTRATION_PATH.encode())]
    options.extend((Option.URI_PATH, encode_text(segment)) for segment in location)
    if payload:
        options.append((Option.CONTENT_FORMAT, encode_uint(ContentFormat.LINK_FORMAT)))
    options.extend((Option.URI_QUERY, encode_text(query)) for query in queries)
    if auth_code is not None:
        options.append((Option.ONENET_AUTH_CODE, auth_code))
    for number, value in options:
        if number in (Option.URI_PATH, Option.URI_QUERY) and len(value) > 255:
            raise EncodeError(f"option {number} of {len(value)} bytes: up to 255 are allowed")
    return Request(code=code, options=tuple(options), payload=payload)
