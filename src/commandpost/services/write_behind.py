"""Facts nobody waits for, kept while the writer is too busy to take them or cannot write them.

Here: trying again, in order, with a limit. Not here: which facts.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.facts import Fact
from commandpost.domain.ports import EventSink, Scheduler, StoreWriter

AGAIN_S: Final = 0.2  # the writer's own queue is given this long to drain
AFTER_FAILURE_S: Final = 1.0  # a disk that is full is not asked more often
FAILURES_MAX: Final = 60  # of one fact: a minute; what cannot be written for longer is an operator's matter


@dataclass(slots=True, eq=False)
class _Kept:
    fact: Fact[object]
    failures: int = 0


class WriteBehind:
    """Hands facts to the writer; what it refuses for load, or cannot write, is kept and tried again."""

    def __init__(self, *, writer: StoreWriter, scheduler: Scheduler, events: EventSink, kept_max: int) -> None:
        self._writer = writer
        self._scheduler = scheduler
        self._events = events
        self._kept_max = kept_max
        self._kept: deque[_Kept] = deque()
        self._open = 0
        self._is_waiting = False

    @property
    def is_empty(self) -> bool:
        """Whether all of it is on disk."""
        return not self._kept and self._open == 0

    def write(self, fact: Fact[object]) -> None:
        """Write it now or soon; beyond `kept_max` it is lost, and that is told."""
        kept = _Kept(fact)
        if self._kept or not self._submit(kept):
            self._keep(kept, AGAIN_S)

    def _keep(self, kept: _Kept, pause_s: float) -> None:
        if len(self._kept) >= self._kept_max:
            self._events.emit("write_behind_lost", fact=type(kept.fact).__name__)
            return
        self._kept.append(kept)
        self._wait(pause_s)

    def _wait(self, pause_s: float) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._scheduler.call_later(pause_s, self._try_again)

    def _try_again(self) -> None:
        self._is_waiting = False
        while self._kept:
            if not self._submit(self._kept[0]):
                self._wait(AGAIN_S)
                return
            self._kept.popleft()

    def _submit(self, kept: _Kept) -> bool:
        def failed(error: CommandpostError) -> None:
            self._open -= 1
            self._failed(kept, error)

        try:
            self._writer.submit(kept.fact, self._written, failed)
        except Overloaded:
            return False
        except CommandpostError as error:  # the writer has stopped
            self._events.emit("write_behind_failed", fact=type(kept.fact).__name__, error=error.code)
            return True
        self._open += 1
        return True

    def _written(self, _result: object) -> None:
        self._open -= 1

    def _failed(self, kept: _Kept, error: CommandpostError) -> None:
        kept.failures += 1
        if kept.failures == 1:
            self._events.emit("write_behind_failed", fact=type(kept.fact).__name__, error=error.code)
        if kept.failures >= FAILURES_MAX:
            self._events.emit("write_behind_lost", fact=type(kept.fact).__name__)
        else:
            self._keep(kept, AFTER_FAILURE_S)
