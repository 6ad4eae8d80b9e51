"""Carries `/cmds` payloads to connected devices: one lane per connection, its effects become facts and bytes.

Here: carrying out. Not here: what follows from what (payload_lane), who is connected (connections), LwM2M commands
(dispatcher). Design section 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from commandpost.domain.command import Command
from commandpost.domain.connection import Connection
from commandpost.domain.facts import LateAnswer
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, StartId
from commandpost.domain.payload_facts import NotReplied, ReplyToPayload
from commandpost.domain.payload_ports import PayloadChannel
from commandpost.domain.ports import Clock, EventSink, IdSource, Scheduler, StoreWriter, Timer
from commandpost.services.lane_events import Moment
from commandpost.services.open_writes import OpenWrites
from commandpost.services.payload_lane import (
    EndFormer,
    FindPayloads,
    PayloadEffect,
    PayloadLane,
    PutPayloadClaim,
    Record,
    Settle,
    Transmit,
)

ResultT = TypeVar("ResultT")


@dataclass(slots=True, eq=False)
class _OpenLane:
    lane: PayloadLane
    channel: PayloadChannel
    due: float | None = None
    timer: Timer | None = None


class PayloadDispatcher:
    """See the module. It is the transports' PayloadListener."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        ids: IdSource,
        clock: Clock,
        scheduler: Scheduler,
        start_id: StartId,
        events: EventSink,
    ) -> None:
        self._ids = ids
        self._clock = clock
        self._scheduler = scheduler
        self._start_id = start_id
        self._writes = OpenWrites(writer=writer, scheduler=scheduler, clock=clock, events=events)
        self._lanes: dict[DeviceId, _OpenLane] = {}
        self._is_stopping = False

    @property
    def lanes_open(self) -> int:
        """How many connected devices may be sent payloads."""
        return len(self._lanes)

    # --- connections --------------------------------------------------------------------------------------------

    def connected(self, connection: Connection, channel: PayloadChannel) -> None:
        """A login's reply has left: what waits for the device may follow."""
        if self._is_stopping:
            return
        former = self._lanes.get(connection.device_id)
        if former is not None:
            if former.lane.connection.epoch >= connection.epoch:
                return
            self._close(former)
        opened = self._lanes[connection.device_id] = _OpenLane(
            PayloadLane(connection, ids=self._ids, start_id=self._start_id), channel
        )
        self._carry_out(opened, opened.lane.opened(self._now()))

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""
        found = self._find(connection)
        if found is not None:
            del self._lanes[connection.device_id]
            self._close(found)

    def _close(self, lane: _OpenLane) -> None:
        self._disarm(lane)
        self._carry_out(lane, lane.lane.closed(self._now()))

    # --- payloads -----------------------------------------------------------------------------------------------

    def accepted(self, command: Command) -> None:
        """A payload is on disk; called in order of acceptance."""
        found = self._lanes.get(command.device_id)
        if found is not None:
            self._carry_out(found, found.lane.accepted(command, self._now()))

    def payload_confirmed(self, connection: Connection, attempt_id: AttemptId) -> None:
        """The transport has confirmed an attempt."""
        found = self._find(connection)
        if found is not None:
            self._carry_out(found, found.lane.confirmed(attempt_id, self._now()))

    def payload_refused(self, connection: Connection, attempt_id: AttemptId) -> None:
        """The device's protocol engine refused an attempt for good."""
        found = self._find(connection)
        if found is not None:
            self._carry_out(found, found.lane.refused(attempt_id, self._now()))

    def reply(self, device_id: DeviceId, command_id: CommandId, payload: bytes, then: Callable[[bool], object]) -> None:
        """A device replied to a payload; `then` hears whether it is on disk (or was nobody's), and may be acknowledged.

        Once the reply is committed it counts, however many copies follow: the first one wins. It implies that the
        transport has confirmed the payload (design 10.2).
        """

        def written(result: Command | LateAnswer | NotReplied | None) -> None:
            then(result is not None)
            found = self._lanes.get(device_id)
            if isinstance(result, Command) and found is not None:
                self._carry_out(found, found.lane.answered(command_id, self._now()))

        fact = ReplyToPayload(device_id=device_id, command_id=command_id, payload=payload, at=self._clock.wall_ms())
        self._writes.submit(fact, written)

    # --- start and stop -----------------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, and wait for what is being written. What is out stays on disk as it is."""
        self._is_stopping = True
        for each in self._lanes.values():
            self._disarm(each)
            each.lane.stop()
        self._lanes.clear()
        await self._writes.wait(self._clock.monotonic() + timeout_s)

    # --- carrying out -------------------------------------------------------------------------------------------

    def _find(self, connection: Connection) -> _OpenLane | None:
        found = self._lanes.get(connection.device_id)
        return found if found is not None and found.lane.connection.epoch == connection.epoch else None

    def _carry_out(self, opened: _OpenLane, effects: Sequence[PayloadEffect]) -> None:
        lane = opened.lane
        for effect in effects:
            match effect:
                case EndFormer(fact=former):
                    self._writes.submit(former, self._back(opened, lane.former_ended))
                case FindPayloads(fact=waiting):
                    self._writes.submit(waiting, self._back(opened, lane.found))
                case PutPayloadClaim(fact=claim):
                    self._writes.submit(claim, self._back(opened, partial(lane.claimed, claim.attempt.id)))
                case Transmit(transmission=transmission):
                    if not opened.channel.transmit(transmission):
                        # Not from inside this call: the lane is in the middle of giving its effects.
                        self._scheduler.call_soon(self._refuse, opened, transmission.attempt_id)
                case Settle(attempt_id=attempt_id):
                    opened.channel.settle(attempt_id)
                case Record(fact=fact):
                    self._writes.submit(fact, lambda _result: None)
        self._arm(opened)

    def _back(
        self, opened: _OpenLane, take: Callable[[ResultT, Moment], Sequence[PayloadEffect]]
    ) -> Callable[[ResultT], None]:
        def taken(result: ResultT) -> None:
            self._carry_out(opened, take(result, self._now()))

        return taken

    def _refuse(self, opened: _OpenLane, attempt_id: AttemptId) -> None:
        self._carry_out(opened, opened.lane.refused(attempt_id, self._now()))

    def _arm(self, opened: _OpenLane) -> None:
        due = None if self._is_stopping else opened.lane.next_deadline()
        if due == opened.due:
            return
        self._disarm(opened)
        if due is not None:
            opened.due = due
            delay = max(0.0, due - self._clock.monotonic())
            opened.timer = self._scheduler.call_later(delay, self._wake, opened)

    def _disarm(self, opened: _OpenLane) -> None:
        if opened.timer is not None:
            opened.timer.cancel()
        opened.timer = opened.due = None

    def _wake(self, opened: _OpenLane) -> None:
        opened.timer = opened.due = None
        self._carry_out(opened, opened.lane.deadline_passed(self._now()))

    def _now(self) -> Moment:
        return Moment(wall=self._clock.wall_ms(), monotonic=self._clock.monotonic())
