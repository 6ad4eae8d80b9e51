"""Binary data of a datastream. Source: northbound reference 7; a body is bytes, whatever its Content-Type says."""

from commandpost.domain.data_ports import Binary
from commandpost.domain.datapoint import STREAM_ID_CHARACTERS_MAX
from commandpost.domain.errors import Invalid, NotFound
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import succeed_with
from commandpost.northbound.onenet.errno import invalid, printable
from commandpost.northbound.onenet.further_parameters import DATASTREAM_ID, DESCRIPTION
from commandpost.northbound.onenet.payloads import OCTETS
from commandpost.northbound.onenet.values import Json
from commandpost.services.datapoints import DataOrigin, NewBinary

INDEX_CHARACTERS_MAX = STREAM_ID_CHARACTERS_MAX + 40  # `<device>_<ms>_<stream>`


async def add(call: Call) -> ApiResponse:
    """`POST /bindata`."""
    device, stream_id = call.device, call.get(DATASTREAM_ID)
    call.require_streams((stream_id,))
    new = NewBinary(
        stream_id=stream_id,
        description=call.find_or(DESCRIPTION, ""),
        payload=call.raw_body(bytes_max=call.platform.settings.binary_bytes_max),
        at=call.platform.clock.wall_ms(),
    )
    try:
        origin = DataOrigin.APPLICATION
        index = await call.platform.datapoints.add_binary(device.id, device.product_id, new, origin=origin)
    except Invalid as error:
        raise invalid(DATASTREAM_ID.name, error.found, error.allowed) if error.field == "stream id" else error from None
    return succeed_with({"index": index})


async def show(call: Call) -> ApiResponse:
    """`GET /bindata/{index}`: the bytes, without an envelope."""
    index = call.path_values["index"]
    is_one = len(index) <= INDEX_CHARACTERS_MAX and index.isprintable()
    found = await call.platform.datapoints.find_binary(index) if is_one else None
    if found is None:
        raise NotFound("index", printable(index))
    binary, payload = found
    try:
        await call.platform.devices.find(call.product, binary.device_id)
    except NotFound:
        raise NotFound("index", printable(index)) from None
    call.require_device(binary.device_id, _stream_id(binary))
    return ApiResponse(body=payload, content_type=OCTETS)


def summary(binary: Binary, times: TextTimes) -> Json:
    """Give a binary as the detail of its device shows it."""
    at = times.format_millisecond(binary.at)
    return {"index": binary.index, "at": at, "size": binary.size_bytes, "desc": binary.description}


def _stream_id(binary: Binary) -> str:
    return binary.index.split("_", 2)[2]
