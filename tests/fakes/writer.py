"""A writer over a real store that commits when the scheduler comes to it, or when a test says so."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from commandpost.domain.errors import CommandpostError, Overloaded, StoreUnavailable
from commandpost.domain.facts import Fact, Priority
from commandpost.stores.memory import MemoryStore
from tests.fakes.scheduler import ManualScheduler

ResultT = TypeVar("ResultT")


class ManualWriter:
    """Applies facts in order of submission, everything that is queued in one commit."""

    def __init__(self, store: MemoryStore, scheduler: ManualScheduler) -> None:
        self.store = store
        self._scheduler = scheduler
        self._queue: deque[tuple[Fact[Any], Any, Any]] = deque()  # Any: each fact has its own result type
        self.facts: list[Fact[object]] = []
        """Every fact that was applied."""
        self.commits = 0
        self.is_held = False
        """Keeps what is submitted until `commit`."""
        self.overloaded: set[Priority] = set()
        self.failing: set[type[Fact[Any]]] = set()
        """Facts of these kinds cannot be written."""
        self.is_stopped = False

    def submit(
        self,
        fact: Fact[ResultT],
        then: Callable[[ResultT], object] | None = None,
        otherwise: Callable[[CommandpostError], object] | None = None,
    ) -> None:
        if self.is_stopped:
            raise StoreUnavailable("the writer has stopped")
        if fact.priority in self.overloaded:
            raise Overloaded("the queue is full")
        self._queue.append((fact, then, otherwise))
        if not self.is_held and len(self._queue) == 1:
            self._scheduler.call_soon(self.commit)

    async def perform(self, fact: Fact[ResultT]) -> ResultT:
        done: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()

        def fail(error: CommandpostError) -> None:
            if not done.done():
                done.set_exception(error)

        def succeed(result: ResultT) -> None:
            if not done.done():
                done.set_result(result)

        self.submit(fact, succeed, fail)
        return await done

    def commit(self) -> None:
        """Apply what is queued, then tell everyone."""
        if self.is_held and not self._queue:
            return
        batch, self._queue = list(self._queue), deque()
        results: list[tuple[bool, Any]] = []  # Any: see __init__
        for fact, _, _ in batch:
            if type(fact) in self.failing:
                results.append((False, StoreUnavailable("it cannot be written")))
                continue
            outcome = self.store.apply([fact])[0]
            self.facts.append(fact)
            results.append((not isinstance(outcome, CommandpostError), outcome))
        self.commits += 1
        for (_, then, otherwise), (is_good, result) in zip(batch, results, strict=True):
            told = then if is_good else otherwise
            if told is not None:
                told(result)

    def release(self) -> None:
        """Commit what was held, and hold no longer."""
        self.is_held = False
        if self._queue:
            self.commit()

    def of(self, kind: type[Fact[Any]]) -> list[Any]:  # Any: a list of `kind`
        """Give the facts of one kind that were applied."""
        return [fact for fact in self.facts if type(fact) is kind]
