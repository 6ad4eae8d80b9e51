"""What every store does with commands, lost races included."""

from dataclasses import replace

import pytest

from commandpost.domain.command import Command, CommandMode, CommandState, Outcome, Transport, Trigger
from commandpost.domain.command_state import FailedForGood, FailedForNow, FailedTooLate, Succeeded
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.events import EventKind
from commandpost.domain.fact import Swept
from commandpost.domain.facts import (
    AcceptCommand,
    Accepted,
    CancelAll,
    CancelCommand,
    Claim,
    DeleteDevice,
    ExpireDue,
    FinishAndClaim,
    LateAnswer,
    NotAccepted,
    NotCancelled,
    NotClaimed,
    PruneCommands,
    RecordInstant,
    RecordLateAnswer,
    RefuseCommand,
    WaitingFor,
)
from commandpost.domain.ids import AttemptId, DeviceId, ProductId
from commandpost.domain.operation import Deliver
from commandpost.domain.session import Remote
from commandpost.domain.session_facts import EndSession, StartSession
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness

ANY = Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY


def stored(store: StoreHarness, command: Command) -> Command:
    """The command as a reader finds it."""
    record = store.ask(store.reader.find_command(command.id))
    assert record is not None
    return record.command


def waiting(store: StoreHarness, device_id: DeviceId, *, now: int = 0, trigger: Trigger = ANY) -> list[int]:
    """The seqs of what waits for a device."""
    fact = WaitingFor(device_id=device_id, trigger=trigger, now=build.at(now), limit=100)
    return [command.seq for command in store.apply(fact)]


class TestAccept:
    def test_an_accepted_command_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        device = store.make_device()
        given = build.command(device, 1)

        accepted = store.apply(AcceptCommand(command=given, waiting_max=10))

        assert accepted == Accepted(command=replace(given, seq=1))
        assert stored(store, given) == replace(given, seq=1)

    def test_a_payload_for_a_connected_device_reads_back_as_it_was_given(self, store: StoreHarness) -> None:
        device = store.make_device(imei=None)
        given = replace(
            build.command(device, 1),
            operation=Deliver(payload=b"\x00\xffon", qos=1, kind=2),
            transport=Transport.MQTT,
            retry=None,
            remaining=None,
            triggers=Trigger.CONNECT | Trigger.AT_ONCE,
        )

        store.apply(AcceptCommand(command=given, waiting_max=10))

        assert stored(store, given) == replace(given, seq=1)

    def test_seq_is_the_order_of_acceptance_across_devices(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        first = store.make_device(product_id, "860000000000001")
        second = store.make_device(product_id, "860000000000002")

        seqs = [store.accept(device, n).seq for n, device in enumerate([first, second, first])]

        assert seqs == [1, 2, 3]

    def test_the_eleventh_waiting_is_refused(self, store: StoreHarness) -> None:
        device = store.make_device()
        for number in range(10):
            store.accept(device, number)

        assert store.apply(build.accept(device, 10)) is NotAccepted.QUEUE_FULL

    def test_the_limit_counts_items_of_the_same_batch(self, store: StoreHarness) -> None:
        device = store.make_device()
        other = store.make_device(device.product_id, "860000000000002")
        facts = [build.accept(device, number) for number in range(11)] + [build.accept(other, 11)]

        outcomes = store.apply_batch(facts)

        assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True] * 10 + [False, True]
        assert outcomes[10] is NotAccepted.QUEUE_FULL
        assert waiting(store, device.id) == list(range(1, 11))

    def test_a_command_whose_window_has_closed_does_not_count(self, store: StoreHarness) -> None:
        device = store.make_device()
        for number in range(10):
            store.accept(device, number, expires=5_000)

        assert store.apply(build.accept(device, 10, created=4_999)) is NotAccepted.QUEUE_FULL
        assert isinstance(store.apply(build.accept(device, 11, created=5_000)), Accepted)

    def test_what_is_not_waiting_does_not_count(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        commands = [store.accept(device, number) for number in range(10)]
        store.apply(build.claim(commands[0], 1))
        store.apply(CancelCommand(device_id=device.id, command_id=commands[1].id, at=build.at(1)))

        outcomes = store.apply_batch([build.accept(device, number) for number in (10, 11, 12)])

        assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, True, False]

    def test_a_device_that_is_gone_takes_nothing(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))

        assert store.apply(build.accept(device, 1)) is NotAccepted.DEVICE_GONE

    def test_a_device_of_another_product_looks_like_one_that_is_gone(self, store: StoreHarness) -> None:
        device = store.make_device()
        stranger = replace(device, product_id=store.make_product("other"))

        assert store.apply(build.accept(stranger, 1)) is NotAccepted.DEVICE_GONE

    def test_a_bad_item_leaves_the_others_of_its_batch_alone(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.accept(device, 1)

        outcomes = store.apply_batch([build.accept(device, 2), build.accept(device, 1), build.accept(device, 3)])

        assert isinstance(outcomes[0], Accepted)
        assert isinstance(outcomes[1], StoreUnavailable)
        assert isinstance(outcomes[2], Accepted)
        assert waiting(store, device.id) == [1, 2, 3]

    def test_only_a_waiting_command_is_accepted(self, store: StoreHarness) -> None:
        device = store.make_device()
        ended = replace(build.command(device, 1), state=CommandState.CANCELLED, finished_at=build.at(1))

        with pytest.raises(StoreUnavailable, match="state waiting"):
            store.apply(AcceptCommand(command=ended, waiting_max=10))

    def test_seqs_are_not_given_twice_after_a_deletion(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.accept(device, 1)
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))
        again = store.make_device(device.product_id)

        assert again.id == device.id + 1
        assert store.accept(again, 2).seq == 2


