"""Where a batch is executed: in the loop's own thread, or in one thread beside it.

Inline is the default: measured beside a saturated loop, a commit in a thread waits for the interpreter's lock for
longer than it takes (design 4). The thread is for disks whose fsync would hold the loop up. Either runs one batch at a
time; who asks waits for `done` before it asks again.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from commandpost.domain.facts import Fact
from commandpost.stores.batch_store import BatchStore, FactOutcome
from commandpost.stores.errors import StoreBroken

SLOW_FSYNC_S: Final = 0.003
"""A median above this would take the loop more than half of a batch's 5 ms for waiting alone."""
STOP_MAX_S: Final = 1.0
"""A process that is told to stop has 5 s for everything (SIGTERM)."""

BatchOutcome = list[FactOutcome] | StoreBroken
BatchDone = Callable[[BatchOutcome, float], object]
"""Called on the loop's thread with the outcome and the seconds the batch took."""


class DriverKind(Enum):
    """Where batches are executed."""

    INLINE = "inline"
    THREAD = "thread"


def choose_driver(fsync_s: float) -> DriverKind:
    """Choose by the median fsync time of the data directory's disk (stores/data_directory.py measures it)."""
    return DriverKind.THREAD if fsync_s > SLOW_FSYNC_S else DriverKind.INLINE


class BatchDriver(Protocol):
    """Executes batches, one at a time."""

    def run(self, facts: Sequence[Fact[Any]], done: BatchDone) -> None:  # Any: each fact has its own result type
        """Execute a batch and call `done` on the loop's thread, possibly before this returns."""
        ...

    def stop(self) -> None:
        """Let go of what the driver holds, after the running batch."""
        ...


class InlineDriver:
    """Executes in the thread that asks; `done` is called before `run` returns."""

    def __init__(self, store: BatchStore, *, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic

    def run(self, facts: Sequence[Fact[Any]], done: BatchDone) -> None:  # Any: see BatchDriver
        """Execute a batch now."""
        started = self._monotonic()
        outcome = _apply(self._store, facts)
        done(outcome, self._monotonic() - started)

    def stop(self) -> None:
        """Nothing is held."""


class ThreadDriver:
    """Executes in one thread of its own; `done` comes back through the loop."""

    def __init__(self, store: BatchStore, *, monotonic: Callable[[], float], loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._monotonic = monotonic
        self._loop = loop
        # Bounded by its use: a batch is handed in only after the one before it is done, and None once.
        self._work: queue.SimpleQueue[tuple[Sequence[Fact[Any]], BatchDone] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work_through, name="commandpost-store", daemon=True)
        self._thread.start()

    def run(self, facts: Sequence[Fact[Any]], done: BatchDone) -> None:  # Any: see BatchDriver
        """Hand a batch to the thread."""
        self._work.put((facts, done))

    def stop(self) -> None:
        """Let the thread end after the running batch; a disk that hangs is waited for no longer than STOP_MAX_S."""
        self._work.put(None)
        self._thread.join(STOP_MAX_S)

    def _work_through(self) -> None:
        while (work := self._work.get()) is not None:
            facts, done = work
            started = self._monotonic()
            outcome = _apply(self._store, facts)
            self._loop.call_soon_threadsafe(done, outcome, self._monotonic() - started)


def _apply(store: BatchStore, facts: Sequence[Fact[Any]]) -> BatchOutcome:
    try:
        return store.apply(facts)
    except StoreBroken as error:
        return error
    except Exception as error:  # a store that fails in any other way is no more to be trusted than one that says so
        broken = StoreBroken(f"the store failed: {error}")
        broken.__cause__ = error
        return broken
