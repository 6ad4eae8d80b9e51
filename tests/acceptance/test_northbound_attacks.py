"""What somebody with a key of his own, or with none, tries on a real server. Each attack has its name."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from commandpost.northbound.onenet.dialect import CallRoute
from commandpost.northbound.onenet.routes import call_routes, push_routes
from commandpost.northbound.settings import NorthboundSettings
from tests.acceptance.raw_http import connect
from tests.acceptance.server import MASTER_KEY, HttpAnswer, ServerProcess

SETTINGS = NorthboundSettings()
ROUTES = [route for route in (*call_routes(SETTINGS), *push_routes(SETTINGS)) if not route.documentation.is_open]
IMEI, MADE_UP_IMEI = "868888000000001", "868888000000002"
MADE_UP_UUID = "42742677-adc3-54ca-83a1-5aaaf71482f8"
SECRET_STREAM = "stream-of-the-victim"
HISTORY = "/cmds/history/{}?start=2020-01-01T00:00:00"


class Place:
    """A server with a victim's product, and an attacker who has one, too."""

    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess(
            data_dir=folder / "data",
            arguments=("--mqtt", "127.0.0.1:0"),
            environment={
                "COMMANDPOST_LOG_FORMAT": "json",
                "COMMANDPOST_LOG_LEVEL": "debug",
            },
        )
        self.attackers_key = ""
        self.real: dict[str, str] = {}
        self.made_up: dict[str, str] = {}

    def furnish(self) -> None:
        """Give the victim one of everything that can be named."""
        server, admin = self.server, _Admin(self.server.data_dir)
        self.attackers_key = admin.call("product.create", {"name": "attacker"})["master_key"]
        server.create_device(IMEI)
        device_id = str(
            server.data("POST", "/devices", body={"title": "d", "protocol": "MQTT", "auth_info": "sn-of-victim"})[
                "device_id"
            ]
        )
        cached = {"imei": IMEI, "obj_id": 3, "obj_inst_id": 0, "res_id": 1, "expired_time": "2036-01-01T00:00:00"}
        uuid = str(server.data("GET", "/nbiot/offline", cached)["uuid"])
        payload = {"device_id": device_id, "qos": 1, "timeout": 3600}
        payload_uuid = str(server.data("POST", "/cmds", payload, body=b"secret payload")["cmd_uuid"])
        server.data("POST", f"/devices/{device_id}/datapoints", {"type": 3}, body={SECRET_STREAM: "secret value"})
        stored = {"device_id": device_id, "datastream_id": "pictures"}
        index = str(server.data("POST", "/bindata", stored, body=b"secret picture")["index"])
        key = str(server.data("POST", "/keys", body={"title": "key of the victim"})["key"])
        trigger = {"title": "t", "ds_id": "nobody-reports-this", "url": "http://secret.example/", "type": "change"}
        trigger_id = str(server.data("POST", "/triggers", body=trigger)["trigger_id"])
        shared = {"datastream_id": SECRET_STREAM, "group_id": "1", "pid": "1"}
        self.real = {
            **shared,
            "imei": IMEI,
            "device_id": device_id,
            "uuid": uuid,
            "payload_uuid": payload_uuid,
            "index": index,
            "key": key,
            "trigger_id": trigger_id,
        }
        self.made_up = {
            **shared,
            "imei": MADE_UP_IMEI,
            "device_id": "99999",
            "uuid": MADE_UP_UUID,
            "payload_uuid": MADE_UP_UUID,
            "index": "99999_1600000000000_pictures",
            "key": "k" * len(key),
            "trigger_id": "99999",
        }

    def victims_state(self) -> list[object]:
        """Everything the victim can see that the attacker could have changed."""
        server, device_id = self.server, self.real["device_id"]
        return [
            server.data("GET", "/devices")["devices"],
            server.data("GET", f"/devices/{device_id}/datastreams"),
            server.data("GET", "/keys"),
            server.data("GET", "/triggers"),
            server.history(IMEI),
            server.data("GET", f"/cmds/{self.real['payload_uuid']}"),
            server.request("GET", f"/bindata/{self.real['index']}").body,
        ]


