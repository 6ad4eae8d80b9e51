"""What every store does with payloads of `/cmds`: what they share with commands, and what only they have."""

from dataclasses import replace

import pytest

from commandpost.domain.command import (
    ANSWER_PAYLOAD_BYTES_MAX,
    Answer,
    AttemptEnd,
    Command,
    CommandState,
    Outcome,
)
from commandpost.domain.command_state import FailedForNow
from commandpost.domain.device import Device
from commandpost.domain.facts import Accepted, ExpireDue, FinishAndClaim, LateAnswer, NotAccepted
from commandpost.domain.ids import AttemptId, DeviceId
from commandpost.domain.payload_facts import EndFormerAttempts, NotReplied
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.payload_steps import accept, claim, stored
from tests.conformance.store_harness import StoreHarness


@pytest.fixture
def device(store: StoreHarness) -> Device:
    """A device that is connected, of a product somebody listens to."""
    connected = store.make_connected_device()
    store.subscribe(connected.product_id)
    return connected


class TestAccept:
    def test_a_payload_counts_until_it_has_ended(self, store: StoreHarness, device: Device) -> None:
        """One waits, one is sent, one delivered, one answered, of a window of three."""
        commands = [accept(store, device, number) for number in range(4)]
        for number in (1, 2, 3):
            claim(store, commands[number], number)
        store.apply(payloads.confirm(commands[2], 2))
        store.apply(payloads.reply(commands[3]))
        fact = replace(payloads.accept(device, 4), waiting_max=3)

        full = store.apply(fact)
        store.apply(payloads.reply(commands[2]))

        assert full is NotAccepted.QUEUE_FULL
        assert isinstance(store.apply(fact), Accepted)

    def test_what_waits_beyond_its_window_does_not_count(self, store: StoreHarness, device: Device) -> None:
        store.apply(payloads.accept(device, 1, expires=500))
        fact = replace(payloads.accept(device, 2, created=500), waiting_max=1)

        assert isinstance(store.apply(fact), Accepted)

    def test_another_devices_payloads_do_not_count(self, store: StoreHarness, device: Device) -> None:
        claim(store, accept(store, device, 1), 1)
        other = store.make_connecting_device(device.product_id, "sn-2")

        assert isinstance(store.apply(replace(payloads.accept(other, 2), waiting_max=1)), Accepted)

    def test_an_lwm2m_command_in_flight_does_not_count(self, store: StoreHarness) -> None:
        """The limit of an NB-IoT device is of what waits (northbound reference 1.6)."""
        device = store.make_online_device()
        store.apply(build.claim(store.accept(device, 1), 1))

        assert isinstance(store.apply(replace(build.accept(device, 2), waiting_max=1)), Accepted)

    def test_a_device_that_is_gone_takes_none(self, store: StoreHarness, device: Device) -> None:
        gone = replace(device, id=DeviceId(99))

        assert store.apply(payloads.accept(gone, 1)) is NotAccepted.DEVICE_GONE


