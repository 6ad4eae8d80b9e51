"""One device's turn-taking: a synchronous state machine, events in, effects out.

At most one LwM2M request of a device is in flight, whatever asked for it (P4). Between requests the order is: instant
commands, then the steps after a registration while their time lasts, then cached commands in order of acceptance, then
what is left of the steps. A lane exists only while it has something to do.

Here: what follows from what. Not here: carrying it out (dispatcher), which uplink releases what (uplinks), the steps of
a setup (setup). Design section 3; southbound reference 1.6, 2.4 to 2.6.
"""

from typing import Final

from commandpost.domain.command import Attempt, Command, Outcome, Trigger
from commandpost.domain.facts import (
    NotClaimed,
    WaitingFor,
)
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import Deliver
from commandpost.domain.session import Session
from commandpost.services.flight import GUARD_S, Flight, Stage
from commandpost.services.lane_events import (
    Adopt,
    AttemptAdopted,
    AttemptEnded,
    ClaimDecided,
    CutOff,
    DeadlinePassed,
    DeviceForgotten,
    EndDecided,
    InstantArrived,
    InstantWithdrawn,
    LaneEffect,
    LaneEvent,
    LookedUp,
    LookUp,
    Moment,
    ObservationDecided,
    PutClaim,
    RemoteLost,
    SessionEnded,
    SessionStarted,
    Stopping,
    UplinkHeard,
)
from commandpost.services.runway import LaneSettings, Runway

WRITE_AGAIN_S: Final = 0.1
"""Pause before a token that could not be written is written again."""

__all__ = ["Lane", "LaneSettings"]


