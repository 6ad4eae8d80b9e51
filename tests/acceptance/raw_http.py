"""A connection on which a test says every byte of its HTTP requests, and looks at every header of the answers.

No HTTP library stands in between: such a library would tidy up what the clients of the field really send. Requests may
be written ahead of their answers.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What came: the status line, the headers with their names as sent, the body by Content-Length."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        """The number in the status line."""
        return int(self.status_line.split()[1])

    def values(self, name: str) -> list[str]:
        """Every value of a header, its name in any case."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def envelope(self) -> dict[str, Any]:  # Any: JSON
        """The answer of a call of the dialect, which has to be framed as the strictest SDK needs it.

        HTTP 200, one Content-Length and no chunks (one SDK allocates by it), not compressed, JSON in UTF-8.
        """
        assert self.status == 200, (self.status_line, self.body)
        assert self.values("content-length") == [str(len(self.body))]
        assert self.values("transfer-encoding") == []
        assert self.values("content-encoding") == []
        assert self.values("content-type") == ["application/json; charset=utf-8"]
        found = json.loads(self.body)
        assert isinstance(found, dict)
        assert type(found["errno"]) is int
        assert type(found["error"]) is str
        return found

    def data(self) -> Any:  # Any: JSON
        """`data` of a call that succeeded."""
        envelope = self.envelope()
        assert (envelope["errno"], envelope["error"]) == (0, "succ"), envelope
        return envelope.get("data")


class RawConnection:
    """One TCP connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = b""

    def send(self, head: str, body: bytes = b"") -> None:
        """Send a request whose head is written with plain newlines, without the empty line at its end."""
        self._socket.sendall(head.strip("\n").replace("\n", "\r\n").encode("utf-8") + b"\r\n\r\n" + body)

    def send_bytes(self, content: bytes) -> None:
        """Send exactly this."""
        self._socket.sendall(content)

    def ask(self, head: str, body: bytes = b"", *, to_head_request: bool = False) -> RawAnswer:
        """Send a request and wait for its answer."""
        self.send(head, body)
        return self.answer(to_head_request=to_head_request)

    def answer(self, *, to_head_request: bool = False) -> RawAnswer:
        """Wait for the next answer. One to a HEAD request has no body whatever its Content-Length says."""
        head = self._take_until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        size = 0 if to_head_request or not lengths else lengths[0]
        return RawAnswer(status_line=status_line, headers=headers, body=self._take(size))

    def is_closed_by_peer(self) -> bool:
        """Whether the other side ends the connection without another byte."""
        return self._received == b"" and self._socket.recv(1) == b""

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        taken, _, self._received = self._received.partition(end)
        return taken

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _receive(self) -> None:
        piece = self._socket.recv(65_536)
        assert piece, f"the connection ended after {self._received!r}"
        self._received += piece


@contextmanager
def connect(address: tuple[str, int]) -> Iterator[RawConnection]:
    """Open a connection, and close it at the end."""
    with socket.create_connection(address, timeout=ANSWER_TIMEOUT_S) as connected:
        yield RawConnection(connected)
