"""What a start finds on disk, and what a crash left open.

Here: the attempts to adopt, those that are overdue, and the devices for which something waits. Not here: waiting for an
adopted attempt (lane).
Design section 2, P2 and P9.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from commandpost.domain.command import Attempt, AttemptEnd, Command, Outcome, Transport
from commandpost.domain.delivery import after_attempt
from commandpost.domain.facts import FinishAndClaim
from commandpost.domain.ids import AttemptId, DeviceId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock, EventSink, OverdueAttempt, StoreReader, StoreWriter
from commandpost.domain.session import Session
from commandpost.services.sessions import Sessions

PAGE_SIZE: Final = 500
UNTIL_UNKNOWN: Final = Instant(2**63 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAttempt:
    """An attempt of the run before that is still open; `deadline` is monotonic."""

    command: Command
    attempt: Attempt
    session: Session | None
    deadline: float


def end_by_silence(overdue: OverdueAttempt, now: Instant) -> FinishAndClaim:
    """Give the fact that ends an attempt nobody ended."""
    end = AttemptEnd(attempt_id=overdue.attempt.id, outcome=Outcome.TIME_OUT, at=now)
    return FinishAndClaim(command_id=overdue.command.id, event=after_attempt(overdue.command, end))


class Recovery:
    """Reads page by page, so that a start after a long night stays bounded in memory but for what it has to adopt."""

    def __init__(
        self, *, writer: StoreWriter, reader: StoreReader, sessions: Sessions, clock: Clock, events: EventSink
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._sessions = sessions
        self._clock = clock
        self._events = events

    async def open_attempts(self) -> tuple[FoundAttempt, ...]:
        """End every overdue attempt by silence, and give the others."""
        found: list[FoundAttempt] = []
        overdue_count = 0
        last = AttemptId(0)
        while page := await self._reader.open_attempts(last, PAGE_SIZE):
            last = page[-1].attempt.id
            now = self._clock.wall_ms()
            overdue = [item for item in page if item.attempt.deadline <= now]
            overdue_count += len(overdue)
            await asyncio.gather(*(self._writer.perform(end_by_silence(item, now)) for item in overdue))
            # A payload of `/cmds` needs no lane to be answered: the reply finds its command by its id.
            open_still = [item for item in page if item.attempt.deadline > now]
            lwm2m = [item for item in open_still if item.command.transport is Transport.LWM2M]
            found += [await self._adopt(item, now) for item in lwm2m]
        self._events.emit("recovered", adopted=len(found), overdue=overdue_count)
        return tuple(found)

    async def _adopt(self, item: OverdueAttempt, now: Instant) -> FoundAttempt:
        # A wall clock that was set back must not make a command wait longer than its caller allowed.
        left_ms = min(item.attempt.deadline - now, item.command.answer_timeout_ms)
        return FoundAttempt(
            command=item.command,
            attempt=item.attempt,
            session=await self._sessions.load(item.command.device_id),
            deadline=self._clock.monotonic() + left_ms / SECOND_MS,
        )

    async def waiting_devices(self) -> tuple[tuple[DeviceId, Instant], ...]:
        """Give the devices for which commands wait; until when is not known."""
        found: list[tuple[DeviceId, Instant]] = []
        last = DeviceId(0)
        while page := await self._reader.waiting_devices(last, PAGE_SIZE):
            last = page[-1]
            found += [(device_id, UNTIL_UNKNOWN) for device_id in page]
        return tuple(found)
