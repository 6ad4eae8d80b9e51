"""application/octet-stream, Content-Format 42 (and 1544): the bytes of one opaque value.

Source: OMA LwM2M 1.1 core section 7.4.
"""

from commandpost.domain.resource import ResourceValue, ValueType
from commandpost.protocols.errors import EncodeError


def decode_opaque(payload: bytes) -> ResourceValue:
    """Take the payload as it is, whatever the model says: the device has said that these are bytes."""
    return ResourceValue(ValueType.OPAQUE, payload)


def encode_opaque(value: ResourceValue) -> bytes:
    """Give the bytes of an opaque value.

    Raises:
        EncodeError: the value is of another type.
    """
    if not isinstance(value.value, bytes):
        raise EncodeError(f"a value of type {value.type.value} cannot travel as opaque bytes")
    return value.value
