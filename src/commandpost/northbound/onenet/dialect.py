"""How a call of the dialect is answered, whichever it is: the checks in their order, and the envelope around the end.

Here: credential, query, device, the right to it, then the handler; every error becomes an envelope here and nowhere
else. Not here: any single call. Source: northbound reference 1.4 (which key for which call), 2.3 (order of checks).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum

from commandpost.domain.device import Device, Product
from commandpost.domain.errors import CommandpostError, NotFound, Unauthenticated
from commandpost.northbound.messages import CUT_OFF, ApiRequest, ApiResponse
from commandpost.northbound.onenet.call import Call, Platform, known_device_id
from commandpost.northbound.onenet.envelope import refuse
from commandpost.northbound.onenet.errno import Family, Fault, FaultKind, fault_of, missing, printable
from commandpost.northbound.onenet.json_body import parse_object, query_texts
from commandpost.northbound.onenet.parameters import DEVICE_ID, ENDPOINT_NAME_CHARACTERS_MAX, IMEI
from commandpost.northbound.query import Query, parse_query
from commandpost.northbound.routing import Handler, PathValues, Route, RouteDocumentation
from commandpost.services.access import Access

CallHandler = Callable[[Call], Awaitable[ApiResponse]]


class Subject(Enum):
    """What a call is about: what has to be known before a handler looks at ranges, and so whose keys open it."""

    PRODUCT = "product"
    """Everything of a product, or more than one device: the MasterKey alone opens it."""
    DEVICE = "device"
    """The LwM2M device named by `imei` or `ep_name`."""
    DEVICE_OF_PATH = "device of path"
    """The device `{device_id}` of the path."""
    DEVICE_OF_QUERY = "device of query"
    """The device named by `device_id`."""
    FOUND_BY_HANDLER = "found by handler"
    """One device, which only the handler can tell; it has to ask `Call.require_device` before it shows anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRoute:
    """One route of the dialect."""

    method: str
    template: str
    handler: CallHandler
    family: Family
    documentation: RouteDocumentation
    subject: Subject = Subject.PRODUCT
    is_of_streams: bool = False
    """Whether a right to single streams of the device may be enough; the handler has to ask `Call.require_streams`."""
    body_holds_parameters: bool = False
    """Whether a JSON body may hold what the query does not."""


