"""Facts about commands, on SQLite. What follows is asked of the domain; the SQL guards what was."""

import sqlite3
from dataclasses import replace

from commandpost.domain.command import Attempt, Command, CommandState, Transport
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
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.command_rules import is_told, waits_at
from commandpost.stores.rows import (
    COMMAND_COLUMNS,
    attempt_end_to_row,
    attempt_to_row,
    command_from_row,
    command_progress,
    command_to_row,
)
from commandpost.stores.sqlite.queries import load_queries


class CommandFacts:
    """Applies the facts about commands, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sql = load_queries("commands.sql")

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
        place = command.device_id, command.product_id
        guards: tuple[int, ...] = *place, command.device_id, command.created_at, fact.waiting_max
        name = "accept_command"
        if command.transport is not Transport.LWM2M:
            name = "accept_payload"
            guards = *place, command.device_id, command.created_at, command.device_id, fact.waiting_max
        inserted = self._execute(self._sql[name], command_to_row(command) + guards)
        if inserted.rowcount:
            return Accepted(command=replace(command, seq=inserted.lastrowid or 0))
        (is_there,) = self._execute(self._sql["device_exists"], place).fetchone()
        return NotAccepted.QUEUE_FULL if is_there else NotAccepted.DEVICE_GONE

    def _waiting_for(self, fact: WaitingFor) -> tuple[Command, ...]:
        found = self._execute(
            self._sql["waiting_for"],
            {"device_id": fact.device_id, "trigger": int(fact.trigger), "now": fact.now, "limit": fact.limit},
        )
        return tuple(command_from_row(row) for row in found)

    def _claim(self, fact: Claim) -> Command | NotClaimed:
        attempt = fact.attempt
        row = self._execute(self._sql["find_claimable"], (attempt.command_id,)).fetchone()
        if row is None:
            return NotClaimed.GONE
        command = command_from_row(row)
        epoch, is_busy = row[COMMAND_COLUMNS], row[COMMAND_COLUMNS + 1]
        if command.state is not CommandState.WAITING:
            return NotClaimed.NOT_WAITING
        if not command.valid_from <= attempt.sent_at < command.expires_at:
            return NotClaimed.OUTSIDE_WINDOW
        if epoch != fact.epoch:
            return NotClaimed.STALE_EPOCH
        if command.transport is Transport.LWM2M and is_busy:
            return NotClaimed.BUSY
        claimed = advance(command, Claimed(at=attempt.sent_at, attempt_id=attempt.id))
        self._insert_attempt(attempt, command_seq=command.seq)
        changed = self._execute(self._sql["claim_command"], {**command_progress(claimed), "deadline": attempt.deadline})
        assert changed.rowcount == 1
        if fact.remote is not None:
            place = {"remote": fact.remote, "device_id": command.device_id, "epoch": fact.epoch}
            self._execute(self._sql["follow_session"], place)
        return claimed

    def _finish_and_claim(self, fact: FinishAndClaim) -> tuple[Command | LateAnswer, Command | NotClaimed | None]:
        ended = self._finish(fact)
        return ended, None if fact.next_claim is None else self._claim(fact.next_claim)

    def _finish(self, fact: FinishAndClaim) -> Command | LateAnswer:
        end = fact.event.end
        command = self._find(fact.command_id)
        if command is None or command.current_attempt != end.attempt_id:
            # Silence that comes late is no answer: there is nothing to count.
            return self._count_late(end.attempt_id, fact.command_id, answers=0 if end.is_silence else 1)
        after = advance(command, fact.event)
        self._execute(self._sql["end_attempt"], (*attempt_end_to_row(end), end.attempt_id))
        changed = self._execute(
            self._sql["finish_command"], {**command_progress(after), "ended_attempt": end.attempt_id}
        )
        assert changed.rowcount == 1
        self._tell(after)
        return after

    def _record_late_answer(self, fact: RecordLateAnswer) -> LateAnswer:
        return self._count_late(fact.attempt_id, None, answers=1)

    def _count_late(self, attempt_id: AttemptId, command_id: CommandId | None, *, answers: int) -> LateAnswer:
        counted = self._execute(
            self._sql["count_late_answer"],
            {"attempt_id": attempt_id, "command_id": command_id, "answers": answers},
        )
        return LateAnswer.RECORDED if counted.rowcount else LateAnswer.UNKNOWN

    def _refuse(self, fact: RefuseCommand) -> Command | None:
        command = self._find(fact.command_id)
        if command is None or not waits_at(command, fact.at):
            return None
        return self._end_waiting(advance(command, Refused(at=fact.at, outcome=fact.outcome)))

    def _cancel(self, fact: CancelCommand) -> Command | NotCancelled:
        command = self._find(fact.command_id)
        if command is None or command.device_id != fact.device_id:
            return NotCancelled.UNKNOWN
        if not waits_at(command, fact.at):
            return NotCancelled.NOT_WAITING
        return self._end_waiting(advance(command, Cancelled(at=fact.at)))

    def _cancel_all(self, fact: CancelAll) -> tuple[Command, ...]:
        found = self._execute(self._sql["waiting_of_device"], {"device_id": fact.device_id, "at": fact.at})
        waiting = [command_from_row(row) for row in found.fetchall()]
        return tuple(self._end_waiting(advance(command, Cancelled(at=fact.at))) for command in waiting)

    def _expire_due(self, fact: ExpireDue) -> tuple[Command, ...]:
        found = self._execute(self._sql["expiring"], {"now": fact.now, "limit": min(fact.limit, SLICE_ROWS_MAX)})
        due = [command_from_row(row) for row in found.fetchall()]
        return tuple(self._end_waiting(advance(command, WindowClosed(at=command.expires_at))) for command in due)

    def _record_instant(self, fact: RecordInstant) -> None:
        command = fact.command
        if not command.state.is_final:
            raise StoreUnavailable(f"an instant command is recorded at its end, not in state {command.state.value}")
        inserted = self._execute(
            self._sql["insert_ended_command"], (*command_to_row(command), command.device_id, command.product_id)
        )
        if inserted.rowcount and inserted.lastrowid is not None:
            for attempt in fact.attempts:
                self._insert_attempt(attempt, command_seq=inserted.lastrowid)

    def _prune(self, fact: PruneCommands) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        old = self._execute(
            self._sql["prunable"],
            {"created_before": fact.created_before, "limit": limit},
        ).fetchall()
        for seq in old:
            self._execute(self._sql["delete_attempts_of"], seq)
            self._execute(self._sql["delete_feedback_of"], seq)
            self._execute(self._sql["delete_command"], seq)
        return Swept(count=len(old), has_more=len(old) >= limit)

    def _find(self, command_id: CommandId) -> Command | None:
        row = self._execute(self._sql["find_command"], (command_id,)).fetchone()
        return None if row is None else command_from_row(row)

    def _insert_attempt(self, attempt: Attempt, *, command_seq: int) -> None:
        self._execute(self._sql["insert_attempt"], attempt_to_row(attempt, command_seq=command_seq))

    def _end_waiting(self, ended: Command) -> Command:
        progress = command_progress(ended)
        changed = self._execute(
            self._sql["end_waiting_command"],
            {name: progress[name] for name in ("seq", "state", "finished_at", "outcome")},
        )
        assert changed.rowcount == 1
        self._tell(ended)
        return ended

    def _tell(self, command: Command) -> None:
        if is_told(command):
            self._execute(
                self._sql["tell_command_ended"],
                {
                    "product_id": command.product_id,
                    "device_id": command.device_id,
                    "at": command.finished_at,
                    "command_id": command.id,
                },
            )
