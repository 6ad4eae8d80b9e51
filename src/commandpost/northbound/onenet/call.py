"""One call of the dialect on its way through a handler: who asks, about which device, with which values.

Here: what handlers read from, in the order of checks the dialect has. Not here: the checks of any one call.
Source: northbound reference 2.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from commandpost.domain.device import Device, Product
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import CommandId, DeviceId, parse_command_id
from commandpost.domain.ports import Clock
from commandpost.domain.topic_ports import TopicMessenger
from commandpost.northbound.admission import Admission
from commandpost.northbound.messages import CUT_OFF, ApiRequest, BodyFault
from commandpost.northbound.onenet.beijing_time import ParsedTime, TextTimes
from commandpost.northbound.onenet.errno import ErrnoTable, Fault, FaultKind, missing, printable
from commandpost.northbound.onenet.json_body import JsonObject, parse_object
from commandpost.northbound.onenet.parameters import TIME_FORMAT, parse_device_id
from commandpost.northbound.onenet.values import ValueStyle
from commandpost.northbound.parameter import Parameter
from commandpost.northbound.query import Query, require_utf8
from commandpost.northbound.settings import NorthboundSettings
from commandpost.services.access import Access
from commandpost.services.commands import Commands
from commandpost.services.datapoints import Datapoints
from commandpost.services.device_keys import DeviceKeys
from commandpost.services.devices import Devices
from commandpost.services.identities import Identities
from commandpost.services.payloads import Payloads
from commandpost.services.push.subscriptions import Subscriptions
from commandpost.services.rate_limits import RateLimits
from commandpost.services.self_registration import SelfRegistration
from commandpost.services.triggers import Triggers

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushServices:
    """Who is told of events, and of which values."""

    subscriptions: Subscriptions
    triggers: Triggers


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What handlers work with."""

    admission: Admission
    devices: Devices
    device_keys: DeviceKeys
    self_registration: SelfRegistration
    identities: Identities
    commands: Commands
    payloads: Payloads
    datapoints: Datapoints
    topics: TopicMessenger
    push: PushServices | None
    """None: nothing is pushed, and the calls about it are not served."""
    clock: Clock
    settings: NorthboundSettings
    times: TextTimes
    errnos: ErrnoTable
    rates: RateLimits

    def value_style(self, *, opaque_as_hex: bool = False) -> ValueStyle:
        """Say how values are written."""
        return ValueStyle(time_in_ms=self.settings.time_values_in_ms, opaque_as_hex=opaque_as_hex)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call, authenticated unless its route is open to everyone."""

    platform: Platform
    found_access: Access | None
    request: ApiRequest
    path_values: Mapping[str, str]
    query: Query
    found_device: Device | None = None

    @property
    def access(self) -> Access:
        """What the caller may do; only a route that is open to everyone has none."""
        assert self.found_access is not None, "the route is open to everyone"
        return self.found_access

    @property
    def product(self) -> Product:
        """The caller's product."""
        return self.access.product

    def require_device(self, device_id: DeviceId, stream_id: str | None = None) -> None:
        """Raise Forbidden unless the caller may do this to the device, or to one stream of it."""
        self.access.require_device(device_id, self.request.method, stream_id)

    def require_streams(self, stream_ids: Sequence[str] | None) -> None:
        """Raise Forbidden unless the caller may do this to these streams of the call's device; none: to all of it."""
        if self.access.is_master:
            return
        for stream_id in stream_ids or (None,):
            self.require_device(self.device.id, stream_id)

    @property
    def device(self) -> Device:
        """The device the call names; only routes that say so have one."""
        assert self.found_device is not None, "the route does not look its device up"
        return self.found_device

    @property
    def imei(self) -> str:
        """How the device is named in what is kept of the call."""
        return self.device.imei or ""

    # --- parameters --------------------------------------------------------------------------------------------------

    def find(self, parameter: Parameter[ValueT]) -> ValueT | None:
        """Give a parameter's value, None when it is not given.

        Raises:
            Invalid: the value is not allowed.
        """
        text = self.query.find(parameter.name)
        return None if text is None else parameter.parse(parameter.name, text)

    def get(self, parameter: Parameter[ValueT]) -> ValueT:
        """Give the value of a parameter that has to be there.

        Raises:
            Fault: PARAMETER_MISSING.
            Invalid: the value is not allowed.
        """
        text = self.query.find(parameter.name)
        if text is None:
            raise missing(parameter.name)
        return parameter.parse(parameter.name, text)

    def find_or(self, parameter: Parameter[ValueT], default: ValueT) -> ValueT:
        """Give a parameter's value, or what holds without it."""
        value = self.find(parameter)
        return default if value is None else value

    def has(self, parameter: Parameter[ValueT]) -> bool:
        """Tell whether a parameter is given."""
        return self.query.find(parameter.name) is not None

    def find_time(self, parameter: Parameter[str]) -> ParsedTime | None:
        """Give a parameter that is a time of day on a date.

        Raises:
            Invalid: it is not such a time.
        """
        text = self.query.find(parameter.name)
        if text is None:
            return None
        parsed = self.platform.times.parse(text)
        if parsed is None:
            raise Invalid(parameter.name, text, TIME_FORMAT)
        return parsed

    def find_date(self, parameter: Parameter[str]) -> ParsedTime | None:
        """Give a parameter that is a date.

        Raises:
            Invalid: it is not a date.
        """
        text = self.query.find(parameter.name)
        if text is None:
            return None
        parsed = self.platform.times.parse_date(text)
        if parsed is None:
            raise Invalid(parameter.name, text, "YYYY-MM-DD")
        return parsed

    # --- path --------------------------------------------------------------------------------------------------------

    def path_text(self, name: str) -> str:
        """Give a value of the path that is taken as the text it is.

        Raises:
            Invalid: its octets are no UTF-8.
        """
        return require_utf8(name, self.path_values[name])

    def device_id(self) -> DeviceId:
        """Give the device id of the path.

        Raises:
            Fault: DEVICE_UNKNOWN when it cannot be one.
        """
        return known_device_id(self.path_values["device_id"])

    def command_id(self) -> CommandId:
        """Give the command id of the path.

        Raises:
            Fault: COMMAND_UNKNOWN when it cannot be one.
        """
        text = self.path_values["uuid"]
        command_id = parse_command_id(text)
        if command_id is None:
            raise unknown_command(text)
        return command_id

    # --- body --------------------------------------------------------------------------------------------------------

    def body(self, *, bytes_max: int) -> bytes:
        """Give the body.

        Raises:
            Fault: BODY_TOO_LARGE; BODY_MISSING when it did not come in time.
        """
        settings = self.platform.settings
        if self.request.body_fault is BodyFault.TOO_SLOW:
            raise Fault(FaultKind.BODY_MISSING, f"the body did not come within {settings.body_timeout_s:g} s")
        if self.request.body_fault is BodyFault.CUT_OFF:
            raise Fault(FaultKind.INTERNAL, CUT_OFF)
        if self.request.body_fault is BodyFault.TOO_LARGE:
            raise _too_large(f"more than {max(settings.body_bytes_max, bytes_max)}", bytes_max)
        if len(self.request.body) > bytes_max:
            raise _too_large(str(len(self.request.body)), bytes_max)
        return self.request.body

    def command_body(self) -> bytes:
        """Give the body of a command: at most 2 KB. Raises as `body`."""
        return self.body(bytes_max=self.platform.settings.command_body_bytes_max)

    def raw_body(self, *, bytes_max: int) -> bytes:
        """Give a body that is handed on as it is and has to be there. Raises as `body`; BODY_MISSING when empty."""
        raw = self.body(bytes_max=bytes_max)
        if not raw:
            raise Fault(FaultKind.BODY_MISSING, f"1 to {bytes_max} bytes of any kind")
        return raw

    def body_object(self) -> JsonObject:
        """Give the body as a JSON object. Raises as `body` and `parse_object`."""
        return parse_object(self.body(bytes_max=self.platform.settings.body_bytes_max))


def known_device_id(text: str) -> DeviceId:
    """Read a device id that a call names.

    Raises:
        Fault: DEVICE_UNKNOWN when it cannot be one.
    """
    device_id = parse_device_id(text)
    if device_id is None:
        raise Fault(FaultKind.DEVICE_UNKNOWN, f"device {printable(text)}")
    return device_id


def unknown_command(text: str) -> Fault:
    """Give the fault of a uuid that names no command of the device."""
    return Fault(FaultKind.COMMAND_UNKNOWN, f"uuid {printable(text)} is not a command of this device")


def _too_large(found: str, bytes_max: int) -> Fault:
    return Fault(FaultKind.BODY_TOO_LARGE, f"body has {found} bytes: at most {bytes_max} is allowed")
