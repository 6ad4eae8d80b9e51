"""Devices: create, show, change, remove, list, status, by IMEI."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from commandpost.domain.device import DeviceChange, DeviceFilter, GeoLocation, ImeiRule
from commandpost.domain.errors import Invalid, Taken
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Page
from commandpost.services.devices import NewDevice
from tests.fakes.services import IMEI, IMSI, NOW, build_device
from tests.unit.northbound.house import DEVICE_ID, House

NEW: dict[str, Any] = {"title": "m1", "protocol": "LwM2M", "auth_info": {"860000000000009": "460000000000009"}}
ONE = f"/devices/{DEVICE_ID}"


def strict_house() -> House:
    house = House()
    house.products.by_key = {
        key: replace(product, imei_rule=ImeiRule.STRICT) for key, product in house.products.by_key.items()
    }
    return house


# --- create ----------------------------------------------------------------------------------------------------------


def test_create_gives_the_device_id_as_decimal_text() -> None:
    """Northbound reference 3.1, to the byte."""
    assert House().ask("POST", "/devices", NEW).body == (b'{"errno":0,"error":"succ","data":{"device_id":"1000003"}}')


def test_what_holds_without_being_given() -> None:
    """private and obsv are true."""
    house = House()

    house.envelope("POST", "/devices", NEW)

    assert house.devices.created == [
        NewDevice(
            protocol="LwM2M",
            title="m1",
            auth_info='{"860000000000009":"460000000000009"}',
            imei="860000000000009",
            imsi="460000000000009",
        )
    ]


def test_every_field_is_handed_on() -> None:
    """With keys in any case, a misspelled field ignored and null for not given."""
    house = House()
    body = {
        **NEW,
        "Desc": "d",
        "tags": ["a", "b"],
        "location": {"lon": 109, "lat": 23.5, "ele": 370.2},
        "private": False,
        "obsv": False,
        "obsvr": True,
        "other": {"k": [1, {"x": None}]},
        "auth": "abc123",
        "psk": "abcdefgh",
        "chip": 3,
        "unknown": None,
    }

    assert house.envelope("POST", "/devices", body)["errno"] == 0

    assert house.devices.created[0] == NewDevice(
        protocol="LwM2M",
        title="m1",
        description="d",
        tags=("a", "b"),
        location=GeoLocation(longitude=109.0, latitude=23.5, elevation=370.2),
        is_private=False,
        is_auto_observed=False,
        auth_info='{"860000000000009":"460000000000009"}',
        imei="860000000000009",
        imsi="460000000000009",
        chip=3,
        other='{"k":[1,{"x":null}]}',
        auth_code="abc123",
        psk="abcdefgh",
    )


@pytest.mark.parametrize("protocol", ["EDP", "mqtt", "HTTP", "TCP", "TCPTRANSPARENT", "Modbus", "JTEXT"])
def test_other_protocols_have_a_text_as_auth_info(protocol: str) -> None:
    """They are stored; what serves them comes from elsewhere."""
    house = House()

    answer = house.envelope("POST", "/devices", {"title": "m", "protocol": protocol, "auth_info": "serial-1"})

    assert answer["errno"] == 0
    assert (house.devices.created[0].auth_info, house.devices.created[0].imei) == ('"serial-1"', None)


@pytest.mark.parametrize("protocol", ["EDP", "MQTT", "http"])
def test_an_object_is_an_auth_info_too(protocol: str) -> None:
    """Kept compact, in the order in which it was written: a device logs in with it."""
    house = House()

    answer = house.envelope("POST", "/devices", {"title": "m", "protocol": protocol, "auth_info": {"b": 1, "a": ["x"]}})

    assert answer["errno"] == 0
    assert house.devices.created[0].auth_info == '{"b":1,"a":["x"]}'


@pytest.mark.parametrize("auth_info", ["", "x" * 513, {}, {"a": "x" * 512}, [], ["x"], 5, 1.5, True])
def test_a_bad_auth_info_of_another_protocol(auth_info: object) -> None:
    """A text or an object of up to 512 characters; the captured words, and no more."""
    response = House().ask("POST", "/devices", {"title": "m", "protocol": "MQTT", "auth_info": auth_info})

    assert response.body == b'{"errno":6,"error":"invalid parameter: auth_info"}'


def test_a_change_to_an_auth_info_that_is_taken() -> None:
    """In the words of a create."""
    house = House()
    device = build_device(protocol="MQTT", imei=None, imsi=None, auth_info='"serial"')
    house.devices.devices[device.id] = device
    house.devices.change_failure = Taken("auth_info", '"serial-2"')

    assert house.envelope("PUT", ONE, {"auth_info": "serial-2"}) == {
        "errno": 6,
        "error": "invalid parameter: auth_info exists::serial-2",
    }


def test_a_device_without_protocol_whose_auth_info_is_a_text_is_edp() -> None:
    """The default of the multi-protocol guide."""
    house = House()

    house.envelope("POST", "/devices", {"title": "m", "auth_info": "serial-1"})

    assert house.devices.created[0].protocol == "EDP"


@pytest.mark.parametrize("protocol", ["LWM2M", "lwm2m", "LwM2M"])
@pytest.mark.parametrize("auth_info", [{"imeitest": "123456789"}, {"8" * 17: "4" * 16}, {"A": "b"}, {"86000": 46000}])
def test_identities_that_are_allowed(protocol: str, auth_info: object) -> None:
    """The official SDK's sample device is called `imeitest`; a number is taken by its digits."""
    answer = House().envelope("POST", "/devices", {"title": "m", "protocol": protocol, "auth_info": auth_info})

    assert answer["errno"] == 0


