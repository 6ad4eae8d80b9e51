"""The envelope of every answer: errno, error, data, in this order, with Content-Length and HTTP status 200.

Source: northbound reference 1.1, 1.2.
"""

from typing import Final

import msgspec

from commandpost.northbound.messages import ApiResponse

SUCCESS_TEXT: Final = "succ"

_encode = msgspec.json.Encoder().encode
_SUCCESS: Final = ApiResponse(body=b'{"errno":0,"error":"succ"}')


def succeed() -> ApiResponse:
    """Answer a call that has nothing to return."""
    return _SUCCESS


def succeed_with(data: object) -> ApiResponse:
    """Answer a call with its data."""
    return ApiResponse(body=encode_json({"errno": 0, "error": SUCCESS_TEXT, "data": data}))


def refuse(errno: int, error: str, *, status: int = 200) -> ApiResponse:
    """Answer a call that failed; `data` is left out."""
    return ApiResponse(status=status, body=encode_json({"errno": errno, "error": error}), errno=errno)


def encode_json(value: object) -> bytes:
    """Write JSON. Text of a device that is no Unicode (lone surrogates) is shown with replacement characters."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_without_surrogates(value))


def json_text(value: object) -> str:
    """Write JSON as text, compact."""
    return encode_json(value).decode()


def raw_json(text: str) -> msgspec.Raw:
    """Give JSON text that is to stand inside an answer as it is."""
    return msgspec.Raw(text.encode())


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_surrogates(item) for item in value]
    return value
