"""Values of devices become datapoints: one for each resource, whatever its type."""

import asyncio

import pytest

from commandpost.domain.errors import DomainError, Invalid, NotFound, Overloaded, StoreUnavailable
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectLink,
    ObjectValues,
    Resource,
    ResourceValue,
    Scalar,
    ValueType,
)
from commandpost.services.observations import ANSWERS_OPEN_MAX, Observations, Reading, points_of
from tests.event_loop import on_event_loop
from tests.fakes.ids import TellTale
from tests.fakes.points import HeldPoints

DEVICE, PRODUCT = DeviceId(7), ProductId(1)
AT = Instant(1_600_000_000_123)


def reading(*resources: Resource, at: Instant = AT, object_id: int = 3303, instance_id: int = 0) -> Reading:
    return Reading(at=at, values=ObjectValues(object_id, (ObjectInstance(instance_id, resources),)))


def resource(kind: ValueType, value: Scalar, number: int = 5700) -> Resource:
    return Resource(number, ResourceValue(kind, value))


TEMPERATURE = reading(resource(ValueType.FLOAT, 21.5))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (ValueType.FLOAT, 21.5, "21.5"),
        (ValueType.FLOAT, 19.0, "19.0"),
        (ValueType.FLOAT, float("nan"), "null"),
        (ValueType.INTEGER, -(2**63), "-9223372036854775808"),
        (ValueType.UNSIGNED, 2**64 - 1, "18446744073709551615"),
        (ValueType.BOOLEAN, True, "true"),
        (ValueType.STRING, 'say "é"', '"say \\"é\\""'),
        (ValueType.STRING, "\ud800", '"?"'),
        (ValueType.OPAQUE, b"\x0a\x64\x7b", "[10,100,123]"),
        (ValueType.TIME, 1_530_496_927, "1530496927000"),
        (ValueType.OBJLNK, ObjectLink(66, 1), '"66:1"'),
        (ValueType.CORELNK, "</3/0>", '"</3/0>"'),
    ],
)
def test_each_type_has_its_text(kind: ValueType, value: Scalar, text: str) -> None:
    """Northbound reference 4.1, 8.4, 8.5."""
    points, left_out = points_of([reading(resource(kind, value))])

    assert [(point.stream_id, point.at, point.value) for point in points] == [("3303_0_5700", AT, text)]
    assert left_out == 0


def test_a_resource_with_instances_is_one_point() -> None:
    """Its value holds all of them."""
    values = ((0, ResourceValue(ValueType.INTEGER, 1)), (3, ResourceValue(ValueType.INTEGER, 4)))

    points, _ = points_of([reading(Resource(6, values), object_id=3)])

    assert [(point.stream_id, point.value) for point in points] == [
        ("3_0_6", '[{"res_inst_id":0,"val":1},{"res_inst_id":3,"val":4}]')
    ]


def test_instances_and_resources_have_streams_of_their_own() -> None:
    """Northbound reference 7: `<object>_<instance>_<resource>`."""
    values = ObjectValues(
        3303,
        (
            ObjectInstance(0, (resource(ValueType.FLOAT, 1.0), resource(ValueType.STRING, "Cel", 5701))),
            ObjectInstance(1, (resource(ValueType.FLOAT, 2.0),)),
            ObjectInstance(2, ()),
        ),
    )

    points, _ = points_of([Reading(at=AT, values=values)])

    assert [point.stream_id for point in points] == ["3303_0_5700", "3303_0_5701", "3303_1_5700"]


def test_a_value_too_long_for_a_point_is_left_out_and_the_others_stay() -> None:
    """20,000 bytes are some 70,000 characters as a list of numbers."""
    points, left_out = points_of(
        [reading(resource(ValueType.OPAQUE, b"\xff" * 20_000, 1), resource(ValueType.FLOAT, 1.0, 2))]
    )

    assert [point.stream_id for point in points] == ["3303_0_2"]
    assert left_out == 1


@on_event_loop
async def test_what_is_kept_is_stored_when_the_call_returns() -> None:
    """Every reading with its own time."""
    points = HeldPoints()
    observations = Observations(points=points, events=TellTale())
    earlier = reading(resource(ValueType.FLOAT, 20.0), at=Instant(AT - 1000))

    left_out = await observations.keep(DEVICE, PRODUCT, [earlier, TEMPERATURE])

    assert left_out == 0
    assert points.shown == [("3303_0_5700", "20.0"), ("3303_0_5700", "21.5")]
    assert points.times == [AT - 1000, AT]
    assert {(device, product) for device, product, _ in points.points} == {(DEVICE, PRODUCT)}


@on_event_loop
async def test_nothing_is_stored_of_nothing() -> None:
    """No transaction for a notification without values."""
    points = HeldPoints()

    assert await Observations(points=points, events=TellTale()).keep(DEVICE, PRODUCT, [reading()]) == 0
    assert points.asked == 0


@on_event_loop
@pytest.mark.parametrize("error", [NotFound("device", "7"), DomainError(), Overloaded(), StoreUnavailable()])
async def test_what_the_store_says_is_for_the_caller(error: Exception) -> None:
    points = HeldPoints()
    points.error = error

    with pytest.raises(type(error)):
        await Observations(points=points, events=TellTale()).keep(DEVICE, PRODUCT, [TEMPERATURE])


@on_event_loop
async def test_one_report_has_a_bounded_number_of_points() -> None:
    """A report is one transaction."""
    points = HeldPoints()
    many = [reading(resource(ValueType.FLOAT, 1.0), at=Instant(AT + number)) for number in range(10_001)]

    with pytest.raises(Invalid):
        await Observations(points=points, events=TellTale()).keep(DEVICE, PRODUCT, many)
    assert points.asked == 0


@on_event_loop
async def test_an_answer_is_stored_and_nobody_waits_for_it() -> None:
    points = HeldPoints()
    points.hold()
    events = TellTale()
    observations = Observations(points=points, events=events)

    observations.keep_soon(DEVICE, PRODUCT, [TEMPERATURE])
    await asyncio.sleep(0)
    assert points.shown == []
    points.release()
    for _ in range(3):
        await asyncio.sleep(0)

    assert points.shown == [("3303_0_5700", "21.5")]
    assert events.told == []


@on_event_loop
async def test_an_answer_that_cannot_be_stored_is_told() -> None:
    points = HeldPoints()
    points.error = StoreUnavailable()
    events = TellTale()

    Observations(points=points, events=events).keep_soon(DEVICE, PRODUCT, [TEMPERATURE])
    for _ in range(3):
        await asyncio.sleep(0)

    assert events.told == [("answer_not_kept", {"device_id": DEVICE, "error": "store_unavailable"})]


@on_event_loop
async def test_answers_at_work_are_bounded() -> None:
    """One more is told, not kept."""
    points = HeldPoints()
    points.hold()
    events = TellTale()
    observations = Observations(points=points, events=events)

    for _ in range(ANSWERS_OPEN_MAX + 1):
        observations.keep_soon(DEVICE, PRODUCT, [TEMPERATURE])

    assert [name for name, _ in events.told] == ["answer_not_kept"]
    points.release()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(points.points) == ANSWERS_OPEN_MAX
