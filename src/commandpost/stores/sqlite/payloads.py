"""Facts and questions about payloads of `/cmds`, on SQLite. They are not told to the outbox (command_rules.is_told)."""

import sqlite3

from commandpost.domain.command import AttemptEnd, Command, CommandState, Outcome, Transport
from commandpost.domain.command_state import AnsweredLate, AttemptEvent, Confirmed, advance
from commandpost.domain.delivery import after_attempt, after_reply
from commandpost.domain.facts import LateAnswer
from commandpost.domain.ids import AttemptId, CommandId
from commandpost.domain.payload_facts import ConfirmDelivery, EndFormerAttempts, NotReplied, ReplyToPayload
from commandpost.domain.payload_ports import PayloadFilter
from commandpost.domain.ports import Page
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.payload_rows import payload_filter_to_row
from commandpost.stores.rows import attempt_end_to_row, command_from_row, command_progress
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions, cut


class PayloadFacts:
    """Applies the facts that only payloads have, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._commands = load_queries("commands.sql")
        self._sql = load_queries("payloads.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            EndFormerAttempts: self._end_former,
            ConfirmDelivery: self._confirm,
            ReplyToPayload: self._reply,
        }

    def _end_former(self, fact: EndFormerAttempts) -> int:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        found = self._execute(self._sql["payloads_in_flight"], {"device_id": fact.device_id, "limit": limit})
        open_ones = [command_from_row(row) for row in found.fetchall()]
        for command in open_ones:
            assert command.current_attempt is not None
            end = AttemptEnd(attempt_id=command.current_attempt, outcome=Outcome.TIME_OUT, at=fact.at)
            self._finish(command, after_attempt(command, end))
        return len(open_ones)

    def _confirm(self, fact: ConfirmDelivery) -> Command | None:
        command = self._find(fact.command_id)
        if command is None or command.state is not CommandState.SENT or command.current_attempt != fact.attempt_id:
            return None
        confirmed = advance(command, Confirmed(at=fact.at))
        changed = self._execute(self._sql["confirm_payload"], command_progress(confirmed))
        assert changed.rowcount == 1
        return confirmed

    def _reply(self, fact: ReplyToPayload) -> Command | LateAnswer | NotReplied:
        command = self._find(fact.command_id)
        if command is None or command.device_id != fact.device_id:
            return NotReplied.UNKNOWN
        newest = self._execute(self._sql["newest_attempt"], (command.seq,)).fetchone()
        if newest is None:
            return NotReplied.UNKNOWN
        attempt_id = AttemptId(newest[0])
        event = after_reply(command, attempt_id, fact.payload, at=fact.at)
        if event is None:
            counting = {"attempt_id": attempt_id, "command_id": command.id, "answers": 1}
            self._execute(self._commands["count_late_answer"], counting)
            return LateAnswer.RECORDED
        return self._finish_late(command, event) if isinstance(event, AnsweredLate) else self._finish(command, event)

    def _finish(self, command: Command, event: AttemptEvent) -> Command:
        after = advance(command, event)
        attempt_id = event.end.attempt_id
        self._execute(self._commands["end_attempt"], (*attempt_end_to_row(event.end), attempt_id))
        changed = self._execute(
            self._commands["finish_command"], {**command_progress(after), "ended_attempt": attempt_id}
        )
        assert changed.rowcount == 1
        return after

    def _finish_late(self, command: Command, event: AnsweredLate) -> Command:
        after = advance(command, event)
        self._execute(self._sql["end_attempt_late"], (*attempt_end_to_row(event.end), event.end.attempt_id))
        changed = self._execute(self._sql["answer_late"], command_progress(after))
        assert changed.rowcount == 1
        return after

    def _find(self, command_id: CommandId) -> Command | None:
        """Give a payload; other commands are none of this file's business."""
        row = self._execute(self._commands["find_command"], (command_id,)).fetchone()
        command = None if row is None else command_from_row(row)
        return None if command is None or command.transport is Transport.LWM2M else command


class SqlitePayloadReader(Questions):
    """A PayloadReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._payloads = load_queries("payloads.sql")

    async def list_payloads(self, which: PayloadFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many payload commands match, and one page of them by order of creation."""
        conditions = payload_filter_to_row(which)
        name = "payloads_ascending" if which.is_ascending else "payloads_descending"
        with self._snapshot():
            total = self._count(self._payloads["count_payloads"], conditions)
            rows = self._rows(self._payloads[name], {**conditions, **cut(page)})
        return total, tuple(command_from_row(row) for row in rows)
