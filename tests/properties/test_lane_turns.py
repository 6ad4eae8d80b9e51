"""Whatever happens to a device, and in whatever order, its lane keeps the promises.

A lane is driven by arbitrary events; a small world around it answers its effects (at once or later, well or ill) and
checks each effect as it comes.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import (
    Answer,
    AttemptEnd,
    Command,
    CommandMode,
    CommandState,
    DeliveryPolicy,
    Outcome,
    Trigger,
)
from commandpost.domain.command_state import Claimed, FailedForNow, Refused, advance
from commandpost.domain.facts import Claim, FinishAndClaim, LateAnswer, NotClaimed, RefuseCommand, WaitingFor
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Execute, Lwm2mOperation, Observe
from commandpost.domain.ports import PreparedOperation, Unencodable
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Remote, Session, SetupKind, SetupStep
from commandpost.services.flight import GUARD_S, Workbench
from commandpost.services.lane import Lane, LaneSettings
from commandpost.services.lane_events import (
    Abandon,
    AnswerCaller,
    AttemptEnded,
    ClaimDecided,
    CutOff,
    DeadlinePassed,
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
from commandpost.services.setup import READ_DEVICE
from tests.fakes.clock import ManualClock
from tests.fakes.ids import CountingIds

DEVICE: Final = DeviceId(7)
UNENCODABLE: Final = 13
OBSERVED: Final = Observe(path=ResourcePath(object_id=3303, instance_id=0))
SETUP: Final = (SetupStep(SetupKind.OBSERVE, OBSERVED), READ_DEVICE)


@dataclass
class World:
    """A store, a driver and callers, as small as they can be; every effect is checked as it comes."""

    clock: ManualClock = field(default_factory=ManualClock)
    ids: CountingIds = field(default_factory=CountingIds)
    commands: dict[CommandId, Command] = field(default_factory=dict)
    epoch: int = 1
    session: Session | None = None
    pending: deque[LaneEffect] = field(default_factory=deque)
    on_disk: set[AttemptId] = field(default_factory=set)
    sent: list[AttemptId] = field(default_factory=list)
    in_flight: AttemptId | None = None
    tickets: dict[CommandId, InstantTicket] = field(default_factory=dict)
    instant_sendings: dict[CommandId, int] = field(default_factory=dict)
    answered: set[CommandId] = field(default_factory=set)
    last_seq_in_run: int = 0
    heard: list[Trigger] = field(default_factory=list)
    is_stopping: bool = False
    is_run_over: bool = True
    """Whether silence has ended the run, so that only a new look-up may claim."""
    observed: dict[bytes, int] = field(default_factory=dict)
    """Tokens on disk, with the epoch they were written under."""
    failed_after: dict[CommandId, int] = field(default_factory=dict)
    """How many uplinks had been heard when an attempt of the command failed."""

    def __post_init__(self) -> None:
        bench = Workbench(encode=self.encode, ids=self.ids, start_id=StartId(1))
        self.lane = Lane(DEVICE, bench, LaneSettings())
        self.session = self.new_session()

    def encode(self, operation: Lwm2mOperation, session: Session) -> PreparedOperation | Unencodable:
        if operation.path.resource_id == UNENCODABLE:
            return Unencodable(reason="always")
        return PreparedOperation(operation)

    def new_session(self) -> Session:
        now = self.clock.wall_ms()
        return Session(
            device_id=DEVICE,
            product_id=ProductId(1),
            epoch=self.epoch,
            endpoint_name="x",
            location="x",
            remote=Remote(b"r"),
            start_id=StartId(1),
            lifetime_s=86_400,
            registered_at=now,
            last_heard_at=now,
            deadline=Instant(now + 86_400_000),
            stored_deadline=Instant(now + 86_400_000),
            pending_setup=SETUP,
        )

    # --- effects ------------------------------------------------------------------------------------------------

    def tell(self, event: LaneEvent) -> None:
        now = Moment(wall=self.clock.wall_ms(), monotonic=self.clock.monotonic())
        for effect in self.lane.on_event(event, now):
            self.check(effect)

    def check(self, effect: LaneEffect) -> None:
        match effect:
            case Send(prepared=prepared, transmission=transmission):
                assert self.in_flight is None, "P4: one in flight"
                assert not self.is_ending(), "the outcome before is on disk first"
                assert transmission.attempt_id not in self.sent, "an attempt is one sending"
                assert transmission.deadline > self.clock.monotonic()
                assert self.session is not None
                assert self.session.remote == transmission.remote
                encoded: object = prepared
                if encoded == OBSERVED:
                    assert self.observed.get(transmission.coap_token) == self.epoch, "its token is on disk"
                owner = self.owner(transmission.attempt_id)
                if owner is not None:
                    assert transmission.attempt_id in self.on_disk, "P3: on disk before it leaves"
                    assert owner.retry is not None
                    assert owner.attempts <= 1 + owner.retry, "P3: at most 1 + retry"
                self.in_flight = transmission.attempt_id
                self.sent.append(transmission.attempt_id)
            case Abandon(attempt_id=attempt_id):
                assert self.in_flight == attempt_id
                self.in_flight = None
            case Write(fact=fact):
                if isinstance(fact, RefuseCommand):
                    refusal = Refused(at=fact.at, outcome=fact.outcome)
                    command = self.commands[fact.command_id]
                    if command.state is CommandState.WAITING:
                        self.commands[fact.command_id] = advance(command, refusal)
            case AnswerCaller(ticket=ticket):
                assert ticket.command.id not in self.answered, "one answer for each caller"
                assert ticket.command.state.is_final
                assert len(ticket.attempts) <= 1 + (ticket.command.retry or 0)
                self.answered.add(ticket.command.id)
            case PutEnd(fact=end):
                if end.event.end.is_silence:
                    self.is_run_over = True
                if isinstance(end.event, FailedForNow):
                    self.failed_after[end.command_id] = len(self.heard)
                if end.next_claim is not None:
                    self.check_trigger(end.next_claim)
                self.pending.append(effect)
            case PutClaim(fact=claim):
                self.check_trigger(claim)
                self.pending.append(effect)
            case LookUp() | PutObservation():
                self.pending.append(effect)

    def check_trigger(self, claim: Claim) -> None:
        """A command that failed waits for an uplink of its own that came after the failure."""
        assert not self.is_run_over, "silence ended the run"
        assert not self.is_stopping, "nothing new begins"
        assert not self.is_ending(), "the outcome before is on disk first"
        command = self.commands[claim.attempt.command_id]
        later = self.heard[self.failed_after.get(command.id, 0) :]
        assert any(command.triggers & trigger for trigger in later), "released by no uplink"

    def is_ending(self) -> bool:
        return any(isinstance(effect, PutEnd) for effect in self.pending)

    def owner(self, attempt_id: AttemptId) -> Command | None:
        for command in self.commands.values():
            if command.current_attempt == attempt_id:
                return command
        return None

    # --- the store ----------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Answer the oldest question."""
        if not self.pending:
            return
        match self.pending.popleft():
            case LookUp(fact=look_up):
                self.last_seq_in_run = 0
                self.is_run_over = False
                self.tell(LookedUp(self.waiting_for(look_up)))
            case PutClaim(fact=claim):
                self.tell(ClaimDecided(claim.attempt.id, self.claim(claim)))
            case PutEnd(attempt_id=attempt_id, fact=end):
                self.tell(EndDecided(attempt_id, self.finish(end)))
            case PutObservation(attempt_id=attempt_id, fact=add):
                if add.epoch == self.epoch:
                    self.observed[add.observation.coap_token] = self.epoch
                self.tell(ObservationDecided(attempt_id, add.epoch == self.epoch))
            case _:
                raise AssertionError("nothing else waits for the store")

    def fail_write(self) -> None:
        """The oldest question cannot be answered."""
        if not self.pending:
            return
        match self.pending.popleft():
            case LookUp():
                self.tell(LookedUp(()))
            case PutClaim(fact=claim):
                self.tell(ClaimDecided(claim.attempt.id, None))
            case PutEnd(attempt_id=attempt_id, fact=end):
                # The rescuer does it later: here at once, or the command would stay sent and nothing could follow.
                self.finish(replace(end, next_claim=None))
                self.tell(EndDecided(attempt_id, None))
            case PutObservation(attempt_id=attempt_id):
                self.tell(ObservationDecided(attempt_id, False))
            case _:
                raise AssertionError("nothing else waits for the store")

    def waiting_for(self, fact: WaitingFor) -> tuple[Command, ...]:
        return tuple(
            command
            for command in sorted(self.commands.values(), key=lambda each: each.seq)
            if command.state is CommandState.WAITING
            and command.triggers & fact.trigger
            and command.valid_from <= fact.now < command.expires_at
        )

    def claim(self, fact: Claim) -> Command | NotClaimed:
        command = self.commands[fact.attempt.command_id]
        if command.state is not CommandState.WAITING:
            return NotClaimed.NOT_WAITING
        if not command.valid_from <= fact.attempt.sent_at < command.expires_at:
            return NotClaimed.OUTSIDE_WINDOW
        if fact.epoch != self.epoch:
            return NotClaimed.STALE_EPOCH
        assert all(each.state is not CommandState.SENT for each in self.commands.values()), "P4, in the store"
        assert command.seq > self.last_seq_in_run, "P5: in order of acceptance, each at most once in a run"
        self.last_seq_in_run = command.seq
        claimed = advance(command, Claimed(at=fact.attempt.sent_at, attempt_id=fact.attempt.id))
        self.commands[command.id] = claimed
        self.on_disk.add(fact.attempt.id)
        return claimed

    def finish(self, fact: FinishAndClaim) -> tuple[Command | LateAnswer, Command | NotClaimed | None]:
        command = self.commands[fact.command_id]
        assert command.current_attempt == fact.event.end.attempt_id, "an end is told once"
        ended = self.commands[command.id] = advance(command, fact.event)
        return ended, None if fact.next_claim is None else self.claim(fact.next_claim)

    # --- what happens -------------------------------------------------------------------------------------------

    def make(self, mode: CommandMode, number: int, retry: int, policy: DeliveryPolicy, triggers: Trigger) -> Command:
        now = self.clock.wall_ms()
        return Command(
            seq=len(self.commands) + 1,
            id=self.ids.new_command_id(now),
            product_id=ProductId(1),
            device_id=DEVICE,
            imei="x",
            operation=Execute(path=ResourcePath(object_id=3306, instance_id=0, resource_id=number)),
            mode=mode,
            created_at=now,
            valid_from=now,
            expires_at=Instant(now + 60_000),
            retry=retry,
            remaining=retry,
            answer_timeout_ms=10_000,
            triggers=triggers,
            delivery=policy,
        )

    def accept(self, number: int, retry: int, policy: DeliveryPolicy, triggers: int) -> None:
        command = self.make(CommandMode.CACHED, number, retry, policy, Trigger(triggers))
        self.commands[command.id] = command

    def instant(self, number: int, policy: DeliveryPolicy) -> None:
        if self.session is None:
            return
        retry = 1 if policy is DeliveryPolicy.AT_LEAST_ONCE else 0
        command = self.make(CommandMode.INSTANT, number, retry, policy, Trigger.AT_ONCE)
        ticket = self.tickets[command.id] = InstantTicket(command, self.clock.monotonic() + 15.0)
        self.tell(InstantArrived(ticket, self.session))

    def observe_now(self) -> None:
        if self.session is None:
            return
        command = self.make(CommandMode.INSTANT, 1, 1, DeliveryPolicy.AT_LEAST_ONCE, Trigger.AT_ONCE)
        ticket = InstantTicket(replace(command, operation=OBSERVED), self.clock.monotonic() + 15.0)
        self.tickets[command.id] = ticket
        self.tell(InstantArrived(ticket, self.session))

    def withdraw(self) -> None:
        for command_id, ticket in self.tickets.items():
            if command_id not in self.answered:
                self.tell(InstantWithdrawn(ticket))
                return

    def register(self) -> None:
        self.epoch += 1
        self.session = self.new_session()
        self.tell(SessionStarted(self.session))
        assert self.in_flight is None, "the old exchange is dead"
        self.heard.append(Trigger.REGISTER)
        self.tell(UplinkHeard(self.session, Trigger.REGISTER, has_waiting=True))

    def uplink(self, trigger: Trigger) -> None:
        if self.session is not None:
            self.session.remote = Remote(b"r")
            self.heard.append(trigger)
            self.tell(UplinkHeard(self.session, trigger, has_waiting=True))

    def leave(self) -> None:
        if self.session is not None:
            self.session = None
            self.tell(SessionEnded())

    def lose_address(self) -> None:
        if self.session is not None:
            self.session.remote = None
            self.tell(RemoteLost())

    def end(self, outcome: Outcome, *, has_answer: bool) -> None:
        if self.in_flight is None:
            return
        attempt_id, self.in_flight = self.in_flight, None
        answer = Answer(code=0x45) if has_answer else None
        end = AttemptEnd(attempt_id=attempt_id, outcome=outcome, at=self.clock.wall_ms(), answer=answer)
        self.tell(AttemptEnded(end))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        due = self.lane.next_deadline()
        if due is not None and due <= self.clock.monotonic():
            self.tell(DeadlinePassed())
        for command_id, ticket in self.tickets.items():
            has_ended = command_id in self.answered or ticket.deadline + GUARD_S > self.clock.monotonic()
            assert has_ended or self.pending, "a budget is a budget"

    def wind_down(self) -> None:
        """Let everything end that has begun."""
        for _ in range(1_000):
            if self.lane.is_idle:
                return
            if self.pending:
                self.commit()
            elif self.in_flight is not None:
                self.end(Outcome.TIME_OUT, has_answer=False)
            else:
                due = self.lane.next_deadline()
                assert due is not None, "it waits for nothing"
                assert due > self.clock.monotonic() - 1e-6 or not self.lane.is_idle
                self.pass_time(max(0.0, due - self.clock.monotonic()))
        raise AssertionError("the lane does not come to rest")


