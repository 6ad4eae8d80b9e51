"""A simulated device against published bytes, and against the platform's side."""

import pytest

from commandpost.protocols.data_report import FloatReport, LocalTime, TextReport
from commandpost.protocols.edp.client_connection import EdpClientConnection
from commandpost.protocols.edp.close_codes import CloseCode, LoginCode
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.events import (
    ClientEvent,
    CloseReason,
    CommandAnswered,
    CommandReceived,
    ConnectionClosed,
    DataSaved,
    LoggedIn,
    LoginRequested,
    PushReceived,
    ReportReceived,
    SaveAcknowledged,
    UpdateAnswered,
)
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.edp.messages import LoginRequest
from tests.unit.protocols.edp.conversation import COMMAND_ID, LOGIN, SAVE_261

REQUEST = LoginRequest(device_id="8029377", product_id=None, auth=b"l2aHkey", keepalive_s=300)
REPORT = TextReport(form=3, text=b'{"t":22.5}')


def connect(limits: EdpLimits | None = None) -> EdpClientConnection:
    return EdpClientConnection(REQUEST, limits=limits or EdpLimits(), now=0.0)


def logged_in() -> EdpClientConnection:
    client = connect()
    client.bytes_to_send()
    assert feed(client, "20 02 00 00") == [LoggedIn()]
    return client


def feed(client: EdpClientConnection, data: str, *, now: float = 0.0) -> list[ClientEvent]:
    client.receive_bytes(bytes.fromhex(data), now=now)
    return events_of(client)


def events_of(client: EdpClientConnection) -> list[ClientEvent]:
    found: list[ClientEvent] = []
    while (event := client.next_event()) is not None:
        found.append(event)
    return found


def test_the_login_goes_out_at_once() -> None:
    """The document's first example; before its answer nothing else is sent."""
    client = connect()

    assert client.bytes_to_send() == LOGIN
    assert not client.save_data(REPORT)
    assert feed(client, "20 02 00 00") == [LoggedIn()]
    assert client.is_logged_in


@pytest.mark.parametrize("code", [2, 4, 9])
def test_a_refused_login_is_the_end(code: int) -> None:
    """With the server's code."""
    client = connect()

    assert feed(client, f"20 02 00 {code:02X}") == [ConnectionClosed(reason=CloseReason.LOGIN_REFUSED, code=code)]
    assert client.is_closed and client.next_deadline() is None


def test_reports_leave_as_the_document_shows() -> None:
    """With a message id, and without."""
    client = logged_in()

    client.save_data(REPORT, message_id=261)
    client.save_data(FloatReport(at=LocalTime(2016, 4, 8, 14, 30, 28), points=((1, 22.5),)))

    assert client.bytes_to_send() == SAVE_261 + bytes.fromhex("80 10 00 07 10 04 08 0E 1E 1C 00 01 00 01 00 00 B4 41")
    assert feed(client, "90 04 40 01 05 00 90 04 40 01 05 01") == [
        SaveAcknowledged(message_id=261, is_saved=True),
        SaveAcknowledged(message_id=261, is_saved=False),
    ]


def test_a_ping_goes_out_every_third_of_the_keepalive() -> None:
    """And silence of one and a half keepalives is the end."""
    client = logged_in()

    first = client.next_deadline()
    client.handle_deadline(now=100.0)
    ping, second = client.bytes_to_send(), client.next_deadline()
    feed(client, "D0 00", now=150.0)
    client.handle_deadline(now=599.0)
    late = client.next_deadline()
    client.handle_deadline(now=600.0)

    assert (first, ping, second, late) == (100.0, bytes.fromhex("C0 00"), 200.0, 600.0)
    assert events_of(client) == [ConnectionClosed(reason=CloseReason.TIMED_OUT)]


def test_a_login_without_an_answer_times_out() -> None:
    """After as long as a server would wait for it."""
    client = connect()
    client.receive_bytes(b"\x20", now=29.0)

    client.handle_deadline(now=29.9)
    client.handle_deadline(now=30.0)

    assert events_of(client) == [ConnectionClosed(reason=CloseReason.TIMED_OUT)]


