"""The dispatcher: opens lanes, tells them what happens, and carries out what they ask for.

Effects become facts for the writer, datagrams for the driver, timers, and answers to callers. No task and no future per
command; one timer per lane that waits for something.

Here: carrying out. Not here: what follows from what (lane), what a start finds on disk (recovery).
Design section 3.
"""

from dataclasses import dataclass
from typing import TypeVar

from commandpost.domain.command import Answer, Attempt, AttemptEnd, Command, Trigger
from commandpost.domain.errors import DeviceOffline, Overloaded
from commandpost.domain.facts import Fact, Priority, RecordInstant, RecordLateAnswer
from commandpost.domain.ids import AttemptId, DeviceId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import (
    Clock,
    Downlink,
    EventSink,
    IdSource,
    Scheduler,
    StoreReader,
    StoreWriter,
    Timer,
)
from commandpost.domain.session import Remote, Session
from commandpost.domain.session_facts import DropObservation
from commandpost.services.flight import Workbench
from commandpost.services.instant_callers import InstantCallers, InstantResult
from commandpost.services.lane import Lane, LaneSettings
from commandpost.services.lane_events import (
    Abandon,
    Adopt,
    AnswerCaller,
    AttemptAdopted,
    AttemptEnded,
    ClaimDecided,
    CutOff,
    DeadlinePassed,
    DeviceForgotten,
    DropToken,
    EndDecided,
    InstantArrived,
    InstantTicket,
    InstantWithdrawn,
    LaneEffect,
    LaneEvent,
    LookedUp,
    LookUp,
    Moment,
    ObservationDecided,
    PutClaim,
    PutEnd,
    PutObservation,
    RemoteLost,
    Send,
    SessionEnded,
    SessionStarted,
    Stopping,
    UplinkHeard,
    Write,
)
from commandpost.services.open_writes import OpenWrites
from commandpost.services.recovery import Recovery
from commandpost.services.sessions import Sessions
from commandpost.services.write_behind import WriteBehind

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherSettings(LaneSettings):
    """Times and limits of all lanes together."""

    instants_max: int = 5_000
    """Instant commands under way in all: each holds an HTTP connection."""
    instants_per_device_max: int = 16
    """Instant commands that wait for one device; they are served one at a time, seconds each."""
    behind_max: int = 20_000
    """Facts kept while the writer is overloaded."""


__all__ = ["Dispatcher", "DispatcherSettings", "InstantResult"]


