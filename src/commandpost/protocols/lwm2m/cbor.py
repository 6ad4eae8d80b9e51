"""The part of CBOR that LwM2M payloads are made of: numbers, booleans, null, texts, bytes, arrays and maps.

Tags are read and dropped, never acted upon: a general decoder builds sets, patterns, big decimals and shared
references from them, none of which a peer may make us build. Nesting, items and lengths are bound before anything
is allocated.
Source: RFC 8949 sections 3 and 4.
"""

import struct
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.lwm2m.tlv import encode_float

DEPTH_MAX: Final = 4  # a SenML pack is an array of maps of single values
ITEMS_MAX: Final = 16_384  # more values than any answer of 64 KB can carry with their names

_UNSIGNED: Final = 0
_NEGATIVE: Final = 1
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_TAG: Final = 6
_SIMPLE: Final = 7

_MAJOR_SHIFT: Final = 5
_INFO_MASK: Final = 0x1F
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE_VALUES: Final[Mapping[int, bool | None]] = {20: False, 21: True, 22: None, 23: None}

Key = int | str
Item = bool | int | float | str | bytes | None | Sequence["Item"] | Mapping[Key, "Item"]


def decode_cbor(payload: bytes) -> Item:
    """Decode exactly one item.

    Raises:
        DecodeError: cut short, followed by more bytes, nested deeper than DEPTH_MAX, or made of other parts of CBOR.
    """
    reader = _Reader(payload)
    item = reader.read_item(DEPTH_MAX)
    if reader.position != len(payload):
        raise DecodeError("bytes follow the CBOR item", offset=reader.position)
    return item


def encode_cbor(item: Item) -> bytes:
    """Encode one item with the shortest heads, and floats of 4 bytes where that loses nothing.

    Raises:
        EncodeError: an integer beyond 64 bits, a float that is not finite, or text that is no Unicode.
    """
    match item:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if item else b"\xf4"
        case int():
            return _head(_UNSIGNED, item) if item >= 0 else _head(_NEGATIVE, -1 - item)
        case float():
            raw = encode_float(item)
            return (b"\xfa" if len(raw) == 4 else b"\xfb") + raw
        case bytes():
            return _head(_BYTES, len(item)) + item
        case str():
            try:
                text = item.encode()
            except UnicodeEncodeError:
                raise EncodeError("the text holds half a surrogate pair, which UTF-8 cannot carry") from None
            return _head(_TEXT, len(text)) + text
        case Mapping():
            pairs = (encode_cbor(key) + encode_cbor(value) for key, value in item.items())
            return _head(_MAP, len(item)) + b"".join(pairs)
        case _:
            return _head(_ARRAY, len(item)) + b"".join(encode_cbor(part) for part in item)


class _Reader:
    """One pass over a payload; the position is where the next head begins."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._items_left = ITEMS_MAX
        self.position = 0

    def read_item(self, depth: int) -> Item:
        start = self.position
        major, info = self._read_head()
        while major == _TAG:
            self._read_argument(info, start)
            start = self.position
            major, info = self._read_head()
        match major:
            case 0:
                return self._read_argument(info, start)
            case 1:
                return -1 - self._read_argument(info, start)
            case 2:
                return self._read_string(info, major, start)
            case 3:
                return self._read_text(info, start)
            case 4:
                return self._read_array(info, depth, start)
            case 5:
                return self._read_map(info, depth, start)
            case _:
                return self._read_simple(info, start)

    def _read_head(self) -> tuple[int, int]:
        self._items_left -= 1
        if self._items_left < 0:
            raise DecodeError(f"more than {ITEMS_MAX} CBOR items", offset=self.position)
        head = self._take(1)[0]
        return head >> _MAJOR_SHIFT, head & _INFO_MASK

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._payload):
            raise DecodeError(f"CBOR is cut short: {count} bytes are missing here", offset=self.position)
        taken = self._payload[self.position : end]
        self.position = end
        return taken

    def _read_argument(self, info: int, start: int) -> int:
        if info < 24:
            return info
        width = _WIDTHS.get(info)
        if width is None:
            raise DecodeError(f"CBOR head with additional information {info}", offset=start)
        return int.from_bytes(self._take(width), "big")

    def _read_string(self, info: int, major: int, start: int) -> bytes:
        if info != _INDEFINITE:
            return self._take(self._read_argument(info, start))
        chunks: list[bytes] = []
        while not self._at_break():
            chunk_start = self.position
            chunk_major, chunk_info = self._read_head()
            if chunk_major != major or chunk_info == _INDEFINITE:
                raise DecodeError("a CBOR string holds something else than its chunks", offset=chunk_start)
            chunks.append(self._take(self._read_argument(chunk_info, chunk_start)))
        return b"".join(chunks)

    def _read_text(self, info: int, start: int) -> str:
        try:
            return self._read_string(info, _TEXT, start).decode()
        except UnicodeDecodeError as error:
            raise DecodeError("a CBOR text is no UTF-8", offset=start) from error

    def _read_array(self, info: int, depth: int, start: int) -> list[Item]:
        inner = _one_deeper(depth, start)
        if info == _INDEFINITE:
            items: list[Item] = []
            while not self._at_break():
                items.append(self.read_item(inner))
            return items
        return [self.read_item(inner) for _ in range(self._read_count(info, start))]

    def _read_map(self, info: int, depth: int, start: int) -> dict[Key, Item]:
        inner = _one_deeper(depth, start)
        pairs: dict[Key, Item] = {}
        if info == _INDEFINITE:
            while not self._at_break():
                self._read_pair(pairs, inner)
        else:
            for _ in range(self._read_count(info, start)):
                self._read_pair(pairs, inner)
        return pairs

    def _read_count(self, info: int, start: int) -> int:
        count = self._read_argument(info, start)
        if count > len(self._payload) - self.position:
            raise DecodeError(f"CBOR is cut short: {count} items are announced", offset=start)
        return count

    def _read_pair(self, pairs: dict[Key, Item], depth: int) -> None:
        start = self.position
        key = self.read_item(depth)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise DecodeError("a CBOR map has a key that is neither a number nor a text", offset=start)
        if key in pairs:
            raise DecodeError(f"a CBOR map has the key {key!r:.40} twice", offset=start)
        pairs[key] = self.read_item(depth)

    def _read_simple(self, info: int, start: int) -> bool | float | None:
        if info in _SIMPLE_VALUES:
            return _SIMPLE_VALUES[info]
        form = _FLOATS.get(info)
        if form is None:
            raise DecodeError(f"CBOR simple value {info}", offset=start)
        number: float = struct.unpack(form, self._take(_WIDTHS[info]))[0]
        if not isfinite(number):
            raise DecodeError(f"float {number}: only finite numbers can be told to an application", offset=start)
        return number

    def _at_break(self) -> bool:
        if self.position < len(self._payload) and self._payload[self.position] == _BREAK:
            self.position += 1
            return True
        return False


def _one_deeper(depth: int, start: int) -> int:
    if depth == 0:
        raise DecodeError(f"CBOR nested deeper than {DEPTH_MAX}", offset=start)
    return depth - 1


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << _MAJOR_SHIFT | argument,))
    for info, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes((major << _MAJOR_SHIFT | info,)) + argument.to_bytes(width, "big")
    raise EncodeError("the integer is out of range: 64 bits are allowed")
