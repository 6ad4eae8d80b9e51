"""Devices: create, change, remove, list, whether they are online, and the latest of many.

Not here: the detail of one (`device_detail`). Another product's device looks like one that does not exist (P12).
Source: northbound reference 3.1, 3.3 to 3.8.
"""

from collections.abc import Sequence
from typing import Final

from commandpost.domain.device import DeviceFilter
from commandpost.domain.errors import Invalid, NotFound, Taken
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Page
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.device_detail import location_json
from commandpost.northbound.onenet.device_fields import (
    normal_auth_info,
    parse_device_change,
    parse_keys,
    parse_new_device,
    plain_auth_info,
)
from commandpost.northbound.onenet.envelope import raw_json, succeed, succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, printable
from commandpost.northbound.onenet.parameters import (
    AUTH_INFO,
    BEGIN_DATE,
    DEV_IDS,
    DEVICE_ID_LIST,
    DEVICE_IDS_MAX,
    END_DATE,
    ENDPOINT_NAME_CHARACTERS_MAX,
    IMEI_ALONE,
    KEY_WORDS,
    ONLINE,
    PAGE,
    PER_PAGE,
    PER_PAGE_DEFAULT,
    PRIVATE,
    TAG,
    parse_device_id,
)
from commandpost.northbound.onenet.values import Json
from commandpost.northbound.parameter import Parameter
from commandpost.services.devices import DeviceView
from commandpost.services.identities import GivenKeys

_KEY_FIELDS: Final = {"psk": "psk", "psk_hex": "psk_hex", "psk_identity": "psk_identity", "auth_code": "auth"}
"""What GivenKeys calls a key, and what a body does."""


async def create(call: Call) -> ApiResponse:
    """`POST /devices`."""
    new = parse_new_device(call.body_object(), call.product)
    try:
        device = await call.platform.devices.create(call.product, new)
    except Invalid as error:
        if error.field in ("auth_info", "imei", "imsi"):
            raise Fault(FaultKind.VALUE, "auth_info") from None
        raise
    except Taken as error:
        if error.kind == "auth_info":
            raise _exists(new.imei or plain_auth_info(new.auth_info)) from None
        raise
    call.request.trail.target = f"device_id {device.id}"
    data: Json = {"device_id": str(device.id)}
    if device.sealed_psk is not None and new.psk is None and new.psk_hex is None:
        data["psk"] = call.platform.identities.access_key(device).psk  # it was made here: its owner has to learn it
    return succeed_with(data)


def _exists(identity: str) -> Fault:
    """The text was captured from the live service."""
    return Fault(FaultKind.VALUE, f"auth_info exists::{identity}")


async def change(call: Call) -> ApiResponse:
    """`PUT /devices/{device_id}`: all of it, or nothing."""
    body = call.body_object()
    wanted, keys = parse_device_change(body, call.device, call.product), parse_keys(body)
    changes_keys = keys != GivenKeys()
    if changes_keys:
        _check_key_change(call, keys)
    try:
        await call.platform.devices.change(call.product, call.device.id, wanted, keys if changes_keys else None)
    except Taken as error:
        if error.kind != "auth_info":
            raise
        raise _exists(plain_auth_info(error.key)) from None
    return succeed()


def _check_key_change(call: Call, keys: GivenKeys) -> None:
    """See who changes what a device proves itself by: the MasterKey alone may, as with `PUT /nbiot/device/accpsk`."""
    call.access.require_master()
    named = ", ".join(field for name, field in _KEY_FIELDS.items() if getattr(keys, name) is not None)
    if not call.device.is_lwm2m:
        raise Fault(FaultKind.VALUE, f"{named}: none for a device that speaks no LwM2M")
    call.request.trail.target = f"new {named}"


async def remove(call: Call) -> ApiResponse:
    """`DELETE /devices/{device_id}`."""
    await call.platform.devices.remove(call.product, call.device.id)
    return succeed()


async def list_devices(call: Call) -> ApiResponse:
    """`GET /devices`."""
    page = Page(number=call.find_or(PAGE, 1), size=call.find_or(PER_PAGE, PER_PAGE_DEFAULT))
    total, views = await call.platform.devices.list(call.product, _filter(call), page)
    times = call.platform.times
    return succeed_with(
        {
            "per_page": page.size,
            "page": page.number,
            "total_count": total,
            "devices": [_item(view, times) for view in views],
        }
    )