@pytest.mark.parametrize(
    "auth_info",
    [
        "860000000000009",
        {},
        {"a": "1", "b": "2"},
        {"8" * 18: "1"},
        {"1": "4" * 17},
        {"": "1"},
        {"1": ""},
        {"1": None},
        {"1": True},
        {"1": 1.5},
        {"1": ["1"]},
        {"1 2": "1"},
        {"8６": "1"},
        {"1": "a-b"},
        [],
        5,
    ],
)
def test_a_bad_auth_info_is_answered_as_it_was_captured(auth_info: object) -> None:
    """Northbound reference 2.3, to the byte."""
    response = House().ask("POST", "/devices", {**NEW, "auth_info": auth_info})

    assert response.body == b'{"errno":6,"error":"invalid parameter: auth_info"}'


@pytest.mark.parametrize(
    ("auth_info", "chip", "errno"),
    [
        ({"860000000000009": "460000000000009"}, None, 0),
        ({"860000000000009": "4"}, None, 0),
        ({"1234": "460000000000009"}, 1, 0),
        ({"1234": "460000000000009"}, None, 6),
        ({"12345": "460000000000009"}, 1, 6),
        ({"86000000000000": "460000000000009"}, None, 6),
        ({"8600000000000090": "460000000000009"}, None, 6),
        ({"86000000000000a": "460000000000009"}, None, 6),
        ({"860000000000009": "060000000000009"}, None, 6),
        ({"860000000000009": "4600000000000090"}, None, 6),
        ({"860000000000009": "46000000000000a"}, None, 6),
    ],
)
def test_identities_of_a_product_with_the_strict_rule(auth_info: object, chip: int | None, errno: int) -> None:
    """15 digits; 4 for a test device with a chip; an IMSI does not begin with 0."""
    assert strict_house().envelope("POST", "/devices", {**NEW, "auth_info": auth_info, "chip": chip})["errno"] == errno


def test_a_taken_imei_is_answered_as_it_was_captured() -> None:
    """Design 10.5; northbound reference 2.3, to the byte."""
    response = House().ask("POST", "/devices", {**NEW, "auth_info": {IMEI: IMSI}})

    assert response.body == b'{"errno":6,"error":"invalid parameter: auth_info exists::860000000000001"}'


def test_a_taken_serial_number_is_told_as_it_was_given() -> None:
    """Without the quotes of the JSON it is stored as."""
    house = House()
    house.devices.failure = Taken("auth_info", '"serial-1"')

    answer = house.envelope("POST", "/devices", {"title": "m", "protocol": "EDP", "auth_info": "serial-1"})

    assert answer == {"errno": 6, "error": "invalid parameter: auth_info exists::serial-1"}


def test_an_identity_the_service_refuses_is_a_bad_auth_info() -> None:
    """One text, whoever found it."""
    house = House()
    house.devices.failure = Invalid("auth_info", "x", "15 digits")

    assert house.ask("POST", "/devices", NEW).body == b'{"errno":6,"error":"invalid parameter: auth_info"}'


