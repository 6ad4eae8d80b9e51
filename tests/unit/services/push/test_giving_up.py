"""The list of failures, replaying it, and several messages in one request (design 10.9)."""

import asyncio
from collections.abc import Sequence

import pytest

from commandpost.domain.facts import Priority
from commandpost.domain.instant import DAY_MS
from commandpost.domain.push import Batch, GiveUpRule
from commandpost.domain.push_facts import RecordPushFailure, ReplayFailures
from commandpost.domain.push_ports import PushMessage, PushOutcome
from commandpost.services.push import subscriptions
from commandpost.services.push.settings import REPLAY_PAUSE_S, PushSettings
from tests.unit.services.push.house import (
    ACCEPTED,
    DAY_S,
    GOOD,
    HOUR_S,
    REFUSED,
    PushHouse,
    accept,
    distinct,
    hang,
    point,
    refuse,
)


class TestGivingUp:
    def test_after_a_day_the_head_goes_to_the_list_and_the_order_goes_on(self) -> None:
        """One bad event costs one event; it can be told again, and comes behind the others then."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            is_mended = False

            async def refuse_one(messages: Sequence[PushMessage]) -> PushOutcome:
                return REFUSED if getattr(messages[0], "value", "") == "2" and not is_mended else ACCEPTED

            subscription_id = await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse_one
            await house.report(device, 4)
            await asyncio.sleep(DAY_S - 600)
            assert house.receivers.values(device) == [1]
            await asyncio.sleep(1200)
            assert house.receivers.values(device) == [1, 3, 4]
            (failure,) = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=10)
            assert (failure.device_id, failure.reason) == (device.id, "http 500")
            assert 280 <= failure.failures <= 340

            is_mended = True
            assert await house.subscriptions.replay(product, subscription_id) == 1
            await asyncio.sleep(60)

            assert house.receivers.values(device) == [1, 3, 4, 2]
            assert await house.subscriptions.failures(product, subscription_id, before_id=None, limit=10) == ()

        PushHouse(settings=PushSettings(poll_s=20.0)).run(story)

    def test_a_receiver_that_is_dead_for_days_empties_into_the_list(self) -> None:
        """Whatever came more than a day ago; what is younger still waits, and nothing is lost."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            subscription_id = await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            for _ in range(72):
                await house.report(device)
                await asyncio.sleep(HOUR_S)
            given_up = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=100)
            house.receivers.behaviours[GOOD] = accept
            await asyncio.sleep(400)

            assert 45 <= len(given_up) <= 49
            assert house.receivers.values(device) == list(range(len(given_up) + 1, 73))

        PushHouse(settings=PushSettings(poll_s=20.0)).run(story)

    def test_failures_and_their_beginning_survive_a_restart(self) -> None:
        """Half a day here and half a day there are a day."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            subscription_id = await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            await house.report(device)
            for _ in range(4):
                await asyncio.sleep(DAY_S / 4)
                await house.restart()
            await asyncio.sleep(600)

            (failure,) = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=10)
            assert failure.failures > 280
            assert failure.given_up_at - failure.failing_since >= DAY_MS

        PushHouse(settings=PushSettings(poll_s=20.0)).run(story)


class TestReplaying:
    def test_a_long_list_is_replayed_in_slices_that_give_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Others write between them, and come first when both want to: nobody's push may slow a command."""
        monkeypatch.setattr(subscriptions, "GIVE_UP_SLICE", 2)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            subscription_id = await house.subscribe(product)
            await house.deliveries.stop()
            await house.report(device, 5)
            for seq in range(1, 6):
                await house.do(
                    RecordPushFailure(
                        subscription_id=subscription_id,
                        seqs=(seq,),
                        at=house.clock.wall_ms(),
                        reason="http 500",
                        rule=GiveUpRule(failures_max=1),
                        give_up_max=500,
                    )
                )
            start = house.loop.time()
            assert await house.subscriptions.replay(product, subscription_id) == 5

            assert house.loop.time() - start == pytest.approx(2 * REPLAY_PAUSE_S, abs=0.01)
            assert ReplayFailures.priority is Priority.BEHIND

        PushHouse().run(story)


class TestBatches:
    def test_a_full_batch_goes_at_once_and_the_rest_after_the_interval(self) -> None:
        """One request for both devices; each in order; an array even of one."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            first, second = await house.devices(product, 2)
            await house.subscribe(product, batch=Batch(count=6, interval_ms=2_000))
            start = house.loop.time()
            await house.report(first, 4)
            await house.report(second, 3)
            await asyncio.sleep(5)

            sizes = [len(request.messages) for request in house.receivers.requests]
            times = [request.at - start for request in house.receivers.requests]
            assert sizes == [6, 1]
            assert times[0] <= 0.2
            assert times[1] == pytest.approx(2.0, abs=0.2)
            assert all(request.is_array for request in house.receivers.requests)
            assert house.receivers.values(first) == [1, 2, 3, 4]
            assert house.receivers.values(second) == [1, 2, 3]

        PushHouse().run(story)

    def test_a_batch_that_fails_is_told_again_device_by_device(self) -> None:
        """So that one message that a receiver cannot stand takes no others down."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 3)

            async def refuse_one(messages: Sequence[PushMessage]) -> PushOutcome:
                bad = any(getattr(each, "device_id", None) == devices[1].id for each in messages)
                return REFUSED if bad else ACCEPTED

            await house.subscribe(product, batch=Batch(count=100, interval_ms=500))
            house.receivers.behaviours[GOOD] = refuse_one
            for device in devices:
                await house.report(device, 3)
            await asyncio.sleep(20)

            assert house.receivers.values(devices[0]) == [1, 2, 3]
            assert house.receivers.values(devices[1]) == []
            assert house.receivers.values(devices[2]) == [1, 2, 3]
            assert len(house.receivers.requests[0].messages) == 9

        PushHouse().run(story)

    def test_a_backlog_leaves_in_full_batches_without_waiting_for_each(self) -> None:
        """What has waited long enough already does not wait for another interval."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product, batch=Batch(count=10, interval_ms=5_000))
            house.receivers.behaviours[GOOD] = hang
            await house.report(device, 200)
            house.receivers.behaviours[GOOD] = accept
            await asyncio.sleep(6)
            await house.restart()
            await asyncio.sleep(8)

            assert distinct(house.receivers.values(device)) == list(range(1, 201))

        PushHouse().run(story)

    def test_large_values_that_do_not_fit_leave_without_another_interval(self) -> None:
        """What the bound of bytes left out has waited long enough already."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product, batch=Batch(count=100, interval_ms=60_000))
            for _ in range(20):
                await house.do(point(device, '"' + "x" * 60_000 + '"', at=house.clock.wall_ms()))
            start = house.loop.time()
            await asyncio.sleep(65)

            times = [request.at - start for request in house.receivers.requests]
            assert len(house.receivers.accepted()) == 20
            assert len(times) == 5
            assert times[0] == pytest.approx(60, abs=1)

        PushHouse().run(story)
