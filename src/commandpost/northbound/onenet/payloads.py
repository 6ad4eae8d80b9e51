"""Payloads for MQTT and EDP devices: `/cmds`, its status, its answer and its history.

Source: northbound reference 6.1 to 6.4. A body is bytes, whatever its Content-Type says, and stays what it is.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from commandpost.domain.command import PAYLOAD_BYTES_MAX, Command, Outcome
from commandpost.domain.errors import DeviceOffline, Invalid, NotFound
from commandpost.domain.ids import CommandId, format_command_id, parse_command_id
from commandpost.domain.instant import SECOND_MS, Instant, after
from commandpost.domain.operation import Deliver
from commandpost.domain.ports import CommandRecord, Page
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, missing, printable
from commandpost.northbound.onenet.further_parameters import (
    HISTORY_CURSOR,
    HISTORY_DURATION,
    HISTORY_LIMIT,
    PAYLOAD_KIND,
    QOS,
    STATUS,
    WAIT,
)
from commandpost.northbound.onenet.operations import submission
from commandpost.northbound.onenet.parameters import (
    END,
    HISTORY_PAGE,
    PER_PAGE,
    PER_PAGE_DEFAULT,
    PER_PAGE_MAX,
    SORT,
    START,
)
from commandpost.northbound.onenet.payload_status import PayloadStatus, payload_status, stands_of, status_text
from commandpost.northbound.onenet.values import Json
from commandpost.northbound.parameter import parse_integer
from commandpost.services.payloads import PayloadRequest

OCTETS = b"application/octet-stream"
HISTORY_BODIES_BYTES_MAX: Final = 2_097_152  # of one answer, where hex doubles them: 30 of 32 KB, answered with as much
_SLICE: Final = 16  # payloads whose answers are read at one time: 2 MiB at most
_PAGE_MAX = 10**9  # nothing lies behind it; larger numbers would overflow an offset


async def submit(call: Call) -> ApiResponse:
    """`POST /cmds`."""
    qos, wait_s, kind = call.find_or(QOS, 0), call.find_or(WAIT, 0), call.find_or(PAYLOAD_KIND, 0)
    device = call.device
    arguments: Json = {"device_id": str(device.id), "qos": qos, "timeout": wait_s, "type": kind}
    request = PayloadRequest(
        payload=call.raw_body(bytes_max=PAYLOAD_BYTES_MAX),
        qos=qos,
        timeout_s=wait_s,
        kind=kind,
        submission=submission(arguments),
    )
    try:
        command = await call.platform.payloads.submit(call.product, device, request)
    except DeviceOffline:
        raise Fault(FaultKind.DEVICE_OFFLINE, str(device.id)) from None
    return succeed_with({"cmd_uuid": format_command_id(command.id)})


async def show_status(call: Call) -> ApiResponse:
    """`GET /cmds/{uuid}`."""
    status = payload_status((await _record(call)).command)
    return succeed_with({"status": status.value, "desc": status_text(status)})


async def show_answer(call: Call) -> ApiResponse:
    """`GET /cmds/{uuid}/resp`: the bytes of the device's answer, without an envelope."""
    answer = _answer(await _record(call))
    if answer is None:
        raise Fault(FaultKind.COMMAND_UNKNOWN, "no response")
    return ApiResponse(body=answer, content_type=OCTETS)


async def list_history(call: Call) -> ApiResponse:
    """`GET /cmds/history/{device_id}`, in its present and in its older shape."""
    start = call.find_time(START)
    if start is None:
        raise missing(START.name)
    end = _end(call, start.at)
    page = _page(call)
    is_ascending = bool(call.find(SORT))
    status = call.find(STATUS)
    stands = None if status is None else stands_of(status)
    total, items = 0, []
    if stands is None or stands:  # no payload stands as a status that none is ever in
        total, commands = await call.platform.payloads.history(
            call.product, call.device, start=start.at, end=end, page=page, stands=stands, is_ascending=is_ascending
        )
        items = await _items(call, commands)
    shown: Json = {"page": page.number, "per_page": page.size, "total_count": total, "count": len(items)}
    if page.number * page.size < total:
        shown["cursor"] = str(page.number + 1)
    shown["items"] = items
    return succeed_with(shown)


