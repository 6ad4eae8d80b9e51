"""Datastreams and datapoints."""

from typing import Any

import pytest

from commandpost.domain.data_ports import PointFilter, PointPage, PointPosition, StoredPoint, StreamPoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.services.datapoints import DataOrigin, DatastreamChange, TooManyStreams, TooMuchData
from tests.fakes.services import NOW, UUID
from tests.unit.northbound.fakes import DEVICE, build_stream
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House

STREAMS = f"/devices/{DEVICE_ID}/datastreams"
POINTS = f"/devices/{DEVICE_ID}/datapoints"
AT = Instant(1_366_562_143_000)  # 2013-04-22T00:35:43 in Beijing
SHOWN = {
    "id": "temp",
    "create_time": "2020-12-02 09:02:24",
    "update_at": "2020-12-02 09:02:24.185",
    "current_value": 21.5,
    "unit": "",
    "unit_symbol": "",
    "tags": [],
    "uuid": UUID,
}


# --- datastreams -----------------------------------------------------------------------------------------------------


def test_a_datastream_is_made() -> None:
    """Northbound reference 7."""
    house = House()
    body = {"id": "hum", "unit": "percent", "Unit_Symbol": "%", "tags": ["air"], "unknown": 1}

    assert house.ask("POST", STREAMS, body).body == (
        f'{{"errno":0,"error":"succ","data":{{"ds_uuid":"{UUID}"}}}}'.encode()
    )
    assert house.datapoints.created == [("hum", DatastreamChange(unit="percent", unit_symbol="%", tags=("air",)))]


def test_a_datastream_that_exists_is_errno_11() -> None:
    """Northbound reference 2.2."""
    answer = House().envelope("POST", STREAMS, {"id": "temp"})

    assert answer == {"errno": 11, "error": "datastream already exists: temp"}


def test_datastreams_are_shown_with_their_value() -> None:
    """The value as it was written; what has no value yet has no time of one."""
    house = House()
    house.datapoints.streams["new"] = build_stream("new", current_value=None, updated_at=None, unit="u", tags=("a",))

    assert house.envelope("GET", f"{STREAMS}/temp")["data"] == SHOWN
    assert b'"current_value":21.50,' in house.ask("GET", f"{STREAMS}/temp").body
    new = {name: value for name, value in SHOWN.items() if name not in ("update_at", "current_value")}
    listed = [SHOWN, {**new, "id": "new", "unit": "u", "tags": ["a"]}]
    assert house.envelope("GET", STREAMS)["data"] == listed
    assert house.envelope("GET", f"{STREAMS}/?datastream_ids=temp,unknown")["data"] == [SHOWN]
    assert house.envelope("GET", f"{STREAMS}?datastream_ids=,")["data"] == listed


def test_a_datastream_is_changed_and_removed() -> None:
    """What is not named stays."""
    house = House()

    assert house.ask("PUT", f"{STREAMS}/temp", {"unit": "K"}).body == b'{"errno":0,"error":"succ"}'
    assert house.datapoints.changes == [("temp", DatastreamChange(unit="K"))]
    assert house.ask("DELETE", f"{STREAMS}/temp").body == b'{"errno":0,"error":"succ"}'
    assert house.envelope("GET", f"{STREAMS}/temp") == {"errno": 8, "error": "not found: datastream temp"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("stream_id", ["unknown", "x" * 300, "..", "\0", "\ud800", "a/b", "%", "temp,hum"])
def test_a_datastream_that_does_not_exist_is_errno_8(method: str, stream_id: str) -> None:
    """Whatever its id looks like, with an encoded slash in it too."""
    house = House()

    segments = ("", "devices", DEVICE_ID, "datastreams", stream_id)
    answer = house.envelope_of(house.ask_path(method, f"{STREAMS}/{stream_id}", segments, b"{}"))

    assert answer["errno"] == 8
    assert answer["error"].startswith("not found: datastream ")


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", STREAMS), ("GET", STREAMS), ("GET", f"{STREAMS}/temp"), ("PUT", f"{STREAMS}/temp"), ("GET", POINTS)],
)
def test_data_of_a_device_that_is_not_there(method: str, target: str) -> None:
    """Unknown, or another product's: the same."""
    for device_id in ("999", "x", OTHER_PRODUCTS_DEVICE_ID):
        answer = House().envelope(method, target.replace(DEVICE_ID, device_id), {"id": "temp"})

        assert answer == {"errno": 8, "error": f"not found: device {device_id}"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 5),
        ("unit", 5),
        ("unit_symbol", []),
        ("tags", "a"),
        ("tags", ["x" * 65]),
        ("tags", [1]),
    ],
)
def test_a_field_of_a_datastream_is_not_allowed(name: str, value: object) -> None:
    """errno 6, naming it."""
    answer = House().envelope("POST", STREAMS, {"id": "new", name: value})

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {name}")


