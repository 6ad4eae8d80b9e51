"""The text forms in which devices and applications report datapoints, and what binary and float reports add.

The same forms come over `$dp`, SAVE_DATA and `POST /devices/{id}/datapoints`; whatever text comes, the outcome is
points or `Invalid`, in time linear in its size. Not here: the bytes around a text (protocols/data_report.py).
Source: southbound reference 5.3; northbound reference 7.
"""

import json
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias

from commandpost.domain.datapoint import Datapoint, JsonNumber, JsonValue, check_number, check_stream_id, format_value
from commandpost.domain.errors import Invalid
from commandpost.domain.instant import Instant
from commandpost.domain.local_time import parse_local_time

TextForm: TypeAlias = Literal[1, 3, 4, 5]
"""The number of a text form; type 6 of the wire is form 5 with a time."""

POINTS_MAX: Final = 10_000  # a report is one transaction; 64 KiB of text hold more of single digits only

_BOM: Final = "\ufeff"
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SPACES: Final = " \t\r\n"
# Letters, digits and these begin JSON, numbers or names: a text that starts so is not form 5 at all.
_NO_SEPARATORS: Final = "{}[]\"'"
_FLOAT: Final = struct.Struct("<f")
# Six digits always survive a float of 4 bytes, nine always tell it from its neighbours.
_FLOAT_DIGITS: Final = range(6, 10)
_FLOAT_DIGITS_MAX: Final = 9


class BinaryHeader(NamedTuple):
    """What stands before the bytes of a binary report."""

    stream_id: str
    at: Instant
    description: str
    """The text of `desc`, or its JSON when it is not a string; empty when there is none."""


