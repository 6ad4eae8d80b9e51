"""What is heard of sessions and not on disk yet: addresses, deadlines, when a device was last heard.

Coalesced per device and written behind in slices, the urgent first. Design section 4.
"""

import asyncio
from typing import Final

from commandpost.domain.errors import Overloaded
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import StoreWriter
from commandpost.domain.session import Session, stored_slack_ms
from commandpost.domain.session_facts import TouchSession
from commandpost.services.session_table import SessionTable

_FLUSH_SLICE: Final = 500


class SessionTouches:
    """Devices whose row lags behind; at most one entry each."""

    def __init__(self, *, writer: StoreWriter, table: SessionTable) -> None:
        self._writer = writer
        self._table = table
        self._urgent: dict[DeviceId, None] = {}
        self._heard: dict[DeviceId, None] = {}

    @property
    def urgent(self) -> int:
        """How many rows have another address, or a deadline that lags too far."""
        return len(self._urgent)

    def note_heard(self, session: Session) -> None:
        """The device was heard; urgent only where the disk lags by more than a quarter of the lifetime."""
        if session.deadline - session.stored_deadline > stored_slack_ms(session.lifetime_s):
            self._urgent[session.device_id] = None
        else:
            self._heard[session.device_id] = None

    def note_urgent(self, session: Session) -> None:
        """Its row has to change soon."""
        self._urgent[session.device_id] = None

    def forget(self, device_id: DeviceId) -> None:
        """Its row is as it should be, or gone."""
        self._urgent.pop(device_id, None)
        self._heard.pop(device_id, None)

    def write(self, rows_max: int) -> int:
        """Hand rows to the writer; gives how many. What it refuses for load is for the next time."""
        written = 0
        for waiting in (self._urgent, self._heard):
            while waiting and written < rows_max:
                device_id = next(iter(waiting))
                fact = self._take(device_id)
                if fact is None:
                    continue
                try:
                    self._writer.submit(fact)
                except Overloaded:
                    self._urgent[device_id] = None
                    return written
                written += 1
        return written

    async def flush(self) -> None:
        """Write all of it, waiting for the disk; for the end of a run."""
        while waiting := [*self._urgent, *self._heard][:_FLUSH_SLICE]:
            facts = [fact for device_id in waiting if (fact := self._take(device_id)) is not None]
            await asyncio.gather(*(self._writer.perform(fact) for fact in facts))

    def _take(self, device_id: DeviceId) -> TouchSession | None:
        """Give the fact for a device, once however often it stands in line."""
        is_waiting = device_id in self._urgent or device_id in self._heard
        self.forget(device_id)
        session = self._table.find(device_id)
        if session is None or not is_waiting:
            return None
        session.stored_deadline = session.deadline
        return TouchSession(
            device_id=device_id,
            epoch=session.epoch,
            remote=session.remote,
            last_heard_at=session.last_heard_at,
            deadline=session.deadline,
        )
