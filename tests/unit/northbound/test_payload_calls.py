"""`/cmds`: sending, status, answer and history, also as the SDKs of the field ask for them."""

from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.command import PAYLOAD_BYTES_MAX, CommandState, Outcome, Submission
from commandpost.domain.errors import DeviceOffline, Overloaded, QueueFull, WrongProtocol
from commandpost.domain.ids import CommandId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, Page
from commandpost.northbound.onenet.payload_status import PayloadStatus, payload_status, stands_of
from commandpost.northbound.onenet.payloads import HISTORY_BODIES_BYTES_MAX
from commandpost.services.payloads import PayloadRequest
from tests.fakes.services import COMMAND_ID, OTHER_KEY, UNKNOWN_UUID, UUID
from tests.unit.northbound.fakes import answered, build_payload
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House

SEND = f"/cmds?device_id={DEVICE_ID}"
HISTORY = f"/cmds/history/{DEVICE_ID}?start=2017-08-28T11:34:58"
START = Instant(1_503_891_298_000)


def house_with(record: CommandRecord) -> House:
    house = House()
    house.payloads.records[COMMAND_ID] = record
    return house


def record(state: CommandState, outcome: Outcome | None = None) -> CommandRecord:
    return CommandRecord(command=build_payload(state=state, outcome=outcome), attempts=())


# --- sending ---------------------------------------------------------------------------------------------------------


def test_a_payload_is_taken_in_with_a_uuid() -> None:
    """Northbound reference 6.1, to the byte; what holds without being given is qos 0, timeout 0, type 0."""
    house = House()

    response = house.ask("POST", SEND, b"ping")

    assert response.body == f'{{"errno":0,"error":"succ","data":{{"cmd_uuid":"{UUID}"}}}}'.encode()
    ((device, request),) = house.payloads.submitted
    arguments = f'{{"device_id":"{DEVICE_ID}","qos":0,"timeout":0,"type":0}}'
    assert str(device.id) == DEVICE_ID
    assert request == PayloadRequest(payload=b"ping", submission=Submission(arguments=arguments))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("&qos=1&timeout=2678400", (1, 2_678_400, 0)),
        ("&timeout=60&QOS=0&Type=1", (0, 60, 1)),
        ("&type=1", (0, 0, 1)),
        ("&v=2.0&format=json", (0, 0, 0)),
    ],
)
def test_what_is_said_of_a_payload_is_handed_on(query: str, expected: tuple[int, int, int]) -> None:
    """In any case; unknown names are ignored."""
    house = House()

    assert house.envelope("POST", SEND + query, b"x")["errno"] == 0

    ((_, request),) = house.payloads.submitted
    assert (request.qos, request.timeout_s, request.kind) == expected


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\x00\xff\xfe", "application/json"),
        (b'{"cmd":"01030000"}', "application/x-www-form-urlencoded"),
        (b"\xef\xbb\xbf ", "text/plain; charset=utf-16"),
        (b" ", "application/octet-stream"),
        (b"x" * PAYLOAD_BYTES_MAX, "multipart/form-data"),
    ],
)
def test_a_body_is_bytes_whatever_its_content_type(body: bytes, content_type: str) -> None:
    """Unchanged: spaces, marks, halves of characters."""
    house = House()

    assert house.envelope("POST", SEND, body, content_type=content_type)["errno"] == 0

    assert house.payloads.submitted[0][1].payload == body