POLICIES: Final = st.sampled_from(DeliveryPolicy)
STEPS: Final = st.one_of(
    st.tuples(st.just("accept"), st.sampled_from([1, 2, UNENCODABLE]), st.integers(0, 2), POLICIES, st.integers(1, 7)),
    st.tuples(st.just("instant"), st.sampled_from([1, UNENCODABLE]), POLICIES),
    st.tuples(
        st.sampled_from(["observe_now", "withdraw", "register", "leave", "lose_address", "commit", "fail_write"])
    ),
    st.tuples(st.just("commit")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("uplink"), st.sampled_from([Trigger.UPDATE, Trigger.NOTIFY])),
    st.tuples(st.just("good")),
    st.tuples(st.just("bad")),
    st.tuples(st.just("silence")),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 0.3, 3.0, 9.0, 13.0, 61.0])),
)


def play(world: World, steps: Sequence[tuple[object, ...]]) -> None:
    for name, *arguments in steps:
        match name:
            case "good":
                world.end(Outcome.SUCCESS, has_answer=True)
            case "bad":
                world.end(Outcome.METHOD_NOT_ALLOWED, has_answer=True)
            case "silence":
                world.end(Outcome.TIME_OUT, has_answer=False)
            case _:
                getattr(world, str(name))(*arguments)


