"""Values of devices as JSON."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.resource import (
    ObjectInstance,
    ObjectLink,
    ObjectValues,
    Resource,
    ResourceValue,
    Scalar,
    ValueType,
)
from commandpost.northbound.onenet.envelope import encode_json
from commandpost.northbound.onenet.values import ValueStyle, result_data

MILLISECONDS = ValueStyle()


def shown(value: ResourceValue, style: ValueStyle = MILLISECONDS) -> str:
    data = result_data(ObjectValues(1, (ObjectInstance(0, (Resource(0, value),)),)), style)
    text = encode_json(data).decode()
    return text.removeprefix('[{"obj_inst_id":0,"res":[{"res_id":0,"val":').removesuffix("}]}]")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (ValueType.BOOLEAN, True, "true"),
        (ValueType.BOOLEAN, False, "false"),
        (ValueType.STRING, 'say "é"', '"say \\"é\\""'),
        (ValueType.STRING, "\ud800", '"?"'),
        (ValueType.INTEGER, -(2**63), "-9223372036854775808"),
        (ValueType.UNSIGNED, 2**64 - 1, "18446744073709551615"),
        (ValueType.FLOAT, 19.0, "19.0"),
        (ValueType.FLOAT, 21.5, "21.5"),
        (ValueType.FLOAT, math.nan, "null"),
        (ValueType.FLOAT, math.inf, "null"),
        (ValueType.FLOAT, -math.inf, "null"),
        (ValueType.OPAQUE, b"\x0a\x64\x7b", "[10,100,123]"),
        (ValueType.OPAQUE, b"", "[]"),
        (ValueType.TIME, 1_530_496_927, "1530496927000"),
        (ValueType.TIME, 1_530_496_927.25, "1530496927250"),
        (ValueType.TIME, 2**63 - 1, "9223372036854775807000"),
        (ValueType.TIME, math.nan, "null"),
        (ValueType.TIME, 1e308, "null"),
        (ValueType.OBJLNK, ObjectLink(66, 1), '"66:1"'),
        (ValueType.CORELNK, "</3/0>", '"</3/0>"'),
    ],
)
def test_each_type_has_its_json(kind: ValueType, value: Scalar, text: str) -> None:
    """Northbound reference 4.1: opaque as integers, time in milliseconds, a link as `a:b`; JSON has no NaN."""
    assert shown(ResourceValue(kind, value)) == text


def test_the_two_switches() -> None:
    """bin2hex, and seconds."""
    assert shown(ResourceValue(ValueType.OPAQUE, b"\x0a\xff"), ValueStyle(opaque_as_hex=True)) == '"0aff"'
    assert shown(ResourceValue(ValueType.TIME, 1_530_496_927), ValueStyle(time_in_ms=False)) == "1530496927"


def test_a_resource_with_instances_has_res_inst() -> None:
    """The form documented for pushes."""
    values = ((0, ResourceValue(ValueType.INTEGER, 1)), (3, ResourceValue(ValueType.INTEGER, 4)))

    data = result_data(ObjectValues(3, (ObjectInstance(0, (Resource(6, values),)),)), MILLISECONDS)

    assert data == [
        {
            "obj_inst_id": 0,
            "res": [{"res_id": 6, "res_inst": [{"res_inst_id": 0, "val": 1}, {"res_inst_id": 3, "val": 4}]}],
        }
    ]


def test_nothing_is_an_empty_array() -> None:
    """A read that brought no value still has its `data`."""
    assert result_data(None, MILLISECONDS) == []
    assert result_data(ObjectValues(3, ()), MILLISECONDS) == []


SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.binary())


@given(st.sampled_from(ValueType), SCALARS, st.booleans(), st.booleans())
def test_any_value_can_be_shown(kind: ValueType, value: Scalar, time_in_ms: bool, opaque_as_hex: bool) -> None:
    """Whatever a device sent under whatever type."""
    assert shown(ResourceValue(kind, value), ValueStyle(time_in_ms=time_in_ms, opaque_as_hex=opaque_as_hex))