@pytest.mark.parametrize(
    ("body", "errno"), [(b"", 9), (b"[]", 4), (b"{", 4), ({}, 7), ({"id": None}, 7), ({"id": ""}, 7)]
)
def test_bodies_of_a_new_datastream(body: object, errno: int) -> None:
    """Missing 9, malformed 4, without id 7."""
    assert House().envelope("POST", STREAMS, body)["errno"] == errno


def test_a_stream_of_the_wrong_device_is_none() -> None:
    """Streams belong to devices, not to products."""
    house = House()
    house.datapoints.streams["temp"] = build_stream(device_id=DeviceId(5))

    assert house.envelope("GET", f"{STREAMS}/temp")["errno"] == 8


# --- reporting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"datastreams":[{"id":"temp","datapoints":[{"at":"2013-04-22T00:35:43","value":22.50}]}]}'),
        ("?type=1", b'{"datastreams":[{"id":"temp","datapoints":[{"at":"2013-04-22 00:35:43","value":22.50}]}]}'),
        ("?type=4", b'{"temp":{"2013-04-22T00:35:43":22.50}}'),
        ("?type=5", b",;temp,2013-04-22T00:35:43,22.50"),
    ],
)
def test_every_form_of_a_report_gives_the_same_point(query: str, body: bytes) -> None:
    """Beijing time, the value as it was written."""
    house = House()

    assert house.ask("POST", POINTS + query, body).body == b'{"errno":0,"error":"succ"}'
    point = Datapoint(stream_id="temp", at=AT, value="22.50")
    assert house.datapoints.added == [(DEVICE, ProductId(1), (point,))]
    assert house.datapoints.origins == [DataOrigin.APPLICATION]


def test_a_point_without_a_time_is_of_now() -> None:
    """Form 3 has no times at all."""
    house = House()

    house.envelope("POST", f"{POINTS}?type=3", b'{"temp":22.5,"k":{"a":[1,null]}}')

    ((_, _, points),) = house.datapoints.added
    assert points == (
        Datapoint(stream_id="temp", at=NOW, value="22.5"),
        Datapoint(stream_id="k", at=NOW, value='{"a":[1,null]}'),
    )


