"""Whatever happens to a connection, and in whatever order, its lane keeps the promises about payloads.

A lane is driven by arbitrary events over the reference store; what it asks of the disk waits in one queue, as in the
writer, is answered late, or cannot be written. Each effect is checked as it comes. Design section 2 (P3, P4, P5), 10.2.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import PAYLOAD_WINDOW_MAX, Command, CommandMode, CommandState, Transport, Trigger
from commandpost.domain.connection import Connection
from commandpost.domain.delivery import is_releasable
from commandpost.domain.facts import AcceptCommand, Accepted, Fact
from commandpost.domain.ids import AttemptId, CommandId, StartId
from commandpost.domain.instant import SECOND_MS, after
from commandpost.domain.operation import Deliver
from commandpost.domain.payload_facts import ReplyToPayload, StartConnection
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.ports import CommandRecord
from commandpost.domain.session import Remote
from commandpost.services.lane_events import Moment
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
from commandpost.stores.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.ids import CountingIds
from tests.unit.services.payload_house import PayloadHouse

ANSWER_WINDOW_MS: Final = 10_000
KEPT_S: Final = 60
ROUNDS_MAX: Final = 2_000  # far more than any of these worlds needs to come to rest

Step = Callable[["World"], None]


@dataclass(slots=True, eq=False)
class Opened:
    """A connection with its lane, and what it was handed."""

    lane: PayloadLane
    sent: list[PayloadTransmission]
    unconfirmed: list[AttemptId] = field(default_factory=list)
    """What `come_to_rest` has not confirmed."""
    is_troubled: bool = False
    """A write of it failed: a payload that had to wait for the disk goes out after those that had not."""


class World:
    """The disk, the clock, and the connections of one device, one after the other."""

    def __init__(self) -> None:
        house = PayloadHouse()
        self.product, self.device = asyncio.run(house.add_product_with_device())
        self.store: MemoryStore = house.store
        self.clock: ManualClock = house.clock
        self.ids: CountingIds = house.ids
        self.start_id = StartId(1)
        self.writes: deque[tuple[Fact[Any], Callable[[Any], None]]] = deque()  # Any: each fact has its own result
        self.opened: Opened | None = None
        self.accepted: list[Command] = []
        self.sendings: Counter[CommandId] = Counter()

    @property
    def now(self) -> Moment:
        """Both clocks."""
        return Moment(wall=self.clock.wall_ms(), monotonic=self.clock.monotonic())

    def command(self, command_id: CommandId) -> Command:
        """Read a command as it is on disk."""
        reading = self.store.find_command(command_id)
        try:
            reading.send(None)  # memory has nothing to wait for, and a loop for each look would take most of the time
        except StopIteration as answer:
            record: CommandRecord | None = answer.value
            assert record is not None
            return record.command
        raise AssertionError("the memory store waits for something")

    # --- what happens -------------------------------------------------------------------------------------------

    def submit(self, qos: int, *, is_kept: bool = True) -> None:
        """An application hands a payload in; it is accepted when the disk has it."""
        now = self.clock.wall_ms()
        waits = qos == 1 and is_kept
        window_ms = KEPT_S * SECOND_MS if is_kept else ANSWER_WINDOW_MS
        command = Command(
            id=self.ids.new_command_id(now),
            product_id=self.product.id,
            device_id=self.device.id,
            imei="",
            operation=Deliver(payload=b"payload", qos=qos, kind=0),
            mode=CommandMode.CACHED if is_kept else CommandMode.INSTANT,
            transport=Transport.MQTT,
            created_at=now,
            valid_from=now,
            expires_at=after(now, duration_ms=window_ms),
            retry=None if waits else 0,
            remaining=None if waits else 0,
            answer_timeout_ms=window_ms if waits else ANSWER_WINDOW_MS,
            triggers=Trigger.CONNECT | Trigger.AT_ONCE if is_kept else Trigger.AT_ONCE,
        )
        self.writes.append((AcceptCommand(command=command, waiting_max=1_000), self._decided))

    def _decided(self, result: object) -> None:
        if isinstance(result, Accepted):
            self.accepted.append(result.command)
            if self.opened is not None:
                self.carry_out(self.opened, self.opened.lane.accepted(result.command, self.now))

    def write(self, *, fails: bool = False) -> None:
        """The disk comes to the oldest write."""
        if not self.writes:
            return
        fact, then = self.writes.popleft()
        if fails and not isinstance(fact, AcceptCommand):
            if self.opened is not None:
                self.opened.is_troubled = True
            then(None)
        elif not fails:
            then(self.store.apply([fact])[0])

    def settle(self) -> None:
        """Nothing is under way any more."""
        self.flush()
        if self.opened is not None:
            self.come_to_rest()

    def flush(self) -> None:
        """The disk catches up."""
        while self.writes:
            self.write()

    def submit_late(self, qos: int) -> None:
        """A payload's window closes while its attempt is being written."""
        self.settle()
        self.submit(qos)
        self.write()
        self.pass_time(KEPT_S + 1)

    def submit_and_close(self, qos: int) -> None:
        """The connection ends while a payload's attempt is being written."""
        self.settle()
        self.submit(qos)
        self.write()
        self.close()
        self.flush()

    def submit_in_vain(self, qos: int) -> None:
        """A payload's attempt cannot be written."""
        self.settle()
        self.submit(qos)
        self.write()
        self.write(fails=True)

    def connect(self) -> None:
        """A login: whatever connection there was has ended."""
        self.close()
        connection = Connection(
            device_id=self.device.id,
            product_id=self.product.id,
            transport=Transport.MQTT,
            start_id=self.start_id,
            remote=Remote(b"here"),
            keepalive_s=120,
            connected_at=self.clock.wall_ms(),
        )
        epoch = self.store.apply([StartConnection(connection=connection)])[0]
        assert isinstance(epoch, int)
        lane = PayloadLane(replace(connection, epoch=epoch), ids=self.ids, start_id=self.start_id)
        self.opened = Opened(lane, [])
        self.carry_out(self.opened, lane.opened(self.now))

    def close(self) -> None:
        """The connection is gone."""
        opened, self.opened = self.opened, None
        if opened is not None:
            self.carry_out(opened, opened.lane.closed(self.now))

    def crash(self) -> None:
        """The server dies: what was not written is lost, and nobody is connected."""
        self.writes.clear()
        self.opened = None
        self.start_id = StartId(self.start_id + 1)

    def confirm(self, which: int) -> None:
        """The transport confirms one of what it was handed, perhaps a second time."""
        if self.opened is not None and self.opened.sent:
            attempt_id = self.opened.sent[which % len(self.opened.sent)].attempt_id
            self.carry_out(self.opened, self.opened.lane.confirmed(attempt_id, self.now))

    def refuse(self, which: int) -> None:
        """The device's engine refuses one for good."""
        if self.opened is not None and self.opened.sent:
            attempt_id = self.opened.sent[which % len(self.opened.sent)].attempt_id
            self.carry_out(self.opened, self.opened.lane.refused(attempt_id, self.now))

    def reply(self, which: int) -> None:
        """The device answers something it got once."""
        if self.accepted:
            command = self.accepted[which % len(self.accepted)]
            fact = ReplyToPayload(
                device_id=self.device.id, command_id=command.id, payload=b"ok", at=self.clock.wall_ms()
            )
            self.writes.append((fact, lambda result: self._replied(command.id, result)))

    def _replied(self, command_id: CommandId, result: object) -> None:
        if self.opened is not None and isinstance(result, Command):
            assert result.state.is_final
            self.carry_out(self.opened, self.opened.lane.answered(command_id, self.now))

    def pass_time(self, seconds: float) -> None:
        """Time passes; the lane hears of its deadline."""
        self.clock.advance(seconds)
        opened = self.opened
        if opened is not None:
            due = opened.lane.next_deadline()
            if due is not None and due <= self.clock.monotonic():
                self.carry_out(opened, opened.lane.deadline_passed(self.now))

    # --- what the lane wants ------------------------------------------------------------------------------------

    def carry_out(self, opened: Opened, effects: Sequence[PayloadEffect]) -> None:
        """Do it, and check it."""
        lane = opened.lane
        assert lane.unconfirmed <= PAYLOAD_WINDOW_MAX, "P4"
        for effect in effects:
            match effect:
                case EndFormer(fact=former):
                    self._ask(opened, former, lane.former_ended)
                case FindPayloads(fact=waiting):
                    self._ask(opened, waiting, lane.found)
                case PutPayloadClaim(fact=claim):
                    self._ask(opened, claim, self._claimed(lane, claim.attempt.id))
                case Transmit(transmission=transmission):
                    self._transmit(opened, transmission)
                case Settle(attempt_id=attempt_id):
                    assert attempt_id in [each.attempt_id for each in opened.sent], "it never went out on this one"
                case Record(fact=fact):
                    self.writes.append((fact, lambda _result: None))

    @staticmethod
    def _claimed(lane: PayloadLane, attempt_id: AttemptId) -> Callable[[Any, Moment], list[PayloadEffect]]:
        return lambda result, now: lane.claimed(attempt_id, result, now)

    # Any: each fact has its own result
    def _ask(self, opened: Opened, fact: Fact[Any], take: Callable[[Any, Moment], list[PayloadEffect]]) -> None:
        self.writes.append((fact, lambda result: self.carry_out(opened, take(result, self.now))))

    def _transmit(self, opened: Opened, transmission: PayloadTransmission) -> None:
        assert opened is self.opened, "a connection that is gone was handed something"
        command = self.command(transmission.command_id)
        assert (command.state, command.current_attempt) == (CommandState.SENT, transmission.attempt_id), "P3: on disk"
        assert self.clock.wall_ms() < command.expires_at, "P6"
        self.sendings[command.id] += 1
        assert command.retry is None or self.sendings[command.id] == 1, "P3: qos 0 once"
        assert all(each.command_id != command.id for each in opened.sent), "P3: once a connection"
        if opened.sent and not opened.is_troubled:
            assert self.command(opened.sent[-1].command_id).seq < command.seq, "P5"
        opened.sent.append(transmission)
        opened.unconfirmed.append(transmission.attempt_id)

    # --- the end ------------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Let the disk and the transport do all they can."""
        for _ in range(ROUNDS_MAX):
            opened = self.opened
            assert opened is not None
            if self.writes:
                self.write()
            elif opened.lane.unconfirmed:
                fresh, opened.unconfirmed = opened.unconfirmed, []
                for attempt_id in fresh:
                    self.carry_out(opened, opened.lane.confirmed(attempt_id, self.now))
            elif (due := opened.lane.next_deadline()) is not None:
                self.pass_time(max(0.0, due - self.clock.monotonic()))
            else:
                return
        raise AssertionError("it never comes to rest")

    def assert_nothing_is_left(self) -> None:
        """Nothing that may go waits, and nothing is on its way for ever."""
        now = self.clock.wall_ms()
        commands = [self.command(each.id) for each in self.accepted]
        assert [each.id for each in commands if is_releasable(each, trigger=Trigger.CONNECT, now=now)] == []
        assert [each.id for each in commands if each.state is CommandState.SENT and now < each.expires_at] == []


