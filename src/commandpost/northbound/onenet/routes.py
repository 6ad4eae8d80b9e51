"""The table of the dialect: every call with its path, checks and documentation.

Order matters where templates could overlap; static paths always win (northbound reference 12). What the reference calls
[choice] and this page settles: `/devices/nbiot` and `/nbiot/write/offline` are aliases (design 10.10).
"""

from collections.abc import Sequence
from typing import Any, Final

from commandpost.northbound.onenet import cached, devices, history, instant
from commandpost.northbound.onenet.device_fields import DEVICE_CHANGE_SCHEMA, NEW_DEVICE_SCHEMA
from commandpost.northbound.onenet.dialect import CallHandler, CallRoute, Subject, alias
from commandpost.northbound.onenet.errno import Family
from commandpost.northbound.onenet.operations import EXECUTE_BODY_SCHEMA
from commandpost.northbound.onenet.parameters import (
    AUTH_INFO,
    BEGIN_DATE,
    BIN2HEX,
    CANCEL,
    DELIVERY,
    DEV_IDS,
    DEVICE_ID_LIST,
    END,
    END_DATE,
    EXPIRED_TIME,
    GT,
    HISTORY_PAGE,
    IMEI,
    IMEI_ALONE,
    KEY_WORDS,
    LT,
    MODE,
    OBJ_ID,
    OBJ_ID_FILTER,
    OBJ_INST_ID,
    OBJ_INST_ID_REQUIRED,
    ONLINE,
    PAGE,
    PER_PAGE,
    PMAX,
    PMIN,
    PRIVATE,
    RES_ID,
    RES_ID_REQUIRED,
    RETRY,
    SORT,
    ST,
    START,
    TAG,
    TIMEOUT,
    TRIGGER_MSG,
    UUID_FILTER,
    VALID_TIME,
)
from commandpost.northbound.onenet.route_samples import (
    DEVICE_DETAIL,
    DEVICE_LIST,
    DEVICE_STATUSES,
    DISCOVERED,
    HISTORY_DETAIL,
    HISTORY_LIST,
    LOG,
    NEW_DEVICE,
    READ_VALUES,
    RESOURCES,
    UUID,
    WRITE_BODY,
)
from commandpost.northbound.onenet.write_items import WRITE_BODY_SCHEMA
from commandpost.northbound.parameter import JsonSchema, Parameter
from commandpost.northbound.routing import RequestBody, RouteDocumentation
from commandpost.northbound.settings import NorthboundSettings

_Parameters = tuple[Parameter[Any], ...]  # Any: each parameter has a type of its own

_OBJECT: Final[JsonSchema] = {"type": "object"}
_ARRAY: Final[JsonSchema] = {"type": "array"}
_SUBMITTED: Final[JsonSchema] = {
    "type": "object",
    "required": ["uuid"],
    "properties": {"uuid": {"type": "string", "minLength": 36, "maxLength": 36}},
}
_TERMS: Final[_Parameters] = (VALID_TIME, EXPIRED_TIME, RETRY, TIMEOUT, TRIGGER_MSG, DELIVERY)
_UUID_IN_HEADER: Final = "The id of the command is in the header `X-Command-Uuid` of the answer."
_BODY_INSTEAD: Final = "Parameters that the query lacks are taken from a JSON body."


