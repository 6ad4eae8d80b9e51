"""What is told arrives, in order per device; who is told may change, and everything has a bound (P10)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from commandpost.domain.command_state import Succeeded
from commandpost.domain.errors import Overloaded
from commandpost.domain.facts import DeleteDevice, Fact, FinishAndClaim, PruneCommands
from commandpost.domain.push import Batch
from commandpost.domain.push_facts import SettleEvents
from commandpost.domain.push_ports import CommandMessage, OnlineMessage, PushMessage, PushOutcome
from commandpost.domain.session_facts import StartSession
from commandpost.services.push import receiver_lane
from commandpost.services.push.settings import PushSettings
from commandpost.stores.memory import MemoryStore
from commandpost.stores.sqlite import Durability, SqliteStore
from tests.conformance import store_builders as build
from tests.unit.services.push.house import (
    ACCEPTED,
    BAD,
    DAY_S,
    GOOD,
    SELDOM,
    PushHouse,
    accept,
    hang,
    refuse,
    until,
)


class TestATellableWorld:
    def test_events_arrive_in_order_and_leave_the_outbox(self) -> None:
        """Each exactly once while nothing fails, within two ticks."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 5)
            await house.subscribe(product)
            for _ in range(10):
                for device in devices:
                    await house.report(device)
            await asyncio.sleep(0.2)

            assert [house.receivers.values(device) for device in devices] == [list(range(1, 11))] * 5
            assert house.store.state.push.events == {}  # type: ignore[union-attr]  # the memory store

        PushHouse().run(story)

    def test_what_was_told_before_the_start_is_found(self, tmp_path: Path) -> None:
        """On SQLite: a new server over the rows of one that never told anything."""
        store = SqliteStore(tmp_path / "commandpost.db", durability=Durability.OFF)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 3)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = hang
            for device in devices:
                await house.report(device, 40)
            await asyncio.sleep(0.2)
            house.receivers.behaviours[GOOD] = accept
            await house.restart()
            await asyncio.sleep(1)

            assert [house.receivers.values(device) for device in devices] == [list(range(1, 41))] * 3

        PushHouse(store=store).run(story)
        store.close()

    def test_the_other_kinds_are_told_as_well(self) -> None:
        """A device comes, a cached command ends; its attempts to be pushed are its feedback."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product)
            await house.do(StartSession(session=build.session(device)))
            command = (await house.do(build.accept(device, 1))).command  # type: ignore[union-attr]  # it is accepted
            await house.do(build.claim(command, 1))
            end = build.success(1)
            await house.do(FinishAndClaim(command_id=command.id, event=Succeeded(at=end.at, end=end)))
            await asyncio.sleep(0.5)

            online, ended = (request.messages[0] for request in house.receivers.requests)
            assert isinstance(online, OnlineMessage) and online.is_online
            assert isinstance(ended, CommandMessage) and ended.record.command.id == command.id
            feedback = await house.subscriptions.feedback([command.id])
            assert [each.is_accepted for each in feedback[command.id]] == [True]

        PushHouse().run(story)

    def test_a_command_that_was_pruned_is_not_told_and_blocks_nothing(self) -> None:
        """There is nothing left to tell of it."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            await house.do(StartSession(session=build.session(device)))
            command = (await house.do(build.accept(device, 1))).command  # type: ignore[union-attr]  # it is accepted
            await house.do(build.claim(command, 1))
            end = build.success(1)
            await house.do(FinishAndClaim(command_id=command.id, event=Succeeded(at=end.at, end=end)))
            await house.report(device)
            await house.do(PruneCommands(created_before=build.at(10_000), limit=10))
            house.receivers.behaviours[GOOD] = accept
            await asyncio.sleep(10)

            assert house.receivers.values(device) == [1]
            assert not any(
                isinstance(each.messages[0], CommandMessage) for each in house.receivers.requests if each.is_accepted
            )

        PushHouse().run(story)

    def test_each_product_hears_of_itself_alone(self) -> None:
        """P12, and each subscription of one product of everything."""

        async def story(house: PushHouse) -> None:
            first, second = await house.product("one"), await house.product("two")
            mine, theirs = await house.device(first, "1"), await house.device(second, "2")
            await house.subscribe(first, GOOD)
            await house.subscribe(first, "http://also.example/in")
            await house.subscribe(second, BAD)
            await house.report(mine, 3)
            await house.report(theirs, 3)
            await asyncio.sleep(1)

            assert {message.device_id for message in house.receivers.accepted(GOOD)} == {mine.id}
            assert {message.device_id for message in house.receivers.accepted(BAD)} == {theirs.id}
            assert house.receivers.values(mine, "http://also.example/in") == [1, 2, 3]

        PushHouse().run(story)

    def test_without_subscriptions_nothing_ticks(self) -> None:
        """A year passes in no time, because nobody looks for anything."""

        async def story(house: PushHouse) -> None:
            turns = house.loop._timer_number
            await asyncio.sleep(365 * DAY_S)

            assert house.loop._timer_number - turns < 5

        PushHouse().run(story)


