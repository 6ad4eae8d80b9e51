"""Reading sessions from the store when a device is first heard after a start: coalesced per device, bounded in all.

Here: how often and how many. Not here: what a loaded session means (sessions).
"""

import asyncio
from collections.abc import Awaitable, Callable

from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import EventSink
from commandpost.domain.session import Session

ReadSession = Callable[[DeviceId], Awaitable[Session | None]]


class SessionLoads:
    """The loads that are going on."""

    def __init__(self, read: ReadSession, *, loads_max: int, waiters_max: int, events: EventSink) -> None:
        self._read = read
        self._loads_max = loads_max
        self._waiters_max = waiters_max
        self._events = events
        self._loads: dict[DeviceId, asyncio.Task[Session | None]] = {}
        self._waiters: dict[DeviceId, int] = {}

    def is_current(self, device_id: DeviceId) -> bool:
        """Tell whether what is being read of a device may still be used."""
        return device_id in self._loads

    def forget(self, device_id: DeviceId) -> None:
        """What is being read of this device is not true any more."""
        self._loads.pop(device_id, None)
        self._waiters.pop(device_id, None)

    async def fetch(self, device_id: DeviceId) -> Session | None:
        """Read a session, or wait for the load that is going on; never refused, its callers are bounded."""
        return await asyncio.shield(self._load(device_id))

    def fetch_soon(
        self, device_id: DeviceId, then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        """Call `then` with the session, never at once; or `otherwise` when too many wait or the store fails."""
        waiters = self._waiters.get(device_id, 0)
        is_new = device_id not in self._loads
        if waiters >= self._waiters_max or (is_new and len(self._loads) >= self._loads_max):
            self._events.emit("session_load_refused", device_id=device_id)
            otherwise()
            return
        task = self._load(device_id)
        self._waiters[device_id] = waiters + 1
        task.add_done_callback(lambda done: self._tell(done, then, otherwise))

    def _load(self, device_id: DeviceId) -> asyncio.Task[Session | None]:
        task = self._loads.get(device_id)
        if task is None:
            work = self._run(device_id)
            task = asyncio.get_running_loop().create_task(work, name=f"load-session-{device_id}")
            self._loads[device_id] = task
            task.add_done_callback(lambda done: self._ended(device_id, done))
        return task

    async def _run(self, device_id: DeviceId) -> Session | None:
        return await self._read(device_id)

    def _ended(self, device_id: DeviceId, task: asyncio.Task[Session | None]) -> None:
        if self._loads.get(device_id) is task:
            self.forget(device_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.emit("session_load_failed", device_id=device_id, error=repr(error))

    @staticmethod
    def _tell(
        task: asyncio.Task[Session | None], then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        if task.cancelled() or task.exception() is not None:
            otherwise()
        else:
            then(task.result())
