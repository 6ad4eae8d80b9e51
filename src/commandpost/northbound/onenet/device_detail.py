"""The detail of one device: what its owner said of it, what was learned, and what belongs to it.

Source: northbound reference 3.2.
"""

from typing import Final

from commandpost.domain.device import Device, GeoLocation
from commandpost.domain.ports import Page
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet import binaries, datastreams
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import raw_json, succeed_with
from commandpost.northbound.onenet.values import Json
from commandpost.services.devices import DeviceView

_LEARNED_TEXT_CHARACTERS_MAX: Final = 32  # of manu_id and model
_KEYS_SHOWN_MAX: Final = 100  # `/keys?device_id=` has pages for more


async def show(call: Call) -> ApiResponse:
    """`GET /devices/{device_id}`."""
    platform, device = call.platform, call.device
    detail = _detail(await platform.devices.get(call.product, device.id), platform.times)
    streams = await platform.datapoints.list_streams(device.id)
    detail["datastreams"] = [datastreams.summary(stream, platform.times) for stream in streams]
    found = await platform.datapoints.list_binaries(device.id)
    detail["binary"] = [binaries.summary(binary, platform.times) for binary in found]
    if call.access.is_master:  # a key must not tell the ones that open more
        _, keys = await platform.device_keys.list(call.product, device.id, Page(number=1, size=_KEYS_SHOWN_MAX))
        detail["keys"] = [{"title": shown.key.title, "key": shown.text} for shown in keys]
        call.request.trail.is_for_audit = call.request.trail.is_for_audit or bool(keys)
    return succeed_with(detail)


def _detail(view: DeviceView, times: TextTimes) -> Json:
    device = view.device
    detail: Json = {
        "id": str(device.id),
        "title": device.title,
        "desc": device.description,
        "protocol": device.protocol,
        "create_time": times.format_second(device.created_at),
        "online": view.is_online,
        "private": device.is_private,
        "obsv": device.is_auto_observed,
        "tags": device.tags,
    }
    if device.location is not None:
        detail["location"] = location_json(device.location)
    detail["auth_info"] = raw_json(device.auth_info)
    detail["other"] = raw_json(device.other)
    _add_what_was_learned(detail, device, times)
    return detail


def _add_what_was_learned(detail: Json, device: Device, times: TextTimes) -> None:
    if device.imei is not None:
        detail["rg_id"] = device.imei
        detail["imsi"] = device.imsi
        detail["imsi_old"] = device.imsi_old
    if device.chip is not None:
        detail["chip"] = device.chip
    for name, at in (
        ("imsi_mt", device.imsi_changed_at),
        ("act_time", device.activated_at),
        ("last_ct", device.last_heard_at),
    ):
        if at is not None:
            detail[name] = times.format_java(at)
    if device.is_lwm2m:
        detail["obsv_st"] = device.is_setup_done
        detail["observ_status"] = device.is_setup_done
    for name, text in (("manu_id", device.manufacturer), ("model", device.model)):
        if text:
            detail[name] = text[:_LEARNED_TEXT_CHARACTERS_MAX]


def location_json(location: GeoLocation) -> Json:
    """Give a place as it was given."""
    shown = (("lon", location.longitude), ("lat", location.latitude), ("ele", location.elevation))
    return {name: value for name, value in shown if value is not None}
