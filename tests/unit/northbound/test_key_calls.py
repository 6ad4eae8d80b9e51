"""`/keys` and `/register_de`."""

from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.device_key import ACCESS_METHODS, KeyPermission, KeyResource
from commandpost.domain.errors import NotFound
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Page
from commandpost.northbound.settings import NorthboundSettings
from commandpost.services.device_keys import TooManyKeys
from commandpost.services.self_registration import SelfDescription
from tests.fakes.services import OTHER_KEY
from tests.unit.northbound.fakes import DEVICE, DEVICE_KEY, REGISTER_CODE
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House

NEW: dict[str, Any] = {"title": "k", "permissions": [{"resources": [{"dev_id": DEVICE_ID, "ds_id": "temp"}]}]}
RESOURCE = KeyResource(device_id=DEVICE, stream_id="temp")
REGISTER = f"/register_de?register_code={REGISTER_CODE}"


def permissions_of(house: House, body: object) -> tuple[KeyPermission, ...]:
    key = house.envelope("POST", "/keys", body)["data"]["key"]
    return house.device_keys.keys[key].permissions


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_and_shown() -> None:
    """Northbound reference 9.1."""
    house = House()

    assert house.ask("POST", "/keys", NEW).body == b'{"errno":0,"error":"succ","data":{"key":"new-key-0"}}'
    assert house.envelope("GET", "/keys")["data"] == {
        "total_count": 1,
        "page": 1,
        "per_page": 10,
        "keys": [
            {
                "title": "k",
                "create_time": "2020-12-02 09:02:24",
                "key": "new-key-0",
                "permissions": [
                    {
                        "resources": [{"dev_id": DEVICE_ID, "ds_id": "temp"}],
                        "access_methods": ["get", "put", "post", "delete"],
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("beside", "inside", "methods"),
    [
        (None, None, ACCESS_METHODS),
        (["get"], None, ("get",)),
        (None, ["POST", "post", "Put"], ("post", "put")),
        (["get"], ["delete"], ("delete",)),
        ([], None, ()),
        (None, [], ()),
    ],
)
def test_both_places_of_access_methods_are_read(
    beside: list[str] | None, inside: list[str] | None, methods: tuple[str, ...]
) -> None:
    """Inside a permission wins; absent at both is all four."""
    permission = {"resources": [{"dev_id": DEVICE_ID, "ds_id": "temp"}], "access_methods": inside}
    body = {"title": "k", "permissions": [permission], "access_methods": beside}

    assert permissions_of(House(), body) == (KeyPermission(resources=(RESOURCE,), methods=methods),)


def test_by_the_documents_letter_absent_methods_are_none() -> None:
    """The strict switch; what is named is as before."""
    house = House(settings=NorthboundSettings(has_strict_key_methods=True))

    assert permissions_of(house, NEW) == (KeyPermission(resources=(RESOURCE,), methods=()),)
    assert permissions_of(house, {**NEW, "access_methods": ["get"]})[0].methods == ("get",)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"dev_id": DEVICE_ID}, KeyResource(device_id=DEVICE)),
        ({"dev_id": int(DEVICE_ID)}, KeyResource(device_id=DEVICE)),
        ({"DEV_ID": DEVICE_ID, "Ds_Id": "temp"}, RESOURCE),
        ({"ds_id": "temp"}, KeyResource(stream_id="temp")),
        ({"dev_id": None, "ds_id": "temp", "x": 1}, KeyResource(stream_id="temp")),
    ],
)
def test_what_a_permission_reaches(resource: object, expected: KeyResource) -> None:
    """A device, a stream of it, a stream of every device."""
    body = {"title": "k", "permissions": [{"resources": [resource]}]}

    assert permissions_of(House(), body)[0].resources == (expected,)


def test_a_key_without_permissions_opens_nothing() -> None:
    """Only the title is required."""
    assert permissions_of(House(), {"title": "k"}) == ()


