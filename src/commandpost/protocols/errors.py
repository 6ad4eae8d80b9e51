"""The errors of every protocol engine: bytes that cannot be read and values that cannot be written.

What a peer *answered* is never an error here; it is an event or a record.
"""


class ProtocolError(Exception):
    """The base of all protocol errors."""


class DecodeError(ProtocolError):
    """The bytes do not follow their standard.

    Attributes:
        offset: position of the first byte that could not be accepted, counted from the start of what was decoded.
    """

    def __init__(self, message: str, *, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset

    def __str__(self) -> str:
        """Name the fault and where it is."""
        return f"{self.args[0]} (at byte {self.offset})"


class EncodeError(ProtocolError):
    """The value has no form on the wire: a field is out of its range."""
