"""The history: list, detail, logs."""

from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.command import (
    Answer,
    Attempt,
    AttemptEnd,
    Command,
    CommandMode,
    CommandState,
    Outcome,
    Submission,
    Trigger,
)
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Execute, Operation, Read
from commandpost.domain.ports import CommandRecord, Page
from commandpost.domain.resource import (
    ObjectInstance,
    ObjectValues,
    Resource,
    ResourcePath,
    ResourceValue,
    ValueType,
)
from tests.fakes.services import COMMAND_ID, IMEI, UUID
from tests.unit.northbound.house import House, observed_house, with_imei

CREATED = Instant(1_606_870_944_185)  # 2020-12-02 09:02:24.185
SENT = Instant(CREATED + 9_000)
ANSWERED = Instant(SENT + 2_000)
EXPIRES = Instant(1_609_549_344_185)  # 2021-01-02 09:02:24.185
ARGUMENTS = (
    '{"obj_id":5,"obj_inst_id":0,"res_id":26600,"imei":"860000000000001","expired_time":"2021-01-02 09:02:24:185",'
    '"valid_time":"2020-12-02 09:02:24:185","retry":3,"timeout":25}'
)
EXECUTE = Execute(path=ResourcePath(object_id=5, instance_id=0, resource_id=26600))
READ = Read(path=ResourcePath(object_id=3303))
VALUES = ObjectValues(
    3303,
    (
        ObjectInstance(
            0,
            (
                Resource(5700, ResourceValue(ValueType.FLOAT, 21.5)),
                Resource(5750, ResourceValue(ValueType.OPAQUE, b"\x0a\x64")),
            ),
        ),
    ),
)
LIST = with_imei("/nbiot/offline/history?start=2020-12-01T00:00:00")
DETAIL = with_imei(f"/nbiot/offline/history/{UUID}")
LOG = with_imei(f"/nbiot/offline/history/{UUID}/piecewise")
INSTANT_LOG = with_imei(f"/nbiot/open/online/history/{UUID}/piecewise")


def build_command(operation: Operation = EXECUTE, **changes: Any) -> Command:  # Any: fields by keyword
    command = Command(
        id=COMMAND_ID,
        product_id=ProductId(1),
        device_id=DeviceId(1_000_001),
        imei=IMEI,
        operation=operation,
        mode=CommandMode.CACHED,
        created_at=CREATED,
        valid_from=CREATED,
        expires_at=EXPIRES,
        retry=3,
        remaining=3,
        answer_timeout_ms=25_000,
        triggers=Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY,
        submission=Submission(arguments=ARGUMENTS),
    )
    return replace(command, **changes)


def build_attempt(
    number: int = 1, outcome: Outcome | None = Outcome.SUCCESS, *, values: ObjectValues | None = None, shift: int = 0
) -> Attempt:
    attempt_id = AttemptId(number)
    end = None
    if outcome is not None:
        answer = None if outcome is Outcome.TIME_OUT else Answer(code=0x45, result=values)
        end = AttemptEnd(attempt_id=attempt_id, outcome=outcome, at=Instant(ANSWERED + shift), answer=answer)
    return Attempt(
        id=attempt_id,
        command_id=COMMAND_ID,
        device_id=DeviceId(1_000_001),
        number=number,
        coap_token=b"12345678",
        start_id=StartId(1),
        sent_at=Instant(SENT + shift),
        deadline=Instant(SENT + shift + 25_000),
        end=end,
    )


def succeeded(operation: Operation = EXECUTE, **changes: Any) -> Command:  # Any: fields by keyword
    return build_command(
        operation,
        state=CommandState.SUCCEEDED,
        attempts=1,
        sent_at=SENT,
        answered_at=ANSWERED,
        finished_at=ANSWERED,
        outcome=Outcome.SUCCESS,
        **changes,
    )


def house_with(command: Command, *attempts: Attempt) -> House:
    house = House()
    house.commands.records[command.id] = CommandRecord(command=command, attempts=attempts)
    return house


def logs(answer: dict[str, Any]) -> list[str]:
    return [entry["log"] for entry in answer["data"]]


# --- list ------------------------------------------------------------------------------------------------------------


