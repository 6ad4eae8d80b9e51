"""Cached commands: submission and cancelling."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from commandpost.domain.command import Command, CommandState, DeliveryPolicy, Trigger
from commandpost.domain.errors import Invalid, NotFound, QueueFull
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Execute, Read, Write, WriteItem, WriteMode
from commandpost.domain.resource import ResourcePath
from tests.fakes.services import COMMAND_ID, IMEI, NOW, UNKNOWN_UUID, UUID
from tests.unit.northbound.house import House, observed_house, with_imei

EXPIRED = "expired_time=2021-01-02T09:02:24"
EXPIRED_AT = Instant(1_609_549_344_000)
READ = with_imei(f"/nbiot/offline?obj_id=3303&obj_inst_id=0&res_id=5700&{EXPIRED}")
WRITE = with_imei(f"/nbiot/offline?obj_id=3311&obj_inst_id=0&mode=2&{EXPIRED}")
EXECUTE = with_imei(f"/nbiot/execute/offline?obj_id=5&obj_inst_id=0&res_id=26600&{EXPIRED}")
BODY: dict[str, Any] = {"data": [{"res_id": 5850, "val": True}]}
CALLS = [("GET", READ, b""), ("POST", WRITE, BODY), ("POST", EXECUTE, b"")]


def change(target: str, name: str, value: str | None) -> str:
    path, _, query = target.partition("?")
    pieces = [piece for piece in query.split("&") if not piece.startswith(f"{name}=")]
    return path + "?" + "&".join(pieces if value is None else [*pieces, f"{name}={value}"])


def arguments_of(house: House) -> dict[str, Any]:
    decoded = msgspec.json.decode(house.commands.submitted[-1].submission.arguments)
    assert isinstance(decoded, dict)
    return decoded


@pytest.mark.parametrize(("method", "target", "body"), CALLS)
def test_a_submission_is_answered_with_its_uuid(method: str, target: str, body: object) -> None:
    """Northbound reference 5.1, to the byte."""
    response = House().ask(method, target, body)

    assert response.body == b'{"errno":0,"error":"succ","data":{"uuid":"%s"}}' % UUID.encode()


def test_operations_are_those_of_the_instant_calls() -> None:
    """Path, mode, items and arguments."""
    house = House()
    for method, target, body in (*CALLS, ("POST", change(WRITE, "mode", "1"), BODY), ("POST", EXECUTE, {"args": "1"})):
        house.envelope(method, target, body)

    instance = ResourcePath(object_id=3311, instance_id=0)
    items = (WriteItem(5850, True),)
    resource = ResourcePath(object_id=5, instance_id=0, resource_id=26600)
    assert [request.operation for request in house.commands.submitted] == [
        Read(path=ResourcePath(object_id=3303, instance_id=0, resource_id=5700)),
        Write(path=instance, mode=WriteMode.PARTIAL, items=items),
        Execute(path=resource),
        Write(path=instance, mode=WriteMode.REPLACE, items=items),
        Execute(path=resource, arguments="1"),
    ]


@pytest.mark.parametrize(("method", "target", "body"), CALLS)
def test_what_holds_without_being_given(method: str, target: str, body: object) -> None:
    """retry 3, timeout 25 s, any uplink, from now on, the product's delivery."""
    house = House()

    house.envelope(method, target, body)

    request = house.commands.submitted[0]
    assert request.valid_from is None
    assert request.expires_at == EXPIRED_AT
    assert (request.retry, request.answer_timeout_ms, request.delivery) == (3, 25_000, None)
    assert request.triggers == Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY


@pytest.mark.parametrize(("method", "target", "body"), CALLS)
def test_what_is_given_is_handed_on(method: str, target: str, body: object) -> None:
    """Every common parameter."""
    house = House()
    given = "&valid_time=2020-12-25T00:00:00&retry=0&timeout=40&trigger_msg=5&delivery=at_most_once"

    house.envelope(method, target + given, body)

    request = house.commands.submitted[0]
    assert request.valid_from == Instant(1_608_825_600_000)
    assert (request.retry, request.answer_timeout_ms) == (0, 40_000)
    assert request.triggers == Trigger.REGISTER | Trigger.NOTIFY
    assert request.delivery is DeliveryPolicy.AT_MOST_ONCE


