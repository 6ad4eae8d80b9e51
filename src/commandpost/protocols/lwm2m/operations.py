"""Operations of an application as CoAP requests to a device, and the device's answers to them.

Here: which requests one operation needs, in which order, what is tried when the device refuses the first spelling,
and what an answer means. One operation is one attempt with one deadline; the driver sends one request after another.
Not here: tokens, retransmission and time (coap, drivers), payload bytes (formats), the device's side (served_requests).
Source: OMA LwM2M 1.1 core sections 6.3 and 6.4; southbound reference 1.7.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Lwm2mOperation,
    Observe,
    ObserveAttributes,
    Read,
    Write,
    WriteMode,
)
from commandpost.domain.resource import OperationResult, ResourcePath
from commandpost.protocols.coap.codes import Code, is_success
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.dialect import DeviceDialect
from commandpost.protocols.lwm2m.discovery import decode_discovery
from commandpost.protocols.lwm2m.formats import decode_values, encode_values
from commandpost.protocols.lwm2m.tlv import encode_text
from commandpost.protocols.lwm2m.values import values_from_items

ARGUMENT_BYTES_MAX: Final = 2048  # the northbound limit of a body
QUERY_BYTES_MAX: Final = 255  # RFC 7252 section 5.10: the longest Uri-Query

_STANDARD_ARGUMENTS: Final = re.compile(r"[0-9](='[^']*')?(,[0-9](='[^']*')?)*")
_OBSERVE_BEGIN: Final = 0
_OBSERVE_END: Final = 1


class RequestPurpose(Enum):
    """What a request of a plan is for, as far as the driver treats it differently."""

    MAIN = "main"
    WRITE_ATTRIBUTES = "write_attributes"
    OBSERVE = "observe"
    """Goes out with the token of the observation, which is on disk before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """One request, and another spelling to try once when the device answers it with `retry_on`."""

    purpose: RequestPurpose
    request: Request
    retry_on: int | None = None
    retry_with: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPlan:
    """The requests of one operation in their order; the next goes out when the one before it succeeded."""

    operation: Lwm2mOperation
    steps: tuple[PlannedRequest, ...]
    alternate_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendNext:
    """The operation goes on with this request."""

    request: Request
    purpose: RequestPurpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The operation has ended with this code; a result only where a successful answer carried one."""

    code: int
    result: OperationResult | None


def encode_operation(operation: Lwm2mOperation, *, dialect: DeviceDialect, model: ObjectModel) -> OperationPlan:
    """Plan the requests of an operation; nothing is sent and nothing is remembered.

    Raises:
        EncodeError: the operation cannot be said to this device; the text names resource, value and what is allowed.
    """
    steps: tuple[PlannedRequest, ...]
    match operation:
        case Read(path=path):
            steps = (_read(path, dialect),)
        case Write():
            steps = (_write(operation, dialect, model),)
        case Execute():
            steps = (_main(_execute(operation, dialect)),)
        case Observe(path=path, attributes=attributes):
            steps = (*_write_attributes(path, attributes, dialect), _observe(path, dialect))
        case CancelObserve(path=path):
            steps = (_main(_request(Code.GET, path, dialect, observe=_OBSERVE_END)),)
        case Discover(path=path):
            steps = (_main(_request(Code.GET, path, dialect, accept=ContentFormat.LINK_FORMAT)),)
    return OperationPlan(operation=operation, steps=steps, alternate_path=dialect.alternate_path)


class OperationRun:
    """One attempt at an operation: hands out its requests and takes the answers, one after another."""

    def __init__(self, plan: OperationPlan, *, model: ObjectModel) -> None:
        """Begin with the first request of the plan."""
        self._plan = plan
        self._model = model
        self._index = 0
        self._is_retry = False
        self._is_done = False

    @property
    def current(self) -> SendNext:
        """The request that is to be sent or is on its way."""
        step = self._plan.steps[self._index]
        if self._is_retry:
            assert step.retry_with is not None
            return SendNext(request=step.retry_with, purpose=step.purpose)
        return SendNext(request=step.request, purpose=step.purpose)

    @property
    def request(self) -> Request:
        """The request that is to be sent or is on its way."""
        return self.current.request

    @property
    def purpose(self) -> RequestPurpose:
        """What the current request is for."""
        return self.current.purpose

    def on_answer(self, *, code: int, content_format: int | None = None, payload: bytes = b"") -> SendNext | Done:
        """Take the answer to the current request; give the next one or the end.

        Raises:
            DecodeError: the last answer succeeded and its payload cannot be used; the run is over.
        """
        assert not self._is_done, "the run is over"
        step = self._plan.steps[self._index]
        if code == step.retry_on and step.retry_with is not None and not self._is_retry:
            self._is_retry = True
            return self.current
        if is_success(code) and self._index + 1 < len(self._plan.steps):
            self._index += 1
            self._is_retry = False
            return self.current
        self._is_done = True
        result = decode_answer(
            self._plan.operation,
            code=code,
            content_format=content_format,
            payload=payload,
            model=self._model,
            alternate_path=self._plan.alternate_path,
        )
        return Done(code=code, result=result)


def decode_answer(
    operation: Lwm2mOperation,
    *,
    code: int,
    content_format: int | None,
    payload: bytes,
    model: ObjectModel,
    alternate_path: tuple[str, ...] = (),
) -> OperationResult | None:
    """Read what the final answer to an operation carried; None for an error, and where nothing is to be carried.

    The format is taken from the answer, never assumed. An Observe may be answered without a payload.
    Raises:
        DecodeError: the code says success and the payload cannot be used.
    """
    if not is_success(code):
        return None
    match operation:
        case Write() | Execute():
            return None
        case Discover(path=path):
            if (
                content_format is not None
                and canonical(content_format) != ContentFormat.LINK_FORMAT
                and not payload.startswith(b"<")
            ):
                raise DecodeError(f"a Discover is answered with links, not with content format {content_format}")
            return decode_discovery(payload, path=path, alternate_path=alternate_path)
        case Observe() | CancelObserve() if not payload:
            return None
        case Read(path=path) | Observe(path=path) | CancelObserve(path=path):
            return decode_values(content_format, payload, path=path, model=model)


def encode_path(path: ResourcePath, *, alternate_path: tuple[str, ...] = ()) -> tuple[tuple[int, bytes], ...]:
    """Give the Uri-Path options of a resource path: decimal ids without leading zeros."""
    segments = (*alternate_path, *(str(part) for part in path.parts))
    return tuple((int(Option.URI_PATH), encode_text(segment)) for segment in segments)


def format_attributes(attributes: ObserveAttributes, *, step_name: str = "st") -> tuple[str, ...]:
    """Give the query parameters of the attributes that are set.

    Raises:
        EncodeError: a number is not finite, negative where it is a period, or too long to be sent.
    """
    numbers: tuple[tuple[str, int | float | None], ...] = (
        ("pmin", attributes.pmin_s),
        ("pmax", attributes.pmax_s),
        ("gt", attributes.greater_than),
        ("lt", attributes.less_than),
        (step_name, attributes.step),
    )
    return tuple(f"{name}={_format_number(name, value)}" for name, value in numbers if value is not None)


def _main(request: Request) -> PlannedRequest:
    return PlannedRequest(purpose=RequestPurpose.MAIN, request=request)


def _read(path: ResourcePath, dialect: DeviceDialect) -> PlannedRequest:
    plain = _request(Code.GET, path, dialect)
    if path.resource_id is not None:
        return _main(plain)  # a single resource comes as the device likes it: text, bytes or one TLV entry
    return PlannedRequest(
        purpose=RequestPurpose.MAIN,
        request=_request(Code.GET, path, dialect, accept=dialect.tree_format),
        retry_on=Code.NOT_ACCEPTABLE,
        retry_with=plain,
    )


def _observe(path: ResourcePath, dialect: DeviceDialect) -> PlannedRequest:
    plain = _request(Code.GET, path, dialect, observe=_OBSERVE_BEGIN)
    if path.resource_id is not None:
        # As for a read; and some clients fall silent at an Accept whose number they do not know.
        return PlannedRequest(purpose=RequestPurpose.OBSERVE, request=plain)
    return PlannedRequest(
        purpose=RequestPurpose.OBSERVE,
        request=_request(Code.GET, path, dialect, observe=_OBSERVE_BEGIN, accept=dialect.tree_format),
        retry_on=Code.NOT_ACCEPTABLE,
        retry_with=plain,
    )


def _write(operation: Write, dialect: DeviceDialect, model: ObjectModel) -> PlannedRequest:
    if operation.path.instance_id is None:
        raise EncodeError(f"{operation.path} names no instance to write")
    # Also one resource is written to its instance: POST to a resource is Execute, and modules know no other way.
    path = ResourcePath(object_id=operation.path.object_id, instance_id=operation.path.instance_id)
    values = values_from_items(path, operation.items, model=model)
    content_format = dialect.tree_format
    payload = encode_values(content_format, values, path=path, model=model)
    code = Code.PUT if operation.mode is WriteMode.REPLACE else Code.POST
    return _main(_request(code, path, dialect, content_format=content_format, payload=payload))


def _execute(operation: Execute, dialect: DeviceDialect) -> Request:
    if operation.path.resource_id is None:
        raise EncodeError(f"{operation.path} names no resource to execute")
    arguments = operation.arguments
    if dialect.strict_execute_arguments and arguments and not _STANDARD_ARGUMENTS.fullmatch(arguments):
        if "'" in arguments:
            raise EncodeError(f"arguments {arguments!r:.80} hold an apostrophe: strict arguments allow none")
        arguments = f"0='{arguments}'"
    payload = encode_text(arguments)
    if len(payload) > ARGUMENT_BYTES_MAX:
        raise EncodeError(f"arguments of {len(payload)} bytes: up to {ARGUMENT_BYTES_MAX} are allowed")
    content_format = ContentFormat.TEXT_PLAIN if payload else None
    return _request(Code.POST, operation.path, dialect, content_format=content_format, payload=payload)


def _write_attributes(
    path: ResourcePath, attributes: ObserveAttributes, dialect: DeviceDialect
) -> tuple[PlannedRequest, ...]:
    if attributes.is_empty:
        return ()
    request = _request(Code.PUT, path, dialect, queries=format_attributes(attributes))
    if attributes.step is None:
        return (PlannedRequest(purpose=RequestPurpose.WRITE_ATTRIBUTES, request=request),)
    # nbiot_sdk spells the step its own way and refuses the standard's spelling with 4.00.
    other = _request(Code.PUT, path, dialect, queries=format_attributes(attributes, step_name="stp"))
    return (
        PlannedRequest(
            purpose=RequestPurpose.WRITE_ATTRIBUTES, request=request, retry_on=Code.BAD_REQUEST, retry_with=other
        ),
    )


def _request(
    code: int,
    path: ResourcePath,
    dialect: DeviceDialect,
    *,
    observe: int | None = None,
    content_format: int | None = None,
    queries: tuple[str, ...] = (),
    accept: int | None = None,
    payload: bytes = b"",
) -> Request:
    options: list[tuple[int, bytes]] = []
    if observe is not None:
        options.append((Option.OBSERVE, encode_uint(observe)))
    options.extend(encode_path(path, alternate_path=dialect.alternate_path))
    if content_format is not None:
        options.append((Option.CONTENT_FORMAT, encode_uint(content_format)))
    options.extend((Option.URI_QUERY, query.encode()) for query in queries)
    if accept is not None:
        options.append((Option.ACCEPT, encode_uint(accept)))
    return Request(code=code, options=tuple(options), payload=payload)


def _format_number(name: str, value: int | float) -> str:
    if isinstance(value, float) and not isfinite(value):
        raise EncodeError(f"{name} {value} is not a finite number")
    if isinstance(value, float):
        # Devices read attributes without exponents.
        text = format(Decimal(repr(value)), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
    elif name in ("pmin", "pmax") and value < 0:
        raise EncodeError(f"{name} {value} is negative: 0 or more is allowed")
    else:
        text = str(value)
    if len(name) + 1 + len(text) > QUERY_BYTES_MAX:
        raise EncodeError(f"{name} has {len(text)} digits: they do not fit a query of {QUERY_BYTES_MAX} bytes")
    return text
