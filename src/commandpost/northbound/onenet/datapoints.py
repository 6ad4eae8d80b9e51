"""Datapoints: report and ask. Source: northbound reference 7; the forms of a report are the devices' own
(domain/data_forms.py)."""

from typing import Final

from commandpost.domain.data_forms import TextForm, decode_text, parse_form
from commandpost.domain.data_ports import PointFilter, PointPage, PointPosition
from commandpost.domain.datapoint import AHEAD_MAX_MS, Datapoint, Datastream, is_ahead
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import HOUR_MS, SECOND_MS, Instant, after
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import raw_json, succeed, succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, missing
from commandpost.northbound.onenet.further_parameters import (
    DATA_CURSOR,
    DATA_DURATION,
    DATA_END,
    DATA_FORM,
    DATA_LIMIT,
    DATA_SORT,
    DATA_START,
    DATASTREAM_ID_LIST,
    POINTS_DEFAULT,
    YEAR_S,
)
from commandpost.northbound.onenet.values import Json
from commandpost.northbound.parameter import parse_integer
from commandpost.services.datapoints import DataOrigin

_FORM_DEFAULT: Final[TextForm] = 1
_NO_JSON: Final = ("body", "text", "number")  # what the reader of a report calls that which is no JSON we can hold
_ALL_BUT_STREAMS: Final = (DATA_START, DATA_END, DATA_DURATION, DATA_LIMIT, DATA_CURSOR, DATA_SORT)
DATAPOINTS_SCHEMA: Final = {
    "type": "object",
    "description": "The form without `type`; see `type` for the others. A point without `at` is of now; one more than "
    "24 hours ahead of the server's clock is refused, with the whole report.",
    "required": ["datastreams"],
    "properties": {
        "datastreams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "datapoints"],
                "properties": {
                    "id": {"type": "string"},
                    "datapoints": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["value"],
                            "properties": {"at": {"type": "string"}, "value": {}},
                        },
                    },
                },
            },
        }
    },
}


async def report(call: Call) -> ApiResponse:
    """`POST /devices/{device_id}/datapoints`; success means on disk."""
    form = call.find_or(DATA_FORM, _FORM_DEFAULT)
    points = _parse_report(call, form)
    _refuse_ahead(points, call.platform.clock.wall_ms(), call.platform.times)
    call.require_streams(tuple(dict.fromkeys(point.stream_id for point in points)))
    device, origin = call.device, DataOrigin.APPLICATION
    await call.platform.datapoints.add(device.id, device.product_id, points, origin=origin)
    return succeed()


async def query(call: Call) -> ApiResponse:
    """`GET /devices/{device_id}/datapoints`; without any parameter but streams, the latest value of each."""
    stream_ids = call.find(DATASTREAM_ID_LIST) or None
    call.require_streams(stream_ids)
    times = call.platform.times
    if not any(call.has(parameter) for parameter in _ALL_BUT_STREAMS):
        streams = await call.platform.datapoints.list_streams(call.device.id, stream_ids)
        return succeed_with(_latest(streams, times))
    start, end = _span(call)
    which = PointFilter(
        device_id=call.device.id,
        stream_ids=None if stream_ids is None else tuple(dict.fromkeys(stream_ids)),
        start=start,
        end=end,
        is_ascending=call.find(DATA_SORT) is not False,
        beyond=_cursor(call),
    )
    page = await call.platform.datapoints.query(which, limit=call.find_or(DATA_LIMIT, POINTS_DEFAULT))
    return succeed_with(_page(page, call.device.id, times))


def _parse_report(call: Call, form: TextForm) -> tuple[Datapoint, ...]:
    """Read the body. What is no JSON, or not of the form, has a number of its own, and so has what is missing."""
    raw = call.body(bytes_max=call.platform.settings.body_bytes_max)
    if not raw.strip(b" \t\r\n\xef\xbb\xbf"):
        raise Fault(FaultKind.BODY_MISSING, "datapoints, as a JSON object or delimited text")
    now, offset_ms = call.platform.clock.wall_ms(), call.platform.times.offset_ms
    try:
        return parse_form(form, decode_text(raw), now=now, utc_offset_ms=offset_ms)
    except Invalid as error:
        if error.field in _NO_JSON:
            raise Fault(FaultKind.BODY_MALFORMED, f"body: {error}") from None
        if error.found == "absent":
            raise missing(error.field) from None
        raise


def _refuse_ahead(points: tuple[Datapoint, ...], now: Instant, times: TextTimes) -> None:
    """Refuse a time that no measured point has. A device cannot be told, so of its own reports the arrival counts."""
    for point in points:
        if is_ahead(point.at, now=now):
            allowed = f"up to {AHEAD_MAX_MS // HOUR_MS} hours ahead of the server's clock"
            raise Invalid("at", times.format_millisecond(point.at), allowed)


def _span(call: Call) -> tuple[Instant | None, Instant | None]:
    """Read between which times is asked: `end` needs a `start`, and a span over a year is cut at its end."""
    start, end = call.find_time(DATA_START), call.find_time(DATA_END)
    duration_s = call.find(DATA_DURATION)
    if start is None:
        if duration_s is None:
            return None, None
        now = call.platform.clock.wall_ms()
        return after(now, duration_ms=-duration_s * SECOND_MS), now
    ends = [] if end is None else [end.last, after(start.at, duration_ms=YEAR_S * SECOND_MS)]
    if duration_s is not None:
        ends.append(after(start.at, duration_ms=duration_s * SECOND_MS))
    return start.at, min(ends, default=None)


def _cursor(call: Call) -> PointPosition | None:
    """Read where the page before ended, `<number>_<device>_<ms>`."""
    text = call.find(DATA_CURSOR)
    if text is None:
        return None
    match [parse_integer(part) for part in text.split("_")]:
        case [int() as number, call.device.id, int() as at] if _is_stored(number, at):
            return PointPosition(at=Instant(at), number=number)
    raise Invalid(DATA_CURSOR.name, text, "the cursor of an answer about this device")


def _is_stored(*numbers: int) -> bool:
    return all(-(2**63) <= number < 2**63 for number in numbers)


def _page(page: PointPage, device_id: DeviceId, times: TextTimes) -> Json:
    shown: Json = {}
    if page.end is not None:
        shown["cursor"] = f"{page.end.number}_{device_id}_{page.end.at}"
    shown["count"] = sum(len(stream.points) for stream in page.streams)
    shown["datastreams"] = [
        {
            "id": stream.stream_id,
            "datapoints": [
                {"at": times.format_millisecond(point.position.at), "value": raw_json(point.value)}
                for point in stream.points
            ],
        }
        for stream in page.streams
    ]
    return shown


def _latest(streams: tuple[Datastream, ...], times: TextTimes) -> Json:
    shown = [
        {
            "id": stream.id,
            "datapoints": [
                {"at": times.format_millisecond(stream.updated_at), "value": raw_json(stream.current_value)}
            ],
        }
        for stream in streams
        if stream.current_value is not None and stream.updated_at is not None
    ]
    return {"count": len(shown), "datastreams": shown}
