"""A device that is logged in: reports, answers, pings, silence and faults."""

import pytest

from commandpost.protocols.data_report import FloatReport, LocalTime, TextReport
from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.connection import SILENT_MESSAGES_MAX
from commandpost.protocols.edp.events import (
    CloseReason,
    CommandAnswered,
    ConnectionClosed,
    DataPushed,
    DataRefused,
    DataSaved,
    SaveHandle,
    ServerEvent,
    UpdateAsked,
)
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.errors import EncodeError
from tests.unit.protocols.edp.conversation import COMMAND_ID, LOGIN, PING, SAVE_261, Conversation, end_of, logged_in

REPORT = TextReport(form=3, text=b'{"t":22.5}')
UUID_HEX = COMMAND_ID.encode().hex(" ").upper()


def save(message_id: int) -> bytes:
    return SAVE_261[:3] + message_id.to_bytes(2, "big") + SAVE_261[5:]


def handle_of(event: ServerEvent) -> SaveHandle:
    assert isinstance(event, DataSaved)
    return event.handle


def test_a_report_is_acknowledged_when_its_owner_says_so() -> None:
    """Not before: a SAVE_ACK means that it is on disk."""
    conversation = logged_in()

    (event,) = conversation.feed(SAVE_261)
    before = conversation.sent()
    conversation.connection.acknowledge(handle_of(event), is_saved=True)

    assert isinstance(event, DataSaved)
    assert (event.device_id, event.message_id, event.report) == (None, 261, REPORT)
    assert (before, conversation.sent()) == ("", "90 04 40 01 05 00")


def test_a_report_that_could_not_be_kept_is_acknowledged_as_failed() -> None:
    """90 04 40, id, 01."""
    conversation = logged_in()
    (event,) = conversation.feed(SAVE_261)

    conversation.connection.acknowledge(handle_of(event), is_saved=False)

    assert conversation.sent() == "90 04 40 01 05 01"


def test_a_report_without_message_id_gets_no_acknowledgement() -> None:
    """But its owner still says when the next may come."""
    conversation = logged_in()

    (event,) = conversation.feed("80 10 00 07 10 04 08 0E 1E 1C 00 01 00 01 00 00 B4 41")
    conversation.connection.acknowledge(handle_of(event), is_saved=True)

    assert isinstance(event, DataSaved)
    assert event.report == FloatReport(at=LocalTime(2016, 4, 8, 14, 30, 28), points=((1, 22.5),))
    assert conversation.sent() == ""


def test_acknowledgements_leave_in_the_order_of_the_messages() -> None:
    """Whatever the order in which the store is done."""
    conversation = logged_in()
    first, second, third = map(handle_of, conversation.feed(save(1) + save(2) + save(3)))

    conversation.connection.acknowledge(third, is_saved=True)
    conversation.connection.acknowledge(second, is_saved=False)
    before = conversation.sent()
    conversation.connection.acknowledge(first, is_saved=True)

    assert before == ""
    assert conversation.sent() == "90 04 40 00 01 00 90 04 40 00 02 01 90 04 40 00 03 00"


def test_a_hundred_reports_wait_for_the_owner_and_no_more() -> None:
    """Then it is asked to pause; the 101st comes when there is room."""
    conversation = logged_in()

    events = conversation.feed(b"".join(map(save, range(1, 103))))
    paused = conversation.connection.is_paused
    conversation.connection.acknowledge(handle_of(events[0]), is_saved=True)
    later = conversation.events()

    assert len(events) == 100 and paused
    assert [event.message_id for event in later if isinstance(event, DataSaved)] == [101]
    assert conversation.connection.is_paused
    assert conversation.connection.buffered_bytes == len(SAVE_261)


def test_large_reports_wait_in_bounded_bytes() -> None:
    """Two of 3 MiB pause a connection as a hundred small ones do."""
    conversation = logged_in(EdpLimits(unacknowledged_bytes_max=2 * len(SAVE_261) - 4))

    events = conversation.feed(save(1) + save(2) + save(3))
    paused = conversation.connection.is_paused
    conversation.connection.acknowledge(handle_of(events[1]), is_saved=True)
    still_paused = conversation.connection.is_paused
    conversation.connection.acknowledge(handle_of(events[0]), is_saved=True)

    assert len(events) == 2
    assert paused and still_paused and not conversation.connection.is_paused
    assert len(conversation.events()) == 1


