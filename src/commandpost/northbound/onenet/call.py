"""One call of the dialect on its way through a handler: who asks, about which device, with which values.

Here: what handlers read from, in the order of checks the dialect has. Not here: the checks of any one call.
Source: northbound reference 2.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from commandpost.domain.device import Device, Product
from commandpost.domain.errors import Invalid
from commandpost.domain.ids import CommandId, DeviceId, parse_command_id
from commandpost.domain.ports import Clock, EventSink
from commandpost.northbound.messages import ApiRequest, BodyFault
from commandpost.northbound.onenet.beijing_time import ParsedTime, TextTimes
from commandpost.northbound.onenet.errno import ErrnoTable, Fault, FaultKind, missing, printable
from commandpost.northbound.onenet.json_body import JsonObject, parse_object
from commandpost.northbound.onenet.parameters import TIME_FORMAT, parse_device_id
from commandpost.northbound.onenet.values import ValueStyle
from commandpost.northbound.parameter import Parameter
from commandpost.northbound.query import Query
from commandpost.northbound.settings import NorthboundSettings
from commandpost.services.commands import Commands
from commandpost.services.devices import Devices
from commandpost.services.products import Products

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What handlers work with."""

    products: Products
    devices: Devices
    commands: Commands
    clock: Clock
    events: EventSink
    settings: NorthboundSettings
    times: TextTimes
    errnos: ErrnoTable

    def value_style(self, *, opaque_as_hex: bool = False) -> ValueStyle:
        """Say how values are written."""
        return ValueStyle(time_in_ms=self.settings.time_values_in_ms, opaque_as_hex=opaque_as_hex)


@dataclass(slots=True, kw_only=True)
class Call:
    """One authenticated call."""

    platform: Platform
    product: Product
    request: ApiRequest
    path_values: Mapping[str, str]
    query: Query
    found_device: Device | None = None

    @property
    def device(self) -> Device:
        """The device the call names by `imei`; only routes that say so have one."""
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

    def device_id(self) -> DeviceId:
        """Give the device id of the path.

        Raises:
            Fault: DEVICE_UNKNOWN when it cannot be one.
        """
        text = self.path_values["device_id"]
        device_id = parse_device_id(text)
        if device_id is None:
            raise Fault(FaultKind.DEVICE_UNKNOWN, f"device {printable(text)}")
        return device_id

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
        if self.request.body_fault is BodyFault.TOO_LARGE:
            raise _too_large(f"more than {settings.body_bytes_max}", bytes_max)
        if len(self.request.body) > bytes_max:
            raise _too_large(str(len(self.request.body)), bytes_max)
        return self.request.body

    def command_body(self) -> bytes:
        """Give the body of a command: at most 2 KB. Raises as `body`."""
        return self.body(bytes_max=self.platform.settings.command_body_bytes_max)

    def body_object(self) -> JsonObject:
        """Give the body as a JSON object. Raises as `body` and `parse_object`."""
        return parse_object(self.body(bytes_max=self.platform.settings.body_bytes_max))


def unknown_command(text: str) -> Fault:
    """Give the fault of a uuid that names no command of the device."""
    return Fault(FaultKind.COMMAND_UNKNOWN, f"uuid {printable(text)} is not a command of this device")


def _too_large(found: str, bytes_max: int) -> Fault:
    return Fault(FaultKind.BODY_TOO_LARGE, f"body has {found} bytes: at most {bytes_max} is allowed")