def test_a_waiting_command_shows_what_is_known_of_it_and_no_more() -> None:
    """send_time, confirm_time, confirm_status and feedback_time are absent."""
    answer = house_with(build_command(READ)).ask("GET", LIST)

    assert answer.body.decode() == (
        '{"errno":0,"error":"succ","data":{"total_count":1,"items":[{'
        f'"cmd_uuid":"{UUID}","type":"READ","create_time":"2020-12-02 09:02:24","valid_time":"2020-12-02 09:02:24",'
        '"expired_time":"2021-01-02 09:02:24","trigger_msg":7,"send_status":1,"imei":"860000000000001","remain":3}]}}'
    )


def test_a_succeeded_command_shows_everything() -> None:
    """Northbound reference 5.5; remain is an int, confirm_status a name."""
    item = house_with(succeeded(READ)).envelope("GET", LIST)["data"]["items"][0]

    assert item == {
        "cmd_uuid": UUID,
        "type": "READ",
        "create_time": "2020-12-02 09:02:24",
        "valid_time": "2020-12-02 09:02:24",
        "expired_time": "2021-01-02 09:02:24",
        "send_time": "2020-12-02 09:02:33",
        "trigger_msg": 7,
        "send_status": 5,
        "confirm_time": "2020-12-02 09:02:35",
        "confirm_status": "SUCCESS",
        "imei": IMEI,
        "remain": 3,
    }


def test_a_command_that_waits_again_keeps_its_last_result() -> None:
    """After silence there is a status but no confirm_time."""
    command = build_command(outcome=Outcome.TIME_OUT, sent_at=SENT, attempts=1, remaining=2)

    item = house_with(command).envelope("GET", LIST)["data"]["items"][0]

    assert (item["send_status"], item["confirm_status"], item["remain"]) == (1, "TIME_OUT", 2)
    assert "confirm_time" not in item


@pytest.mark.parametrize(
    ("state", "send_status"),
    [
        (CommandState.WAITING, 1),
        (CommandState.CANCELLED, 2),
        (CommandState.SENT, 3),
        (CommandState.DELIVERED, 3),
        (CommandState.EXPIRED, 4),
        (CommandState.SUCCEEDED, 5),
        (CommandState.FAILED, 6),
    ],
)
def test_send_status_is_a_projection_of_the_state(state: CommandState, send_status: int) -> None:
    """Northbound reference 5.10; 7 is never used."""
    command = build_command(state=state, finished_at=ANSWERED if state.is_final else None)

    assert house_with(command).envelope("GET", DETAIL)["data"]["send_status"] == send_status


def test_what_a_list_asks_for() -> None:
    """Defaults, and every parameter; both ends at the precision the caller wrote."""
    house = House()
    house.envelope("GET", LIST)
    given = f"&end=2020-12-02T09:02:24&page=2&per_page=100&sort=asc&uuid={UUID}"
    house.envelope("GET", LIST + given)

    start = Instant(1_606_752_000_000)
    assert house.commands.asked == [
        {"start": start, "end": None, "page": Page(number=1, size=30), "command_id": None, "is_ascending": False},
        {
            "start": start,
            "end": Instant(1_606_870_944_999),
            "page": Page(number=2, size=100),
            "command_id": COMMAND_ID,
            "is_ascending": True,
        },
    ]


def test_any_page_is_allowed() -> None:
    """One that is past the end is empty, however far."""
    house = House()

    assert house.envelope("GET", f"{LIST}&page={10**18}")["errno"] == 0
    page = house.commands.asked[0]["page"]
    assert isinstance(page, Page)
    assert page.number * page.size < 2**63


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", "yesterday"),
        ("end", "2020-12-02"),
        ("page", "0"),
        ("page", "x"),
        ("per_page", "0"),
        ("per_page", "101"),
        ("sort", "UP"),
        ("uuid", "x"),
    ],
)
def test_a_list_parameter_is_wrong(name: str, value: str) -> None:
    """5108, naming it."""
    target = with_imei("/nbiot/offline/history") if name == "start" else LIST

    answer = House().envelope("GET", f"{target}&{name}={value}")

    assert answer["errno"] == 5108
    assert answer["error"].startswith(f"invalid parameter: {name} is ")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (with_imei("/nbiot/offline/history"), "start"),
        ("/nbiot/offline/history?start=2020-12-01T00:00:00", "imei"),
        (f"/nbiot/offline/history/{UUID}", "imei"),
        (f"/nbiot/offline/history/{UUID}/piecewise", "imei"),
        (f"/nbiot/open/online/history/{UUID}/piecewise", "imei"),
    ],
)
def test_a_required_parameter_of_the_history_is_missing(target: str, name: str) -> None:
    """errno 3."""
    assert House().envelope("GET", target) == {"errno": 3, "error": f"parameter required: {name}"}


