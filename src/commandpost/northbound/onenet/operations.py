"""What a call asks of a device: its path, its operation, and how the submission is remembered.

Shared by instant and cached calls. Source: northbound reference 4, 5; remembered arguments stand in the order of the
sample in 5.7.
"""

from typing import Final

from commandpost.domain.command import Submission
from commandpost.domain.errors import Invalid
from commandpost.domain.operation import Execute, Write, WriteMode
from commandpost.domain.resource import ResourcePath
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import json_text
from commandpost.northbound.onenet.errno import invalid
from commandpost.northbound.onenet.json_body import describe, parse_object
from commandpost.northbound.onenet.parameters import (
    OBJ_ID,
    OBJ_INST_ID,
    OBJ_INST_ID_REQUIRED,
    RES_ID,
    RES_ID_REQUIRED,
)
from commandpost.northbound.onenet.values import Json
from commandpost.northbound.onenet.write_items import parse_write_items

EXECUTE_BODY_SCHEMA: Final = {
    "type": "object",
    "properties": {"args": {"type": ["string", "number"], "description": "Goes to the device unchanged."}},
}
NO_CONTENT: Final = "{}"


def read_path(call: Call) -> ResourcePath:
    """Give the object, instance or resource a call names.

    Raises:
        Invalid: an id is out of range, or a resource is named without an instance.
    """
    object_id = call.get(OBJ_ID)
    instance_id = call.find(OBJ_INST_ID)
    resource_id = call.find(RES_ID)
    if resource_id is not None and instance_id is None:
        raise Invalid(RES_ID.name, resource_id, "a resource with an obj_inst_id")
    return ResourcePath(object_id=object_id, instance_id=instance_id, resource_id=resource_id)


def object_or_instance_path(call: Call) -> ResourcePath:
    """Give the object or instance a call names."""
    return ResourcePath(object_id=call.get(OBJ_ID), instance_id=call.find(OBJ_INST_ID))


def instance_path(call: Call) -> ResourcePath:
    """Give the instance a call has to name."""
    return ResourcePath(object_id=call.get(OBJ_ID), instance_id=call.get(OBJ_INST_ID_REQUIRED))


def resource_path(call: Call) -> ResourcePath:
    """Give the resource a call has to name."""
    return ResourcePath(
        object_id=call.get(OBJ_ID),
        instance_id=call.get(OBJ_INST_ID_REQUIRED),
        resource_id=call.get(RES_ID_REQUIRED),
    )


def parse_write(call: Call, path: ResourcePath, mode: WriteMode) -> tuple[Write, str]:
    """Read the body of a write; gives the operation, and the body as it is remembered."""
    body = parse_object(call.command_body())
    return Write(path=path, mode=mode, items=parse_write_items(body)), json_text(body.values)


def parse_execute(call: Call, path: ResourcePath) -> tuple[Execute, str]:
    """Read the body of an execute, which may be empty; gives the operation, and the body as it is remembered."""
    raw = call.command_body()
    if not raw.strip():
        return Execute(path=path), NO_CONTENT
    body = parse_object(raw)
    return Execute(path=path, arguments=_execute_arguments(body.find("args"))), json_text(body.values)


def _execute_arguments(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case int() | float() if not isinstance(value, bool):
            return str(value)
    raise invalid("args", describe(value), "a string")


def path_arguments(path: ResourcePath) -> Json:
    """Give the ids of a path under the names the dialect has for them."""
    return dict(zip((OBJ_ID.name, OBJ_INST_ID.name, RES_ID.name), path.parts, strict=False))


def submission(arguments: Json, content: str = NO_CONTENT) -> Submission:
    """Give what is remembered of a call."""
    return Submission(arguments=json_text(arguments), content=content)
