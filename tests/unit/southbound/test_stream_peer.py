"""Back-pressure both ways, "it is written", the budget and the timer of a stream, on a transport that obeys."""

import pytest

from commandpost.config import MqttSettings
from commandpost.southbound.stream_peer import (
    OUTPUT_BYTES_HIGH,
    OUTPUT_BYTES_MAX,
    OUTPUT_BYTES_OWN,
    WRITE_STALL_S,
)
from tests.unit.southbound.stream_fakes import StreamBench


def test_what_comes_is_fed_and_what_the_engine_says_is_written() -> None:
    """Events first, then the output they led to, in one write."""
    bench = StreamBench()
    bench.engine.events.append(lambda: bench.engine.output.extend(b"an"))
    bench.engine.events.append(lambda: bench.engine.output.extend(b"swer"))

    bench.peer.data_received(b"question")

    assert (bytes(bench.engine.received), bench.transport.take()) == (b"question", b"answer")


def test_a_pump_from_inside_an_event_is_done_once_the_event_is() -> None:
    """A broker's message to its own sender must not be written in the middle of another event."""
    bench = StreamBench()

    def event() -> None:
        bench.engine.output += b"1"
        bench.peer.pump()
        assert bench.transport.take() == b""
        bench.engine.events.append(lambda: bench.engine.output.extend(b"2"))

    bench.engine.events.append(event)
    bench.peer.pump()

    assert bench.transport.take() == b"12"


# --- reading ---------------------------------------------------------------------------------------------------------


def test_reading_pauses_while_the_engine_wants_nothing_and_goes_on_afterwards() -> None:
    bench = StreamBench()
    bench.engine.is_paused = True
    bench.peer.data_received(b"more than enough")
    was_reading = bench.transport.reads
    bench.engine.is_paused = False
    bench.peer.pump()

    assert (was_reading, bench.transport.reads) == (False, True)


def test_reading_pauses_while_the_engine_has_whole_packets_to_decode() -> None:
    """A flood of pings is decoded a part at a time; reading on meanwhile would heap it up in memory."""
    bench = StreamBench()
    bench.engine.buffered_bytes = 500
    bench.engine.deadline = bench.clock.monotonic()
    bench.peer.data_received(b"a flood")
    was_reading = bench.transport.reads
    bench.engine.buffered_bytes = 0
    bench.scheduler.run_soon()

    assert was_reading is False
    assert bench.engine.deadlines == [bench.clock.monotonic()]
    assert bench.transport.reads


def test_reading_pauses_while_the_peer_does_not_take_what_is_written() -> None:
    """Beyond OUTPUT_BYTES_HIGH; below it a slow reader is still listened to."""
    bench = StreamBench(takes_all=False)
    bench.write(b"x" * OUTPUT_BYTES_HIGH)
    at_the_mark = bench.transport.reads
    bench.write(b"x")
    beyond = bench.transport.reads
    bench.transport.drain()

    assert (at_the_mark, beyond, bench.transport.reads) == (True, False, True)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_written_is_said_at_once_when_the_kernel_took_everything() -> None:
    bench = StreamBench()
    said: list[str] = []
    bench.write(b"payload")
    bench.peer.when_written(lambda: said.append("written"))
    before = list(said)
    bench.scheduler.run_soon()

    assert (before, said) == ([], ["written"])


def test_written_is_not_said_before_the_last_byte_has_left() -> None:
    """And then to everybody, in order."""
    bench = StreamBench(takes_all=False)
    said: list[int] = []
    bench.write(b"12345")
    bench.peer.when_written(lambda: said.append(1))
    bench.peer.when_written(lambda: said.append(2))
    bench.scheduler.run_soon()
    bench.transport.drain(4)
    bench.pass_time(5)
    before = list(said)
    bench.transport.drain(1)

    assert (before, said) == ([], [1, 2])


def test_written_is_found_out_on_a_loop_that_tells_nobody() -> None:
    """Some loops flush at the end of an iteration without having called pause_writing."""
    bench = StreamBench()
    said: list[str] = []
    bench.transport.unread_bytes = 10
    bench.peer.when_written(lambda: said.append("written"))
    bench.scheduler.run_soon()
    before = list(said)
    bench.transport.unread_bytes = 0
    bench.pass_time(0.1)

    assert (before, said) == ([], ["written"])