# --- detail ----------------------------------------------------------------------------------------------------------


def test_the_detail_of_a_read_that_succeeded() -> None:
    """Northbound reference 5.6: args and content as submitted, the result as the instant call would give it."""
    response = house_with(succeeded(READ), build_attempt(values=VALUES)).ask("GET", DETAIL)

    assert response.body.decode() == (
        '{"errno":0,"error":"succ","data":{'
        f'"cmd_uuid":"{UUID}","type":"READ","args":{ARGUMENTS},"content":{{}},'
        '"create_time":"2020-12-02 09:02:24","valid_time":"2020-12-02 09:02:24","expired_time":"2021-01-02 09:02:24",'
        '"send_time":"2020-12-02 09:02:33","trigger_msg":7,"send_status":5,"confirm_time":"2020-12-02 09:02:35",'
        '"confirm_status":"SUCCESS","cmd_result":{"errno":0,"error":"succ","data":['
        '{"obj_inst_id":0,"res":[{"res_id":5700,"val":21.5},{"res_id":5750,"val":[10,100]}]}]},'
        '"feedback_msg":[],"imei":"860000000000001","remain":3}}'
    )


def test_bin2hex_of_the_submission_holds_for_its_result() -> None:
    """It is remembered with the other parameters."""
    command = succeeded(READ, submission=Submission(arguments='{"bin2hex":true}'))

    detail = house_with(command, build_attempt(values=VALUES)).envelope("GET", DETAIL)["data"]

    assert detail["cmd_result"]["data"][0]["res"][1] == {"res_id": 5750, "val": "0a64"}


def test_the_result_of_an_execute_has_no_data() -> None:
    """What the instant call would have returned."""
    detail = house_with(succeeded(), build_attempt()).envelope("GET", DETAIL)["data"]

    assert detail["cmd_result"] == {"errno": 0, "error": "succ"}


@pytest.mark.parametrize(
    "command",
    [
        build_command(),
        build_command(state=CommandState.FAILED, finished_at=ANSWERED, outcome=Outcome.NOT_FOUND, answered_at=ANSWERED),
        build_command(state=CommandState.EXPIRED, finished_at=EXPIRES),
    ],
)
def test_there_is_no_result_without_success(command: Command) -> None:
    """`cmd_result` is absent, not null."""
    assert "cmd_result" not in house_with(command).envelope("GET", DETAIL)["data"]


# --- logs ------------------------------------------------------------------------------------------------------------


def test_the_full_chain_log_is_that_of_the_sample() -> None:
    """Northbound reference 5.7, texts to the byte."""
    answer = house_with(succeeded(), build_attempt()).envelope("GET", LOG)

    assert answer["data"] == [
        {
            "log": f"received command type: [2], args: [{ARGUMENTS}], content: []",
            "time": "Wed Dec 02 09:02:24 CST 2020",
        },
        {"log": f"send command type: [2], args: [{ARGUMENTS}], content: []", "time": "Wed Dec 02 09:02:33 CST 2020"},
        {
            "log": "received confirm message, type: [2], command send status: [5], confirm status: [0], "
            'result: [{"errno":0,"error":"success"}]',
            "time": "Wed Dec 02 09:02:35 CST 2020",
        },
    ]


