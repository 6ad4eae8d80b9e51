"""Datastreams: make, change, show, remove. Source: northbound reference 7."""

from typing import Final

from commandpost.domain.datapoint import (
    STREAM_ID_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
    UNIT_CHARACTERS_MAX,
    Datastream,
)
from commandpost.domain.errors import Invalid
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.device_fields import parse_tags
from commandpost.northbound.onenet.envelope import raw_json, succeed, succeed_with
from commandpost.northbound.onenet.errno import invalid, missing
from commandpost.northbound.onenet.further_parameters import DATASTREAM_IDS
from commandpost.northbound.onenet.json_body import JsonObject
from commandpost.northbound.onenet.values import Json
from commandpost.services.datapoints import DatastreamChange

_CHANGEABLE: Final = {
    "unit": {"type": "string", "maxLength": UNIT_CHARACTERS_MAX},
    "unit_symbol": {"type": "string", "maxLength": UNIT_CHARACTERS_MAX},
    "tags": {
        "type": "array",
        "maxItems": TAGS_MAX,
        "items": {"type": "string", "maxLength": TAG_CHARACTERS_MAX},
    },
}
NEW_DATASTREAM_SCHEMA: Final = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": STREAM_ID_CHARACTERS_MAX},
        **_CHANGEABLE,
    },
}
DATASTREAM_CHANGE_SCHEMA: Final = {"type": "object", "properties": _CHANGEABLE}


async def create(call: Call) -> ApiResponse:
    """`POST /devices/{device_id}/datastreams`."""
    device = call.device
    body = call.body_object()
    stream_id = body.text("id")
    if not stream_id:
        raise missing("id")
    call.require_streams((stream_id,))
    try:
        stream = await call.platform.datapoints.create_stream(device.id, device.product_id, stream_id, _change(body))
    except Invalid as error:
        raise invalid("id", error.found, error.allowed) if error.field == "stream id" else error from None
    return succeed_with({"ds_uuid": stream.uuid})


async def change(call: Call) -> ApiResponse:
    """`PUT /devices/{device_id}/datastreams/{datastream_id}`; what is not named stays."""
    stream_id = _named(call)
    await call.platform.datapoints.get_stream(call.device.id, stream_id)
    await call.platform.datapoints.change_stream(call.device.id, stream_id, _change(call.body_object()))
    return succeed()


async def show(call: Call) -> ApiResponse:
    """`GET /devices/{device_id}/datastreams/{datastream_id}`."""
    stream = await call.platform.datapoints.get_stream(call.device.id, _named(call))
    return succeed_with(_shown(stream, call.platform.times))


async def list_streams(call: Call) -> ApiResponse:
    """`GET /devices/{device_id}/datastreams`."""
    stream_ids = call.find(DATASTREAM_IDS) or None
    call.require_streams(stream_ids)
    streams = await call.platform.datapoints.list_streams(call.device.id, stream_ids)
    return succeed_with([_shown(stream, call.platform.times) for stream in streams])


async def remove(call: Call) -> ApiResponse:
    """`DELETE /devices/{device_id}/datastreams/{datastream_id}`."""
    await call.platform.datapoints.remove_stream(call.device.id, _named(call))
    return succeed()


def summary(stream: Datastream, times: TextTimes) -> Json:
    """Give a stream as the detail of its device shows it."""
    return {
        "id": stream.id,
        "create_time": times.format_second(stream.created_at),
        "uuid": stream.uuid,
        "unit": stream.unit,
        "unit_symbol": stream.unit_symbol,
    }


def _shown(stream: Datastream, times: TextTimes) -> Json:
    shown: Json = {"id": stream.id, "create_time": times.format_second(stream.created_at)}
    if stream.current_value is not None and stream.updated_at is not None:
        shown["update_at"] = times.format_millisecond(stream.updated_at)
        shown["current_value"] = raw_json(stream.current_value)
    shown["unit"] = stream.unit
    shown["unit_symbol"] = stream.unit_symbol
    shown["tags"] = stream.tags
    shown["uuid"] = stream.uuid
    return shown


def _named(call: Call) -> str:
    stream_id = call.path_text("datastream_id")
    call.require_streams((stream_id,))
    return stream_id


def _change(body: JsonObject) -> DatastreamChange:
    return DatastreamChange(unit=body.text("unit"), unit_symbol=body.text("unit_symbol"), tags=parse_tags(body))