def decode_text(data: bytes) -> str:
    """Read a report's text.

    Raises:
        Invalid: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("text", data[error.start : error.start + 8], "UTF-8") from None


def parse_form(form: TextForm, text: str, *, now: Instant, utc_offset_ms: int) -> tuple[Datapoint, ...]:
    """Read the points of one report.

    Args:
        form: 1 `{"datastreams":[...]}`, 3 `{"id":value}`, 4 `{"id":{"time":value}}`, 5 delimited text.
        now: the time of points that name none: that of the report, else that of its arrival.
    Returns:
        The points in the order of the text, at most POINTS_MAX; none for an empty form. Of members of one name in
        one JSON object the last counts.
    Raises:
        Invalid: names what is wrong; nothing of such a report counts.
    """
    points = _Points(now, utc_offset_ms)
    _PARSERS[form](text.removeprefix(_BOM), points)
    return tuple(points.found)


def float_points(points: Iterable[tuple[int, float]], *, at: Instant) -> tuple[Datapoint, ...]:
    """Make points of the floats of 4 bytes of a type 7 report; the stream id is the decimal number.

    A value is written with the fewest digits that mean the same float: `-20.3`, not `-20.299999237060547`.
    Raises:
        Invalid: a value is not finite or no float of 4 bytes, or there are more than POINTS_MAX.
    """
    found = _Points(at, 0)
    for stream_number, number in points:
        found.add(str(stream_number), at, _shortest(number))
    return tuple(found.found)


def binary_header(text: str, *, now: Instant, utc_offset_ms: int) -> BinaryHeader:
    """Read `{"ds_id":"img","at":"2015-03-22 22:31:12","desc":...}`, the header of a type 2 report.

    Raises:
        Invalid: no JSON object, no stream id, or a time that is none.
    """
    header = _object(_read_json(text.removeprefix(_BOM)), "header")
    stream_id = check_stream_id(_string(header.get("ds_id"), "ds_id"))
    description = header.get("desc", "")
    # Measured and checked as any other value is.
    written = format_value(description)
    at = _Points(now, utc_offset_ms).time(header.get("at"))
    is_text = isinstance(description, str) and not isinstance(description, JsonNumber)
    return BinaryHeader(stream_id, at, str(description) if is_text else written)


class _Points:
    """The points found so far, and how a time is read."""

    __slots__ = ("_now", "_utc_offset_ms", "found")

    def __init__(self, now: Instant, utc_offset_ms: int) -> None:
        self._now = now
        self._utc_offset_ms = utc_offset_ms
        self.found: list[Datapoint] = []

    @property
    def now(self) -> Instant:
        return self._now

    def add(self, stream_id: str, at: Instant, value: str) -> None:
        if len(self.found) >= POINTS_MAX:
            raise Invalid("points", f"more than {POINTS_MAX}", f"at most {POINTS_MAX} in one report")
        self.found.append(Datapoint(stream_id=stream_id, at=at, value=value))

    def time(self, found: JsonValue) -> Instant:
        """Read a time; absent, null and empty are now."""
        if found is None or found == "":
            return self._now
        text = _string(found, "at")
        parsed = parse_local_time(text.strip(_SPACES), utc_offset_ms=self._utc_offset_ms)
        if parsed is None:
            raise Invalid("at", text[:40], "a time such as 2015-03-22 22:31:12")
        return parsed.at


def _parse_streams(text: str, points: _Points) -> None:
    # Form 1: {"datastreams":[{"id":"t","datapoints":[{"at":"2015-03-22 22:31:12","value":22.5}]}]}
    report = _object(_read_json(text), "body")
    for stream in _array(report.get("datastreams"), "datastreams"):
        members = _object(stream, "datastreams")
        stream_id = check_stream_id(_string(members.get("id"), "id"))
        for point in _array(members.get("datapoints"), "datapoints"):
            fields = _object(point, "datapoints")
            if "value" not in fields:
                raise Invalid("value", "absent", "any JSON value")
            points.add(stream_id, points.time(fields.get("at")), format_value(fields["value"]))


def _parse_values(text: str, points: _Points) -> None:
    # Form 3: {"t":22.5,"h":"95.2%"}
    for stream_id, value in _object(_read_json(text), "body").items():
        points.add(check_stream_id(stream_id), points.now, format_value(value))


def _parse_timed_values(text: str, points: _Points) -> None:
    # Form 4: {"t":{"2015-03-22 22:31:12":22.5}}
    for stream_id, values in _object(_read_json(text), "body").items():
        check_stream_id(stream_id)
        for at, value in _object(values, "values by time").items():
            points.add(stream_id, points.time(at), format_value(value))


def _parse_delimited(text: str, points: _Points) -> None:
    # Form 5: ,;temperature,2015-03-22 22:31:12,22.5;102;pm2.5,89;10
    separators = text[:2]
    if len(separators) < 2 or separators[0] == separators[1] or not all(map(_is_separator, separators)):
        raise Invalid("separators", separators, "two different signs, no letter, digit, quote or bracket")
    for position, record in enumerate(text[2:].split(separators[1]), 1):
        # Nothing between two separators is no value for the stream of that position; the last one often ends the text.
        if not record.strip(_SPACES):
            continue
        fields = record.split(separators[0], 3)
        match fields:
            case [value]:
                points.add(str(position), points.now, _delimited_value(value))
            case [stream_id, value]:
                points.add(check_stream_id(stream_id.strip(_SPACES)), points.now, _delimited_value(value))
            case [stream_id, at, value]:
                points.add(check_stream_id(stream_id.strip(_SPACES)), points.time(at), _delimited_value(value))
            case _:
                raise Invalid("record", record[:40], "one to three fields")


_PARSERS: Final[Mapping[TextForm, Callable[[str, _Points], None]]] = {
    1: _parse_streams,
    3: _parse_values,
    4: _parse_timed_values,
    5: _parse_delimited,
}


def _is_separator(sign: str) -> bool:
    return not sign.isalnum() and sign not in _NO_SEPARATORS


def _delimited_value(text: str) -> str:
    number = text.strip(_SPACES)
    # A number that no reader could hold stays the text it is.
    if _NUMBER.fullmatch(number):
        try:
            return str(check_number(number))
        except Invalid:
            pass
    return format_value(text)


def _shortest(number: float) -> str:
    try:
        raw = _FLOAT.pack(number)
    except OverflowError:
        raise Invalid("value", number, "a float of 4 bytes") from None
    for digits in _FLOAT_DIGITS:
        candidate = float(f"{number:.{digits}g}")
        if digits == _FLOAT_DIGITS_MAX or _FLOAT.pack(candidate) == raw:
            return format_value(candidate)
    raise AssertionError("nine digits tell every float of 4 bytes")


def _refuse_constant(name: str) -> NoReturn:
    raise Invalid("number", name, "a finite number")


_decode_json: Final = json.JSONDecoder(
    parse_int=check_number, parse_float=check_number, parse_constant=_refuse_constant
).decode


def _read_json(text: str) -> JsonValue:
    try:
        # The reader of the standard library is not typed.
        value: JsonValue = _decode_json(text)
    except json.JSONDecodeError as error:
        raise Invalid("body", f"no JSON at {error.pos}: {error.msg}", "a JSON object") from None
    except RecursionError:
        raise Invalid("body", "nested too deep", "JSON of a few levels") from None
    return value


def _object(value: JsonValue, field: str) -> dict[str, JsonValue]:
    if isinstance(value, dict):
        return value
    raise Invalid(field, _kind(value), "an object")


def _array(value: JsonValue, field: str) -> list[JsonValue]:
    if isinstance(value, list):
        return value
    raise Invalid(field, _kind(value), "an array")


def _string(value: JsonValue, field: str) -> str:
    if isinstance(value, str) and not isinstance(value, JsonNumber):
        return value
    raise Invalid(field, _kind(value), "a string")


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "absent"
        case dict():
            return "an object"
        case list():
            return "an array"
        case JsonNumber():
            return "a number"
    return "true or false" if isinstance(value, bool) else "a string"
