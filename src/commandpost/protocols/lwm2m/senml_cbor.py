"""SenML CBOR, Content-Format 112: an array of maps with integer labels. Source: RFC 8428 section 6."""

from collections.abc import Mapping
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.cbor import Item, Key, decode_cbor, encode_cbor
from commandpost.protocols.lwm2m.senml import Plain, Record, decode_records, encode_records

_LABELS: Final[Mapping[str, int]] = {
    "bver": -1,
    "bn": -2,
    "bt": -3,
    "bu": -4,
    "bv": -5,
    "bs": -6,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "ut": 7,
    "vd": 8,
}
_NAMES: Final[Mapping[int, str]] = {number: name for name, number in _LABELS.items()}


def decode_senml_cbor(payload: bytes, *, path: ResourcePath, model: ObjectModel) -> ObjectValues:
    """Decode the answer to a Read, or a Notify, of `path`.

    Raises:
        DecodeError: no SenML, or something else than `path` came.
    """
    return decode_records(read_senml_cbor(payload), path=path, model=model)


def read_senml_cbor(payload: bytes) -> list[Record]:
    """Give the records of a pack as they stand; what they mean is `senml`'s matter.

    Raises:
        DecodeError: no SenML.
    """
    pack = decode_cbor(payload)
    if not isinstance(pack, list):
        raise DecodeError("SenML CBOR is an array of records", offset=0)
    return [_record(item, index) for index, item in enumerate(pack)]


def encode_senml_cbor(values: ObjectValues, *, path: ResourcePath) -> bytes:
    """Encode values with the base name of `path`'s instance, or of its object.

    Raises:
        EncodeError: a value is not one of its type, or not below `path`.
    """
    pack: list[Item] = []
    for record in encode_records(values, path=path):
        fields: dict[Key, Item] = {_LABELS.get(label, label): plain for label, plain in record.items()}
        pack.append(fields)
    return encode_cbor(pack)


def _record(item: Item, index: int) -> dict[str, Plain]:
    if not isinstance(item, Mapping):
        raise DecodeError(f"SenML record {index} is no map")
    record: dict[str, Plain] = {}
    for key, value in item.items():
        label = _NAMES.get(key, str(key)) if isinstance(key, int) else key
        if not isinstance(value, bool | int | float | str | bytes):
            raise DecodeError(f"SenML field {label!r:.40} of record {index} holds no single value")
        if label in record:
            raise DecodeError(f"SenML record {index} has the field {label!r:.40} twice")
        record[label] = value
    return record
