"""What the two sides of a connection tell their owners, and the handle by which a save is acknowledged."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from commandpost.protocols.data_report import DataReport


class SaveHandle:
    """One SAVE_DATA that waits for its owner's word. Opaque: give it back once, to `acknowledge`."""

    __slots__ = ("is_saved", "message_id", "payload_bytes")

    def __init__(self, message_id: int | None, payload_bytes: int) -> None:
        self.message_id = message_id
        self.payload_bytes = payload_bytes
        self.is_saved: bool | None = None


class CloseReason(Enum):
    """Why a connection ended."""

    PEER_GONE = "peer_gone"
    """The stream ended, as the owner told with `receive_end`."""
    PEER_CLOSED = "peer_closed"
    """The server said CONN_CLOSE; a client's only."""
    FAULT = "fault"
    """The peer did not keep to the protocol."""
    TIMED_OUT = "timed_out"
    """No login in time, no answer of the owner to it, or nothing whole for 1.5 keepalives; a client's: no answer to its
    ping or login."""
    LOGIN_REFUSED = "login_refused"
    """The owner refused the credentials; a client's: the server did."""
    FLOODED = "flooded"
    """More came than is held while the owner wants a pause."""
    OWNER = "owner"
    """The owner closed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClosed:
    """The end, once: nothing is taken or sent any more but what `bytes_to_send` still gives. Then close the stream."""

    reason: CloseReason
    code: int | None = None
    """The code that was sent (a client's: that came) with the end, of CONN_CLOSE or, after LOGIN_REFUSED, CONN_RESP."""
    detail: str = ""
    """For a log: which rule, or who, ended it; a server's is never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionRequested:
    """The device wants its messages encrypted: `start_encryption` with 16 random bytes, or `refuse_encryption`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequested:
    """A device shows its credentials: `accept`, or `refuse`. What it sends meanwhile is held."""

    device_id: str
    """Empty where a form 2 login has none."""
    product_id: str | None
    """None in form 1."""
    auth: bytes = field(repr=False)
    """An api-key in form 1, the device's auth_info in form 2."""
    keepalive_s: int
    form: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSaved:
    """A device reports. `acknowledge(handle)` once it is on disk, or known never to be."""

    handle: SaveHandle
    device_id: str | None
    """Whom to forward the report to as well."""
    message_id: int | None
    report: DataReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRefused:
    """A report that cannot be read; its SAVE_ACK, if it wants one, says failed."""

    message_id: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPushed:
    """Bytes for another device; an empty id means whatever the device's own route says."""

    device_id: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswered:
    """A device answers a command. Nothing says that the id is one of ours, or the first answer to it."""

    command_id: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAsked:
    """A device tells names and versions of its programs; that there is nothing newer has been answered."""

    items: tuple[tuple[str, str], ...]


ServerEvent: TypeAlias = (
    EncryptionRequested
    | LoginRequested
    | DataSaved
    | DataRefused
    | DataPushed
    | CommandAnswered
    | UpdateAsked
    | ConnectionClosed
)
"""What an `EdpServerConnection` tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The server accepted the login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReceived:
    """A command; `answer_command` with its id."""

    command_id: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveAcknowledged:
    """The answer to a SAVE_DATA that had a message id."""

    message_id: int
    is_saved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReceived:
    """Bytes of another device."""

    source: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReceived:
    """A report of another device, forwarded."""

    source: str | None
    report: DataReport


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAnswered:
    """What the server offers, as it came; empty where it offers nothing."""

    body: bytes


ClientEvent: TypeAlias = (
    LoggedIn | CommandReceived | SaveAcknowledged | PushReceived | ReportReceived | UpdateAnswered | ConnectionClosed
)
"""What an `EdpClientConnection` tells."""