def test_events_are_bounded_and_the_rest_stays_undecoded() -> None:
    """A read full of small messages does not become as many records at once."""
    conversation = logged_in(EdpLimits(events_max=4))
    answer = bytes.fromhex("B0 03 00 01 61")

    conversation.connection.receive_bytes(answer * 10, now=conversation.now)

    assert conversation.connection.is_paused
    assert conversation.connection.buffered_bytes == 6 * len(answer)
    assert conversation.events() == [CommandAnswered(command_id="a", payload=b"")] * 10
    assert not conversation.connection.is_paused


def test_an_owner_that_does_not_pause_is_protected_from_its_device() -> None:
    """More than one largest message and one read is not held."""
    conversation = logged_in(EdpLimits(unacknowledged_saves_max=1, held_bytes_max=100))

    first = conversation.feed(SAVE_261 + bytes(100))
    second = conversation.feed(b"\0")

    assert len(first) == 1
    assert end_of(second).reason is CloseReason.FLOODED
    assert conversation.sent() == "40 01 02"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("40 01 05 03 00 0B 7B 22 74 22 3A 32 32 2E 35 7D", "90 04 40 01 05 01"),
        ("40 01 05 01 68 65 6C 6C 6F", "90 04 40 01 05 01"),
        ("40 01 05 09 00 00", "90 04 40 01 05 01"),
        ("41 01 05 03 00 00", "90 04 40 01 05 01"),
        ("40 01 05", "90 04 40 01 05 01"),
        ("C0 00 01 38 01 05 09", "90 04 40 01 05 01"),
        ("00 03 00 0B 7B", ""),
        ("40 00 00 03 00 00", ""),
        ("40 01", ""),
        ("80 00 09 38", ""),
        ("80 00 01 FF 03 00 00", ""),
        ("", ""),
    ],
)
def test_a_report_that_cannot_be_read_does_not_disconnect(body: str, answer: str) -> None:
    """Samples of the vendor send such reports; who asked for an acknowledgement hears that it failed."""
    conversation = logged_in()
    raw = bytes.fromhex(body)

    (event,) = conversation.feed(b"\x80" + bytes((len(raw),)) + raw)

    assert isinstance(event, DataRefused)
    assert event.reason
    assert conversation.sent() == answer
    assert conversation.connection.is_logged_in


def test_a_refusal_waits_for_the_acknowledgements_before_it() -> None:
    """Order is kept between sound reports and others."""
    conversation = logged_in()
    sound, refused = conversation.feed(save(1) + bytes.fromhex("80 04 40 00 02 09"))

    before = conversation.sent()
    conversation.connection.acknowledge(handle_of(sound), is_saved=True)

    assert isinstance(refused, DataRefused)
    assert before == ""
    assert conversation.sent() == "90 04 40 00 01 00 90 04 40 00 02 01"


def test_a_command_and_its_answer() -> None:
    """The bytes of the document."""
    conversation = logged_in()

    was_sent = conversation.connection.send_command(COMMAND_ID, b"ping")

    assert was_sent
    assert conversation.sent() == f"A0 2E 00 24 {UUID_HEX} 00 00 00 04 70 69 6E 67"
    assert conversation.feed(f"B0 2C 00 24 {UUID_HEX} 00 00 00 02 6F 6B") == [
        CommandAnswered(command_id=COMMAND_ID, payload=b"ok")
    ]
    assert conversation.feed(f"B0 26 00 24 {UUID_HEX}") == [CommandAnswered(command_id=COMMAND_ID, payload=b"")]


def test_data_of_other_devices_are_passed_on() -> None:
    """PUSH_DATA and SAVE_DATA towards the device name their source."""
    conversation = logged_in()

    conversation.connection.push_data("43101", b"hi")
    conversation.connection.save_data("43101", bytes.fromhex("03 00 0A") + REPORT.text)

    assert conversation.sent() == (
        "30 09 00 05 34 33 31 30 31 68 69 80 15 80 00 05 34 33 31 30 31 03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"
    )
    assert conversation.feed("30 09 00 05 34 33 31 30 31 68 69") == [DataPushed(device_id="43101", payload=b"hi")]


def test_programs_are_told_and_nothing_is_offered() -> None:
    """60 00: nothing newer."""
    conversation = logged_in()

    assert conversation.feed("50 0A 00 03 61 70 70 00 03 31 2E 30") == [UpdateAsked(items=(("app", "1.0"),))]
    assert conversation.sent() == "60 00"


