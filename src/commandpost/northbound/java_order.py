"""JSON with the keys of each object in the order in which a Java HashMap would give them.

Receivers of pushes written in Java read a message, write it again and sign that text: only the order of a HashMap lets
the signatures agree. Numbers stay as they were written. Source: northbound reference 8.2 (rule: sort by
`(h ^ h>>>16) & (slots - 1)`, ties in the order of insertion; 16 slots, doubled whenever more than three quarters are
taken), String.hashCode of the Java language.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from commandpost.domain.datapoint import JsonNumber, JsonValue, write_value
from commandpost.domain.errors import Invalid

SLOTS_MIN: Final = 16  # HashMap's default capacity
KEYS_REMEMBERED_MAX: Final = 12  # of an object whose order is remembered: more have a larger table
KEY_CHARACTERS_REMEMBERED_MAX: Final = 128  # of all of them together, twice those of the longest message of ours
ORDERS_REMEMBERED_MAX: Final = 64
_LOAD_NUMERATOR: Final = 3  # HashMap's load factor is 0.75
_LOAD_DENOMINATOR: Final = 4
_WORD: Final = 0xFFFFFFFF


class RawJson(JsonNumber):
    """JSON text that is written as it is, as numbers are."""

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


def write_json(value: JsonValue) -> str:
    """Write a value compactly, objects in the order of a HashMap, everything that is not ASCII as it is.

    Raises:
        Invalid: it is nested deeper than values may be (domain.datapoint).
    """
    return write_value(_in_order(value))


def reorder_json(text: str) -> str:
    """Give JSON text with its objects in the order of a HashMap; what holds none comes back as it is."""
    if "{" not in text:
        return text
    try:
        return write_json(_decode(text))
    except (ValueError, RecursionError, Invalid):  # not ours to judge here: it is told as its device wrote it
        return text


def _spread(value: int) -> int:
    return value ^ value >> 16


def _in_order(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in in_java_order(value)}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    return value


_decode: Final = json.JSONDecoder(parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=JsonNumber).decode
