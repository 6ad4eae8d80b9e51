"""The objects of a simulated device: 3, 3303, 3306 and 3311, with typed values that can be read, written, executed.

Here: what the device has and what an operation does to it. Not here: requests and their formats (served_operations).
Like a OneNET module the device merges a replacing Write with what it has; it cannot tell PUT and POST apart.
Source: OMA LwM2M object registry (Device 3), IPSO smart objects 3303, 3306 and 3311; southbound reference 1.7.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectInstance,
    ObjectLinkEntry,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    Scalar,
    ValueType,
)
from commandpost.protocols.coap.codes import Code

DEVICE: Final = 3
TEMPERATURE: Final = 3303
ACTUATION: Final = 3306
LIGHT: Final = 3311

REBOOT: Final = ResourcePath(object_id=DEVICE, instance_id=0, resource_id=4)
CURRENT_TIME: Final = ResourcePath(object_id=DEVICE, instance_id=0, resource_id=13)
SENSOR_VALUE: Final = ResourcePath(object_id=TEMPERATURE, instance_id=0, resource_id=5700)
RESET_EXTREMES: Final = ResourcePath(object_id=TEMPERATURE, instance_id=0, resource_id=5605)
_MINIMUM: Final = ResourcePath(object_id=TEMPERATURE, instance_id=0, resource_id=5601)
_MAXIMUM: Final = ResourcePath(object_id=TEMPERATURE, instance_id=0, resource_id=5602)

SENSOR_START: Final = 20.5  # the value of the reference's own vectors
SENSOR_STEP: Final = 0.5
SENSOR_LOW: Final = -40.0
SENSOR_HIGH: Final = 85.0

_Row = tuple[int, str, str, ValueType | None, Scalar | None]

# One row a resource: id, name, operations, type, value at first; an executable has neither type nor value.
_DEVICE_ROWS: Final[tuple[_Row, ...]] = (
    (0, "Manufacturer", "R", ValueType.STRING, "Commandpost"),
    (1, "Model Number", "R", ValueType.STRING, "CP-SIM-1"),
    (2, "Serial Number", "R", ValueType.STRING, ""),
    (3, "Firmware Version", "R", ValueType.STRING, "1.0.0"),
    (4, "Reboot", "E", None, None),
    (11, "Error Code", "R", ValueType.INTEGER, 0),
    (13, "Current Time", "RW", ValueType.TIME, 0),
    (16, "Supported Binding and Modes", "R", ValueType.STRING, "U"),
)
_TEMPERATURE_ROWS: Final[tuple[_Row, ...]] = (
    (5601, "Min Measured Value", "R", ValueType.FLOAT, SENSOR_START),
    (5602, "Max Measured Value", "R", ValueType.FLOAT, SENSOR_START),
    (5605, "Reset Min and Max Measured Values", "E", None, None),
    (5700, "Sensor Value", "R", ValueType.FLOAT, SENSOR_START),
    (5701, "Sensor Units", "R", ValueType.STRING, "Cel"),
)
_ACTUATION_ROWS: Final[tuple[_Row, ...]] = (
    (5750, "Application Type", "RW", ValueType.STRING, "relay"),
    (5850, "On/Off", "RW", ValueType.BOOLEAN, False),
    (5851, "Dimmer", "RW", ValueType.INTEGER, 0),
    (5852, "On Time", "RW", ValueType.INTEGER, 0),
)
_LIGHT_ROWS: Final[tuple[_Row, ...]] = (
    (5701, "Sensor Units", "R", ValueType.STRING, "W"),
    (5706, "Colour", "RW", ValueType.STRING, "FFFFFF"),
    (5805, "Cumulative active power", "R", ValueType.FLOAT, 0.0),
    (5850, "On/Off", "RW", ValueType.BOOLEAN, False),
    (5851, "Dimmer", "RW", ValueType.INTEGER, 50),
    (5852, "On Time", "RW", ValueType.INTEGER, 0),
)
_ROWS: Final[tuple[tuple[int, str, tuple[_Row, ...]], ...]] = (
    (DEVICE, "Device", _DEVICE_ROWS),
    (TEMPERATURE, "Temperature", _TEMPERATURE_ROWS),
    (ACTUATION, "Actuation", _ACTUATION_ROWS),
    (LIGHT, "Light Control", _LIGHT_ROWS),
)
_ERROR_CODE: Final = (DEVICE, 11)  # the one resource with instances: {0: no error}


def _define(object_id: int, name: str, rows: Iterable[_Row]) -> ObjectDefinition:
    return ObjectDefinition(
        id=object_id,
        name=name,
        version="1.0",
        is_multiple=object_id != DEVICE,
        resources={
            row[0]: ResourceDefinition(
                id=row[0],
                name=row[1],
                operations=row[2],
                type=row[3],
                is_multiple=(object_id, row[0]) == _ERROR_CODE,
            )
            for row in rows
        },
    )


DEVICE_MODEL: Final = ObjectModel(_define(*entry) for entry in _ROWS)
"""What the device itself knows about its resources; servers have definitions of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The operation is answered with this code."""

    code: int


class ObjectTree:
    """The values of one device."""

    def __init__(self, *, serial_number: str, wall_s: Callable[[], int]) -> None:
        """Start with the values of a device fresh from the shelf.

        Args:
            serial_number: resource 3/0/2.
            wall_s: seconds since 1970, asked whenever 3/0/13 is read.
        """
        self._wall_s = wall_s
        self._time_offset_s = 0
        self._values: dict[int, dict[int, ResourceValue]] = {
            object_id: {
                row[0]: ResourceValue(row[3], row[4]) for row in rows if row[3] is not None and row[4] is not None
            }
            for object_id, _, rows in _ROWS
        }
        self._values[DEVICE][2] = ResourceValue(ValueType.STRING, serial_number)

    @property
    def links(self) -> tuple[ObjectLinkEntry, ...]:
        """What the device lists when it registers; like a module it leaves object 3 out."""
        return tuple(
            ObjectLinkEntry(object_id=object_id, instance_id=0) for object_id in self._values if object_id != DEVICE
        )

    def value(self, path: ResourcePath) -> Scalar:
        """Give one present value; for whoever watches the simulation.

        Raises:
            KeyError: there is no such resource, or it is executable.
        """
        if path.instance_id != 0 or path.resource_id is None:
            raise KeyError(str(path))
        return self._present(path.object_id, path.resource_id).value

    def measure(self, random: Random) -> None:
        """Let the temperature drift by one step, in tenths of a degree, and keep its extremes."""
        drift = SENSOR_STEP * (2.0 * random.random() - 1.0)
        temperature = self._values[TEMPERATURE]
        present = temperature[5700].value
        assert isinstance(present, float)
        value = round(min(SENSOR_HIGH, max(SENSOR_LOW, present + drift)), 1)
        self._set_float(SENSOR_VALUE, value)
        for path, better in ((_MINIMUM, min), (_MAXIMUM, max)):
            extreme = self.value(path)
            assert isinstance(extreme, float)
            self._set_float(path, better(extreme, value))

    def find_refusal(self, path: ResourcePath) -> Refusal | None:
        """Say why nothing can be read or observed here; None if something can."""
        resources = self._values.get(path.object_id)
        if resources is None or path.instance_id not in (None, 0):
            return Refusal(code=Code.NOT_FOUND)
        if path.resource_id is None or path.resource_id in resources:
            single = path.resource_instance_id is not None and (path.object_id, path.resource_id) != _ERROR_CODE
            return Refusal(code=Code.NOT_FOUND) if single or path.resource_instance_id not in (None, 0) else None
        is_known = DEVICE_MODEL.find_resource(path.object_id, path.resource_id) is not None
        return Refusal(code=Code.METHOD_NOT_ALLOWED if is_known else Code.NOT_FOUND)

    def read(self, path: ResourcePath) -> ObjectValues | Refusal:
        """Give what is at or below a path; executables are left out."""
        refusal = self.find_refusal(path)
        if refusal is not None:
            return refusal
        wanted = self._values[path.object_id] if path.resource_id is None else (path.resource_id,)
        resources = tuple(self._resource(path.object_id, resource_id) for resource_id in wanted)
        return ObjectValues(path.object_id, (ObjectInstance(0, resources),))

    def write(self, values: ObjectValues) -> int:
        """Take values: all of them or none. Gives the answer's code."""
        taken: list[tuple[ResourcePath, ResourceValue]] = []
        for path, value in values.leaves():
            held = self._values.get(path.object_id, {}).get(path.resource_id or 0)
            definition = DEVICE_MODEL.find_resource(path.object_id, path.resource_id or 0)
            if definition is None or path.instance_id != 0:
                return Code.NOT_FOUND
            if held is None or definition.operations != "RW" or path.resource_instance_id is not None:
                return Code.METHOD_NOT_ALLOWED
            if held.type is not value.type:
                return Code.NOT_ACCEPTABLE  # what nbiot_sdk and CIS say of a payload they cannot use
            taken.append((path, value))
        for path, value in taken:
            assert path.resource_id is not None
            self._values[path.object_id][path.resource_id] = value
            if path == CURRENT_TIME:
                assert isinstance(value.value, int | float)
                self._time_offset_s = int(value.value) - self._wall_s()
        return Code.CHANGED

    def execute(self, path: ResourcePath) -> int:
        """Do what an executable does, as far as the objects are concerned. Gives the answer's code."""
        definition = DEVICE_MODEL.find_resource(path.object_id, path.resource_id or 0)
        if definition is None or path.instance_id != 0 or path.resource_id is None:
            return Code.NOT_FOUND
        if definition.operations != "E":
            return Code.METHOD_NOT_ALLOWED
        if path == RESET_EXTREMES:
            value = self.value(SENSOR_VALUE)
            assert isinstance(value, float)
            self._set_float(_MINIMUM, value)
            self._set_float(_MAXIMUM, value)
        return Code.CHANGED

    def discover(self, path: ResourcePath) -> DiscoveredObject | Refusal:
        """Give the instances and resources at or below a path, executables too."""
        definition = DEVICE_MODEL.find_object(path.object_id)
        if definition is None or path.instance_id not in (None, 0):
            return Refusal(code=Code.NOT_FOUND)
        ids = tuple(sorted(definition.resources))
        if path.resource_id is not None:
            if path.resource_id not in definition.resources:
                return Refusal(code=Code.NOT_FOUND)
            ids = (path.resource_id,)
        return DiscoveredObject(path.object_id, (DiscoveredInstance(0, ids),))

    def _resource(self, object_id: int, resource_id: int) -> Resource:
        value = self._present(object_id, resource_id)
        return Resource(resource_id, ((0, value),) if (object_id, resource_id) == _ERROR_CODE else value)

    def _present(self, object_id: int, resource_id: int) -> ResourceValue:
        if (object_id, resource_id) == (CURRENT_TIME.object_id, CURRENT_TIME.resource_id):
            return ResourceValue(ValueType.TIME, self._wall_s() + self._time_offset_s)
        return self._values[object_id][resource_id]

    def _set_float(self, path: ResourcePath, value: float) -> None:
        assert path.resource_id is not None
        self._values[path.object_id][path.resource_id] = ResourceValue(ValueType.FLOAT, value)
