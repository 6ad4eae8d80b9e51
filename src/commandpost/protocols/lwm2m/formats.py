"""Content format -> codec: the only such table.

Here: which codec reads and writes which number, and what an answer without a number is. Not here: the codecs.
Source: OMA LwM2M 1.1 core section 7.4; southbound reference 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath, ResourceValue, ValueType
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.cbor_value import decode_cbor_value, encode_cbor_value
from commandpost.protocols.lwm2m.lwm2m_json import decode_lwm2m_json, encode_lwm2m_json
from commandpost.protocols.lwm2m.node import ValuesBuilder
from commandpost.protocols.lwm2m.opaque import decode_opaque, encode_opaque
from commandpost.protocols.lwm2m.plain_text import decode_plain_text, encode_plain_text
from commandpost.protocols.lwm2m.senml_cbor import decode_senml_cbor, encode_senml_cbor
from commandpost.protocols.lwm2m.senml_json import decode_senml_json, encode_senml_json
from commandpost.protocols.lwm2m.tlv import decode_tlv, encode_tlv

PAYLOAD_BYTES_MAX: Final = 1 << 16  # as much as a block-wise answer may carry; modules send 2 KB at most


@dataclass(frozen=True, slots=True, kw_only=True)
class _TreeCodec:
    """A format that carries names and so any number of values."""

    decode: Callable[[bytes, ResourcePath, ObjectModel], ObjectValues]
    encode: Callable[[ObjectValues, ResourcePath, bool], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ValueCodec:
    """A format that carries one bare value."""

    decode: Callable[[ValueType | None, bytes], ResourceValue]
    encode: Callable[[ResourceValue], bytes]


_CODECS: Final[Mapping[int, _TreeCodec | _ValueCodec]] = {
    ContentFormat.TEXT_PLAIN: _ValueCodec(decode=decode_plain_text, encode=encode_plain_text),
    ContentFormat.OCTET_STREAM: _ValueCodec(decode=lambda _, raw: decode_opaque(raw), encode=encode_opaque),
    ContentFormat.CBOR: _ValueCodec(decode=decode_cbor_value, encode=encode_cbor_value),
    ContentFormat.LWM2M_TLV: _TreeCodec(
        decode=lambda raw, path, model: decode_tlv(raw, path=path, model=model),
        encode=lambda values, path, wraps: encode_tlv(values, wraps_instances=wraps or path.instance_id is None),
    ),
    ContentFormat.LWM2M_JSON: _TreeCodec(
        decode=lambda raw, path, model: decode_lwm2m_json(raw, path=path, model=model),
        encode=lambda values, path, _: encode_lwm2m_json(values, path=path),
    ),
    ContentFormat.SENML_JSON: _TreeCodec(
        decode=lambda raw, path, model: decode_senml_json(raw, path=path, model=model),
        encode=lambda values, path, _: encode_senml_json(values, path=path),
    ),
    ContentFormat.SENML_CBOR: _TreeCodec(
        decode=lambda raw, path, model: decode_senml_cbor(raw, path=path, model=model),
        encode=lambda values, path, _: encode_senml_cbor(values, path=path),
    ),
}

KNOWN_FORMATS: Final = frozenset(int(number) for number in _CODECS)
"""The registered numbers that can be decoded and encoded; their old numbers are accepted too."""


def decode_values(
    content_format: int | None, payload: bytes, *, path: ResourcePath, model: ObjectModel
) -> ObjectValues:
    """Decode what a Read or a Notify of `path` brought.

    Args:
        content_format: as the answer says it; None means text for a resource and TLV for anything else. Without it an
            opaque resource is taken as its raw bytes.
        path: what was read or observed; values outside it are refused.
    Raises:
        DecodeError: an unknown format, a malformed or too large payload, or one bare value for more than a resource.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise DecodeError(f"a payload of {len(payload)} bytes: up to {PAYLOAD_BYTES_MAX} are allowed")
    codec = _codec_of(content_format, path, model)
    if isinstance(codec, _TreeCodec):
        return codec.decode(payload, path, model)
    if path.resource_id is None:
        raise DecodeError(f"content format {content_format} carries one value, {path} was asked")
    builder = ValuesBuilder(path)
    builder.add(path.parts, codec.decode(model.type_of(path.object_id, path.resource_id), payload), offset=0)
    return builder.build()


def encode_values(
    content_format: int, values: ObjectValues, *, path: ResourcePath, model: ObjectModel, wraps_instance: bool = False
) -> bytes:
    """Encode values as the answer to a Read of `path`, a Notify, or the body of a Write.

    Args:
        path: what is read or written; an object's instances are wrapped in TLV, an instance's resources are not.
        model: not needed by the formats there are: the values carry their types.
        wraps_instance: wrap a single instance in TLV as OneNET modules do when they answer.
    Raises:
        EncodeError: an unknown format, a value outside its type, or several values in a format for one.
    """
    del model
    codec = _CODECS.get(canonical(content_format))
    if codec is None:
        raise EncodeError(f"content format {content_format} is unknown")
    if isinstance(codec, _TreeCodec):
        return codec.encode(values, path, wraps_instance)
    leaves = list(values.leaves())
    if len(leaves) != 1:
        raise EncodeError(f"content format {content_format} carries one value, {len(leaves)} are given")
    return codec.encode(leaves[0][1])


def default_format(values: ObjectValues, *, path: ResourcePath) -> int:
    """Give the format an LwM2M 1.0 device answers a Read with: bare for one value, else TLV."""
    leaves = list(values.leaves())
    if path.resource_id is None or len(leaves) != 1 or leaves[0][0].resource_instance_id != path.resource_instance_id:
        return ContentFormat.LWM2M_TLV
    return ContentFormat.OCTET_STREAM if leaves[0][1].type is ValueType.OPAQUE else ContentFormat.TEXT_PLAIN


def _codec_of(content_format: int | None, path: ResourcePath, model: ObjectModel) -> _TreeCodec | _ValueCodec:
    if content_format is not None:
        codec = _CODECS.get(canonical(content_format))
        if codec is None:
            raise DecodeError(f"content format {content_format} is unknown")
        return codec
    if path.resource_id is None:
        return _CODECS[ContentFormat.LWM2M_TLV]
    if model.type_of(path.object_id, path.resource_id) is ValueType.OPAQUE:
        return _CODECS[ContentFormat.OCTET_STREAM]
    return _CODECS[ContentFormat.TEXT_PLAIN]
