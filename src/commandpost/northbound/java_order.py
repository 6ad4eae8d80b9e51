"""JSON with the keys of each object in the order in which a Java HashMap would give them.

Receivers of pushes written in Java read a message, write it again and sign that text: only the order of a HashMap lets
the signatures agree. Numbers stay as they were written. Source: northbound reference 8.2 (rule: sort by
`(h ^ h>>>16) & (slots - 1)`, ties in the order of insertion; 16 slots, doubled whenever more than three quarters are
taken), String.hashCode of the Java language.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from json import encoder
from typing import Final

SLOTS_MIN: Final = 16  # HashMap's default capacity
DEPTH_MAX: Final = 128  # values are nested less (domain.datapoint); what is deeper keeps its own order
KEYS_REMEMBERED_MAX: Final = 12  # of an object whose order is remembered: more have a larger table
KEY_CHARACTERS_REMEMBERED_MAX: Final = 128  # of all of them together, twice those of the longest message of ours
ORDERS_REMEMBERED_MAX: Final = 64
_LITERALS: Final = {None: "null", True: "true", False: "false"}
_LOAD_NUMERATOR: Final = 3  # HashMap's load factor is 0.75
_LOAD_DENOMINATOR: Final = 4
_WORD: Final = 0xFFFFFFFF


class RawJson(str):
    """JSON text that is written as it is."""

    __slots__ = ()


def java_hash(text: str) -> int:
    """Give String.hashCode as an unsigned number: over UTF-16 units, modulo 2**32."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        value = (31 * value + (units[at] << 8 | units[at + 1])) & _WORD
    return value


def in_java_order(keys: Iterable[str]) -> tuple[str, ...]:
    """Give keys, inserted in this order, as a HashMap would give them."""
    every = tuple(keys)
    # Our own messages have few and short keys, the same ones again and again; what devices say is not remembered.
    if len(every) <= KEYS_REMEMBERED_MAX and sum(map(len, every)) <= KEY_CHARACTERS_REMEMBERED_MAX:
        return _remembered_order(every)
    return _order(every)


@lru_cache(maxsize=ORDERS_REMEMBERED_MAX)
def _remembered_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    return _order(keys)


def _order(every: tuple[str, ...]) -> tuple[str, ...]:
    slots = SLOTS_MIN
    while len(every) * _LOAD_DENOMINATOR > slots * _LOAD_NUMERATOR:
        slots *= 2
    return tuple(sorted(every, key=lambda key: _spread(java_hash(key)) & (slots - 1)))


def write_json(value: object) -> str:
    """Write a value compactly, objects in the order of a HashMap, everything that is not ASCII as it is."""
    return "".join(_write(value, 0))


def reorder_json(text: str) -> str:
    """Give JSON text with its objects in the order of a HashMap; what holds none comes back as it is."""
    if "{" not in text:
        return text
    try:
        return write_json(_decode(text))
    except (ValueError, RecursionError):  # not ours to judge here: it is told as its device wrote it
        return text


def _spread(value: int) -> int:
    return value ^ value >> 16


def _write(value: object, depth: int) -> Iterator[str]:
    if depth > DEPTH_MAX:
        raise RecursionError
    match value:
        case RawJson():
            yield str.__str__(value)
        case str():
            yield encoder.encode_basestring(value)
        case Mapping():
            opening = "{"
            for key in in_java_order(value):
                yield f"{opening}{encoder.encode_basestring(key)}:"
                yield from _write(value[key], depth + 1)
                opening = ","
            yield "}" if value else "{}"
        case list() | tuple():
            opening = "["
            for item in value:
                yield opening
                yield from _write(item, depth + 1)
                opening = ","
            yield "]" if value else "[]"
        case bool() | None:
            yield _LITERALS[value]
        case int():
            yield repr(value)
        case _:
            yield json.dumps(value)


_decode: Final = json.JSONDecoder(parse_int=RawJson, parse_float=RawJson, parse_constant=RawJson).decode