@pytest.mark.parametrize(
    ("query", "body", "errno", "text"),
    [
        ("", b"", 9, "entity data required"),
        ("", b" \r\n", 9, "entity data required"),
        ("", b"{", 4, "invalid JSON: body"),
        ("", b"[]", 4, "invalid JSON: body"),
        ("", b"\xff", 4, "invalid JSON: body"),
        ("", b"[" * 60_000, 4, "invalid JSON: body"),
        ("", b"{}", 7, "parameter required: datastreams"),
        ("", b'{"datastreams":[{"datapoints":[]}]}', 7, "parameter required: id"),
        ("", b'{"datastreams":[{"id":"t","datapoints":[{}]}]}', 7, "parameter required: value"),
        ("", b'{"datastreams":{}}', 6, "datastreams"),
        ("", b'{"datastreams":[{"id":5,"datapoints":[]}]}', 6, "id"),
        ("", b'{"datastreams":[{"id":"a/b","datapoints":[{"value":1}]}]}', 6, "stream id"),
        ("", b'{"datastreams":[{"id":"t","datapoints":[{"at":"soon","value":1}]}]}', 6, "at is 'soon'"),
        ("", b'{"datastreams":[{"id":"t","datapoints":[{"value":NaN}]}]}', 4, "number is 'NaN'"),
        ("", b"null", 4, "invalid JSON: body"),
        ("?type=3", b'{"' + b"x" * 65 + b'":1}', 6, "stream id"),
        ("?type=5", b"temp", 6, "separators"),
        ("?type=2", b"{}", 6, "type is '2': 1, 3, 4 or 5"),
        ("?type=x", b"{}", 6, "type is 'x'"),
        ("", b'{"a":"' + b"x" * 65_536 + b'"}', 5, "65536"),
    ],
)
def test_reports_that_are_refused(query: str, body: bytes, errno: int, text: str) -> None:
    """Nothing of them is stored; each says what is wrong with it."""
    house = House()

    answer = house.envelope("POST", POINTS + query, body)

    assert answer["errno"] == errno
    assert text in answer["error"]
    assert house.datapoints.added == []


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", '{{"datastreams":[{{"id":"t","datapoints":[{{"value":1}},{{"at":"{at}","value":2}}]}}]}}'),
        ("?type=4", '{{"t":{{"{at}":2}}}}'),
        ("?type=5", ",;t,{at},2"),
    ],
)
def test_a_point_of_the_day_after_tomorrow_is_refused(query: str, body: str) -> None:
    """The bound is named; a caller can be told, so nothing is dated otherwise behind its back."""
    house = House()  # whose clock says 2020-12-02 09:02:24.185
    taken = house.envelope("POST", POINTS + query, body.format(at="2020-12-03 09:02:24.185").encode())
    refused = house.envelope("POST", POINTS + query, body.format(at="2020-12-03 09:02:24.186").encode())

    assert taken["errno"] == 0
    assert refused["errno"] == 6
    assert "at is '2020-12-03 09:02:24.186': up to 24 hours ahead of the server's clock" in refused["error"]
    assert len(house.datapoints.added) == 1


def test_a_report_that_would_make_too_many_streams() -> None:
    """errno 13, with the limit."""
    house = House()
    house.datapoints.failure = TooManyStreams(1_000)

    answer = house.envelope("POST", f"{POINTS}?type=3", {"t": 1})

    assert answer == {"errno": 13, "error": "system limit: a device has at most 1000 datastreams"}


# --- asking ----------------------------------------------------------------------------------------------------------


def test_without_parameters_the_latest_of_each_stream_is_given() -> None:
    """Or of those named; nothing older is read."""
    house = House()
    house.datapoints.streams["new"] = build_stream("new", current_value=None, updated_at=None)

    latest = {"id": "temp", "datapoints": [{"at": "2020-12-02 09:02:24.185", "value": 21.5}]}
    for query in ("", "?datastream_id=temp", "?unknown=1"):
        assert house.envelope("GET", POINTS + query)["data"] == {"count": 1, "datastreams": [latest]}
    assert house.datapoints.asked == []


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("query", "expected", "limit"),
    [
        ("?limit=6000", {}, 6000),
        ("?start=2013-04-22T00:35:43", {"start": AT}, 100),
        ("?start=2013-04-22T00:35:43&end=2013-04-22T00:35:44", {"start": AT, "end": Instant(AT + 1_999)}, 100),
        ("?start=2013-04-22T00:35:43&end=2033-01-01T00:00:00", {"start": AT, "end": Instant(AT + 366 * DAY_MS)}, 100),
        ("?start=2013-04-22T00:35:43&duration=60", {"start": AT, "end": Instant(AT + 60_000)}, 100),
        ("?duration=60", {"start": Instant(NOW - 60_000), "end": NOW}, 100),
        ("?end=2013-04-22T00:35:43", {}, 100),
        ("?end=2013-04-22T00:35:43&duration=60", {"start": Instant(NOW - 60_000), "end": NOW}, 100),
        ("?sort=DESC&datastream_id=a,b,a", {"is_ascending": False, "stream_ids": ("a", "b")}, 100),
        ("?sort=ASC", {"is_ascending": True}, 100),
        (f"?cursor=25971_{DEVICE_ID}_{AT}", {"beyond": PointPosition(at=AT, number=25971)}, 100),
        (f"?cursor=5_{DEVICE_ID}_-7", {"beyond": PointPosition(at=Instant(-7), number=5)}, 100),
    ],
)
def test_what_is_asked_is_handed_on(query: str, expected: dict[str, Any], limit: int) -> None:
    """Both ends inclusive; `end` needs a `start`; a span over a year is cut."""
    house = House()

    assert house.envelope("GET", POINTS + query)["errno"] == 0
    assert house.datapoints.asked == [(PointFilter(device_id=DEVICE, **expected), limit)]


