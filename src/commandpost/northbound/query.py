"""The query of a request, read the way lenient servers do.

Here: text in, names and values out. Not here: which names exist and what their values may be (`parameter`).
Source: WHATWG URL, application/x-www-form-urlencoded; northbound reference 1.2, 1.3.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from commandpost.domain.errors import Invalid

OF_NO_UTF8: Final = "surrogateescape"
"""How octets that are no UTF-8 are decoded: as what no UTF-8 decodes to, so that they are known for what they are."""
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


class Query:
    """Names and values of one query.

    A name is matched as it is written, else without regard to case; the first of several counts. An empty value is no
    value. What the query does not hold may come from a fall-back, for calls that take their parameters from a body too.
    """

    __slots__ = ("_exact", "_fallback", "_folded")

    def __init__(self, exact: Mapping[str, str]) -> None:
        self._exact = exact
        self._folded: Mapping[str, str] | None = None
        self._fallback: Mapping[str, str] = {}

    def fall_back_to(self, values: Mapping[str, str]) -> None:
        """Take values from here where the query has none; names in lower case."""
        self._fallback = values

    def find(self, name: str) -> str | None:
        """Give the value of a name, None when it is absent or empty.

        Raises:
            Invalid: its octets are no UTF-8. Nobody minds those of a name that nobody asks for.
        """
        value = self._exact.get(name)
        if value:
            return require_utf8(name, value)
        if self._folded is None:
            self._folded = _fold(self._exact)
        folded = name.lower()
        value = self._folded.get(folded)
        return require_utf8(name, value) if value else self._fallback.get(folded) or None


def parse_query(raw: bytes, *, bytes_max: int, parameters_max: int) -> Query:
    """Read a query; octets that are no UTF-8 become lone surrogates, which `find` refuses.

    Raises:
        Invalid: it is longer, or holds more parameters, than allowed.
    """
    if len(raw) > bytes_max:
        raise Invalid("query", f"{len(raw)} bytes", f"at most {bytes_max} bytes")
    if raw.count(b"&") >= parameters_max:
        raise Invalid("query", f"more than {parameters_max} parameters", f"at most {parameters_max} parameters")
    exact: dict[str, str] = {}
    is_encoded = b"%" in raw or b"+" in raw
    for piece in raw.decode("latin-1" if is_encoded else "utf-8", OF_NO_UTF8).split("&"):
        name, _, value = piece.partition("=")
        if is_encoded:
            name, value = _decode(name), _decode(value)
        exact.setdefault(name, value)
    return Query(exact)


def require_utf8(name: str, value: str) -> str:
    """Give a decoded value back.

    Raises:
        Invalid: it came in octets that are no UTF-8.
    """
    if not value.isascii() and _ESCAPED.search(value):
        raise Invalid(name, value, "text in UTF-8")
    return value


def _decode(text: str) -> str:
    """Undo the percent-encoding of a text whose characters stand for octets."""
    if "%" not in text and "+" not in text and text.isascii():
        return text  # most names and values of a query in which something else is encoded
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8", OF_NO_UTF8)


def _fold(exact: Mapping[str, str]) -> Mapping[str, str]:
    folded: dict[str, str] = {}
    for name, value in exact.items():
        folded.setdefault(name.lower(), value)
    return folded
