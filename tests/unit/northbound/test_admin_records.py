"""Records as the operator's door shows them."""

import json

import pytest

from commandpost.domain.command import Answer, Attempt, AttemptEnd, Command, CommandMode, Outcome, Trigger
from commandpost.domain.command_state import Claimed, FailedForNow, advance
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Deliver, Execute, Operation, Read, Write, WriteItem, WriteMode
from commandpost.domain.ports import CommandRecord
from commandpost.domain.resource import ResourcePath
from commandpost.northbound.admin_records import describe_operation, format_instant, record_to_json

AT = Instant(1_700_000_000_250)
ATTEMPT = AttemptId(7)
INSTANCE = ResourcePath(object_id=3306, instance_id=0)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (AT, "2023-11-14T22:13:20.250Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (2**62, str(2**62)),
    ],
)
def test_every_instant_the_store_can_hold_can_be_written(instant: int | None, text: str | None) -> None:
    assert format_instant(None if instant is None else Instant(instant)) == text


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (Read(path=INSTANCE), "read /3306/0"),
        (Execute(path=INSTANCE, arguments="secret"), "execute /3306/0"),
        (
            Write(path=INSTANCE, mode=WriteMode.PARTIAL, items=(WriteItem(5850, True), WriteItem(5851, 9))),
            "write /3306/0 5850 5851",
        ),
        (Deliver(payload=b"secret", qos=0, kind=0), "deliver 6 bytes"),
    ],
)
def test_an_operation_is_named_without_its_values(operation: Operation, text: str) -> None:
    assert describe_operation(operation) == text


def test_a_record_shows_every_sending() -> None:
    end = AttemptEnd(
        attempt_id=ATTEMPT, outcome=Outcome.METHOD_NOT_ALLOWED, at=Instant(AT + 1_000), answer=Answer(code=0x85)
    )
    waiting = Command(
        seq=2**60,
        id=CommandId(bytes(16)),
        product_id=ProductId(1),
        device_id=DeviceId(2),
        imei="1234",
        operation=Read(path=INSTANCE),
        mode=CommandMode.CACHED,
        created_at=AT,
        valid_from=AT,
        expires_at=Instant(AT + 60_000),
        retry=1,
        remaining=1,
        answer_timeout_ms=25_000,
        triggers=Trigger.REGISTER | Trigger.NOTIFY,
    )
    command = advance(advance(waiting, Claimed(at=AT, attempt_id=ATTEMPT)), FailedForNow(at=end.at, end=end))
    attempt = Attempt(
        id=ATTEMPT,
        command_id=command.id,
        device_id=command.device_id,
        number=1,
        coap_token=b"12345678",
        start_id=StartId(1),
        sent_at=AT,
        deadline=Instant(AT + 25_000),
        end=end,
    )

    shown = record_to_json(CommandRecord(command=command, attempts=(attempt,)))

    assert json.loads(json.dumps(shown)) == shown
    assert shown["seq"] == str(2**60)
    assert shown["state"] == "waiting"
    assert shown["outcome"] == "METHOD_NOT_ALLOWED"
    assert shown["remaining"] == 0
    assert shown["triggers"] == ["REGISTER", "NOTIFY"]
    assert shown["sendings"] == [
        {
            "number": 1,
            "sent_at": "2023-11-14T22:13:20.250Z",
            "deadline": "2023-11-14T22:13:45.250Z",
            "ended_at": "2023-11-14T22:13:21.250Z",
            "outcome": "METHOD_NOT_ALLOWED",
            "answer_code": "4.05",
            "late_answers": 0,
        }
    ]