def test_a_tunnel_message_is_ignored() -> None:
    """Type 7 has no meaning here, and is no fault."""
    conversation = logged_in()

    assert conversation.feed("70 02 01 02") == []
    assert conversation.connection.is_logged_in


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("00 00", CloseCode.UNKNOWN_TYPE),
        ("20 02 00 00", CloseCode.UNKNOWN_TYPE),
        ("40 01 01", CloseCode.UNKNOWN_TYPE),
        ("60 00", CloseCode.UNKNOWN_TYPE),
        ("90 04 40 01 05 00", CloseCode.UNKNOWN_TYPE),
        ("A0 00", CloseCode.UNKNOWN_TYPE),
        ("D0 00", CloseCode.UNKNOWN_TYPE),
        ("F0 00", CloseCode.UNKNOWN_TYPE),
        ("C1 00", CloseCode.TYPE_PARSE),
        ("C0 01 00", CloseCode.LENGTH),
        ("80 80 80 80 80 01", CloseCode.LENGTH),
        ("80 81 80 80 02", CloseCode.LENGTH),
        ("E0 00", CloseCode.ENCRYPTION),
        ("30 01 00", CloseCode.PUSH_DATA),
        ("30 03 00 02 38", CloseCode.PUSH_DATA),
        ("50 02 00 09", CloseCode.LENGTH),
        ("B0 02 00 00", CloseCode.COMMAND_ID),
        ("B0 04 00 01 61 00", CloseCode.COMMAND_LENGTH),
    ],
)
def test_a_message_at_fault_ends_the_connection_with_its_code(data: str, code: CloseCode) -> None:
    """Nothing after it is taken."""
    conversation = logged_in()

    end = end_of(conversation.feed(bytes.fromhex(data) + SAVE_261))

    assert (end.reason, end.code) == (CloseReason.FAULT, code)
    assert conversation.sent() == f"40 01 {code:02X}"
    assert conversation.feed(SAVE_261) == []
    assert conversation.sent() == ""


def test_silence_of_more_than_one_and_a_half_keepalives_closes() -> None:
    """CONN_CLOSE 6 after 450 s of a keepalive of 300."""
    conversation = logged_in()

    assert conversation.connection.next_deadline() == conversation.now + 450
    assert conversation.wait(449) == []
    assert end_of(conversation.wait(1)).reason is CloseReason.TIMED_OUT
    assert conversation.sent() == "40 01 06"


@pytest.mark.parametrize("data", [PING, SAVE_261, LOGIN, bytes.fromhex("B0 03 00 01 61"), bytes.fromhex("70 00")])
def test_any_whole_message_keeps_a_connection_alive(data: bytes) -> None:
    """Not the ping alone."""
    conversation = logged_in()
    conversation.wait(400)

    conversation.feed(data)

    assert conversation.connection.next_deadline() == conversation.now + 450


def test_a_part_of_a_message_keeps_nothing_alive() -> None:
    """Nor does dripping the rest."""
    conversation = logged_in()
    deadline = conversation.connection.next_deadline()
    conversation.wait(400)

    conversation.feed(SAVE_261[:-1])

    assert conversation.connection.next_deadline() == deadline


@pytest.mark.parametrize(("asked", "kept"), [(0, 300), (20, 20)])
def test_keepalive_0_is_300_s_and_the_owner_may_choose(asked: int, kept: int) -> None:
    """What the owner gives stands; the device's wish was 300."""
    conversation = Conversation()
    conversation.feed(LOGIN)
    conversation.wait(20)

    conversation.connection.accept(now=conversation.now, keepalive_s=asked)

    assert conversation.connection.next_deadline() == conversation.now + 1.5 * kept


def test_a_device_we_do_not_listen_to_is_not_silent() -> None:
    """While the owner is asked to pause, messages may lie in the socket."""
    conversation = logged_in(EdpLimits(unacknowledged_saves_max=1))
    (event,) = conversation.feed(SAVE_261)

    waited = conversation.wait(450)
    conversation.connection.acknowledge(handle_of(event), is_saved=True)

    assert waited == []
    assert conversation.wait(449) == []
    assert end_of(conversation.wait(1)).reason is CloseReason.TIMED_OUT


def test_an_early_deadline_call_does_nothing() -> None:
    """A timer may fire too soon."""
    conversation = logged_in()

    assert conversation.wait(0) == []
    assert conversation.connection.is_logged_in


