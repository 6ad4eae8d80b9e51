"""JSON from a peer: bounded, finite, and never a surprise. Source: RFC 8259."""

import json
from typing import Final, NoReturn

from commandpost.protocols.errors import DecodeError

NUMBER_CHARACTERS_MAX: Final = 400  # the longest double without an exponent has 309 digits before its point

# What the standard library's reader gives; the callers look at each value before they use it.
Json = bool | int | float | str | None | list["Json"] | dict[str, "Json"]


def decode_json(payload: bytes) -> Json:
    """Read one JSON value.

    Raises:
        DecodeError: no JSON, no UTF-8, nested too deep to be read, or a number beyond a float of 8 bytes.
    """
    try:
        text = payload.decode("utf-8-sig")
        value: Json = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_float)
    except json.JSONDecodeError as error:
        raise DecodeError(f"no JSON: {error.msg}", offset=error.pos) from error
    except UnicodeDecodeError as error:
        raise DecodeError("JSON is no UTF-8", offset=error.start) from error
    except RecursionError:
        # The reader recurses once per bracket and stops at the interpreter's own limit.
        raise DecodeError("JSON is nested too deep", offset=0) from None
    return value


def encode_json(value: Json) -> bytes:
    """Write one JSON value without spaces, as UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _refuse(name: str) -> NoReturn:
    raise DecodeError(f"{name} is no JSON number", offset=0)


def _integer(digits: str) -> int:
    if len(digits) > NUMBER_CHARACTERS_MAX:
        raise DecodeError(f"a number of {len(digits)} digits: up to {NUMBER_CHARACTERS_MAX} are allowed", offset=0)
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > NUMBER_CHARACTERS_MAX:
        raise DecodeError(f"a number of {len(digits)} characters: up to {NUMBER_CHARACTERS_MAX} are allowed", offset=0)
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise DecodeError(f"{digits:.40} is beyond a float of 8 bytes", offset=0)
    return number
