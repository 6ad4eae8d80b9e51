"""Two rules about commands that every store applies: when one waits, and whose end is told."""

from typing import Final

from commandpost.domain.command import Command, CommandMode, CommandState
from commandpost.domain.instant import Instant

TOLD_STATES: Final = (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.EXPIRED)


def waits_at(command: Command, at: Instant) -> bool:
    """Tell whether a command waits as a reader sees it: past its window it is expired, swept or not (P6)."""
    return command.state is CommandState.WAITING and at < command.expires_at


def is_told(command: Command) -> bool:
    """Tell whether the outbox hears of it: a cached command that ended. Who cancelled one knows it already."""
    return command.mode is CommandMode.CACHED and command.state in TOLD_STATES
