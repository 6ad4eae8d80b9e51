"""A command's record, projected onto the numbers and names of the dialect.

Source: northbound reference 4.7, 5.6, 5.10; design 2 (projections are northbound's alone).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

from commandpost.domain.command import Attempt, Command, CommandState, Outcome
from commandpost.domain.operation import CancelObserve, Deliver, Discover, Execute, Observe, Operation, Read, Write
from commandpost.domain.ports import CommandRecord
from commandpost.domain.resource import OperationResult
from commandpost.northbound.onenet.call import Platform
from commandpost.northbound.onenet.envelope import SUCCESS_TEXT
from commandpost.northbound.onenet.values import Json, result_data

_STATUS: Final[Mapping[CommandState, int]] = {
    CommandState.WAITING: 1,
    CommandState.CANCELLED: 2,
    CommandState.SENT: 3,
    CommandState.DELIVERED: 3,
    CommandState.EXPIRED: 4,
    CommandState.SUCCEEDED: 5,
    CommandState.FAILED: 6,
}


class CommandType(IntEnum):
    """The kinds of commands. 0 to 3 are the documents'; they name none for a discover or a payload."""

    READ = 0
    WRITE = 1
    EXECUTE = 2
    OBSERVE = 3
    DISCOVER = 4
    DELIVER = 5


_TYPES: Final[Mapping[type[Operation], CommandType]] = {
    Read: CommandType.READ,
    Write: CommandType.WRITE,
    Execute: CommandType.EXECUTE,
    Observe: CommandType.OBSERVE,
    CancelObserve: CommandType.OBSERVE,
    Discover: CommandType.DISCOVER,
    Deliver: CommandType.DELIVER,
}


def command_type(command: Command) -> CommandType:
    """Give the kind of a command."""
    return _TYPES[type(command.operation)]


def send_status(command: Command) -> int:
    """Give `send_status`, 1 to 6; 7 is never used."""
    return _STATUS[command.state]


def attempt_status(record: CommandRecord, attempt: Attempt) -> int:
    """Give what `send_status` became when this attempt ended: back to waiting unless it was the end of it all."""
    if attempt.end is not None and attempt.end.outcome is Outcome.SUCCESS:
        return _STATUS[CommandState.SUCCEEDED]
    command = record.command
    is_last = attempt is record.attempts[-1]
    if is_last and command.state.is_final and attempt.end is not None and command.finished_at == attempt.end.at:
        return _STATUS[command.state]
    return _STATUS[CommandState.WAITING]


def command_result(platform: Platform, record: CommandRecord, *, text: str = SUCCESS_TEXT) -> Json | None:
    """Give what the instant call of that kind would have returned; None unless the command succeeded."""
    command = record.command
    if command.state is not CommandState.SUCCEEDED:
        return None
    shown: Json = {"errno": 0, "error": text}
    if isinstance(command.operation, Read):
        style = platform.value_style(opaque_as_hex=wants_hex(command))
        shown["data"] = result_data(answered_result(record), style)
    return shown


def answered_result(record: CommandRecord) -> OperationResult | None:
    """Give what the device's good answer brought."""
    for attempt in reversed(record.attempts):
        end = attempt.end
        if end is not None and end.outcome is Outcome.SUCCESS and end.answer is not None:
            return end.answer.result
    return None


def wants_hex(command: Command) -> bool:
    """Tell whether the caller of a read asked for hex text; remembered with its other parameters."""
    arguments = msgspec.json.decode(command.submission.arguments)
    return isinstance(arguments, dict) and arguments.get("bin2hex") is True