def test_a_page_of_points_is_that_of_the_sample() -> None:
    """`count` counts points; the cursor names where to go on, and is taken back."""
    house = House()
    stored = tuple(
        StoredPoint(position=PointPosition(at=Instant(1_498_187_386_281 + at), number=number), value=value)
        for number, at, value in ((1, 0, "21.50"), (2, 60_000, '{"a":1}'))
    )
    house.datapoints.page = PointPage(streams=(StreamPoints(stream_id="temp", points=stored),), end=stored[-1].position)

    response = house.ask("GET", f"{POINTS}?limit=2")

    cursor = f"2_{DEVICE_ID}_1498187446281"
    assert (
        response.body
        == (
            f'{{"errno":0,"error":"succ","data":{{"cursor":"{cursor}","count":2,"datastreams":[{{"id":"temp","datapoints":['
            '{"at":"2017-06-23 11:09:46.281","value":21.50},{"at":"2017-06-23 11:10:46.281","value":{"a":1}}]}]}}'
        ).encode()
    )
    house.envelope("GET", f"{POINTS}?limit=2&cursor={cursor}")
    assert house.datapoints.asked[1][0].beyond == stored[-1].position


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "6001"),
        ("limit", "x"),
        ("duration", "0"),
        ("duration", str(366 * 86_400 + 1)),
        ("start", "2013-04-31T00:00:00"),
        ("start", "x"),
        ("sort", "up"),
        ("cursor", "x"),
        ("cursor", "1_2"),
        ("cursor", f"1_{OTHER_PRODUCTS_DEVICE_ID}_5"),
        ("cursor", f"1_{DEVICE_ID}_5_6"),
        ("cursor", f"9999999999999999999_{DEVICE_ID}_5"),
        ("cursor", f"1_{DEVICE_ID}_{2**63}"),
        ("cursor", "x" * 65),
        ("datastream_id", ",".join(f"s{number}" for number in range(1001))),
    ],
)
def test_a_parameter_of_a_question_is_wrong(name: str, value: str) -> None:
    """errno 6, naming it; the store is not asked."""
    house = House()

    answer = house.envelope("GET", f"{POINTS}?limit=5&{name}={value}".replace("limit=5&limit", "limit"))

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {name} is ")
    assert house.datapoints.asked == []


def test_the_latest_values_of_many_devices() -> None:
    """Northbound reference 3.8: in the order asked for, foreign and unknown ones left out."""
    house = House()

    response = house.ask("GET", f"/devices/datapoints?devIds=5,{OTHER_PRODUCTS_DEVICE_ID},{DEVICE_ID}")

    assert response.body == (
        b'{"errno":0,"error":"succ","data":{"devices":[{"id":"1000001","title":"m1","datastreams":['
        b'{"id":"temp","at":"2020-12-02 09:02:24","value":21.50}]}]}}'
    )


def test_more_latest_values_than_one_answer_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """errno 13 says to ask for less; nothing is cut silently."""
    house = House()

    async def refuse(_ids: object) -> object:
        raise TooMuchData("the latest values of 2 devices: ask for fewer devices at a time")

    monkeypatch.setattr(house.datapoints, "current_values", refuse)

    answer = house.envelope("GET", f"/devices/datapoints?devIds={DEVICE_ID}")

    assert (answer["errno"], "ask for fewer" in answer["error"]) == (13, True)


@pytest.mark.parametrize(
    ("query", "errno"),
    [("", 7), ("?devIds=1,x", 6), ("?devIds=" + ",".join(str(each) for each in range(1, 1002)), 20)],
)
def test_many_devices_that_are_refused(query: str, errno: int) -> None:
    """Missing 7, wrong 6, too many 20."""
    assert House().envelope("GET", f"/devices/datapoints{query}")["errno"] == errno