class TestChange:
    def test_a_removed_subscription_hears_no_more(self) -> None:
        """At once, though events wait for it; one that is added hears of what comes after."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            subscription_id = await house.subscribe(product)
            await house.report(device)
            await asyncio.sleep(1)
            house.receivers.behaviours[GOOD] = hang
            await house.report(device, 5)
            await asyncio.sleep(1)
            await house.subscriptions.remove(product, subscription_id)
            house.receivers.behaviours[GOOD] = accept
            await house.report(device)
            await house.subscribe(product)
            await house.report(device)
            await asyncio.sleep(600)

            assert house.receivers.values(device) == [1, 8]

        PushHouse().run(story)

    def test_a_deleted_device_is_not_told_of(self) -> None:
        """What waited for it goes, also while a request is open."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            gone, kept = await house.devices(product, 2)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = hang
            await house.report(gone, 3)
            await asyncio.sleep(1)
            await house.do(DeleteDevice(product_id=product.id, device_id=gone.id))
            house.receivers.behaviours[GOOD] = accept
            await house.report(kept)
            await asyncio.sleep(600)

            assert house.receivers.values(gone) == []
            assert house.receivers.values(kept) == [1]

        PushHouse(settings=SELDOM).run(story)


class TestBounds:
    @pytest.mark.parametrize("batch", [None, Batch(count=3, interval_ms=200)])
    def test_more_devices_than_may_be_known_are_all_told_of(
        self, monkeypatch: pytest.MonkeyPatch, batch: Batch | None
    ) -> None:
        """The lane holds so many queues; the others are found on disk when there is room."""
        monkeypatch.setattr(receiver_lane, "QUEUES_MAX", 4)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 30)
            await house.subscribe(product, batch=batch)
            house.receivers.behaviours[GOOD] = until(house.loop.time() + 20, refuse, house)
            for _ in range(3):
                for device in devices:
                    await house.report(device)
                await asyncio.sleep(1)
            await asyncio.sleep(600)

            assert [house.receivers.values(device) for device in devices] == [[1, 2, 3]] * 30

        PushHouse(settings=SELDOM).run(story)

    def test_open_requests_stay_within_their_bounds(self) -> None:
        """Per subscription and in all."""
        settings = PushSettings(requests_per_subscription_max=3, requests_max=5)

        async def slowly(_messages: Sequence[PushMessage]) -> PushOutcome:
            await asyncio.sleep(0.5)
            return ACCEPTED

        async def story(house: PushHouse) -> None:
            product = await house.product()
            urls = [f"http://r{number}.example/in" for number in range(4)]
            for url in urls:
                await house.subscribe(product, url)
                house.receivers.behaviours[url] = slowly
            devices = await house.devices(product, 10)
            for device in devices:
                await house.report(device, 2)
            await asyncio.sleep(10)

            assert max(house.receivers.open_max.values()) == 3
            assert house.receivers.most_open <= 5 + 4
            assert all(house.receivers.values(device, url) == [1, 2] for device in devices for url in urls)

        PushHouse(settings=settings).run(story)

    def test_a_busy_writer_delays_what_was_told_and_loses_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The event leaves later, and is not told twice meanwhile."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product)
            plain, refusals = house.writer.perform, 5

            async def perform(fact: Fact[object]) -> object:
                nonlocal refusals
                if isinstance(fact, SettleEvents) and refusals:
                    refusals -= 1
                    raise Overloaded("the queue is full")
                return await plain(fact)

            monkeypatch.setattr(house.writer, "perform", perform)
            await house.report(device, 3)
            await asyncio.sleep(30)

            assert house.receivers.values(device) == [1, 2, 3]

        PushHouse().run(story)

    def test_stopping_leaves_no_task_behind(self) -> None:
        """Also in the middle of requests that hang."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = hang
            for device in await house.devices(product, 5):
                await house.report(device)
            await asyncio.sleep(1)
            await house.deliveries.stop()

            assert len(asyncio.all_tasks()) == 1
            assert isinstance(house.store, MemoryStore)
            assert len(house.store.state.push.events) == 5

        PushHouse().run(story)
