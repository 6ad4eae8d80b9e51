"""What stands between a simulated MQTT or EDP device and its server: a stream, seen from either side.

The link on real sockets is stream_device_link; tests have one in memory.
"""

from typing import Final, Protocol

NO_CONNECTION: Final = "no connection"


class StreamOwner(Protocol):
    """Whoever hears what happens to a stream."""

    def stream_opened(self) -> None:
        """It is connected."""
        ...

    def stream_received(self, data: bytes) -> None:
        """Bytes have come."""
        ...

    def stream_ended(self, why_not_opened: str = NO_CONNECTION) -> None:
        """It has ended, or could not be opened."""
        ...


class StreamLink(Protocol):
    """A way to the server that can be opened again and again. After `close` or `abort` nothing more is heard of it."""

    def listen(self, owner: StreamOwner) -> None:
        """Say who hears; once."""
        ...

    def open(self) -> None:
        """Begin to connect; the owner hears the end of that."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes, in order."""
        ...

    def set_reading(self, *, is_on: bool) -> None:
        """Read on, or leave what comes with the operating system."""
        ...

    def close(self) -> None:
        """End it after what was written has left."""
        ...

    def abort(self) -> None:
        """End it now."""
        ...
