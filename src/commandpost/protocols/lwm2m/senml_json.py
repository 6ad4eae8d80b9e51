"""SenML JSON, Content-Format 110: an array of records. Source: RFC 8428 section 5."""

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Final

from commandpost.domain.object_model import ObjectModel
from commandpost.domain.resource import ObjectValues, ResourcePath
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.json_text import Json, decode_json, encode_json
from commandpost.protocols.lwm2m.senml import DATA, Plain, Record, decode_records, encode_records

_PLAIN_ALPHABET: Final = str.maketrans("-_", "+/")


def decode_senml_json(payload: bytes, *, path: ResourcePath, model: ObjectModel) -> ObjectValues:
    """Decode the answer to a Read, or a Notify, of `path`.

    Raises:
        DecodeError: no SenML, or something else than `path` came.
    """
    return decode_records(read_senml_json(payload), path=path, model=model)


def read_senml_json(payload: bytes) -> list[Record]:
    """Give the records of a pack as they stand; what they mean is `senml`'s matter.

    Raises:
        DecodeError: no SenML.
    """
    pack = decode_json(payload)
    if not isinstance(pack, list):
        raise DecodeError("SenML JSON is an array of records", offset=0)
    return [_record(item, index) for index, item in enumerate(pack)]


def encode_senml_json(values: ObjectValues, *, path: ResourcePath) -> bytes:
    """Encode values with the base name of `path`'s instance, or of its object.

    Raises:
        EncodeError: a value is not one of its type, or not below `path`.
    """
    pack: list[Json] = []
    for record in encode_records(values, path=path):
        fields: dict[str, Json] = {label: _json(plain) for label, plain in record.items()}
        pack.append(fields)
    return encode_json(pack)


def _record(item: Json, index: int) -> dict[str, Plain]:
    if not isinstance(item, dict):
        raise DecodeError(f"SenML record {index} is no object")
    record: dict[str, Plain] = {}
    for label, value in item.items():
        if value is None or isinstance(value, list | dict):
            raise DecodeError(f"SenML field {label!r:.40} of record {index} holds no single value")
        record[label] = _data(value, index) if label == DATA else value
    return record


def _data(value: bool | int | float | str, index: int) -> bytes:
    if isinstance(value, str):
        # Base64url without padding by the standard; the plain alphabet and padding are met as well.
        text = value.rstrip("=").translate(_PLAIN_ALPHABET)
        try:
            return b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (Base64Error, ValueError):
            pass
    raise DecodeError(f"SenML field vd of record {index} is no base64url")


def _json(plain: Plain) -> Json:
    return urlsafe_b64encode(plain).rstrip(b"=").decode("ascii") if isinstance(plain, bytes) else plain
