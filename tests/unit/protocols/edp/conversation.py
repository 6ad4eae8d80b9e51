"""One server connection and short words for what a device does to it."""

from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.events import ConnectionClosed, LoginRequested, ServerEvent
from commandpost.protocols.edp.limits import EdpLimits

LOGIN = bytes.fromhex("10 1B 00 03 45 44 50 01 40 01 2C 00 07 38 30 32 39 33 37 37 00 07 6C 32 61 48 6B 65 79")
"""Device 8029377, keepalive 300 s."""
SAVE_261 = bytes.fromhex("80 10 40 01 05 03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D")
PING = bytes.fromhex("C0 00")
COMMAND_ID = "81572aae-fc34-5deb-8f06-ab45d73cb12b"


class Conversation:
    """A connection, and the time on both ends."""

    def __init__(self, limits: EdpLimits | None = None) -> None:
        self.now = 1_000.0
        self.connection = EdpServerConnection(limits=limits or EdpLimits(), now=self.now)

    def feed(self, data: bytes | str) -> list[ServerEvent]:
        """Let bytes arrive; give the events there are."""
        raw = bytes.fromhex(data) if isinstance(data, str) else data
        self.connection.receive_bytes(raw, now=self.now)
        return self.events()

    def events(self) -> list[ServerEvent]:
        """Take every event there is."""
        found: list[ServerEvent] = []
        while (event := self.connection.next_event()) is not None:
            found.append(event)
        return found

    def sent(self) -> str:
        """Take what was sent, as hexadecimal text."""
        return self.connection.bytes_to_send().hex(" ").upper()

    def wait(self, seconds: float) -> list[ServerEvent]:
        """Let time pass."""
        self.now += seconds
        self.connection.handle_deadline(now=self.now)
        return self.events()

    def log_in(self) -> None:
        """Log in and take the answer."""
        (event,) = self.feed(LOGIN)
        assert isinstance(event, LoginRequested)
        self.connection.accept(now=self.now)
        assert self.sent() == "20 02 00 00"


def logged_in(limits: EdpLimits | None = None) -> Conversation:
    """Give a conversation after a login."""
    conversation = Conversation(limits)
    conversation.log_in()
    return conversation


def end_of(events: list[ServerEvent]) -> ConnectionClosed:
    """Give the end, which has to be the last event, the only one of its kind, and to say why."""
    ends = [event for event in events if isinstance(event, ConnectionClosed)]
    assert len(ends) == 1 and events[-1] is ends[0]
    assert ends[0].detail
    return ends[0]
