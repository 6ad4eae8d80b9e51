"""What waits for the store on behalf of a device: counted while it does, so that a stop can wait for it."""

import asyncio
from collections.abc import Coroutine


class OpenTasks:
    """Tasks whose makers ask how many there are before they start another."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Let something run."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def drain(self, timeout_s: float) -> None:
        """Wait until all have ended; those that take longer are cancelled."""
        if self._tasks:
            _, unfinished = await asyncio.wait(list(self._tasks), timeout=timeout_s)
            for task in list(self._tasks):
                if task in unfinished:
                    task.cancel()
