"""The CoRE link format: lists of links with attributes, as in Register and Discover payloads.

Reading is tolerant, because devices are: white space, a trailing comma, unquoted values, a closing NUL and repeated
attributes are all accepted. What targets and attributes mean to LwM2M lives elsewhere. Source: RFC 6690 section 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from commandpost.protocols.errors import DecodeError, EncodeError

LINK_FORMAT_BYTES_MAX = 65_536  # as much as one block-wise answer may hold
LINKS_MAX = 4_096  # a discover of a large object lists every resource of every instance
ATTRIBUTES_MAX = 32  # per link; LwM2M defines about ten
_FORMAT_DIGITS_MAX = 5  # a content format has 16 bits; of thousands of digits `int` makes an error

_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link: a target and its attributes in order; an attribute without `=` has the value None."""

    target: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """Give the value of the first attribute of that name; None if it is absent or has no value."""
        for candidate, value in self.attributes:
            if candidate == name:
                return value
        return None

    def has(self, name: str) -> bool:
        """Tell whether the attribute is there, with or without a value."""
        return any(candidate == name for candidate, _ in self.attributes)

    @property
    def path(self) -> tuple[str, ...]:
        """Give the segments of the target, `/3303/0` as `("3303", "0")`, `/` as `()`."""
        return tuple(segment for segment in self.target.split("/") if segment)

    @property
    def content_formats(self) -> tuple[int, ...]:
        """Give the numbers of `ct`, which may be one, or several in quotes; what is no format is left out."""
        words = (self.get("ct") or "").split()
        return tuple(
            int(word) for word in words if len(word) <= _FORMAT_DIGITS_MAX and word.isascii() and word.isdigit()
        )


def parse_link_format(payload: bytes) -> tuple[Link, ...]:
    """Read a list of links.

    Args:
        payload: up to LINK_FORMAT_BYTES_MAX bytes of UTF-8; empty gives no links.
    Raises:
        DecodeError: too long, not UTF-8, or not a list of links; `offset` is in bytes up to a non-ASCII character,
            in characters after it.
    """
    if len(payload) > LINK_FORMAT_BYTES_MAX:
        raise DecodeError(f"a link list has at most {LINK_FORMAT_BYTES_MAX} bytes, not {len(payload)}")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise DecodeError("a link list is UTF-8", offset=error.start) from error
    return _LinkReader(text.rstrip("\0" + _BLANK)).read_links()


def format_link_format(links: Iterable[Link]) -> bytes:
    """Write a list of links; values that are not plain numbers are quoted.

    Raises:
        EncodeError: a target or an attribute name has a character that would end it.
    """
    return ",".join([_format_link(link) for link in links]).encode()


def _format_link(link: Link) -> str:
    if ">" in link.target:
        raise EncodeError(f"a link target may not hold '>': {link.target!r}")
    parts = [f"<{link.target}>"]
    for name, value in link.attributes:
        if not name or any(character in '=;,"<>' + _BLANK for character in name):
            raise EncodeError(f"not an attribute name: {name!r}")
        if value is None:
            parts.append(name)
        elif value and all(character.isascii() and (character.isalnum() or character in ".-") for character in value):
            # Numbers stay bare: LwM2M writes ver=1.1 and pmin=10, and simple devices look for exactly that.
            parts.append(f'{name}="{value}"' if name in _ALWAYS_QUOTED else f"{name}={value}")
        else:
            parts.append(f'{name}="{_escape(value)}"')
    return ";".join(parts)


_ALWAYS_QUOTED = frozenset({"rt", "if", "title", "anchor"})  # RFC 6690 section 2: these are quoted strings


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


class _LinkReader:
    """A cursor over one link list."""

    __slots__ = ("_position", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read_links(self) -> tuple[Link, ...]:
        links: list[Link] = []
        while self._skip(_BLANK + ","):
            if len(links) == LINKS_MAX:
                raise DecodeError(f"more than {LINKS_MAX} links", offset=self._position)
            links.append(self._read_link())
            if self._skip(_BLANK) and self._text[self._position] != ",":
                raise DecodeError("links are separated by ','", offset=self._position)
        return tuple(links)

    def _skip(self, characters: str) -> bool:
        """Move past the characters; tell whether anything is left."""
        while self._position < len(self._text) and self._text[self._position] in characters:
            self._position += 1
        return self._position < len(self._text)

    def _read_link(self) -> Link:
        if self._text[self._position] != "<":
            raise DecodeError("a link begins with '<'", offset=self._position)
        end = self._text.find(">", self._position)
        if end < 0:
            raise DecodeError("a link target ends with '>'", offset=len(self._text))
        target = self._text[self._position + 1 : end].strip(_BLANK)
        self._position = end + 1
        attributes: list[tuple[str, str | None]] = []
        while self._skip(_BLANK) and self._text[self._position] == ";":
            self._position += 1
            if len(attributes) == ATTRIBUTES_MAX:
                raise DecodeError(f"more than {ATTRIBUTES_MAX} attributes in a link", offset=self._position)
            attribute = self._read_attribute()
            if attribute is not None:
                attributes.append(attribute)
        return Link(target=target, attributes=tuple(attributes))

    def _read_attribute(self) -> tuple[str, str | None] | None:
        self._skip(_BLANK)
        name = self._read_until("=;,")
        if self._position == len(self._text) or self._text[self._position] != "=":
            return (name, None) if name else None  # `;;` is forgiven
        self._position += 1
        if self._skip(_BLANK) and self._text[self._position] == '"':
            return name, self._read_quoted()
        return name, self._read_until(";,")

    def _read_until(self, stops: str) -> str:
        start = self._position
        while self._position < len(self._text) and self._text[self._position] not in stops:
            self._position += 1
        return self._text[start : self._position].strip(_BLANK)

    def _read_quoted(self) -> str:
        start = self._position
        self._position += 1
        characters: list[str] = []
        while self._position < len(self._text):
            character = self._text[self._position]
            self._position += 1
            if character == '"':
                return "".join(characters)
            if character == "\\" and self._position < len(self._text):
                character = self._text[self._position]
                self._position += 1
            characters.append(character)
        raise DecodeError("a quoted value does not end", offset=start)
