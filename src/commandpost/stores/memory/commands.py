"""Facts about commands, in memory."""

from copy import deepcopy
from dataclasses import replace

from commandpost.domain.command import Command, CommandState, Transport
from commandpost.domain.command_state import Cancelled, Claimed, Refused, WindowClosed, advance
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.fact import Swept
from commandpost.domain.facts import (
    AcceptCommand,
    Accepted,
    CancelAll,
    CancelCommand,
    Claim,
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
from commandpost.domain.ids import AttemptId, CommandId
from commandpost.domain.instant import Instant
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.command_rules import waits_at
from commandpost.stores.memory.state import KeptSession, MemoryState


class CommandFacts:
    """Applies the facts about commands to a state; each checks everything before it changes anything."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AcceptCommand: self._accept,
            WaitingFor: self._waiting_for,
            Claim: self._claim,
            FinishAndClaim: self._finish_and_claim,
            RecordLateAnswer: self._record_late_answer,
            RefuseCommand: self._refuse,
            CancelCommand: self._cancel,
            CancelAll: self._cancel_all,
            ExpireDue: self._expire_due,
            RecordInstant: self._record_instant,
            PruneCommands: self._prune,
        }

    def _accept(self, fact: AcceptCommand) -> Accepted | NotAccepted:
        command = fact.command
        if command.state is not CommandState.WAITING:
            raise StoreUnavailable(f"a command is accepted in state waiting, not {command.state.value}")
        device = self._state.devices.get(command.device_id)
        if device is None or device.product_id != command.product_id:
            return NotAccepted.DEVICE_GONE
        waiting = self._state.waiting_of(command.device_id)
        count = sum(each.expires_at > command.created_at for each in waiting)
        if command.transport is not Transport.LWM2M:
            count += len(self._state.payloads_in_flight(command.device_id))
        if count >= fact.waiting_max:
            return NotAccepted.QUEUE_FULL
        return Accepted(command=self._state.insert_command(command))

    def _waiting_for(self, fact: WaitingFor) -> tuple[Command, ...]:
        eligible = [
            command
            for command in self._state.waiting_of(fact.device_id)
            if command.triggers & fact.trigger and command.valid_from <= fact.now < command.expires_at
        ]
        return tuple(eligible[: fact.limit])

    def _claim(self, fact: Claim) -> Command | NotClaimed:
        attempt = fact.attempt
        command = self._state.commands.get(attempt.command_id)
        if command is None:
            return NotClaimed.GONE
        if command.state is not CommandState.WAITING:
            return NotClaimed.NOT_WAITING
        if not command.valid_from <= attempt.sent_at < command.expires_at:
            return NotClaimed.OUTSIDE_WINDOW
        kept = self._state.sessions.get(command.device_id)
        if kept is None or not kept.is_online or kept.epoch != fact.epoch:
            return NotClaimed.STALE_EPOCH
        if command.transport is Transport.LWM2M and self._state.is_busy(command.device_id):
            return NotClaimed.BUSY
        claimed = advance(command, Claimed(at=attempt.sent_at, attempt_id=attempt.id))
        self._state.insert_attempt(attempt)
        self._state.update_command(claimed, before=command)
        if fact.remote is not None and isinstance(kept, KeptSession):
            kept.session.remote = fact.remote
        return claimed

    def _finish_and_claim(self, fact: FinishAndClaim) -> tuple[Command | LateAnswer, Command | NotClaimed | None]:
        next_claim = fact.next_claim
        # The one fact in two parts: a second part that cannot be written takes the first back with it.
        is_doubtful = next_claim is not None and next_claim.attempt.id in self._state.attempts
        saved = deepcopy(self._state) if is_doubtful else None
        ended = self._finish(fact)
        try:
            return ended, None if next_claim is None else self._claim(next_claim)
        except StoreUnavailable:
            if saved is not None:
                self._state.become(saved)
            raise

    def _finish(self, fact: FinishAndClaim) -> Command | LateAnswer:
        end = fact.event.end
        command = self._state.commands.get(fact.command_id)
        if command is None or command.current_attempt != end.attempt_id:
            # Silence that comes late is no answer: there is nothing to count.
            return self._count_late(end.attempt_id, fact.command_id, answers=0 if end.is_silence else 1)
        after = advance(command, fact.event)
        self._state.attempts[end.attempt_id] = replace(self._state.attempts[end.attempt_id], end=end)
        self._state.update_command(after, before=command)
        return after

    def _record_late_answer(self, fact: RecordLateAnswer) -> LateAnswer:
        return self._count_late(fact.attempt_id, None, answers=1)

    def _count_late(self, attempt_id: AttemptId, command_id: CommandId | None, *, answers: int) -> LateAnswer:
        attempt = self._state.attempts.get(attempt_id)
        if attempt is None or command_id not in (None, attempt.command_id):
            return LateAnswer.UNKNOWN
        self._state.attempts[attempt_id] = replace(attempt, late_answers=attempt.late_answers + answers)
        return LateAnswer.RECORDED

    def _refuse(self, fact: RefuseCommand) -> Command | None:
        command = self._state.commands.get(fact.command_id)
        if command is None or not waits_at(command, fact.at):
            return None
        refused = advance(command, Refused(at=fact.at, outcome=fact.outcome))
        self._state.update_command(refused, before=command)
        return refused

    def _cancel(self, fact: CancelCommand) -> Command | NotCancelled:
        command = self._state.commands.get(fact.command_id)
        if command is None or command.device_id != fact.device_id:
            return NotCancelled.UNKNOWN
        if not waits_at(command, fact.at):
            return NotCancelled.NOT_WAITING
        return self._cancel_waiting(command, fact.at)

    def _cancel_all(self, fact: CancelAll) -> tuple[Command, ...]:
        waiting = [command for command in self._state.waiting_of(fact.device_id) if waits_at(command, fact.at)]
        return tuple(self._cancel_waiting(command, fact.at) for command in waiting)

    def _cancel_waiting(self, command: Command, at: Instant) -> Command:
        cancelled = advance(command, Cancelled(at=at))
        self._state.update_command(cancelled, before=command)
        return cancelled

    def _expire_due(self, fact: ExpireDue) -> tuple[Command, ...]:
        due = sorted(
            (command.expires_at, command.seq, command.id)
            for device_id in self._state.waiting
            for command in self._state.waiting_of(device_id)
            if command.expires_at <= fact.now
        )
        expired = []
        for expires_at, _, command_id in due[: min(fact.limit, SLICE_ROWS_MAX)]:
            command = self._state.commands[command_id]
            after = advance(command, WindowClosed(at=expires_at))
            self._state.update_command(after, before=command)
            expired.append(after)
        return tuple(expired)

    def _record_instant(self, fact: RecordInstant) -> None:
        command = fact.command
        if not command.state.is_final:
            raise StoreUnavailable(f"an instant command is recorded at its end, not in state {command.state.value}")
        device = self._state.devices.get(command.device_id)
        if device is not None and device.product_id == command.product_id:
            self._state.insert_command(command, fact.attempts)

    def _prune(self, fact: PruneCommands) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        old = sorted(
            (command.created_at, command.seq, command.id)
            for command in self._state.commands.values()
            if command.finished_at is not None and command.created_at < fact.created_before
        )[:limit]
        for _, _, command_id in old:
            self._state.delete_command(self._state.commands[command_id])
        return Swept(count=len(old), has_more=len(old) >= limit)