class Lane(Runway):
    """See the module. `on_event` never blocks and never raises for what a device or a caller did."""

    # --- what the dispatcher sees -------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether the lane may go: nothing is in flight, being written, or waiting for its turn."""
        return (
            self._flight is None
            and self._ending is None
            and not self._is_looking_up
            and not self._instants
            and not self._has_business()
        )

    @property
    def instants_waiting(self) -> int:
        """How many instant commands wait for their turn."""
        return len(self._instants)

    @property
    def flight(self) -> Flight | None:
        """What holds the lane."""
        return self._flight

    def holds(self, attempt: Attempt) -> bool:
        """Tell whether this lane will end the attempt."""
        return any(flight is not None and flight.attempt_id == attempt.id for flight in (self._flight, self._ending))

    def next_deadline(self) -> float | None:
        """Give when DeadlinePassed is due, on the monotonic clock; None: nothing to wait for."""
        deadlines = [] if (waiting := self._instants.next_deadline()) is None else [waiting]
        flight = self._flight
        if flight is None:
            if self._is_early:
                deadlines.append(self._not_before)
        elif flight.stage is Stage.HELD:
            deadlines.append(min(self._not_before, flight.deadline))
        elif flight.stage is Stage.FLYING:
            deadlines.append(flight.deadline if flight.remote is None else flight.deadline + GUARD_S)
        return min(deadlines, default=None)

    def on_event(self, event: LaneEvent, now: Moment) -> list[LaneEffect]:
        """Take in one event; gives what has to be done, in order."""
        self._take_in(event, now)
        self._go_on(now)
        effects, self._effects = self._effects, []
        return effects

    def _take_in(self, event: LaneEvent, now: Moment) -> None:
        match event:
            case UplinkHeard():
                self._on_uplink(event, now)
            case InstantArrived():
                self._on_instant(event, now)
            case InstantWithdrawn():
                if self._instants.withdraw(event.ticket):
                    self._answer_waiting(event.ticket, Outcome.TIME_OUT, now)
            case LookedUp():
                self._is_looking_up = False
                self._uplinks.fill(event.commands)
            case ClaimDecided():
                self._on_claim(event, now)
            case EndDecided():
                self._on_end_written(event, now)
            case ObservationDecided():
                self._on_observation(event, now)
            case AttemptEnded():
                if self._flight is not None and self._flight.attempt_id == event.end.attempt_id:
                    self._end(self._flight, event.end, now)
            case AttemptAdopted():
                self._on_adopted(event)
            case DeadlinePassed():
                pass  # _go_on looks at the clock
            case SessionStarted() | SessionEnded() | RemoteLost() | DeviceForgotten() | Stopping() | CutOff():
                self._on_change(event, now)

    def _on_change(
        self,
        event: SessionStarted | SessionEnded | RemoteLost | DeviceForgotten | Stopping | CutOff,
        now: Moment,
    ) -> None:
        match event:
            case SessionStarted():
                self._follow(event.session)
                self._setup.stop()
                self._not_before = now.monotonic + self._settings.setup_delay_ms / SECOND_MS
                self._cut(Outcome.TIME_OUT, now, by_registration=True)
            case SessionEnded():
                self._give_up(now, Outcome.OFFLINE)
                self._session = None
            case RemoteLost():
                self._give_up(now, Outcome.ADDR_OCCUPIED)
                self._cut(Outcome.ADDR_OCCUPIED, now)
            case DeviceForgotten():
                self._give_up(now, Outcome.OFFLINE)
                self._forget(now)
            case Stopping():
                self._is_stopping = True
            case CutOff():
                self._give_up(now, Outcome.TIME_OUT)
                self._cut_caller(now)

    # --- events -------------------------------------------------------------------------------------------------

    def _follow(self, session: Session) -> None:
        if self._session is None or session.epoch >= self._session.epoch:
            self._session = session

    def _on_uplink(self, event: UplinkHeard, now: Moment) -> None:
        self._follow(event.session)
        if self._is_stopping:
            return
        if event.has_waiting:
            self._uplinks.hear(event.trigger)
        is_registration = bool(event.trigger & Trigger.REGISTER)
        if is_registration:
            self._not_before = now.monotonic + self._settings.setup_delay_ms / SECOND_MS
        session = self._session
        if session is None or not session.pending_setup:
            return
        if is_registration and not self._settings.cached_before_setup:
            self._setup.start(first_until=self._not_before + self._settings.setup_budget_ms / SECOND_MS)
        elif not self._setup.is_active:
            self._setup.start(first_until=0.0)

    def _on_instant(self, event: InstantArrived, now: Moment) -> None:
        self._follow(event.session)
        self._instants.put(event.ticket)
        registered_ms_ago = now.wall - event.session.registered_at
        if 0 <= registered_ms_ago < self._settings.setup_delay_ms:  # our 2.01 may not even have left
            left_ms = self._settings.setup_delay_ms - registered_ms_ago
            self._not_before = max(self._not_before, now.monotonic + left_ms / SECOND_MS)

    def _on_claim(self, event: ClaimDecided, now: Moment) -> None:
        flight = self._flight
        if flight is None or flight.attempt_id != event.attempt_id:
            return
        self._settle_claim(flight, event.result, now)

    def _settle_claim(self, flight: Flight, result: Command | NotClaimed | None, now: Moment) -> None:
        if isinstance(result, Command):
            flight.command = result
            self._launch(flight, now)
            return
        self._flight = None
        match result:
            case NotClaimed.NOT_WAITING | NotClaimed.OUTSIDE_WINDOW:
                pass
            case NotClaimed.STALE_EPOCH if self._session is not None and self._session.epoch > flight.epoch:
                assert flight.command is not None
                self._uplinks.put_back(flight.command)
            case NotClaimed.GONE:
                self._uplinks.clear()
            case _:
                self._uplinks.stop()

    def _on_end_written(self, event: EndDecided, now: Moment) -> None:
        if self._ending is None or self._ending.attempt_id != event.attempt_id:
            return
        self._ending = None
        following = self._flight
        if event.result is None:
            # The outcome is not on disk: the command stays sent there, and the rescuer ends it by silence.
            self._uplinks.stop()
        if following is not None and following.stage is Stage.WRITING:
            self._settle_claim(following, None if event.result is None else event.result[1], now)

    def _on_observation(self, event: ObservationDecided, now: Moment) -> None:
        flight = self._flight
        if flight is None or flight.attempt_id != event.attempt_id:
            return
        is_current = self._session is not None and self._session.epoch == flight.epoch
        if event.is_kept and is_current:
            self._launch(flight, now)
            return
        # A registration came in between and dropped the token, or its word is about to come, or the disk is unwell.
        self._flight = None
        self._not_before = max(self._not_before, now.monotonic + WRITE_AGAIN_S)
        if flight.ticket is not None:
            self._instants.put_back(flight.ticket)
        elif is_current:
            self._setup.stop()

    def _on_adopted(self, event: AttemptAdopted) -> None:
        command, attempt = event.command, event.attempt
        assert self._flight is None, "P4: one attempt per device is open"
        assert not isinstance(command.operation, Deliver)
        if event.session is not None:
            self._follow(event.session)
        flight = Flight(
            attempt_id=attempt.id,
            coap_token=attempt.coap_token,
            operation=command.operation,
            epoch=0 if event.session is None else event.session.epoch,
            deadline=event.deadline,
            delivery=command.delivery,
            prepared=None,
            command=command,
            stage=Stage.FLYING,
        )
        self._flight = flight
        remote = None if event.session is None else event.session.remote
        if remote is not None:
            flight.remote = remote
            self._effects.append(Adopt(command.operation, flight.transmission(self.device_id, remote)))

    # --- going on -----------------------------------------------------------------------------------------------

    def _has_business(self) -> bool:
        return not self._uplinks.is_idle or self._setup.is_active

    def _go_on(self, now: Moment) -> None:
        for ticket in self._instants.take_overdue(now.monotonic):
            self._answer_waiting(ticket, Outcome.TIME_OUT, now)
        flight = self._flight
        if flight is not None and flight.stage is not Stage.WRITING:
            self._watch(flight, now)
        self._is_early = False
        while self._flight is None and self._ending is None and (self._instants or self._has_business()):
            if (session := self._usable_session(now)) is None:
                break
            if now.monotonic < self._not_before:
                self._is_early = True
                break
            if not self._start_next(session, now):
                break

    def _watch(self, flight: Flight, now: Moment) -> None:
        if flight.stage is Stage.HELD and now.monotonic >= min(self._not_before, flight.deadline):
            self._launch(flight, now)
        elif flight.stage is Stage.FLYING:
            patience = 0.0 if flight.remote is None else GUARD_S
            if now.monotonic >= flight.deadline + patience:
                self._cut(Outcome.TIME_OUT, now)

    def _usable_session(self, now: Moment) -> Session | None:
        """Give the session if something may be sent to it now; else nothing may wait here any longer."""
        session = self._session
        if self._is_stopping:
            self._give_up(now, Outcome.TIME_OUT)
            return None
        if session is None or not session.is_online(now.wall):
            self._give_up(now, Outcome.OFFLINE)
            return None
        if session.remote is None:
            self._give_up(now, Outcome.ADDR_OCCUPIED)
            return None
        return session

    def _start_next(self, session: Session, now: Moment) -> bool:
        """Start what comes next; False: nothing can be started before another event."""
        if (ticket := self._instants.take()) is not None:
            self._start_instant(ticket, session, now)
            return True
        if self._setup.is_first(now.monotonic):
            if (step := self._setup.next_step(session)) is not None:
                self._start_step(step, session, now)
            return True
        if (claimed := self._next_claim(session, now)) is not None:
            self._flight, claim = claimed
            self._effects.append(PutClaim(claim))
            return True
        if self._is_looking_up:
            return False
        if self._uplinks.is_armed:
            self._look_up(now)
            return True
        if (step := self._setup.next_step(session)) is not None:
            self._start_step(step, session, now)
            return True
        return False

    def _look_up(self, now: Moment) -> None:
        self._is_looking_up = True
        fact = WaitingFor(
            device_id=self.device_id,
            trigger=self._uplinks.begin(),
            now=now.wall,
            limit=self._settings.release_max,
        )
        self._effects.append(LookUp(fact))