class _Admin:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def call(self, name: str, parameters: Mapping[str, object]) -> Any:  # Any: JSON
        import asyncio

        from commandpost.cli.admin_client import connect as knock

        async def ask() -> object:
            connection = await knock(self._data_dir)
            assert connection is not None
            try:
                return await connection.call(name, parameters)
            finally:
                connection.close()

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all attacks."""
    found = Place(tmp_path_factory.mktemp("attacks"))
    with found.server:
        found.furnish()
        yield found


def call(place: Place, route: CallRoute, names: Mapping[str, str], key: str) -> HttpAnswer:
    """Make the documented call about what is named."""
    by_name = {**names, "uuid": names["payload_uuid"]} if route.template.startswith("/cmds") else names
    path = re.sub(r"{(\w+)}", lambda found: quote(by_name[found[1]], safe=""), route.template)
    query = {
        parameter.name: by_name.get(parameter.name, _query_text(parameter.example))
        for parameter in route.documentation.parameters
        if parameter.is_required
    }
    query.setdefault("imei", by_name["imei"])
    if "devIds" in {parameter.name for parameter in route.documentation.parameters}:
        query["devIds"] = by_name["device_id"]
    body = route.documentation.body
    content: bytes | None = None
    if body is not None:
        is_json = body.content_type == "application/json"
        content = json.dumps(body.example).encode() if is_json else str(body.example).encode()
    return place.server.request(route.method, path, query, body=content, key=key)


def _query_text(example: object) -> str:
    return example if isinstance(example, str) else str(example).lower()


def without_names(answer: HttpAnswer, names: Mapping[str, str]) -> tuple[int, object]:
    """An answer; of a refusal, what was named is taken out of its text."""
    if answer.headers["content-type"] != "application/json; charset=utf-8":
        return answer.status, answer.body
    envelope = answer.json()
    for value in sorted(names.values(), key=len, reverse=True):  # an index holds a device's id
        envelope["error"] = re.sub(rf"(?<![0-9A-Za-z-]){re.escape(value)}(?![0-9A-Za-z-])", "…", envelope["error"])
    return answer.status, envelope


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
def test_key_of_another_product(place: Place, route: CallRoute) -> None:
    """On every route of the table: what is another's looks like what does not exist (P12), and stays as it was."""
    before = place.victims_state()

    about_made_up = call(place, route, place.made_up, place.attackers_key)
    about_real = call(place, route, place.real, place.attackers_key)

    assert place.victims_state() == before
    if route.method == "POST" and route.template in ("/devices", "/keys", "/triggers"):
        return  # makes something of the attacker's own; what may be named in it is a test below
    assert without_names(about_real, place.real) == without_names(about_made_up, place.made_up)
    assert b"secret" not in about_real.body
    assert place.real["key"].encode() not in about_real.body


def test_key_over_devices_of_another_product(place: Place) -> None:
    """A device-level key of the attacker's cannot name the victim's device."""
    body = {"title": "k", "permissions": [{"resources": [{"dev_id": place.real["device_id"]}]}]}

    assert place.server.call("POST", "/keys", body=body, key=place.attackers_key)["errno"] == 8


def token(access_key: str, *, resource: str = "products/1", expiry: int, method: str = "sha256") -> str:
    """Sign as northbound reference 1.4 says."""
    text = "\n".join((str(expiry), method, resource, "2018-10-31")).encode()
    sign = base64.b64encode(hmac.new(base64.b64decode(access_key), text, getattr(hashlib, method)).digest()).decode()
    fields = {"version": "2018-10-31", "res": resource, "et": expiry, "method": method, "sign": sign}
    return urlencode(fields)


def ask_with_token(place: Place, text: str) -> int:
    answer = place.server.request("GET", "/devices", key=None, headers={"Authorization": text})
    errno = answer.json()["errno"]
    assert isinstance(errno, int)
    return errno


def test_token_attacks(place: Place) -> None:
    """Expired, for another product, widened after signing, signed by a stranger, twice the same field: each is 3."""
    admin = _Admin(place.server.data_dir)
    victims = admin.call("key.show", {"product_id": "1"})["access_key"]
    own = next(each["id"] for each in admin.call("product.list", {}) if each["name"] == "attacker")
    attackers = admin.call("key.show", {"product_id": own})["access_key"]
    later, past = int(time.time()) + 3600, int(time.time()) - 1
    good = token(victims, expiry=later)
    assert ask_with_token(place, good) == 0

    refused = {
        "et in the past": token(victims, expiry=past),
        "et moved": good.replace(str(later), str(later + 1)),
        "wrong res": token(victims, resource=f"products/{own}", expiry=later),
        "res of a device that is another's": token(
            attackers, resource=f"products/{own}/devices/{place.real['device_id']}", expiry=later
        ),
        "res widened": token(victims, resource="products/1/devices/1", expiry=later).replace("%2Fdevices%2F1", ""),
        "res that climbs": token(attackers, resource=f"products/{own}/../1", expiry=later),
        "signed by another product": token(attackers, expiry=later),
        "method swapped": good.replace("sha256", "md5"),
        "no signature": good.partition("&sign=")[0],
        "empty signature": good.partition("&sign=")[0] + "&sign=",
        "two resources": f"{good}&res=products%2F1",
    }
    assert {name: ask_with_token(place, text) for name, text in refused.items()} == dict.fromkeys(refused, 3)


