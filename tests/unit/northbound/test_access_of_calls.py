"""Which credential opens which call."""

import re

import pytest

from commandpost.domain.device_key import ACCESS_METHODS, KeyPermission, KeyResource
from commandpost.northbound.onenet.dialect import Subject
from commandpost.northbound.onenet.routes import call_routes
from commandpost.northbound.settings import NorthboundSettings
from commandpost.services.access import Access
from tests.fakes.services import COMMAND_ID, IMEI, MASTER_KEY
from tests.unit.northbound.fakes import DEVICE, DEVICE_KEY, INDEX, STREAM, answered, build_stream
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House, observed_house
from tests.unit.northbound.test_api_documents import PATH_VALUES, query_text

ROUTES = {f"{route.method} {route.template}": route for route in call_routes(NorthboundSettings())}
OF_ONE_DEVICE = {
    "GET /devices/getbyimei",
    "GET /devices/{device_id}",
    "PUT /devices/{device_id}",
    "DELETE /devices/{device_id}",
    "POST /cmds",
    "GET /cmds/history/{device_id}",
    "GET /cmds/{uuid}",
    "GET /cmds/{uuid}/resp",
    "POST /devices/{device_id}/datastreams",
    "GET /devices/{device_id}/datastreams",
    "GET /devices/{device_id}/datastreams/{datastream_id}",
    "PUT /devices/{device_id}/datastreams/{datastream_id}",
    "DELETE /devices/{device_id}/datastreams/{datastream_id}",
    "POST /devices/{device_id}/datapoints",
    "GET /devices/{device_id}/datapoints",
    "POST /bindata",
    "GET /bindata/{index}",
    *(name for name in ROUTES if "/nbiot" in name and "/nbiot/device/" not in name),
}
OF_THE_PRODUCT = {
    "POST /devices",
    "GET /devices",
    "GET /devices/status",
    "GET /devices/datapoints",
    "GET /nbiot/device/psk",
    "PUT /nbiot/device/psk",
    "GET /nbiot/device/accpsk",
    "POST /nbiot/device/accpsk",
    "PUT /nbiot/device/accpsk",
    "POST /mqtt",
    "GET /mqtt/topic",
    "GET /mqtt/topic_device",
    "GET /mqtt/device_topic/{device_id}",
    "POST /keys",
    "GET /keys",
    "PUT /keys/{key}",
    "DELETE /keys/{key}",
}


def furnished(settings: NorthboundSettings | None = None) -> House:
    house = House(settings=settings or NorthboundSettings())
    house.payloads.records[COMMAND_ID] = answered(b"pong")
    house.datapoints.streams["humidity-seen"] = build_stream("humidity-seen")
    return house


def ask(house: House, name: str, *, key: str | None = DEVICE_KEY, **headers: str) -> int:
    """Make the documented call; gives its errno, 0 for bytes."""
    route = ROUTES[name]
    path = re.sub(r"{(\w+)}", lambda found: PATH_VALUES[found[1]], route.template)
    names_device = route.subject in (Subject.DEVICE, Subject.FOUND_BY_HANDLER) or "/nbiot" in name
    parts = [f"imei={IMEI}"] if names_device else []
    parts += [
        f"{parameter.name}={query_text(parameter.example)}"
        for parameter in route.documentation.parameters
        if parameter.is_required and parameter.name != "imei" and parameter.example is not None
    ]
    if "devIds" in [parameter.name for parameter in route.documentation.parameters]:
        parts.append(f"devIds={DEVICE_ID}")
    body = route.documentation.body
    content: object = b"" if body is None else body.example
    if body is not None and body.content_type != "application/json":
        content = str(body.example).encode()
    response = house.ask(route.method, f"{path}?{'&'.join(parts)}", content, key=key, **headers)
    if response.content_type == b"application/octet-stream":
        return 0
    return int(re.search(rb'"errno":(\d+)', response.body)[1])  # type: ignore[index]  # an envelope