class Dialect:
    """Answers the calls of the dialect. Never raises: whatever goes wrong becomes an envelope."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def route(self, call_route: CallRoute) -> Route:
        """Give the route as the table holds it."""
        return Route(
            method=call_route.method,
            template=call_route.template,
            handler=self._handler(call_route),
            documentation=call_route.documentation,
        )

    def refuse_path(self, request: ApiRequest) -> ApiResponse:
        """Answer a path, or a method on a path, that is not served: the only answer that is not HTTP 200."""
        fault = Fault(FaultKind.PATH_UNKNOWN, f"{printable(request.method)} {request.path}")
        return refuse(*self._platform.errnos.number(fault, Family.GENERAL), status=404)

    def _handler(self, call_route: CallRoute) -> Handler:
        note_failure, name = self._platform.admission.note_failure, f"{call_route.method} {call_route.template}"

        async def answer(request: ApiRequest, path_values: PathValues) -> ApiResponse:
            access: Access | None = None
            try:
                if not call_route.documentation.is_open:
                    access = await self._authenticate(call_route, request)
                call = await self._prepare(call_route, access, request, path_values)
                return await call_route.handler(call)
            except Fault as fault:
                if access is None and fault.kind is FaultKind.CREDENTIAL_WRONG:
                    request.trail.refuse_credential(is_missing=False)
                return self._refuse(fault, call_route.family)
            except CommandpostError as error:
                note_failure(request, name, error)
                return self._refuse(fault_of(error), call_route.family)
            except asyncio.CancelledError:  # by nobody but a server that stops, and has waited as long as it may
                return self._refuse(Fault(FaultKind.INTERNAL, CUT_OFF), call_route.family)
            except Exception as error:  # the top of a call: nothing may escape to its caller but an envelope
                note_failure(request, name, error)
                return self._refuse(Fault(FaultKind.INTERNAL), call_route.family)

        return answer

    async def _authenticate(self, call_route: CallRoute, request: ApiRequest) -> Access:
        """Say who asks, and refuse at once whom no device of the product could open the call to."""
        try:
            access = await self._platform.admission.admit(request)
        except Unauthenticated as error:
            if error.is_missing or request.find_header(b"api-key"):
                raise
            raise Fault(FaultKind.CREDENTIAL_WRONG, "authorization is not valid") from None
        is_strict = call_route.family is Family.NB and self._platform.settings.is_nbiot_for_master_only
        if call_route.subject is Subject.PRODUCT or is_strict:
            access.require_master()
        return access

    async def _prepare(
        self, call_route: CallRoute, access: Access | None, request: ApiRequest, path_values: PathValues
    ) -> Call:
        settings = self._platform.settings
        query = parse_query(
            request.query, bytes_max=settings.query_bytes_max, parameters_max=settings.query_parameters_max
        )
        call = Call(platform=self._platform, found_access=access, request=request, path_values=path_values, query=query)
        if call_route.body_holds_parameters:
            _fall_back_to_body(call)
        _require_parameters(call_route, query)
        request.trail.target = _named_by(query)
        call.found_device = await self._find_subject(call_route.subject, call)
        if call.found_device is not None and not call_route.is_of_streams:
            call.require_device(call.found_device.id)
        return call

    async def _find_subject(self, subject: Subject, call: Call) -> Device | None:
        match subject:
            case Subject.DEVICE:
                return await self._find_by_imei(call.product, call.query)
            case Subject.DEVICE_OF_PATH:
                return await self._platform.devices.find(call.product, call.device_id())
            case Subject.DEVICE_OF_QUERY:
                device_id = known_device_id(call.query.find(DEVICE_ID.name) or "")
                return await self._platform.devices.find(call.product, device_id)
            case Subject.PRODUCT | Subject.FOUND_BY_HANDLER:
                return None

    async def _find_by_imei(self, product: Product, query: Query) -> Device:
        name = query.find(IMEI.name) or query.find(IMEI.or_name or IMEI.name) or ""
        if len(name) > ENDPOINT_NAME_CHARACTERS_MAX:
            raise Fault(FaultKind.DEVICE_UNKNOWN, f"imei {printable(name)}")
        try:
            return await self._platform.devices.find_lwm2m(product, name)
        except NotFound:
            raise Fault(FaultKind.DEVICE_UNKNOWN, f"imei {printable(name)}") from None

    def _refuse(self, fault: Fault, family: Family) -> ApiResponse:
        return refuse(*self._platform.errnos.number(fault, family))


def _named_by(query: Query) -> str:
    """Say which device a query names, for the audit."""
    found = ((name, query.find(name)) for name in (IMEI.name, IMEI.or_name or IMEI.name, DEVICE_ID.name))
    return next((f"{name} {text}" for name, text in found if text is not None), "")


def _require_parameters(call_route: CallRoute, query: Query) -> None:
    for parameter in call_route.documentation.parameters:
        if not parameter.is_required or query.find(parameter.name) is not None:
            continue
        if parameter.or_name is None or query.find(parameter.or_name) is None:
            raise missing(parameter.name)


def _fall_back_to_body(call: Call) -> None:
    """Take what the query lacks from the body. A body that holds no JSON object is passed over, as `{}` is."""
    body = call.command_body()
    if not body:
        return
    try:
        call.query.fall_back_to(query_texts(parse_object(body)))
    except Fault:
        return


def alias(call_route: CallRoute, template: str, name: str) -> CallRoute:
    """Serve a call under a second path, which is documented as what it is."""
    documentation = replace(
        call_route.documentation,
        name=name,
        summary=f"{call_route.documentation.summary} (alias)",
        description=f"The same as `{call_route.method} {call_route.template}`.",
    )
    return replace(call_route, template=template, documentation=documentation)
