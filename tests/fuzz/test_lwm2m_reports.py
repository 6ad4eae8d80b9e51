"""Any bytes of a notification or a Send give datapoints with times that can be shown, or `DecodeError`."""

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from commandpost.domain.data_forms import POINTS_MAX
from commandpost.domain.datapoint import VALUE_BYTES_MAX
from commandpost.domain.instant import Instant
from commandpost.domain.resource import ResourcePath
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.formats import PAYLOAD_BYTES_MAX
from commandpost.services.observations import Observations, Reading, points_of
from commandpost.southbound.lwm2m_reports import AT_MAX_S, Lwm2mReports
from tests.fakes.clock import ManualClock
from tests.fakes.ids import TellTale
from tests.fakes.points import HeldPoints
from tests.fuzz.test_lwm2m_payloads import CBOR_RECORDS, DOCUMENTS, FORMATS, HOSTILE, MODEL, PATHS

NOW = Instant(1_600_000_000_000)
TIMES = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.sampled_from([2**28, -(2**28), 1.7e9, 1e308, -1e308]))
TIMED = st.lists(
    st.fixed_dictionaries(
        {"n": st.sampled_from(["/3303/0/1", "/3303/0/3", "/3303/1/1", "/3303/0/1/0"]), "v": st.integers(0, 1)},
        optional={"t": TIMES, "bt": TIMES},
    ),
    max_size=6,
)
TREES = (110, 112, 11542, 11543, None)
BARE = (0, 42, 60)


def reports() -> Lwm2mReports:
    return Lwm2mReports(
        observations=Observations(points=HeldPoints(), events=TellTale()), model=MODEL, clock=ManualClock(wall=NOW)
    )


def message(content_format: int | None, payload: bytes) -> CoapMessage:
    options = () if content_format is None else ((int(Option.CONTENT_FORMAT), encode_uint(content_format)),)
    return CoapMessage(type=MessageType.CON, code=Code.CONTENT, message_id=1, options=options, payload=payload)


def check(readings: tuple[Reading, ...]) -> int:
    """Every reading makes points the store takes; gives how many."""
    points, left_out = points_of(readings)
    assert all(0 <= point.at <= AT_MAX_S * 1000 for point in points)
    assert all(len(point.value.encode()) <= VALUE_BYTES_MAX for point in points)
    for point in points:
        json.loads(point.value)
    return len(points) + left_out


def report_or_refuse(content_format: int | None, payload: bytes, path: ResourcePath) -> int:
    try:
        return check(reports().read_notification(message(content_format, payload), path=path, at=NOW))
    except DecodeError:
        return 0


def send_or_refuse(content_format: int | None, payload: bytes) -> int:
    try:
        return check(reports().read_send(message(content_format, payload)))
    except DecodeError:
        return 0


@given(content_format=st.sampled_from(FORMATS), payload=st.binary(max_size=200), path=st.sampled_from(PATHS))
def test_any_bytes(content_format: int | None, payload: bytes, path: ResourcePath) -> None:
    report_or_refuse(content_format, payload, path)
    send_or_refuse(content_format, payload)


@given(document=DOCUMENTS, path=st.sampled_from(PATHS))
def test_documents_that_look_like_json(document: object, path: ResourcePath) -> None:
    for content_format in (110, 11543):
        report_or_refuse(content_format, json.dumps(document).encode(), path)
    send_or_refuse(110, json.dumps(document).encode())


@given(records=st.lists(CBOR_RECORDS, max_size=4), path=st.sampled_from(PATHS))
def test_documents_that_look_like_cbor(records: list[object], path: ResourcePath) -> None:
    report_or_refuse(112, cbor2.dumps(records), path)
    send_or_refuse(112, cbor2.dumps(records))


@given(pack=TIMED)
@example(pack=[{"n": "/3303/0/1", "v": 1, "bt": 1e308, "t": 1e308}])
@example(pack=[{"n": "/3303/0/1", "v": 1, "bt": 2**70}])
def test_any_times_keep_every_value(pack: list[dict[str, Any]]) -> None:  # Any: values of a record
    """As many points as records; without instances, which may share a point or mix with a single value."""
    found = send_or_refuse(110, json.dumps(pack).encode())

    has_instances = any(record["n"] == "/3303/0/1/0" for record in pack)
    is_finite = all(isfinite(time) for record in pack for time in (record.get("t", 0), record.get("bt", 0)))
    assert found == len(pack) * is_finite or has_instances


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "build"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_largest_hostile_payload_takes_bounded_time(name: str, build: Callable[[int], bytes]) -> None:
    """As large as a report may be; what it makes is bounded before it is a transaction."""
    payload = build(PAYLOAD_BYTES_MAX)

    for content_format in (*TREES, *BARE):
        found = report_or_refuse(content_format, payload, PATHS[1] if content_format in TREES else PATHS[3])
        assert found <= 2 * POINTS_MAX, name
        assert send_or_refuse(content_format, payload) <= 2 * POINTS_MAX, name
