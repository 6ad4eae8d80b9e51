"""The routes of triggers and of the push state. Source: northbound reference 3.10, 9.2."""

from collections.abc import Sequence
from typing import Final

from commandpost.northbound.onenet import triggers
from commandpost.northbound.onenet.dialect import CallRoute
from commandpost.northbound.onenet.parameters import PAGE
from commandpost.northbound.onenet.routes.shapes import OBJECT, general
from commandpost.northbound.onenet.triggers import (
    NEW_TRIGGER_SCHEMA,
    PID,
    TITLE_FILTER,
    TRIGGER_CHANGE_SCHEMA,
    TRIGGERS_PER_PAGE,
)
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

_TAG: Final = "Triggers"
_NEW: Final = {"title": "hot", "ds_id": "3303_0_5700", "url": "https://example.com/alarm", "type": ">", "threshold": 30}
_SHOWN: Final = {
    "id": 1,
    "title": "hot",
    "ds_id": "3303_0_5700",
    "dev_ids": [],
    "url": "https://example.com/alarm",
    "type": ">",
    "threshold": 30,
    "create_time": "2020-12-02 09:02:24",
    "invalid": False,
}
_STATUS: Final = {"type": "object", "required": ["status"], "properties": {"status": {"type": "boolean"}}}


def trigger_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Alarms on the values of datastreams."""
    one = "/triggers/{trigger_id}"
    return (
        general(
            "POST",
            "/triggers",
            triggers.create,
            name="createTrigger",
            tag=_TAG,
            summary="Make a trigger",
            description="Points are looked at when they are stored; each that meets the condition gives an alarm, "
            'posted to `url` as `{"trigger": {…}, "current_data": [{…}]}`, at least once and in order per device. '
            "`in`, `out` and `inout` tell of crossing the range, `change` of another value than before, `frozen` of "
            "so many seconds without a point, `live` of a point after so many seconds without one.",
            body=RequestBody(schema=NEW_TRIGGER_SCHEMA, example=_NEW, bytes_max=settings.body_bytes_max),
            data_schema=OBJECT,
            data={"trigger_id": 1},
        ),
        general(
            "GET",
            "/triggers",
            triggers.list_triggers,
            name="listTriggers",
            tag=_TAG,
            summary="List triggers",
            parameters=(TITLE_FILTER, PAGE, TRIGGERS_PER_PAGE),
            data_schema=OBJECT,
            data={"total_count": 1, "page": 1, "per_page": 10, "triggers": [_SHOWN]},
        ),
        general(
            "GET",
            one,
            triggers.show,
            name="showTrigger",
            tag=_TAG,
            summary="Show a trigger",
            data_schema=OBJECT,
            data=_SHOWN,
        ),
        general(
            "PUT",
            one,
            triggers.change,
            name="changeTrigger",
            tag=_TAG,
            summary="Change a trigger",
            description="What is not named stays. A new condition needs its `type` and its `threshold`.",
            body=RequestBody(
                schema=TRIGGER_CHANGE_SCHEMA, example={"type": ">", "threshold": 40}, bytes_max=settings.body_bytes_max
            ),
        ),
        general("DELETE", one, triggers.remove, name="removeTrigger", tag=_TAG, summary="Remove a trigger"),
    )


def push_status_routes() -> Sequence[CallRoute]:
    """Whether anything is pushed."""
    return (
        general(
            "GET",
            "/third/platform/status",
            triggers.push_status,
            name="showPushStatus",
            tag="Push",
            summary="Say whether anybody is told of the product's events",
            parameters=(PID,),
            data_schema=_STATUS,
            data={"status": True},
        ),
        general(
            "GET",
            "/msg_group/{group_id}/status",
            triggers.group_status,
            name="showGroupStatus",
            tag="Push",
            summary="Say whether a subscription is on",
            data_schema=_STATUS,
            data={"status": True},
        ),
    )
