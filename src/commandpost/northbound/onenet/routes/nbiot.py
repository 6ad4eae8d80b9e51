"""The routes of `/nbiot*`. Source: northbound reference 4, 5; aliases: design 10.10."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from commandpost.northbound.onenet import cached, history, instant, psk
from commandpost.northbound.onenet.dialect import CallRoute, Subject, alias
from commandpost.northbound.onenet.further_parameters import DID, IMEI_OR_DID
from commandpost.northbound.onenet.parameters import (
    BIN2HEX,
    CANCEL,
    DELIVERY,
    END,
    EXPIRED_TIME,
    GT,
    HISTORY_PAGE,
    IMEI,
    LT,
    MODE,
    OBJ_ID,
    OBJ_ID_FILTER,
    OBJ_INST_ID,
    OBJ_INST_ID_REQUIRED,
    PER_PAGE,
    PMAX,
    PMIN,
    RES_ID,
    RES_ID_REQUIRED,
    RETRY,
    SORT,
    ST,
    START,
    TIMEOUT,
    TRIGGER_MSG,
    UUID_FILTER,
    VALID_TIME,
)
from commandpost.northbound.onenet.route_samples import (
    DISCOVERED,
    HISTORY_DETAIL,
    HISTORY_LIST,
    LOG,
    READ_VALUES,
    RESOURCES,
    UUID,
)
from commandpost.northbound.onenet.routes.shapes import ARRAY, OBJECT, Parameters, nb
from commandpost.northbound.parameter import JsonSchema
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

_SUBMITTED: Final[JsonSchema] = {
    "type": "object",
    "required": ["uuid"],
    "properties": {"uuid": {"type": "string", "minLength": 36, "maxLength": 36}},
}
_TERMS: Final[Parameters] = (VALID_TIME, EXPIRED_TIME, RETRY, TIMEOUT, TRIGGER_MSG, DELIVERY)
_UUID_IN_HEADER: Final = "The id of the command is in the header `X-Command-Uuid` of the answer."
_HEX_KEY: Final = "A key that was given as `psk_hex` is shown as `psk_hex`; `psk` is null where there is no key."
_BODY_INSTEAD: Final = "Parameters that the query lacks are taken from a JSON body."


def instant_routes(write_body: RequestBody, execute_body: RequestBody) -> Sequence[CallRoute]:
    """Calls whose caller waits for the device."""
    read = nb(
        "GET",
        "/nbiot",
        instant.read,
        name="readInstant",
        tag="Instant commands",
        summary="Read an object, an instance or a resource",
        description=_UUID_IN_HEADER,
        parameters=(IMEI, OBJ_ID, OBJ_INST_ID, RES_ID, TIMEOUT, BIN2HEX, DELIVERY),
        data_schema=ARRAY,
        data=READ_VALUES,
    )
    write = nb(
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
        nb(
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
        nb(
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
        nb(
            "GET",
            "/nbiot/discover",
            instant.discover,
            name="discoverInstant",
            tag="Instant commands",
            summary="Ask the device which instances and resources it has",
            description=_UUID_IN_HEADER,
            parameters=(IMEI, OBJ_ID, OBJ_INST_ID, TIMEOUT, DELIVERY),
            data_schema=ARRAY,
            data=DISCOVERED,
        ),
        nb(
            "GET",
            "/nbiot/resources",
            instant.resources,
            name="listResources",
            tag="Instant commands",
            summary="List what is known of the device's objects",
            description="Answered from what the platform has learned, so the device may be offline.",
            parameters=(IMEI, OBJ_ID_FILTER),
            data_schema=OBJECT,
            data=RESOURCES,
        ),
    )


def cached_routes(write_body: RequestBody, execute_body: RequestBody) -> Sequence[CallRoute]:
    """Calls that are kept until the device shows itself."""
    write = nb(
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
        nb(
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
        nb(
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
        nb(
            "PUT",
            "/nbiot/offline/cancel/all",
            cached.cancel_all,
            name="cancelAll",
            tag="Cached commands",
            summary="Cancel every waiting command of a device",
            parameters=(IMEI,),
            data_schema=OBJECT,
            data={"succ": [UUID], "failed": [], "total": 1},
        ),
        nb(
            "PUT",
            "/nbiot/offline/cancel/{uuid}",
            cached.cancel,
            name="cancel",
            tag="Cached commands",
            summary="Cancel a waiting command",
            parameters=(IMEI,),
        ),
    )


def history_routes() -> Sequence[CallRoute]:
    """What became of them."""
    return (
        nb(
            "GET",
            "/nbiot/offline/history",
            history.list_commands,
            name="listHistory",
            tag="History",
            summary="List the cached commands of a device",
            parameters=(IMEI, START, END, HISTORY_PAGE, PER_PAGE, SORT, UUID_FILTER),
            data_schema=OBJECT,
            data=HISTORY_LIST,
        ),
        nb(
            "GET",
            "/nbiot/offline/history/{uuid}",
            history.show_command,
            name="showCommand",
            tag="History",
            summary="Show a cached command",
            description="`cmd_result` is there once the command has succeeded.",
            parameters=(IMEI,),
            data_schema=OBJECT,
            data=HISTORY_DETAIL,
        ),
        nb(
            "GET",
            "/nbiot/offline/history/{uuid}/piecewise",
            history.show_cached_log,
            name="showCachedLog",
            tag="History",
            summary="Show the full-chain log of a cached command",
            parameters=(IMEI,),
            data_schema=ARRAY,
            data=LOG,
        ),
        nb(
            "GET",
            "/nbiot/open/online/history/{uuid}/piecewise",
            history.show_instant_log,
            name="showInstantLog",
            tag="History",
            summary="Show the full-chain log of an instant command",
            description="Its uuid comes in the header `X-Command-Uuid` of the answer to the command.",
            parameters=(IMEI,),
            data_schema=ARRAY,
            data=LOG,
        ),
    )


def psk_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """The pre-shared keys of devices (northbound reference 3.10)."""
    body = RequestBody(schema=psk.KEY_SCHEMA, example={"key": "Zk3Qw8Rt"}, bytes_max=settings.body_bytes_max)
    show_access_key = nb(
        "GET",
        "/nbiot/device/accpsk",
        psk.show_access_key,
        name="showAccessKey",
        tag="DTLS keys",
        summary="Show the key for the access server",
        description=_HEX_KEY,
        parameters=(IMEI,),
        data_schema=OBJECT,
        data={"psk": "Zk3Qw8Rt"},
    )
    setters = tuple(
        nb(
            method,
            "/nbiot/device/accpsk",
            psk.set_access_key,
            name=name,
            tag="DTLS keys",
            summary="Set the key for the access server",
            parameters=(IMEI,),
            body=body,
        )
        for method, name in (("POST", "createAccessKey"), ("PUT", "changeAccessKey"))
    )
    show_bootstrap_key = nb(
        "GET",
        "/nbiot/device/psk",
        psk.show_bootstrap_key,
        name="showBootstrapKey",
        tag="DTLS keys",
        summary="Show the key for the bootstrap server",
        description=f"The key for the access server until one is set. {_HEX_KEY}",
        parameters=(IMEI_OR_DID, DID),
        data_schema=OBJECT,
        data={"psk": "Zk3Qw8Rt"},
    )
    set_bootstrap_key = nb(
        "PUT",
        "/nbiot/device/psk",
        psk.set_bootstrap_key,
        name="changeBootstrapKey",
        tag="DTLS keys",
        summary="Set the key for the bootstrap server",
        parameters=(IMEI_OR_DID, DID),
        body=body,
    )
    routes = (show_access_key, *setters, show_bootstrap_key, set_bootstrap_key)
    return tuple(replace(route, subject=Subject.PRODUCT) for route in routes)  # the MasterKey alone opens them
