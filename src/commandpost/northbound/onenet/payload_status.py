"""A payload's record, projected onto the status numbers of `/cmds`: the only such table.

Source: northbound reference 6.2; design 2 (projections are northbound's alone).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from commandpost.domain.command import Command, CommandState, Outcome

Stand = tuple[CommandState, Outcome | None]


class PayloadStatus(IntEnum):
    """`status`. 0, device not online, is never anybody's: such a payload is refused and gets no uuid."""

    CREATED = 1
    SENT = 2
    FAILED = 3
    ANSWERED = 4
    TIMED_OUT = 5
    TOO_LARGE = 6


_TEXTS: Final[Mapping[PayloadStatus, str]] = {
    PayloadStatus.CREATED: "Command Created",
    PayloadStatus.SENT: "Command Sent",
    PayloadStatus.FAILED: "Send Command Failed",
    PayloadStatus.ANSWERED: "Command Response Received",
    PayloadStatus.TIMED_OUT: "Command Response Timeout",
    PayloadStatus.TOO_LARGE: "Command Response Too Large",
}


def payload_status(command: Command) -> PayloadStatus:
    """Give the status of a payload."""
    return _status(command.state, command.outcome)


def status_text(status: PayloadStatus) -> str:
    """Give `desc`."""
    return _TEXTS[status]


def _status(state: CommandState, outcome: Outcome | None) -> PayloadStatus:
    match state:
        case CommandState.WAITING | CommandState.SENT:
            # On its way to the socket is not sent yet: status 2 is the transport's word (P8).
            return PayloadStatus.CREATED
        case CommandState.DELIVERED:
            return PayloadStatus.SENT
        case CommandState.SUCCEEDED:
            return PayloadStatus.ANSWERED
        case CommandState.FAILED | CommandState.EXPIRED if outcome is Outcome.TIME_OUT:
            return PayloadStatus.TIMED_OUT
        case CommandState.FAILED if outcome is Outcome.RESP_ERROR:
            return PayloadStatus.TOO_LARGE
        case CommandState.FAILED | CommandState.EXPIRED | CommandState.CANCELLED:
            return PayloadStatus.FAILED


_STANDS: Final[Mapping[int, tuple[Stand, ...]]] = {
    status: tuple(
        (state, outcome) for state in CommandState for outcome in (None, *Outcome) if _status(state, outcome) is status
    )
    for status in PayloadStatus
}


def stands_of(status: int) -> tuple[Stand, ...]:
    """Give every state and outcome that is shown as a status; none for a number that nothing is shown as."""
    return _STANDS.get(status, ())
