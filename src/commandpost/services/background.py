"""Tasks that nobody waits for: bounded, named, kept referenced, and heard of when they fail."""

import asyncio
from collections.abc import Coroutine

from commandpost.domain.ports import EventSink


class Background:
    """A bounded crowd of tasks."""

    def __init__(self, *, tasks_max: int, events: EventSink) -> None:
        self._tasks_max = tasks_max
        self._events = events
        self._tasks: dict[asyncio.Task[None], None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def is_full(self) -> bool:
        """Whether no further task is taken now."""
        return len(self._tasks) >= self._tasks_max

    def start(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Start a task; the caller has asked `is_full` before."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    async def cancel_all(self) -> None:
        """Cancel what still runs, and wait until it has."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.emit("task_failed", task=task.get_name(), error=repr(error))
