"""Duties on a clock tick: expiry, overdue attempts, ended lifetimes, addresses written behind, and sweeps of the store.

Each tick does a bounded slice, so that a long night is caught up with in many small bites. Here: one class per duty,
and what runs them. Not here: what is pruned when (retention). Design section 3 and 4.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.fact import Sweep
from commandpost.domain.facts import ExpireDue
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, StoreReader, StoreWriter
from commandpost.services.dispatcher import Dispatcher
from commandpost.services.recovery import end_by_silence
from commandpost.services.sessions import Sessions

SLICE_DEFAULT: Final = 200  # rows of what others wait for: within a batch's 5 ms (design 4)

SliceAt = Callable[[Instant], Sweep]
"""Gives the fact that does a slice now."""


class Duty(Protocol):
    """Something to do again and again."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def interval_s(self) -> float:
        """How long to rest after a slice that found nothing more to do."""
        ...

    async def tick(self) -> bool:
        """Do one slice; gives whether there is more to do: then the next follows at once."""
        ...


class Sweeper:
    """Performs a sweep of the store, slice by slice."""

    def __init__(
        self, name: str, slice_at: SliceAt, *, writer: StoreWriter, clock: Clock, interval_s: float = 1.0
    ) -> None:
        self._slice_at = slice_at
        self._writer = writer
        self._clock = clock
        self.name = name
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Perform one slice."""
        swept = await self._writer.perform(self._slice_at(self._clock.wall_ms()))
        return swept.has_more


class Expirer:
    """Ends waiting commands whose window has closed (P2)."""

    name = "expirer"

    def __init__(
        self, *, writer: StoreWriter, clock: Clock, slice_max: int = SLICE_DEFAULT, interval_s: float = 1.0
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Expire one slice."""
        fact = ExpireDue(now=self._clock.wall_ms(), limit=self._slice_max)
        return len(await self._writer.perform(fact)) >= self._slice_max


class Rescuer:
    """Ends overdue attempts that no lane holds: those of a run that died, or whose end could not be written."""

    name = "rescuer"

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        dispatcher: Dispatcher,
        clock: Clock,
        slice_max: int = SLICE_DEFAULT,
        interval_s: float = 1.0,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._dispatcher = dispatcher
        self._clock = clock
        self._slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """End one slice by silence."""
        now = self._clock.wall_ms()
        overdue = await self._reader.overdue_attempts(now, self._slice_max)
        orphans = [found for found in overdue if not self._dispatcher.holds(found.attempt)]
        await asyncio.gather(*(self._writer.perform(end_by_silence(found, now)) for found in orphans))
        # What lanes hold stays in the slice until they end it: without anything else to end, there is no hurry.
        return bool(orphans) and len(overdue) >= self._slice_max


class SessionSweeper:
    """Ends sessions whose lifetime is over (southbound reference 1.5)."""

    name = "session_sweeper"

    def __init__(self, *, sessions: Sessions, clock: Clock, interval_s: float = 1.0) -> None:
        self._sessions = sessions
        self._clock = clock
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Sweep one slice; whatever it ended may have hidden others, for some of a slice only lag behind on disk."""
        return await self._sessions.sweep(self._clock.wall_ms()) > 0


class AddressKeeper:
    """Writes addresses and deadlines behind, within a budget of rows per second (design 4)."""

    name = "address_keeper"

    def __init__(self, *, sessions: Sessions, rows_max: int = 1_000, interval_s: float = 1.0) -> None:
        self._sessions = sessions
        self._rows_max = rows_max
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Write one slice, and rest even after a full one: that is the budget."""
        self._sessions.write_behind(self._rows_max)
        return False


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
        self._tasks = tuple(loop.create_task(self._run(duty), name=f"duty-{duty.name}") for duty in self._duties)

    async def stop(self) -> None:
        """End every task; a slice that is being written is written or not, never in part."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, duty: Duty) -> None:
        while True:
            has_more = await self._tick(duty)
            await asyncio.sleep(0 if has_more else duty.interval_s)

    async def _tick(self, duty: Duty) -> bool:
        try:
            return await duty.tick()
        except Overloaded:
            return False  # later, when there is less to do
        except CommandpostError as error:
            self._events.emit("duty_failed", duty=duty.name, error=error.code)
        except Exception as error:
            self._events.emit("duty_failed", duty=duty.name, error=repr(error))
        return False
