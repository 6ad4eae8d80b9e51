"""What is written of connections and of `/cmds` payloads: facts like those of `domain.facts`, with the same promises.

Payloads are accepted, claimed, ended and expired by the facts all commands share; here is what only they have.
Source: design section 2 (state delivered, P4, P7, P9) and 10.2.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from commandpost.domain.command import Command
from commandpost.domain.connection import Connection
from commandpost.domain.fact import Fact, Priority, units_of_rows
from commandpost.domain.facts import LateAnswer
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, StartId
from commandpost.domain.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConnection(Fact[int | None]):
    """A login: this connection in place of whatever the device had.

    Gives the new epoch (the old one plus one); None when the device is gone. Also sets the device's activated_at if it
    is unset, and tells the outbox if the device was offline before.
    """

    connection: Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class EndConnection(Fact[bool]):
    """A connection ended: the device is offline. False when its epoch is not the current one. Tells the outbox."""

    device_id: DeviceId
    epoch: int
    at: Instant
    last_heard_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class EndStaleConnections(Fact[int]):
    """End up to `limit` connections of other runs than this one, as EndConnection would; gives how many."""

    start_id: StartId
    at: Instant
    limit: int

    @property
    def units(self) -> int:
        """A full slice's."""
        return units_of_rows(self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndFormerAttempts(Fact[int]):
    """A new connection ends every attempt of the ones before (design 10.2): up to `limit` of them; gives how many.

    For use before anything is claimed on the new connection. Each ends by silence (TIME_OUT), and what follows is
    domain.delivery.after_attempt's word: qos 1 waits again in its old place, qos 0 has failed.
    """

    device_id: DeviceId
    at: Instant
    limit: int

    @property
    def units(self) -> int:
        """A full slice's."""
        return units_of_rows(self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDelivery(Fact[Command | None]):
    """The transport confirmed an attempt: sent becomes delivered; None when the attempt is not the current one."""

    command_id: CommandId
    attempt_id: AttemptId
    at: Instant


class NotReplied(Enum):
    """Why a reply changed nothing and was not even counted."""

    UNKNOWN = "unknown"
    """No such command of this device, or it never went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyToPayload(Fact[Command | LateAnswer | NotReplied]):
    """A device's reply, matched by command and device; what it means is domain.delivery.after_reply's word.

    The command as it is then; LateAnswer.RECORDED when it was only counted on the newest attempt. A reply that comes
    late but still counts is written to that attempt in place of its end.
    """

    device_id: DeviceId
    command_id: CommandId
    payload: bytes
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteHeard(Fact[None]):
    """Write behind when a connected device was last heard; guarded by the epoch."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    epoch: int
    last_heard_at: Instant
