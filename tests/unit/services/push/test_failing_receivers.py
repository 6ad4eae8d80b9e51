"""Receivers that fail in every way: nothing is lost, the order stays, and nobody else waits (P10)."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from commandpost.domain.push import Batch
from commandpost.domain.push_ports import PushMessage, PushOutcome
from commandpost.services.push.settings import PushSettings
from commandpost.stores.sqlite import Durability, SqliteStore
from tests.unit.services.push.house import (
    ACCEPTED,
    GOOD,
    HOUR_S,
    REFUSED,
    SELDOM,
    PushHouse,
    accept,
    distinct,
    hang,
    refuse,
    until,
)


class TestReceiversThatFail:
    @pytest.mark.parametrize("fault", ["down", "hangs", "breaks its word"])
    def test_after_an_hour_of_failures_everything_arrives_in_order(self, fault: str) -> None:
        """Whatever the fault; requests get rarer, up to one in five minutes for a device."""

        async def burst(_messages: Sequence[PushMessage]) -> PushOutcome:
            raise RuntimeError("certificate changed in a way nobody thought of")

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 3)
            await house.subscribe(product)
            before = {"down": refuse, "hangs": hang, "breaks its word": burst}[fault]
            start = house.loop.time()
            house.receivers.behaviours[GOOD] = until(start + HOUR_S, before, house)
            for _ in range(60):
                for device in devices:
                    await house.report(device)
                await asyncio.sleep(60)
            await asyncio.sleep(330)

            assert [house.receivers.values(device) for device in devices] == [list(range(1, 61))] * 3
            tries = [each.at - start for each in house.receivers.requests if each.at - start < HOUR_S]
            assert len(tries) <= 3 * (9 + 12)

        PushHouse(settings=SELDOM).run(story)

    def test_pauses_double_from_one_second_to_five_minutes(self) -> None:
        """A part of each is chance; here it is always half of that part."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            await house.report(device)
            await asyncio.sleep(1800)

            times = [request.at for request in house.receivers.requests]
            pauses = [later - earlier for earlier, later in pairwise(times)]
            expected = [0.9 * min(2**number, 300) for number in range(len(pauses))]
            assert pauses == pytest.approx(expected, abs=0.15)
            assert len(pauses) >= 12

        PushHouse().run(story)

    def test_a_slow_receiver_gets_everything_it_answers_in_time(self) -> None:
        """Just under five seconds is no failure."""

        async def slowly(_messages: Sequence[PushMessage]) -> PushOutcome:
            await asyncio.sleep(4.9)
            return ACCEPTED

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = slowly
            await house.report(device, 5)
            await asyncio.sleep(30)

            assert house.receivers.values(device) == [1, 2, 3, 4, 5]
            assert len(house.receivers.requests) == 5

        PushHouse().run(story)

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("batch", [None, Batch(count=7, interval_ms=500)])
    def test_chance_failures_and_restarts_lose_nothing_and_keep_the_order(
        self, tmp_path: Path, seed: int, batch: Batch | None
    ) -> None:
        """On SQLite; repeats happen where a server died, and nothing comes before what came first."""
        store = SqliteStore(tmp_path / "commandpost.db", durability=Durability.OFF)
        random = Random(seed)

        async def story(house: PushHouse) -> None:
            async def at_random(_messages: Sequence[PushMessage]) -> PushOutcome:
                await asyncio.sleep(random.choice((0.001, 0.05, 1, 6)))
                return random.choice((ACCEPTED, ACCEPTED, REFUSED))

            product, other = await house.product(), await house.product("other")
            devices = await house.devices(product, 6)
            stranger = await house.device(other, "stranger")
            await house.subscribe(product, batch=batch)
            house.receivers.behaviours[GOOD] = at_random
            for _ in range(12):
                for device in devices:
                    await house.report(device, random.randrange(4))
                await house.report(stranger)
                await asyncio.sleep(random.choice((0.01, 0.5, 4)))
                if random.random() < 0.4:
                    await house.restart()
            house.receivers.behaviours[GOOD] = accept
            await asyncio.sleep(400)

            for device in devices:
                arrived = house.receivers.values(device)
                assert distinct(arrived) == list(range(1, house.counters.get(device.id, 0) + 1))
                if batch is None:
                    # One event of a queue at a time: no step back is longer than to the event itself.
                    assert all(later >= earlier for earlier, later in pairwise(arrived))
            assert stranger.id not in {message.device_id for message in house.receivers.accepted()}
            assert await house.store.told_after(0, 10) == ()

        PushHouse(store=store, settings=PushSettings(poll_s=0.5)).run(story)
        store.close()

    def test_dead_receivers_do_not_delay_a_good_one(self) -> None:
        """Six that hang, each with more devices than there are places; the good one hears within two ticks."""

        async def story(house: PushHouse) -> None:
            product, dead = await house.product("good"), await house.product("dead")
            device = await house.device(product)
            for number in range(6):
                url = f"http://dead-{number}.example/in"
                await house.subscribe(dead, url)
                house.receivers.behaviours[url] = hang
            await house.subscribe(product)
            for victim in await house.devices(dead, 40):
                await house.report(victim)
            delays = []
            for _ in range(100):
                await house.report(device)
                told_at = house.loop.time()
                await asyncio.sleep(0.25)
                mine = [each for each in house.receivers.requests if each.url == GOOD]
                delays.append(mine[-1].at - told_at)

            assert house.receivers.values(device) == list(range(1, 101))
            assert max(delays) <= 0.2
            assert max(house.receivers.open_max.values()) <= 16
            assert house.receivers.most_open <= 64 + 7

        PushHouse().run(story)

    def test_a_device_whose_events_are_refused_does_not_hold_up_the_others(self) -> None:
        """The queue is the device's: its receiver is well."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 20)

            async def refuse_first(messages: Sequence[PushMessage]) -> PushOutcome:
                return REFUSED if getattr(messages[0], "device_id", None) == devices[0].id else ACCEPTED

            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse_first
            for device in devices:
                await house.report(device, 3)
            await asyncio.sleep(1)

            assert [house.receivers.values(device) for device in devices[1:]] == [[1, 2, 3]] * 19
            assert house.receivers.values(devices[0]) == []

        PushHouse().run(story)

    def test_requests_that_hang_for_many_devices_leave_places_for_well_ones(self) -> None:
        """Of one receiver: what failed takes half the places at most."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 60)
            sick = {device.id for device in devices[:50]}

            async def hang_for_most(messages: Sequence[PushMessage]) -> PushOutcome:
                return await (hang if getattr(messages[0], "device_id", None) in sick else accept)(messages)

            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = hang_for_most
            for device in devices:
                await house.report(device)
            await asyncio.sleep(60)
            well = devices[50:]
            for _ in range(20):
                for device in well:
                    await house.report(device)
                await asyncio.sleep(0.5)

            assert [house.receivers.values(device) for device in well] == [list(range(1, 22))] * 10

        PushHouse().run(story)