async def list_statuses(call: Call) -> ApiResponse:
    """`GET /devices/status`."""
    views = await _views_asked_for(call)
    shown = [{"id": str(view.device.id), "title": view.device.title, "online": view.is_online} for view in views]
    return succeed_with({"total_count": len(shown), "devices": shown})


async def list_current_values(call: Call) -> ApiResponse:
    """`GET /devices/datapoints`: the latest value of each datastream."""
    views = await _views_asked_for(call)
    times = call.platform.times
    values = await call.platform.datapoints.current_values([view.device.id for view in views])
    devices: list[Json] = []
    for view in views:
        streams = [
            {"id": stream.id, "at": times.format_second(stream.updated_at), "value": raw_json(stream.current_value)}
            for stream in values.get(view.device.id, ())
            if stream.current_value is not None and stream.updated_at is not None
        ]
        devices.append({"id": str(view.device.id), "title": view.device.title, "datastreams": streams})
    return succeed_with({"devices": devices})


async def show_by_imei(call: Call) -> ApiResponse:
    """`GET /devices/getbyimei`; both spellings of the last field are in use."""
    view = await call.platform.devices.get_by_imei(call.product, _imei(call))
    device = view.device
    call.require_device(device.id)
    return succeed_with(
        {
            "id": str(device.id),
            "title": device.title,
            "desc": device.description,
            "online": view.is_online,
            "create_time": call.platform.times.format_second(device.created_at),
            "observ_status": device.is_setup_done,
            "observe_status": device.is_setup_done,
        }
    )


async def _views_asked_for(call: Call) -> Sequence[DeviceView]:
    texts = call.find(DEV_IDS)
    if texts is None:
        try:
            return (await call.platform.devices.get_by_imei(call.product, _imei(call)),)
        except NotFound:
            return ()
    if len(texts) > DEVICE_IDS_MAX:
        raise Fault(FaultKind.DEVICES_TOO_MANY, f"devIds has {len(texts)}")
    return await call.platform.devices.statuses(call.product, _device_ids(DEV_IDS, texts))


def _imei(call: Call) -> str:
    imei = call.query.find(IMEI_ALONE.name) or ""
    if len(imei) > ENDPOINT_NAME_CHARACTERS_MAX:
        raise NotFound("device", printable(imei))
    return imei


def _filter(call: Call) -> DeviceFilter:
    begin, end = call.find_date(BEGIN_DATE), call.find_date(END_DATE)
    listed = call.find(DEVICE_ID_LIST)
    return DeviceFilter(
        key_words=call.find_or(KEY_WORDS, ""),
        auth_info=normal_auth_info(call.find_or(AUTH_INFO, "")),
        tags=tuple(call.find_or(TAG, ())),
        is_online=call.find(ONLINE),
        is_private=call.find(PRIVATE),
        ids=None if listed is None else _device_ids(DEVICE_ID_LIST, listed),
        created_from=None if begin is None else begin.at,
        created_before=None if end is None else Instant(end.last + 1),
    )


def _device_ids(parameter: Parameter[Sequence[str]], texts: Sequence[str]) -> tuple[DeviceId, ...]:
    """Read device ids, each once. Digits that can be no id are passed over, as an unknown device is."""
    ids: dict[DeviceId, None] = {}
    for text in texts:
        if not (text.isascii() and text.isdigit()):
            raise Invalid(parameter.name, text, "device ids in decimal digits")
        device_id = parse_device_id(text)
        if device_id is not None:
            ids[device_id] = None
    return tuple(ids)


def _item(view: DeviceView, times: TextTimes) -> Json:
    device = view.device
    item: Json = {
        "protocol": device.protocol,
        "create_time": times.format_second(device.created_at),
        "online": view.is_online,
        "id": str(device.id),
        "auth_info": raw_json(device.auth_info),
        "title": device.title,
        "private": device.is_private,
        "tags": device.tags,
    }
    if device.location is not None:
        item["location"] = location_json(device.location)
    return item
