"""Connections: who is connected over MQTT or EDP, and what becomes of a connection.

A login is on disk before its reply: the session row's epoch fences whatever an earlier connection still does. The
newest login wins, so that a half-open socket never locks its device out (southbound reference 5.1, 6.8). A connection
lasts no longer than what its device logged in with is good.

Here: the life of a connection. Not here: who may log in (logins), what is sent (payload_dispatcher), sockets.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from commandpost.domain.command import Transport
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device
from commandpost.domain.errors import CommandpostError
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import MINUTE_MS, Instant
from commandpost.domain.payload_facts import EndConnection, EndStaleConnections, NoteHeard, StartConnection
from commandpost.domain.payload_ports import PayloadChannel
from commandpost.domain.ports import Clock, EventSink, Scheduler, StoreWriter
from commandpost.domain.proof import CredentialChange, Proof
from commandpost.domain.session import Remote
from commandpost.services.payload_dispatcher import PayloadDispatcher
from commandpost.services.write_behind import WriteBehind

STALE_SLICE: Final = 200  # connections of a run before, ended in one transaction
NO_RUN: Final = StartId(0)  # no run has it: every connection is another run's
HEARD_EVERY_MS: Final = 5 * MINUTE_MS  # how fine `last_ct` is on disk while a connection lasts
CHANGES_KEPT: Final = 10_000  # of credentials: many times what can be written while one login is being checked
BEHIND_MAX: Final = 20_000  # facts kept while the writer is overloaded


@dataclass(slots=True, eq=False)
class _Open:
    connection: Connection
    channel: PayloadChannel
    proof: Proof
    last_heard_at: Instant
    noted_at: Instant


class Connections:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        dispatcher: PayloadDispatcher,
        clock: Clock,
        scheduler: Scheduler,
        start_id: StartId,
        events: EventSink,
    ) -> None:
        self._writer = writer
        self._dispatcher = dispatcher
        self._clock = clock
        self._start_id = start_id
        self._events = events
        self._behind = WriteBehind(writer=writer, scheduler=scheduler, events=events, kept_max=BEHIND_MAX)
        # Apart from those: that a device is offline is told, and must not wait for rows that hardly matter.
        self._ends = WriteBehind(writer=writer, scheduler=scheduler, events=events, kept_max=BEHIND_MAX)
        self._open: dict[DeviceId, _Open] = {}
        self._changes: deque[CredentialChange] = deque(maxlen=CHANGES_KEPT)
        self._changes_seen = 0
        self._next_end: Instant | None = None
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    # --- the life of a connection -------------------------------------------------------------------------------

    async def open(
        self,
        device: Device,
        transport: Transport,
        channel: PayloadChannel,
        *,
        proof: Proof,
        changes_seen: int,
        remote: Remote,
        keepalive_s: int,
    ) -> Connection | None:
        """Let a device in whose login was right; committed when this returns. An earlier connection is taken over.

        Args:
            proof: what it logged in with.
            changes_seen: `changes_seen` of before its login was looked at; later changes may make the proof void.
        Returns:
            None: the device was deleted meanwhile, a later login has overtaken this one, its proof is void already, or
                the server stops.
        Raises:
            PortError: it could not be written; the device is as it was.
        """
        now = self._clock.wall_ms()
        connection = Connection(
            device_id=device.id,
            product_id=device.product_id,
            transport=transport,
            start_id=self._start_id,
            remote=remote,
            keepalive_s=keepalive_s,
            connected_at=now,
        )
        epoch = await self._writer.perform(StartConnection(connection=connection))
        if epoch is None or self._is_stopping:
            return None
        former = self._open.get(device.id)
        if former is not None and former.connection.epoch > epoch:
            return None
        connection = replace(connection, epoch=epoch)
        found = self._open[device.id] = _Open(connection, channel, proof, last_heard_at=now, noted_at=now)
        if former is not None:
            self._dispatcher.disconnected(former.connection)
            former.channel.take_over()
        if not self._is_proven_since(found, changes_seen):
            self.close(connection)
            return None
        return connection

    def begin(self, connection: Connection) -> None:
        """The login's reply has left: payloads may follow."""
        found = self._find(connection)
        if found is not None:
            self._dispatcher.connected(connection, found.channel)

    def heard(self, connection: Connection) -> None:
        """The device was heard; kept in memory, and now and then written behind."""
        found = self._find(connection)
        if found is None:
            return
        now = found.last_heard_at = self._clock.wall_ms()
        if now - found.noted_at >= HEARD_EVERY_MS:
            found.noted_at = now
            self._behind.write(NoteHeard(device_id=connection.device_id, epoch=connection.epoch, last_heard_at=now))

    def close(self, connection: Connection) -> None:
        """A connection is gone: the device is offline, unless another one has taken its place."""
        found = self._find(connection)
        if found is None or self._is_stopping:
            return
        del self._open[connection.device_id]
        self._dispatcher.disconnected(connection)
        fact = EndConnection(
            device_id=connection.device_id,
            epoch=connection.epoch,
            at=self._clock.wall_ms(),
            last_heard_at=found.last_heard_at,
        )
        self._ends.write(fact)

    # --- what it stands on --------------------------------------------------------------------------------------

    @property
    def changes_seen(self) -> int:
        """How many changes of credentials were told of."""
        return self._changes_seen

    def credential_changed(self, change: CredentialChange) -> None:
        """Something that proves devices was changed, on disk: the connections for which it is void end."""
        self._changes.append(change)
        self._changes_seen += 1
        if change.only_device is not None:
            only = self._open.get(change.only_device)
            reached = [] if only is None else [only]
        else:
            reached = list(self._open.values())
        for found in reached:
            if not self._is_left(found, change):
                self._revoke(found)

    def end_expired(self, limit: int) -> int:
        """End at most so many connections that stand on a replaced key whose overlap is over; gives how many."""
        now = self._clock.wall_ms()
        if self._next_end is None or now < self._next_end:
            return 0
        due = (found for found in self._open.values() if found.proof.until is not None and found.proof.until <= now)
        ended = list(islice(due, limit))
        for found in ended:
            self._revoke(found)
        ends = [found.proof.until for found in self._open.values() if found.proof.until is not None]
        self._next_end = min(ends, default=None)
        return len(ended)

    def _is_proven_since(self, found: _Open, changes_seen: int) -> bool:
        """Look whether a proof has outlasted what changed while it was looked at."""
        self._note_end(found.proof)
        missed = self._changes_seen - changes_seen
        if missed > len(self._changes):
            return False  # nobody knows any more: the device tries again
        device_id = found.connection.device_id
        newest_first = tuple(islice(reversed(self._changes), missed))  # mostly none, however many are kept
        return all(self._is_left(found, each) for each in newest_first[::-1] if each.only_device in (None, device_id))

    def _is_left(self, found: _Open, change: CredentialChange) -> bool:
        proof = change.leave(found.proof, found.connection.device_id, found.connection.product_id)
        if proof is not None and proof is not found.proof:
            found.proof = proof
            self._note_end(proof)
        return proof is not None

    def _note_end(self, proof: Proof) -> None:
        if proof.until is not None and (self._next_end is None or proof.until < self._next_end):
            self._next_end = proof.until

    def _revoke(self, found: _Open) -> None:
        self._events.emit("login_void", device_id=found.connection.device_id, by=found.proof.kind.value)
        self.close(found.connection)
        found.channel.revoke(found.proof.kind)

    # --- looking up ---------------------------------------------------------------------------------------------

    def find(self, device_id: DeviceId) -> Connection | None:
        """Give a device's connection."""
        found = self._open.get(device_id)
        return None if found is None else found.connection

    def last_heard_at(self, device_id: DeviceId) -> Instant | None:
        """Give when a connected device was last heard."""
        found = self._open.get(device_id)
        return None if found is None else found.last_heard_at

    def forget_device(self, device_id: DeviceId) -> None:
        """The device was deleted: its connection ends."""
        found = self._open.pop(device_id, None)
        if found is not None:
            self._dispatcher.disconnected(found.connection)
            found.channel.remove()

    def _find(self, connection: Connection) -> _Open | None:
        found = self._open.get(connection.device_id)
        return found if found is not None and found.connection.epoch == connection.epoch else None

    # --- start and stop -----------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """End the connections of runs before: with their run they ended (P9)."""
        ended = 0
        while (count := await self._end_slice(self._start_id)) > 0:
            ended += count
        self._events.emit("connections_recovered", ended=ended)

    async def drain(self, timeout_s: float) -> None:
        """Take nobody in any more, close what is open, and put on disk that all are offline, within a time.

        What does not fit into the time is done by the next start.
        """
        self._is_stopping = True
        deadline = self._clock.monotonic() + timeout_s
        for found in self._open.values():
            found.channel.remove()
        self._open.clear()
        # A disk that hangs answers nothing, and one that is full or gone says so: either is the next start's matter.
        with suppress(TimeoutError, CommandpostError):
            while (left := deadline - self._clock.monotonic()) > 0:
                if await asyncio.wait_for(self._end_slice(NO_RUN), left) < STALE_SLICE:
                    break

    async def _end_slice(self, start_id: StartId) -> int:
        fact = EndStaleConnections(start_id=start_id, at=self._clock.wall_ms(), limit=STALE_SLICE)
        return await self._writer.perform(fact)