@pytest.mark.parametrize(
    ("change", "errno", "text"),
    [
        ({"title": None}, 7, "title"),
        ({"title": 5}, 6, "title"),
        ({"permissions": {}}, 6, "permissions"),
        ({"permissions": [5]}, 4, "permissions[0]"),
        ({"permissions": [{}]}, 7, "permissions[0].resources"),
        ({"permissions": [{"resources": []}]}, 6, "permissions[0].resources"),
        ({"permissions": [{"resources": "1"}]}, 6, "permissions[0].resources"),
        ({"permissions": [{"resources": [{}]}]}, 7, "permissions[0].resources[0].dev_id"),
        ({"permissions": [{"resources": [{"device_id": DEVICE_ID}]}]}, 7, "permissions[0].resources[0].dev_id"),
        ({"permissions": [{"resources": [{"dev_id": True}]}]}, 6, "permissions[0].resources[0].dev_id"),
        ({"permissions": [{"resources": [{"dev_id": "x"}]}]}, 8, "device x"),
        ({"permissions": [{"resources": [{"ds_id": "a/b"}]}]}, 6, "permissions[0].resources[0].ds_id"),
        ({"permissions": [{"resources": [{"ds_id": 5}]}]}, 6, "permissions[0].resources[0].ds_id"),
        ({"access_methods": "get"}, 6, "access_methods"),
        ({"access_methods": ["patch"]}, 6, "access_methods"),
        ({"permissions": [{"resources": [{"ds_id": "a"}], "access_methods": [1]}]}, 6, "permissions[0].access_methods"),
    ],
)
def test_keys_that_are_refused(change: dict[str, object], errno: int, text: str) -> None:
    """By name; nothing is made. A misspelled resource must not open every device."""
    house = House()

    answer = house.envelope("POST", "/keys", {**NEW, **change})

    assert answer["errno"] == errno
    assert text in answer["error"]
    assert house.device_keys.keys == {}


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (NotFound("device", "999"), (8, "not found: device 999")),
        (TooManyKeys(3), (13, "system limit: the product has 3 device keys: at most 3 are allowed")),
    ],
)
def test_what_the_service_refuses(failure: Exception, answer: tuple[int, str]) -> None:
    """A device that is not the product's; one key too many."""
    house = House()
    house.device_keys.failure = failure

    assert house.envelope("POST", "/keys", NEW) == {"errno": answer[0], "error": answer[1]}


@pytest.mark.parametrize("text", ["plain", "a=b", "a/b", "a+b", "a/+b==", "%2F", "钥匙"])
def test_a_key_is_named_in_the_path_percent_encoded(text: str) -> None:
    """Decoded after the path was split, so that a slash of a key is none of the path."""
    house = House()
    house.envelope("POST", "/keys", NEW)
    house.device_keys.keys[text] = house.device_keys.keys.pop("new-key-0")
    segments = ("", "keys", text) if "/" in text else None

    changed = house.ask_path("PUT", f"/keys/{text}", segments, b'{"title":"new"}')
    removed = house.ask_path("DELETE", f"/keys/{text}", segments)

    assert changed.body == removed.body == b'{"errno":0,"error":"succ"}'
    assert house.device_keys.changes == [(text, "new", None)]
    assert house.device_keys.keys == {}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("text", ["unknown", "..", "\0", "\ud800", "x" * 300])
def test_a_key_that_does_not_exist_is_errno_8_and_not_told_back(method: str, text: str) -> None:
    """It may be one, mistyped; another product's is none."""
    house = House()
    house.envelope("POST", "/keys", NEW)

    assert house.ask(method, f"/keys/{text}", {"title": "x"}).body == b'{"errno":8,"error":"not found: key"}'
    assert house.ask(method, "/keys/new-key-0", {"title": "x"}, key=OTHER_KEY).body == (
        b'{"errno":8,"error":"not found: key"}'
    )


def test_a_change_replaces_permissions() -> None:
    """Absent ones stay, and `access_methods` alone changes nothing."""
    house = House()
    house.envelope("POST", "/keys", NEW)

    house.envelope("PUT", "/keys/new-key-0", {"permissions": [{"resources": [{"dev_id": DEVICE_ID}]}]})
    house.envelope("PUT", "/keys/new-key-0", {"title": "t", "access_methods": ["get"]})
    house.envelope("PUT", "/keys/new-key-0", {"permissions": []})

    permission = KeyPermission(resources=(KeyResource(device_id=DEVICE),), methods=ACCESS_METHODS)
    assert house.device_keys.changes == [
        ("new-key-0", None, (permission,)),
        ("new-key-0", "t", None),
        ("new-key-0", None, ()),
    ]