def call_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Give every call of the dialect, in the order in which they are matched."""
    write_body = RequestBody(schema=WRITE_BODY_SCHEMA, example=WRITE_BODY, bytes_max=settings.command_body_bytes_max)
    execute_body = RequestBody(
        schema=EXECUTE_BODY_SCHEMA,
        example={"args": "ping"},
        bytes_max=settings.command_body_bytes_max,
        is_required=False,
    )
    return (
        *_instant_routes(write_body, execute_body),
        *_cached_routes(write_body, execute_body),
        *_history_routes(),
        *_device_routes(settings),
    )


def _instant_routes(write_body: RequestBody, execute_body: RequestBody) -> Sequence[CallRoute]:
    read = _nb(
        "GET",
        "/nbiot",
        instant.read,
        name="readInstant",
        tag="Instant commands",
        summary="Read an object, an instance or a resource",
        description=_UUID_IN_HEADER,
        parameters=(IMEI, OBJ_ID, OBJ_INST_ID, RES_ID, TIMEOUT, BIN2HEX, DELIVERY),
        data_schema=_ARRAY,
        data=READ_VALUES,
    )
    write = _nb(
        "POST",
        "/nbiot",
        instant.write,
        name="writeInstant",
        tag="Instant commands",
        summary="Write resources of an instance",
        description=_UUID_IN_HEADER,
        parameters=(IMEI, OBJ_ID, OBJ_INST_ID_REQUIRED, MODE, TIMEOUT, DELIVERY),
        body=write_body,
    )
    return (
        read,
        write,
        alias(read, "/devices/nbiot", "readInstantAlias"),
        alias(write, "/devices/nbiot", "writeInstantAlias"),
        _nb(
            "POST",
            "/nbiot/execute",
            instant.execute,
            name="executeInstant",
            tag="Instant commands",
            summary="Execute a resource",
            description=_UUID_IN_HEADER,
            parameters=(IMEI, OBJ_ID, OBJ_INST_ID_REQUIRED, RES_ID_REQUIRED, TIMEOUT, DELIVERY),
            body=execute_body,
        ),
        _nb(
            "POST",
            "/nbiot/observe",
            instant.observe,
            name="observeInstant",
            tag="Instant commands",
            summary="Observe, or cancel an observation",
            description="With both given, pmax ≥ pmin and both > 0; lt < gt and lt + 2*st < gt. "
            f"{_BODY_INSTEAD} {_UUID_IN_HEADER}",
            parameters=(IMEI, CANCEL, OBJ_ID, OBJ_INST_ID, RES_ID, PMIN, PMAX, GT, LT, ST, TIMEOUT, DELIVERY),
            body_holds_parameters=True,
        ),
        _nb(
            "GET",
            "/nbiot/discover",
            instant.discover,
            name="discoverInstant",
            tag="Instant commands",
            summary="Ask the device which instances and resources it has",
            description=_UUID_IN_HEADER,
            parameters=(IMEI, OBJ_ID, OBJ_INST_ID, TIMEOUT, DELIVERY),
            data_schema=_ARRAY,
            data=DISCOVERED,
        ),
        _nb(
            "GET",
            "/nbiot/resources",
            instant.resources,
            name="listResources",
            tag="Instant commands",
            summary="List what is known of the device's objects",
            description="Answered from what the platform has learned, so the device may be offline.",
            parameters=(IMEI, OBJ_ID_FILTER),
            data_schema=_OBJECT,
            data=RESOURCES,
        ),
    )


def _cached_routes(write_body: RequestBody, execute_body: RequestBody) -> Sequence[CallRoute]:
    write = _nb(
        "POST",
        "/nbiot/offline",
        cached.write,
        name="writeCached",
        tag="Cached commands",
        summary="Keep a write until the device shows itself",
        parameters=(IMEI, OBJ_ID, OBJ_INST_ID_REQUIRED, MODE, *_TERMS),
        body=write_body,
        data_schema=_SUBMITTED,
        data={"uuid": UUID},
    )
    return (
        _nb(
            "GET",
            "/nbiot/offline",
            cached.read,
            name="readCached",
            tag="Cached commands",
            summary="Keep a read until the device shows itself",
            description=_BODY_INSTEAD,
            parameters=(IMEI, OBJ_ID, OBJ_INST_ID, RES_ID, *_TERMS, BIN2HEX),
            data_schema=_SUBMITTED,
            data={"uuid": UUID},
            body_holds_parameters=True,
        ),
        write,
        alias(write, "/nbiot/write/offline", "writeCachedAlias"),
        _nb(
            "POST",
            "/nbiot/execute/offline",
            cached.execute,
            name="executeCached",
            tag="Cached commands",
            summary="Keep an execute until the device shows itself",
            parameters=(IMEI, OBJ_ID, OBJ_INST_ID_REQUIRED, RES_ID_REQUIRED, *_TERMS),
            body=execute_body,
            data_schema=_SUBMITTED,
            data={"uuid": UUID},
        ),
        _nb(
            "PUT",
            "/nbiot/offline/cancel/all",
            cached.cancel_all,
            name="cancelAll",
            tag="Cached commands",
            summary="Cancel every waiting command of a device",
            parameters=(IMEI,),
            data_schema=_OBJECT,
            data={"succ": [UUID], "failed": [], "total": 1},
        ),
        _nb(
            "PUT",
            "/nbiot/offline/cancel/{uuid}",
            cached.cancel,
            name="cancel",
            tag="Cached commands",
            summary="Cancel a waiting command",
            parameters=(IMEI,),
        ),
    )


def _history_routes() -> Sequence[CallRoute]:
    return (
        _nb(
            "GET",
            "/nbiot/offline/history",
            history.list_commands,
            name="listHistory",
            tag="History",
            summary="List the cached commands of a device",
            parameters=(IMEI, START, END, HISTORY_PAGE, PER_PAGE, SORT, UUID_FILTER),
            data_schema=_OBJECT,
            data=HISTORY_LIST,
        ),
        _nb(
            "GET",
            "/nbiot/offline/history/{uuid}",
            history.show_command,
            name="showCommand",
            tag="History",
            summary="Show a cached command",
            description="`cmd_result` is there once the command has succeeded.",
            parameters=(IMEI,),
            data_schema=_OBJECT,
            data=HISTORY_DETAIL,
        ),
        _nb(
            "GET",
            "/nbiot/offline/history/{uuid}/piecewise",
            history.show_cached_log,
            name="showCachedLog",
            tag="History",
            summary="Show the full-chain log of a cached command",
            parameters=(IMEI,),
            data_schema=_ARRAY,
            data=LOG,
        ),
        _nb(
            "GET",
            "/nbiot/open/online/history/{uuid}/piecewise",
            history.show_instant_log,
            name="showInstantLog",
            tag="History",
            summary="Show the full-chain log of an instant command",
            description="Its uuid comes in the header `X-Command-Uuid` of the answer to the command.",
            parameters=(IMEI,),
            data_schema=_ARRAY,
            data=LOG,
        ),
    )


def _device_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    return (
        _general(
            "POST",
            "/devices",
            devices.create,
            name="createDevice",
            summary="Create a device",
            body=RequestBody(schema=NEW_DEVICE_SCHEMA, example=NEW_DEVICE, bytes_max=settings.body_bytes_max),
            data_schema=_OBJECT,
            data={"device_id": "1000001"},
        ),
        _general(
            "GET",
            "/devices",
            devices.list_devices,
            name="listDevices",
            summary="List devices",
            parameters=(
                KEY_WORDS,
                AUTH_INFO,
                TAG,
                ONLINE,
                PRIVATE,
                PAGE,
                PER_PAGE,
                DEVICE_ID_LIST,
                BEGIN_DATE,
                END_DATE,
            ),
            data_schema=_OBJECT,
            data=DEVICE_LIST,
        ),
        _general(
            "GET",
            "/devices/status",
            devices.list_statuses,
            name="listStatuses",
            summary="Say which devices are online",
            parameters=(DEV_IDS,),
            data_schema=_OBJECT,
            data=DEVICE_STATUSES,
        ),
        _general(
            "GET",
            "/devices/getbyimei",
            devices.show_by_imei,
            name="showDeviceByImei",
            summary="Find a device by its IMEI",
            parameters=(IMEI_ALONE,),
            data_schema=_OBJECT,
            data={
                "id": "1000001",
                "title": "m1",
                "desc": "",
                "online": True,
                "create_time": "2018-06-04 17:43:11",
                "observ_status": True,
                "observe_status": True,
            },
        ),
        _general(
            "GET",
            "/devices/{device_id}",
            devices.show,
            name="showDevice",
            summary="Show a device",
            data_schema=_OBJECT,
            data=DEVICE_DETAIL,
        ),
        _general(
            "PUT",
            "/devices/{device_id}",
            devices.change,
            name="changeDevice",
            summary="Change a device; what is not named stays",
            body=RequestBody(schema=DEVICE_CHANGE_SCHEMA, example={"title": "m2"}, bytes_max=settings.body_bytes_max),
        ),
        _general(
            "DELETE",
            "/devices/{device_id}",
            devices.remove,
            name="removeDevice",
            summary="Remove a device with its commands",
        ),
    )


def _nb(
    method: str,
    template: str,
    handler: CallHandler,
    *,
    name: str,
    tag: str,
    summary: str,
    parameters: _Parameters,
    description: str = "",
    body: RequestBody | None = None,
    data_schema: JsonSchema | None = None,
    data: object = None,
    body_holds_parameters: bool = False,
) -> CallRoute:
    """Declare a call of the `/nbiot*` family: each names its device by `imei`."""
    return CallRoute(
        method=method,
        template=template,
        handler=handler,
        family=Family.NB,
        subject=Subject.DEVICE,
        body_holds_parameters=body_holds_parameters,
        documentation=RouteDocumentation(
            name=name,
            tag=tag,
            summary=summary,
            description=description,
            parameters=parameters,
            body=body,
            data_schema=data_schema,
            example=_envelope(data),
        ),
    )


def _general(
    method: str,
    template: str,
    handler: CallHandler,
    *,
    name: str,
    summary: str,
    parameters: _Parameters = (),
    body: RequestBody | None = None,
    data_schema: JsonSchema | None = None,
    data: object = None,
) -> CallRoute:
    """Declare a call that answers with the general table."""
    return CallRoute(
        method=method,
        template=template,
        handler=handler,
        family=Family.GENERAL,
        documentation=RouteDocumentation(
            name=name,
            tag="Devices",
            summary=summary,
            parameters=parameters,
            body=body,
            data_schema=data_schema,
            example=_envelope(data),
        ),
    )


def _envelope(data: object) -> object:
    answer: dict[str, object] = {"errno": 0, "error": "succ"}
    if data is not None:
        answer["data"] = data
    return answer