NUMBERS = st.integers(min_value=0, max_value=40)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda qos: lambda world: world.submit(qos), st.integers(0, 1)),
    st.builds(lambda qos: lambda world: [world.submit(qos) for _ in range(20)], st.integers(0, 1)),
    st.builds(lambda qos: lambda world: world.submit(qos, is_kept=False), st.integers(0, 1)),
    st.just(lambda world: world.write()),
    st.just(lambda world: [world.write() for _ in range(3)]),
    st.builds(lambda count: lambda world: [world.write() for _ in range(count)], st.integers(2, 30)),
    st.just(lambda world: world.write(fails=True)),
    st.builds(lambda qos: lambda world: world.submit_late(qos), st.integers(0, 1)),
    st.builds(lambda qos: lambda world: world.submit_in_vain(qos), st.integers(0, 1)),
    st.builds(lambda qos: lambda world: world.submit_and_close(qos), st.integers(0, 1)),
    st.just(lambda world: world.connect()),
    st.just(lambda world: world.close()),
    st.just(lambda world: world.crash()),
    st.builds(lambda which: lambda world: world.confirm(which), NUMBERS),
    st.builds(lambda count: lambda world: [world.confirm(number) for number in range(count)], NUMBERS),
    st.builds(lambda which: lambda world: world.refuse(which), NUMBERS),
    st.builds(lambda which: lambda world: world.reply(which), NUMBERS),
    st.builds(lambda seconds: lambda world: world.pass_time(seconds), st.sampled_from([0.5, 1.0, 5.0, 11.0, 61.0])),
)


