"""LwM2M JSON, Content-Format 11543 (and 1543): the JSON of LwM2M 1.0. Source: OMA LwM2M 1.0 core section 6.4.4."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath, ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.json_text import Json, decode_json, encode_json
from commandpost.protocols.lwm2m.names import resolve_name
from commandpost.protocols.lwm2m.node import ValuesBuilder
from commandpost.protocols.lwm2m.senml import NAME_CHARACTERS_MAX
from commandpost.protocols.lwm2m.tlv import encode_value
from commandpost.protocols.lwm2m.values import is_finite_number, value_from_plain

_VALUES: Final = ("v", "bv", "sv", "ov")


def decode_lwm2m_json(payload: bytes, *, path: ResourcePath, model: ObjectModel) -> ObjectValues:
    """Decode the answer to a Read, or a Notify, of `path`; of several times the latest value stands.

    Raises:
        DecodeError: not this format, or something else than `path` came.
    """
    builder = ValuesBuilder(path)
    if path.instance_id is not None and path.resource_id is None:
        builder.add_instance(path.instance_id, offset=0)
    times: dict[tuple[int, ...], float] = {}
    for time, parts, value in iter_lwm2m_json(payload, path=path, model=model):
        if time < times.get(parts, time):
            continue
        times[parts] = time
        builder.add(parts, value, offset=0)
    return builder.build()


def iter_lwm2m_json(
    payload: bytes, *, path: ResourcePath, model: ObjectModel
) -> Iterator[tuple[float, tuple[int, ...], ResourceValue]]:
    """Give the values in their order: base time plus time, ids, value.

    Raises:
        DecodeError: as `decode_lwm2m_json`.
    """
    document = decode_json(payload)
    if not isinstance(document, dict):
        raise DecodeError("LwM2M JSON is an object with the array e", offset=0)
    base, entries = document.get("bn", ""), document.get("e")
    if not isinstance(base, str) or not isinstance(entries, list):
        raise DecodeError("LwM2M JSON has a text bn and an array e", offset=0)
    base_time = _time(document, "bt")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DecodeError(f"entry {index} is no object")
        parts = _parts(base, entry, path, index)
        yield base_time + _time(entry, "t"), parts, _value(entry, parts, model, index)


def encode_lwm2m_json(values: ObjectValues, *, path: ResourcePath) -> bytes:
    """Encode values with the base name of `path`'s instance, or of its object.

    Raises:
        EncodeError: a value is not one of its type, or not below `path`.
    """
    base = "/" + "".join(f"{part}/" for part in path.parts[:2])
    entries: list[Json] = []
    for leaf, value in values.leaves():
        name = str(leaf)
        if not name.startswith(base):
            raise EncodeError(f"{leaf} is not below {path}")
        label, content = _labelled(value)
        entries.append({"n": name[len(base) :], label: content})
    return encode_json({"bn": base, "e": entries})


def _time(fields: dict[str, Json], label: str) -> float:
    time = fields.get(label, 0)
    if isinstance(time, bool) or not isinstance(time, int | float) or not is_finite_number(time):
        raise DecodeError(f"the time {label} is no number")
    return time


def _parts(base: str, entry: dict[str, Json], path: ResourcePath, index: int) -> tuple[int, ...]:
    name = entry.get("n", "")
    if not isinstance(name, str):
        raise DecodeError(f"the name of entry {index} is no text")
    full = base + name
    if len(full) > NAME_CHARACTERS_MAX:
        raise DecodeError(f"a name of {len(full)} characters: up to {NAME_CHARACTERS_MAX} are allowed")
    return resolve_name(full, path=path)


def _value(entry: dict[str, Json], parts: tuple[int, ...], model: ObjectModel, index: int) -> ResourceValue:
    held = [label for label in _VALUES if label in entry]
    if len(held) != 1:
        raise DecodeError(f"entry {index} has {len(held)} values: one is allowed")
    label = held[0]
    plain = entry[label]
    value_type = model.type_of(parts[0], parts[2]) if len(parts) > 2 else None
    match label, plain:
        case "bv", bool():
            return value_from_plain(value_type, plain)
        case "v", (int() | float()) if not isinstance(plain, bool):
            return value_from_plain(value_type, plain)
        case "ov", str():
            return value_from_plain(ValueType.OBJLNK, plain)
        case "sv", str() if value_type is ValueType.OPAQUE:
            return ResourceValue(ValueType.OPAQUE, _decode_opaque(plain, index))
        case "sv", str():
            return value_from_plain(value_type, plain)
    raise DecodeError(f"field {label} of entry {index} holds a value of another kind")


def _decode_opaque(text: str, index: int) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise DecodeError(f"the opaque value of entry {index} is no base64") from None


def _labelled(value: ResourceValue) -> tuple[str, Json]:
    encode_value(value)  # which also refuses what the type cannot hold
    content = value.value
    match content:
        case bool():
            return "bv", content
        case int() | float():
            return "v", content
        case bytes():
            return "sv", b64encode(content).decode("ascii")
        case str():
            return "sv", content
        case _:
            return "ov", str(content)
