"""What every store answers about commands: histories, lists, and what a start or a sweep asks for."""

from dataclasses import replace

import pytest

from commandpost.domain.command import Command, CommandMode, CommandState, Outcome
from commandpost.domain.command_state import FailedForNow
from commandpost.domain.facts import CancelCommand, FinishAndClaim, RecordInstant
from commandpost.domain.ids import AttemptId, CommandId, DeviceId
from commandpost.domain.ports import HistoryFilter, Page
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness


class TestHistory:
    @pytest.fixture
    def device_id(self, store: StoreHarness) -> DeviceId:
        """A device with five cached commands, one instant one, and a neighbour with one."""
        device = store.make_device()
        other = store.make_device(device.product_id, "860000000000002")
        for number, created in enumerate((1_000, 3_000, 2_000, 2_000, 5_000), start=1):
            store.accept(device, number, created=created)
        instant = replace(
            build.command(device, 6, created=2_000),
            mode=CommandMode.INSTANT,
            state=CommandState.FAILED,
            outcome=Outcome.TIME_OUT,
            finished_at=build.at(2_001),
        )
        store.apply(RecordInstant(command=instant, attempts=()))
        store.accept(other, 7, created=2_000)
        return device.id

    def listed(
        self,
        store: StoreHarness,
        device_id: DeviceId,
        page: Page,
        *,
        start: int = 0,
        end: int = 9_000,
        only: CommandId | None = None,
        is_ascending: bool = False,
    ) -> tuple[int, list[int]]:
        """The total, and the seqs of a page."""
        which = HistoryFilter(
            device_id=device_id,
            start=build.at(start),
            end=build.at(end),
            command_id=only,
            is_ascending=is_ascending,
        )
        total, commands = store.ask(store.reader.list_history(which, page))
        return total, [command.seq for command in commands]

    def test_newest_first_and_as_accepted_within_an_instant(self, store: StoreHarness, device_id: DeviceId) -> None:
        page = Page(number=1, size=10)

        assert self.listed(store, device_id, page) == (5, [5, 2, 4, 3, 1])
        assert self.listed(store, device_id, page, is_ascending=True) == (5, [1, 3, 4, 2, 5])

    def test_both_ends_belong_to_the_span(self, store: StoreHarness, device_id: DeviceId) -> None:
        assert self.listed(store, device_id, Page(number=1, size=10), start=2_000, end=3_000) == (3, [2, 4, 3])

    def test_pages_cut_and_the_total_counts_all(self, store: StoreHarness, device_id: DeviceId) -> None:
        pages = [self.listed(store, device_id, Page(number=number, size=2)) for number in (1, 2, 3, 4)]

        assert pages == [(5, [5, 2]), (5, [4, 3]), (5, [1]), (5, [])]

    def test_one_command_of_the_device(self, store: StoreHarness, device_id: DeviceId) -> None:
        page = Page(number=1, size=10)
        own, instant, foreign = build.command_id(2), build.command_id(6), build.command_id(7)

        assert self.listed(store, device_id, page, only=own) == (1, [2])
        assert self.listed(store, device_id, Page(number=2, size=10), only=own) == (1, [])
        assert self.listed(store, device_id, page, only=own, end=2_999) == (0, [])
        assert self.listed(store, device_id, page, only=instant) == (0, [])
        assert self.listed(store, device_id, page, only=foreign) == (0, [])


def test_a_products_commands_are_paged_by_key(store: StoreHarness) -> None:
    product_id, other = store.make_product(), store.make_product("other")
    device = store.make_device(product_id, "860000000000001")
    stranger = store.make_device(other, "860000000000002")
    for number in range(6):
        store.accept(stranger if number == 2 else device, number)

    def page(before_seq: int | None) -> list[int]:
        commands = store.ask(store.reader.list_commands(product_id, before_seq=before_seq, limit=2))
        return [command.seq for command in commands]

    assert [page(None), page(5), page(2), page(1)] == [[6, 5], [4, 2], [1], []]


def test_an_unknown_command_is_not_found(store: StoreHarness) -> None:
    assert store.ask(store.reader.find_command(build.command_id(1))) is None


class TestInFlight:
    @pytest.fixture
    def flying(self, store: StoreHarness) -> list[Command]:
        """Three devices, each with a command in flight; deadlines 30, 10 and 20 s."""
        product_id = store.make_product()
        commands = []
        for number, deadline in enumerate((30_000, 10_000, 20_000), start=1):
            device = store.make_online_device(product_id, f"86000000000000{number}")
            waiting = store.accept(device, number)
            store.accept(device, 10 + number)
            claimed = store.apply(build.claim(waiting, 100 - number, deadline=deadline))
            assert isinstance(claimed, Command)
            commands.append(claimed)
        return commands

    def test_a_start_finds_what_is_open_by_attempt(self, store: StoreHarness, flying: list[Command]) -> None:
        first = store.ask(store.reader.open_attempts(AttemptId(0), 2))
        second = store.ask(store.reader.open_attempts(AttemptId(98), 2))

        assert [each.attempt.id for each in first + second] == [97, 98, 99]
        assert [each.command for each in first + second] == flying[::-1]
        assert {each.attempt.end for each in first + second} == {None}

    def test_a_sweep_finds_what_is_overdue_earliest_first(self, store: StoreHarness, flying: list[Command]) -> None:
        overdue = store.ask(store.reader.overdue_attempts(build.at(20_000), 10))
        limited = store.ask(store.reader.overdue_attempts(build.at(99_000), 1))

        assert [each.command for each in overdue] == [flying[1], flying[2]]
        assert [each.attempt.deadline for each in overdue] == [build.at(10_000), build.at(20_000)]
        assert [each.command for each in limited] == [flying[1]]

    def test_an_ended_attempt_is_not_open_and_the_next_one_is(self, store: StoreHarness, flying: list[Command]) -> None:
        end = build.silence(98)
        waits, _ = store.apply(FinishAndClaim(command_id=flying[1].id, event=FailedForNow(at=end.at, end=end)))
        assert isinstance(waits, Command)
        before = store.ask(store.reader.overdue_attempts(build.at(99_000), 10))
        store.apply(build.claim(waits, 200, sent=30_000, deadline=31_000))

        after = store.ask(store.reader.overdue_attempts(build.at(99_000), 10))

        assert [each.attempt.id for each in before] == [97, 99]
        assert [each.attempt.id for each in after] == [97, 99, 200]


def test_devices_with_waiting_commands_come_by_id(store: StoreHarness) -> None:
    product_id = store.make_product()
    devices = [store.make_device(product_id, f"86000000000000{number}") for number in range(4)]
    for number, device in enumerate((devices[3], devices[0], devices[3], devices[1], devices[2])):
        store.accept(device, number)
    done = CancelCommand(device_id=devices[1].id, command_id=build.command_id(3), at=build.at(1))
    store.apply(done)

    pages = [store.ask(store.reader.waiting_devices(DeviceId(after), 2)) for after in (0, 3, 4)]

    assert pages == [(1, 3), (4,), ()]


def test_commands_are_found_together_as_each_alone(store: StoreHarness) -> None:
    """With their attempts, of any device; one that is not there is left out."""
    first, second = store.make_online_device(), store.make_device(store.make_product("other"), "860000000000002")
    commands = [store.accept(first, 1), store.accept(second, 2)]
    store.apply(build.claim(commands[0], 1))

    found = store.ask(store.reader.find_commands([commands[1].id, build.command_id(9), commands[0].id]))

    assert found == {each.id: store.ask(store.reader.find_command(each.id)) for each in commands}
    assert [len(found[each.id].attempts) for each in commands] == [1, 0]
