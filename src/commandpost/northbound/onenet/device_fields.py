"""The fields of a device as its owner writes them: read, checked, and given to the services.

Here: bodies of create and update. Not here: how a device is shown (`devices`). Source: northbound reference 3.1, 3.3.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from commandpost.domain.device import PROTOCOL_LWM2M, PROTOCOLS, Device, DeviceChange, GeoLocation, ImeiRule, Product
from commandpost.northbound.onenet.envelope import json_text
from commandpost.northbound.onenet.errno import Fault, FaultKind, invalid, missing
from commandpost.northbound.onenet.json_body import JsonObject, describe, parse_object
from commandpost.services.device_rules import (
    PSK_CHARACTERS_MAX,
    PSK_CHARACTERS_MIN,
    PSK_HEX_BYTES_MAX,
    PSK_HEX_BYTES_MIN,
    PSK_IDENTITY_BYTES_MAX,
)
from commandpost.services.devices import NewDevice
from commandpost.services.identities import GivenKeys

PROTOCOL_DEFAULT: Final = "EDP"  # of the multi-protocol guide, for a body that is not LwM2M's
TITLE_CHARACTERS_MAX: Final = 256
DESCRIPTION_CHARACTERS_MAX: Final = 2048
TAGS_MAX: Final = 64
TAG_CHARACTERS_MAX: Final = 64
OTHER_BYTES_MAX: Final = 8192
AUTH_INFO_CHARACTERS_MAX: Final = 512
IMEI_CHARACTERS_MAX: Final = 17
IMSI_CHARACTERS_MAX: Final = 16
STRICT_DIGITS: Final = 15
TEST_IMEI_DIGITS: Final = 4
CHIP_MAX: Final = 6
AUTH_CODE_CHARACTERS_MAX: Final = 16

_TEXT_FIELDS: Final = {
    "title": {"type": "string", "minLength": 1, "maxLength": TITLE_CHARACTERS_MAX},
    "desc": {"type": "string", "maxLength": DESCRIPTION_CHARACTERS_MAX},
    "tags": {
        "type": "array",
        "maxItems": TAGS_MAX,
        "items": {"type": "string", "maxLength": TAG_CHARACTERS_MAX},
    },
    "location": {
        "type": "object",
        "properties": {"lon": {"type": "number"}, "lat": {"type": "number"}, "ele": {"type": "number"}},
    },
    "private": {"type": "boolean", "default": True},
    "auth_info": {
        "description": "LwM2M: one pair, IMEI and IMSI. Other protocols: a text or an object of at most "
        f"{AUTH_INFO_CHARACTERS_MAX} characters, which no other device of the product has; the device logs in with it.",
        "oneOf": [
            {"type": "object", "minProperties": 1},
            {"type": "string", "minLength": 1, "maxLength": AUTH_INFO_CHARACTERS_MAX},
        ],
    },
    "other": {"type": "object", "description": f"At most {OTHER_BYTES_MAX} bytes; given back as it is."},
}
_SECRET_FIELDS: Final = {
    "auth": {"type": "string", "pattern": f"^[0-9A-Za-z]{{1,{AUTH_CODE_CHARACTERS_MAX}}}$"},
    "psk": {"type": "string", "pattern": f"^[0-9A-Za-z]{{{PSK_CHARACTERS_MIN},{PSK_CHARACTERS_MAX}}}$"},
    "psk_hex": {
        "type": "string",
        "pattern": f"^([0-9A-Fa-f]{{2}}){{{PSK_HEX_BYTES_MIN},{PSK_HEX_BYTES_MAX}}}$",
        "description": "The pre-shared key of any bytes, in place of `psk`. Not part of the original dialect.",
    },
    "psk_identity": {
        "type": "string",
        "minLength": 1,
        "maxLength": PSK_IDENTITY_BYTES_MAX,
        "description": "A DTLS identity beside IMEI and `imei;imsi`; no other device of the platform has it. "
        "Not part of the original dialect.",
    },
}
NEW_DEVICE_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "required": ["title", "protocol", "auth_info"],
    "properties": {
        **_TEXT_FIELDS,
        "protocol": {"type": "string", "description": f"In any case one of {', '.join(PROTOCOLS)}."},
        "obsv": {"type": "boolean", "default": True, "description": "Observe automatically after registration."},
        "chip": {"type": "integer", "minimum": 1, "maximum": CHIP_MAX},
        **_SECRET_FIELDS,
    },
}
DEVICE_CHANGE_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {**_TEXT_FIELDS, **_SECRET_FIELDS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthInfo:
    """What identifies a device: its JSON text, and for LwM2M its two halves."""

    text: str
    imei: str | None = None
    imsi: str | None = None


def parse_new_device(body: JsonObject, product: Product) -> NewDevice:
    """Read the body of a create.

    Raises:
        Fault: PARAMETER_MISSING, PROTOCOL_UNKNOWN, or VALUE naming the field.
    """
    title = body.text("title", length_max=TITLE_CHARACTERS_MAX)
    if not title:
        raise missing("title")
    protocol = _protocol(body)
    chip = _chip(body)
    auth_info = _auth_info(body, protocol, product, is_test_device=chip is not None)
    keys = parse_keys(body)
    return NewDevice(
        protocol=protocol,
        title=title,
        description=body.text("desc", length_max=DESCRIPTION_CHARACTERS_MAX) or "",
        tags=parse_tags(body) or (),
        location=_location(body),
        is_private=_boolean(body, "private") is not False,
        is_auto_observed=_boolean(body, "obsv") is not False,
        auth_info=auth_info.text,
        imei=auth_info.imei,
        imsi=auth_info.imsi,
        chip=chip,
        other=_other(body) or "{}",
        auth_code=keys.auth_code,
        psk=keys.psk,
        psk_hex=keys.psk_hex,
        psk_identity=keys.psk_identity,
    )


def parse_keys(body: JsonObject) -> GivenKeys:
    """Read what a body says of a device's access key, DTLS identity and auth code; what it does not name stays.

    Raises:
        Fault: VALUE naming the field.
    """
    return GivenKeys(
        psk=read_secret(body, ("psk",), PSK_CHARACTERS_MIN, PSK_CHARACTERS_MAX),
        psk_hex=body.text("psk_hex", length_max=2 * PSK_HEX_BYTES_MAX),
        psk_identity=body.text("psk_identity", length_max=PSK_IDENTITY_BYTES_MAX),
        auth_code=read_secret(body, ("auth", "auth_code"), 1, AUTH_CODE_CHARACTERS_MAX),
    )


def parse_device_change(body: JsonObject, device: Device, product: Product) -> DeviceChange:
    """Read the body of an update; what it does not name stays. The IMEI of a device cannot be changed, its IMSI can.

    Raises:
        Fault: VALUE naming the field.
    """
    title = body.text("title", length_max=TITLE_CHARACTERS_MAX)
    if title == "":
        raise invalid("title", title, f"1 to {TITLE_CHARACTERS_MAX} characters")
    auth_info: AuthInfo | None = None
    if body.find("auth_info") is not None:
        auth_info = _auth_info(body, device.protocol, product, is_test_device=device.chip is not None)
        if auth_info.imei != device.imei:
            raise _bad_auth_info()
    return DeviceChange(
        title=title,
        description=body.text("desc", length_max=DESCRIPTION_CHARACTERS_MAX),
        tags=parse_tags(body),
        location=_location(body),
        is_private=_boolean(body, "private"),
        other=_other(body),
        imsi=None if auth_info is None else auth_info.imsi,
        auth_info=None if auth_info is None else auth_info.text,
    )


def plain_auth_info(text: str) -> str:
    """Give a stored auth_info as its owner wrote it: a text without its JSON quotes."""
    value = msgspec.json.decode(text)
    return value if isinstance(value, str) else text


def normal_auth_info(text: str) -> str:
    """Write an auth_info that a caller looks for the way it is stored: a JSON object without spaces."""
    if not text.startswith("{"):
        return text
    try:
        return json_text(parse_object(text.encode()).values)
    except Fault:
        return text


def _protocol(body: JsonObject) -> str:
    protocol = body.find("protocol")
    if protocol is None:
        if isinstance(body.find("auth_info"), str):
            return PROTOCOL_DEFAULT
        raise missing("protocol")
    if not isinstance(protocol, str) or protocol.upper() not in PROTOCOLS:
        raise Fault(FaultKind.PROTOCOL_UNKNOWN, f"{describe(protocol)}: one of {', '.join(PROTOCOLS)} is allowed")
    return protocol


def _auth_info(body: JsonObject, protocol: str, product: Product, *, is_test_device: bool) -> AuthInfo:
    value = body.find("auth_info")
    if value is None:
        raise missing("auth_info")
    if protocol.upper() != PROTOCOL_LWM2M:
        text = json_text(value)
        length = len(value) if isinstance(value, str) else len(text)
        if not isinstance(value, str | dict) or not value or length > AUTH_INFO_CHARACTERS_MAX:
            raise _bad_auth_info()
        return AuthInfo(text=text)
    if not isinstance(value, dict) or len(value) != 1:
        raise _bad_auth_info()
    ((imei, imsi),) = value.items()
    if isinstance(imsi, int) and not isinstance(imsi, bool):
        imsi = str(imsi)
    if not isinstance(imsi, str) or not _is_identity(imei, imsi, product.imei_rule, is_test_device=is_test_device):
        raise _bad_auth_info()
    return AuthInfo(text=json_text({imei: imsi}), imei=imei, imsi=imsi)


def _is_identity(imei: str, imsi: str, rule: ImeiRule, *, is_test_device: bool) -> bool:
    if rule is ImeiRule.PERMISSIVE:
        return _is_alphanumeric(imei, 1, IMEI_CHARACTERS_MAX) and _is_alphanumeric(imsi, 1, IMSI_CHARACTERS_MAX)
    digits = TEST_IMEI_DIGITS if is_test_device and len(imei) == TEST_IMEI_DIGITS else STRICT_DIGITS
    return (
        _is_alphanumeric(imei, digits, digits)
        and imei.isdigit()
        and _is_alphanumeric(imsi, 1, STRICT_DIGITS)
        and imsi.isdigit()
        and imsi[0] != "0"
    )


def _bad_auth_info() -> Fault:
    """The text was captured from the live service, so it says no more."""
    return Fault(FaultKind.VALUE, "auth_info")


def parse_tags(body: JsonObject) -> tuple[str, ...] | None:
    """Read `tags`; None when they are not given. Raises Fault: VALUE naming the field."""
    value = body.find("tags")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise invalid("tags", describe(value), f"an array of at most {TAGS_MAX} strings")
    tags: list[str] = []
    for at, tag in enumerate(value):
        if not isinstance(tag, str) or len(tag) > TAG_CHARACTERS_MAX:
            raise invalid(f"tags[{at}]", describe(tag), f"a string of at most {TAG_CHARACTERS_MAX} characters")
        tags.append(tag)
    return tuple(tags)


def _location(body: JsonObject) -> GeoLocation | None:
    value = body.find("location")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("location", describe(value), "an object with the numbers lon, lat and ele")
    place = JsonObject(value)
    return GeoLocation(
        longitude=_coordinate(place, "lon"), latitude=_coordinate(place, "lat"), elevation=_coordinate(place, "ele")
    )


def _coordinate(place: JsonObject, key: str) -> float | None:
    value = place.find(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9 or not math.isfinite(value):
        raise invalid(f"location.{key}", describe(value), "a number from -1e9 to 1e9")
    return float(value)


def _boolean(body: JsonObject, key: str) -> bool | None:
    value = body.find(key)
    if value is not None and not isinstance(value, bool):
        raise invalid(key, describe(value), "true or false")
    return value


def _other(body: JsonObject) -> str | None:
    value = body.find("other")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("other", describe(value), "an object")
    text = json_text(value)
    if len(text.encode()) > OTHER_BYTES_MAX:
        raise invalid("other", f"{len(text.encode())} bytes", f"at most {OTHER_BYTES_MAX} bytes")
    return text


def _chip(body: JsonObject) -> int | None:
    value = body.find("chip")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= CHIP_MAX:
        raise invalid("chip", describe(value), f"an integer from 1 to {CHIP_MAX}")
    return value


def read_secret(body: JsonObject, keys: tuple[str, ...], length_min: int, length_max: int) -> str | None:
    """Read a secret; its value is never repeated to anyone, only how it is wrong."""
    given = [key for key in keys if body.find(key) is not None]
    if len({body.find(key) for key in given if isinstance(body.find(key), str)}) > 1:
        raise invalid(" and ".join(given), "both", "one of them")
    for key in keys:
        value = body.find(key)
        if value is None:
            continue
        allowed = f"{length_min} to {length_max} letters or digits"
        if not isinstance(value, str):
            raise invalid(key, "no string", allowed)
        if not _is_alphanumeric(value, length_min, length_max):
            is_length = not length_min <= len(value) <= length_max
            raise invalid(key, f"{len(value)} characters" if is_length else "something with other characters", allowed)
        return value
    return None


def _is_alphanumeric(text: str, length_min: int, length_max: int) -> bool:
    return length_min <= len(text) <= length_max and text.isascii() and text.isalnum()
