"""An event of the outbox as the message it is told in."""

from commandpost.domain.events import EventKind
from commandpost.domain.ports import CommandRecord
from commandpost.domain.push_ports import (
    AlarmMessage,
    CommandMessage,
    DataMessage,
    OnlineMessage,
    PushMessage,
    WaitingEvent,
)
from commandpost.domain.trigger import Trigger, parse_alarm


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
