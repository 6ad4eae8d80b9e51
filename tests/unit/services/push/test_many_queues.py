"""More devices than a lane may know: each gets its turn, whatever their receiver does (design 10.9)."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import HOUR_MS
from commandpost.domain.push import Batch
from commandpost.domain.push_ports import DataMessage, PushMessage, PushOutcome
from commandpost.services.push import outbox_watch, receiver_lane
from commandpost.services.push.settings import PushSettings
from tests.unit.services.push.house import ACCEPTED, GOOD, HOUR_S, REFUSED, SELDOM, PushHouse, accept, refuse

HARDLY_EVER = PushSettings(poll_s=20.0)


class TestMoreQueuesThanMayBeKnown:
    @pytest.mark.parametrize("batch", [None, Batch(count=5, interval_ms=1_000)])
    def test_behind_a_dead_receiver_every_event_is_given_up_after_a_day(
        self, monkeypatch: pytest.MonkeyPatch, batch: Batch | None
    ) -> None:
        """Queues that rest make room for those that are due; new events do not keep others from their turn."""
        monkeypatch.setattr(receiver_lane, "QUEUES_MAX", 3)
        monkeypatch.setattr(outbox_watch, "SWEEP_QUEUES", 2)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 12)
            subscription_id = await house.subscribe(product, batch=batch)
            house.receivers.behaviours[GOOD] = refuse
            for _ in range(5):
                for device in devices:
                    await house.report(device)
                await asyncio.sleep(6 * HOUR_S)

            tried = {each.device_id for request in house.receivers.requests for each in _points(request.messages)}
            assert tried == {device.id for device in devices}
            given_up = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=1_000)
            first = [each.device_id for each in given_up if house.clock.wall_ms() - each.at > 29 * HOUR_MS]
            assert sorted(first) == sorted(device.id for device in devices)

        PushHouse(settings=HARDLY_EVER).run(story)

    def test_each_queue_keeps_its_own_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let go and found again, a queue is tried no sooner than it would have been."""
        monkeypatch.setattr(receiver_lane, "QUEUES_MAX", 4)
        monkeypatch.setattr(outbox_watch, "SWEEP_QUEUES", 2)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 10)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            for device in devices:
                await house.report(device)
            await asyncio.sleep(HOUR_S)

            for device in devices:
                times = [each.at for each in house.receivers.requests if _ids(each.messages) == {device.id}]
                pauses = [later - earlier for earlier, later in pairwise(times)]
                assert len(pauses) >= 10
                assert all(pause >= 0.8 * min(2**number, 300) for number, pause in enumerate(pauses))
                assert pauses[-1] <= 330

        PushHouse(settings=SELDOM).run(story)

    def test_a_device_that_is_well_gets_in_among_many_that_fail(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its news makes room for itself."""
        monkeypatch.setattr(receiver_lane, "QUEUES_MAX", 4)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            *sick, well = await house.devices(product, 20)

            async def refuse_most(messages: Sequence[PushMessage]) -> PushOutcome:
                return ACCEPTED if _points(messages)[0].device_id == well.id else REFUSED

            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse_most
            for device in sick:
                await house.report(device)
            await asyncio.sleep(HOUR_S)
            await house.report(well)
            await asyncio.sleep(5)

            assert house.receivers.values(well) == [1]

        PushHouse(settings=SELDOM).run(story)


class TestUnwellReceivers:
    def test_one_that_only_fails_is_asked_so_many_times_a_second(self) -> None:
        """Though all of its queues are due at once after their first pauses."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 200)
            await house.subscribe(product)
            house.receivers.behaviours[GOOD] = refuse
            for device in devices:
                await house.report(device)
            await asyncio.sleep(20)

            times = [request.at for request in house.receivers.requests]
            busiest = max(sum(start <= each < start + 1 for each in times) for start in times)
            assert busiest <= 16 + 8 + 50

            house.receivers.behaviours[GOOD] = accept
            await asyncio.sleep(330)
            assert [house.receivers.values(device) for device in devices] == [[1]] * 200

        PushHouse().run(story)

    def test_after_a_restart_queues_that_failed_rest_on(self) -> None:
        """Nor does their news make them well: they go one by one, not into a batch."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            sick, well = await house.devices(product, 2)

            async def refuse_one(messages: Sequence[PushMessage]) -> PushOutcome:
                return REFUSED if any(each.device_id == sick.id for each in _points(messages)) else ACCEPTED

            await house.subscribe(product, batch=Batch(count=10, interval_ms=1_000))
            house.receivers.behaviours[GOOD] = refuse_one
            await house.report(sick)
            await asyncio.sleep(HOUR_S)
            await house.restart()
            restarted_at, before = house.loop.time(), len(house.receivers.requests)
            await house.report(sick)
            await house.report(well)
            await asyncio.sleep(400)

            after = house.receivers.requests[before:]
            assert house.receivers.values(well) == [1]
            assert [_ids(request.messages) for request in after] == [{well.id}, {sick.id}, {sick.id}][: len(after)]
            assert after[1].at - restarted_at > 5

        PushHouse(settings=SELDOM).run(story)


def _points(messages: Sequence[PushMessage]) -> list[DataMessage]:
    return [message for message in messages if isinstance(message, DataMessage)]


def _ids(messages: Sequence[PushMessage]) -> set[DeviceId]:
    return {message.device_id for message in _points(messages)}
