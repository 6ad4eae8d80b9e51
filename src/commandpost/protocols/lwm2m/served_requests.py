"""What a server asks of a device, read on the device's side.

Here: requests as records. Not here: what the device then does and answers (simulation).
Source: OMA LwM2M 1.1 core section 6.3; southbound reference 1.7.
"""

from dataclasses import dataclass
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Observe,
    ObserveAttributes,
    Read,
    WriteMode,
)
from commandpost.domain.resource import ObjectValues, ResourcePath, ValueType
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.formats import KNOWN_FORMATS, decode_values
from commandpost.protocols.lwm2m.names import parse_id
from commandpost.protocols.lwm2m.plain_text import decode_plain_text

_OBJECT_PARTS: Final = 1
_INSTANCE_PARTS: Final = 2
_RESOURCE_PARTS: Final = 3
_PATH_PARTS_MAX: Final = 4
_STEP_NAMES: Final = ("st", "stp")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedWrite:
    """Write these values; REPLACE drops the resources that are not named."""

    path: ResourcePath
    mode: WriteMode
    values: ObjectValues


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAttributes:
    """Set notification attributes of a path; `step_name` is how the step was spelled, None without one."""

    path: ResourcePath
    attributes: ObserveAttributes
    step_name: str | None = None


ServedOperation = Read | ServedWrite | Execute | Observe | CancelObserve | Discover | WriteAttributes


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOperation:
    """One request with what it says about formats; `accept` and `content_format` are as sent."""

    operation: ServedOperation
    accept: int | None
    content_format: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequest:
    """A request that is answered with an error."""

    code: int
    reason: str


def parse_request(
    message: CoapMessage, *, model: ObjectModel, alternate_path: tuple[str, ...] = ()
) -> ParsedOperation | RefusedRequest:
    """Read a request of a server.

    Args:
        alternate_path: the device's own; a path outside it is not found.
    """
    try:
        path = _path(message, alternate_path)
        if path is None:
            return RefusedRequest(code=Code.NOT_FOUND, reason="the path names no object")
        operation = _operation(message, path, model)
    except DecodeError as error:
        return RefusedRequest(code=Code.BAD_REQUEST, reason=str(error))
    if isinstance(operation, RefusedRequest):
        return operation
    return ParsedOperation(operation=operation, accept=message.accept, content_format=message.content_format)


def _path(message: CoapMessage, alternate_path: tuple[str, ...]) -> ResourcePath | None:
    segments = message.uri_path
    if segments[: len(alternate_path)] != alternate_path:
        return None
    ids = [parse_id(segment) for segment in segments[len(alternate_path) :]]
    known = [number for number in ids if number is not None]
    if len(known) != len(ids) or not 1 <= len(known) <= _PATH_PARTS_MAX:
        return None
    padded = [*known, None, None, None]
    return ResourcePath(
        object_id=known[0], instance_id=padded[1], resource_id=padded[2], resource_instance_id=padded[3]
    )


def _operation(message: CoapMessage, path: ResourcePath, model: ObjectModel) -> ServedOperation | RefusedRequest:
    match message.code:
        case Code.GET:
            return _get(message, path)
        case Code.PUT if not message.payload and message.content_format is None and message.uri_query:
            return _attributes(message, path)
        case Code.PUT if len(path.parts) >= _INSTANCE_PARTS:
            return _write(message, path, WriteMode.REPLACE, model)
        case Code.POST if len(path.parts) == _INSTANCE_PARTS:
            return _write(message, path, WriteMode.PARTIAL, model)
        case Code.POST if len(path.parts) == _RESOURCE_PARTS:
            return _execute(message, path)
    return RefusedRequest(code=Code.METHOD_NOT_ALLOWED, reason=f"method {message.code} on {path}")


def _get(message: CoapMessage, path: ResourcePath) -> ServedOperation:
    if message.accept == ContentFormat.LINK_FORMAT:
        return Discover(path=path)
    match message.observe:
        case 0:
            return Observe(path=path)
        case 1:
            return CancelObserve(path=path)
    return Read(path=path)


def _write(
    message: CoapMessage, path: ResourcePath, mode: WriteMode, model: ObjectModel
) -> ServedWrite | RefusedRequest:
    content_format = message.content_format
    if content_format is not None and canonical(content_format) not in KNOWN_FORMATS:
        return RefusedRequest(code=Code.UNSUPPORTED_CONTENT_FORMAT, reason=f"content format {content_format}")
    values = decode_values(content_format, message.payload, path=path, model=model)
    return ServedWrite(path=path, mode=mode, values=values)


def _execute(message: CoapMessage, path: ResourcePath) -> Execute | RefusedRequest:
    value = decode_plain_text(ValueType.STRING, message.payload).value
    if not isinstance(value, str):
        return RefusedRequest(code=Code.BAD_REQUEST, reason="the arguments are no text")
    return Execute(path=path, arguments=value)


def _attributes(message: CoapMessage, path: ResourcePath) -> WriteAttributes | RefusedRequest:
    found: dict[str, str] = {}
    for query in message.uri_query:
        name, _, text = query.partition("=")
        if name in found or name not in ("pmin", "pmax", "gt", "lt", *_STEP_NAMES):
            return RefusedRequest(code=Code.BAD_REQUEST, reason=f"attribute {name!r:.40}")
        found[name] = text
    step_name = next((name for name in _STEP_NAMES if name in found), None)
    attributes = ObserveAttributes(
        pmin_s=_period(found.get("pmin")),
        pmax_s=_period(found.get("pmax")),
        greater_than=_number(found.get("gt")),
        less_than=_number(found.get("lt")),
        step=_number(found.get(step_name)) if step_name is not None else None,
    )
    return WriteAttributes(path=path, attributes=attributes, step_name=step_name)


def _period(text: str | None) -> int | None:
    if text is None:
        return None
    value = decode_plain_text(ValueType.UNSIGNED, text.encode()).value
    assert isinstance(value, int)
    return value


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    value = decode_plain_text(ValueType.FLOAT, text.encode()).value
    assert isinstance(value, float)
    return value
