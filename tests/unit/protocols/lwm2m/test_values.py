"""What a written value becomes: model before the caller's word before the kind of the JSON value."""

import pytest

from commandpost.domain.operation import WRITE_ITEMS_MAX, WriteItem, WriteKind
from commandpost.domain.resource import ObjectLink, Scalar, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.values import VALUE_BYTES_MAX, value_from_plain, values_from_items
from tests.unit.protocols.lwm2m.trees import model_of, path_of

INSTANCE = path_of("/3303/0")
Plain = bool | int | float | str | bytes


def typed(item: WriteItem, value_type: ValueType | None = None) -> tuple[ValueType, Scalar]:
    model = model_of({} if value_type is None else {f"/3303/0/{item.resource_id}": value_type})
    ((_, value),) = values_from_items(INSTANCE, [item], model=model).leaves()
    return value.type, value.value


@pytest.mark.parametrize(
    ("value_type", "plain", "kind", "expected"),
    [
        (ValueType.FLOAT, 22, None, 22.0),
        (ValueType.FLOAT, 22.5, None, 22.5),
        (ValueType.INTEGER, 22.0, None, 22),
        (ValueType.INTEGER, -(2**63), None, -(2**63)),
        (ValueType.INTEGER, 1600000000, WriteKind.TIME, 1600000000),
        (ValueType.UNSIGNED, 2**64 - 1, None, 2**64 - 1),
        (ValueType.BOOLEAN, True, None, True),
        (ValueType.BOOLEAN, 1, None, True),
        (ValueType.BOOLEAN, 0, None, False),
        (ValueType.STRING, "Cel", None, "Cel"),
        (ValueType.STRING, b"Cel", WriteKind.OPAQUE, "Cel"),
        (ValueType.OPAQUE, b"\x0a\xff", WriteKind.OPAQUE, b"\x0a\xff"),
        (ValueType.OPAQUE, "Cel", None, b"Cel"),
        (ValueType.TIME, 1600000000, None, 1600000000),
        (ValueType.TIME, 1600000000.0, WriteKind.TIME, 1600000000),
        (ValueType.OBJLNK, "66:0", None, ObjectLink(66, 0)),
        (ValueType.CORELNK, "</3/0>", None, "</3/0>"),
    ],
)
def test_model_decides(value_type: ValueType, plain: Plain, kind: WriteKind | None, expected: Scalar) -> None:
    value_type_found, found = typed(WriteItem(1, plain, kind), value_type)

    assert (value_type_found, found) == (value_type, expected)
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("plain", "kind", "expected_type", "expected"),
    [
        (b"\x0a\xff", WriteKind.OPAQUE, ValueType.OPAQUE, b"\x0a\xff"),
        (1600000000, WriteKind.TIME, ValueType.TIME, 1600000000),
        (1600000000.0, WriteKind.TIME, ValueType.TIME, 1600000000),
        (True, None, ValueType.BOOLEAN, True),
        ("Cel", None, ValueType.STRING, "Cel"),
        (22, None, ValueType.INTEGER, 22),
        (22.0, None, ValueType.FLOAT, 22.0),
        (22.5, None, ValueType.FLOAT, 22.5),
    ],
)
def test_without_a_model_the_caller_then_the_json_value_decides(
    plain: Plain, kind: WriteKind | None, expected_type: ValueType, expected: Scalar
) -> None:
    assert typed(WriteItem(1, plain, kind)) == (expected_type, expected)