def test_the_alias_of_the_cached_write() -> None:
    """One original sample shows it."""
    house = House()

    answer = house.envelope("POST", WRITE.replace("/nbiot/offline", "/nbiot/write/offline"), BODY)

    assert answer["errno"] == 0
    assert isinstance(house.commands.submitted[0].operation, Write)


def test_cached_read_takes_its_parameters_from_a_json_body() -> None:
    """NB22 shows them so; the query wins where both have one."""
    house = House()
    body = {
        "imei": IMEI,
        "Obj_id": 3303,
        "obj_inst_id": 0,
        "res_id": "5700",
        "expired_time": "2021-01-02T09:02:24",
        "retry": 9,
        "bin2hex": True,
    }

    answer = house.envelope("GET", "/nbiot/offline?retry=1", body)

    assert answer["errno"] == 0
    assert house.commands.submitted[0].retry == 1
    assert arguments_of(house)["bin2hex"] is True


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b"[]"])
def test_cached_read_does_not_mind_a_body_it_cannot_use(body: bytes) -> None:
    """Clients send `{}` with everything."""
    assert House().envelope("GET", READ, body)["errno"] == 0


def test_cached_read_body_value_of_the_wrong_kind() -> None:
    """What a body says is checked as what a query says."""
    answer = House().envelope("GET", change(READ, "obj_id", None), {"obj_id": [1]})

    assert answer == {
        "errno": 5108,
        "error": "invalid parameter: obj_id is 'an array': an integer from 0 to 65535 is allowed",
    }


def test_what_is_remembered_stands_in_the_order_of_the_sample() -> None:
    """Northbound reference 5.7: `valid_time` is filled in with now."""
    house = House()

    house.envelope("POST", EXECUTE.replace("24&", "24.185&") + ".185")

    assert house.commands.submitted[0].submission.arguments == (
        '{"obj_id":5,"obj_inst_id":0,"res_id":26600,"imei":"860000000000001",'
        '"expired_time":"2021-01-02 09:02:24:185","valid_time":"2020-12-02 09:02:24:185","retry":3,"timeout":25}'
    )
    assert house.commands.submitted[0].submission.content == "{}"


def test_newer_parameters_are_remembered_where_they_were_given() -> None:
    """mode always; trigger_msg, bin2hex and delivery when given."""
    house = House()
    house.envelope("POST", WRITE + "&trigger_msg=3&delivery=at_most_once", BODY)
    written = arguments_of(house)
    house.envelope("GET", READ + "&bin2hex=false")

    assert (written["mode"], written["trigger_msg"], written["delivery"]) == (2, 3, "at_most_once")
    assert house.commands.submitted[0].submission.content == '{"data":[{"res_id":5850,"val":true}]}'
    assert arguments_of(house)["bin2hex"] is False


REQUIRED = [
    ("GET", READ, b"", ("imei", "obj_id", "expired_time")),
    ("POST", WRITE, BODY, ("imei", "obj_id", "obj_inst_id", "mode", "expired_time")),
    ("POST", EXECUTE, b"", ("imei", "obj_id", "obj_inst_id", "res_id", "expired_time")),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "name"),
    [(method, target, body, name) for method, target, body, names in REQUIRED for name in names],
)
def test_a_required_parameter_is_missing(method: str, target: str, body: object, name: str) -> None:
    """errno 3, or 7 in the observed profile."""
    absent = change(target, name, None)

    assert House().envelope(method, absent, body) == {"errno": 3, "error": f"parameter required: {name}"}
    assert observed_house().envelope(method, absent, body)["errno"] == 7


