"""The OpenAPI document and the page: drawn from the table of routes, and true."""

import re
from html import unescape
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from commandpost.northbound.routing import Route
from tests.fakes.services import COMMAND_ID, UUID
from tests.unit.northbound.fakes import INDEX, REGISTER_CODE, STREAM, answered
from tests.unit.northbound.house import House, with_imei
from tests.unit.northbound.push_house import TOKEN, URL, PushHouse

HOUSE = House()
ROUTES = list(HOUSE.api.routes)


def document() -> dict[str, Any]:
    response = HOUSE.ask("GET", "/openapi.json", key=None)
    decoded = msgspec.json.decode(response.body)
    assert response.content_type.startswith(b"application/json")
    assert isinstance(decoded, dict)
    return decoded


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, item in document()["paths"].items() for method, one in item.items()]


def test_every_route_is_in_the_document_once() -> None:
    """Method and path; ids are unique."""
    told = [(method.upper(), path) for path, method, _ in operations()]

    assert sorted(told) == sorted((route.method, route.template) for route in ROUTES)
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)


def test_an_independent_reader_understands_the_document() -> None:
    """Schemathesis loads every operation of it."""
    schema = schemathesis.openapi.from_dict(document())

    assert sum(1 for _ in schema.get_all_operations()) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
def test_every_path_parameter_is_declared(route: Route) -> None:
    """And no other."""
    operation = document()["paths"][route.template][route.method.lower()]
    declared = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]

    assert declared == re.findall(r"{(\w+)}", route.template)
    names = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
    assert len(set(names)) == len(names)


def test_every_schema_is_one_and_fits_its_example() -> None:
    """Answers, bodies, parameters."""
    components = document()["components"]
    checked = 0
    for _, _, operation in operations():
        contents = [operation["responses"]["200"]["content"]]
        if "requestBody" in operation:
            contents.append(operation["requestBody"]["content"])
        for content in contents:
            for media in content.values():
                if "schema" in media:
                    jsonschema_rs.validate({**media["schema"], "components": components}, media["example"])
                    checked += 1
        for parameter in operation.get("parameters", ()):
            validator = jsonschema_rs.validator_for(parameter["schema"])
            if "example" in parameter:
                assert validator.is_valid(parameter["example"])
    assert checked > 25


def test_all_but_the_service_pages_and_self_registration_ask_for_a_credential() -> None:
    """api-key or a token, in the header."""
    assert {scheme["in"] for scheme in document()["components"]["securitySchemes"].values()} == {"header"}
    for path, _, operation in operations():
        is_open = path in ("/healthz", "/openapi.json", "/docs", "/register_de")
        assert operation["security"] == ([] if is_open else [{"api-key": []}, {"authorization": []}])


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.documentation.tag != "Service"],
    ids=lambda route: route.documentation.name,
)
def test_the_documented_examples_are_accepted(route: Route) -> None:
    """Every required parameter and the sample body together make a call that gets past every check."""
    parts = [
        f"{parameter.name}={query_text(parameter.example)}"
        for parameter in route.documentation.parameters
        if parameter.is_required and parameter.name not in ("imei", "register_code") and parameter.example is not None
    ]
    parts += [f"register_code={REGISTER_CODE}"] if route.documentation.is_open else []
    path = re.sub(r"{(\w+)}", lambda found: PATH_VALUES[found[1]], route.template)
    target = with_imei(path + ("?" + "&".join(parts) if parts else ""))
    body = route.documentation.body
    house = furnished_house(route)

    response = house.ask(route.method, target, b"" if body is None else sample_for(route, body.example))
    if not route.documentation.has_envelope:
        assert (response.status, response.content_type) == (200, b"application/octet-stream")
        return
    answer = msgspec.json.decode(response.body)

    if "/open/online/" in route.template:
        assert answer["errno"] == 5108  # the command is a cached one: its own log has another path
    else:
        assert answer["errno"] == 0


def query_text(example: object) -> str:
    return example if isinstance(example, str) else str(example).lower()


PATH_VALUES = {"device_id": "1000001", "uuid": UUID, "datastream_id": STREAM, "index": INDEX, "key": "new-key-0"}


def furnished_house(route: Route) -> House:
    """A house with a command and a key."""
    house = House()
    if "{key}" in route.template:
        house.envelope("POST", "/keys", {"title": "k"})
    if route.template.startswith("/cmds"):
        house.payloads.records[COMMAND_ID] = answered(b"pong")
    elif "{uuid}" in route.template:
        house.envelope("GET", with_imei("/nbiot/offline?obj_id=3&expired_time=2030-01-01T00:00:00"))
    return house


def sample_for(route: Route, example: object) -> object:
    """A create needs an identity that is free; what is handed on as it is, is no JSON."""
    if route.documentation.body is not None and route.documentation.body.content_type != "application/json":
        return str(example).encode()
    if route.documentation.name == "createDevice":
        assert isinstance(example, dict)
        return {**example, "auth_info": {"free": "1"}}
    return example


def test_the_page_stands_alone() -> None:
    """No script, no style sheet, no font, no image from anywhere; every route is on it."""
    response = HOUSE.ask("GET", "/docs", key=None)
    page = response.body.decode()

    assert response.content_type == b"text/html; charset=utf-8"
    for outside in ("<script", "<link", "<img", "http://", "https://", "@import", "url("):
        assert outside not in page
    for route in ROUTES:
        assert f'id="{route.documentation.name}"' in page


def test_the_page_says_what_may_go_wrong() -> None:
    """Every fault with its numbers, from the table that answers with them."""
    page = HOUSE.ask("GET", "/docs", key=None).body.decode()

    for cell in ("5106 unsuccess", "16 unsuccess", "2001 device not online", "14 network latency", "5006 system limit"):
        assert f"<td>{cell}</td>" in page


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_what_is_said_of_every_call_is_true_of_every_call(path: str) -> None:
    """Of the dialect alone, where it is: `/v1` has statuses, exact names, and refuses what is unknown."""
    house = PushHouse()
    unknown = {"url": URL, "token": TOKEN, "unheard_of": 1}
    said = unescape(house.ask("GET", path, key=None).body.decode()).replace('\\"', '"')

    assert house.ask("GET", "/v1/subscriptions", key=None).status == 401
    assert house.ask("POST", "/v1/subscriptions", unknown).status == 422
    assert house.ask("POST", "/devices", {"unheard_of": 1}).status == 200
    assert "Every call of the OneNET dialect is answered with HTTP 200" in said
    assert "no part of the dialect: there the outcome is the HTTP status" in said
    assert "unknown ones are refused" in said
    assert "or where the call says so as bytes" in said
    for status in ("404", "400", "408", "431", "503"):
        assert status in said.partition("What is no call at all has a status of its own")[2][:400]


def test_documents_are_made_once() -> None:
    """They are the same value each time."""
    assert HOUSE.ask("GET", "/docs").body is HOUSE.ask("GET", "/docs").body