@pytest.mark.parametrize(
    ("target", "body", "answer"),
    [
        ("/cmds", b"x", (7, "parameter required: device_id")),
        ("/cmds?device_id=", b"x", (7, "parameter required: device_id")),
        ("/cmds?device_id=x", b"x", (8, "not found: device x")),
        ("/cmds?device_id=999", b"x", (8, "not found: device 999")),
        (f"/cmds?device_id={OTHER_PRODUCTS_DEVICE_ID}", b"x", (8, f"not found: device {OTHER_PRODUCTS_DEVICE_ID}")),
        (f"{SEND}&qos=2", b"x", (6, "invalid parameter: qos is '2': an integer from 0 to 1 is allowed")),
        (
            f"{SEND}&timeout=-1",
            b"x",
            (6, "invalid parameter: timeout is '-1': an integer from 0 to 2678400 is allowed"),
        ),
        (
            f"{SEND}&timeout=2678401",
            b"x",
            (6, "invalid parameter: timeout is '2678401': an integer from 0 to 2678400 is allowed"),
        ),
        (f"{SEND}&type=2", b"x", (6, "invalid parameter: type is '2': an integer from 0 to 1 is allowed")),
        (f"{SEND}&qos=2", b"", (6, "invalid parameter: qos is '2': an integer from 0 to 1 is allowed")),
        (SEND, b"", (9, "entity data required: 1 to 65535 bytes of any kind")),
        (SEND, b"x" * 65_536, (5, "request entity too large: body has 65536 bytes: at most 65535 is allowed")),
    ],
)
def test_what_is_not_taken_in(target: str, body: bytes, answer: tuple[int, str]) -> None:
    """Missing, unknown, out of range, empty, too large: in this order, each by its name."""
    house = House()

    assert house.envelope("POST", target, body) == {"errno": answer[0], "error": answer[1]}
    assert house.payloads.submitted == []


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (DeviceOffline("x"), (10, f"device not online: {DEVICE_ID}")),
        (
            WrongProtocol("LWM2M", "a device of protocol MQTT or EDP"),
            (22, "invalid protocol: the device speaks LWM2M: a device of protocol MQTT or EDP is allowed"),
        ),
        (
            QueueFull(1000),
            (13, "system limit: 1000 commands are waiting for this device already: at most 1000 are allowed"),
        ),
        (Overloaded("x"), (1, "internal server error: overloaded, try again later")),
        (ZeroDivisionError("secret"), (1, "internal server error")),
    ],
)
def test_what_the_service_refuses(failure: Exception, answer: tuple[int, str]) -> None:
    """The captured text for a device that is offline; LwM2M devices have other commands."""
    house = House()
    house.payloads.failure = failure

    assert house.envelope("POST", SEND, b"x") == {"errno": answer[0], "error": answer[1]}


# --- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "outcome", "status", "text"),
    [
        (CommandState.WAITING, None, 1, "Command Created"),
        (CommandState.WAITING, Outcome.TIME_OUT, 1, "Command Created"),
        (CommandState.SENT, None, 1, "Command Created"),
        (CommandState.DELIVERED, None, 2, "Command Sent"),
        (CommandState.DELIVERED, Outcome.TIME_OUT, 2, "Command Sent"),
        (CommandState.SUCCEEDED, Outcome.SUCCESS, 4, "Command Response Received"),
        (CommandState.FAILED, Outcome.TIME_OUT, 5, "Command Response Timeout"),
        (CommandState.EXPIRED, Outcome.TIME_OUT, 5, "Command Response Timeout"),
        (CommandState.FAILED, Outcome.RESP_ERROR, 6, "Command Response Too Large"),
        (CommandState.FAILED, Outcome.OFFLINE, 3, "Send Command Failed"),
        (CommandState.FAILED, Outcome.REQ_PARAM_ERROR, 3, "Send Command Failed"),
        (CommandState.EXPIRED, None, 3, "Send Command Failed"),
        (CommandState.EXPIRED, Outcome.OFFLINE, 3, "Send Command Failed"),
        (CommandState.CANCELLED, None, 3, "Send Command Failed"),
    ],
)
def test_how_a_payload_stands(state: CommandState, outcome: Outcome | None, status: int, text: str) -> None:
    """Northbound reference 6.2, with the texts of its table."""
    house = house_with(record(state, outcome))

    assert house.envelope("GET", f"/cmds/{UUID}")["data"] == {"status": status, "desc": text}