TIMES = [
    "x",
    "2021-01-02",
    "2021-13-01T00:00:00",
    "2021-02-30T00:00:00",
    "2021-01-02T24:00:00",
    "2021-1-2T9:2:24",
    "2021-01-02T09:02:24Z",
    "2021-01-02T09:02:24.",
    "20210102090224",
    "1609549344",
    "２021-01-02T09:02:24",
]
COMMON_BAD = {
    "expired_time": TIMES,
    "valid_time": TIMES,
    "retry": ["-1", "11", "x", "1.0"],
    "timeout": ["4", "41", "x"],
    "trigger_msg": ["0", "8", "-1", "x"],
    "delivery": ["exactly_once"],
}
OWN_BAD = [
    ("GET", READ, b"", {"obj_id": ["65536"], "obj_inst_id": ["x"], "res_id": ["-1"], "bin2hex": ["hex"]}),
    ("POST", WRITE, BODY, {"obj_id": ["x"], "obj_inst_id": ["65536"], "mode": ["0", "3"]}),
    ("POST", EXECUTE, b"", {"obj_id": ["-1"], "obj_inst_id": ["1.5"], "res_id": ["65536"]}),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "name", "value"),
    [
        (method, target, body, name, value)
        for method, target, body, own in OWN_BAD
        for name, values in {**own, **COMMON_BAD}.items()
        for value in values
    ],
)
def test_a_value_is_out_of_range_or_of_the_wrong_kind(
    method: str, target: str, body: object, name: str, value: str
) -> None:
    """errno 5108 (6 in the observed profile), naming the parameter; nothing is accepted."""
    house = House()

    answer = house.envelope(method, change(target, name, value), body)

    assert answer["errno"] == 5108
    assert answer["error"].startswith(f"invalid parameter: {name} is ")
    assert observed_house().envelope(method, change(target, name, value), body)["errno"] == 6
    assert house.commands.submitted == []


@pytest.mark.parametrize(
    ("valid", "expired", "errno"),
    [
        (None, "2020-12-02T09:02:24", 5108),  # now has 185 ms more
        (None, "2020-12-02T09:02:24.185", 5108),
        (None, "2020-12-02T09:02:24.186", 0),
        (None, "2020-12-02 09:02:25", 0),
        (None, "2020-12-02+09:02:25", 0),
        (None, "2020-12-02T09%3A02%3A25:000", 0),
        ("2020-12-02T09:02:24", "2020-12-02T09:02:25", 0),  # now, cut to seconds
        ("1999-01-01T00:00:00", "2020-12-02T09:02:25", 0),
        ("2020-12-03T00:00:00", "2020-12-03T00:00:00", 5108),
        ("2020-12-03T00:00:01", "2020-12-03T00:00:00", 5108),
        ("2020-12-03T00:00:00", "2020-12-03T00:00:01", 0),
        (None, "9999-12-31T23:59:59", 0),
        (None, "0001-01-01T00:00:00", 5108),
    ],
)
def test_expired_time_lies_after_now_and_valid_time(valid: str | None, expired: str, errno: int) -> None:
    """Design 10.4: a past `valid_time` counts as now."""
    target = change(change(READ, "expired_time", expired), "valid_time", valid)

    assert House().envelope("GET", target)["errno"] == errno


def test_a_past_valid_time_counts_as_now_but_is_shown_as_given() -> None:
    """The service decides what now is; the history shows the caller's parameters."""
    house = House()

    house.envelope("GET", READ + "&valid_time=2020-12-02T09:02:24")

    assert house.commands.submitted[0].valid_from is None
    assert arguments_of(house)["valid_time"] == "2020-12-02 09:02:24:000"


def test_the_eleventh_waiting_command_is_5006() -> None:
    """Observed: 13."""
    house, observed = House(), observed_house()
    house.commands.failure = observed.commands.failure = QueueFull(10)

    answer = house.envelope("GET", READ)

    assert answer["errno"] == 5006
    assert answer["error"].startswith("system limit: 10 commands are waiting")
    assert observed.envelope("GET", READ)["errno"] == 13


