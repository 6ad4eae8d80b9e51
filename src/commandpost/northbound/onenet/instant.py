"""Instant commands: the caller waits for the device's answer.

Source: northbound reference 4.1 to 4.6. The id of the command is handed out in a header, never in the body (4.7).
"""

from typing import Final

from commandpost.domain.command import DeliveryPolicy, Outcome
from commandpost.domain.errors import DeviceOffline, Invalid
from commandpost.domain.ids import format_command_id
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Lwm2mOperation,
    Observe,
    ObserveAttributes,
    Read,
)
from commandpost.domain.resource import ResourcePath
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import refuse, succeed, succeed_with
from commandpost.northbound.onenet.errno import Family, Fault, FaultKind, unsuccess
from commandpost.northbound.onenet.operations import (
    NO_CONTENT,
    instance_path,
    object_or_instance_path,
    parse_execute,
    parse_write,
    path_arguments,
    read_path,
    resource_path,
    submission,
)
from commandpost.northbound.onenet.parameters import (
    BIN2HEX,
    CANCEL,
    DELIVERY,
    GT,
    LT,
    MODE,
    OBJ_ID_FILTER,
    PMAX,
    PMIN,
    ST,
    TIMEOUT,
    TIMEOUT_DEFAULT_S,
)
from commandpost.northbound.onenet.values import Json, resources_data, result_data
from commandpost.services.commands import InstantRequest, InstantResult

UUID_HEADER: Final = b"x-command-uuid"


async def read(call: Call) -> ApiResponse:
    """`GET /nbiot`."""
    path = read_path(call)
    timeout_s, delivery = _options(call)
    bin2hex = call.find(BIN2HEX)
    arguments = _arguments(call, path, {"timeout": timeout_s})
    if bin2hex is not None:
        arguments["bin2hex"] = bin2hex
    request = InstantRequest(
        operation=Read(path=path),
        timeout_ms=timeout_s * SECOND_MS,
        delivery=delivery,
        submission=submission(arguments),
    )
    return await _run(call, request, opaque_as_hex=bool(bin2hex))


async def write(call: Call) -> ApiResponse:
    """`POST /nbiot`."""
    path = instance_path(call)
    mode = call.get(MODE)
    timeout_s, delivery = _options(call)
    operation, content = parse_write(call, path, mode)
    arguments = _arguments(call, path, {"mode": mode.value, "timeout": timeout_s})
    request = InstantRequest(
        operation=operation,
        timeout_ms=timeout_s * SECOND_MS,
        delivery=delivery,
        submission=submission(arguments, content),
    )
    return await _run(call, request)


async def execute(call: Call) -> ApiResponse:
    """`POST /nbiot/execute`."""
    path = resource_path(call)
    timeout_s, delivery = _options(call)
    operation, content = parse_execute(call, path)
    request = InstantRequest(
        operation=operation,
        timeout_ms=timeout_s * SECOND_MS,
        delivery=delivery,
        submission=submission(_arguments(call, path, {"timeout": timeout_s}), content),
    )
    return await _run(call, request)


async def observe(call: Call) -> ApiResponse:
    """`POST /nbiot/observe`: observes, or ends an observation."""
    is_cancel = call.get(CANCEL)
    path = read_path(call)
    attributes = _observe_attributes(call, path)
    timeout_s, delivery = _options(call)
    operation: Lwm2mOperation
    operation = CancelObserve(path=path) if is_cancel else Observe(path=path, attributes=attributes)
    given: Json = {"cancel": is_cancel}
    for parameter in (PMIN, PMAX, GT, LT, ST):
        value = call.find(parameter)
        if value is not None:
            given[parameter.name] = value
    request = InstantRequest(
        operation=operation,
        timeout_ms=timeout_s * SECOND_MS,
        delivery=delivery,
        submission=submission(_arguments(call, path, {**given, "timeout": timeout_s})),
    )
    return await _run(call, request)


async def discover(call: Call) -> ApiResponse:
    """`GET /nbiot/discover`."""
    path = object_or_instance_path(call)
    timeout_s, delivery = _options(call)
    request = InstantRequest(
        operation=Discover(path=path),
        timeout_ms=timeout_s * SECOND_MS,
        delivery=delivery,
        submission=submission(_arguments(call, path, {"timeout": timeout_s}), NO_CONTENT),
    )
    return await _run(call, request)


async def resources(call: Call) -> ApiResponse:
    """`GET /nbiot/resources`: what is known of the device's objects, whether it is online or not."""
    object_id = call.find(OBJ_ID_FILTER)
    return succeed_with(resources_data(await call.platform.devices.resources(call.device, object_id)))


async def _run(call: Call, request: InstantRequest, *, opaque_as_hex: bool = False) -> ApiResponse:
    call.platform.rates.check_instant(call.device.id)
    try:
        ended = await call.platform.commands.run(call.product, call.device, request)
    except DeviceOffline:
        raise Fault(FaultKind.DEVICE_OFFLINE, call.imei) from None
    response = _answer(call, request, ended, opaque_as_hex=opaque_as_hex)
    return response.with_header(UUID_HEADER, format_command_id(ended.command_id).encode())


def _answer(call: Call, request: InstantRequest, ended: InstantResult, *, opaque_as_hex: bool) -> ApiResponse:
    if ended.outcome is not Outcome.SUCCESS:
        return refuse(*call.platform.errnos.number(unsuccess(ended.outcome), Family.NB))
    if isinstance(request.operation, Read | Discover):
        return succeed_with(result_data(ended.result, call.platform.value_style(opaque_as_hex=opaque_as_hex)))
    return succeed()


def _options(call: Call) -> tuple[int, DeliveryPolicy | None]:
    return call.find_or(TIMEOUT, TIMEOUT_DEFAULT_S), call.find(DELIVERY)


def _arguments(call: Call, path: ResourcePath, further: Json) -> Json:
    arguments = path_arguments(path)
    arguments["imei"] = call.imei
    arguments.update(further)
    delivery = call.find(DELIVERY)
    if delivery is not None:
        arguments["delivery"] = delivery.value
    return arguments


def _observe_attributes(call: Call, path: ResourcePath) -> ObserveAttributes:
    """Read the notification attributes; each rule holds for the values that are given (northbound reference 4.4)."""
    pmin_s, pmax_s = call.find(PMIN), call.find(PMAX)
    if pmin_s is not None and pmax_s is not None:
        if pmin_s == 0 or pmax_s == 0:
            raise Invalid("pmin and pmax", f"{pmin_s} and {pmax_s}", "a pair above 0")
        if pmax_s < pmin_s:
            raise Invalid("pmax", pmax_s, f"a value from pmin ({pmin_s}) on")
    greater_than, less_than, step = call.find(GT), call.find(LT), call.find(ST)
    for name, value in (("gt", greater_than), ("lt", less_than), ("st", step)):
        if value is not None and path.resource_id is None:
            raise Invalid(name, value, "a threshold with a res_id")
    if less_than is not None and greater_than is not None:
        if less_than >= greater_than:
            raise Invalid("lt", less_than, f"a value below gt ({greater_than:g})")
        if step is not None and less_than + 2 * step >= greater_than:
            raise Invalid("st", step, f"a step with lt + 2*st below gt ({greater_than:g})")
    return ObserveAttributes(pmin_s=pmin_s, pmax_s=pmax_s, greater_than=greater_than, less_than=less_than, step=step)