@given(st.lists(STEPS, max_size=60))
def test_lane_keeps_its_promises_whatever_happens(steps: list[tuple[object, ...]]) -> None:
    """P3, P4, P5; every caller gets one answer; in the end the lane is idle."""
    world = World()

    play(world, steps)
    world.wind_down()

    assert set(world.tickets) == world.answered
    assert all(command.state is not CommandState.SENT for command in world.commands.values())
    for command in world.commands.values():
        if command.delivery is DeliveryPolicy.AT_MOST_ONCE:
            assert command.attempts <= 1


@given(st.lists(STEPS, max_size=40))
def test_lane_that_is_stopped_comes_to_rest_and_answers_its_callers(steps: list[tuple[object, ...]]) -> None:
    """Nothing begins after Stopping but what is on disk already."""
    world = World()
    play(world, steps)

    world.is_stopping = True
    world.tell(Stopping())
    claims = sum(isinstance(effect, PutClaim) for effect in world.pending)
    while world.pending:
        world.commit()
    sent = len(world.sent)
    world.tell(CutOff())
    world.accept(1, 0, DeliveryPolicy.AT_LEAST_ONCE, 7)
    world.uplink(Trigger.UPDATE)
    world.wind_down()

    assert claims <= 1
    assert len(world.sent) == sent
    assert set(world.tickets) == world.answered


@given(st.lists(st.sampled_from([Outcome.SUCCESS, Outcome.METHOD_NOT_ALLOWED]), min_size=1, max_size=10))
def test_one_run_sends_each_waiting_command_once_in_order(outcomes: list[Outcome]) -> None:
    """P5, as long as the device answers at all."""
    world = World()
    assert world.session is not None
    world.session.pending_setup = ()
    for _ in outcomes:
        world.accept(1, 3, DeliveryPolicy.AT_LEAST_ONCE, 7)

    world.uplink(Trigger.UPDATE)
    world.commit()  # the look-up
    commits = 0
    for outcome in outcomes:
        world.commit()
        commits += 1
        world.end(outcome, has_answer=True)
    world.commit()

    assert commits + 1 == len(outcomes) + 1
    assert [command.attempts for command in world.commands.values()] == [1] * len(outcomes)
    assert world.lane.is_idle