def test_a_closed_connection_says_so_once_and_sends_nothing_more() -> None:
    """Reports decoded before the end are still told; their acknowledgements go nowhere."""
    conversation = logged_in()
    conversation.connection.receive_bytes(SAVE_261, now=conversation.now)
    conversation.connection.close(CloseCode.LOGGED_IN_ELSEWHERE)
    conversation.connection.close(CloseCode.UNKNOWN)
    conversation.connection.receive_end()

    events = conversation.events()
    conversation.connection.acknowledge(handle_of(events[0]), is_saved=True)

    end = end_of(events)
    assert (end.reason, end.code) == (CloseReason.OWNER, CloseCode.LOGGED_IN_ELSEWHERE)
    assert (len(events), end.detail) == (2, "the server ended it: 28 logged_in_elsewhere")
    assert conversation.sent() == "40 01 1C"
    assert conversation.connection.is_closed and conversation.connection.next_deadline() is None
    assert not conversation.connection.send_command(COMMAND_ID, b"")
    assert not conversation.connection.push_data("1", b"")
    assert not conversation.connection.save_data("1", b"")
    assert conversation.sent() == ""


def test_the_end_of_the_stream_is_the_end() -> None:
    """And needs no farewell."""
    conversation = logged_in()
    conversation.connection.receive_end()

    assert conversation.events() == [ConnectionClosed(reason=CloseReason.PEER_GONE, detail="the stream has ended")]
    assert conversation.sent() == ""


def test_nothing_is_sent_to_who_is_not_logged_in() -> None:
    """Not even between the login and its answer."""
    conversation = Conversation()
    conversation.feed(LOGIN)

    assert not conversation.connection.send_command(COMMAND_ID, b"ping")
    assert conversation.sent() == ""


def test_what_devices_do_not_take_is_refused_before_it_is_sent() -> None:
    """A command of 64 KiB, a push above 3 MiB, a command without an id."""
    connection = logged_in().connection

    for command_id, payload in ((COMMAND_ID, bytes(65_536)), ("", b""), ("a" * 129, b"")):
        with pytest.raises(EncodeError):
            connection.send_command(command_id, payload)
    with pytest.raises(EncodeError):
        connection.push_data("1", bytes(3 * 1024 * 1024 + 1))
    with pytest.raises(EncodeError):
        connection.save_data("1", bytes(4 * 1024 * 1024 + 1))
    assert connection.bytes_to_send() == b""


def test_limits_that_let_nothing_through_are_refused() -> None:
    """A bound of zero is a mistake of a configuration."""
    with pytest.raises(ValueError, match="events_max"):
        EdpLimits(events_max=0)


def test_a_flood_of_pings_is_decoded_a_part_at_a_time() -> None:
    """131,072 pings fit into one read of 256 KiB: the owner has a turn after a thousand, and every ping is answered."""
    conversation = logged_in()
    connection = conversation.connection

    conversation.feed(PING * 131_072)
    first = len(connection.bytes_to_send())
    is_paused = connection.is_paused
    turns = 1
    answered = first
    while (deadline := connection.next_deadline()) is not None and deadline <= conversation.now:
        connection.handle_deadline(now=conversation.now)
        assert conversation.events() == []
        answered += len(connection.bytes_to_send())
        turns += 1

    assert (first, is_paused) == (2 * SILENT_MESSAGES_MAX, True)
    assert answered == 2 * 131_072
    assert turns == 132
    assert not connection.is_paused


def test_what_follows_a_flood_of_pings_is_taken_and_keeps_the_device_alive() -> None:
    """An answer behind them is not lost; the keepalive counts from when it came."""
    conversation = logged_in()
    answer = bytes.fromhex("B0 2C 00 24 " + UUID_HEX + " 00 00 00 02 6F 6B")

    events = conversation.feed(PING * SILENT_MESSAGES_MAX + answer)
    conversation.connection.handle_deadline(now=conversation.now)
    events += conversation.events()

    assert [type(event) for event in events] == [CommandAnswered]
    assert conversation.connection.next_deadline() == conversation.now + 450.0


def test_a_connection_that_ends_amid_a_flood_waits_for_nothing() -> None:
    conversation = logged_in()
    conversation.feed(PING * 5_000)

    conversation.connection.receive_end()

    assert conversation.connection.next_deadline() is None
    assert end_of(conversation.events()).reason is CloseReason.PEER_GONE