class TestWaitingFor:
    def test_what_waits_comes_in_order_of_acceptance(self, store: StoreHarness) -> None:
        device = store.make_device()
        for number in (3, 1, 2):
            store.accept(device, number)

        assert waiting(store, device.id) == [1, 2, 3]

    def test_a_trigger_that_does_not_match_passes_over(self, store: StoreHarness) -> None:
        device = store.make_device()
        picky = replace(build.command(device, 1), triggers=Trigger.NOTIFY)
        store.apply(AcceptCommand(command=picky, waiting_max=10))
        store.accept(device, 2)

        assert waiting(store, device.id, trigger=Trigger.UPDATE) == [2]
        assert waiting(store, device.id, trigger=Trigger.NOTIFY) == [1, 2]
        assert waiting(store, device.id, trigger=Trigger.CONNECT) == []

    def test_the_window_includes_its_start_and_not_its_end(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.accept(device, 1, valid=1_000, expires=2_000)

        assert [waiting(store, device.id, now=now) for now in (999, 1_000, 1_999, 2_000)] == [[], [1], [1], []]

    def test_no_more_than_the_limit_comes(self, store: StoreHarness) -> None:
        device = store.make_device()
        for number in range(5):
            store.accept(device, number)

        found = store.apply(WaitingFor(device_id=device.id, trigger=ANY, now=build.at(0), limit=2))

        assert [command.seq for command in found] == [1, 2]

    def test_a_command_that_came_back_keeps_its_place(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        first = store.accept(device, 1)
        store.accept(device, 2)
        store.apply(build.claim(first, 1))
        end = build.refusal(1)
        store.apply(FinishAndClaim(command_id=first.id, event=FailedForNow(at=end.at, end=end)))

        assert waiting(store, device.id) == [1, 2]


class TestClaim:
    def test_a_claim_puts_the_attempt_on_disk_and_the_command_into_sent(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)
        fact = build.claim(command, 5)

        claimed = store.apply(fact)

        assert isinstance(claimed, Command)
        assert claimed.state is CommandState.SENT
        assert (claimed.attempts, claimed.current_attempt, claimed.sent_at) == (1, 5, build.at(1_000))
        record = store.ask(store.reader.find_command(command.id))
        assert record is not None
        assert record.command == claimed
        assert record.attempts == (fact.attempt,)

    def test_a_claim_writes_where_the_session_is_now(self, store: StoreHarness) -> None:
        """And one that is refused writes nothing."""
        device = store.make_online_device()
        first, second = store.accept(device, 1), store.accept(device, 2)

        outcomes = [
            store.apply(replace(build.claim(command, number), remote=Remote(remote)))
            for number, (command, remote) in enumerate([(first, b"here"), (second, b"there")], start=1)
        ]

        assert isinstance(outcomes[0], Command) and outcomes[1] is NotClaimed.BUSY
        session = store.ask(store.reader.find_session(device.id))
        assert session is not None and session.remote == b"here"
        assert store.ask(store.reader.find_session_by_remote(Remote(b"here"))) is not None

    def test_a_command_that_does_not_wait_is_not_claimed(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)
        store.apply(CancelCommand(device_id=device.id, command_id=command.id, at=build.at(1)))

        assert store.apply(build.claim(command, 1)) is NotClaimed.NOT_WAITING

    @pytest.mark.parametrize(("sent", "is_claimed"), [(999, False), (1_000, True), (1_999, True), (2_000, False)])
    def test_a_claim_outside_the_window_is_refused(self, store: StoreHarness, sent: int, is_claimed: bool) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1, valid=1_000, expires=2_000)

        result = store.apply(build.claim(command, 1, sent=sent))

        assert isinstance(result, Command) is is_claimed
        assert is_claimed or result is NotClaimed.OUTSIDE_WINDOW

    @pytest.mark.parametrize("epoch", [0, 2])
    def test_another_epoch_is_stale(self, store: StoreHarness, epoch: int) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)

        assert store.apply(build.claim(command, 1, epoch=epoch)) is NotClaimed.STALE_EPOCH
        record = store.ask(store.reader.find_command(command.id))
        assert record is not None
        assert record.attempts == ()

    def test_a_device_that_went_offline_has_no_epoch(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)
        store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1)))

        assert store.apply(build.claim(command, 1)) is NotClaimed.STALE_EPOCH

    def test_a_device_that_never_registered_has_no_epoch(self, store: StoreHarness) -> None:
        command = store.accept(store.make_device(), 1)

        assert store.apply(build.claim(command, 1)) is NotClaimed.STALE_EPOCH

    def test_a_second_command_in_flight_is_refused(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        first, second = store.accept(device, 1), store.accept(device, 2)
        store.apply(build.claim(first, 1))

        assert store.apply(build.claim(second, 2)) is NotClaimed.BUSY
        assert stored(store, second).state is CommandState.WAITING

    def test_two_claims_in_one_batch_leave_one_in_flight(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        first, second = store.accept(device, 1), store.accept(device, 2)

        outcomes = store.apply_batch([build.claim(first, 1), build.claim(second, 2)])

        assert isinstance(outcomes[0], Command)
        assert outcomes[1] is NotClaimed.BUSY

    def test_payloads_over_mqtt_do_not_wait_for_one_another(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        commands = []
        for number in (1, 2):
            fact = build.accept(device, number)
            accepted = store.apply(replace(fact, command=replace(fact.command, transport=Transport.MQTT)))
            assert isinstance(accepted, Accepted)
            commands.append(accepted.command)

        outcomes = store.apply_batch([build.claim(command, n + 1) for n, command in enumerate(commands)])

        assert all(isinstance(outcome, Command) for outcome in outcomes)

    def test_a_command_that_is_gone_is_not_claimed(self, store: StoreHarness) -> None:
        device = store.make_online_device()

        assert store.apply(build.claim(build.command(device, 1), 1)) is NotClaimed.GONE

    def test_an_attempt_id_is_taken_once(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        one = store.make_online_device(product_id, "860000000000001")
        other = store.make_online_device(product_id, "860000000000002")
        first, second = store.accept(one, 1), store.accept(other, 2)
        store.apply(build.claim(first, 1))

        with pytest.raises(StoreUnavailable):
            store.apply(build.claim(second, 1))
        assert stored(store, second).state is CommandState.WAITING


class TestFinishAndClaim:
    def flying(self, store: StoreHarness) -> tuple[Command, Command]:
        """One in flight with attempt 1, one waiting."""
        device = store.make_online_device()
        store.subscribe(device.product_id)
        first, second = store.accept(device, 1), store.accept(device, 2)
        flying = store.apply(build.claim(first, 1))
        assert isinstance(flying, Command)
        return flying, second

    def test_success_ends_the_command_and_claims_the_next(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(1)
        next_claim = build.claim(second, 2, sent=2_000)

        ended, claimed = store.apply(
            FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end), next_claim=next_claim)
        )

        assert isinstance(ended, Command)
        assert isinstance(claimed, Command)
        assert (ended.state, ended.finished_at, ended.outcome) == (CommandState.SUCCEEDED, end.at, Outcome.SUCCESS)
        assert ended.current_attempt is None
        assert claimed.current_attempt == 2
        record = store.ask(store.reader.find_command(first.id))
        assert record is not None
        assert record.command == ended
        assert [attempt.end for attempt in record.attempts] == [end]

    def test_a_failure_with_retries_left_waits_again_with_one_less(self, store: StoreHarness) -> None:
        first, _ = self.flying(store)
        end = build.silence(1)

        ended, claimed = store.apply(FinishAndClaim(command_id=first.id, event=FailedForNow(at=end.at, end=end)))

        assert isinstance(ended, Command)
        assert (ended.state, ended.remaining, ended.outcome) == (CommandState.WAITING, 2, Outcome.TIME_OUT)
        assert claimed is None
        assert stored(store, first) == ended
        assert store.outbox() == ()

    def test_a_command_is_sent_again_with_its_attempts_counted(self, store: StoreHarness) -> None:
        first, _ = self.flying(store)
        end = build.silence(1)
        waits, _ = store.apply(FinishAndClaim(command_id=first.id, event=FailedForNow(at=end.at, end=end)))
        assert isinstance(waits, Command)

        again = store.apply(build.claim(waits, 2, sent=30_000))

        assert isinstance(again, Command)
        assert again.attempts == 2
        record = store.ask(store.reader.find_command(first.id))
        assert record is not None
        assert [(attempt.number, attempt.end) for attempt in record.attempts] == [(1, end), (2, None)]

    @pytest.mark.parametrize(
        ("event", "state"), [(FailedForGood, CommandState.FAILED), (FailedTooLate, CommandState.EXPIRED)]
    )
    def test_the_last_failure_is_final_and_told(
        self, store: StoreHarness, event: type[FailedForGood | FailedTooLate], state: CommandState
    ) -> None:
        first, _ = self.flying(store)
        end = build.refusal(1)

        ended, _ = store.apply(FinishAndClaim(command_id=first.id, event=event(at=end.at, end=end)))

        assert isinstance(ended, Command)
        assert ended.state is state
        (told,) = store.outbox()
        assert (told.kind, told.command_id, told.at) == (EventKind.COMMAND_ENDED, first.id, end.at)

    def test_a_late_end_changes_nothing_but_the_count(self, store: StoreHarness) -> None:
        first, _ = self.flying(store)
        end = build.silence(1)
        done, _ = store.apply(FinishAndClaim(command_id=first.id, event=FailedForGood(at=end.at, end=end)))
        late = build.success(1, when=90_000)

        result, _ = store.apply(FinishAndClaim(command_id=first.id, event=Succeeded(at=late.at, end=late)))

        assert result is LateAnswer.RECORDED
        record = store.ask(store.reader.find_command(first.id))
        assert record is not None
        assert record.command == done
        assert record.attempts[0].end == end
        assert record.attempts[0].late_answers == 1

    def test_late_silence_is_no_answer(self, store: StoreHarness) -> None:
        first, _ = self.flying(store)
        end = build.success(1)
        store.apply(FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end)))
        late = build.silence(1)

        result, _ = store.apply(FinishAndClaim(command_id=first.id, event=FailedForGood(at=late.at, end=late)))

        assert result is LateAnswer.RECORDED
        record = store.ask(store.reader.find_command(first.id))
        assert record is not None
        assert record.attempts[0].late_answers == 0

    def test_the_next_is_claimed_even_after_a_late_end(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(1)
        store.apply(FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end)))

        result, claimed = store.apply(
            FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end), next_claim=build.claim(second, 2))
        )

        assert result is LateAnswer.RECORDED
        assert isinstance(claimed, Command)

    def test_a_lost_next_claim_leaves_the_end_written(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(1)

        ended, claimed = store.apply(
            FinishAndClaim(
                command_id=first.id, event=Succeeded(at=end.at, end=end), next_claim=build.claim(second, 2, epoch=9)
            )
        )

        assert isinstance(ended, Command)
        assert claimed is NotClaimed.STALE_EPOCH

    def test_an_unknown_attempt_is_unknown(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(99)

        result, _ = store.apply(FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end)))
        other = build.success(1)
        mixed, _ = store.apply(FinishAndClaim(command_id=second.id, event=Succeeded(at=other.at, end=other)))

        assert result is LateAnswer.UNKNOWN
        assert mixed is LateAnswer.UNKNOWN
        assert stored(store, first).state is CommandState.SENT

    def test_a_bad_next_claim_takes_the_end_back_with_it(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(1)

        with pytest.raises(StoreUnavailable):
            store.apply(
                FinishAndClaim(
                    command_id=first.id, event=Succeeded(at=end.at, end=end), next_claim=build.claim(second, 1)
                )
            )
        assert stored(store, first) == first

    def test_a_bad_next_claim_that_is_lost_anyway_harms_nothing(self, store: StoreHarness) -> None:
        first, second = self.flying(store)
        end = build.success(1)
        doomed = build.claim(second, 1, epoch=9)

        ended, claimed = store.apply(
            FinishAndClaim(command_id=first.id, event=Succeeded(at=end.at, end=end), next_claim=doomed)
        )

        assert isinstance(ended, Command)
        assert claimed is NotClaimed.STALE_EPOCH

    def test_a_late_answer_is_counted_on_its_attempt(self, store: StoreHarness) -> None:
        first, _ = self.flying(store)
        end = build.silence(1)
        store.apply(FinishAndClaim(command_id=first.id, event=FailedForNow(at=end.at, end=end)))

        results = [store.apply(RecordLateAnswer(attempt_id=AttemptId(n))) for n in (1, 1, 99)]

        assert results == [LateAnswer.RECORDED, LateAnswer.RECORDED, LateAnswer.UNKNOWN]
        record = store.ask(store.reader.find_command(first.id))
        assert record is not None
        assert record.attempts[0].late_answers == 2


class TestRefuse:
    def test_a_command_that_cannot_be_encoded_fails(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.subscribe(device.product_id)
        command = store.accept(device, 1)

        refused = store.apply(RefuseCommand(command_id=command.id, outcome=Outcome.REQ_PARAM_ERROR, at=build.at(500)))

        assert refused is not None
        assert (refused.state, refused.outcome) == (CommandState.FAILED, Outcome.REQ_PARAM_ERROR)
        assert stored(store, command) == refused
        assert [event.command_id for event in store.outbox()] == [command.id]

    def test_one_that_does_not_wait_is_left_alone(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)
        store.apply(build.claim(command, 1))
        fact = RefuseCommand(command_id=command.id, outcome=Outcome.REQ_PARAM_ERROR, at=build.at(500))

        assert store.apply(fact) is None
        assert store.apply(replace(fact, command_id=build.command_id(9))) is None

    def test_one_that_a_reader_sees_expired_is_left_alone(self, store: StoreHarness) -> None:
        command = store.accept(store.make_device(), 1, expires=1_000)
        fact = RefuseCommand(command_id=command.id, outcome=Outcome.REQ_PARAM_ERROR, at=build.at(1_000))

        assert store.apply(fact) is None


class TestCancel:
    def test_a_waiting_command_is_cancelled_and_not_told(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.subscribe(device.product_id)
        command = store.accept(device, 1)

        cancelled = store.apply(CancelCommand(device_id=device.id, command_id=command.id, at=build.at(7)))

        assert isinstance(cancelled, Command)
        assert (cancelled.state, cancelled.finished_at) == (CommandState.CANCELLED, build.at(7))
        assert stored(store, command) == cancelled
        assert store.outbox() == ()
        assert waiting(store, device.id) == []

    def test_the_second_cancel_finds_it_not_waiting(self, store: StoreHarness) -> None:
        device = store.make_device()
        command = store.accept(device, 1)
        fact = CancelCommand(device_id=device.id, command_id=command.id, at=build.at(7))

        outcomes = store.apply_batch([fact, fact])

        assert isinstance(outcomes[0], Command)
        assert outcomes[1] is NotCancelled.NOT_WAITING

    def test_one_in_flight_is_not_cancelled(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1)
        store.apply(build.claim(command, 1))
        fact = CancelCommand(device_id=device.id, command_id=command.id, at=build.at(2_000))

        assert store.apply(fact) is NotCancelled.NOT_WAITING

    def test_an_expired_one_that_was_not_swept_is_not_waiting(self, store: StoreHarness) -> None:
        device = store.make_device()
        command = store.accept(device, 1, expires=1_000)
        fact = CancelCommand(device_id=device.id, command_id=command.id, at=build.at(1_000))

        assert store.apply(fact) is NotCancelled.NOT_WAITING
        assert store.apply(CancelAll(device_id=device.id, at=build.at(1_000))) == ()
        assert stored(store, command).state is CommandState.WAITING

    def test_another_devices_command_is_unknown(self, store: StoreHarness) -> None:
        product_id = store.make_product()
        device = store.make_device(product_id, "860000000000001")
        other = store.make_device(product_id, "860000000000002")
        command = store.accept(device, 1)

        wrong = CancelCommand(device_id=other.id, command_id=command.id, at=build.at(1))
        missing = CancelCommand(device_id=device.id, command_id=build.command_id(9), at=build.at(1))

        assert store.apply(wrong) is NotCancelled.UNKNOWN
        assert store.apply(missing) is NotCancelled.UNKNOWN

    def test_cancel_all_takes_what_waits_in_order(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        other = store.make_device(device.product_id, "860000000000002")
        commands = [store.accept(device, number) for number in range(4)]
        foreign = store.accept(other, 9)
        store.apply(build.claim(commands[1], 1))

        cancelled = store.apply(CancelAll(device_id=device.id, at=build.at(2_000)))

        assert [command.seq for command in cancelled] == [1, 3, 4]
        assert {command.state for command in cancelled} == {CommandState.CANCELLED}
        assert stored(store, foreign).state is CommandState.WAITING


class TestExpire:
    def test_what_is_due_expires_at_its_own_instant_oldest_first(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.subscribe(device.product_id)
        late, early = store.accept(device, 1, expires=3_000), store.accept(device, 2, expires=2_000)
        store.accept(device, 3, expires=9_001)

        expired = store.apply(ExpireDue(now=build.at(9_000), limit=10))

        assert [(command.seq, command.finished_at) for command in expired] == [
            (early.seq, build.at(2_000)),
            (late.seq, build.at(3_000)),
        ]
        assert {command.state for command in expired} == {CommandState.EXPIRED}
        assert [(event.command_id, event.at) for event in store.outbox()] == [
            (early.id, build.at(2_000)),
            (late.id, build.at(3_000)),
        ]
        assert store.apply(ExpireDue(now=build.at(9_000), limit=10)) == ()

    def test_no_more_than_the_limit_expires(self, store: StoreHarness) -> None:
        device = store.make_device()
        for number in range(5):
            store.accept(device, number, expires=1_000)

        counts = [len(store.apply(ExpireDue(now=build.at(1_000), limit=2))) for _ in range(4)]

        assert counts == [2, 2, 1, 0]

    def test_what_is_in_flight_is_let_finish(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        command = store.accept(device, 1, expires=5_000)
        store.apply(build.claim(command, 1))

        assert store.apply(ExpireDue(now=build.at(60_000), limit=10)) == ()


class TestRecordInstant:
    def test_an_instant_command_is_kept_with_its_attempts(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.subscribe(device.product_id)
        ended = replace(
            build.command(device, 1),
            mode=CommandMode.INSTANT,
            state=CommandState.SUCCEEDED,
            attempts=1,
            finished_at=build.at(2_000),
            outcome=Outcome.SUCCESS,
        )
        sent = replace(build.attempt(build.command(device, 1), 1), end=build.success(1))

        store.apply(RecordInstant(command=ended, attempts=(sent,)))

        record = store.ask(store.reader.find_command(ended.id))
        assert record is not None
        assert record.command == replace(ended, seq=1)
        assert record.attempts == (sent,)
        assert store.outbox() == ()

    def test_nothing_is_kept_for_a_device_that_is_gone(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply(DeleteDevice(product_id=device.product_id, device_id=device.id))
        ended = replace(
            build.command(device, 1), mode=CommandMode.INSTANT, state=CommandState.FAILED, finished_at=build.at(1)
        )

        store.apply(RecordInstant(command=ended, attempts=()))

        assert store.ask(store.reader.find_command(ended.id)) is None


class TestPrune:
    def test_old_finished_commands_go_with_their_attempts(self, store: StoreHarness) -> None:
        device = store.make_online_device()
        old = store.accept(device, 1, created=0)
        store.apply(build.claim(old, 1))
        end = build.success(1)
        store.apply(FinishAndClaim(command_id=old.id, event=Succeeded(at=end.at, end=end)))
        open_one = store.accept(device, 2, created=0, expires=10**9)
        young = store.accept(device, 3, created=1_000)
        store.apply(CancelCommand(device_id=device.id, command_id=young.id, at=build.at(2_000)))

        pruned = store.apply(PruneCommands(created_before=build.at(1_000), limit=10))

        assert pruned == Swept(count=1, has_more=False)
        assert store.ask(store.reader.find_command(old.id)) is None
        assert store.ask(store.reader.find_command(open_one.id)) is not None
        assert store.ask(store.reader.find_command(young.id)) is not None
        assert store.apply(RecordLateAnswer(attempt_id=AttemptId(1))) is LateAnswer.UNKNOWN

    def test_no_more_than_a_slice_of_500_goes(self, store: StoreHarness) -> None:
        device = store.make_device()
        store.apply_batch(
            [AcceptCommand(command=build.command(device, number), waiting_max=1_000) for number in range(510)]
        )
        store.apply(CancelAll(device_id=device.id, at=build.at(1)))
        fact = PruneCommands(created_before=build.at(1), limit=10_000)

        slices = [store.apply(each) for each in (replace(fact, limit=3), fact, fact)]

        assert [(each.count, each.has_more) for each in slices] == [(3, True), (500, True), (7, False)]


def test_a_product_without_subscriber_fills_no_outbox(store: StoreHarness) -> None:
    device = store.make_online_device()
    store.subscribe(ProductId(device.product_id + 1))
    command = store.accept(device, 1, expires=1_000)
    store.apply(ExpireDue(now=build.at(1_000), limit=10))
    store.apply(EndSession(device_id=device.id, epoch=1, at=build.at(1_000)))

    assert stored(store, command).state is CommandState.EXPIRED
    assert store.outbox() == ()


def test_a_claim_in_the_batch_of_its_accept_and_registration_counts(store: StoreHarness) -> None:
    device = store.make_device()
    command = build.command(device, 1)

    outcomes = store.apply_batch(
        [
            AcceptCommand(command=command, waiting_max=10),
            StartSession(session=build.session(device)),
            WaitingFor(device_id=device.id, trigger=ANY, now=build.at(0), limit=1),
            Claim(attempt=build.attempt(command, 1), epoch=1),
        ]
    )

    assert outcomes[1:3] == [1, (replace(command, seq=1),)]
    assert isinstance(outcomes[3], Command)
