"""What a device reports: the seven data types that `$dp` (MQTT) and SAVE_DATA (EDP) share, in both their layouts.

Here: the bytes around a text, a binary or floats. Not here: what a text says (domain/data_forms.py), and whether a time
exists (domain/local_time.py). The two layouts differ in types 6 and 7 only. Source: southbound reference 5.3 and 6.6.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, NamedTuple, TypeAlias

from commandpost.protocols.errors import DecodeError, EncodeError

TEXT_BYTES_MAX: Final = 65_535  # the length field has 16 bits
BINARY_BYTES_MAX: Final = 3 * 1024 * 1024  # southbound reference 5.3, type 2
DP_FLOATS_MAX: Final = 500  # one `$dp` packet, southbound reference 5.3, type 7
SAVE_FLOATS_MAX: Final = 1_000  # one SAVE_DATA message, southbound reference 6.6
STREAM_NUMBER_MAX: Final = 65_535  # the field has 16 bits; 0 is no stream
TIME_BYTES: Final = 6

_YEAR_MIN: Final = 2000
_TIME_PRESENT: Final = 0x80
_NO_TIME: Final = bytes(TIME_BYTES)
_FLOAT_GROUP: Final = struct.Struct(">HH")
_STREAM_NUMBER: Final = struct.Struct(">H")
_FLOAT: Final = struct.Struct("<f")  # little-endian, alone among all numbers of both protocols
_SAVED_FLOAT_BYTES: Final = 6


class DataType(IntEnum):
    """The first byte of a report, without its flags."""

    STREAMS = 1
    BINARY = 2
    VALUES = 3
    TIMED_VALUES = 4
    DELIMITED = 5
    DELIMITED_AT = 6
    FLOATS = 7


class LocalTime(NamedTuple):
    """The six time bytes: a local clock without zone. Nothing says that they make a date."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReport:
    """Types 1, 3, 4, 5 and 6: a text. Type 6 is form 5 with a time for what names none itself."""

    form: Literal[1, 3, 4, 5]
    text: bytes
    at: LocalTime | None = None

    def __post_init__(self) -> None:
        """Refuse what no layout can hold."""
        if self.form not in (1, 3, 4, 5) or (self.at is not None and self.form != 5):
            raise EncodeError(f"form {self.form} with time {self.at}: forms are 1, 3, 4, 5, and only 5 has a time")
        if len(self.text) > TEXT_BYTES_MAX:
            raise EncodeError(f"a text has at most {TEXT_BYTES_MAX} bytes, not {len(self.text)}")
        if self.at is not None:
            _check_time(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryReport:
    """Type 2: bytes, behind a JSON header that names their stream."""

    header: bytes
    payload: bytes

    def __post_init__(self) -> None:
        """Refuse what no layout can hold."""
        if len(self.header) > TEXT_BYTES_MAX or len(self.payload) > BINARY_BYTES_MAX:
            raise EncodeError(
                f"{len(self.header)} bytes of header and {len(self.payload)} of binary: "
                f"{TEXT_BYTES_MAX} and {BINARY_BYTES_MAX} are allowed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatReport:
    """Type 7: floats of 4 bytes by stream number, all of one time."""

    at: LocalTime | None
    points: tuple[tuple[int, float], ...]
    """Stream number 1 to 65535, and a value that need not be finite."""

    def __post_init__(self) -> None:
        """Refuse what no layout can hold."""
        if not 1 <= len(self.points) <= SAVE_FLOATS_MAX:
            raise EncodeError(f"a report has 1 to {SAVE_FLOATS_MAX} floats, not {len(self.points)}")
        if any(not 1 <= number <= STREAM_NUMBER_MAX for number, _ in self.points):
            raise EncodeError(f"stream numbers are 1 to {STREAM_NUMBER_MAX}")
        if self.at is not None:
            _check_time(self.at)


DataReport: TypeAlias = TextReport | BinaryReport | FloatReport


def decode_dp(payload: bytes) -> DataReport:
    """Read the payload of a PUBLISH to `$dp`.

    Wire: type in bits 0 to 5 of the first byte, bit 6 zero, bit 7 "time present" (types 6 and 7 only); then the body.
    Raises:
        DecodeError: no such type, or a declared length disagrees with what is there. Samples of the vendor write type
            byte 1 in front of any string: such a payload is dropped, and the device stays connected.
    Source: southbound reference 5.3.
    """
    if not payload:
        raise DecodeError("a report begins with its type", offset=0)
    kind, has_time = payload[0] & ~_TIME_PRESENT, payload[0] >= _TIME_PRESENT
    if has_time and kind not in (DataType.DELIMITED_AT, DataType.FLOATS):
        raise DecodeError(f"a report of type {kind} has no time")
    if kind == DataType.DELIMITED_AT:
        at, position = _read_time(payload, 1) if has_time else (None, 1)
        return TextReport(form=5, text=_read_text(payload, position), at=at)
    if kind == DataType.FLOATS:
        at, position = _read_time(payload, 1) if has_time else (None, 1)
        return FloatReport(at=at, points=_read_float_groups(payload, position))
    return _read_plain(kind, payload, 1)


def decode_save_body(kind: int, body: bytes) -> DataReport:
    """Read what follows the type byte of a SAVE_DATA message.

    Wire: as in `$dp`, but types 6 and 7 always have 6 time bytes (all zero: none), and type 7 has one 16 bit count,
    then stream number and float32 of each point.
    Args:
        kind: the type byte.
    Raises:
        DecodeError: no such type, or a declared length disagrees with what is there; `offset` counts from the body.
    Source: southbound reference 6.6.
    """
    form = _TEXT_FORMS.get(kind)
    if form is not None:
        # What nearly every device sends.
        return TextReport(form=form, text=_read_text(body, 0))
    if kind == DataType.DELIMITED_AT:
        at, position = _read_time(body, 0)
        return TextReport(form=5, text=_read_text(body, position), at=at)
    if kind == DataType.FLOATS:
        at, position = _read_time(body, 0)
        return FloatReport(at=at, points=_read_floats(body, position))
    return _read_plain(kind, body, 0)


def encode_dp(report: DataReport) -> bytes:
    """Write the payload of a PUBLISH to `$dp`.

    Raises:
        EncodeError: more than DP_FLOATS_MAX floats, or a value beyond a float of 4 bytes.
    Source: southbound reference 5.3.
    """
    match report:
        case FloatReport():
            if len(report.points) > DP_FLOATS_MAX:
                raise EncodeError(f"a packet has at most {DP_FLOATS_MAX} floats, not {len(report.points)}")
            return _dp_head(DataType.FLOATS, report.at) + _write_float_groups(report.points)
        case TextReport(at=LocalTime()):
            return _dp_head(DataType.DELIMITED_AT, report.at) + _write_text(report.text)
    return _write_plain(report)


def encode_save_body(report: DataReport) -> bytes:
    """Write the type byte of a SAVE_DATA message and what follows it.

    Raises:
        EncodeError: a value is beyond a float of 4 bytes.
    Source: southbound reference 6.6.
    """
    match report:
        case FloatReport():
            head = bytes((DataType.FLOATS,)) + _write_time(report.at) + _STREAM_NUMBER.pack(len(report.points))
            return head + b"".join(_STREAM_NUMBER.pack(number) + _write_float(value) for number, value in report.points)
        case TextReport(at=LocalTime()):
            return bytes((DataType.DELIMITED_AT,)) + _write_time(report.at) + _write_text(report.text)
    return _write_plain(report)


_TEXT_FORMS: Final[Mapping[int, Literal[1, 3, 4, 5]]] = {1: 1, 3: 3, 4: 4, 5: 5}


def _read_plain(kind: int, data: bytes, position: int) -> TextReport | BinaryReport:
    # Types 1 to 5 look alike in both layouts.
    form = _TEXT_FORMS.get(kind)
    if form is not None:
        return TextReport(form=form, text=_read_text(data, position))
    if kind == DataType.BINARY:
        return _read_binary(data, position)
    raise DecodeError(f"report type {kind} is not 1 to 7")


def _read_time(data: bytes, position: int) -> tuple[LocalTime | None, int]:
    end = position + TIME_BYTES
    if len(data) < end:
        raise DecodeError("the time is cut off", offset=len(data))
    raw = data[position:end]
    return (None if raw == _NO_TIME else LocalTime(_YEAR_MIN + raw[0], *raw[1:])), end


def _read_length(data: bytes, position: int, size: int) -> tuple[int, int]:
    end = position + size
    if len(data) < end:
        raise DecodeError("a length is cut off", offset=len(data))
    return int.from_bytes(data[position:end], "big"), end


def _read_text(data: bytes, position: int) -> bytes:
    length, start = _read_length(data, position, 2)
    if start + length != len(data):
        raise DecodeError(f"{length} bytes of text are declared, {len(data) - start} are there", offset=position)
    return data[start:]


def _read_binary(data: bytes, position: int) -> BinaryReport:
    header_bytes, header_start = _read_length(data, position, 2)
    header_end = header_start + header_bytes
    payload_bytes, payload_start = _read_length(data, header_end, 4)
    if payload_bytes > BINARY_BYTES_MAX:
        raise DecodeError(f"{payload_bytes} bytes of binary: at most {BINARY_BYTES_MAX}", offset=header_end)
    if payload_start + payload_bytes != len(data):
        raise DecodeError(
            f"{payload_bytes} bytes of binary are declared, {len(data) - payload_start} are there", offset=header_end
        )
    return BinaryReport(header=data[header_start:header_end], payload=data[payload_start:])


def _read_float_groups(data: bytes, position: int) -> tuple[tuple[int, float], ...]:
    points: list[tuple[int, float]] = []
    while position < len(data) or not points:
        if len(data) < position + _FLOAT_GROUP.size:
            raise DecodeError("a group of floats is cut off", offset=len(data))
        number, count = _FLOAT_GROUP.unpack_from(data, position)
        # A group costs at least 8 bytes, and the total is checked before anything is read: the list stays short.
        if number == 0 or count == 0 or len(points) + count > DP_FLOATS_MAX:
            raise DecodeError(f"{count} floats for stream {number}: 1 to {DP_FLOATS_MAX} in all", offset=position)
        position += _FLOAT_GROUP.size
        end = position + count * _FLOAT.size
        if len(data) < end:
            raise DecodeError("floats are cut off", offset=len(data))
        points += [(number, value) for (value,) in _FLOAT.iter_unpack(data[position:end])]
        position = end
    return tuple(points)


def _read_floats(data: bytes, position: int) -> tuple[tuple[int, float], ...]:
    count, start = _read_length(data, position, 2)
    if not 1 <= count <= SAVE_FLOATS_MAX:
        raise DecodeError(f"{count} floats: 1 to {SAVE_FLOATS_MAX} are allowed", offset=position)
    if start + count * _SAVED_FLOAT_BYTES != len(data):
        raise DecodeError(f"{count} floats are declared, {len(data) - start} bytes are there", offset=position)
    points: list[tuple[int, float]] = []
    for at in range(start, len(data), _SAVED_FLOAT_BYTES):
        (number,) = _STREAM_NUMBER.unpack_from(data, at)
        if number == 0:
            raise DecodeError("stream 0 is none", offset=at)
        points.append((number, _FLOAT.unpack_from(data, at + _STREAM_NUMBER.size)[0]))
    return tuple(points)


def _write_plain(report: TextReport | BinaryReport) -> bytes:
    if isinstance(report, TextReport):
        return bytes((report.form,)) + _write_text(report.text)
    length = len(report.payload).to_bytes(4, "big")
    return bytes((DataType.BINARY,)) + _write_text(report.header) + length + report.payload


def _dp_head(kind: DataType, at: LocalTime | None) -> bytes:
    return bytes((kind,)) if at is None else bytes((kind | _TIME_PRESENT,)) + _write_time(at)


def _write_text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _write_time(at: LocalTime | None) -> bytes:
    return _NO_TIME if at is None else bytes((at.year - _YEAR_MIN, *at[1:]))


def _write_float_groups(points: tuple[tuple[int, float], ...]) -> bytes:
    groups: list[tuple[int, list[bytes]]] = []
    for number, value in points:
        if not groups or groups[-1][0] != number:
            groups.append((number, []))
        groups[-1][1].append(_write_float(value))
    return b"".join(_FLOAT_GROUP.pack(number, len(values)) + b"".join(values) for number, values in groups)


def _write_float(value: float) -> bytes:
    try:
        return _FLOAT.pack(value)
    except OverflowError:
        raise EncodeError(f"{value} is beyond a float of 4 bytes") from None


def _check_time(at: LocalTime) -> None:
    # Six zero bytes mean that there is no time, so they cannot be one.
    if not all(0 <= field <= 255 for field in (at.year - _YEAR_MIN, *at[1:])) or at == (_YEAR_MIN, 0, 0, 0, 0, 0):
        raise EncodeError(f"{tuple(at)} has no form in 6 bytes")
