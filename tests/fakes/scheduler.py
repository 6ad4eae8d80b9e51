"""A scheduler whose timers go off when a test lets time pass."""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.fakes.clock import ManualClock


class ManualTimer:
    """Something that was to happen later."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualScheduler:
    """Runs what is due, in order of time, then of asking."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._soon: deque[ManualTimer] = deque()
        self._later: list[tuple[float, int, ManualTimer]] = []
        self._asked = 0

    @property
    def timers(self) -> int:
        """How many timers are armed."""
        return sum(timer.callback is not None for _, _, timer in self._later)

    # Any: asyncio's own signature, which the port repeats
    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> ManualTimer:
        timer = ManualTimer(lambda: callback(*args))
        self._asked += 1
        heapq.heappush(self._later, (self._clock.monotonic() + delay, self._asked, timer))
        return timer

    def call_soon(self, callback: Callable[..., object], *args: Any) -> ManualTimer:  # Any: see call_later
        timer = ManualTimer(lambda: callback(*args))
        self._soon.append(timer)
        return timer

    def run_soon(self) -> bool:
        """Run what was asked for `soon`, and what that asks for; False when there was nothing."""
        has_run = False
        while self._soon or (self._later and self._later[0][0] <= self._clock.monotonic()):
            timer = self._soon.popleft() if self._soon else heapq.heappop(self._later)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                has_run = True
                callback()
        return has_run

    def next_due(self) -> float | None:
        """Give when the next timer goes off."""
        while self._later and self._later[0][2].callback is None:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None
