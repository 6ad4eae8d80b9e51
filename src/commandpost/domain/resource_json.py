"""Values of LwM2M devices as JSON, wherever they are told: answers to applications, datapoints, pushes.

Here: what one value is in JSON. Not here: what stands around it in an answer (northbound), or its text (datapoint).
Source: northbound reference 4.1, 8.5.
"""

import math
from dataclasses import dataclass

from commandpost.domain.datapoint import JsonValue
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.resource import ObjectLink, ResourceValue, ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueStyle:
    """How values are written where the dialect knows two ways."""

    time_in_ms: bool = True
    opaque_as_hex: bool = False


STANDARD_STYLE = ValueStyle()
"""The style of datapoints and pushes, which no switch changes."""


def value_json(value: ResourceValue, style: ValueStyle = STANDARD_STYLE) -> JsonValue:
    """Give one value: opaque as its byte values, time in milliseconds, a link as `a:b`.

    An integer may have any size; what JSON has no number for (NaN, infinity) is null. Halves of surrogate pairs, which
    JSON of a device can hold and UTF-8 cannot, are question marks.
    """
    match value.value:
        case bool():
            return value.value
        case str() as text:
            return text if text.isascii() else text.encode("utf-8", "replace").decode()
        case bytes():
            return value.value.hex() if style.opaque_as_hex else list(value.value)
        case ObjectLink():
            return str(value.value)
        case int() | float():
            if value.type is ValueType.TIME and style.time_in_ms:
                return _milliseconds(value.value)
            return _finite(value.value)


def instances_json(
    instances: tuple[tuple[int, ResourceValue], ...], style: ValueStyle = STANDARD_STYLE
) -> list[JsonValue]:
    """Give the values of a resource with instances: `[{"res_inst_id":0,"val":1}]`."""
    return [{"res_inst_id": number, "val": value_json(value, style)} for number, value in instances]


def _milliseconds(seconds: int | float) -> JsonValue:
    if isinstance(seconds, int):
        return seconds * SECOND_MS
    return round(seconds * SECOND_MS) if math.isfinite(seconds * SECOND_MS) else None


def _finite(number: int | float) -> JsonValue:
    return number if isinstance(number, int) or math.isfinite(number) else None
