"""JSON bodies, read the way real clients write them: whatever the Content-Type, keys in any case.

Source: northbound reference 1.2, 2.3.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from commandpost.northbound.onenet.errno import Fault, FaultKind, invalid, printable

_BOM: Final = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


class JsonObject:
    """A JSON object whose keys match exactly first, else without regard to case; null is no value."""

    __slots__ = ("_folded", "values")

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self._folded: dict[str, object] | None = None

    def has(self, key: str) -> bool:
        """Tell whether the key, in lower case, is there, be it with null."""
        return key in self.values or key in self._by_folded_key()

    def find(self, key: str) -> object:
        """Give the value of a key in lower case, None when it is absent or null."""
        if key in self.values:
            return self.values[key]
        return self._by_folded_key().get(key)

    def text(self, key: str, *, length_max: int | None = None) -> str | None:
        """Give the text of a key in lower case, None when it is absent or null.

        Args:
            length_max: in characters; None: whoever takes it has a limit of its own.
        Raises:
            Fault: VALUE when it is something else, or longer.
        """
        value = self.find(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise invalid(key, describe(value), "a string")
        if length_max is not None and len(value) > length_max:
            raise invalid(key, f"{len(value)} characters", f"at most {length_max}")
        return value

    def _by_folded_key(self) -> Mapping[str, object]:
        if self._folded is None:
            folded: dict[str, object] = {}
            for key, value in self.values.items():
                folded.setdefault(key.lower(), value)
            self._folded = folded
        return self._folded


def parse_object(body: bytes) -> JsonObject:
    """Read a body that has to be a JSON object.

    Raises:
        Fault: BODY_MISSING when there is none, BODY_MALFORMED when it is not JSON or not an object.
    """
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    if not body.strip():
        raise Fault(FaultKind.BODY_MISSING, "a JSON object")
    try:
        value = _decode(body)
    except (ValueError, RecursionError) as error:
        raise Fault(FaultKind.BODY_MALFORMED, f"body: {error}") from None
    return as_object(value, "body")


def as_object(value: object, name: str) -> JsonObject:
    """Take a JSON value for an object.

    Raises:
        Fault: BODY_MALFORMED when it is something else.
    """
    if not isinstance(value, dict):
        raise Fault(FaultKind.BODY_MALFORMED, f"{name} is {describe(value)}: an object is allowed")
    return JsonObject(value)


def query_texts(body: JsonObject) -> Mapping[str, str]:
    """Give the plain values of a body as the texts a query would hold; names in lower case."""
    return dict(_query_texts(body))


def _query_texts(body: JsonObject) -> Iterator[tuple[str, str]]:
    for key, value in body.values.items():
        match value:
            case bool():
                yield key.lower(), "true" if value else "false"
            case str() | int() | float():
                yield key.lower(), str(value)
            case None:
                pass
            case _:
                yield key.lower(), describe(value)


def describe(value: object) -> str:
    """Show a JSON value of the wrong kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "an array"
    return printable(value)
