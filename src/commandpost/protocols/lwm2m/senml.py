"""SenML records as both of its encodings carry them.

Here: base fields, names, and which value a record holds. Not here: JSON or CBOR (senml_json, senml_cbor).
Source: RFC 8428 section 4; OMA LwM2M 1.1 core section 7.4.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath, ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.names import resolve_name
from commandpost.protocols.lwm2m.node import ValuesBuilder
from commandpost.protocols.lwm2m.tlv import encode_value
from commandpost.protocols.lwm2m.values import is_finite_number, value_from_plain

BASE_NAME: Final = "bn"
BASE_TIME: Final = "bt"
BASE_VALUE: Final = "bv"
BASE_VERSION: Final = "bver"
NAME: Final = "n"
TIME: Final = "t"
NUMBER: Final = "v"
TEXT: Final = "vs"
BOOLEAN: Final = "vb"
DATA: Final = "vd"
OBJECT_LINK: Final = "vlo"

VERSION: Final = 10  # of SenML, the only one there is (RFC 8428 section 4.4)
NAME_CHARACTERS_MAX: Final = 64  # the longest path with its slashes has 24
_VALUES: Final = (NUMBER, TEXT, BOOLEAN, DATA, OBJECT_LINK)
_KINDS: Final[Mapping[str, type]] = {TEXT: str, BOOLEAN: bool, DATA: bytes, OBJECT_LINK: str}

Plain = bool | int | float | str | bytes
Record = Mapping[str, Plain]
"""One record by its JSON labels; data values are bytes already."""


@dataclass(slots=True)
class _Base:
    name: str = ""
    time: float = 0
    value: float = 0


def decode_records(records: Sequence[Record], *, path: ResourcePath, model: ObjectModel) -> ObjectValues:
    """Read the records of a pack; where one resource comes with several times the latest value stands.

    Raises:
        DecodeError: a field has a value of a wrong kind, a record has two values, a field that must be understood is
            unknown, or something else than `path` came.
    """
    builder = ValuesBuilder(path)
    if path.instance_id is not None and path.resource_id is None:
        builder.add_instance(path.instance_id, offset=0)
    times: dict[tuple[int, ...], float] = {}
    for time, parts, value in iter_records(records, path=path, model=model):
        if time < times.get(parts, time):
            continue
        times[parts] = time
        builder.add(parts, value, offset=0)
    return builder.build()


def iter_records(
    records: Sequence[Record], *, path: ResourcePath | None, model: ObjectModel
) -> Iterator[tuple[float, tuple[int, ...], ResourceValue]]:
    """Give the values of a pack in their order: time as RFC 8428 section 4.5.3 adds it up, ids, value.

    Args:
        path: what relative names count from; None where there is nothing but the root.
    Raises:
        DecodeError: as `decode_records`.
    """
    base = _Base()
    for index, record in enumerate(records):
        _take_base(base, record, index)
        held = [label for label in _VALUES if label in record]
        if not held:
            continue
        if len(held) > 1:
            raise DecodeError(f"SenML record {index} has {len(held)} values")
        name = _text(record, NAME, index) if NAME in record else ""
        parts = resolve_name(_bounded(base.name + name), path=path)
        time = base.time + (_number(record, TIME, index) if TIME in record else 0)
        yield time, parts, _value(record, held[0], base, parts, model, index)


def encode_records(values: ObjectValues, *, path: ResourcePath) -> list[dict[str, Plain]]:
    """Give the records of a tree: the first has the base name of the path, the others only their own.

    Raises:
        EncodeError: a value is not one of its type.
    """
    base = "/" + "".join(f"{part}/" for part in path.parts[:2])
    records: list[dict[str, Plain]] = []
    for leaf, value in values.leaves():
        name = str(leaf)
        if not name.startswith(base):
            raise EncodeError(f"{leaf} is not below {path}")
        record: dict[str, Plain] = {} if records else {BASE_NAME: base}
        record[NAME] = name[len(base) :]
        label, content = _labelled(value)
        record[label] = content
        records.append(record)
    return records


def _take_base(base: _Base, record: Record, index: int) -> None:
    for label in record:
        if label.endswith("_"):  # RFC 8428 section 4.4: whoever does not know such a field must refuse the pack
            raise DecodeError(f"SenML field {label!r:.40} is not known here")
    if BASE_VERSION in record and _number(record, BASE_VERSION, index) > VERSION:
        raise DecodeError(f"SenML record {index} is of a later version than {VERSION}")
    if BASE_NAME in record:
        base.name = _bounded(_text(record, BASE_NAME, index))
    if BASE_TIME in record:
        base.time = _number(record, BASE_TIME, index)
    if BASE_VALUE in record:
        base.value = _number(record, BASE_VALUE, index)


def _value(
    record: Record, label: str, base: _Base, parts: tuple[int, ...], model: ObjectModel, index: int
) -> ResourceValue:
    plain = record[label]
    if label == NUMBER:
        number = _number(record, NUMBER, index)
        plain = number + base.value if base.value else number
    elif not isinstance(plain, _KINDS[label]):
        raise DecodeError(f"SenML field {label} of record {index} holds {type(plain).__name__}")
    value_type = model.type_of(parts[0], parts[2]) if len(parts) > 2 else None
    if label == OBJECT_LINK:
        value_type = ValueType.OBJLNK
    return value_from_plain(value_type, plain)


def _labelled(value: ResourceValue) -> tuple[str, Plain]:
    encode_value(value)  # which also refuses what the type cannot hold
    content = value.value
    match value.type:
        case ValueType.BOOLEAN:
            label = BOOLEAN
        case ValueType.OPAQUE:
            label = DATA
        case ValueType.OBJLNK:
            return OBJECT_LINK, str(content)
        case ValueType.STRING | ValueType.CORELNK:
            label = TEXT
        case _:
            label = NUMBER
    assert isinstance(content, bool | int | float | str | bytes)
    return label, content


def _text(record: Record, label: str, index: int) -> str:
    value = record[label]
    if not isinstance(value, str):
        raise DecodeError(f"SenML field {label} of record {index} is no text")
    return value


def _number(record: Record, label: str, index: int) -> int | float:
    value = record[label]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError(f"SenML field {label} of record {index} is no number")
    if not is_finite_number(value):
        raise DecodeError(f"SenML field {label} of record {index} is beyond a float of 8 bytes")
    return value


def _bounded(name: str) -> str:
    if len(name) > NAME_CHARACTERS_MAX:
        raise DecodeError(f"a name of {len(name)} characters: up to {NAME_CHARACTERS_MAX} are allowed")
    return name
