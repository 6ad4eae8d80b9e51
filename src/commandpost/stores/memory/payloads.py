"""Facts and questions about payloads of `/cmds`, in memory."""

from dataclasses import replace

from commandpost.domain.command import AttemptEnd, Command, CommandState, Outcome, Transport
from commandpost.domain.command_state import AnsweredLate, AttemptEvent, Confirmed, advance
from commandpost.domain.delivery import after_attempt, after_reply
from commandpost.domain.facts import LateAnswer
from commandpost.domain.ids import CommandId
from commandpost.domain.instant import Instant
from commandpost.domain.payload_facts import ConfirmDelivery, EndFormerAttempts, NotReplied, ReplyToPayload
from commandpost.domain.payload_ports import PayloadFilter
from commandpost.domain.ports import Page
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.memory.questions import Questions, cut
from commandpost.stores.memory.state import MemoryState


class PayloadFacts:
    """Applies the facts that only payloads have to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            EndFormerAttempts: self._end_former,
            ConfirmDelivery: self._confirm,
            ReplyToPayload: self._reply,
        }

    def _end_former(self, fact: EndFormerAttempts) -> int:
        open_ones = self._state.payloads_in_flight(fact.device_id)[: min(fact.limit, SLICE_ROWS_MAX)]
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
        self._state.update_command(confirmed, before=command)
        return confirmed

    def _reply(self, fact: ReplyToPayload) -> Command | LateAnswer | NotReplied:
        command = self._find(fact.command_id)
        if command is None or command.device_id != fact.device_id or not self._state.attempts_of[command.id]:
            return NotReplied.UNKNOWN
        attempts = [self._state.attempts[attempt_id] for attempt_id in self._state.attempts_of[command.id]]
        newest = max(attempts, key=lambda attempt: (attempt.number, attempt.id))
        event = after_reply(command, newest.id, fact.payload, at=fact.at)
        if event is None:
            self._state.attempts[newest.id] = replace(newest, late_answers=newest.late_answers + 1)
            return LateAnswer.RECORDED
        return self._finish(command, event)

    def _finish(self, command: Command, event: AttemptEvent | AnsweredLate) -> Command:
        after = advance(command, event)
        end = event.end
        self._state.attempts[end.attempt_id] = replace(self._state.attempts[end.attempt_id], end=end)
        self._state.update_command(after, before=command)
        return after

    def _find(self, command_id: CommandId) -> Command | None:
        """Give a payload; other commands are none of this file's business."""
        command = self._state.commands.get(command_id)
        return None if command is None or command.transport is Transport.LWM2M else command


class MemoryPayloadReader(Questions):
    """A PayloadReader over a state."""

    async def list_payloads(self, which: PayloadFilter, page: Page) -> tuple[int, tuple[Command, ...]]:
        """How many payload commands match, and one page of them by order of creation."""
        matches = [
            command
            for command in self._state.commands.values()
            if command.device_id == which.device_id
            and command.transport is not Transport.LWM2M
            and which.start <= command.created_at <= which.end
            and (which.stands is None or _stand(command, which.now) in which.stands)
        ]
        matches.sort(key=lambda command: (command.created_at, command.seq), reverse=not which.is_ascending)
        return len(matches), tuple(cut(matches, page))


def _stand(command: Command, now: Instant) -> tuple[CommandState, Outcome | None]:
    """Say how a payload stands, as domain.delivery.as_seen_at has it."""
    if now < command.expires_at or command.state.is_final:
        return command.state, command.outcome
    if command.state is CommandState.WAITING:
        return CommandState.EXPIRED, command.outcome
    return CommandState.EXPIRED if command.retry is None else CommandState.FAILED, Outcome.TIME_OUT