async def _record(call: Call) -> CommandRecord:
    text = call.path_values["uuid"]
    command_id = parse_command_id(text)
    if command_id is None:
        raise _unknown(text)
    record = await _find(call, command_id)
    if record is None:
        raise _unknown(text)
    call.require_device(record.command.device_id)
    return record


async def _find(call: Call, command_id: CommandId) -> CommandRecord | None:
    try:
        return await call.platform.payloads.find(call.product, command_id)
    except NotFound:
        return None


def _unknown(text: str) -> Fault:
    return Fault(FaultKind.COMMAND_UNKNOWN, f"cmd_uuid {printable(text)}")


def _answer(record: CommandRecord) -> bytes | None:
    """Give what the device answered; None unless an answer is what the command ended with."""
    if payload_status(record.command) is not PayloadStatus.ANSWERED:
        return None
    for attempt in reversed(record.attempts):
        end = attempt.end
        if end is not None and end.outcome is Outcome.SUCCESS and end.answer is not None:
            return end.answer.payload
    return None


def _end(call: Call, start: Instant) -> Instant | None:
    end, duration_s = call.find_time(END), call.find(HISTORY_DURATION)
    if duration_s is None:
        return None if end is None else end.last
    if end is not None:
        raise Invalid(HISTORY_DURATION.name, duration_s, "one of duration and end")
    return after(start, duration_ms=duration_s * SECOND_MS)


def _page(call: Call) -> Page:
    number = min(call.find_or(HISTORY_PAGE, 1), _PAGE_MAX)
    cursor = call.find(HISTORY_CURSOR)
    if cursor is not None:
        found = parse_integer(cursor)
        if found is None or not 1 <= found <= _PAGE_MAX:
            raise Invalid(HISTORY_CURSOR.name, cursor, "the cursor of an answer")
        number = found
    size = call.find(PER_PAGE)
    limit = call.find(HISTORY_LIMIT)
    if size is None:
        size = PER_PAGE_DEFAULT if limit is None else min(limit, PER_PAGE_MAX)
    return Page(number=number, size=size)


async def _items(call: Call, commands: Sequence[Command]) -> list[Json]:
    """Show a page. Pages are counted in items, so where it grows too large it is bodies that are left out, not items:
    the first has both of its own in any case."""
    items: list[Json] = []
    room = HISTORY_BODIES_BYTES_MAX
    for at in range(0, len(commands), _SLICE):
        part = commands[at : at + _SLICE]
        answers = await _answers(call, part) if room else {}
        for command in part:
            body = command.operation.payload if isinstance(command.operation, Deliver) else b""
            answer = answers.get(command.id)
            room = max(0, room - len(body) - len(answer or b""))
            items.append(_item(call, command, answer if room else None, body if room else b""))
    return items


async def _answers(call: Call, commands: Sequence[Command]) -> Mapping[CommandId, bytes]:
    answered = [command.id for command in commands if payload_status(command) is PayloadStatus.ANSWERED]
    records = await call.platform.payloads.find_all(call.product, answered) if answered else ()
    answers = ((record.command.id, _answer(record)) for record in records)
    return {command_id: answer for command_id, answer in answers if answer is not None}


def _item(call: Call, command: Command, answer: bytes | None, body: bytes) -> Json:
    times, status = call.platform.times, payload_status(command)
    item: Json = {
        "cmd_uuid": format_command_id(command.id),
        "device_id": str(command.device_id),
        "dev_id": command.device_id,
        "expire_time": times.format_second(command.expires_at),
        "status": status.value,
    }
    if command.sent_at is not None:
        item["send_time"] = times.format_second(command.sent_at)
    if command.answered_at is not None:
        item["confirm_time"] = times.format_second(command.answered_at)
    if answer is not None:
        item["confirm_body"] = answer.hex()
    if body:
        item["body"] = body.hex()
    return item
