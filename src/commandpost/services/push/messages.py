"""Events of the outbox as the messages they are told in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commandpost.domain.errors import RecordUnreadable
from commandpost.domain.events import EventKind
from commandpost.domain.ids import CommandId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, StoreReader
from commandpost.domain.push_ports import (
    AlarmMessage,
    CommandMessage,
    DataMessage,
    OnlineMessage,
    PushMessage,
    PushReader,
    WaitingEvent,
    WaitingPage,
)
from commandpost.domain.trigger import Trigger, parse_alarm
from commandpost.services.push.settings import PAGE_COMMANDS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmade:
    """The first event of a queue that there is something to tell of, and why no message can be made of it."""

    waiting: WaitingEvent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeMessages:
    """What became of a page of a queue."""

    messages: tuple[tuple[WaitingEvent, PushMessage], ...] = ()
    gone: tuple[int, ...] = ()
    """The seqs of events of which there is nothing left to tell."""
    unmade: Unmade | None = None
    """Only when there are no messages: what comes later in the queue has to wait for it."""
    left_since: Instant | None = None
    """When the first event of the queue was told that is none of these; None: there is none."""


class MessageMaker:
    """Makes messages, and reads what they tell of."""

    def __init__(self, *, reader: PushReader, commands: StoreReader) -> None:
        self._reader = reader
        self._commands = commands

    async def make(self, subscription_id: int, page: WaitingPage) -> MadeMessages:
        """Make the messages of a page, in order, up to one that cannot be made or one command too many.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        page = _with_few_commands(page)
        try:
            records = await self._records(page.events)
            trigger = await self._trigger(subscription_id, page.events)
        except RecordUnreadable as error:
            first, *others = page.events
            if not others:
                return MadeMessages(unmade=Unmade(waiting=first, reason=_reason(error)))
            # One at a time, until the one that cannot be read is the first of its queue.
            alone = WaitingPage(events=(first,), left_since=others[0].event.told_at)
            return await self.make(subscription_id, alone)
        return _make(page, records, trigger)

    async def _records(self, events: Sequence[WaitingEvent]) -> Mapping[CommandId, CommandRecord]:
        ids = [command_id for each in events if (command_id := each.event.command_id) is not None]
        return await self._commands.find_commands(ids) if ids else {}

    async def _trigger(self, subscription_id: int, events: Sequence[WaitingEvent]) -> Trigger | None:
        is_needed = any(each.event.kind is EventKind.ALARM for each in events)
        return await self._reader.find_trigger_of(subscription_id) if is_needed else None


def _with_few_commands(page: WaitingPage) -> WaitingPage:
    places = [place for place, each in enumerate(page.events) if each.event.command_id is not None]
    if len(places) <= PAGE_COMMANDS_MAX:
        return page
    end = places[PAGE_COMMANDS_MAX]
    return WaitingPage(events=page.events[:end], left_since=page.events[end].event.told_at)


def _make(page: WaitingPage, records: Mapping[CommandId, CommandRecord], trigger: Trigger | None) -> MadeMessages:
    messages: list[tuple[WaitingEvent, PushMessage]] = []
    gone: list[int] = []
    for waiting in page.events:
        command_id = waiting.event.command_id
        record = None if command_id is None else records.get(command_id)
        try:
            message = message_of(waiting, record=record, trigger=trigger)
        except Exception as error:  # a fault of ours in one event must not keep the others from being told
            if not messages:
                return MadeMessages(gone=tuple(gone), unmade=Unmade(waiting=waiting, reason=_reason(error)))
            told_at = waiting.event.told_at
            return MadeMessages(messages=tuple(messages), gone=tuple(gone), left_since=told_at)
        if message is None:
            gone.append(waiting.event.seq)
        else:
            messages.append((waiting, message))
    return MadeMessages(messages=tuple(messages), gone=tuple(gone), left_since=page.left_since)


def _reason(error: Exception) -> str:
    # No more than its type: the text of a fault of ours may hold anything.
    return f"no message can be made of it ({type(error).__name__})"


def message_of(waiting: WaitingEvent, *, record: CommandRecord | None, trigger: Trigger | None) -> PushMessage | None:
    """Give the message of an event; None when what it tells of is gone.

    Args:
        record: of a command that ended.
        trigger: that of an alarm.
    """
    event = waiting.event
    match event.kind:
        case EventKind.DATA:
            return DataMessage(
                device_id=event.device_id,
                imei=waiting.imei,
                stream_id=event.stream_id or "",
                at=event.at,
                value=event.value or "null",
            )
        case EventKind.ONLINE_STATE:
            return OnlineMessage(
                device_id=event.device_id,
                imei=waiting.imei,
                protocol=waiting.protocol,
                at=event.at,
                is_online=bool(event.is_online),
            )
        case EventKind.COMMAND_ENDED:
            return None if record is None else CommandMessage(record=record)
        case EventKind.ALARM:
            return None if trigger is None else _alarm(waiting, trigger)


def _alarm(waiting: WaitingEvent, trigger: Trigger) -> AlarmMessage:
    event = waiting.event
    stream_uuid, condition = parse_alarm(event.alarm or "")
    return AlarmMessage(
        trigger_id=trigger.id,
        condition=condition,
        device_id=event.device_id,
        stream_id=event.stream_id or "",
        stream_uuid=stream_uuid,
        at=event.at,
        value=event.value or "null",
    )
