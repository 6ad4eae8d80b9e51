"""What the program inside a simulated MQTT or EDP device can do, whichever of the two it speaks: sans-IO.

Here: the calls and events that `StreamDevice` lives by. The two that satisfy them are mqtt_device and edp_device; each
owns a client engine of protocols/, a new one for every connection.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from commandpost.protocols.data_report import DataReport


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The server accepted the login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandHeard:
    """A payload that wants an answer. `acknowledge` it, if it is to count as received."""

    command_id: str
    payload: bytes
    receipt: object = field(default=None, repr=False)
    """What the protocol needs for the acknowledgement; None: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHeard:
    """Bytes that want no answer: a topic's message, or a push."""

    source: str
    """The topic, or the id of the device they come from."""
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTaken:
    """The server's word on a report."""

    is_stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEnded:
    """The connection is over, or never came to be; close the stream."""

    reason: str
    is_refused: bool = False
    """The server would not let the device in."""


StreamEvent: TypeAlias = LoggedIn | CommandHeard | MessageHeard | ReportTaken | ClientEnded


class StreamClient(Protocol):
    """One device's program. After each call drain `next_event` and `bytes_to_send`."""

    @property
    def is_paused(self) -> bool:
        """Whether no more should be read now."""
        ...

    def begin(self, *, now: float) -> None:
        """Log in on a stream that has just been opened; what an earlier connection left is forgotten."""
        ...

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought."""
        ...

    def next_event(self) -> StreamEvent | None:
        """Give the next event; None: there is none now."""
        ...

    def bytes_to_send(self) -> bytes:
        """Give what is to be written, and forget it."""
        ...

    def next_deadline(self) -> float | None:
        """Give when `handle_deadline` wants to be called; None: nothing waits."""
        ...

    def handle_deadline(self, *, now: float) -> None:
        """Ping, or give up."""
        ...

    def acknowledge(self, command: CommandHeard) -> None:
        """Say that a command has arrived, where the protocol has a word for that."""
        ...

    def answer(self, command_id: str, payload: bytes, *, now: float) -> bool:
        """Answer a command. False: it is not connected, or there is no room."""
        ...

    def report(self, report: DataReport, *, now: float) -> bool:
        """Report data. False: it is not connected, or there is no room."""
        ...

    def leave(self) -> None:
        """Say good-bye, where the protocol has a word for that, and be over."""
        ...

    def lose(self) -> None:
        """Be over without a word: the stream has ended."""
        ...
