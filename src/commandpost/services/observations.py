"""Values of LwM2M devices become datapoints: one stream for each resource, `3303_0_5700`.

Here: which points the values of a notification, a Send or an answer make, and handing them on to be stored. Not here:
the bytes they came in and the order of notifications (southbound), or the store's limits (datapoints).
Source: northbound reference 4.1, 7, 8.5; southbound reference 1.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from commandpost.domain.data_forms import POINTS_MAX
from commandpost.domain.datapoint import Datapoint, JsonValue, format_value
from commandpost.domain.errors import CommandpostError, Invalid
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import EventSink
from commandpost.domain.resource import ObjectValues, Resource
from commandpost.domain.resource_json import instances_json, value_json
from commandpost.services.background import Background

ANSWERS_OPEN_MAX: Final = 20_000  # as many as there are attempts in the air at once; each holds one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Values that a device measured at one time."""

    at: Instant
    values: ObjectValues


class PointKeeper(Protocol):
    """What the datapoints service does for points."""

    async def add(self, device_id: DeviceId, product_id: ProductId, points: Sequence[Datapoint]) -> None:
        """Store points, all or none; committed when it returns."""
        ...


class Observations:
    """See the module."""

    def __init__(self, *, points: PointKeeper, events: EventSink) -> None:
        self._points = points
        self._events = events
        self._answers = Background(tasks_max=ANSWERS_OPEN_MAX, events=events)

    async def keep(self, device_id: DeviceId, product_id: ProductId, readings: Sequence[Reading]) -> int:
        """Store what a device reported; committed when this returns.

        Returns:
            How many values were left out because they are longer than a datapoint may be.
        Raises:
            NotFound: the device is gone.
            Invalid: more than POINTS_MAX points.
            DomainError: they can never be stored: the device has too many streams.
            PortError: they cannot be stored now.
        """
        points, left_out = points_of(readings)
        if len(points) > POINTS_MAX:
            raise Invalid("points", len(points), f"at most {POINTS_MAX}")
        if points:
            await self._points.add(device_id, product_id, points)
        return left_out

    def keep_soon(self, device_id: DeviceId, product_id: ProductId, readings: Sequence[Reading]) -> None:
        """Store what a device answered: nobody waits for it, and what cannot be stored is told to the log."""
        if self._answers.is_full:
            self._events.emit("answer_not_kept", device_id=device_id, error="too many at work")
            return
        self._answers.start(self._keep_answer(device_id, product_id, readings), name=f"keep-answer-{device_id}")

    async def _keep_answer(self, device_id: DeviceId, product_id: ProductId, readings: Sequence[Reading]) -> None:
        try:
            left_out = await self.keep(device_id, product_id, readings)
        except CommandpostError as error:
            self._events.emit("answer_not_kept", device_id=device_id, error=error.code)
        else:
            if left_out:
                self._events.emit("values_left_out", device_id=device_id, count=left_out)


def points_of(readings: Sequence[Reading]) -> tuple[list[Datapoint], int]:
    """Give the points of what was read, in its order, and how many values are too long to be one."""
    points: list[Datapoint] = []
    left_out = 0
    for reading in readings:
        for instance in reading.values.instances:
            prefix = f"{reading.values.object_id}_{instance.id}_"
            for resource in instance.resources:
                try:
                    value = format_value(_json_of(resource))
                except Invalid:
                    left_out += 1
                    continue
                points.append(Datapoint(stream_id=f"{prefix}{resource.id}", at=reading.at, value=value))
    return points, left_out


def _json_of(resource: Resource) -> JsonValue:
    return instances_json(resource.value) if isinstance(resource.value, tuple) else value_json(resource.value)
