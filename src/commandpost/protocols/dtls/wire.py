"""Reading and writing TLS presentation language: numbers and vectors with a length in front (RFC 5246 section 4)."""

from commandpost.protocols.errors import DecodeError, EncodeError


class WireReader:
    """A cursor over bytes that never reads past their end."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def offset(self) -> int:
        """Give the position of the next byte."""
        return self._offset

    @property
    def has_more(self) -> bool:
        """Tell whether bytes are left."""
        return self._offset < len(self._data)

    def take(self, count: int) -> bytes:
        """Take that many bytes.

        Raises:
            DecodeError: fewer are left.
        """
        end = self._offset + count
        left = len(self._data) - self._offset
        if count > left:
            raise DecodeError(f"{count} bytes are needed, {left} are left", offset=self._offset)
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def take_uint(self, width_bytes: int) -> int:
        """Take an unsigned number, most significant byte first."""
        return int.from_bytes(self.take(width_bytes), "big")

    def take_vector(self, width_bytes: int, *, bytes_max: int) -> bytes:
        """Take a vector whose length is written in front of it.

        Raises:
            DecodeError: it ends too early or is longer than bytes_max.
        """
        start = self._offset
        length = self.take_uint(width_bytes)
        if length > bytes_max:
            raise DecodeError(f"a vector of {length} bytes, {bytes_max} are allowed", offset=start)
        return self.take(length)

    def expect_end(self) -> None:
        """Refuse bytes that nothing accounts for.

        Raises:
            DecodeError: bytes are left.
        """
        if self.has_more:
            raise DecodeError(f"{len(self._data) - self._offset} bytes too many", offset=self._offset)


def encode_vector(data: bytes, width_bytes: int) -> bytes:
    """Write a vector with its length in front.

    Raises:
        EncodeError: the length does not fit into width_bytes.
    """
    if len(data) >= 1 << (8 * width_bytes):
        raise EncodeError(f"{len(data)} bytes do not fit a length of {width_bytes} bytes")
    return len(data).to_bytes(width_bytes, "big") + data
