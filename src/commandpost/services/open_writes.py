"""Facts somebody waits for, counted while they are open, so that a stop can wait for them.

Here: submitting with one way back, whatever happens. Not here: facts nobody waits for (write_behind).
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from commandpost.domain.errors import CommandpostError
from commandpost.domain.facts import Fact
from commandpost.domain.ports import Clock, EventSink, Scheduler, StoreWriter

ResultT = TypeVar("ResultT")


class OpenWrites:
    """Hands facts to the writer."""

    def __init__(self, *, writer: StoreWriter, scheduler: Scheduler, clock: Clock, events: EventSink) -> None:
        self._writer = writer
        self._scheduler = scheduler
        self._clock = clock
        self._events = events
        self._open = 0
        self._quiet: asyncio.Future[None] | None = None

    def submit(self, fact: Fact[ResultT], then: Callable[[ResultT | None], object]) -> None:
        """Submit a fact; `then` gets its result, or None when it could not be written; never from inside this call."""

        def written(result: ResultT) -> None:
            self._close()
            then(result)

        def failed(error: CommandpostError) -> None:
            self._close()
            self._events.emit("write_failed", fact=type(fact).__name__, error=error.code)
            then(None)

        self._open += 1
        try:
            self._writer.submit(fact, written, failed)
        except CommandpostError as error:
            self._scheduler.call_soon(failed, error)

    async def wait(self, deadline: float) -> None:
        """Wait until nothing is open, or until a time on the monotonic clock."""
        while self._open and (left := deadline - self._clock.monotonic()) > 0:
            self._quiet = asyncio.get_running_loop().create_future()
            timer = self._scheduler.call_later(left, self._be_quiet)
            await self._quiet
            timer.cancel()

    def _close(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._be_quiet()

    def _be_quiet(self) -> None:
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
