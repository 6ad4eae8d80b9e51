"""What a device reports by itself: notifications and Send, with the times its formats can say.

An answer to a Read has one value for a resource, the latest; a report may hold its history, and all of it counts.
Here: from bytes to values with their times. Not here: what a time means against our clock (southbound), or what answers
a Read brought (formats).
Source: RFC 8428 section 4.5.3; OMA LwM2M 1.0 core section 6.4.4; OMA LwM2M 1.1 core section 6.4.6 (Send).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath, ResourceValue
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.formats import PAYLOAD_BYTES_MAX, decode_values
from commandpost.protocols.lwm2m.lwm2m_json import iter_lwm2m_json
from commandpost.protocols.lwm2m.node import RESOURCE_PARTS, ValuesBuilder
from commandpost.protocols.lwm2m.registration import Rejected
from commandpost.protocols.lwm2m.senml import Record, iter_records
from commandpost.protocols.lwm2m.senml_cbor import read_senml_cbor
from commandpost.protocols.lwm2m.senml_json import read_senml_json

SEND_PATH: Final = ("dp",)
ABSOLUTE_FROM_S: Final = 2**28  # RFC 8428 section 4.5.3: what is less counts from roughly now

_TimedValue = tuple[float, tuple[int, ...], ResourceValue]
_Group = tuple[float, ObjectValues]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedValues:
    """Values that were measured together: at `at_s`, or where the device did not say when, `age_s` before now."""

    values: ObjectValues
    at_s: float | None = None
    """Seconds since 1970 UTC, as the device has them; any number."""
    age_s: float = 0.0


def decode_notification(
    content_format: int | None,
    payload: bytes,
    *,
    path: ResourcePath,
    model: ObjectModel,
    latest: ObjectValues | None = None,
) -> tuple[TimedValues, ...]:
    """Decode what a notification of `path` brought; also the answer to a Read or an Observe.

    Args:
        content_format: as `formats.decode_values` takes it.
        latest: what `formats.decode_values` gave for it, if it was asked; a format without history holds nothing else.
    Returns:
        Ascending in time; nothing where neither a payload nor a format came.
    Raises:
        DecodeError: as `formats.decode_values`.
    """
    if not payload and content_format is None:
        return ()  # CIS modules answer an Observe so (southbound reference 1.7); with a format it is an empty text
    _check_size(payload)
    match None if content_format is None else canonical(content_format):
        case ContentFormat.SENML_JSON:
            return _in_order(_collect(iter_records(read_senml_json(payload), path=path, model=model), path))
        case ContentFormat.SENML_CBOR:
            return _in_order(_collect(iter_records(read_senml_cbor(payload), path=path, model=model), path))
        case ContentFormat.LWM2M_JSON:
            return _in_order(_collect(iter_lwm2m_json(payload, path=path, model=model), path))
    if latest is None:
        latest = decode_values(content_format, payload, path=path, model=model)
    return (TimedValues(values=latest),)


def find_send(message: CoapMessage) -> bool | Rejected:
    """Tell whether a request is a Send (`POST /dp`); rejected when it is to that path and none."""
    try:
        if message.uri_path != SEND_PATH:
            return False
    except DecodeError as error:
        return Rejected(code=Code.BAD_REQUEST, reason=str(error))
    if message.code != Code.POST:
        return Rejected(code=Code.METHOD_NOT_ALLOWED, reason=f"method {message.code} on /dp")
    return True


def decode_send(content_format: int | None, payload: bytes, *, model: ObjectModel) -> tuple[TimedValues, ...]:
    """Decode what a Send brought: values of any objects, each under its full name.

    Returns:
        Ascending in time; of one time by object.
    Raises:
        DecodeError: neither SenML JSON nor SenML CBOR, malformed, or a name that is no resource.
    """
    _check_size(payload)
    records: list[Record]
    match content_format:
        case ContentFormat.SENML_JSON:
            records = read_senml_json(payload)
        case ContentFormat.SENML_CBOR:
            records = read_senml_cbor(payload)
        case _:
            raise DecodeError(f"a Send carries SenML, not content format {content_format}")
    by_object: dict[int, list[_TimedValue]] = {}
    for found in iter_records(records, path=None, model=model):
        if len(found[1]) < RESOURCE_PARTS:
            raise DecodeError(f"/{'/'.join(map(str, found[1]))} names no resource")
        by_object.setdefault(found[1][0], []).append(found)
    sent: list[_Group] = []
    for object_id, of_object in sorted(by_object.items()):
        sent += _collect(of_object, ResourcePath(object_id=object_id))
    return _in_order(sent)


def _check_size(payload: bytes) -> None:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise DecodeError(f"a payload of {len(payload)} bytes: up to {PAYLOAD_BYTES_MAX} are allowed")


def _collect(found: Iterable[_TimedValue], path: ResourcePath) -> list[_Group]:
    """Gather by time. Where one resource comes twice with one time, both values count, in their order."""
    builders: dict[float, list[tuple[ValuesBuilder, set[tuple[int, ...]]]]] = {}
    for time, parts, value in found:
        of_time = builders.setdefault(time, [])
        if not of_time or parts in of_time[-1][1]:
            of_time.append((ValuesBuilder(path), set()))
        builder, seen = of_time[-1]
        builder.add(parts, value, offset=0)
        seen.add(parts)
    return [(time, builder.build()) for time, of_time in builders.items() for builder, _ in of_time]


def _in_order(groups: Iterable[_Group]) -> tuple[TimedValues, ...]:
    return tuple([_timed(values, time) for time, values in sorted(groups, key=_order)])


def _order(group: _Group) -> tuple[bool, float]:
    # What counts from now is of about now, after everything that has a time of its own.
    return group[0] < ABSOLUTE_FROM_S, group[0]


def _timed(values: ObjectValues, time: float) -> TimedValues:
    if time >= ABSOLUTE_FROM_S:
        return TimedValues(values=values, at_s=time)
    # DEVIATION: RFC 8428 lets a small positive time mean the future. A device that measures has no such values: it
    # counts from its own start because it does not know the time, so they are of now.
    return TimedValues(values=values, age_s=max(0.0, -time))