def whole_device(*methods: str) -> KeyPermission:
    return KeyPermission(resources=(KeyResource(device_id=DEVICE),), methods=methods)


def test_every_route_is_one_or_the_other() -> None:
    """A new route has to be put into a list here, so that somebody thinks of it."""
    assert set(ROUTES) == OF_ONE_DEVICE | OF_THE_PRODUCT | {"POST /register_de"}


@pytest.mark.parametrize("name", sorted(OF_ONE_DEVICE))
def test_a_device_key_opens_calls_about_its_device(name: str) -> None:
    """With the verb, and not without; nor does a key of another device, nor one without permissions."""
    verb = ROUTES[name].method.lower()
    denied = 1 if "/nbiot" in name else 3
    unknown_uuid = "/nbiot" in name and "{uuid}" in name  # no cached command is there: a fault that comes later
    allowed = 5108 if unknown_uuid else 0

    other_verbs = whole_device(*(method for method in ACCESS_METHODS if method != verb))
    elsewhere = KeyPermission(resources=(KeyResource(device_id=type(DEVICE)(5)),), methods=ACCESS_METHODS)

    for permissions, errno in (
        ((whole_device(verb),), allowed),
        ((other_verbs,), denied),
        ((elsewhere,), denied),
        ((), denied),
        ((other_verbs, elsewhere, whole_device(verb)), allowed),
    ):
        house = furnished()
        house.authenticator.allow(*permissions)
        assert ask(house, name) == errno


@pytest.mark.parametrize("name", sorted(OF_THE_PRODUCT))
def test_a_device_key_opens_nothing_else(name: str) -> None:
    """Lists, keys and topics are for the MasterKey, however much a key opens."""
    house = furnished()
    house.authenticator.allow(KeyPermission(resources=(KeyResource(),), methods=ACCESS_METHODS))

    assert ask(house, name) == (1 if "/nbiot" in name else 3)
    assert ask(house, name, key=MASTER_KEY) in (0, 6, 8)  # its own faults


def test_the_strict_switch_keeps_device_keys_from_nbiot() -> None:
    """Off unless it is set; nothing else changes."""
    house = furnished(NorthboundSettings(is_nbiot_for_master_only=True))
    house.authenticator.allow(whole_device(*ACCESS_METHODS))

    assert {ask(house, name) for name in OF_ONE_DEVICE if "/nbiot" in name} == {1}
    assert ask(house, "GET /devices/{device_id}") == ask(house, "POST /cmds") == 0
    assert ask(house, "GET /nbiot", key=MASTER_KEY) == 0


@pytest.mark.parametrize(
    ("target", "method", "body", "opens"),
    [
        (f"/devices/{DEVICE_ID}/datapoints?datastream_id=temp", "GET", b"", True),
        (f"/devices/{DEVICE_ID}/datapoints?datastream_id=temp,hum", "GET", b"", False),
        (f"/devices/{DEVICE_ID}/datapoints?datastream_id=,", "GET", b"", False),
        (f"/devices/{DEVICE_ID}/datapoints", "GET", b"", False),
        (f"/devices/{DEVICE_ID}/datapoints?type=3", "POST", b'{"temp":1}', True),
        (f"/devices/{DEVICE_ID}/datapoints?type=3", "POST", b'{"temp":1,"hum":1}', False),
        (f"/devices/{DEVICE_ID}/datapoints?type=3", "POST", b"{}", False),
        (f"/devices/{DEVICE_ID}/datastreams?datastream_ids=temp", "GET", b"", True),
        (f"/devices/{DEVICE_ID}/datastreams", "GET", b"", False),
        (f"/devices/{DEVICE_ID}/datastreams/temp", "GET", b"", True),
        (f"/devices/{DEVICE_ID}/datastreams/hum", "DELETE", b"", False),
        (f"/devices/{DEVICE_ID}/datastreams", "POST", b'{"id":"hum"}', False),
        (f"/devices/{DEVICE_ID}", "GET", b"", False),
        (f"/cmds?device_id={DEVICE_ID}", "POST", b"x", False),
        (f"/bindata?device_id={DEVICE_ID}&datastream_id=temp", "POST", b"x", True),
        (f"/bindata?device_id={DEVICE_ID}&datastream_id=hum", "POST", b"x", False),
        (f"/bindata/{INDEX}", "GET", b"", False),
    ],
)
def test_a_key_of_one_stream_opens_that_stream(target: str, method: str, body: bytes, opens: bool) -> None:
    """No other, and not the device."""
    house = furnished()
    resource = KeyResource(device_id=DEVICE, stream_id=STREAM)
    house.authenticator.allow(KeyPermission(resources=(resource,), methods=ACCESS_METHODS))

    assert house.envelope(method, target, body, key=DEVICE_KEY)["errno"] == (0 if opens else 3)


