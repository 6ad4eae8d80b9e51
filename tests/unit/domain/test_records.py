"""What can be constructed makes sense."""

from dataclasses import replace

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.errors import IllegalTransition, Invalid, NotFound, NotWaiting, QueueFull, Taken
from commandpost.domain.ids import CommandId
from commandpost.domain.instant import Instant
from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.operation import ObserveAttributes
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectLink,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from tests.unit.domain.builders import NOW, a_command


def test_path_needs_each_part_before_the_next() -> None:
    with pytest.raises(ValueError, match="resource_id"):
        ResourcePath(object_id=3, resource_id=1)


@pytest.mark.parametrize("number", [-1, 65_536])
def test_ids_are_16_bit(number: int) -> None:
    with pytest.raises(ValueError, match="65535"):
        ResourcePath(object_id=number)
    with pytest.raises(ValueError, match="65535"):
        ObjectLink(0, number)


def test_path_covers_itself_and_what_lies_below() -> None:
    instance = ResourcePath(object_id=3303, instance_id=0)
    assert instance.covers(instance)
    assert instance.covers(ResourcePath(object_id=3303, instance_id=0, resource_id=5700))
    assert not instance.covers(ResourcePath(object_id=3303, instance_id=1))
    assert not instance.covers(ResourcePath(object_id=3303))
    assert str(ResourcePath(object_id=3, instance_id=0, resource_id=6, resource_instance_id=1)) == "/3/0/6/1"


def test_leaves_of_a_tree_have_their_full_path() -> None:
    one = ResourceValue(ValueType.INTEGER, 1)
    tree = ObjectValues(3, (ObjectInstance(0, (Resource(9, one), Resource(7, ((0, one), (2, one))))),))
    assert [str(path) for path, _ in tree.leaves()] == ["/3/0/9", "/3/0/7/0", "/3/0/7/2"]
    assert [resource.is_multiple for resource in tree.instances[0].resources] == [False, True]


def test_window_has_to_have_an_inside() -> None:
    with pytest.raises(ValueError, match="after valid_from"):
        a_command(valid_from=NOW, expires_at=NOW)


def test_attributes_that_say_nothing() -> None:
    assert ObserveAttributes().is_empty
    assert not ObserveAttributes(pmin_s=0).is_empty


def test_last_definition_of_an_object_stands() -> None:
    def a_definition(name: str) -> ObjectDefinition:
        resource = ResourceDefinition(id=1, name="r", operations="R", type=ValueType.FLOAT)
        return ObjectDefinition(id=3303, name=name, version="1.0", is_multiple=True, resources={1: resource})

    model = ObjectModel([a_definition("first"), a_definition("second")])

    assert [definition.name for definition in model] == ["second"]
    assert len(model) == 1
    assert model.type_of(3303, 1) is ValueType.FLOAT
    assert model.type_of(3303, 2) is None
    assert model.find_resource(1, 1) is None
    assert model.find_object(1) is None


def test_errors_name_the_thing_the_found_and_the_allowed() -> None:
    command_id = CommandId(bytes(16))
    assert str(NotFound("device", "7")) == "device 7 does not exist"
    assert str(Taken("imei", "8")) == "imei 8 is taken"
    assert str(Invalid("retry", 11, "0 to 10")) == "retry is 11: 0 to 10 is allowed"
    assert "at most 10" in str(QueueFull(10))
    assert "sent" in str(NotWaiting(command_id, CommandState.SENT))
    assert "Claimed is not allowed" in str(IllegalTransition(command_id, CommandState.SENT, "Claimed"))


def test_final_command_has_its_end() -> None:
    with pytest.raises(ValueError, match="finished_at"):
        replace(a_command(), state=CommandState.FAILED)
    with pytest.raises(ValueError, match="finished_at"):
        replace(a_command(), finished_at=Instant(1))
