"""What the demo tells of a device comes from the device's own log."""

import pytest

from commandpost.cli.demo.devices import describe
from commandpost.domain.operation import Execute, Read, WriteMode
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from commandpost.protocols.lwm2m.served_requests import ServedOperation, ServedWrite

DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)


def write(*resources: Resource) -> ServedWrite:
    values = ObjectValues(3306, (ObjectInstance(0, resources),))
    return ServedWrite(path=ResourcePath(object_id=3306, instance_id=0), mode=WriteMode.PARTIAL, values=values)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (write(Resource(5851, ResourceValue(ValueType.INTEGER, 42))), "write /3306/0/5851 = 42"),
        (
            write(
                Resource(5850, ResourceValue(ValueType.BOOLEAN, True)),
                Resource(5750, ResourceValue(ValueType.STRING, "relay")),
            ),
            "write /3306/0/5850 = true, /3306/0/5750 = relay",
        ),
        (Execute(path=DIMMER), "execute /3306/0/5851"),
        (Execute(path=DIMMER, arguments="ping"), "execute /3306/0/5851 (ping)"),
        (Read(path=ResourcePath(object_id=3303)), "read /3303"),
    ],
)
def test_every_operation_is_told_with_path_and_values(operation: ServedOperation, text: str) -> None:
    assert describe(operation) == text
