"""CBOR, Content-Format 60: one bare value of a single resource. Source: OMA LwM2M 1.1 core section 7.4.6."""

from commandpost.domain.resource import ObjectLink, ResourceValue, ValueType
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.cbor import decode_cbor, encode_cbor
from commandpost.protocols.lwm2m.tlv import encode_value
from commandpost.protocols.lwm2m.values import value_from_plain


def decode_cbor_value(value_type: ValueType | None, payload: bytes) -> ResourceValue:
    """Decode one value.

    Raises:
        DecodeError: no CBOR, no single value, or out of the type's range.
    """
    plain = decode_cbor(payload)
    if not isinstance(plain, bool | int | float | str | bytes):
        raise DecodeError("a single resource is one number, boolean, text or byte string", offset=0)
    return value_from_plain(value_type, plain)


def encode_cbor_value(value: ResourceValue) -> bytes:
    """Encode one value.

    Raises:
        EncodeError: the value is not one of its type.
    """
    encode_value(value)  # which also refuses what the type cannot hold
    content = value.value
    if isinstance(content, ObjectLink):
        return encode_cbor(str(content))
    if value.type is ValueType.FLOAT and isinstance(content, int):
        return encode_cbor(float(content))
    if not isinstance(content, bool | int | float | str | bytes):
        raise EncodeError(f"a value of type {value.type.value} has no CBOR")
    return encode_cbor(content)
