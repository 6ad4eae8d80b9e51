"""Duties on a clock tick: expiry, overdue attempts, ended lifetimes, retention, addresses written behind.

Each tick does a bounded slice, so that a long night is caught up with in many small bites. Here: one class per duty,
and what runs them. Design section 3 and 4.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.facts import ExpireDue, PruneCommands
from commandpost.domain.instant import DAY_MS, Instant
from commandpost.domain.ports import Clock, EventSink, StoreReader, StoreWriter
from commandpost.services.dispatcher import Dispatcher
from commandpost.services.recovery import end_by_silence
from commandpost.services.sessions import Sessions

RETENTION_DEFAULT_MS: Final = 180 * DAY_MS  # northbound reference 5.11


class Duty(Protocol):
    """Something to do again and again."""

    @property
    def interval_s(self) -> float:
        """How long to rest after a slice that found nothing more to do."""
        ...

    @property
    def slice_max(self) -> int:
        """What a full slice is: then the next follows at once."""
        ...

    async def tick(self) -> int:
        """Do one slice; gives how many."""
        ...


class Expirer:
    """Ends waiting commands whose window has closed (P2)."""

    def __init__(self, *, writer: StoreWriter, clock: Clock, slice_max: int = 200, interval_s: float = 1.0) -> None:
        self._writer = writer
        self._clock = clock
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Expire one slice."""
        fact = ExpireDue(now=self._clock.wall_ms(), limit=self.slice_max)
        return len(await self._writer.perform(fact))


class Rescuer:
    """Ends overdue attempts that no lane holds: those of a run that died, or whose end could not be written."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        dispatcher: Dispatcher,
        clock: Clock,
        slice_max: int = 200,
        interval_s: float = 1.0,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._dispatcher = dispatcher
        self._clock = clock
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """End one slice by silence."""
        now = self._clock.wall_ms()
        overdue = await self._reader.overdue_attempts(now, self.slice_max)
        orphans = [found for found in overdue if not self._dispatcher.holds(found.attempt)]
        await asyncio.gather(*(self._writer.perform(end_by_silence(found, now)) for found in orphans))
        return len(orphans)


class SessionSweeper:
    """Ends sessions whose lifetime is over (southbound reference 1.5)."""

    def __init__(self, *, sessions: Sessions, clock: Clock, slice_max: int = 200, interval_s: float = 1.0) -> None:
        self._sessions = sessions
        self._clock = clock
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Sweep one slice."""
        return await self._sessions.sweep(self._clock.wall_ms())


class AddressKeeper:
    """Writes addresses and deadlines behind, within a budget of rows per second (design 4)."""

    def __init__(self, *, sessions: Sessions, rows_max: int = 1_000, interval_s: float = 1.0) -> None:
        self._sessions = sessions
        self._rows_max = rows_max
        self.interval_s = interval_s
        self.slice_max = rows_max + 1  # a full slice rests all the same: that is the budget

    async def tick(self) -> int:
        """Write one slice."""
        return self._sessions.write_behind(self._rows_max)


class Pruner:
    """Removes commands that ended and are older than the retention."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        clock: Clock,
        retention_ms: int = RETENTION_DEFAULT_MS,
        slice_max: int = 500,
        interval_s: float = 60.0,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._retention_ms = retention_ms
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Remove one slice."""
        created_before = Instant(self._clock.wall_ms() - self._retention_ms)
        return await self._writer.perform(PruneCommands(created_before=created_before, limit=self.slice_max))


class Maintenance:
    """Runs duties, each in a task of its own, so that a slow one holds up no other."""

    def __init__(self, *, duties: Sequence[Duty], events: EventSink) -> None:
        self._duties = tuple(duties)
        self._events = events
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Begin; the first tick of each comes at once."""
        assert not self._tasks, "maintenance runs already"
        loop = asyncio.get_running_loop()
        self._tasks = tuple(
            loop.create_task(self._run(duty), name=f"duty-{type(duty).__name__}") for duty in self._duties
        )

    async def stop(self) -> None:
        """End every task; a slice that is being written is written or not, never in part."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, duty: Duty) -> None:
        while True:
            is_behind = await self._tick(duty) >= duty.slice_max
            await asyncio.sleep(0 if is_behind else duty.interval_s)

    async def _tick(self, duty: Duty) -> int:
        try:
            return await duty.tick()
        except Overloaded:
            return 0  # later, when there is less to do
        except CommandpostError as error:
            self._events.emit("duty_failed", duty=type(duty).__name__, error=error.code)
        except Exception as error:
            self._events.emit("duty_failed", duty=type(duty).__name__, error=repr(error))
        return 0