class TestInFlight:
    def test_many_are_in_flight_at_once(self, store: StoreHarness, device: Device) -> None:
        """P4 is about LwM2M."""
        commands = [accept(store, device, number) for number in (1, 2, 3)]

        claimed = [claim(store, command, number) for number, command in enumerate(commands, start=1)]

        open_ones = store.ask(store.reader.open_attempts(AttemptId(0), 9))
        assert [each.command for each in open_ones] == claimed
        assert store.ask(store.reader.overdue_attempts(build.at(11_000), 9)) == open_ones

    def test_a_confirmed_one_is_delivered_and_still_in_flight(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 1)

        confirmed = store.apply(payloads.confirm(sent, 1))

        assert confirmed == replace(sent, state=CommandState.DELIVERED)
        assert stored(store, sent)[0] == confirmed
        assert [each.command for each in store.ask(store.reader.open_attempts(AttemptId(0), 9))] == [confirmed]

    def test_only_the_current_attempt_is_confirmed_and_once(self, store: StoreHarness, device: Device) -> None:
        waiting = accept(store, device, 1)
        before = store.apply(payloads.confirm(waiting, 1))
        sent = claim(store, waiting, 1)

        others = [store.apply(payloads.confirm(sent, number)) for number in (2, 1, 1)]

        assert (before, others[0], others[2]) == (None, None, None)
        assert isinstance(others[1], Command)

    def test_an_lwm2m_command_is_never_delivered(self, store: StoreHarness) -> None:
        command = store.accept(store.make_online_device(), 1)
        store.apply(build.claim(command, 1))

        assert store.apply(payloads.confirm(command, 1)) is None
        assert stored(store, command)[0].state is CommandState.SENT

    def test_silence_after_delivery_lets_it_wait_again(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 1)
        store.apply(payloads.confirm(sent, 1))
        end = build.silence(1, when=11_000)

        after, _ = store.apply(FinishAndClaim(command_id=sent.id, event=FailedForNow(at=end.at, end=end)))

        assert isinstance(after, Command)
        assert (after.state, after.outcome, after.attempts) == (CommandState.WAITING, Outcome.TIME_OUT, 1)
        assert store.ask(store.reader.waiting_devices(DeviceId(0), 9)) == (device.id,)

    def test_no_end_is_told(self, store: StoreHarness, device: Device) -> None:
        """The push of ended commands is the NB-IoT dialect's."""
        accept(store, device, 1)
        store.apply(payloads.reply(claim(store, accept(store, device, 2), 1)))

        assert len(store.apply(ExpireDue(now=build.at(60_000), limit=9))) == 1
        assert store.outbox() == ()


class TestFormerAttempts:
    def test_each_ends_by_silence_and_follows_its_qos(self, store: StoreHarness, device: Device) -> None:
        """Qos 1 waits in its old place, qos 0 has failed."""
        again = claim(store, accept(store, device, 1, qos=1), 1)
        once = claim(store, accept(store, device, 2, qos=0), 2)
        store.apply(payloads.confirm(again, 1))
        untouched = accept(store, device, 3)

        count = store.apply(EndFormerAttempts(device_id=device.id, at=build.at(5_000), limit=9))

        assert count == 2
        for command, number in ((again, 1), (once, 2)):
            after, attempts = stored(store, command)
            end = build.silence(number, when=5_000)
            state = CommandState.WAITING if command is again else CommandState.FAILED
            assert (after.state, after.outcome, after.current_attempt) == (state, Outcome.TIME_OUT, None)
            assert [attempt.end for attempt in attempts] == [end]
        assert stored(store, untouched)[0] == untouched
        assert store.ask(store.reader.open_attempts(AttemptId(0), 9)) == ()

    def test_in_slices_by_order_of_acceptance(self, store: StoreHarness, device: Device) -> None:
        commands = [accept(store, device, number) for number in (1, 2, 3)]
        for attempt, number in ((1, 2), (2, 0), (3, 1)):
            claim(store, commands[number], attempt)
        fact = EndFormerAttempts(device_id=device.id, at=build.at(5_000), limit=2)

        counts = [store.apply(fact)]
        left = [each.command.id for each in store.ask(store.reader.open_attempts(AttemptId(0), 9))]
        counts += [store.apply(fact), store.apply(fact)]

        assert counts == [2, 1, 0]
        assert left == [commands[2].id]

    def test_of_this_device_only(self, store: StoreHarness, device: Device) -> None:
        other = store.make_connected_device(device.product_id, "sn-2")
        sent = claim(store, accept(store, other, 1), 1)

        assert store.apply(EndFormerAttempts(device_id=device.id, at=build.at(5_000), limit=9)) == 0
        assert stored(store, sent)[0] == sent

    def test_an_lwm2m_command_in_flight_goes_on(self, store: StoreHarness) -> None:
        lwm2m = store.make_online_device()
        store.apply(build.claim(store.accept(lwm2m, 1), 1))

        assert store.apply(EndFormerAttempts(device_id=lwm2m.id, at=build.at(5_000), limit=9)) == 0