def test_every_stand_is_one_status_and_found_by_it() -> None:
    """The filter of the history is the projection turned round."""
    for status in PayloadStatus:
        for state, outcome in stands_of(status):
            assert payload_status(build_payload(state=state, outcome=outcome)) is status
    stands = [stand for status in PayloadStatus for stand in stands_of(status)]
    assert len(set(stands)) == len(stands) == len(CommandState) * (len(Outcome) + 1)
    assert stands_of(0) == ()


@pytest.mark.parametrize("suffix", ["", "/resp"])
@pytest.mark.parametrize("uuid", [UNKNOWN_UUID, "x", "0" * 36, "x" * 300, "..", "\0", "\ud800", "a/b"])
def test_a_uuid_that_is_no_payload_of_the_product(uuid: str, suffix: str) -> None:
    """errno 8, whatever it looks like."""
    house = House()
    path = f"/cmds/{uuid}{suffix}"
    segments = ("", "cmds", uuid, *([suffix[1:]] if suffix else []))

    answer = house.envelope_of(house.ask_path("GET", path, segments))

    assert answer["errno"] == 8
    assert answer["error"].startswith("not found: cmd_uuid ")


@pytest.mark.parametrize("suffix", ["", "/resp"])
def test_another_products_payload_looks_like_one_that_does_not_exist(suffix: str) -> None:
    """P12, to the byte."""
    house = house_with(answered(b"secret"))

    theirs = house.ask("GET", f"/cmds/{UUID}{suffix}", key=OTHER_KEY)
    unknown = house.ask("GET", f"/cmds/{UNKNOWN_UUID}{suffix}", key=OTHER_KEY)

    assert theirs.body == unknown.body.replace(UNKNOWN_UUID.encode(), UUID.encode())


# --- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"pong", b"", b"\x00\xff", b'{"errno":0}', b"x" * 65_536])
def test_the_answer_is_the_devices_bytes(payload: bytes) -> None:
    """No envelope, whatever they are."""
    response = house_with(answered(payload)).ask("GET", f"/cmds/{UUID}/resp")

    assert (response.status, response.body, response.content_type) == (200, payload, b"application/octet-stream")


@pytest.mark.parametrize(
    "which",
    [
        record(CommandState.WAITING),
        record(CommandState.DELIVERED),
        record(CommandState.FAILED, Outcome.TIME_OUT),
        record(CommandState.FAILED, Outcome.RESP_ERROR),
        record(CommandState.EXPIRED),
    ],
)
def test_without_an_answer_there_is_none(which: CommandRecord) -> None:
    """Northbound reference 6.3, to the byte."""
    response = house_with(which).ask("GET", f"/cmds/{UUID}/resp")

    assert response.body == b'{"errno":8,"error":"not found: no response"}'
    assert response.content_type == b"application/json; charset=utf-8"


# --- history ---------------------------------------------------------------------------------------------------------


def test_a_history_shows_both_shapes() -> None:
    """Northbound reference 6.4: bodies in hex, ids as text and number, both counts."""
    assert (
        house_with(answered(b"po\xff")).ask("GET", HISTORY).body
        == (
            '{"errno":0,"error":"succ","data":{"page":1,"per_page":30,"total_count":1,"count":1,"items":[{'
            f'"cmd_uuid":"{UUID}","device_id":"{DEVICE_ID}","dev_id":{DEVICE_ID},"expire_time":"2020-12-02 09:03:24",'
            '"status":4,"send_time":"2020-12-02 09:02:24","confirm_time":"2020-12-02 09:02:26","confirm_body":"706fff",'
            '"body":"70696e67"}]}}'
        ).encode()
    )


def test_what_a_payload_does_not_have_yet_is_left_out() -> None:
    """No time of sending, no answer."""
    (item,) = house_with(record(CommandState.WAITING)).envelope("GET", HISTORY)["data"]["items"]

    assert list(item) == ["cmd_uuid", "device_id", "dev_id", "expire_time", "status", "body"]


