"""A clock and a scheduler that stand still until told, a store that only counts, and a log."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from commandpost.domain.errors import CommandpostError, StoreUnavailable
from commandpost.domain.facts import Fact
from commandpost.domain.instant import Instant
from commandpost.stores.batch_store import FactOutcome
from commandpost.stores.errors import StoreBroken


class FakeClock:
    """Time that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def wall_ms(self) -> Instant:
        return Instant(int(self.now * 1000))

    def monotonic(self) -> float:
        return self.now


class FakeTimer:
    """Something that was to happen later."""

    def __init__(self, at: float, callback: Callable[[], object]) -> None:
        self.at = at
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeScheduler:
    """Runs what is due when told, and moves the clock to do so."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._soon: deque[Callable[[], object]] = deque()
        self._later: list[FakeTimer] = []

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        self._soon.append(lambda: callback(*args))
        return None

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> FakeTimer:
        timer = FakeTimer(self._clock.now + delay, lambda: callback(*args))
        self._later.append(timer)
        return timer

    @property
    def pending(self) -> int:
        """How many calls are to come."""
        return len(self._soon) + sum(not timer.is_cancelled for timer in self._later)

    def run_soon(self) -> None:
        """Run what is to happen soon, and what that brings."""
        for _ in range(10_000):
            if not self._soon:
                return
            self._soon.popleft()()
        raise AssertionError("it never ends")

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        until = self._clock.now + seconds
        while True:
            self.run_soon()
            due = [timer for timer in self._later if not timer.is_cancelled and timer.at <= until]
            if not due:
                break
            first = min(due, key=lambda timer: timer.at)
            self._later.remove(first)
            self._clock.now = max(self._clock.now, first.at)
            first.callback()
        self._clock.now = until


class CountingStore:
    """A store that keeps the batches it was given; each fact's outcome is its place among all facts."""

    def __init__(self, clock: FakeClock | None = None, *, unit_cost_s: float = 0.0) -> None:
        self.batches: list[list[Fact[Any]]] = []
        self.broken: StoreBroken | None = None
        self.bad: list[Fact[Any]] = []
        self._clock = clock
        self._unit_cost_s = unit_cost_s
        self._count = 0

    @property
    def facts(self) -> list[Fact[Any]]:
        """Everything applied, in order."""
        return [fact for batch in self.batches for fact in batch]

    def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:
        if self.broken is not None:
            raise self.broken
        self.batches.append(list(facts))
        if self._clock is not None:
            self._clock.now += self._unit_cost_s * sum(fact.units for fact in facts)
        return [self._outcome(fact) for fact in facts]

    def _outcome(self, fact: Fact[Any]) -> FactOutcome:
        self._count += 1
        return StoreUnavailable("bad") if fact in self.bad else self._count


class EventLog:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


class Outcomes:
    """Collects results and errors in the order in which they came."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.errors: list[CommandpostError] = []

    def then(self, result: object) -> None:
        self.results.append(result)

    def otherwise(self, error: CommandpostError) -> None:
        self.errors.append(error)
