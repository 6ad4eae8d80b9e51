"""Cached commands: kept on disk until the device shows itself; submission, and cancelling.

Source: northbound reference 5.1 to 5.4, 5.8, 5.9; design 10.4.
"""

from dataclasses import dataclass

from commandpost.domain.command import RETRY_DEFAULT, DeliveryPolicy, Trigger
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import format_command_id
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.operation import Lwm2mOperation, Read
from commandpost.domain.resource import ResourcePath
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import succeed, succeed_with
from commandpost.northbound.onenet.errno import missing
from commandpost.northbound.onenet.operations import (
    NO_CONTENT,
    instance_path,
    parse_execute,
    parse_write,
    path_arguments,
    read_path,
    resource_path,
    submission,
)
from commandpost.northbound.onenet.parameters import (
    BIN2HEX,
    DELIVERY,
    EXPIRED_TIME,
    MODE,
    RETRY,
    TIMEOUT,
    TIMEOUT_DEFAULT_S,
    TRIGGER_MSG,
    TRIGGER_MSG_DEFAULT,
    VALID_TIME,
)
from commandpost.northbound.onenet.values import Json
from commandpost.services.commands import CachedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What every submission says beside its operation."""

    valid_time: Instant
    """As given, or now."""
    valid_from: Instant | None
    """None: from now on."""
    expires_at: Instant
    retry: int
    timeout_s: int
    triggers: Trigger
    delivery: DeliveryPolicy | None


async def read(call: Call) -> ApiResponse:
    """`GET /nbiot/offline`."""
    path = read_path(call)
    terms = _terms(call)
    bin2hex = call.find(BIN2HEX)
    further: Json = {} if bin2hex is None else {"bin2hex": bin2hex}
    return await _submit(call, Read(path=path), terms, _arguments(call, path, terms, {}, further), NO_CONTENT)


async def write(call: Call) -> ApiResponse:
    """`POST /nbiot/offline`."""
    path = instance_path(call)
    mode = call.get(MODE)
    terms = _terms(call)
    operation, content = parse_write(call, path, mode)
    return await _submit(call, operation, terms, _arguments(call, path, terms, {"mode": mode.value}, {}), content)


async def execute(call: Call) -> ApiResponse:
    """`POST /nbiot/execute/offline`."""
    path = resource_path(call)
    terms = _terms(call)
    operation, content = parse_execute(call, path)
    return await _submit(call, operation, terms, _arguments(call, path, terms, {}, {}), content)


async def cancel(call: Call) -> ApiResponse:
    """`PUT /nbiot/offline/cancel/{uuid}`."""
    await call.platform.commands.cancel(call.product, call.device, call.command_id())
    return succeed()


async def cancel_all(call: Call) -> ApiResponse:
    """`PUT /nbiot/offline/cancel/all`; nothing waiting is a success with empty lists."""
    cancelled = await call.platform.commands.cancel_all(call.product, call.device)
    ids = [format_command_id(command.id) for command in cancelled]
    return succeed_with({"succ": ids, "failed": [], "total": len(ids)})


async def _submit(call: Call, operation: Lwm2mOperation, terms: _Terms, arguments: Json, content: str) -> ApiResponse:
    request = CachedRequest(
        operation=operation,
        valid_from=terms.valid_from,
        expires_at=terms.expires_at,
        retry=terms.retry,
        answer_timeout_ms=terms.timeout_s * SECOND_MS,
        triggers=terms.triggers,
        delivery=terms.delivery,
        submission=submission(arguments, content),
    )
    command = await call.platform.commands.submit(call.product, call.device, request)
    return succeed_with({"uuid": format_command_id(command.id)})


def _terms(call: Call) -> _Terms:
    now = call.platform.clock.wall_ms()
    valid_time, expires_at = _window(call, now)
    return _Terms(
        valid_time=now if valid_time is None else valid_time,
        valid_from=valid_time if valid_time is not None and valid_time > now else None,
        expires_at=expires_at,
        retry=call.find_or(RETRY, RETRY_DEFAULT),
        timeout_s=call.find_or(TIMEOUT, TIMEOUT_DEFAULT_S),
        triggers=Trigger(call.find_or(TRIGGER_MSG, TRIGGER_MSG_DEFAULT)),
        delivery=call.find(DELIVERY),
    )


def _window(call: Call, now: Instant) -> tuple[Instant | None, Instant]:
    """Read when the command may be sent: `valid_time` as given, and the end.

    Whole seconds need no rounding: a time written in them lies after now exactly if it lies after now cut to seconds.
    """
    valid = call.find_time(VALID_TIME)
    expired = call.find_time(EXPIRED_TIME)
    if expired is None:
        raise missing(EXPIRED_TIME.name)
    earliest = now if valid is None else max(now, valid.at)
    if expired.at <= earliest:
        shown = call.platform.times.format_second(earliest)
        raise Invalid(
            EXPIRED_TIME.name, call.query.find(EXPIRED_TIME.name), f"a time after now and valid_time ({shown})"
        )
    return None if valid is None else valid.at, expired.at


def _arguments(call: Call, path: ResourcePath, terms: _Terms, mode: Json, further: Json) -> Json:
    """Give what the history shows as `args`: the sample's parameters always, the newer ones where they were given."""
    times = call.platform.times
    arguments = path_arguments(path)
    arguments.update(mode)
    arguments["imei"] = call.imei
    arguments["expired_time"] = times.format_argument(terms.expires_at)
    arguments["valid_time"] = times.format_argument(terms.valid_time)
    arguments["retry"] = terms.retry
    arguments["timeout"] = terms.timeout_s
    if call.has(TRIGGER_MSG):
        arguments["trigger_msg"] = int(terms.triggers)
    arguments.update(further)
    if terms.delivery is not None:
        arguments["delivery"] = terms.delivery.value
    return arguments
