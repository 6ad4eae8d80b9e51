"""Content-Format numbers an LwM2M device may use, with the old numbers still in the field.

What each format's bytes mean lives in `protocols.lwm2m`. Source: IANA CoAP Content-Formats; RFC 7252 section 12.3;
OMA LwM2M 1.0 (numbers used before registration: 1541 to 1544).
"""

from collections.abc import Mapping
from enum import IntEnum


class ContentFormat(IntEnum):
    """The formats the platform knows by name; options carry any 16-bit number."""

    TEXT_PLAIN = 0
    LINK_FORMAT = 40
    OCTET_STREAM = 42
    CBOR = 60
    SENML_JSON = 110
    SENML_CBOR = 112
    SENML_ETCH_JSON = 320
    SENML_ETCH_CBOR = 322
    LWM2M_TLV = 11542
    LWM2M_JSON = 11543


ALIASES: Mapping[int, int] = {
    1541: ContentFormat.TEXT_PLAIN,
    1542: ContentFormat.LWM2M_TLV,
    1543: ContentFormat.LWM2M_JSON,
    1544: ContentFormat.OCTET_STREAM,
}


def canonical(content_format: int) -> int:
    """Give the registered number for one of the old ones; any other number comes back unchanged."""
    return ALIASES.get(content_format, content_format)
