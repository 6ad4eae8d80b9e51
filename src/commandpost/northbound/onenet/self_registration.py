"""Devices that register themselves. Source: northbound reference 3.9."""

from typing import Final

from commandpost.domain.errors import Unauthenticated
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call
from commandpost.northbound.onenet.envelope import succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, missing
from commandpost.northbound.onenet.further_parameters import REGISTER_CODE
from commandpost.northbound.onenet.json_body import JsonObject, describe
from commandpost.services.self_registration import (
    MAC_CHARACTERS_MAX,
    PROTOCOLS,
    SERIAL_NUMBER_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
    TITLE_DEFAULT,
    SelfDescription,
)

REGISTRATION_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "sn": {"type": "string", "minLength": 1, "maxLength": SERIAL_NUMBER_CHARACTERS_MAX},
        "mac": {"type": "string", "minLength": 1, "maxLength": MAC_CHARACTERS_MAX},
        "title": {"type": "string", "maxLength": TITLE_CHARACTERS_MAX, "default": TITLE_DEFAULT},
        "protocol": {
            "type": "string",
            "enum": list(PROTOCOLS),
            "default": PROTOCOLS[0],
            "description": "In any case. Not part of the original dialect, whose products have one protocol each.",
        },
    },
}


async def register(call: Call) -> ApiResponse:
    """`POST /register_de`; the code is the credential."""
    registration = call.platform.self_registration
    try:
        product = await registration.authenticate(call.get(REGISTER_CODE))
    except Unauthenticated:
        raise Fault(FaultKind.CREDENTIAL_WRONG, "register_code is not valid") from None
    trail = call.request.trail
    trail.product_id = product.id
    registered = await registration.register(product, _description(call.body_object()))
    trail.target = f"device_id {registered.device.id}"
    return succeed_with({"device_id": str(registered.device.id), "key": registered.key})


def _description(body: JsonObject) -> SelfDescription:
    serial_number, mac = body.text("sn"), body.text("mac")
    if serial_number is None and mac is None:
        raise missing("sn or mac")
    return SelfDescription(
        serial_number=serial_number,
        mac=mac,
        title=body.text("title") or TITLE_DEFAULT,
        protocol=_protocol(body),
    )


def _protocol(body: JsonObject) -> str:
    value = body.find("protocol")
    if value is None:
        return PROTOCOLS[0]
    if not isinstance(value, str) or value.upper() not in PROTOCOLS:
        raise Fault(FaultKind.PROTOCOL_UNKNOWN, f"protocol {describe(value)}: one of {', '.join(PROTOCOLS)} is allowed")
    return value
