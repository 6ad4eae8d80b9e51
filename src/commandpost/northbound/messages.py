"""An HTTP request and its answer as values: what handlers see instead of a transport.

Here: the two records. Not here: sockets, chunks and keep-alive, which are the HTTP server's, and limits, which `api`
keeps while it reads. Source: RFC 9110.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from commandpost.northbound.trail import CallTrail

CUT_OFF: Final = "the server stops, what became of the call is not known"

Headers = Sequence[tuple[bytes, bytes]]


def find_header(headers: Headers, name: bytes) -> str | None:
    """Give the first header of a name, which has to be in lower case; what is sent may have any."""
    for key, value in headers:
        if key == name or key.lower() == name:
            return value.decode("latin-1").strip()
    return None


class BodyFault(Enum):
    """Why the body of a request is not whole."""

    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    CUT_OFF = "cut off"
    """The server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request.

    `path` is percent-decoded; `query` is as it came, without its question mark; header names may have any case.
    """

    method: str
    path: str
    segments: tuple[str, ...] | None = None
    """The parts of a path that holds an encoded slash, decoded one by one: `/keys/a%2Fb` names the key `a/b`."""
    query: bytes = b""
    headers: Headers = ()
    body: bytes = b""
    body_fault: BodyFault | None = None
    """Set when the body could not be read to its end; `body` is empty then."""
    trail: CallTrail = field(default_factory=CallTrail, compare=False, repr=False)
    """What is noted of it for the audit."""

    def find_header(self, name: bytes) -> str | None:
        """Give the first header of this name, which has to be in lower case."""
        return find_header(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """One answer. Content-Type and Content-Length are written for it; `headers` are further ones, in lower case."""

    status: int = 200
    body: bytes
    content_type: bytes = b"application/json; charset=utf-8"
    headers: Headers = ()
    errno: int = 0
    """What the envelope says, if there is one."""

    def with_header(self, name: bytes, value: bytes) -> "ApiResponse":
        """Give the same answer with one header more."""
        return replace(self, headers=(*self.headers, (name, value)))