@pytest.mark.parametrize("name", ["title", "protocol", "auth_info"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_required_field_is_missing(name: str, value: str | None) -> None:
    """errno 7; null is no value."""
    body = {key: item for key, item in NEW.items() if key != name}
    if value is None:
        body[name] = None

    assert House().envelope("POST", "/devices", body) == {"errno": 7, "error": f"parameter required: {name}"}


BAD_FIELDS: list[tuple[str, object]] = [
    ("title", 1),
    ("title", "x" * 257),
    ("desc", {}),
    ("desc", "x" * 2049),
    ("tags", "a"),
    ("tags", {}),
    ("tags", [1]),
    ("tags", [None]),
    ("tags", ["x" * 65]),
    ("tags", ["x"] * 65),
    ("location", []),
    ("location", {"lon": "109"}),
    ("location", {"lat": True}),
    ("location", {"ele": 1e300}),
    ("private", "true"),
    ("private", 1),
    ("other", []),
    ("other", "x"),
    ("other", {"k": "x" * 8192}),
]
BAD_NEW_FIELDS: list[tuple[str, object]] = [
    ("obsv", "yes"),
    ("chip", 0),
    ("chip", 7),
    ("chip", "1"),
    ("chip", True),
    ("chip", 1.0),
    ("auth", ""),
    ("auth", "x" * 17),
    ("auth", "a b"),
    ("auth", 1),
    ("psk", "abcdefg"),
    ("psk", "x" * 17),
    ("psk", "abcdefgé"),
    ("psk", 12345678),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS + BAD_NEW_FIELDS)
def test_a_field_of_a_new_device_is_not_allowed(name: str, value: object) -> None:
    """errno 6, naming it; nothing is created."""
    house = House()

    answer = house.envelope("POST", "/devices", {**NEW, name: value})

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {name}")
    assert house.devices.created == []


@pytest.mark.parametrize("name", ["auth", "psk"])
def test_a_secret_is_not_told_back(name: str) -> None:
    """Not even a wrong one."""
    assert "hunter two" not in House().envelope("POST", "/devices", {**NEW, name: "hunter two"})["error"]


@pytest.mark.parametrize("protocol", ["FOO", "", 5, ["LWM2M"], "LWM2M "])
def test_an_unknown_protocol_is_errno_22(protocol: object) -> None:
    """Northbound reference 2.2."""
    answer = House().envelope("POST", "/devices", {**NEW, "protocol": protocol})

    assert answer["errno"] == 22
    assert answer["error"].startswith("invalid protocol: ")


@pytest.mark.parametrize(("method", "target"), [("POST", "/devices"), ("PUT", ONE)])
@pytest.mark.parametrize(
    ("body", "errno"),
    [
        (b"", 9),
        (b"  \n", 9),
        (b"{", 4),
        (b"[]", 4),
        (b"null", 4),
        (b'"x"', 4),
        (b"\xff", 4),
        (b"[" * 60_000, 4),
        (b'{"a":"' + b"x" * 65_536 + b'"}', 5),
    ],
)
def test_a_body_is_missing_malformed_or_too_large(method: str, target: str, body: bytes, errno: int) -> None:
    """9, 4, 5."""
    assert House().envelope(method, target, body)["errno"] == errno


def test_a_byte_order_mark_is_passed_over() -> None:
    """Some clients of that platform write one."""
    assert House().envelope("POST", "/devices", b"\xef\xbb\xbf" + msgspec.json.encode(NEW))["errno"] == 0


# --- show ------------------------------------------------------------------------------------------------------------


def test_the_detail_of_a_device() -> None:
    """Northbound reference 3.2: what was given and what was learned, secrets never."""
    house = House()
    device = build_device(
        description="d",
        location=GeoLocation(longitude=109.0, latitude=23.5),
        other='{"k":1}',
        imsi_old=("460000000000000",),
        imsi_changed_at=NOW,
        activated_at=NOW,
        last_heard_at=NOW,
        manufacturer="M" * 40,
        model="X1",
        is_setup_done=True,
        chip=1,
        sealed_psk=b"secret",
        sealed_auth_code=b"secret",
    )
    house.devices.devices[device.id] = device
    house.devices.online.append(device.id)

    response = house.ask("GET", ONE)

    assert response.body.decode() == (
        '{"errno":0,"error":"succ","data":{"id":"1000001","title":"m1","desc":"d","protocol":"LWM2M",'
        '"create_time":"2018-06-04 17:43:11","online":true,"private":true,"obsv":true,"tags":["china"],'
        '"location":{"lon":109.0,"lat":23.5},"auth_info":{"860000000000001":"460000000000001"},"other":{"k":1},'
        '"rg_id":"860000000000001","imsi":"460000000000001","imsi_old":["460000000000000"],"chip":1,'
        '"imsi_mt":"Wed Dec 02 09:02:24 CST 2020","act_time":"Wed Dec 02 09:02:24 CST 2020",'
        '"last_ct":"Wed Dec 02 09:02:24 CST 2020","obsv_st":true,"observ_status":true,'
        f'"manu_id":"{"M" * 32}","model":"X1",'
        '"datastreams":[{"id":"temp","create_time":"2020-12-02 09:02:24",'
        '"uuid":"42742677-adc3-54ca-83a1-5aaaf71482f8","unit":"","unit_symbol":""}],'
        '"binary":[{"index":"1000001_1606870944185_picture","at":"2020-12-02 09:02:24.185","size":3,"desc":"a door"}],'
        '"keys":[]}}'
    )


def test_a_device_of_another_protocol_shows_its_auth_info_as_text() -> None:
    """What was stored is echoed; nothing of LwM2M is shown."""
    house = House()
    device = build_device(protocol="EDP", imei=None, imsi=None, auth_info='"serial"')
    house.devices.devices[device.id] = device

    detail = house.envelope("GET", ONE)["data"]

    assert detail["auth_info"] == "serial"
    assert not {"rg_id", "imsi", "obsv_st"} & set(detail)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("device_id", ["5", "0", "-1", "x", "1e3", "４", "9" * 40, str(2**32), "%00"])
def test_a_device_that_does_not_exist_is_errno_8(method: str, device_id: str) -> None:
    """Whatever the id looks like."""
    answer = House().envelope(method, f"/devices/{device_id}", {"title": "x"})

    assert answer["errno"] == 8
    assert answer["error"].startswith("not found: device ")


# --- change ----------------------------------------------------------------------------------------------------------


def test_a_change_names_what_is_different() -> None:
    """Every field that may change; the IMSI through auth_info."""
    house = House()
    body = {
        "title": "m2",
        "desc": "",
        "tags": [],
        "location": {"lat": 1},
        "private": False,
        "other": {},
        "auth_info": {IMEI: "460000000000077"},
        "protocol": "EDP",
    }

    assert house.ask("PUT", ONE, body).body == b'{"errno":0,"error":"succ"}'

    assert house.devices.changes == [
        DeviceChange(
            title="m2",
            description="",
            tags=(),
            location=GeoLocation(latitude=1.0),
            is_private=False,
            other="{}",
            imsi="460000000000077",
            auth_info='{"860000000000001":"460000000000077"}',
        )
    ]


def test_an_empty_change_changes_nothing() -> None:
    """`{}` is a body."""
    house = House()

    assert house.envelope("PUT", ONE, {})["errno"] == 0
    assert house.devices.changes == [DeviceChange()]


@pytest.mark.parametrize(
    "auth_info", [{"860000000000999": IMSI}, {IMEI: ""}, {IMEI: "x y"}, "text", {}, {IMEI: IMSI, "2": "3"}]
)
def test_the_imei_of_a_device_cannot_be_changed(auth_info: object) -> None:
    """REL 2019-05."""
    house = House()

    assert house.ask("PUT", ONE, {"auth_info": auth_info}).body == (
        b'{"errno":6,"error":"invalid parameter: auth_info"}'
    )
    assert house.devices.changes == []


@pytest.mark.parametrize(("name", "value"), [*BAD_FIELDS, ("title", "")])
def test_a_field_of_a_change_is_not_allowed(name: str, value: object) -> None:
    """errno 6, naming it."""
    answer = House().envelope("PUT", ONE, {name: value})

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {name}")


# --- list ------------------------------------------------------------------------------------------------------------


def test_a_list_is_that_of_the_sample() -> None:
    """Northbound reference 3.5."""
    house = House()
    device = build_device(location=GeoLocation(longitude=109.0, latitude=23.5))
    house.devices.devices = {device.id: device}
    house.devices.online.append(device.id)

    assert house.envelope("GET", "/devices") == {
        "errno": 0,
        "data": {
            "per_page": 30,
            "page": 1,
            "total_count": 1,
            "devices": [
                {
                    "protocol": "LWM2M",
                    "create_time": "2018-06-04 17:43:11",
                    "online": True,
                    "id": "1000001",
                    "auth_info": {"860000000000001": "460000000000001"},
                    "title": "m1",
                    "private": True,
                    "tags": ["china"],
                    "location": {"lat": 23.5, "lon": 109.0},
                }
            ],
        },
        "error": "succ",
    }


@pytest.mark.parametrize(
    ("given", "stored"), [(f'{{"{IMEI}": "{IMSI}"}}', f'{{"{IMEI}":"{IMSI}"}}'), ("{x", "{x"), (IMEI, IMEI)]
)
def test_an_auth_info_is_looked_for_the_way_it_is_stored(given: str, stored: str) -> None:
    """Spaces of JSON do not matter; what is no JSON is looked for as it is."""
    house = House()

    house.envelope("GET", f"/devices?auth_info={given.replace(' ', '%20')}")

    assert house.devices.filters[0][0].auth_info == stored


def test_every_filter_is_handed_on() -> None:
    """Both dates are inclusive, in Beijing's days."""
    house = House()
    query = (
        f"key_words=m%201&auth_info={IMEI}&tag=a,%20b,,&online=true&private=FALSE&page=10000&per_page=100"
        "&device_id=1000001,5,5&begin=2019-10-01&end=2019-10-01"
    )

    assert house.envelope("GET", f"/devices?{query}")["errno"] == 0

    start = Instant(1_569_859_200_000)
    assert house.devices.filters == [
        (
            DeviceFilter(
                key_words="m 1",
                auth_info=IMEI,
                tags=("a", "b"),
                is_online=True,
                is_private=False,
                ids=(DeviceId(1_000_001), DeviceId(5)),
                created_from=start,
                created_before=Instant(start + 86_400_000),
            ),
            Page(number=10_000, size=100),
        )
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page", "10001"),
        ("page", "x"),
        ("per_page", "0"),
        ("per_page", "101"),
        ("online", "yes"),
        ("private", "2"),
        ("begin", "2019-13-01"),
        ("begin", "2019-10-01T00:00:00"),
        ("end", "yesterday"),
        ("device_id", "1,x"),
        ("device_id", ",".join(str(number) for number in range(1, 102))),
        ("key_words", "x" * 257),
        ("auth_info", "x" * 513),
        ("tag", ",".join("x" for _ in range(65))),
    ],
)
def test_a_list_parameter_is_wrong(name: str, value: str) -> None:
    """errno 6, naming it."""
    answer = House().envelope("GET", f"/devices?{name}={value}")

    assert answer["errno"] == 6
    assert answer["error"].startswith(f"invalid parameter: {name} is ")


# --- status, by IMEI -------------------------------------------------------------------------------------------------


def test_states_of_many_devices() -> None:
    """Northbound reference 3.6: ids as text, unknown and foreign ones left out, each once."""
    house = House()
    house.devices.online.append(DeviceId(1_000_001))

    response = house.ask("GET", f"/devices/status?devIds=1,{DEVICE_ID},1000002,%20{DEVICE_ID}&imei=x")

    assert response.body == (
        b'{"errno":0,"error":"succ","data":{"total_count":1,"devices":[{"id":"1000001","title":"m1","online":true}]}}'
    )


@pytest.mark.parametrize(("imei", "count"), [(IMEI, 1), ("unknown", 0), ("x" * 1000, 0)])
def test_the_state_of_one_device_by_its_imei(imei: str, count: int) -> None:
    """SDKs send `imei` here."""
    assert House().envelope("GET", f"/devices/status?imei={imei}")["data"]["total_count"] == count


def test_a_thousand_ids_are_allowed_and_one_more_is_errno_20() -> None:
    """Northbound reference 2.2, with names in any case."""
    thousand = ",".join(str(4_000_000_000 + number) for number in range(1000))

    assert House().envelope("GET", f"/devices/status?DevIds={thousand.replace(',', '%2C')}")["errno"] == 0
    assert House().envelope("GET", f"/devices/status?devIds={thousand},1") == {
        "errno": 20,
        "error": "at most 1000 devices in one call: devIds has 1001",
    }


@pytest.mark.parametrize(
    ("target", "errno"),
    [
        ("/devices/status", 7),
        ("/devices/status?devIds=", 7),
        ("/devices/status?devIds=1,x", 6),
        ("/devices/getbyimei", 7),
        ("/devices/getbyimei?imei=unknown", 8),
        (f"/devices/getbyimei?imei={'x' * 1000}", 8),
    ],
)
def test_look_ups_that_fail(target: str, errno: int) -> None:
    """Missing 7, wrong 6, unknown 8."""
    assert House().envelope("GET", target)["errno"] == errno


def test_a_device_by_its_imei() -> None:
    """Northbound reference 3.7: both spellings of the last field."""
    assert House().ask("GET", f"/devices/getbyimei?imei={IMEI}").body == (
        b'{"errno":0,"error":"succ","data":{"id":"1000001","title":"m1","desc":"","online":false,'
        b'"create_time":"2018-06-04 17:43:11","observ_status":false,"observe_status":false}}'
    )
