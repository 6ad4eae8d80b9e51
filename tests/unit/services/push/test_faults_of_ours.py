"""Faults that are nobody's but ours: one event pays for them, not its device, its receiver or the others (P10)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from commandpost.domain.command_state import Succeeded
from commandpost.domain.device import Device
from commandpost.domain.errors import RecordUnreadable, StoreUnavailable
from commandpost.domain.facts import Fact, FinishAndClaim
from commandpost.domain.ids import CommandId
from commandpost.domain.ports import CommandRecord
from commandpost.domain.push import Batch
from commandpost.domain.push_facts import SettleEvents
from commandpost.domain.push_ports import CommandMessage, PushMessage, WaitingEvent
from commandpost.domain.session_facts import StartSession
from commandpost.services.push import messages
from commandpost.services.push.settings import PushSettings
from tests.conformance import store_builders as build
from tests.unit.services.push.house import DAY_S, GOOD, PushHouse, refuse

BATCHES = pytest.mark.parametrize("batch", [None, Batch(count=50, interval_ms=500)], ids=["single", "batch"])


class TestAMessageThatCannotBeMade:
    @BATCHES
    def test_it_is_given_up_after_a_day_and_its_order_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, batch: Batch | None
    ) -> None:
        """What came before it is told at once, what comes behind it then; other devices hear nothing of it."""
        plain = messages.message_of

        def fail_at_two(waiting: WaitingEvent, **read: Any) -> PushMessage | None:
            if waiting.event.device_id == 1 and waiting.event.value == "2":
                raise ValueError("nobody thought of this value: secret")
            return plain(waiting, **read)

        monkeypatch.setattr(messages, "message_of", fail_at_two)

        async def story(house: PushHouse) -> None:
            product = await house.product()
            bad, good = await house.devices(product, 2)
            subscription_id = await house.subscribe(product, batch=batch)
            await house.report(bad, 3)
            await house.report(good, 3)
            await asyncio.sleep(120)
            assert (house.receivers.values(bad), house.receivers.values(good)) == ([1], [1, 2, 3])
            await asyncio.sleep(DAY_S + 600)

            assert house.receivers.values(bad) == [1, 3]
            (failure,) = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=10)
            assert failure.reason == "no message can be made of it (ValueError)"

        PushHouse(settings=PushSettings(poll_s=20.0)).run(story)

    @BATCHES
    def test_a_record_that_cannot_be_read_holds_up_no_other_device(
        self, monkeypatch: pytest.MonkeyPatch, batch: Batch | None
    ) -> None:
        """Asking for it again for ever would; the one before it in its queue is told."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device, other = await house.devices(product, 2)
            await house.do(StartSession(session=build.session(device)))
            subscription_id = await house.subscribe(product, batch=batch)
            first, broken = await _end_command(house, device, 1), await _end_command(house, device, 2)
            plain = house.store.find_commands

            async def find(command_ids: Sequence[CommandId]) -> Mapping[CommandId, CommandRecord]:
                if broken in command_ids:
                    raise RecordUnreadable("'rebooted' is no CommandState")
                return await plain(command_ids)

            monkeypatch.setattr(house.store, "find_commands", find)
            await house.report(other, 3)
            await asyncio.sleep(DAY_S + 600)

            assert house.receivers.values(other) == [1, 2, 3]
            assert _told_commands(house) == [first]
            (failure,) = await house.subscriptions.failures(product, subscription_id, before_id=None, limit=10)
            assert failure.command_id == broken

        PushHouse(settings=PushSettings(poll_s=20.0)).run(story)

    def test_the_commands_of_a_batch_are_read_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Twenty of one device: one question for as many as may be held."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.do(StartSession(session=build.session(device)))
            await house.subscribe(product, batch=Batch(count=50, interval_ms=500))
            asked: list[int] = []
            plain = house.store.find_commands

            async def find(command_ids: Sequence[CommandId]) -> Mapping[CommandId, CommandRecord]:
                asked.append(len(command_ids))
                return await plain(command_ids)

            monkeypatch.setattr(house.store, "find_commands", find)
            ended = [await _end_command(house, device, number) for number in range(1, 21)]
            await asyncio.sleep(2)

            assert _told_commands(house) == ended
            assert asked == [16, 4]

        PushHouse().run(story)


class TestAFaultInBetween:
    @BATCHES
    @pytest.mark.parametrize("error", [ValueError("once"), StoreUnavailable("once")], ids=["ours", "the store's"])
    def test_the_queues_of_its_request_are_told_again(
        self, monkeypatch: pytest.MonkeyPatch, batch: Batch | None, error: Exception
    ) -> None:
        """Without news and without a restart."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            devices = await house.devices(product, 3)
            await house.subscribe(product, batch=batch)
            plain, errors = house.writer.perform, [error]

            async def perform(fact: Fact[Any]) -> Any:  # Any: each fact has its own result type
                if isinstance(fact, SettleEvents) and errors:
                    raise errors.pop()
                return await plain(fact)

            monkeypatch.setattr(house.writer, "perform", perform)
            for device in devices:
                await house.report(device)
            await asyncio.sleep(5)

            assert errors == []
            assert await house.store.told_after(0, 10) == ()
            assert all(house.receivers.values(device)[-1:] == [1] for device in devices)

        PushHouse().run(story)

    def test_a_queue_that_failed_is_no_well_one_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It goes on one by one: its receiver has not accepted anything of it."""

        async def story(house: PushHouse) -> None:
            product = await house.product()
            device = await house.device(product)
            await house.subscribe(product, batch=Batch(count=50, interval_ms=500))
            house.receivers.behaviours[GOOD] = refuse
            await house.report(device, 3)
            await asyncio.sleep(2)
            plain, errors = house.store.waiting_events, [StoreUnavailable("once")]

            async def waiting_events(*place: Any, **bounds: Any) -> Any:  # Any: handed on as it comes
                if errors:
                    raise errors.pop()
                return await plain(*place, **bounds)

            monkeypatch.setattr(house.store, "waiting_events", waiting_events)
            await asyncio.sleep(20)

            assert errors == []
            assert [len(request.messages) for request in house.receivers.requests] == [3, 1, 1, 1, 1]

        PushHouse().run(story)


async def _end_command(house: PushHouse, device: Device, number: int) -> CommandId:
    command = (await house.do(build.accept(device, number))).command  # type: ignore[union-attr]  # it is accepted
    await house.do(build.claim(command, number))
    end = build.success(number)
    await house.do(FinishAndClaim(command_id=command.id, event=Succeeded(at=end.at, end=end)))
    return command.id


def _told_commands(house: PushHouse) -> list[CommandId]:
    told = [each for request in house.receivers.requests for each in request.messages]
    return [each.record.command.id for each in told if isinstance(each, CommandMessage)]