def test_with_a_retry_the_pair_repeats() -> None:
    """Failures show what became of the command: back to waiting, and in the end failed."""
    command = build_command(
        state=CommandState.FAILED,
        outcome=Outcome.TIME_OUT,
        remaining=0,
        sent_at=Instant(SENT + 60_000),
        finished_at=Instant(ANSWERED + 60_000),
        submission=Submission(arguments="{}", content='{"args":"1"}'),
    )
    attempts = (build_attempt(1, Outcome.METHOD_NOT_ALLOWED), build_attempt(2, Outcome.TIME_OUT, shift=60_000))

    lines = logs(house_with(command, *attempts).envelope("GET", LOG))

    confirm = "received confirm message, type: [2], command send status: [{}], confirm status: [{}], result: [{}]"
    assert lines == [
        'received command type: [2], args: [], content: [{"args":"1"}]',
        'send command type: [2], args: [], content: [{"args":"1"}]',
        confirm.format(1, 1, '{"errno":5106,"error":"unsuccess: METHOD_NOT_ALLOWED"}'),
        'send command type: [2], args: [], content: [{"args":"1"}]',
        confirm.format(6, 5, '{"errno":5106,"error":"unsuccess: TIME_OUT"}'),
    ]


def test_an_attempt_in_flight_has_no_end() -> None:
    """Received and sent."""
    command = build_command(state=CommandState.SENT, sent_at=SENT)

    assert len(logs(house_with(command, build_attempt(outcome=None)).envelope("GET", LOG))) == 2


def test_a_command_that_could_not_be_written_says_so() -> None:
    """Nothing was sent; the reason is in the log."""
    command = build_command(state=CommandState.FAILED, finished_at=SENT, outcome=Outcome.REQ_PARAM_ERROR)

    lines = logs(house_with(command).envelope("GET", LOG))

    assert len(lines) == 2
    assert "command send status: [6], confirm status: [6]" in lines[1]


def test_the_log_of_a_read_carries_its_values() -> None:
    """The result the instant call would have returned, with the log's own word for success."""
    lines = logs(house_with(succeeded(READ), build_attempt(values=VALUES)).envelope("GET", LOG))

    assert lines[-1].endswith(
        'result: [{"errno":0,"error":"success","data":[{"obj_inst_id":0,"res":'
        '[{"res_id":5700,"val":21.5},{"res_id":5750,"val":[10,100]}]}]}]'
    )


def test_the_log_of_an_instant_command_is_that_of_the_reference() -> None:
    """Northbound reference 4.7, the four lines to the byte."""
    command = succeeded(READ, mode=CommandMode.INSTANT)

    answer = house_with(command, build_attempt(values=VALUES)).envelope("GET", INSTANT_LOG)

    assert logs(answer) == [
        "received command type: [0], args: [], content: []",
        "send command type: [0], args: [], content: []",
        "received confirm message, type: [0], command send status: [1], confirm status: [0]",
        "feedback message, type: [0], confirm status: [0], result: []",
    ]
    assert all(set(entry) == {"log", "time"} for entry in answer["data"])


@pytest.mark.parametrize(
    ("mode", "target"), [(CommandMode.INSTANT, DETAIL), (CommandMode.INSTANT, LOG), (CommandMode.CACHED, INSTANT_LOG)]
)
def test_instant_and_cached_commands_have_histories_of_their_own(mode: CommandMode, target: str) -> None:
    """A uuid of the other kind is unknown."""
    assert house_with(build_command(mode=mode)).envelope("GET", target)["errno"] == 5108


def test_the_observed_profile_shows_in_the_results_of_a_log() -> None:
    """The same numbers as the calls have."""
    command = build_command(outcome=Outcome.NOT_FOUND, attempts=1, sent_at=SENT, answered_at=ANSWERED)
    house = observed_house()
    house.commands.records[command.id] = CommandRecord(
        command=command, attempts=(build_attempt(outcome=Outcome.NOT_FOUND),)
    )

    assert logs(house.envelope("GET", LOG))[-1].endswith('result: [{"errno":16,"error":"unsuccess: NOT_FOUND null"}]')


def test_another_devices_command_is_not_shown() -> None:
    """5108, as an unknown one."""
    command = build_command(device_id=DeviceId(77), id=CommandId(COMMAND_ID))

    assert house_with(command).envelope("GET", DETAIL)["errno"] == 5108