@pytest.mark.parametrize(
    "data", ["20 01 00", "C0 00", "10 00", "00 00", "C1 00", "A0 01 00", "90 00", "80 00", "80 02 00 09", "30 00"]
)
def test_a_server_at_fault_is_left(data: str) -> None:
    """A device has no message to complain with."""
    client = logged_in()

    (end,) = feed(client, data)

    assert isinstance(end, ConnectionClosed) and end.reason is CloseReason.FAULT
    assert client.bytes_to_send() == b""


def test_nothing_but_its_answer_may_follow_a_login() -> None:
    """Except the server's farewell."""
    for data, reason in (("A0 00", CloseReason.FAULT), ("40 01 14", CloseReason.PEER_CLOSED)):
        (end,) = feed(connect(), data)
        assert isinstance(end, ConnectionClosed) and end.reason is reason


def test_what_the_server_sends_besides() -> None:
    """Data of others, offers of programs, a repeated answer, a tunnel, a farewell."""
    client = logged_in()

    events = feed(
        client,
        "30 09 00 05 34 33 31 30 31 68 69"
        "80 15 80 00 05 34 33 31 30 31 03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"
        "60 00 20 02 00 09 70 00 40 01 1C C0 00",
    )

    assert events == [
        PushReceived(source="43101", payload=b"hi"),
        ReportReceived(source="43101", report=REPORT),
        UpdateAnswered(body=b""),
        ConnectionClosed(reason=CloseReason.PEER_CLOSED, code=CloseCode.LOGGED_IN_ELSEWHERE),
    ]
    assert not client.answer_command(COMMAND_ID, b"")


def test_events_are_bounded() -> None:
    """As they are on the platform's side."""
    client = connect(EdpLimits(events_max=2, held_bytes_max=10))
    command = "A0 07 00 01 63 00 00 00 00"
    client.receive_bytes(bytes.fromhex("20 02 00 00" + command), now=0.0)
    paused = client.is_paused

    client.receive_bytes(bytes.fromhex(command), now=0.0)
    held = client.buffered_bytes
    client.receive_bytes(bytes.fromhex(command), now=0.0)

    assert paused and held == 9
    assert events_of(client)[-1] == ConnectionClosed(reason=CloseReason.FLOODED)


def test_both_sides_understand_one_another() -> None:
    """Login, report, command, answer, programs, farewell."""
    server = EdpServerConnection(limits=EdpLimits(), now=0.0)
    client = connect()

    def carry() -> None:
        while (up := client.bytes_to_send()) or (down := server.bytes_to_send()):
            if up:
                server.receive_bytes(up, now=0.0)
            else:
                client.receive_bytes(down, now=0.0)

    carry()
    assert isinstance(server.next_event(), LoginRequested)
    server.accept(now=0.0)
    carry()
    client.save_data(REPORT, message_id=7, device_id="8")
    carry()
    saved = server.next_event()
    assert isinstance(saved, DataSaved) and (saved.device_id, saved.report) == ("8", REPORT)
    server.acknowledge(saved.handle, is_saved=True)
    server.send_command(COMMAND_ID, b"ping")
    carry()
    client.answer_command(COMMAND_ID, b"ok")
    client.ask_update((("app", "1.0"),))
    client.push_data("43101", b"hi")
    carry()
    assert server.next_event() == CommandAnswered(command_id=COMMAND_ID, payload=b"ok")
    server.close(CloseCode.SERVER_UNAVAILABLE)
    carry()

    assert events_of(client) == [
        LoggedIn(),
        SaveAcknowledged(message_id=7, is_saved=True),
        CommandReceived(command_id=COMMAND_ID, payload=b"ping"),
        UpdateAnswered(body=b""),
        ConnectionClosed(reason=CloseReason.PEER_CLOSED, code=2),
    ]


def test_either_end_may_simply_go() -> None:
    """The stream ends, or the owner ends it."""
    gone, closed = logged_in(), logged_in()
    gone.receive_end()
    closed.close()
    closed.close()

    assert events_of(gone) == [ConnectionClosed(reason=CloseReason.PEER_GONE)]
    assert events_of(closed) == [ConnectionClosed(reason=CloseReason.OWNER)]
    assert feed(closed, "D0 00") == []


def test_login_codes_are_the_documents() -> None:
    """0 to 9."""
    assert [int(code) for code in LoginCode] == list(range(10))