class Dispatcher:
    """See the module. It is the driver's AttemptListener and the sessions' SessionListener."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        downlink: Downlink,
        sessions: Sessions,
        ids: IdSource,
        clock: Clock,
        scheduler: Scheduler,
        start_id: StartId,
        settings: DispatcherSettings,
        events: EventSink,
    ) -> None:
        self._writer = writer
        self._downlink = downlink
        self._sessions = sessions
        self._clock = clock
        self._scheduler = scheduler
        self._settings = settings
        self._events = events
        self._writes = OpenWrites(writer=writer, scheduler=scheduler, clock=clock, events=events)
        self._behind = WriteBehind(writer=writer, scheduler=scheduler, events=events, kept_max=settings.behind_max)
        self._recovery = Recovery(writer=writer, reader=reader, sessions=sessions, clock=clock, events=events)
        self._bench = Workbench(encode=downlink.prepare, ids=ids, start_id=start_id)
        self._lanes: dict[DeviceId, Lane] = {}
        self._timers: dict[DeviceId, tuple[float, Timer]] = {}
        self._flights: dict[AttemptId, Lane] = {}
        self._callers = InstantCallers(callers_max=settings.instants_max)
        self._waiting_until: dict[DeviceId, Instant] = {}
        self._is_stopping = False
        downlink.listen(self)
        sessions.listen(self)

    @property
    def lanes_open(self) -> int:
        """How many devices have something going on."""
        return len(self._lanes)

    @property
    def instants_open(self) -> int:
        """How many callers wait for an instant command."""
        return len(self._callers)

    def holds(self, attempt: Attempt) -> bool:
        """Tell whether a lane will end this attempt."""
        lane = self._lanes.get(attempt.device_id)
        return lane is not None and lane.holds(attempt)

    # --- start and stop -----------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take over what the run before left: before anything else is served (P9)."""
        for found in await self._recovery.open_attempts():
            lane = self._open_lane(found.command.device_id)
            self.note_waiting(found.command.device_id, found.command.expires_at)
            event = AttemptAdopted(found.command, found.attempt, found.session, found.deadline)
            self._feed(found.command.device_id, lane, event)
        for device_id, until in await self._recovery.waiting_devices():
            self.note_waiting(device_id, until)

    async def answer_callers(self, timeout_s: float) -> None:
        """Begin nothing new, and answer the callers that wait, the last when the time is up.

        Answers to what is in flight are taken for as long as they come.
        """
        self._is_stopping = True
        self._feed_all(Stopping())
        await self._callers.wait(timeout_s)
        self._feed_all(CutOff())

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, wait for what is being written, and answer the callers that still wait.

        Attempts in flight stay on disk as sent: the next start adopts them.
        """
        self._is_stopping = True
        deadline = self._clock.monotonic() + timeout_s
        self._feed_all(Stopping())
        await self._writes.wait(deadline)
        self._feed_all(CutOff())
        await self._writes.wait(deadline)
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # --- what calls us ------------------------------------------------------------------------------------------

    def uplink(self, session: Session, trigger: Trigger) -> None:
        """A device showed itself and has our reply; never for a duplicate on the wire."""
        device_id = session.device_id
        current = self._sessions.find(device_id)
        if self._is_stopping or current is None:
            return
        has_waiting = self._has_waiting(device_id)
        lane = self._lanes.get(device_id)
        if lane is None:
            if not (has_waiting or current.pending_setup):
                return
            lane = self._open_lane(device_id)
        self._feed(device_id, lane, UplinkHeard(current, trigger, has_waiting))

    def note_waiting(self, device_id: DeviceId, until: Instant) -> None:
        """Something may wait for this device until its window closes: its uplinks are worth a look-up.

        Called before the command is accepted, so that no uplink falls between.
        """
        known = self._waiting_until.get(device_id)
        self._waiting_until[device_id] = until if known is None else max(known, until)

    async def run_instant(self, command: Command, *, deadline: float) -> InstantResult:
        """Run an instant command within its budget, which ends at `deadline` (monotonic).

        Raises:
            DeviceOffline: the device is not online, or went offline before anything was sent.
            Overloaded: too many are under way, for this device or in all.
        """
        self._check_capacity()
        session = await self._sessions.load(command.device_id)
        if session is None:
            raise DeviceOffline("the device is not online")
        lane = self._lanes.get(command.device_id)
        if lane is not None and lane.instants_waiting >= self._settings.instants_per_device_max:
            raise Overloaded("too many instant commands wait for this device")
        self._check_capacity()
        ticket = InstantTicket(command, deadline)
        caller = self._callers.add(ticket)
        self._feed(command.device_id, self._open_lane(command.device_id), InstantArrived(ticket, session))
        try:
            return await caller
        finally:
            self._withdraw(ticket)

    def _check_capacity(self) -> None:
        if self._is_stopping:
            raise Overloaded("the server stops")
        self._callers.check_room()

    def _withdraw(self, ticket: InstantTicket) -> None:
        """Its caller is gone or answered; what waits is taken back, what has left goes on to its record."""
        if not self._callers.leave(ticket):
            return
        lane = self._lanes.get(ticket.command.device_id)
        if lane is not None:
            self._feed(ticket.command.device_id, lane, InstantWithdrawn(ticket))

    def forget_device(self, device_id: DeviceId) -> None:
        """The device was deleted with everything it had."""
        self._waiting_until.pop(device_id, None)
        lane = self._lanes.get(device_id)
        if lane is not None:
            self._feed(device_id, lane, DeviceForgotten())

    # --- AttemptListener ----------------------------------------------------------------------------------------

    def attempt_ended(self, end: AttemptEnd) -> None:
        """The driver says how an attempt ended."""
        lane = self._flights.pop(end.attempt_id, None)
        if lane is None:
            self.late_answer(end.attempt_id, end.answer)
            return
        if end.answer is not None:
            self._sessions.hear_answer(lane.device_id)
        self._feed(lane.device_id, lane, AttemptEnded(end))

    def late_answer(self, attempt_id: AttemptId, answer: Answer | None) -> None:
        """An answer came after its attempt had ended: recorded, nothing more (P7)."""
        if answer is not None:
            self._behind.write(RecordLateAnswer(attempt_id=attempt_id))

    # --- SessionListener ----------------------------------------------------------------------------------------

    def session_started(self, session: Session, previous: Session | None) -> None:
        """A device registered: its exchanges of before are dead."""
        self._tell(session.device_id, SessionStarted(session))
        if previous is not None and previous.remote not in (None, session.remote):
            self._forget_remote(session.device_id, previous.remote)

    def session_ended(self, session: Session) -> None:
        """A device went offline."""
        self._tell(session.device_id, SessionEnded())
        self._forget_remote(session.device_id, session.remote)

    def remote_lost(self, session: Session) -> None:
        """Another device was heard from this one's address."""
        self._tell(session.device_id, RemoteLost())

    def remote_left(self, session: Session, remote: Remote) -> None:
        """The device was heard from another address."""
        self._forget_remote(session.device_id, remote)

    def _forget_remote(self, device_id: DeviceId, remote: Remote | None) -> None:
        lane = self._lanes.get(device_id)
        flight = None if lane is None else lane.flight
        if remote is not None and (flight is None or flight.remote != remote):
            self._downlink.forget(remote)

    def _tell(self, device_id: DeviceId, event: LaneEvent) -> None:
        lane = self._lanes.get(device_id)
        if lane is not None:
            self._feed(device_id, lane, event)

    # --- lanes --------------------------------------------------------------------------------------------------

    def _has_waiting(self, device_id: DeviceId) -> bool:
        until = self._waiting_until.get(device_id)
        if until is None:
            return False
        if until <= self._clock.wall_ms() and device_id not in self._lanes:
            del self._waiting_until[device_id]
            return False
        return True

    def _open_lane(self, device_id: DeviceId) -> Lane:
        lane = self._lanes.get(device_id)
        if lane is None:
            lane = self._lanes[device_id] = Lane(device_id, self._bench, self._settings)
        return lane

    def _feed_all(self, event: LaneEvent) -> None:
        for device_id, lane in list(self._lanes.items()):
            self._feed(device_id, lane, event)

    def _feed(self, device_id: DeviceId, lane: Lane, event: LaneEvent) -> None:
        if self._lanes.get(device_id) is not lane:
            return  # the lane is over; what was being written for it is written
        now = Moment(wall=self._clock.wall_ms(), monotonic=self._clock.monotonic())
        for effect in lane.on_event(event, now):
            self._carry_out(device_id, lane, effect)
        self._settle(device_id, lane)

    def _settle(self, device_id: DeviceId, lane: Lane) -> None:
        """Let an idle lane go; else have one timer for what it waits for."""
        is_idle = lane.is_idle
        if is_idle:
            del self._lanes[device_id]
        due = None if is_idle else lane.next_deadline()
        armed = self._timers.get(device_id)
        if armed is not None:
            if armed[0] == due:
                return
            armed[1].cancel()
            del self._timers[device_id]
        if due is not None:
            delay = max(0.0, due - self._clock.monotonic())
            self._timers[device_id] = due, self._scheduler.call_later(delay, self._wake, device_id, lane)

    def _wake(self, device_id: DeviceId, lane: Lane) -> None:
        self._timers.pop(device_id, None)
        self._feed(device_id, lane, DeadlinePassed())

    # --- effects ------------------------------------------------------------------------------------------------

    def _carry_out(self, device_id: DeviceId, lane: Lane, effect: LaneEffect) -> None:
        match effect:
            case Send(prepared=prepared, transmission=transmission):
                self._flights[transmission.attempt_id] = lane
                self._downlink.transmit(prepared, transmission)
            case Adopt(operation=operation, transmission=transmission):
                self._flights[transmission.attempt_id] = lane
                self._downlink.adopt(operation, transmission)
            case Abandon(attempt_id=attempt_id):
                self._flights.pop(attempt_id, None)
                self._downlink.abandon(attempt_id)
            case AnswerCaller():
                self._answer_caller(effect)
            case DropToken(session=session, coap_token=coap_token):
                self._sessions.note_dropped(session, coap_token)
                self._write(DropObservation(device_id=device_id, coap_token=coap_token))
            case Write(fact=fact):
                self._write(fact)
            case LookUp() | PutClaim() | PutEnd() | PutObservation():
                self._ask_store(device_id, lane, effect)

    def _ask_store(self, device_id: DeviceId, lane: Lane, effect: LookUp | PutClaim | PutEnd | PutObservation) -> None:
        def feed(event: LaneEvent) -> None:
            self._feed(device_id, lane, event)

        match effect:
            case LookUp(fact=look_up):
                self._writes.submit(look_up, lambda found: feed(LookedUp(found or ())))
            case PutClaim(fact=claim):
                attempt_id = claim.attempt.id
                self._writes.submit(claim, lambda result: feed(ClaimDecided(attempt_id, result)))
            case PutEnd(attempt_id=ended, fact=end):
                self._writes.submit(end, lambda result: feed(EndDecided(ended, result)))
            case PutObservation(attempt_id=observing, session=session, fact=add):

                def kept(is_kept: bool | None) -> None:
                    if is_kept:
                        self._sessions.note_observation(session, add.observation)
                    feed(ObservationDecided(observing, bool(is_kept)))

                self._writes.submit(add, kept)

    def _write(self, fact: Fact[object]) -> None:
        if fact.priority is Priority.BEHIND:
            self._behind.write(fact)
        else:
            self._writes.submit(fact, lambda _result: None)

    def _answer_caller(self, effect: AnswerCaller) -> None:
        self._callers.answer(effect)
        ticket = effect.ticket
        self._behind.write(RecordInstant(command=ticket.command, attempts=tuple(ticket.attempts)))