# Long lists, since the windows are: a payload is only forgotten where more than sixteen have been on their way.
@given(st.lists(STEPS, min_size=20, max_size=60))
def test_no_order_of_events_breaks_a_promise_or_forgets_a_payload(steps: list[Step]) -> None:
    """P3 to P6 at every sending; once all is quiet nothing that could go waits; an end leaves nothing open."""
    world = World()
    world.connect()
    for step in steps:
        step(world)
    if world.opened is None:
        world.connect()
    world.come_to_rest()
    world.assert_nothing_is_left()

    world.submit(0)
    world.flush()
    world.close()
    world.flush()
    assert world.command(world.accepted[-1].id).state is CommandState.FAILED


@given(st.integers(1, 60), st.lists(st.booleans(), min_size=40, max_size=160))
def test_without_trouble_every_payload_goes_out_once_in_order(count: int, turns: list[bool]) -> None:
    """However acceptances, writes and confirmations are mixed (P5)."""
    world = World()
    world.connect()
    waiting = deque(number % 2 for number in range(count))
    for is_write in turns:
        if is_write or not waiting:
            world.write()
            world.confirm(len(waiting))
        else:
            world.submit(waiting.popleft())
    while waiting:
        world.submit(waiting.popleft())
    world.come_to_rest()

    assert world.opened is not None
    assert [each.command_id for each in world.opened.sent] == [each.id for each in world.accepted]
    assert set(world.sendings.values()) == {1}
    assert len(world.sendings) == count
