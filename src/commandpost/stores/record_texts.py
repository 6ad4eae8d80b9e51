"""Nested records as compact, versioned text for a column: operations, results, links, setup steps.

Each text is a JSON array that begins with its version: `[1,["read",[3303,0]]]`. Decoding is strict: what this code has
never written is RowCorrupt. Not here: rows themselves (stores/rows.py).

JSON holds what it holds exactly (64-bit integers, finite floats, text); the rest is tagged: bytes as base64, integers
beyond 64 bits as digits, NaN and the infinities by name, object links as text.
"""

import math
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar, assert_never

import msgspec
from msgspec import Struct

from commandpost.domain.device import GeoLocation
from commandpost.domain.operation import (
    CancelObserve,
    Deliver,
    Discover,
    Execute,
    Lwm2mOperation,
    Observe,
    ObserveAttributes,
    Operation,
    Read,
    Write,
    WriteItem,
    WriteKind,
    WriteMode,
)
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectInstance,
    ObjectLink,
    ObjectLinkEntry,
    ObjectValues,
    OperationResult,
    Resource,
    ResourcePath,
    ResourceValue,
    Scalar,
    ValueType,
)
from commandpost.domain.session import SetupKind, SetupStep
from commandpost.stores.errors import RowCorrupt

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1

_Path = tuple[int, ...]


# --- scalars ---------------------------------------------------------------------------------------------------------


class _Opaque(Struct, array_like=True, forbid_unknown_fields=True, tag="x"):
    value: bytes


class _BigInteger(Struct, array_like=True, forbid_unknown_fields=True, tag="i"):
    digits: str


class _NonFinite(Struct, array_like=True, forbid_unknown_fields=True, tag="f"):
    name: Literal["nan", "inf", "-inf"]


class _Link(Struct, array_like=True, forbid_unknown_fields=True, tag="l"):
    object_id: int
    instance_id: int


_Scalar = bool | int | float | str | _Opaque | _BigInteger | _NonFinite | _Link


