"""Values of devices as JSON values; how northbound shows each is held by its own tests."""

import math

import pytest

from commandpost.domain.datapoint import JsonValue
from commandpost.domain.resource import ObjectLink, ResourceValue, Scalar, ValueType
from commandpost.domain.resource_json import ValueStyle, instances_json, value_json


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (ValueType.BOOLEAN, True, True),
        (ValueType.STRING, "Cel", "Cel"),
        (ValueType.STRING, "温度", "温度"),
        (ValueType.STRING, "a\ud800", "a?"),
        (ValueType.UNSIGNED, 2**64 - 1, 2**64 - 1),
        (ValueType.FLOAT, 21.5, 21.5),
        (ValueType.FLOAT, math.nan, None),
        (ValueType.OPAQUE, b"\x0a\x64\x7b", [10, 100, 123]),
        (ValueType.OPAQUE, b"", []),
        (ValueType.TIME, 1_530_496_927, 1_530_496_927_000),
        (ValueType.TIME, 2**63 - 1, (2**63 - 1) * 1000),
        (ValueType.TIME, 1e308, None),
        (ValueType.OBJLNK, ObjectLink(66, 1), "66:1"),
        (ValueType.CORELNK, "</3/0>", "</3/0>"),
    ],
)
def test_each_type_has_its_value(kind: ValueType, value: Scalar, shown: JsonValue) -> None:
    """Northbound reference 4.1 and 8.5."""
    assert value_json(ResourceValue(kind, value)) == shown


def test_the_two_switches() -> None:
    """Hexadecimal text, and seconds."""
    style = ValueStyle(opaque_as_hex=True, time_in_ms=False)

    assert value_json(ResourceValue(ValueType.OPAQUE, b"\x0a\xff"), style) == "0aff"
    assert value_json(ResourceValue(ValueType.TIME, 1_530_496_927), style) == 1_530_496_927


def test_a_resource_with_instances_is_a_list() -> None:
    """One value for each instance, with its id."""
    instances = ((0, ResourceValue(ValueType.INTEGER, 1)), (3, ResourceValue(ValueType.TIME, 4)))

    assert instances_json(instances) == [{"res_inst_id": 0, "val": 1}, {"res_inst_id": 3, "val": 4000}]