@pytest.mark.parametrize(
    ("failure", "errno"), [(NotFound("device", "1000001"), 1), (Invalid("expired_time", 1, "later"), 5108)]
)
def test_what_the_service_finds_out(failure: Exception, errno: int) -> None:
    """A device deleted meanwhile; a window that closed meanwhile."""
    house = House()
    house.commands.failure = failure

    assert house.envelope("GET", READ)["errno"] == errno


@pytest.mark.parametrize("body", [b"x", b"[]", {"args": []}, {"args": "x" * 2048}])
def test_bodies_are_checked_as_in_instant_calls(body: object) -> None:
    """Malformed, wrong, too large."""
    assert House().envelope("POST", EXECUTE, body)["errno"] in (3, 5108)
    assert House().envelope("POST", WRITE, body)["errno"] in (3, 5108)


# --- cancelling ------------------------------------------------------------------------------------------------------

CANCEL = with_imei(f"/nbiot/offline/cancel/{UUID}")
CANCEL_ALL = with_imei("/nbiot/offline/cancel/all")


def submitted_house() -> House:
    house = House()
    assert house.envelope("GET", READ)["errno"] == 0
    return house


def set_command(house: House, **changes: Any) -> Command:  # Any: fields by keyword
    record = house.commands.records[COMMAND_ID]
    command = replace(record.command, **changes)
    house.commands.records[COMMAND_ID] = replace(record, command=command)
    return command


def test_a_waiting_command_is_cancelled() -> None:
    """Northbound reference 5.8."""
    assert submitted_house().ask("PUT", CANCEL).body == b'{"errno":0,"error":"succ"}'


def test_a_command_that_does_not_wait_cannot_be_cancelled() -> None:
    """5106, or 16 in the observed profile."""
    house, observed = submitted_house(), observed_house()
    observed.envelope("GET", READ)
    for each in (house, observed):
        set_command(each, state=CommandState.SENT, sent_at=NOW)

    answer = house.envelope("PUT", CANCEL)

    assert answer == {"errno": 5106, "error": "unsuccess: the command is sent: only a waiting one can be cancelled"}
    assert observed.envelope("PUT", CANCEL)["errno"] == 16


@pytest.mark.parametrize("uuid", [UNKNOWN_UUID, "x", "%20", UUID + "0", UUID.replace("-", "")])
@pytest.mark.parametrize(
    ("method", "template"),
    [
        ("PUT", "/nbiot/offline/cancel/{}"),
        ("GET", "/nbiot/offline/history/{}"),
        ("GET", "/nbiot/offline/history/{}/piecewise"),
        ("GET", "/nbiot/open/online/history/{}/piecewise"),
    ],
)
def test_an_unknown_uuid_is_5108(method: str, template: str, uuid: str) -> None:
    """Whatever is wrong with it; 6 in the observed profile."""
    target = with_imei(template.format(uuid))

    assert submitted_house().envelope(method, target)["errno"] == 5108
    assert observed_house().envelope(method, target)["errno"] == 6


def test_the_uuid_of_another_device_is_5108() -> None:
    """As if it did not exist."""
    house = submitted_house()
    set_command(house, device_id=DeviceId(4))

    assert house.envelope("PUT", CANCEL)["errno"] == 5108


def test_cancel_all_gives_the_uuids() -> None:
    """Northbound reference 5.9; `all` is not taken for a uuid."""
    assert submitted_house().ask("PUT", CANCEL_ALL).body == (
        b'{"errno":0,"error":"succ","data":{"succ":["%s"],"failed":[],"total":1}}' % UUID.encode()
    )
    assert House().envelope("PUT", CANCEL_ALL)["data"] == {"succ": [], "failed": [], "total": 0}


@pytest.mark.parametrize("target", [CANCEL, CANCEL_ALL])
def test_cancelling_needs_the_imei(target: str) -> None:
    """errno 3 without, 1 for an unknown one."""
    assert submitted_house().envelope("PUT", change(target, "imei", None))["errno"] == 3
    assert submitted_house().envelope("PUT", change(target, "imei", "x"))["errno"] == 1
