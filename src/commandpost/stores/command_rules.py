"""Rules about commands that every store applies: when one waits, whose end is told, what carries a payload."""

from typing import Final

from commandpost.domain.command import Command, CommandMode, CommandState, Transport
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.instant import Instant

TOLD_STATES: Final = (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.EXPIRED)


def waits_at(command: Command, at: Instant) -> bool:
    """Tell whether a command waits as a reader sees it: past its window it is expired, swept or not (P6)."""
    return command.state is CommandState.WAITING and at < command.expires_at


def is_told(command: Command) -> bool:
    """Tell whether the outbox hears of it: a cached LwM2M command that ended. Who cancelled one knows it already.

    The push of this kind is for NB-IoT devices; what became of a payload of `/cmds` is asked for.
    """
    is_cached = command.mode is CommandMode.CACHED and command.transport is Transport.LWM2M
    return is_cached and command.state in TOLD_STATES


def check_payload_transport(transport: Transport) -> None:
    """Refuse LwM2M where a connection is meant.

    Raises:
        StoreUnavailable: an LwM2M device has sessions, not connections.
    """
    if transport is Transport.LWM2M:
        raise StoreUnavailable("a connection is not over lwm2m")
