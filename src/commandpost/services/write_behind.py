"""Facts nobody waits for, kept while the writer is too busy to take them.

Here: trying again, in order, with a limit. Not here: which facts (their class is Priority.BEHIND).
"""

from collections import deque

from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.facts import Fact
from commandpost.domain.ports import EventSink, Scheduler, StoreWriter

AGAIN_S = 0.2  # the writer's own queue is given this long to drain


class WriteBehind:
    """Hands facts to the writer; what it refuses for load is kept and tried again."""

    def __init__(self, *, writer: StoreWriter, scheduler: Scheduler, events: EventSink, kept_max: int) -> None:
        self._writer = writer
        self._scheduler = scheduler
        self._events = events
        self._kept_max = kept_max
        self._kept: deque[Fact[object]] = deque()
        self._open = 0
        self._is_waiting = False

    @property
    def is_empty(self) -> bool:
        """Whether all of it is on disk."""
        return not self._kept and self._open == 0

    def write(self, fact: Fact[object]) -> None:
        """Write it now or soon; beyond `kept_max` it is lost, and that is told."""
        if len(self._kept) >= self._kept_max:
            self._events.emit("write_behind_lost", fact=type(fact).__name__)
        elif self._kept or not self._submit(fact):
            self._kept.append(fact)
            self._wait()

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._scheduler.call_later(AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._is_waiting = False
        while self._kept:
            if not self._submit(self._kept[0]):
                self._wait()
                return
            self._kept.popleft()

    def _submit(self, fact: Fact[object]) -> bool:
        try:
            self._writer.submit(fact, self._written, self._failed)
        except Overloaded:
            return False
        except CommandpostError as error:
            self._events.emit("write_behind_failed", fact=type(fact).__name__, error=error.code)
            return True
        self._open += 1
        return True

    def _written(self, _result: object) -> None:
        self._open -= 1

    def _failed(self, error: CommandpostError) -> None:
        self._open -= 1
        self._events.emit("write_behind_failed", error=error.code)
