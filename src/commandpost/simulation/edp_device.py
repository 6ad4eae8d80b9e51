"""The program of a simulated EDP device: CONN_REQ, SAVE_DATA, CMD_RESP on the client engine. Sans-IO.

Source: southbound reference 6.
"""

from typing import Final

from commandpost.protocols.data_report import DataReport
from commandpost.protocols.edp import events as edp
from commandpost.protocols.edp.client_connection import EdpClientConnection
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.edp.messages import MESSAGE_ID_MAX, LoginRequest
from commandpost.simulation.stream_client import (
    ClientEnded,
    CommandHeard,
    LoggedIn,
    MessageHeard,
    ReportTaken,
    StreamEvent,
)

_LIMITS: Final = EdpLimits()


class EdpDeviceClient:
    """A StreamClient; see the module. Either form of login: the request says which."""

    def __init__(self, login: LoginRequest, *, limits: EdpLimits = _LIMITS) -> None:
        self._login = login
        self._limits = limits
        self._engine: EdpClientConnection | None = None
        self._message_id = 0

    @property
    def is_paused(self) -> bool:
        """Whether events should be taken before more is read."""
        return self._engine is not None and self._engine.is_paused

    def begin(self, *, now: float) -> None:
        """Send the CONN_REQ on a new stream."""
        self._engine = EdpClientConnection(self._login, limits=self._limits, now=now)

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought."""
        if self._engine is not None:
            self._engine.receive_bytes(data, now=now)

    def next_event(self) -> StreamEvent | None:
        """Give the next event that a device cares about."""
        while self._engine is not None and (event := self._engine.next_event()) is not None:
            told = _translate(event)
            if told is not None:
                return told
        return None

    def bytes_to_send(self) -> bytes:
        """Give the messages to send."""
        return b"" if self._engine is None else self._engine.bytes_to_send()

    def next_deadline(self) -> float | None:
        """Give when to ping, or to give up."""
        return None if self._engine is None else self._engine.next_deadline()

    def handle_deadline(self, *, now: float) -> None:
        """Ping, or give up."""
        if self._engine is not None:
            self._engine.handle_deadline(now=now)

    def acknowledge(self, command: CommandHeard) -> None:
        """Do nothing: EDP has no acknowledgement of a command."""

    def answer(self, command_id: str, payload: bytes, *, now: float) -> bool:
        """Send a CMD_RESP."""
        return self._engine is not None and self._engine.answer_command(command_id, payload)

    def report(self, report: DataReport, *, now: float) -> bool:
        """Send a SAVE_DATA that wants a SAVE_ACK."""
        self._message_id = self._message_id % MESSAGE_ID_MAX + 1
        return self._engine is not None and self._engine.save_data(report, message_id=self._message_id)

    def leave(self) -> None:
        """End the connection: a device has no message for that."""
        if self._engine is not None:
            self._engine.close()

    def lose(self) -> None:
        """Tell the engine that the stream has ended."""
        if self._engine is not None:
            self._engine.receive_end()


def _translate(event: edp.ClientEvent) -> StreamEvent | None:
    match event:
        case edp.CommandReceived(command_id=command_id, payload=payload):
            return CommandHeard(command_id=command_id, payload=payload)
        case edp.PushReceived(source=source, payload=payload):
            return MessageHeard(source=source, payload=payload)
        case edp.SaveAcknowledged(is_saved=is_saved):
            return ReportTaken(is_stored=is_saved)
        case edp.LoggedIn():
            return LoggedIn()
        case edp.ConnectionClosed(reason=reason, code=code):
            is_refused = reason is edp.CloseReason.LOGIN_REFUSED
            text = reason.value if code is None else f"{reason.value} {code}"
            return ClientEnded(reason=text, is_refused=is_refused)
        case _:
            return None
