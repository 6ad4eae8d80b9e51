"""The time a stop may take, shared by everything that is stopped one after another.

A disk that hangs makes every part wait for as long as it may. With one deadline for all of them the sum is bounded,
and as no part but the last takes more than half of what is left, none finds nothing.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from commandpost.domain.errors import CommandpostError
from commandpost.domain.ports import Clock


class StopBudget:
    """What is left until a deadline."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        """Begin now."""
        self._clock = clock
        self._deadline = clock.monotonic() + timeout_s

    def left(self) -> float:
        """Give the seconds until the deadline; none after it."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def share(self) -> float:
        """Give what one part may take while others come after it."""
        return self.left() / 2

    async def spend(self, timeout_s: float, work: Coroutine[Any, Any, object]) -> None:  # Any: asyncio's own
        """Let something run that has no bound of its own; what takes longer is cancelled, what fails has told why."""
        with suppress(TimeoutError, CommandpostError):
            await asyncio.wait_for(work, timeout_s)
