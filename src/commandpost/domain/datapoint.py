"""Datapoints and the streams they belong to; a value is JSON text, kept as its device wrote it.

Here: the records, their bounds, and how a value becomes text. Not here: the forms in which devices report
(domain/data_forms.py). Source: northbound reference 7.
"""

import math
from dataclasses import dataclass
from json import encoder
from typing import Final, TypeAlias

from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import DAY_MS, Instant, after

STREAM_ID_CHARACTERS_MAX: Final = 64  # twice the longest id of the vendor's samples; 192 bytes of Chinese at most
VALUE_BYTES_MAX: Final = 65_536  # one body of `/cmds` or `$dp` is that long; more belongs into binary data
VALUE_DEPTH_MAX: Final = 64  # many JSON readers stop at 100; no device nests more than a handful
NUMBER_CHARACTERS_MAX: Final = 400  # the longest double without an exponent has 309 digits before its point
TAGS_MAX: Final = 64  # as many as anybody would show; a bound on what one stream's record may hold
TAG_CHARACTERS_MAX: Final = 64
UNIT_CHARACTERS_MAX: Final = 64
# A clock that is set, if to the zone of another country, is hours ahead of ours; one that never was is so by years.
AHEAD_MAX_MS: Final = DAY_MS

# Up to here every number without an exponent is below 1.8e308, so that no reader takes it for infinity.
_PLAIN_NUMBER_CHARACTERS: Final = 300
_LITERALS: Final = {None: "null", True: "true", False: "false"}
# The bits of 10**300, so that an integer of ours is never turned into text that no reader holds.
_INTEGER_BITS_MAX: Final = 997


class JsonNumber(str):
    """A JSON number as it was written: `22.50` stays `22.50`, and 2**63 stays whole."""

    __slots__ = ()


JsonValue: TypeAlias = str | bool | int | float | list["JsonValue"] | dict[str, "JsonValue"] | None
"""A `JsonNumber` is a number; any other `str` is a string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datapoint:
    """One value of one stream. Made by `data_forms`, or of a checked stream id and a text of `format_value`.

    Nothing is checked again here: ten thousand of them may stand in one report, or come out of the store.
    """

    stream_id: str
    at: Instant
    value: str
    """Compact JSON text of at most VALUE_BYTES_MAX bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastream:
    """A named series of one device: what its owner says of it, and its latest value."""

    device_id: DeviceId
    id: str
    uuid: str
    created_at: Instant
    unit: str = ""
    unit_symbol: str = ""
    tags: tuple[str, ...] = ()
    current_value: str | None = None
    """JSON text of the latest point; None while there is none."""
    updated_at: Instant | None = None
    """The time of the latest point."""

    def __post_init__(self) -> None:
        """Refuse what has no bound, and half a latest point."""
        check_stream_id(self.id)
        for name, text in (("unit", self.unit), ("unit_symbol", self.unit_symbol)):
            if len(text) > UNIT_CHARACTERS_MAX:
                raise Invalid(name, text[:UNIT_CHARACTERS_MAX], f"at most {UNIT_CHARACTERS_MAX} characters")
        if len(self.tags) > TAGS_MAX or any(len(tag) > TAG_CHARACTERS_MAX for tag in self.tags):
            raise Invalid("tags", len(self.tags), f"at most {TAGS_MAX} of {TAG_CHARACTERS_MAX} characters each")
        if (self.current_value is None) is not (self.updated_at is None):
            raise ValueError(f"stream {self.id} has a latest value without a time, or a time without a value")


def is_ahead(at: Instant, *, now: Instant) -> bool:
    """Tell whether a time lies further ahead of now than a point's may: it would stay its stream's latest for long."""
    return at > after(now, duration_ms=AHEAD_MAX_MS)


def check_stream_id(text: str) -> str:
    """Give a stream id back if it may be one: `3303_0_5700`, `pm2.5`, `$OneNET_LBS`, `温度`.

    Raises:
        Invalid: empty, too long, with a slash, a comma, a space at an end, or a character that cannot be seen.
    """
    if not 0 < len(text) <= STREAM_ID_CHARACTERS_MAX:
        allowed = f"1 to {STREAM_ID_CHARACTERS_MAX} characters"
        raise Invalid("stream id", text[:STREAM_ID_CHARACTERS_MAX], allowed)
    # A slash parts the API's paths, a comma its lists of ids: an id with either could not be named there.
    # A lone surrogate is not printable either: it could not be written as UTF-8.
    if not text.isprintable() or text[0] == " " or text[-1] == " " or "/" in text or "," in text:
        raise Invalid("stream id", text, "visible characters without '/' and ','")
    return text


def check_number(text: str) -> JsonNumber:
    """Give the text of a JSON number back as one, unless no reader could hold it.

    Raises:
        Invalid: longer than NUMBER_CHARACTERS_MAX, or beyond a double.
    """
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise Invalid("number", text[:40], f"up to {NUMBER_CHARACTERS_MAX} characters")
    if (len(text) > _PLAIN_NUMBER_CHARACTERS or "e" in text or "E" in text) and math.isinf(float(text)):
        raise Invalid("number", text[:40], "what a float of 8 bytes can hold")
    return JsonNumber(text)


def format_value(value: JsonValue) -> str:
    """Write a value as compact JSON text.

    Raises:
        Invalid: not a finite number, nested deeper than VALUE_DEPTH_MAX, longer than VALUE_BYTES_MAX, or with half
            of a surrogate pair, which has no form in UTF-8.
    """
    text = write_value(value)
    if len(text) > VALUE_BYTES_MAX or (not text.isascii() and len(_encode(text)) > VALUE_BYTES_MAX):
        raise Invalid("value", text[:40], f"up to {VALUE_BYTES_MAX} bytes of JSON text")
    return text


def write_value(value: JsonValue) -> str:
    """Write a value as `format_value` does, of any length.

    Raises:
        Invalid: not a finite number, or nested deeper than VALUE_DEPTH_MAX.
    """
    parts: list[str] = []
    _write(value, 1, parts)
    return parts[0] if len(parts) == 1 else "".join(parts)


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("text", error.object[error.start], "text without halves of surrogate pairs") from None


def _write(value: JsonValue, depth: int, parts: list[str]) -> None:
    if isinstance(value, JsonNumber):
        parts.append(str.__str__(value))
    elif isinstance(value, str):
        parts.append(encoder.encode_basestring(value))
    elif isinstance(value, list | dict):
        if depth > VALUE_DEPTH_MAX:
            raise Invalid("value", f"nested deeper than {VALUE_DEPTH_MAX}", f"at most {VALUE_DEPTH_MAX} levels")
        if isinstance(value, list):
            _write_list(value, depth + 1, parts)
        else:
            _write_object(value, depth + 1, parts)
    elif value is None or isinstance(value, bool):
        parts.append(_LITERALS[value])
    elif math.isfinite(value) if isinstance(value, float) else value.bit_length() <= _INTEGER_BITS_MAX:
        parts.append(repr(value))
    else:
        raise Invalid("value", "a number without bound", "a finite number of up to 300 digits")


def _write_list(items: list[JsonValue], depth: int, parts: list[str]) -> None:
    opening = "["
    for item in items:
        parts.append(opening)
        _write(item, depth, parts)
        opening = ","
    parts.append("]" if items else "[]")


def _write_object(members: dict[str, JsonValue], depth: int, parts: list[str]) -> None:
    opening = "{"
    for key, member in members.items():
        parts.append(f"{opening}{encoder.encode_basestring(key)}:")
        _write(member, depth, parts)
        opening = ","
    parts.append("}" if members else "{}")