def test_written_is_never_said_of_a_stream_that_ended() -> None:
    """What lay in our buffer has not reached the device."""
    bench = StreamBench(takes_all=False)
    said: list[str] = []
    bench.write(b"payload")
    bench.peer.when_written(lambda: said.append("written"))
    bench.transport.abort()
    bench.pass_time(1)

    assert said == []
    assert (bench.peer.ends, bench.engine.is_ended) == (1, True)


def test_more_than_may_wait_for_the_peer_ends_the_stream() -> None:
    """Memory for one connection has an end."""
    bench = StreamBench(takes_all=False)
    bench.write(b"x" * OUTPUT_BYTES_MAX)
    before = bench.transport.is_aborted
    bench.write(b"x")

    assert (before, bench.transport.is_aborted) == (False, True)
    assert bench.events.count("stream_dropped_for_output") == 1


def test_there_is_room_for_another_device_as_long_as_enough_is_left_for_its_own() -> None:
    """The bound of the stream is not another's to use up."""
    bench = StreamBench(takes_all=False)
    bench.write(b"x" * 100)
    room = OUTPUT_BYTES_MAX - OUTPUT_BYTES_OWN - 100
    has_room = bench.peer.has_room(room), bench.peer.has_room(room + 1)
    bench.write(b"x" * room)
    bench.write(b"x" * OUTPUT_BYTES_OWN)

    assert has_room == (True, False)
    assert not bench.transport.is_aborted


def test_a_stream_that_ended_has_room_for_nobody() -> None:
    bench = StreamBench()
    bench.transport.abort()
    bench.scheduler.run_soon()

    assert not bench.peer.has_room(1)


def test_a_close_lets_the_last_words_leave_but_not_for_ever() -> None:
    """Whoever does not read a farewell is cut off."""
    bench = StreamBench(takes_all=False)
    bench.engine.output += b"goodbye"
    bench.peer.close()
    bench.scheduler.run_soon()
    before = bench.peer.ends
    bench.pass_time(WRITE_STALL_S + 1)

    assert bytes(bench.transport.written) == b"goodbye"
    assert (before, bench.peer.ends) == (0, 1)


def test_nothing_is_written_after_a_close() -> None:
    bench = StreamBench(takes_all=False)
    bench.write(b"last words")
    bench.peer.close()
    bench.write(b"afterthought")

    assert bench.transport.take() == b"last words"


# --- memory ----------------------------------------------------------------------------------------------------------


def test_connections_share_what_half_packets_may_take() -> None:
    """The one that goes beyond is let go; what it held is free for the others."""
    bench = StreamBench(budget_bytes=1_000)
    other, others_transport = bench.another()
    bench.engine.buffered_bytes = 700
    bench.peer.pump()
    other.engine.buffered_bytes = 301
    other.pump()
    bench.scheduler.run_soon()
    held_afterwards = bench.budget.held_bytes
    third, thirds_transport = bench.another()
    third.engine.buffered_bytes = 300
    third.pump()

    assert (others_transport.is_aborted, bench.transport.is_aborted, thirds_transport.is_aborted) == (
        True,
        False,
        False,
    )
    assert (held_afterwards, bench.budget.held_bytes) == (700, 1_000)


def test_a_connection_that_shrinks_is_never_let_go_for_memory() -> None:
    """Also while the whole is above its bound."""
    bench = StreamBench(budget_bytes=1_000)
    bench.engine.buffered_bytes = 900
    bench.peer.pump()
    bench.budget.change(0, 500)
    bench.engine.buffered_bytes = 800
    bench.peer.pump()

    assert not bench.transport.is_aborted


# --- the timer -------------------------------------------------------------------------------------------------------


def test_the_engine_is_woken_when_it_wants_to_be() -> None:
    bench = StreamBench()
    bench.engine.deadline = bench.clock.monotonic() + 15
    bench.peer.data_received(b"hello")
    bench.pass_time(14)
    before = list(bench.engine.deadlines)
    bench.pass_time(2)

    assert before == []
    assert len(bench.engine.deadlines) == 1


