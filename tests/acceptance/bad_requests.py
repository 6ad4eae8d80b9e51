"""Bad requests for every route a server says it serves, drawn from its own OpenAPI document.

Here: a sound request of each operation, and what can be wrong with it, one thing at a time, with the answer the
northbound reference (2.3) asks for. Not here: sending them, or faults that only one route knows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

Json = dict[str, Any]  # Any: JSON

KEY_WRONG: Final = "not-the-key-of-anybody"
ANY_TEXT_COUNTS: Final = frozenset({"cancel"})  # everything but `true` observes (northbound reference 4.4)
REQUIRED_UNDER_ONE_OF_TWO_NAMES: Final = frozenset({"imei", "devIds"})
TEXT_OF_ANY_KIND: Final = frozenset(
    {"key_words", "auth_info", "topic", "desc", "datastream_id", "key", "register_code"}
)
LONG_LISTS: Final = frozenset({"datastreams", "permissions", "dev_ids"})  # their items have tests of their own
NATIVE: Final = "/v1/"  # answers with statuses of its own: tests/unit/northbound/test_subscription_calls.py
NO_GROUP: Final = "1"  # nobody has subscribed
JSON_TYPE: Final = "application/json"
TIMES: Final = frozenset({"valid_time", "expired_time", "start", "end", "begin"})
NO_INTEGERS: Final = ("abc", "-1", "9" * 40, "1.5", "1e2", "0x10", "１", "--1", "1,2", "true")
NO_NUMBERS: Final = ("abc", "nan", "inf", "-inf", "1e999", "1,5", "0x1p3", "９")
NO_BOOLEANS: Final = ("maybe", "2", "-1", "yes", "truefalse")
NO_TIMES: Final = ("tomorrow", "2026-13-01T00:00:00", "2026-01-01T24:00:00", "2026-02-30T00:00:00", "0", "9" * 30)
NO_JSON: Final = (
    b"{",
    b'{"data":[',
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a":NaN}',
    b'{"a":1e999}',
    b"\xff\xfe{}",
    b'{"a":"\xc3"}',
    b'{"a":"\\ud800"}',
    b"title=x&protocol=LWM2M",
    b"<xml/>",
    b"{}{}",
    b"\x00",
    b"[" * 2000,
    b'{"a":' * 400,
)
OF_EACH_KIND: Final[tuple[tuple[str, object], ...]] = (
    ("string", "some text"),
    ("number", 5),
    ("number", 1.5),
    ("boolean", True),
    ("array", []),
    ("object", {}),
)
NO_OBJECTS: Final = (b"[]", b'"text"', b"5", b"null", b"true", b"[{}]")
# Of a write's items (northbound reference 4.2).
NO_ITEMS: Final[tuple[object, ...]] = (5, "text", None, [], True)
NO_RESOURCE_IDS: Final[tuple[object, ...]] = ("5850", 1.5, True, None, [], {}, -1, 65_536, 10**30)
NO_KINDS_OF_VALUE: Final[tuple[object, ...]] = (0, 3, -1, "1", True, 1.0, 2.0, [], {}, 10**30)
NO_VALUES: Final[tuple[tuple[Json, tuple[object, ...]], ...]] = (
    ({}, (None, [], {}, [1], 2**64, -(2**63) - 1)),
    ({"type": 1}, (True, "0AF", "xyz!", -1, 1.5, None, [], {}, "0A 0")),
    ({"type": 2}, (True, "1600000000", None, [], {}, 2**64)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The errno of each fault in one family of paths."""

    credential_missing: int
    credential_wrong: int
    device_unknown: int
    parameter_missing: int
    body_missing: int
    body_malformed: int
    value: int
    body_too_large: int
    command_unknown: int


