"""The time of a real event loop, for tests on sockets."""

import asyncio

from commandpost.domain.instant import Instant


class LoopClock:
    """The test's own loop as the Clock port; the wall stands still."""

    def wall_ms(self) -> Instant:
        return Instant(1_700_000_000_000)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