def test_a_device_that_is_not_there_is_said_before_the_right_to_it() -> None:
    """P12: another product's device is 8 to a device key too; 3 is for a device of its own product."""
    house = furnished()
    house.authenticator.allow(whole_device(*ACCESS_METHODS))

    for device_id in ("999", OTHER_PRODUCTS_DEVICE_ID):
        for target in (f"/devices/{device_id}", f"/cmds/history/{device_id}?start=2017-08-28T11:34:58"):
            assert house.envelope("GET", target, key=DEVICE_KEY)["errno"] == 8
        assert house.envelope("POST", f"/cmds?device_id={device_id}", b"x", key=DEVICE_KEY)["errno"] == 8


def test_a_refusal_says_what_is_not_opened() -> None:
    """The device, the verb; for a list, that it takes the MasterKey."""
    house = furnished()
    house.authenticator.allow(whole_device("get"))

    assert house.envelope("DELETE", f"/devices/{DEVICE_ID}", key=DEVICE_KEY) == {
        "errno": 3,
        "error": f"auth failed: the credential does not open device {DEVICE_ID} for delete",
    }
    assert house.envelope("GET", "/devices", key=DEVICE_KEY) == {
        "errno": 3,
        "error": "auth failed: the credential opens single devices: this call needs the MasterKey",
    }


def test_the_observed_profile_says_auth_failed_and_no_more() -> None:
    """As for a key that is wrong."""
    house = observed_house()
    house.authenticator.allow()

    assert house.ask("GET", f"/nbiot?imei={IMEI}&obj_id=3", key=DEVICE_KEY).body == (
        b'{"errno":3,"error":"auth failed"}'
    )


def test_a_token_is_enough_on_every_route() -> None:
    """In the header `Authorization`, whatever its case; beside a wrong api-key too."""
    house = furnished()
    house.authenticator.tokens["signed"] = Access(product=house.products.first)

    for name in OF_ONE_DEVICE | OF_THE_PRODUCT:
        assert ask(furnished_with_token(), name, key=None, Authorization="signed") in (0, 6, 8, 5108)
    assert ask(house, "GET /devices", key="wrong", authorization="signed") == 0


def furnished_with_token() -> House:
    house = furnished()
    house.authenticator.tokens["signed"] = Access(product=house.products.first)
    return house


@pytest.mark.parametrize(
    ("key", "authorization", "answer"),
    [
        (None, "wrong", (3, "auth failed: authorization is not valid")),
        ("", "wrong", (3, "auth failed: authorization is not valid")),
        ("wrong", "wrong", (3, "auth failed: api-key is not valid")),
        (None, "", (2, "api-key required: header api-key is missing")),
    ],
)
def test_credentials_that_are_not_valid(key: str | None, authorization: str, answer: tuple[int, str]) -> None:
    """Neither is ever told back."""
    response = House().envelope("GET", "/devices", key=key, Authorization=authorization)

    assert response == {"errno": answer[0], "error": answer[1]}
