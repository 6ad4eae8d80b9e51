"""Which type a value has: what a caller wants to write, and what a self-describing format brought.

Here: the rules between the object model, the caller's word and the kind of the value. Not here: bytes.
Source: southbound reference 3.3; OMA LwM2M core appendix C.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.operation import WRITE_ITEMS_MAX, WriteItem, WriteKind
from commandpost.domain.resource import (
    INTEGER_MAX,
    INTEGER_MIN,
    UNSIGNED_MAX,
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.plain_text import parse_object_link
from commandpost.protocols.lwm2m.tlv import encode_value

VALUE_BYTES_MAX: Final = 2048  # the northbound limit of one write

Plain = bool | int | float | str | bytes


def values_from_items(path: ResourcePath, items: Sequence[WriteItem], *, model: ObjectModel) -> ObjectValues:
    """Type the items of a write: the model decides, else what the caller said, else the kind of the JSON value.

    Args:
        path: object and instance that are written.
        items: 1 to WRITE_ITEMS_MAX resources, each once.
    Raises:
        EncodeError: a value does not fit its type; the text names the resource, the value and what is allowed.
    """
    if path.instance_id is None:
        raise EncodeError(f"{path} names no instance to write")
    if not 1 <= len(items) <= WRITE_ITEMS_MAX:
        raise EncodeError(f"{len(items)} resources to write: 1 to {WRITE_ITEMS_MAX} are allowed")
    resources: dict[int, Resource] = {}
    for item in items:
        if item.resource_id in resources:
            raise EncodeError(f"resource {item.resource_id} is to be written twice")
        try:
            resource_path = ResourcePath(
                object_id=path.object_id, instance_id=path.instance_id, resource_id=item.resource_id
            )
        except ValueError as error:
            raise EncodeError(str(error)) from error
        value = _typed(item, model.type_of(path.object_id, item.resource_id), resource_path)
        resources[item.resource_id] = Resource(item.resource_id, value)
    return ObjectValues(path.object_id, (ObjectInstance(path.instance_id, tuple(resources.values())),))


def value_from_plain(value_type: ValueType | None, plain: Plain, *, offset: int = 0) -> ResourceValue:
    """Type a value that came in a format which says itself what it is.

    The model's type stands where the value fits it, otherwise the format's own: the device decides what it has.
    Raises:
        DecodeError: a number beyond the type's range, or an object link that is none.
    """
    number = isinstance(plain, int | float) and not isinstance(plain, bool)
    if number and not is_finite_number(plain):
        raise DecodeError("a number beyond what an application can be told", offset=offset)
    match value_type:
        case ValueType.FLOAT if number:
            assert isinstance(plain, int | float)
            return ResourceValue(ValueType.FLOAT, float(plain))
        case ValueType.INTEGER | ValueType.UNSIGNED if number and _is_whole(plain):
            return _ranged(value_type, plain, offset)
        case ValueType.TIME if number:
            return _ranged(value_type, plain, offset) if _is_whole(plain) else ResourceValue(value_type, plain)
        case ValueType.BOOLEAN if number and plain in (0, 1):
            return ResourceValue(ValueType.BOOLEAN, plain == 1)
        case ValueType.OBJLNK if isinstance(plain, str):
            return ResourceValue(ValueType.OBJLNK, parse_object_link(plain))
        case ValueType.CORELNK if isinstance(plain, str):
            return ResourceValue(ValueType.CORELNK, plain)
    own_type = _own_type(plain)
    return _ranged(own_type, plain, offset) if own_type is ValueType.INTEGER else ResourceValue(own_type, plain)


def is_finite_number(number: Plain) -> bool:
    """Tell whether a number fits a float of 8 bytes."""
    try:
        return isinstance(number, int | float) and isfinite(number)
    except OverflowError:
        return False


def _own_type(plain: Plain) -> ValueType:
    match plain:
        case bool():
            return ValueType.BOOLEAN
        case int():
            return ValueType.INTEGER
        case float():
            return ValueType.FLOAT
        case str():
            return ValueType.STRING
        case _:
            return ValueType.OPAQUE


def _is_whole(plain: Plain) -> bool:
    return isinstance(plain, int) or (isinstance(plain, float) and plain.is_integer())


def _ranged(value_type: ValueType, plain: Plain, offset: int) -> ResourceValue:
    assert isinstance(plain, int | float)
    low, high = (0, UNSIGNED_MAX) if value_type is ValueType.UNSIGNED else (INTEGER_MIN, INTEGER_MAX)
    number = int(plain)
    if not low <= number <= high:
        raise DecodeError(f"{value_type.value} out of range: {low} to {high} is allowed", offset=offset)
    return ResourceValue(value_type, number)


def _typed(item: WriteItem, model_type: ValueType | None, path: ResourcePath) -> ResourceValue:
    if item.kind is WriteKind.OPAQUE and not isinstance(item.value, bytes):
        # A text here would be hexadecimal that nobody has read yet; its letters must not go out as the value.
        raise _refusal(item.value, ValueType.OPAQUE, path)
    if model_type is not None:
        value_type = model_type
    elif item.kind is WriteKind.OPAQUE:
        value_type = ValueType.OPAQUE
    elif item.kind is WriteKind.TIME:
        value_type = ValueType.TIME
    else:
        value_type = _own_type(item.value)
    value = _fitted(item.value, value_type, path)
    try:
        raw = encode_value(value)
    except EncodeError as error:
        raise EncodeError(f"resource {path}: {error}") from error
    if len(raw) > VALUE_BYTES_MAX:
        raise EncodeError(f"resource {path}: {len(raw)} bytes, up to {VALUE_BYTES_MAX} are allowed")
    return value


def _fitted(plain: Plain, value_type: ValueType, path: ResourcePath) -> ResourceValue:
    """Bring a written value into its type, where that loses and invents nothing."""
    match value_type, plain:
        case ValueType.BOOLEAN, bool():
            return ResourceValue(value_type, plain)
        case ValueType.BOOLEAN, 0 | 1:
            return ResourceValue(value_type, plain == 1)
        case ((ValueType.INTEGER | ValueType.UNSIGNED | ValueType.TIME | ValueType.FLOAT), bool()):
            pass
        case ((ValueType.INTEGER | ValueType.UNSIGNED | ValueType.TIME), (int() | float())) if _is_whole(plain):
            return ResourceValue(value_type, int(plain))
        case ValueType.FLOAT, (int() | float()) if is_finite_number(plain):
            return ResourceValue(value_type, float(plain))
        case ((ValueType.STRING | ValueType.CORELNK), str()):
            return ResourceValue(value_type, plain)
        case ((ValueType.STRING | ValueType.CORELNK), bytes()):
            try:
                return ResourceValue(value_type, plain.decode())
            except UnicodeDecodeError:
                pass
        case ValueType.OPAQUE, bytes():
            return ResourceValue(value_type, plain)
        case ValueType.OPAQUE, str():
            # The same bytes an unknown object would get: a text without a type goes out as its UTF-8.
            try:
                return ResourceValue(value_type, plain.encode())
            except UnicodeEncodeError:
                pass
        case ValueType.OBJLNK, str():
            try:
                return ResourceValue(value_type, parse_object_link(plain))
            except DecodeError:
                pass
    raise _refusal(plain, value_type, path)


def _refusal(plain: Plain, value_type: ValueType, path: ResourcePath) -> EncodeError:
    return EncodeError(f"resource {path}: {plain!r:.80} is no {value_type.value}: {_ALLOWED[value_type]} is allowed")


_ALLOWED: Final = {
    ValueType.STRING: "text",
    ValueType.INTEGER: f"a whole number from {INTEGER_MIN} to {INTEGER_MAX}",
    ValueType.UNSIGNED: f"a whole number from 0 to {UNSIGNED_MAX}",
    ValueType.FLOAT: "a finite number",
    ValueType.BOOLEAN: "true or false",
    ValueType.OPAQUE: "hexadecimal text with type 1",
    ValueType.TIME: "whole seconds since 1970",
    ValueType.OBJLNK: 'text such as "66:0"',
    ValueType.CORELNK: "text",
}