def _scalar_to_text(value: Scalar) -> _Scalar:
    match value:
        case bool() | str():
            return value
        case int():
            return value if _INT64_MIN <= value <= _INT64_MAX else _BigInteger(str(value))
        case float():
            if math.isfinite(value):
                return value
            return _NonFinite("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
        case bytes():
            return _Opaque(value)
        case ObjectLink():
            return _Link(value.object_id, value.instance_id)
        case _:
            assert_never(value)


def _scalar_from_text(value: _Scalar) -> Scalar:
    match value:
        case _Opaque():
            return value.value
        case _BigInteger():
            return int(value.digits)
        case _NonFinite():
            return float(value.name)
        case _Link():
            return ObjectLink(value.object_id, value.instance_id)
        case _:
            return value


def _path_from_text(parts: _Path) -> ResourcePath:
    if not 1 <= len(parts) <= 4:
        raise ValueError(f"a path has 1 to 4 parts, not {len(parts)}")
    padded = (*parts, None, None, None)
    return ResourcePath(
        object_id=parts[0], instance_id=padded[1], resource_id=padded[2], resource_instance_id=padded[3]
    )


# --- operations ------------------------------------------------------------------------------------------------------


class _WriteItem(Struct, array_like=True, forbid_unknown_fields=True):
    resource_id: int
    value: _Scalar
    kind: WriteKind | None


class _Read(Struct, array_like=True, forbid_unknown_fields=True, tag="read"):
    path: _Path


class _Write(Struct, array_like=True, forbid_unknown_fields=True, tag="write"):
    path: _Path
    mode: WriteMode
    items: tuple[_WriteItem, ...]


class _Execute(Struct, array_like=True, forbid_unknown_fields=True, tag="execute"):
    path: _Path
    arguments: str


class _Observe(Struct, array_like=True, forbid_unknown_fields=True, tag="observe"):
    path: _Path
    pmin_s: int | None
    pmax_s: int | None
    greater_than: _Scalar | None
    less_than: _Scalar | None
    step: _Scalar | None


class _CancelObserve(Struct, array_like=True, forbid_unknown_fields=True, tag="cancel_observe"):
    path: _Path


class _Discover(Struct, array_like=True, forbid_unknown_fields=True, tag="discover"):
    path: _Path


class _Deliver(Struct, array_like=True, forbid_unknown_fields=True, tag="deliver"):
    payload: bytes
    qos: int
    kind: int


_Lwm2mOperation = _Read | _Write | _Execute | _Observe | _CancelObserve | _Discover
_Operation = _Lwm2mOperation | _Deliver


def _lwm2m_to_text(operation: Lwm2mOperation) -> _Lwm2mOperation:
    path = operation.path.parts
    match operation:
        case Read():
            return _Read(path)
        case Write():
            items = tuple(
                _WriteItem(item.resource_id, _scalar_to_text(item.value), item.kind) for item in operation.items
            )
            return _Write(path, operation.mode, items)
        case Execute():
            return _Execute(path, operation.arguments)
        case Observe():
            given = operation.attributes
            return _Observe(
                path,
                given.pmin_s,
                given.pmax_s,
                _optional_to_text(given.greater_than),
                _optional_to_text(given.less_than),
                _optional_to_text(given.step),
            )
        case CancelObserve():
            return _CancelObserve(path)
        case Discover():
            return _Discover(path)
        case _:
            assert_never(operation)


def _lwm2m_from_text(text: _Lwm2mOperation) -> Lwm2mOperation:
    path = _path_from_text(text.path)
    match text:
        case _Read():
            return Read(path=path)
        case _Write():
            return Write(path=path, mode=text.mode, items=tuple(_write_item(item) for item in text.items))
        case _Execute():
            return Execute(path=path, arguments=text.arguments)
        case _Observe():
            attributes = ObserveAttributes(
                pmin_s=text.pmin_s,
                pmax_s=text.pmax_s,
                greater_than=_optional_number(text.greater_than),
                less_than=_optional_number(text.less_than),
                step=_optional_number(text.step),
            )
            return Observe(path=path, attributes=attributes)
        case _CancelObserve():
            return CancelObserve(path=path)
        case _Discover():
            return Discover(path=path)
        case _:
            assert_never(text)


def _write_item(text: _WriteItem) -> WriteItem:
    value = _scalar_from_text(text.value)
    if isinstance(value, ObjectLink):
        raise ValueError("an object link is not written as such")
    return WriteItem(resource_id=text.resource_id, value=value, kind=text.kind)


def _optional_to_text(value: float | None) -> _Scalar | None:
    return None if value is None else _scalar_to_text(value)


def _optional_number(text: _Scalar | None) -> float | None:
    if text is None:
        return None
    value = _scalar_from_text(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a number is wanted, not {value!r}")
    return value


def _operation_to_text(operation: Operation) -> _Operation:
    if isinstance(operation, Deliver):
        return _Deliver(operation.payload, operation.qos, operation.kind)
    return _lwm2m_to_text(operation)


def _operation_from_text(text: _Operation) -> Operation:
    if isinstance(text, _Deliver):
        return Deliver(payload=text.payload, qos=text.qos, kind=text.kind)
    return _lwm2m_from_text(text)


# --- results ---------------------------------------------------------------------------------------------------------


class _Value(Struct, array_like=True, forbid_unknown_fields=True):
    type: ValueType
    value: _Scalar


class _Resource(Struct, array_like=True, forbid_unknown_fields=True):
    id: int
    value: _Value | dict[int, _Value]


class _Instance(Struct, array_like=True, forbid_unknown_fields=True):
    id: int
    resources: tuple[_Resource, ...]


class _Values(Struct, array_like=True, forbid_unknown_fields=True, tag="values"):
    object_id: int
    instances: tuple[_Instance, ...]


_DiscoveredInstance = tuple[int, tuple[int, ...]]


class _Discovered(Struct, array_like=True, forbid_unknown_fields=True, tag="discovered"):
    object_id: int
    instances: tuple[_DiscoveredInstance, ...]


_Result = _Values | _Discovered


def _result_to_text(result: OperationResult) -> _Result:
    if isinstance(result, DiscoveredObject):
        return _Discovered(result.object_id, _instances_to_text(result.instances))
    return _Values(
        result.object_id,
        tuple(
            _Instance(instance.id, tuple(_Resource(each.id, _values_to_text(each)) for each in instance.resources))
            for instance in result.instances
        ),
    )


def _values_to_text(resource: Resource) -> _Value | dict[int, _Value]:
    if isinstance(resource.value, tuple):
        return {number: _Value(each.type, _scalar_to_text(each.value)) for number, each in resource.value}
    return _Value(resource.value.type, _scalar_to_text(resource.value.value))


def _result_from_text(text: _Result) -> OperationResult:
    if isinstance(text, _Discovered):
        return DiscoveredObject(text.object_id, _instances_from_text(text.instances))
    return ObjectValues(
        text.object_id,
        tuple(
            ObjectInstance(each.id, tuple(_resource_from_text(resource) for resource in each.resources))
            for each in text.instances
        ),
    )


def _resource_from_text(text: _Resource) -> Resource:
    if isinstance(text.value, dict):
        return Resource(text.id, tuple((number, _value(each)) for number, each in text.value.items()))
    return Resource(text.id, _value(text.value))


def _value(text: _Value) -> ResourceValue:
    return ResourceValue(text.type, _scalar_from_text(text.value))


def _instances_to_text(instances: tuple[DiscoveredInstance, ...]) -> tuple[_DiscoveredInstance, ...]:
    return tuple((each.id, each.resource_ids) for each in instances)


def _instances_from_text(instances: tuple[_DiscoveredInstance, ...]) -> tuple[DiscoveredInstance, ...]:
    return tuple(DiscoveredInstance(number, resource_ids) for number, resource_ids in instances)


# --- sessions and devices --------------------------------------------------------------------------------------------

_Links = tuple[tuple[int, int | None, str | None], ...]
_Steps = tuple[tuple[SetupKind, _Lwm2mOperation], ...]
_Geo = tuple[_Scalar | None, _Scalar | None, _Scalar | None]


def _links_to_text(links: tuple[ObjectLinkEntry, ...]) -> _Links:
    return tuple((each.object_id, each.instance_id, each.version) for each in links)


def _links_from_text(links: _Links) -> tuple[ObjectLinkEntry, ...]:
    return tuple(ObjectLinkEntry(object_id, instance_id, version) for object_id, instance_id, version in links)


def _steps_to_text(steps: tuple[SetupStep, ...]) -> _Steps:
    return tuple((step.kind, _lwm2m_to_text(step.operation)) for step in steps)


def _steps_from_text(steps: _Steps) -> tuple[SetupStep, ...]:
    return tuple(SetupStep(kind, _lwm2m_from_text(operation)) for kind, operation in steps)


def _geo_to_text(location: GeoLocation) -> _Geo:
    return (
        _optional_to_text(location.longitude),
        _optional_to_text(location.latitude),
        _optional_to_text(location.elevation),
    )


def _geo_from_text(text: _Geo) -> GeoLocation:
    longitude, latitude, elevation = text
    return GeoLocation(
        longitude=_optional_number(longitude),
        latitude=_optional_number(latitude),
        elevation=_optional_number(elevation),
    )


# --- the texts -------------------------------------------------------------------------------------------------------

RecordT = TypeVar("RecordT")

_ENCODER: Final = msgspec.json.Encoder()


class RecordText(Generic[RecordT]):
    """Text <-> one kind of record, version 1.

    Args:
        shape: what the text holds after its version, as a type for msgspec; `from_text` gets a value of it.
    """

    def __init__(
        self,
        name: str,
        shape: object,
        to_text: Callable[[RecordT], object],
        from_text: Callable[[Any], RecordT],  # Any: unions and fixed tuples are no class a checker could name
    ) -> None:
        self._name = name
        self._decoder = msgspec.json.Decoder(tuple[Literal[1], shape])  # type: ignore[valid-type]  # made from a value
        self._to_text = to_text
        self._from_text = from_text

    def encode(self, record: RecordT) -> str:
        """Write a record as text."""
        return _ENCODER.encode((1, self._to_text(record))).decode()

    def decode(self, text: str) -> RecordT:
        """Read a record from text.

        Raises:
            RowCorrupt: it is not text that `encode` has written.
        """
        try:
            return self._from_text(self._decoder.decode(text)[1])
        except ValueError as error:  # msgspec's own errors are ValueErrors too
            raise RowCorrupt(f"{self._name} {text[:80]!r} cannot be read: {error}") from error


def _same(value: RecordT) -> RecordT:
    return value


OPERATION: Final = RecordText[Operation]("operation", _Operation, _operation_to_text, _operation_from_text)
RESULT: Final = RecordText[OperationResult]("result", _Result, _result_to_text, _result_from_text)
INSTANCES: Final = RecordText("instances", tuple[_DiscoveredInstance, ...], _instances_to_text, _instances_from_text)
LINKS: Final = RecordText("links", _Links, _links_to_text, _links_from_text)
SETUP: Final = RecordText("setup steps", _Steps, _steps_to_text, _steps_from_text)
LOCATION: Final = RecordText("location", _Geo, _geo_to_text, _geo_from_text)
TEXTS: Final = RecordText[tuple[str, ...]]("texts", tuple[str, ...], _same, _same)
NUMBERS: Final = RecordText[tuple[int, ...]]("numbers", tuple[int, ...], _same, _same)