NB: Final = Numbers(
    credential_missing=1,
    credential_wrong=1,
    device_unknown=1,
    parameter_missing=3,
    body_missing=3,
    body_malformed=3,
    value=5108,
    body_too_large=5108,
    command_unknown=5108,
)
GENERAL: Final = Numbers(
    credential_missing=2,
    credential_wrong=3,
    device_unknown=8,
    parameter_missing=7,
    body_missing=9,
    body_malformed=4,
    value=6,
    body_too_large=5,
    command_unknown=8,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a sound request may name, and what it may not."""

    key: str
    imei: str
    device_id: str
    cached_uuid: str
    """A waiting command of the device."""
    instant_uuid: str
    payload_device_id: str
    """A device of protocol MQTT, which is not connected."""
    payload_uuid: str
    """A waiting payload of that device."""
    datastream_id: str
    """Of the first device, with a value."""
    index: str
    """Binary data of the first device."""
    device_key: str
    trigger_id: str
    register_code: str
    other_key: str
    other_imei: str
    other_device_id: str
    other_uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, before it is written."""

    method: str
    template: str
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    key: str | None

    @property
    def target(self) -> str:
        """The path with its query, percent-encoded."""
        path = self.template
        for name, value in self.path_values.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return path + (
            "?" + "&".join(f"{k}={quote(v, safe=':,')}" for k, v in self.query.items()) if self.query else ""
        )

    def head(self) -> str:
        """What stands before the body, for `RawConnection.send`."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: x"]
        if self.key is not None:
            lines.append(f"api-key: {self.key}")
        if self.body is not None:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequest:
    """One fault, and how it has to be answered."""

    why: str
    request: Request
    errno: int
    texts: tuple[str, ...] = ()
    """What `error` has to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path, as the document describes it."""

    method: str
    template: str
    parameters: tuple[Json, ...]
    body: Json | None
    is_open: bool
    """Whether no credential is asked for."""

    @property
    def name(self) -> str:
        """How a report names it."""
        return f"{self.method} {self.template}"

    @property
    def numbers(self) -> Numbers:
        """The table it answers by."""
        return NB if self.template.startswith(("/nbiot", "/devices/nbiot")) else GENERAL

    @property
    def query_parameters(self) -> tuple[Json, ...]:
        """Those in the query."""
        return tuple(each for each in self.parameters if each["in"] == "query")

    @property
    def path_names(self) -> tuple[str, ...]:
        """Those in the path."""
        return tuple(each["name"] for each in self.parameters if each["in"] == "path")

    @property
    def body_bytes_max(self) -> int:
        """The limit the document states in words."""
        assert self.body is not None
        return int(self.body["description"].split()[2])

    @property
    def takes_json(self) -> bool:
        """Whether the body is JSON; else it is bytes of any kind."""
        return self.body is not None and JSON_TYPE in self.body["content"]

    @property
    def body_schema(self) -> Json:
        """The schema of the body."""
        assert self.body is not None
        schema: Json = self.body["content"][JSON_TYPE]["schema"]
        return schema

    def sound_body(self, world: World) -> bytes | None:
        """A body with nothing wrong."""
        if self.body is None:
            return None
        if self.takes_json:
            return _encode(self.body_example(world))
        ((_, content),) = self.body["content"].items()
        return str(content["example"]).encode()

    def body_example(self, world: World) -> Json:
        """A body that is right, with an identity that is still free."""
        assert self.body is not None
        example: Json = json.loads(json.dumps(self.body["content"][JSON_TYPE]["example"]))
        for permission in example.get("permissions", ()):
            permission["resources"] = [{"dev_id": world.device_id}]
        if "auth_info" in example:
            example["auth_info"] = {f"9{world.imei[1:]}": "460000000000099"}
        return example

    def sound_request(self, world: World) -> Request:
        """Give a request with nothing wrong: what is required, and what the document has an example of."""
        known = {"imei": world.imei, "devIds": world.device_id, "expired_time": "2037-01-01T00:00:00"}
        known["register_code"] = world.register_code
        of_payload = self.template == "/cmds"
        if any(each["name"] == "device_id" and each["required"] for each in self.query_parameters):
            known["device_id"] = world.payload_device_id if of_payload else world.device_id
        query = {
            each["name"]: known[each["name"]] if each["name"] in known else _text(each["example"])
            for each in self.query_parameters
            if each["name"] in known or "example" in each
        }
        if of_payload:
            query["timeout"] = "3600"
        values = {
            "uuid": self.known_uuid(world),
            "device_id": world.device_id,
            "datastream_id": world.datastream_id,
            "index": world.index,
            "key": world.device_key,
            "trigger_id": world.trigger_id,
            "group_id": NO_GROUP,
        }
        return Request(
            method=self.method,
            template=self.template,
            path_values={name: values[name] for name in self.path_names},
            query=query,
            body=self.sound_body(world),
            key=None if self.is_open else world.key,
        )

    def known_uuid(self, world: World) -> str:
        """A command of the kind that it shows."""
        if self.template.startswith("/cmds"):
            return world.payload_uuid
        return world.instant_uuid if "/online/" in self.template else world.cached_uuid


def served_operations(document: Json) -> list[Operation]:
    """Give every operation of the dialect."""
    return [
        Operation(
            method=method.upper(),
            template=template,
            parameters=tuple(operation.get("parameters", ())),
            body=operation.get("requestBody"),
            is_open=not operation["security"],
        )
        for template, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation["tags"] != ["Service"] and not template.startswith(NATIVE)
    ]


def bad_requests(operation: Operation, world: World) -> Iterator[BadRequest]:
    """Give everything that can be wrong with an operation by its description."""
    if not operation.is_open:
        yield from _credentials(operation, world)
    yield from _path_values(operation, world)
    yield from _foreign_identities(operation, world)
    for parameter in operation.query_parameters:
        yield from _parameter(operation, parameter, world)
    yield from _oversize_queries(operation, world)
    if operation.takes_json:
        yield from _bodies(operation, world)
        yield from _body_fields(operation, world)
    elif operation.body is not None:
        yield from _octets(operation, world)


# --- who asks, about what ---------------------------------------------------------------------------------------------


def _credentials(operation: Operation, world: World) -> Iterator[BadRequest]:
    sound, numbers = operation.sound_request(world), operation.numbers
    yield _bad("no key", replace(sound, key=None), numbers.credential_missing, "api-key")
    yield _bad("empty key", replace(sound, key=""), numbers.credential_missing, "api-key")
    for key in (KEY_WRONG, world.key[:-1], world.key + "x", "x" * 5000, "schlüssel", "' OR 1=1 --"):
        yield _bad(f"key {key[:20]!r}", replace(sound, key=key), numbers.credential_wrong, "api-key")


def _path_values(operation: Operation, world: World) -> Iterator[BadRequest]:
    sound, numbers = operation.sound_request(world), operation.numbers
    for name in operation.path_names:
        number = numbers.command_unknown if name == "uuid" else numbers.device_unknown
        for value in _bad_path_values(name, operation, world):
            # What may be a key, mistyped, is not told back.
            texts = (value[:80],) if value.isprintable() and name != "key" else ()
            values = {**sound.path_values, name: value}
            yield _bad(f"{name} {value[:40]!r}", replace(sound, path_values=values), number, *texts)


def _bad_path_values(name: str, operation: Operation, world: World) -> Iterator[str]:
    match name:
        case "uuid":
            yield from _bad_uuids(operation, world)
        case "device_id":
            yield from _bad_device_ids(world)
        case "trigger_id" | "group_id":
            yield from ("x", "0", "-1", "1.5", "..", "9" * 30, "999999999", "\0", "١", "x" * 300)
        case _:
            right = {"datastream_id": world.datastream_id, "index": world.index, "key": world.device_key}[name]
            yield from ("x", "..", "\0", "x" * 300, "a/b", "%2F", "１", right + "x", right[:-1], right.upper() + "/")


def _bad_uuids(operation: Operation, world: World) -> Iterator[str]:
    yield from ("x", "..", "\0", "0" * 32, "0" * 36, "٣" * 36, "x" * 300, "42742677-adc3-54ca-83a1-5aaaf71482f8")
    known = operation.known_uuid(world)
    yield from (world.other_uuid, known + "0", known[:-1], "{" + known + "}")
    if "/online/" in operation.template or operation.template.startswith("/cmds"):
        yield world.cached_uuid
    elif operation.method == "GET":  # a cancel knows it, and says that it is not waiting
        yield world.instant_uuid


def _bad_device_ids(world: World) -> Iterator[str]:
    yield from ("x", "0", "-1", "1.5", "..", "9" * 30, "999999999", "\0", "١", "x" * 300)
    yield world.other_device_id


def _foreign_identities(operation: Operation, world: World) -> Iterator[BadRequest]:
    """Another product's things look like things that do not exist (P12)."""
    sound, unknown = operation.sound_request(world), operation.numbers.device_unknown
    if "imei" in sound.query:
        for imei in (world.other_imei, "899999999999999", "x" * 65, "x" * 5000, "' OR 1=1 --", "\0", "%", "８６"):
            texts = () if not imei.isprintable() else (imei[:80],)
            yield _bad(f"imei {imei[:20]!r}", _with_query(sound, imei=imei), unknown, *texts)
        yield _bad("key of another product", replace(sound, key=world.other_key), unknown, world.imei)
        only_name = {name: value for name, value in sound.query.items() if name != "imei"}
        if operation.numbers is NB:
            named = replace(sound, query={**only_name, "ep_name": f"{world.other_imei};460000000000001"})
            yield _bad("ep_name of another product", named, unknown, world.other_imei)
    if "device_id" in operation.path_names:
        yield _bad("key of another product", replace(sound, key=world.other_key), unknown, world.device_id)
    elif operation.path_names in (("key",), ("index",), ("trigger_id",)) or operation.template.startswith(
        "/cmds/{uuid}"
    ):
        yield _bad("key of another product", replace(sound, key=world.other_key), unknown)
    if any(each["name"] == "device_id" and each["schema"]["type"] == "string" for each in operation.query_parameters):
        for device_id in _bad_device_ids(world):
            texts = (device_id[:64],) if device_id.isprintable() else ()
            yield _bad(f"device_id {device_id[:20]!r}", _with_query(sound, device_id=device_id), unknown, *texts)
        if "device_id" in sound.query:
            other = replace(sound, key=world.other_key)
            yield _bad("key of another product", other, unknown, sound.query["device_id"])


# --- query ------------------------------------------------------------------------------------------------------------


def _parameter(operation: Operation, parameter: Json, world: World) -> Iterator[BadRequest]:
    sound, numbers, name = operation.sound_request(world), operation.numbers, parameter["name"]
    if parameter["required"] or name in REQUIRED_UNDER_ONE_OF_TWO_NAMES:
        left = {each: value for each, value in sound.query.items() if each != name}
        yield _bad(f"no {name}", replace(sound, query=left), numbers.parameter_missing, name)
        yield _bad(f"empty {name}", _with_query(sound, **{name: ""}), numbers.parameter_missing, name)
    for value in _bad_texts(parameter):
        yield _bad(
            f"{name}={value[:40]!r}",
            _with_query(sound, **{name: value}),
            numbers.value,
            name,
            _shown(parameter, value),
            "allowed",
        )


def _bad_texts(parameter: Json) -> Iterator[str]:
    name, schema = parameter["name"], parameter["schema"]
    match schema["type"]:
        case "integer":
            yield from NO_INTEGERS
            yield from (str(schema[edge] + step) for edge, step in (("minimum", -1), ("maximum", 1)) if edge in schema)
            if "enum" in schema:
                yield from (str(min(schema["enum"]) - 1), str(max(schema["enum"]) + 1))
        case "number":
            yield from NO_NUMBERS
            if "minimum" in schema:
                yield str(schema["minimum"] - 0.5)
        case "boolean" if name not in ANY_TEXT_COUNTS:
            yield from NO_BOOLEANS
        case "string" if "enum" in schema:
            yield from ("sideways", schema["enum"][0] + "x", "1")
        case "string" if name in TIMES:
            yield from NO_TIMES
        case "string" if name == "uuid":
            yield from ("x", "0" * 37, "z" * 36)
        case "string" if name == "cursor":
            yield from ("x", "0", "1_2", "1_1_", "1_2_3_4", "９", "9" * 65, f"{2**63}_1_1")
        case "string" if name in TEXT_OF_ANY_KIND:
            yield "x" * (schema["maxLength"] + 1)
        case "array":
            if name in ("device_id", "devIds"):
                yield from ("x", "1,x", "1;2", "-1", "1.5")
            if "maxItems" in schema:
                yield ",".join("1" * (schema["maxItems"] + 1))


def _shown(parameter: Json, value: str) -> str:
    """What of a value has to be told back; of a list the part that is wrong, or how long it is."""
    if parameter["schema"]["type"] == "array":
        items = value.split(",")
        return f"{len(items)} items" if len(items) > 2 else items[-1]
    return value[:80]


def _oversize_queries(operation: Operation, world: World) -> Iterator[BadRequest]:
    sound, value = operation.sound_request(world), operation.numbers.value
    many = {f"x{at}": "1" for at in range(65)}
    yield _bad("65 further parameters", replace(sound, query={**sound.query, **many}), value, "query", "64")
    yield _bad("a query of 17 KB", replace(sound, query={**sound.query, "x": "y" * 17_000}), value, "query", "16384")


# --- body -------------------------------------------------------------------------------------------------------------


def _bodies(operation: Operation, world: World) -> Iterator[BadRequest]:
    sound, numbers = operation.sound_request(world), operation.numbers
    assert operation.body is not None and sound.body is not None
    for body in NO_JSON:
        if operation.template.endswith("/datapoints") and b"ud800" in body:
            continue  # JSON all the same, by the reader that reports have (it keeps numbers as they are written)
        yield _bad(f"body {body[:20]!r}", replace(sound, body=body), numbers.body_malformed, "invalid JSON: body")
    for body in NO_OBJECTS:
        yield _bad(f"body {body!r}", replace(sound, body=body), numbers.body_malformed, "invalid JSON: body", "object")
    if operation.body["required"]:
        for empty in (None, b"", b"  \r\n\t", b"\xef\xbb\xbf"):
            yield _bad(f"body {empty!r}", replace(sound, body=empty), numbers.body_missing, "entity data", "object")
    limit = operation.body_bytes_max
    for size in (limit + 1, limit * 8):
        yield _bad(
            f"{size} bytes", replace(sound, body=sound.body.ljust(size)), numbers.body_too_large, "body", str(limit)
        )


def _octets(operation: Operation, world: World) -> Iterator[BadRequest]:
    """Of bytes nothing can be wrong but how many there are."""
    sound, numbers = operation.sound_request(world), operation.numbers
    limit = operation.body_bytes_max
    for empty in (None, b""):
        yield _bad(f"body {empty!r}", replace(sound, body=empty), numbers.body_missing, "entity data", str(limit))
    for size in (limit + 1, limit + 500_000):
        yield _bad(f"{size} bytes", replace(sound, body=bytes(size)), numbers.body_too_large, "body", str(limit))


def _body_fields(operation: Operation, world: World) -> Iterator[BadRequest]:
    sound, numbers, schema = operation.sound_request(world), operation.numbers, operation.body_schema
    example = operation.body_example(world)
    for name in schema.get("required", ()):
        left = {key: value for key, value in example.items() if key != name}
        for body in (left, {**left, name: None}):
            yield _bad(f"no {name}", replace(sound, body=_encode(body)), numbers.parameter_missing, name)
    for name, of_field in schema["properties"].items():
        for why, value, texts in _bad_values(name, of_field):
            request = replace(sound, body=_encode({**example, name: value}))
            yield _bad(f"{name}: {why}", request, _field_errno(numbers, name), *texts)
    if "data" in schema["properties"]:
        yield from _write_items(sound, numbers, schema["properties"]["data"]["items"])


def _field_errno(numbers: Numbers, name: str) -> int:
    """Two fields have a number of their own: the protocol (22), and the shape of a write."""
    return 22 if name == "protocol" else numbers.body_malformed if name == "data" else numbers.value


def _bad_values(name: str, schema: Json) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """Give values that a schema refuses, each with what the refusal has to say.

    `auth_info` says its name alone, to the letter of the live service; a secret is never told back.
    """
    if name == "auth_info":
        pair = {"1" * 15: "1" * 15, "2" * 15: "1" * 15}
        bad: tuple[object, ...] = (5, True, [], {}, "text", pair, {"": "1"}, {"1" * 18: "1"}, {"1-1": "1"}, {"1": ""})
        bad += ({"1": "1" * 17}, {"1": None}, {"1": {}}, {"1": True}, {"1": "é"}, {"1\0": "1"}, {"1": 1.5})
        yield from ((repr(value), value, ("invalid parameter: auth_info",)) for value in bad)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind, value in OF_EACH_KIND:
        is_integer = kind == "number" and isinstance(value, int) and "integer" in kinds
        if kind not in kinds and not is_integer and not (name == "data" and kind == "array"):
            yield f"{value!r}", value, (name, "allowed")
    if "maxLength" in schema:
        yield "too long", "x" * (schema["maxLength"] + 1), (name, str(schema["maxLength"]))
    if "maxItems" in schema:
        yield "too many", ["x"] * (schema["maxItems"] + 1), (name, str(schema["maxItems"]))
    if "items" in schema and name != "data" and name not in LONG_LISTS:
        items: tuple[object, ...] = (5, None, {}, ["x"], "x" * (schema["items"].get("maxLength", 300) + 1))
        good = schema["items"].get("enum", ["x"])[0]
        yield from ((f"item {item!r:.20}", [good, item], (f"{name}[1]", "allowed")) for item in items)
    if "maximum" in schema:
        for number in (schema["minimum"] - 1, schema["maximum"] + 1, 10**30, 1.0):
            yield f"{number}", number, (name, str(number), "allowed")
    if "pattern" in schema:
        for secret in ("", "x" * 17, "a b c d e f", "ключключ", "x" * 9 + "\n"):
            yield f"{secret!r}", secret, (name, "allowed")
    for key, inner in schema.get("properties", {}).items():
        for why, value, texts in _bad_values(key, inner):
            yield f"{key}: {why}", {key: value}, (name, *texts)
        for far in (10**30, -(10**30)):
            yield f"{key}: {far}", {key: far}, (name, key, "allowed")


def _write_items(sound: Request, numbers: Numbers, item_schema: Json) -> Iterator[BadRequest]:
    good: Json = {"res_id": 5850, "val": True}

    def bad(why: str, data: object, errno: int, *texts: str) -> BadRequest:
        return _bad(f"data: {why}", replace(sound, body=_encode({"data": data})), errno, *texts)

    yield bad("empty", [], numbers.parameter_missing, "data")
    for item in NO_ITEMS:
        yield bad(f"item {item!r}", [good, item], numbers.body_malformed, "data[1]", "object")
    for name in item_schema["required"]:
        without = {key: value for key, value in good.items() if key != name}
        yield bad(f"item without {name}", [good, without], numbers.parameter_missing, f"data[1].{name}")
    for resource_id in NO_RESOURCE_IDS:
        of_resource = {**good, "res_id": resource_id}
        yield bad(f"res_id {resource_id!r}", [of_resource], numbers.value, "data[0].res_id", "65535")
    for kind in NO_KINDS_OF_VALUE:
        yield bad(f"type {kind!r}", [{**good, "type": kind}], numbers.value, "data[0].type", "allowed")
    for kinds, values in NO_VALUES:
        for value in values:
            of_kind = {"res_id": 1, "val": value, **kinds}
            yield bad(f"{kinds} val {value!r}", [of_kind], numbers.value, "data[0].val", "allowed")


# --- small things -----------------------------------------------------------------------------------------------------


def _bad(why: str, request: Request, errno: int, *texts: str) -> BadRequest:
    return BadRequest(why=why, request=request, errno=errno, texts=texts)


def _with_query(request: Request, **values: str) -> Request:
    return replace(request, query={**request.query, **values})


def _encode(value: object) -> bytes:
    return json.dumps(value).encode()


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