def test_keys_are_filtered() -> None:
    """By the key itself, by a device, a page at a time."""
    house = House()
    house.envelope("POST", "/keys", NEW)
    house.device_keys.keys["theirs"] = replace(house.device_keys.keys["new-key-0"], product_id=ProductId(2))

    def texts(query: str) -> list[str]:
        return [shown["key"] for shown in house.envelope("GET", f"/keys?{query}")["data"]["keys"]]

    assert texts("key=new-key-0") == texts(f"key=new-key-0&device_id={DEVICE_ID}") == ["new-key-0"]
    assert texts("key=theirs") == texts("key=unknown") == texts("key=new-key-0&page=2") == []
    house.device_keys.asked.clear()
    house.envelope("GET", f"/keys?device_id={DEVICE_ID}&page=2&per_page=100")
    assert house.device_keys.asked == [(DeviceId(int(DEVICE_ID)), Page(number=2, size=100))]


@pytest.mark.parametrize(
    ("query", "errno"),
    [
        ("page=0", 6),
        ("per_page=101", 6),
        ("device_id=x", 8),
        ("device_id=999", 8),
        (f"device_id={'x' * 300}", 8),
        (f"device_id={OTHER_PRODUCTS_DEVICE_ID}", 8),
        (f"key={'x' * 257}", 6),
    ],
)
def test_lists_of_keys_that_are_refused(query: str, errno: int) -> None:
    """Out of range 6, unknown 8."""
    assert House().envelope("GET", f"/keys?{query}")["errno"] == errno


def test_the_detail_of_a_device_shows_its_keys_to_the_master_key_alone() -> None:
    """A device key must not learn the ones that open more."""
    house = House()
    house.envelope("POST", "/keys", NEW)
    house.authenticator.allow(KeyPermission(resources=(KeyResource(device_id=DEVICE),), methods=("get",)))

    mine = house.envelope("GET", f"/devices/{DEVICE_ID}")["data"]
    theirs = house.envelope("GET", f"/devices/{DEVICE_ID}", key=DEVICE_KEY)["data"]

    assert mine["keys"] == [{"title": "k", "key": "new-key-0"}]
    assert "keys" not in theirs
    assert theirs == {name: value for name, value in mine.items() if name != "keys"}


# --- self-registration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"sn": "SN-1"}, SelfDescription(serial_number="SN-1")),
        ({"mac": "00:11", "title": "t"}, SelfDescription(mac="00:11", title="t")),
        ({"SN": "1", "title": "", "protocol": "mqtt", "x": 1}, SelfDescription(serial_number="1", protocol="mqtt")),
    ],
)
def test_a_device_registers_itself_without_a_key(body: object, expected: SelfDescription) -> None:
    """Northbound reference 3.9: the code authorises."""
    house = House()

    response = house.ask("POST", REGISTER, body, key=None)

    assert response.body == (
        f'{{"errno":0,"error":"succ","data":{{"device_id":"{DEVICE_ID}","key":"{DEVICE_KEY}"}}}}'.encode()
    )
    assert house.self_registration.registered == [expected]


@pytest.mark.parametrize(
    ("target", "body", "errno", "text"),
    [
        ("/register_de", {"sn": "1"}, 7, "register_code"),
        ("/register_de?register_code=", {"sn": "1"}, 7, "register_code"),
        ("/register_de?register_code=wrong", {"sn": "1"}, 3, "register_code is not valid"),
        ("/register_de?register_code=wrong", b"{", 3, "register_code is not valid"),
        (f"/register_de?register_code={'x' * 257}", {"sn": "1"}, 6, "register_code"),
        (REGISTER, b"", 9, "JSON"),
        (REGISTER, b"{", 4, "body"),
        (REGISTER, {}, 7, "sn or mac"),
        (REGISTER, {"sn": 5}, 6, "sn"),
        (REGISTER, {"mac": {}}, 6, "mac"),
        (REGISTER, {"sn": "1", "title": 5}, 6, "title"),
        (REGISTER, {"sn": "1", "protocol": "LWM2M"}, 22, "protocol LWM2M: one of EDP, MQTT, HTTP"),
        (REGISTER, {"sn": "1", "protocol": 5}, 22, "protocol 5"),
    ],
)
def test_registrations_that_are_refused(target: str, body: object, errno: int, text: str) -> None:
    """The code first; nothing is registered."""
    house = House()

    answer = house.envelope("POST", target, body)

    assert answer["errno"] == errno
    assert text in answer["error"]
    assert house.self_registration.registered == []