def test_a_deadline_that_moves_away_with_every_packet_takes_one_timer() -> None:
    """The timer goes off early and is armed anew, once in a while and not for each packet."""
    bench = StreamBench()
    for _ in range(100):
        bench.engine.deadline = bench.clock.monotonic() + 15
        bench.peer.data_received(b"ping")
        bench.pass_time(1)
        assert bench.scheduler.timers == 1

    assert bench.engine.deadlines == []


def test_a_deadline_that_comes_nearer_is_kept() -> None:
    bench = StreamBench()
    bench.engine.deadline = bench.clock.monotonic() + 100
    bench.peer.pump()
    bench.engine.deadline = bench.clock.monotonic() + 1
    bench.peer.pump()
    bench.pass_time(2)

    assert len(bench.engine.deadlines) == 1


def test_a_stream_that_ended_leaves_no_timer() -> None:
    bench = StreamBench(takes_all=False)
    bench.engine.deadline = bench.clock.monotonic() + 100
    bench.write(b"payload")
    bench.peer.when_written(lambda: None)
    bench.transport.abort()
    bench.scheduler.run_soon()

    assert bench.scheduler.timers == 0


@pytest.mark.parametrize("call", ["data", "pump", "flush", "close", "abort"])
def test_a_stream_that_ended_takes_every_call_in_silence(call: str) -> None:
    """Callbacks of the store come back late."""
    bench = StreamBench()
    bench.transport.abort()
    bench.scheduler.run_soon()
    bench.engine.output += b"too late"
    if call == "data":
        bench.peer.data_received(b"too late")
    else:
        getattr(bench.peer, call)(*(("too late",) if call == "abort" else ()))

    assert bench.transport.take() == b""
    assert (bench.peer.ends, bytes(bench.engine.received)) == (1, b"")


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (None, "the peer closed the connection"),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            "the connection broke: [Errno 104] Connection reset by",
        ),
        (ConnectionResetError(), "the connection broke: ConnectionResetError"),
    ],
)
def test_the_engine_is_told_how_the_peer_or_the_network_ended_it(error: Exception | None, detail: str) -> None:
    """Some loops give errors without a text."""
    bench = StreamBench()
    bench.transport.break_off(error)
    bench.scheduler.run_soon()

    told, is_ours = bench.engine.end
    assert told.startswith(detail)
    assert not is_ours


def test_the_engine_is_told_by_which_rule_the_server_gave_it_up() -> None:
    """Memory, output, and a peer that takes nothing."""
    hoarder, glutton, sleeper = StreamBench(budget_bytes=10), StreamBench(takes_all=False), StreamBench(takes_all=False)
    hoarder.engine.buffered_bytes = 11
    hoarder.peer.data_received(b"x")
    glutton.write(b"x" * (OUTPUT_BYTES_MAX + 1))
    sleeper.write(b"x")
    for bench in (hoarder, glutton, sleeper):
        bench.pass_time(WRITE_STALL_S)

    assert [bench.engine.end for bench in (hoarder, glutton, sleeper)] == [
        ("half-received packets and reports hold more than 10 bytes in all", True),
        (f"the peer let more than {OUTPUT_BYTES_MAX} bytes pile up", True),
        ("the peer took nothing of what it is sent for 60 s", True),
    ]


def test_of_several_reasons_the_first_is_told() -> None:
    bench = StreamBench()
    bench.peer.abort("the first")
    bench.peer.abort("the second")
    bench.scheduler.run_soon()

    assert bench.engine.end == ("the first", True)


def test_the_longest_packet_allowed_has_room_with_a_subscriber_that_takes_nothing_yet() -> None:
    """Behind all that may lie there before reading stops, and it does not end the connection."""
    meaning = MqttSettings.__dataclass_fields__["packet_bytes_max"].metadata["meaning"]

    with pytest.raises(ValueError):
        meaning.kind.read(OUTPUT_BYTES_MAX - OUTPUT_BYTES_OWN + 1)
