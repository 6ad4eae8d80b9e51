"""Where a device's registration is: the path a server gives it (OMA LwM2M 1.0, 8.2.3)."""

from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.registration import REGISTRATION_PATH


def location_of(message: CoapMessage) -> str:
    """Give the path in an answer, without the leading slash; empty if there is none that can be read."""
    try:
        return "/".join(message.location_path)
    except DecodeError:
        return ""


def below_rd(location: str) -> str:
    """Give the part of a location that the wire functions want: they write the path of registrations themselves."""
    return location.removeprefix(f"{REGISTRATION_PATH}/")
