"""Where a device's requests take off and land, one at a time: the part of a lane that knows what a request is.

Here: preparing, claiming, sending and ending cached commands, instant commands and setup steps. Not here: whose turn it
is (lane).
Design section 3; southbound reference 2.5, 2.6.
"""

from dataclasses import dataclass

from commandpost.domain.command import AttemptEnd, Command, Outcome
from commandpost.domain.command_state import AttemptEvent, FailedForNow, FailedTooLate
from commandpost.domain.delivery import after_attempt
from commandpost.domain.facts import Claim, FinishAndClaim, RefuseCommand
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import Deliver, Observe
from commandpost.domain.ports import PreparedOperation, Unencodable
from commandpost.domain.session import Observation, Session, SetupStep
from commandpost.domain.session_facts import AddObservation, KeepSetup
from commandpost.services.flight import Flight, Stage, Workbench, instant_attempt, make_claim, make_request
from commandpost.services.instants import InstantQueue, begin_attempt, end_attempt, end_unsent, may_send_again
from commandpost.services.lane_events import (
    Abandon,
    AnswerCaller,
    InstantTicket,
    LaneEffect,
    Moment,
    PutEnd,
    PutObservation,
    Send,
    Write,
)
from commandpost.services.learned import what_was_learned
from commandpost.services.setup import SetupPass
from commandpost.services.uplinks import Uplinks


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """Times and limits of a lane."""

    setup_timeout_ms: int = 8_000
    """How long one step after a registration may wait for its answer (design 3)."""
    setup_budget_ms: int = 10_000
    """How long such steps go before cached commands (design 3)."""
    setup_delay_ms: int = 250
    """From our 2.01 to the first request: modules ignore what comes before they are registered (SB 1.6)."""
    silences_to_postpone: int = 2
    cached_before_setup: bool = False
    release_max: int = 1_024
    """Commands looked up for one run; more than may wait for a device (domain.command.WAITING_MAX)."""


