"""OMA-TLV, Content-Format 11542 (and 1542, its number before registration).

Here: entries and the bytes of single values. Not here: which type a resource has (domain.object_model).
Source: OMA LwM2M 1.0 core section 6.4.3 and appendix C.
"""

import struct
from collections.abc import Iterator
from math import isfinite
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import (
    ID_MAX,
    INTEGER_MAX,
    INTEGER_MIN,
    UNSIGNED_MAX,
    ObjectLink,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.node import ValuesBuilder

OBJECT_INSTANCE: Final = 0b00
RESOURCE_INSTANCE: Final = 0b01
MULTIPLE_RESOURCE: Final = 0b10
RESOURCE: Final = 0b11

_KIND_SHIFT: Final = 6
_WIDE_ID: Final = 0x20
_LENGTH_BYTES_SHIFT: Final = 3
_SHORT_LENGTH_MAX: Final = 7
_LENGTH_MAX: Final = 2**24 - 1
_INTEGER_WIDTHS: Final = (1, 2, 4, 8)
_KIND_NAMES: Final = ("object instance", "resource instance", "multiple resource", "resource")

_Entry = tuple[int, int, int, int]
"""Kind, identifier, and where the value begins and ends."""


def decode_tlv(payload: bytes, *, path: ResourcePath, model: ObjectModel) -> ObjectValues:
    """Decode the answer to a Read, or a Notify, of `path`.

    An instance may come with or without its object-instance entry; without one on an object path it is instance 0.
    A resource that the model does not know stays opaque.
    Raises:
        DecodeError: a length leaves its enclosing entry, an entry stands where it must not, a value has a length its
            type does not have, or something else than `path` came.
    """
    builder = ValuesBuilder(path)
    if path.instance_id is not None and path.resource_id is None:
        builder.add_instance(path.instance_id, offset=0)
    for entry in _entries(payload, 0, len(payload)):
        kind, number, start, end = entry
        if kind == OBJECT_INSTANCE:
            builder.add_instance(number, offset=start)
            for inner in _entries(payload, start, end):
                _add_resource(builder, payload, inner, number, path, model)
        else:
            _add_resource(builder, payload, entry, path.instance_id or 0, path, model)
    return builder.build()


def encode_tlv(values: ObjectValues, *, wraps_instances: bool) -> bytes:
    """Encode values, each instance inside an object-instance entry or, for one instance, its resources alone.

    Raises:
        EncodeError: several instances without their entries, or an entry above 2**24 - 1 bytes.
    """
    if not wraps_instances and len(values.instances) > 1:
        raise EncodeError(f"{len(values.instances)} instances of object {values.object_id} need an entry each")
    parts: list[bytes] = []
    for instance in values.instances:
        body = b"".join(_encode_resource(resource) for resource in instance.resources)
        parts.append(_encode_entry(OBJECT_INSTANCE, instance.id, body) if wraps_instances else body)
    return b"".join(parts)


def decode_value(value_type: ValueType | None, raw: bytes, *, offset: int = 0) -> ResourceValue:
    """Decode the bytes of one value; without a type they stay as they are.

    Raises:
        DecodeError: the type does not have this length, or the value is none of the type's.
    """
    match value_type:
        case None | ValueType.OPAQUE:
            return ResourceValue(ValueType.OPAQUE, raw)
        case ValueType.STRING | ValueType.CORELNK:
            try:
                return ResourceValue(value_type, raw.rstrip(b"\0").decode())
            except UnicodeDecodeError:
                return ResourceValue(ValueType.OPAQUE, raw)  # what the device sent is worth more than an error
        case ValueType.INTEGER | ValueType.TIME | ValueType.UNSIGNED:
            if raw and len(raw) not in _INTEGER_WIDTHS:
                raise DecodeError(f"{value_type.value} of {len(raw)} bytes: 0, 1, 2, 4 or 8 are allowed", offset=offset)
            return ResourceValue(value_type, int.from_bytes(raw, "big", signed=value_type is not ValueType.UNSIGNED))
        case ValueType.FLOAT:
            return ResourceValue(value_type, _decode_float(raw, offset))
        case ValueType.BOOLEAN:
            if raw not in (b"\0", b"\1"):
                raise DecodeError(f"boolean of {len(raw)} bytes: one byte 0 or 1 is allowed", offset=offset)
            return ResourceValue(value_type, raw == b"\1")
        case ValueType.OBJLNK:
            if len(raw) != 4:
                raise DecodeError(f"object link of {len(raw)} bytes: 4 are allowed", offset=offset)
            return ResourceValue(value_type, ObjectLink(*struct.unpack(">HH", raw)))


def encode_value(value: ResourceValue) -> bytes:
    """Encode one value: the shortest integer, a float of 4 bytes where that loses nothing.

    Raises:
        EncodeError: the value is not one of its type, or out of the type's range.
    """
    content = value.value
    match value.type, content:
        case ValueType.BOOLEAN, bool():
            return b"\1" if content else b"\0"
        case ((ValueType.INTEGER | ValueType.TIME), (int() | float())) if not isinstance(content, bool):
            return _encode_integer(content, signed=True)
        case ValueType.UNSIGNED, int() if not isinstance(content, bool):
            return _encode_integer(content, signed=False)
        case ValueType.FLOAT, (int() | float()) if not isinstance(content, bool):
            return encode_float(content)
        case ((ValueType.STRING | ValueType.CORELNK), str()):
            return encode_text(content)
        case ValueType.OPAQUE, bytes():
            return content
        case ValueType.OBJLNK, ObjectLink():
            return struct.pack(">HH", content.object_id, content.instance_id)
        case _:
            raise EncodeError(f"{content!r:.80} is not of type {value.type.value}")


def encode_float(number: float) -> bytes:
    """Give 4 bytes if the number survives them, else 8.

    Raises:
        EncodeError: the number is not finite or above a double.
    """
    try:
        number = float(number)
    except OverflowError:
        raise EncodeError("the number is above what a float of 8 bytes holds") from None
    if not isfinite(number):
        raise EncodeError(f"{number} is not a finite number")
    try:
        short = struct.pack(">f", number)
    except OverflowError:
        return struct.pack(">d", number)
    return short if struct.unpack(">f", short)[0] == number else struct.pack(">d", number)


def encode_text(text: str) -> bytes:
    """Give the UTF-8 bytes of a text.

    Raises:
        EncodeError: the text holds half a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EncodeError("the text holds half a surrogate pair, which UTF-8 cannot carry") from None


def _entries(payload: bytes, start: int, end: int) -> Iterator[_Entry]:
    """Walk the entries between two offsets; every length is bound by `end`."""
    position = start
    while position < end:
        head = payload[position]
        id_bytes = 2 if head & _WIDE_ID else 1
        length_bytes = (head >> _LENGTH_BYTES_SHIFT) & 0b11
        value_start = position + 1 + id_bytes + length_bytes
        if value_start > end:
            raise DecodeError("a TLV header is cut short", offset=position)
        id_end = position + 1 + id_bytes
        number = int.from_bytes(payload[position + 1 : id_end], "big")
        if length_bytes:
            if head & _SHORT_LENGTH_MAX:
                raise DecodeError(f"TLV type byte {head:#04x} gives its length twice", offset=position)
            length = int.from_bytes(payload[id_end:value_start], "big")
        else:
            length = head & _SHORT_LENGTH_MAX
        value_end = value_start + length
        if value_end > end:
            raise DecodeError(
                f"a TLV value of {length} bytes leaves its entry, {end - value_start} remain", offset=position
            )
        yield head >> _KIND_SHIFT, number, value_start, value_end
        position = value_end


def _add_resource(
    builder: ValuesBuilder,
    payload: bytes,
    entry: _Entry,
    instance_id: int,
    path: ResourcePath,
    model: ObjectModel,
) -> None:
    kind, number, start, end = entry
    object_id = path.object_id
    if kind == RESOURCE:
        value = decode_value(model.type_of(object_id, number), payload[start:end], offset=start)
        builder.add((object_id, instance_id, number), value, offset=start)
    elif kind == MULTIPLE_RESOURCE:
        builder.add_resource(instance_id, number, offset=start)
        value_type = model.type_of(object_id, number)
        for inner_kind, inner_number, inner_start, inner_end in _entries(payload, start, end):
            if inner_kind != RESOURCE_INSTANCE:
                raise DecodeError(f"a {_KIND_NAMES[inner_kind]} entry inside a multiple resource", offset=inner_start)
            value = decode_value(value_type, payload[inner_start:inner_end], offset=inner_start)
            builder.add((object_id, instance_id, number, inner_number), value, offset=inner_start)
    elif kind == RESOURCE_INSTANCE and path.resource_id is not None:
        # A resource instance that was read by its own path may come without the entry around it.
        value = decode_value(model.type_of(object_id, path.resource_id), payload[start:end], offset=start)
        builder.add((object_id, instance_id, path.resource_id, number), value, offset=start)
    else:
        raise DecodeError(f"a {_KIND_NAMES[kind]} entry where a resource belongs", offset=start)


def _decode_float(raw: bytes, offset: int) -> float:
    if len(raw) == 4:
        number: float = struct.unpack(">f", raw)[0]
    elif len(raw) == 8:
        number = struct.unpack(">d", raw)[0]
    else:
        raise DecodeError(f"float of {len(raw)} bytes: 4 or 8 are allowed", offset=offset)
    if not isfinite(number):
        raise DecodeError(f"float {number}: only finite numbers can be told to an application", offset=offset)
    return number


def _encode_integer(number: float, *, signed: bool) -> bytes:
    if isinstance(number, float):
        if not number.is_integer():
            raise EncodeError(f"{number} is not a whole number")
        number = int(number)
    low, high = (INTEGER_MIN, INTEGER_MAX) if signed else (0, UNSIGNED_MAX)
    if not low <= number <= high:
        raise EncodeError(f"integer is out of range: {low} to {high} is allowed")
    for width in _INTEGER_WIDTHS:
        try:
            return number.to_bytes(width, "big", signed=signed)
        except OverflowError:
            continue
    raise AssertionError("a number in range fits 8 bytes")


def _encode_resource(resource: Resource) -> bytes:
    if isinstance(resource.value, tuple):
        body = b"".join(_encode_entry(RESOURCE_INSTANCE, number, encode_value(one)) for number, one in resource.value)
        return _encode_entry(MULTIPLE_RESOURCE, resource.id, body)
    return _encode_entry(RESOURCE, resource.id, encode_value(resource.value))


def _encode_entry(kind: int, number: int, value: bytes) -> bytes:
    if not 0 <= number <= ID_MAX:
        raise EncodeError(f"id {number} is out of range: 0 to {ID_MAX} is allowed")
    length = len(value)
    if length > _LENGTH_MAX:
        raise EncodeError(f"{length} bytes do not fit one TLV entry: up to {_LENGTH_MAX} are allowed")
    head = kind << _KIND_SHIFT
    if number > 0xFF:
        head |= _WIDE_ID
    id_bytes = number.to_bytes(2 if number > 0xFF else 1, "big")
    if length <= _SHORT_LENGTH_MAX:
        return bytes((head | length,)) + id_bytes + value
    length_bytes = (length.bit_length() + 7) // 8
    head |= length_bytes << _LENGTH_BYTES_SHIFT
    return bytes((head,)) + id_bytes + length.to_bytes(length_bytes, "big") + value
