"""text/plain, Content-Format 0 (and 1541): one value as text.

Source: OMA LwM2M 1.1 core appendix C; what OneNET modules send besides.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from math import isfinite
from typing import Final

from commandpost.domain.resource import (
    ID_MAX,
    INTEGER_MAX,
    INTEGER_MIN,
    UNSIGNED_MAX,
    ObjectLink,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.tlv import encode_text, encode_value

NUMBER_CHARACTERS_MAX: Final = 400  # the longest double without an exponent has 309 digits before its point

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_OBJECT_LINK = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_BOOLEANS: Final = {"0": False, "1": True, "false": False, "true": True}


def decode_plain_text(value_type: ValueType | None, payload: bytes) -> ResourceValue:
    """Decode one value from text; without a type it is a string, and bytes that are no text stay opaque.

    An opaque value is base64 by the standard and raw bytes on old modules, so what is no base64 is taken as it is.
    Raises:
        DecodeError: the text is none of the type.
    """
    if value_type is ValueType.OPAQUE:
        return ResourceValue(ValueType.OPAQUE, _decode_opaque(payload))
    try:
        text = payload.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        if value_type is None or value_type in (ValueType.STRING, ValueType.CORELNK):
            return ResourceValue(ValueType.OPAQUE, payload)
        raise DecodeError(f"{value_type.value} is no UTF-8", offset=error.start) from error
    if value_type in (None, ValueType.STRING):
        return ResourceValue(ValueType.STRING, text)
    return parse_value(value_type, text.strip())


def encode_plain_text(value: ResourceValue) -> bytes:
    """Encode one value as text.

    Raises:
        EncodeError: the value is not one of its type, or out of the type's range.
    """
    return encode_text(format_value(value))


def parse_value(value_type: ValueType, text: str) -> ResourceValue:
    """Read a value of a known type from its text.

    Raises:
        DecodeError: the text is none of the type.
    """
    match value_type:
        case ValueType.STRING | ValueType.CORELNK:
            return ResourceValue(value_type, text)
        case ValueType.INTEGER:
            return ResourceValue(value_type, _parse_integer(value_type, text, INTEGER_MIN, INTEGER_MAX))
        case ValueType.UNSIGNED:
            return ResourceValue(value_type, _parse_integer(value_type, text, 0, UNSIGNED_MAX))
        case ValueType.TIME:
            if _INTEGER.fullmatch(text):
                return ResourceValue(value_type, _parse_integer(value_type, text, INTEGER_MIN, INTEGER_MAX))
            return ResourceValue(value_type, _parse_float(value_type, text))
        case ValueType.FLOAT:
            return ResourceValue(value_type, _parse_float(value_type, text))
        case ValueType.BOOLEAN:
            if (flag := _BOOLEANS.get(text.lower())) is None:
                raise _no(value_type, text, "0 or 1")
            return ResourceValue(value_type, flag)
        case ValueType.OBJLNK:
            return ResourceValue(value_type, parse_object_link(text))
        case ValueType.OPAQUE:
            try:
                return ResourceValue(value_type, b64decode(text, validate=True))
            except (Base64Error, ValueError):
                raise _no(value_type, text, "base64") from None


def parse_object_link(text: str) -> ObjectLink:
    """Read `object:instance`.

    Raises:
        DecodeError: the text is no object link.
    """
    found = _OBJECT_LINK.fullmatch(text)
    if found is None or int(found[1]) > ID_MAX or int(found[2]) > ID_MAX:
        raise _no(ValueType.OBJLNK, text, f"OBJECT:INSTANCE with ids from 0 to {ID_MAX}")
    return ObjectLink(int(found[1]), int(found[2]))


def format_value(value: ResourceValue) -> str:
    """Write a value as its text.

    Raises:
        EncodeError: the value is not one of its type, or out of the type's range.
    """
    raw = encode_value(value)  # which also refuses what the type cannot hold
    content = value.value
    match content:
        case bool():
            return "1" if content else "0"
        case bytes():
            return b64encode(raw).decode("ascii")
        case float() if value.type is ValueType.FLOAT:
            return repr(content)
        case int() | float():
            return repr(float(content)) if value.type is ValueType.FLOAT else str(int(content))
        case str() | ObjectLink():
            return str(content)
    raise EncodeError(f"a value of type {value.type.value} has no text")


def _parse_integer(value_type: ValueType, text: str, low: int, high: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise _no(value_type, text, "a whole number")
    number = int(text)
    if not low <= number <= high:
        raise _no(value_type, text, f"{low} to {high}")
    return number


def _parse_float(value_type: ValueType, text: str) -> float:
    if len(text) > NUMBER_CHARACTERS_MAX or not _FLOAT.fullmatch(text):
        raise _no(value_type, text, "a decimal number")
    number = float(text)
    if not isfinite(number):
        raise _no(value_type, text, "a number that a float of 8 bytes holds")
    return number


def _decode_opaque(payload: bytes) -> bytes:
    try:
        return b64decode(payload, validate=True)
    except (Base64Error, ValueError):
        return payload


def _no(value_type: ValueType, text: str, allowed: str) -> DecodeError:
    return DecodeError(f"{text!r:.80} is no {value_type.value}: {allowed} is allowed", offset=0)