def test_a_page_of_large_payloads_keeps_its_items_and_leaves_out_bodies() -> None:
    """Pages are counted in items: one that ended early would hide the rest from whoever turns them by number."""
    house = House()
    for number in range(100):
        large = answered(bytes([number]) * PAYLOAD_BYTES_MAX, payload=b"p" * PAYLOAD_BYTES_MAX)
        command_id = CommandId(number.to_bytes(16, "big"))
        house.payloads.records[command_id] = replace(large, command=replace(large.command, id=command_id))

    response = house.ask("GET", f"{HISTORY}&per_page=100")

    items = house.envelope_of(response)["data"]["items"]
    assert len(response.body) < 2 * HISTORY_BODIES_BYTES_MAX + 100 * 400
    assert len(items) == 100
    whole = [item for item in items if "body" in item]
    assert items[: len(whole)] == whole and len(whole) == 16
    for number, item in enumerate(whole):
        assert bytes.fromhex(item["body"]) == b"p" * PAYLOAD_BYTES_MAX
        assert bytes.fromhex(item["confirm_body"]) == bytes([number]) * PAYLOAD_BYTES_MAX
    assert not any("confirm_body" in item for item in items[len(whole) :])
    assert {item["status"] for item in items} == {4}
    assert house.payloads.searches == [16, 16]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"end": None, "page": Page(number=1, size=30)}),
        ("&end=2017-08-28T11:34:59", {"end": Instant(START + 1_999)}),
        ("&duration=604800", {"end": Instant(START + 604_800_000)}),
        ("&page=3&per_page=100", {"page": Page(number=3, size=100)}),
        ("&limit=10", {"page": Page(number=1, size=10)}),
        ("&limit=6000", {"page": Page(number=1, size=100)}),
        ("&limit=10&per_page=20", {"page": Page(number=1, size=20)}),
        ("&limit=10&cursor=4", {"page": Page(number=4, size=10)}),
        ("&sort=asc", {"is_ascending": True}),
        ("&sort=DESC", {"is_ascending": False}),
        ("&status=2", {"stands": stands_of(2)}),
        (f"&page={10**18}", {"page": Page(number=10**9, size=30)}),
    ],
)
def test_what_is_asked_of_a_history_is_handed_on(query: str, expected: dict[str, Any]) -> None:
    """The present shape and the older one of an SDK."""
    house = House()

    assert house.envelope("GET", HISTORY + query)["errno"] == 0

    (asked,) = house.payloads.asked
    assert asked["start"] == START
    assert {name: asked[name] for name in expected} == expected


def test_a_status_that_nothing_is_in_finds_nothing() -> None:
    """0 is in the SDK's list; the store is not even asked."""
    house = house_with(answered(b"x"))

    assert house.envelope("GET", f"{HISTORY}&status=0")["data"]["items"] == []
    assert house.payloads.asked == []


