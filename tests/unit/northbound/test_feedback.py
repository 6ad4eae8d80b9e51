"""What a command's history tells of its pushes: time, attempts, and the line of the log."""

import asyncio
from dataclasses import replace

from commandpost.domain.command import CommandState, Outcome
from commandpost.domain.instant import Instant
from commandpost.domain.push import Feedback
from tests.fakes.services import COMMAND_ID, NOW, UUID
from tests.unit.northbound.house import with_imei
from tests.unit.northbound.push_house import PushHouse


def house_with_feedback(*accepted: bool) -> PushHouse:
    """A house whose command ended, and was pushed so often, a second apart."""
    house = PushHouse()
    house.envelope("GET", with_imei("/nbiot/offline?obj_id=3&expired_time=2030-01-01T00:00:00"))
    record = house.commands.records[COMMAND_ID]
    ended = replace(
        record.command,
        state=CommandState.FAILED,
        outcome=Outcome.TIME_OUT,
        finished_at=NOW,
        attempts=1,
        sent_at=NOW,
    )
    house.commands.records[COMMAND_ID] = replace(record, command=ended)
    house.store.state.push.feedback[COMMAND_ID] = tuple(
        Feedback(at=Instant(NOW + 1_000 * (number + 1)), is_accepted=each) for number, each in enumerate(accepted)
    )
    return house


def test_the_detail_lists_every_attempt() -> None:
    """0 accepted, 1 failed (northbound reference 5.6)."""
    house = house_with_feedback(False, True)

    data = house.envelope("GET", with_imei(f"/nbiot/offline/history/{UUID}"))["data"]

    assert data["feedback_msg"] == [
        {"feedback_time": "2020-12-02 09:02:25", "feedback_status": 1},
        {"feedback_time": "2020-12-02 09:02:26", "feedback_status": 0},
    ]


def test_the_list_has_the_time_of_the_first_acceptance() -> None:
    """Design 10.9; absent until there is one."""
    target = with_imei("/nbiot/offline/history?start=2020-01-01T00:00:00")

    (accepted,) = house_with_feedback(False, True, True).envelope("GET", target)["data"]["items"]
    (failed,) = house_with_feedback(False).envelope("GET", target)["data"]["items"]

    assert accepted["feedback_time"] == "2020-12-02 09:02:26"
    assert "feedback_time" not in failed


def test_the_log_ends_with_a_line_for_each_acceptance() -> None:
    """In the words of the reference's sample (4.7)."""
    house = house_with_feedback(False, True)

    log = house.envelope("GET", with_imei(f"/nbiot/offline/history/{UUID}/piecewise"))["data"]

    assert log[-1] == {
        "log": "feedback message, type: [0], confirm status: [5], result: []",
        "time": "Wed Dec 02 09:02:26 CST 2020",
    }
    assert sum("feedback" in line["log"] for line in log) == 1


def test_without_pushes_nothing_is_told() -> None:
    """The list of attempts is empty, not absent."""
    house = house_with_feedback()

    assert house.envelope("GET", with_imei(f"/nbiot/offline/history/{UUID}"))["data"]["feedback_msg"] == []
    assert asyncio.run(house.subscriptions.feedback([])) == {}