class Runway:
    """Holds the lane's state; `_flight` is what is in the air or about to be, `_ending` what is being written off."""

    def __init__(self, device_id: DeviceId, bench: Workbench, settings: LaneSettings) -> None:
        self.device_id = device_id
        self._bench = bench
        self._settings = settings
        self._session: Session | None = None
        self._flight: Flight | None = None
        self._ending: Flight | None = None
        self._is_looking_up = False
        self._is_stopping = False
        self._is_early = False
        self._not_before = 0.0
        self._uplinks = Uplinks()
        self._instants = InstantQueue()
        self._setup = SetupPass(silences_max=settings.silences_to_postpone)
        self._effects: list[LaneEffect] = []

    def _next_claim(self, session: Session, now: Moment) -> tuple[Flight, Claim] | None:
        while (command := self._uplinks.take(now.wall)) is not None:
            if isinstance(command.operation, Deliver):
                prepared: PreparedOperation | Unencodable = Unencodable(reason="a payload of /cmds is not for LwM2M")
            else:
                prepared = self._bench.encode(command.operation, session)
            if not isinstance(prepared, Unencodable):
                return make_claim(self._bench, command, session, prepared, now)
            refusal = RefuseCommand(command_id=command.id, outcome=Outcome.REQ_PARAM_ERROR, at=now.wall)
            self._effects.append(Write(refusal))
        return None

    # --- starting -----------------------------------------------------------------------------------------------

    def _start_instant(self, ticket: InstantTicket, session: Session, now: Moment) -> None:
        operation = ticket.command.operation
        assert not isinstance(operation, Deliver), "payloads of /cmds never reach an LwM2M lane"
        prepared = self._bench.encode(operation, session)
        if isinstance(prepared, Unencodable):
            self._answer_waiting(ticket, Outcome.REQ_PARAM_ERROR, now)
            return
        flight = make_request(self._bench, operation, session, prepared, deadline=ticket.deadline, now=now)
        flight.ticket = ticket
        flight.delivery = ticket.command.delivery
        self._start(flight, session, now, is_automatic=False)

    def _start_step(self, step: SetupStep, session: Session, now: Moment) -> None:
        prepared = self._bench.encode(step.operation, session)
        if isinstance(prepared, Unencodable):
            self._setup.note_answer(session, step)
            self._keep_setup(session)
            return
        deadline = now.monotonic + self._settings.setup_timeout_ms / SECOND_MS
        flight = make_request(self._bench, step.operation, session, prepared, deadline=deadline, now=now)
        flight.step = step
        self._start(flight, session, now, is_automatic=True)

    def _start(self, flight: Flight, session: Session, now: Moment, *, is_automatic: bool) -> None:
        self._flight = flight
        if not isinstance(flight.operation, Observe):
            self._launch(flight, now)
            return
        observation = Observation(coap_token=flight.coap_token, path=flight.operation.path, is_automatic=is_automatic)
        if observation in session.observations:
            self._launch(flight, now)
            return
        fact = AddObservation(device_id=self.device_id, epoch=session.epoch, observation=observation)
        self._effects.append(PutObservation(flight.attempt_id, session, fact))

    def _launch(self, flight: Flight, now: Moment) -> None:
        """Send what is on disk, or end it truthfully where that has become impossible."""
        session = self._session
        if now.monotonic >= flight.deadline:
            self._end(flight, flight.end(Outcome.TIME_OUT, now), now)
        elif session is None or not session.is_online(now.wall):
            self._end(flight, flight.end(Outcome.OFFLINE, now), now)
        elif session.remote is None:
            self._end(flight, flight.end(Outcome.ADDR_OCCUPIED, now), now)
        elif flight.command is not None and now.wall >= flight.command.expires_at:
            self._expire_unsent(flight, now)
        elif now.monotonic < self._not_before:
            flight.stage = Stage.HELD
        elif (prepared := self._prepared_for(flight, session)) is None:
            self._end(flight, flight.end(Outcome.REQ_PARAM_ERROR, now), now)
        else:
            self._send(flight, prepared, session, now)

    def _prepared_for(self, flight: Flight, session: Session) -> PreparedOperation | None:
        """Give the bytes; a device that registered meanwhile may have another root path."""
        if flight.epoch != session.epoch or flight.prepared is None:
            prepared = self._bench.encode(flight.operation, session)
            flight.prepared = None if isinstance(prepared, Unencodable) else prepared
            flight.epoch = session.epoch
        return flight.prepared

    def _send(self, flight: Flight, prepared: PreparedOperation, session: Session, now: Moment) -> None:
        assert session.remote is not None
        flight.stage = Stage.FLYING
        flight.remote = session.remote
        flight.prepared = None
        if flight.ticket is not None:
            begin_attempt(flight.ticket, instant_attempt(self._bench, flight, flight.ticket.command, now))
        self._effects.append(Send(prepared, flight.transmission(self.device_id, session.remote)))

    # --- ending -------------------------------------------------------------------------------------------------

    def _cut(self, outcome: Outcome, now: Moment, *, by_registration: bool = False) -> None:
        """End by silence what has left or is about to; what is still being written is left to go on."""
        flight = self._flight
        if flight is None or flight.stage is Stage.WRITING:
            return
        if flight.stage is Stage.HELD and by_registration:
            return  # nothing of it has left: it leaves for the new session
        if flight.stage is Stage.FLYING and flight.remote is not None:
            self._effects.append(Abandon(flight.attempt_id))
        self._end(flight, flight.end(outcome, now), now, may_repeat=by_registration)

    def _cut_caller(self, now: Moment) -> None:
        """Answer the caller whose command holds the lane; nobody will be there for its end."""
        flight = self._flight
        if flight is None or flight.ticket is None:
            return
        if flight.stage is Stage.WRITING:
            self._flight = None
            self._answer_waiting(flight.ticket, Outcome.TIME_OUT, now)
        else:
            self._cut(Outcome.TIME_OUT, now)

    def _end(self, flight: Flight, end: AttemptEnd, now: Moment, *, may_repeat: bool = False) -> None:
        self._flight = None
        if flight.command is not None:
            self._end_cached(flight, flight.command, end, now)
        elif flight.ticket is not None:
            self._end_instant(flight, flight.ticket, end, now, may_repeat=may_repeat)
        elif flight.step is not None:
            self._end_step(flight, flight.step, end)

    def _end_cached(self, flight: Flight, command: Command, end: AttemptEnd, now: Moment) -> None:
        event = after_attempt(command, end)
        if isinstance(event, FailedForNow):
            self._uplinks.fail(command.id)
        if end.is_silence and end.outcome is not Outcome.REQ_PARAM_ERROR:
            self._uplinks.stop()
        self._put_end(flight, command, event, now)

    def _expire_unsent(self, flight: Flight, now: Moment) -> None:
        """The window closed while the attempt was written or held: nothing has left, and nothing will (P6)."""
        assert flight.command is not None
        end = flight.end(Outcome.TIME_OUT, now)
        self._put_end(flight, flight.command, FailedTooLate(at=end.at, end=end), now)

    def _put_end(self, flight: Flight, command: Command, event: AttemptEvent, now: Moment) -> None:
        following = self._following_claim(now)
        self._ending = flight
        self._flight = None if following is None else following[0]
        fact = FinishAndClaim(
            command_id=command.id, event=event, next_claim=None if following is None else following[1]
        )
        self._effects.append(PutEnd(flight.attempt_id, fact))

    def _following_claim(self, now: Moment) -> tuple[Flight, Claim] | None:
        """Give the claim that rides on an outcome's transaction, unless something else comes first."""
        session = self._session
        if (
            not self._uplinks.has_queue
            or self._instants
            or self._is_stopping
            or session is None
            or session.remote is None
            or not session.is_online(now.wall)
            or now.monotonic < self._not_before
            or self._setup.is_first(now.monotonic)
        ):
            return None
        return self._next_claim(session, now)

    def _end_instant(
        self, flight: Flight, ticket: InstantTicket, end: AttemptEnd, now: Moment, *, may_repeat: bool
    ) -> None:
        if flight.stage is not Stage.FLYING:
            self._answer_waiting(ticket, end.outcome, now)
            return
        if self._session is not None:
            self._effects += what_was_learned(flight, end, self._session)
        if may_repeat and may_send_again(ticket, now.monotonic):
            end_attempt(ticket, end, is_last=False)
            self._instants.put_back(ticket)
            return
        end_attempt(ticket, end, is_last=True)
        result = None if end.answer is None else end.answer.result
        self._effects.append(AnswerCaller(ticket, end.outcome, result))

    def _answer_waiting(self, ticket: InstantTicket, outcome: Outcome, now: Moment) -> None:
        end_unsent(ticket, outcome, now.wall)
        self._effects.append(AnswerCaller(ticket, outcome, None))

    def _end_step(self, flight: Flight, step: SetupStep, end: AttemptEnd) -> None:
        session = self._session
        if session is None or session.epoch != flight.epoch or step not in session.pending_setup:
            return
        if end.outcome is Outcome.ADDR_OCCUPIED:
            self._setup.stop()
        elif end.is_silence:
            self._setup.note_silence(session, step)
        else:
            self._setup.note_answer(session, step)
            self._effects += what_was_learned(flight, end, session)
        self._keep_setup(session)

    def _keep_setup(self, session: Session) -> None:
        fact = KeepSetup(device_id=self.device_id, epoch=session.epoch, pending=session.pending_setup)
        self._effects.append(Write(fact))

    def _give_up(self, now: Moment, outcome: Outcome) -> None:
        """Nothing can be sent any more: callers that wait hear so, the rest waits for the next uplink."""
        self._uplinks.clear()
        self._setup.stop()
        for ticket in self._instants.take_all():
            self._answer_waiting(ticket, outcome, now)

    def _forget(self, now: Moment) -> None:
        flight, self._flight, self._ending, self._is_looking_up = self._flight, None, None, False
        self._session = None
        if flight is None:
            return
        if flight.stage is Stage.FLYING and flight.remote is not None:
            self._effects.append(Abandon(flight.attempt_id))
        if flight.ticket is not None:
            self._end_instant(flight, flight.ticket, flight.end(Outcome.OFFLINE, now), now, may_repeat=False)
