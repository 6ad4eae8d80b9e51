"""The history of commands: list, detail and full-chain log.

Source: northbound reference 4.7, 5.5 to 5.7, 5.10.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from commandpost.domain.command import Command, CommandMode
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import CommandId, format_command_id, parse_command_id
from commandpost.domain.ports import CommandRecord, Page
from commandpost.domain.push import Feedback
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Call, Platform, unknown_command
from commandpost.northbound.onenet.envelope import raw_json, succeed_with
from commandpost.northbound.onenet.errno import missing
from commandpost.northbound.onenet.parameters import (
    END,
    HISTORY_PAGE,
    PER_PAGE,
    PER_PAGE_DEFAULT,
    SORT,
    START,
    UUID_FILTER,
)
from commandpost.northbound.onenet.piecewise import cached_log, instant_log
from commandpost.northbound.onenet.projection import command_result, command_type, send_status
from commandpost.northbound.onenet.values import Json

_PAGE_SHOWN_MAX: Final = 10**9  # nothing lies behind it; larger numbers would overflow an offset


async def list_commands(call: Call) -> ApiResponse:
    """`GET /nbiot/offline/history`."""
    start = call.find_time(START)
    if start is None:
        raise missing(START.name)
    end = call.find_time(END)
    page = Page(
        number=min(call.find_or(HISTORY_PAGE, 1), _PAGE_SHOWN_MAX), size=call.find_or(PER_PAGE, PER_PAGE_DEFAULT)
    )
    is_ascending = bool(call.find(SORT))
    total, commands = await call.platform.commands.history(
        call.product,
        call.device,
        start=start.at,
        end=None if end is None else end.last,
        page=page,
        command_id=_uuid_filter(call),
        is_ascending=is_ascending,
    )
    feedback = await _feedback(call.platform, commands)
    items = [_item(command, call.platform.times, feedback.get(command.id, ())) for command in commands]
    return succeed_with({"total_count": total, "items": items})


async def show_command(call: Call) -> ApiResponse:
    """`GET /nbiot/offline/history/{uuid}`."""
    record = await _record(call, CommandMode.CACHED)
    feedback = await _feedback(call.platform, (record.command,))
    return succeed_with(_detail(call.platform, record, feedback.get(record.command.id, ())))


async def show_cached_log(call: Call) -> ApiResponse:
    """`GET /nbiot/offline/history/{uuid}/piecewise`."""
    record = await _record(call, CommandMode.CACHED)
    feedback = await _feedback(call.platform, (record.command,))
    return succeed_with(cached_log(call.platform, record, feedback.get(record.command.id, ())))


async def show_instant_log(call: Call) -> ApiResponse:
    """`GET /nbiot/open/online/history/{uuid}/piecewise`."""
    return succeed_with(instant_log(call.platform, await _record(call, CommandMode.INSTANT)))


async def _feedback(platform: Platform, commands: Sequence[Command]) -> Mapping[CommandId, tuple[Feedback, ...]]:
    """Give how the results of commands were pushed."""
    if platform.push is None or not commands:
        return {}
    return await platform.push.subscriptions.feedback([command.id for command in commands])


async def _record(call: Call, mode: CommandMode) -> CommandRecord:
    record = await call.platform.commands.get(call.product, call.device, call.command_id())
    if record.command.mode is not mode:
        raise unknown_command(call.path_values["uuid"])
    return record


def _uuid_filter(call: Call) -> CommandId | None:
    text = call.find(UUID_FILTER)
    if text is None:
        return None
    command_id = parse_command_id(text)
    if command_id is None:
        raise Invalid(UUID_FILTER.name, text, "the 36 characters of a UUID")
    return command_id


def _item(command: Command, times: TextTimes, feedback: Sequence[Feedback]) -> Json:
    item: Json = {
        "cmd_uuid": format_command_id(command.id),
        "type": command_type(command).name,
        "create_time": times.format_second(command.created_at),
        "valid_time": times.format_second(command.valid_from),
        "expired_time": times.format_second(command.expires_at),
    }
    if command.sent_at is not None:
        item["send_time"] = times.format_second(command.sent_at)
    item["trigger_msg"] = int(command.triggers)
    item["send_status"] = send_status(command)
    _add_confirmation(item, command, times)
    accepted_at = next((each.at for each in feedback if each.is_accepted), None)
    if accepted_at is not None:
        item["feedback_time"] = times.format_second(accepted_at)
    item["imei"] = command.imei
    item["remain"] = command.remaining
    return item


def _detail(platform: Platform, record: CommandRecord, feedback: Sequence[Feedback]) -> Json:
    command, times = record.command, platform.times
    detail: Json = {
        "cmd_uuid": format_command_id(command.id),
        "type": command_type(command).name,
        "args": raw_json(command.submission.arguments),
        "content": raw_json(command.submission.content),
        "create_time": times.format_second(command.created_at),
        "valid_time": times.format_second(command.valid_from),
        "expired_time": times.format_second(command.expires_at),
    }
    if command.sent_at is not None:
        detail["send_time"] = times.format_second(command.sent_at)
    detail["trigger_msg"] = int(command.triggers)
    detail["send_status"] = send_status(command)
    _add_confirmation(detail, command, times)
    result = command_result(platform, record)
    if result is not None:
        detail["cmd_result"] = result
    detail["feedback_msg"] = [
        {"feedback_time": times.format_second(each.at), "feedback_status": 0 if each.is_accepted else 1}
        for each in feedback
    ]
    detail["imei"] = command.imei
    detail["remain"] = command.remaining
    return detail


def _add_confirmation(shown: Json, command: Command, times: TextTimes) -> None:
    """Both are absent until there is something to say; a time only when the device itself answered."""
    if command.answered_at is not None:
        shown["confirm_time"] = times.format_second(command.answered_at)
    if command.outcome is not None:
        shown["confirm_status"] = command.outcome.name