@pytest.mark.parametrize(
    "trick",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%5c..%5csealing.key",
        "..%2Fsealing.key",
        "%00",
        "1_1_a%00.png",
        "%ff%fe",
        "a%0d%0aset-cookie:%20x=1",
        "a" * 5_000,
        "' OR 1=1 --",
        "*",
    ],
)
@pytest.mark.parametrize("template", ["/bindata/{}", "/cmds/{}", "/cmds/{}/resp", HISTORY])
def test_path_tricks(place: Place, template: str, trick: str) -> None:
    """Nothing is a file here: what is no name of a thing is unknown, and nothing of it gets into a header."""
    head = f"GET {template.format(quote(trick, safe='%/*'))} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}"
    with connect(place.server.http) as connection:
        answer = connection.ask(head)

    assert answer.status in (200, 404)
    assert json.loads(answer.body)["errno"] == 8
    assert b"root:" not in answer.body
    assert answer.values("set-cookie") == []


def test_log_injection(place: Place) -> None:
    """Whatever is in a path, a query or a header: each line of the log is one of ours, and so is each of the audit."""
    for trick in ("%0a%7b%22event%22:%22forged%22%7d", "%1b[2J%1b[31m", "%e2%80%ae", "x" * 3_000):
        for method, target in (("PUT", f"/nbiot/offline/cancel/all?imei={trick}"), ("DELETE", f"/devices/{trick}")):
            place.server.request(method, target)
            place.server.request(method, target, key="wrong")
    with connect(place.server.http) as connection:
        connection.send_bytes(b"DELETE /devices/1\x1b[2J HTTP/1.1\r\napi-key: \x1b[2J\r\n\r\n")
        connection.answer()

    entries = _Admin(place.server.data_dir).call("audit.list", {"limit": 1000})["entries"]
    assert {entry["action"] for entry in entries} >= {"PUT /nbiot/offline/cancel/all", "DELETE /devices/{device_id}"}
    assert all(str(text).isprintable() for entry in entries for text in entry.values())
    for line in place.server.log().splitlines():
        assert json.loads(line)["event"] != "forged"


def test_what_is_kept_of_it_all_holds_no_key(place: Place) -> None:
    """Neither the log nor the audit, nor the database's own text of it."""
    place.server.request("PUT", f"/keys/{place.real['key']}", body={"title": "key of the victim"})
    secrets = (MASTER_KEY, place.attackers_key, place.real["key"], "secret payload")
    for secret in secrets:  # in this very test: another worker may have done the others
        place.server.request("GET", "/devices", key=secret)
        place.server.request("DELETE", "/devices/99999", key=secret)
        place.server.request("DELETE", "/devices/99999", key=None, headers={"Authorization": secret})
        place.server.request("DELETE", f"/keys/{quote(secret)}", key="wrong")
    admin = _Admin(place.server.data_dir)
    kept = json.dumps(admin.call("audit.list", {"limit": 1000})) + place.server.log()

    assert "PUT /keys/{key}" in kept
    for secret in secrets:
        assert secret not in kept


def test_brute_force_does_not_lock_out_the_right_key(tmp_path: Path) -> None:
    """The eleventh wrong key within a minute waits; the right one, from the same address, does not."""
    started = 0.0
    environment = {"COMMANDPOST_LIMITS_FAILED_LOGIN_DELAY": "true"}
    with ServerProcess(data_dir=tmp_path / "data", environment=environment) as server:
        for number in range(11):
            started = time.monotonic()
            assert server.call("GET", "/devices", key=f"guess-{number}")["errno"] == 3
        took_wrong = time.monotonic() - started
        started = time.monotonic()
        assert server.call("GET", "/devices")["errno"] == 0
        took_right = time.monotonic() - started

    assert took_wrong >= 0.5  # what the eleventh waits at least
    assert took_right < took_wrong