class TestReply:
    @pytest.mark.parametrize("is_confirmed", [False, True])
    def test_a_reply_ends_the_attempt_confirmed_or_not(
        self, store: StoreHarness, device: Device, is_confirmed: bool
    ) -> None:
        sent = claim(store, accept(store, device, 1), 1)
        if is_confirmed:
            store.apply(payloads.confirm(sent, 1))

        replied = store.apply(payloads.reply(sent))

        answer = Answer(code=0, payload=b"done")
        end = AttemptEnd(attempt_id=AttemptId(1), outcome=Outcome.SUCCESS, at=build.at(2_000), answer=answer)
        assert replied == replace(
            sent,
            state=CommandState.SUCCEEDED,
            current_attempt=None,
            answered_at=build.at(2_000),
            finished_at=build.at(2_000),
            outcome=Outcome.SUCCESS,
        )
        command, (attempt,) = stored(store, sent)
        assert (command, attempt.end) == (replied, end)

    def test_a_second_reply_is_counted_only(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 1)
        first = store.apply(payloads.reply(sent))

        second = store.apply(payloads.reply(sent, text=b"again"))

        command, (attempt,) = stored(store, sent)
        assert second is LateAnswer.RECORDED
        assert (command, attempt.late_answers) == (first, 1)
        assert attempt.end is not None and attempt.end.answer == Answer(code=0, payload=b"done")

    @pytest.mark.parametrize(("qos", "state"), [(1, CommandState.WAITING), (0, CommandState.FAILED)])
    def test_a_late_one_within_the_validity_takes_the_place_of_silence(
        self, store: StoreHarness, device: Device, qos: int, state: CommandState
    ) -> None:
        """The one exception of P7."""
        sent = claim(store, accept(store, device, 1, qos=qos), 1)
        store.apply(EndFormerAttempts(device_id=device.id, at=build.at(5_000), limit=9))
        before = stored(store, sent)[0]

        replied = store.apply(payloads.reply(sent, when=6_000))

        command, (attempt,) = stored(store, sent)
        assert before.state is state
        assert isinstance(replied, Command)
        assert (command, command.state, command.finished_at) == (replied, CommandState.SUCCEEDED, build.at(6_000))
        assert attempt.end == AttemptEnd(
            attempt_id=AttemptId(1),
            outcome=Outcome.SUCCESS,
            at=build.at(6_000),
            answer=Answer(code=0, payload=b"done"),
        )
        assert attempt.late_answers == 0
        assert store.ask(store.reader.waiting_devices(DeviceId(0), 9)) == ()

    def test_it_is_the_newest_attempt_that_is_answered(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 9)
        store.apply(EndFormerAttempts(device_id=device.id, at=build.at(5_000), limit=9))
        claim(store, stored(store, sent)[0], 3, sent=6_000)

        store.apply(payloads.reply(sent, when=7_000))

        first, second = stored(store, sent)[1]
        assert (first.id, first.end) == (9, build.silence(9, when=5_000))
        assert second.id == 3
        assert second.end is not None and second.end.outcome is Outcome.SUCCESS

    def test_one_after_the_validity_is_counted_only(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 1)

        assert store.apply(payloads.reply(sent, when=60_000)) is LateAnswer.RECORDED

        command, (attempt,) = stored(store, sent)
        assert (command, attempt.late_answers, attempt.end) == (sent, 1, None)

    def test_one_that_is_too_large_ends_the_command(self, store: StoreHarness, device: Device) -> None:
        sent = claim(store, accept(store, device, 1), 1)

        replied = store.apply(payloads.reply(sent, text=bytes(ANSWER_PAYLOAD_BYTES_MAX + 1)))

        assert isinstance(replied, Command)
        assert (replied.state, replied.outcome) == (CommandState.FAILED, Outcome.RESP_ERROR)
        assert stored(store, sent)[0] == replied

    def test_what_never_went_out_or_is_anothers_is_not_replied_to(self, store: StoreHarness, device: Device) -> None:
        waiting = accept(store, device, 1)
        sent = claim(store, accept(store, device, 2), 1)
        other = store.make_connected_device(device.product_id, "sn-2")

        results = [
            store.apply(payloads.reply(waiting)),
            store.apply(replace(payloads.reply(sent), device_id=other.id)),
            store.apply(replace(payloads.reply(sent), command_id=build.command_id(99))),
        ]

        assert results == [NotReplied.UNKNOWN] * 3
        assert stored(store, sent)[1][0].late_answers == 0

    def test_an_lwm2m_command_is_not_replied_to(self, store: StoreHarness) -> None:
        command = store.accept(store.make_online_device(), 1)
        store.apply(build.claim(command, 1))

        assert store.apply(payloads.reply(command)) is NotReplied.UNKNOWN