@pytest.mark.parametrize(
    ("value_type", "plain", "kind"),
    [
        (ValueType.FLOAT, "20.5", None),
        (ValueType.FLOAT, True, None),
        (ValueType.FLOAT, float("nan"), None),
        (ValueType.FLOAT, 10**400, None),
        (ValueType.INTEGER, "22", None),
        (ValueType.INTEGER, 22.5, None),
        (ValueType.INTEGER, True, None),
        (ValueType.INTEGER, 2**63, None),
        (ValueType.INTEGER, b"\x01", WriteKind.OPAQUE),
        (ValueType.UNSIGNED, -1, None),
        (ValueType.BOOLEAN, 2, None),
        (ValueType.BOOLEAN, "true", None),
        (ValueType.STRING, 22, None),
        (ValueType.STRING, "\ud800", None),
        (ValueType.STRING, b"\xff", WriteKind.OPAQUE),
        (ValueType.STRING, "x" * (VALUE_BYTES_MAX + 1), None),
        (ValueType.OPAQUE, 121, None),
        (ValueType.OPAQUE, "\ud800", None),
        (ValueType.TIME, "now", None),
        (ValueType.TIME, 1.5, WriteKind.TIME),
        (ValueType.OBJLNK, "66", None),
        (ValueType.OBJLNK, 66, None),
        (None, 2**63, None),
        (None, float("inf"), None),
        (None, 1.5, WriteKind.TIME),
        (None, True, WriteKind.TIME),
        (None, "0AFF", WriteKind.OPAQUE),
    ],
    ids=lambda part: repr(part)[:30],
)
def test_value_that_does_not_fit_is_refused_by_name(
    value_type: ValueType | None, plain: Plain, kind: WriteKind | None
) -> None:
    with pytest.raises(EncodeError, match="/3303/0/5527"):
        typed(WriteItem(5527, plain, kind), value_type)


def test_refusal_names_value_and_what_is_allowed() -> None:
    with pytest.raises(EncodeError) as caught:
        typed(WriteItem(5700, "warm"), ValueType.FLOAT)

    assert str(caught.value) == "resource /3303/0/5700: 'warm' is no float: a finite number is allowed"


@pytest.mark.parametrize("resource_id", [-1, 65536])
def test_id_out_of_range_is_refused(resource_id: int) -> None:
    with pytest.raises(EncodeError):
        values_from_items(INSTANCE, [WriteItem(resource_id, 1)], model=model_of())


def test_resource_written_twice_is_refused() -> None:
    with pytest.raises(EncodeError):
        values_from_items(INSTANCE, [WriteItem(1, 1), WriteItem(1, 2)], model=model_of())


@pytest.mark.parametrize("count", [0, WRITE_ITEMS_MAX + 1])
def test_number_of_items_is_bound(count: int) -> None:
    with pytest.raises(EncodeError):
        values_from_items(INSTANCE, [WriteItem(number, 1) for number in range(count)], model=model_of())


def test_write_needs_an_instance() -> None:
    with pytest.raises(EncodeError):
        values_from_items(path_of("/3303"), [WriteItem(1, 1)], model=model_of())


def test_executable_resource_is_written_by_its_json_value() -> None:
    """A model never refuses an operation: the device answers 4.05."""
    model = model_of({"/3303/0/5605": None})

    ((_, value),) = values_from_items(INSTANCE, [WriteItem(5605, 1)], model=model).leaves()

    assert (value.type, value.value) == (ValueType.INTEGER, 1)


@pytest.mark.parametrize(
    ("value_type", "plain", "expected_type", "expected"),
    [
        (ValueType.FLOAT, 22, ValueType.FLOAT, 22.0),
        (ValueType.INTEGER, 22.0, ValueType.INTEGER, 22),
        (ValueType.INTEGER, 22.5, ValueType.FLOAT, 22.5),
        (ValueType.BOOLEAN, 1, ValueType.BOOLEAN, True),
        (ValueType.BOOLEAN, 2, ValueType.INTEGER, 2),
        (ValueType.TIME, 1.5, ValueType.TIME, 1.5),
        (ValueType.STRING, 7, ValueType.INTEGER, 7),
        (ValueType.CORELNK, "</3>", ValueType.CORELNK, "</3>"),
        (None, True, ValueType.BOOLEAN, True),
        (None, b"\x01", ValueType.OPAQUE, b"\x01"),
    ],
)
def test_self_describing_value_keeps_its_own_type_where_the_model_does_not_fit(
    value_type: ValueType | None, plain: Plain, expected_type: ValueType, expected: Scalar
) -> None:
    value = value_from_plain(value_type, plain)

    assert (value.type, value.value) == (expected_type, expected)
    assert type(value.value) is type(expected)


@pytest.mark.parametrize("plain", [2**63, 10**400, float("nan"), float("inf")], ids=lambda plain: repr(plain)[:20])
def test_number_beyond_all_types_is_refused(plain: float) -> None:
    with pytest.raises(DecodeError):
        value_from_plain(None, plain)