def test_a_cursor_leads_on_while_more_follows() -> None:
    """It is there exactly then."""
    house = house_with(record(CommandState.WAITING))
    house.payloads.total = 21

    first = house.envelope("GET", f"{HISTORY}&limit=10")["data"]
    third = house.envelope("GET", f"{HISTORY}&limit=10&cursor=3")["data"]

    assert (first["cursor"], first["total_count"]) == ("2", 21)
    assert "cursor" not in third


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", (7, "parameter required: start")),
        ("?start=", (7, "parameter required: start")),
        ("?start=yesterday", (6, "invalid parameter: start is 'yesterday': YYYY-MM-DDTHH:MM:SS is allowed")),
        (
            "?start=2017-08-28T11:34:58&end=2017-08-28T11:34:59&duration=5",
            (6, "invalid parameter: duration is '5': one of duration and end is allowed"),
        ),
        (
            "?start=2017-08-28T11:34:58&duration=604801",
            (6, "invalid parameter: duration is '604801': an integer from 1 to 604800 is allowed"),
        ),
        (
            "?start=2017-08-28T11:34:58&limit=6001",
            (6, "invalid parameter: limit is '6001': an integer from 1 to 6000 is allowed"),
        ),
        (
            "?start=2017-08-28T11:34:58&per_page=101",
            (6, "invalid parameter: per_page is '101': an integer from 1 to 100 is allowed"),
        ),
        (
            "?start=2017-08-28T11:34:58&status=7",
            (6, "invalid parameter: status is '7': an integer from 0 to 6 is allowed"),
        ),
        ("?start=2017-08-28T11:34:58&sort=up", (6, "invalid parameter: sort is 'up': DESC or ASC is allowed")),
        (
            "?start=2017-08-28T11:34:58&cursor=x",
            (6, "invalid parameter: cursor is 'x': the cursor of an answer is allowed"),
        ),
        (
            "?start=2017-08-28T11:34:58&cursor=0",
            (6, "invalid parameter: cursor is '0': the cursor of an answer is allowed"),
        ),
    ],
)
def test_what_a_history_refuses(query: str, answer: tuple[int, str]) -> None:
    """By name, value and what is allowed."""
    answered_with = House().envelope("GET", f"/cmds/history/{DEVICE_ID}{query}")

    assert answered_with == {"errno": answer[0], "error": answer[1]}


@pytest.mark.parametrize("device_id", ["999", "x", "0", OTHER_PRODUCTS_DEVICE_ID])
def test_the_history_of_a_device_that_is_not_there(device_id: str) -> None:
    """`history` is no uuid, and another product's device looks like none."""
    answer = House().envelope("GET", f"/cmds/history/{device_id}?start=2017-08-28T11:34:58")

    assert answer == {"errno": 8, "error": f"not found: device {device_id}"}


# --- as SDKs ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        (f"/cmds?qos=1&device_id={DEVICE_ID}&type=0&timeout=2400", "打开".encode(), "text/plain; charset=UTF-8"),
        (f"/cmds?device_id={DEVICE_ID}&qos=0&timeout=100&type=0", b"\x01\x02", "application/x-www-form-urlencoded"),
        (f"/cmds?device_id={DEVICE_ID}&qos=0&type=0", b"go", "application/x-www-form-urlencoded"),
        (f"//cmds?device_id={DEVICE_ID}", b'{"cmd":"010300000001"}', "application/x-www-form-urlencoded"),
        (f"/cmds/?device_id={DEVICE_ID}&qos=&timeout=", b"go", "application/octet-stream"),
    ],
)
def test_sending_as_the_java_and_php_sdks_do(target: str, body: bytes, content_type: str) -> None:
    """Parameters in the order of a Java HashMap, left out when null; PHP's curl says form-urlencoded."""
    house = House()

    assert house.envelope("POST", target, body, content_type=content_type)["data"] == {"cmd_uuid": UUID}
    assert house.payloads.submitted[0][1].payload == body


def test_the_java_sdk_reads_status_answer_and_history() -> None:
    """Its typed readers want `dev_id` as an int, `count`, and times with a space."""
    house = house_with(answered(b"pong"))
    query = "start=2017-08-28T11:34:58&duration=3600&limit=10&cursor=1&sort=DESC&status=4"

    status = house.envelope("GET", f"/cmds/{UUID}")["data"]
    answer = house.ask("GET", f"/cmds/{UUID}/resp").body
    history = house.envelope("GET", f"/cmds/history/{DEVICE_ID}?{query}")["data"]

    assert status == {"status": 4, "desc": "Command Response Received"}
    assert answer == b"pong"
    assert (history["count"], history["items"][0]["dev_id"]) == (1, int(DEVICE_ID))
    assert house.payloads.asked[0]["stands"] == ((CommandState.SUCCEEDED, None), *(
        (CommandState.SUCCEEDED, outcome) for outcome in Outcome
    ))  # fmt: skip
