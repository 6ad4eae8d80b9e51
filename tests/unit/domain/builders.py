"""Commands for tests, with everything defaulted."""

from typing import Final

from commandpost.domain.command import (
    AttemptEnd,
    Command,
    CommandMode,
    CommandState,
    DeliveryPolicy,
    Outcome,
    Trigger,
)
from commandpost.domain.command_state import (
    Cancelled,
    Claimed,
    Confirmed,
    FailedForGood,
    Succeeded,
    WindowClosed,
    advance,
)
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Execute
from commandpost.domain.resource import ResourcePath

NOW: Final = Instant(1_700_000_000_000)
LATER: Final = Instant(NOW + 60_000)
ATTEMPT: Final = AttemptId(9)


def a_command(
    *,
    retry: int | None = 3,
    valid_from: Instant = NOW,
    expires_at: Instant = LATER,
    triggers: Trigger = Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY,
    delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE,
    answer_timeout_ms: int = 25_000,
) -> Command:
    """Give a waiting command."""
    return Command(
        seq=1,
        id=CommandId(bytes(16)),
        product_id=ProductId(1),
        device_id=DeviceId(1),
        imei="860000000000001",
        operation=Execute(path=ResourcePath(object_id=3306, instance_id=0, resource_id=5850)),
        mode=CommandMode.CACHED,
        created_at=NOW,
        valid_from=valid_from,
        expires_at=expires_at,
        retry=retry,
        remaining=retry,
        answer_timeout_ms=answer_timeout_ms,
        triggers=triggers,
        delivery=delivery,
    )


def in_state(state: CommandState) -> Command:
    """Give a command that came into a state the legal way."""
    waiting = a_command()
    sent = advance(waiting, Claimed(at=NOW, attempt_id=ATTEMPT))
    match state:
        case CommandState.WAITING:
            return waiting
        case CommandState.SENT:
            return sent
        case CommandState.DELIVERED:
            return advance(sent, Confirmed(at=NOW))
        case CommandState.SUCCEEDED:
            return advance(sent, Succeeded(at=NOW, end=_end(Outcome.SUCCESS)))
        case CommandState.FAILED:
            return advance(sent, FailedForGood(at=NOW, end=_end(Outcome.TIME_OUT)))
        case CommandState.EXPIRED:
            return advance(waiting, WindowClosed(at=waiting.expires_at))
        case CommandState.CANCELLED:
            return advance(waiting, Cancelled(at=NOW))


def _end(outcome: Outcome) -> AttemptEnd:
    return AttemptEnd(attempt_id=ATTEMPT, outcome=outcome, at=NOW)
