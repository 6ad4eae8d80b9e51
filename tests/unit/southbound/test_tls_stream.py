"""TLS as a layer of our own: what a peer is told of its bytes is true of the system's, from the accept on."""

import ssl
from pathlib import Path

import pytest
from OpenSSL import SSL

from commandpost.app.tls import TlsIdentity
from commandpost.domain.command import CommandState
from commandpost.southbound import tls_stream
from commandpost.southbound.mqtt.peer import MqttPeer
from commandpost.southbound.stream_peer import OUTPUT_BYTES_MAX, WRITE_STALL_S
from commandpost.southbound.tls_stream import ANSWER_BYTES_MAX, FEED_BYTES, IS_SHAKING_HANDS, ROUND_BYTES
from tests.acceptance.certificates import write_certificate
from tests.event_loop import on_event_loop
from tests.fakes.ids import TellTale
from tests.unit.southbound.mqtt.test_peer import ACCEPTED, PINGREQ, PINGRESP, connect
from tests.unit.southbound.stream_fakes import FakePeer, StreamBench
from tests.unit.southbound.stream_house import Streams
from tests.unit.southbound.tls_bench import LoneTls, RecordingPeer, TlsBench, TlsContexts

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
RECORD_OVERHEAD = 64  # more than a record of TLS 1.2 or 1.3 adds to what it says


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_go_both_ways_after_the_handshake(contexts: TlsContexts, version: ssl.TLSVersion) -> None:
    tls = LoneTls(contexts, version=version)
    tls.send(b"question")
    tls.stream.write(b"an")
    tls.stream.writelines([b"sw", bytearray(b"er")])

    assert (tls.peer.pieces, tls.heard()) == ([b"question"], b"answer")
    assert tls.peer.said == ["made"]


def test_a_peer_has_its_connection_from_the_accept_on(contexts: TlsContexts) -> None:
    """With its address, and whether there is TLS; until the handshake is done it is told that it is not."""
    tls = LoneTls(contexts, is_shaken=False)
    before = (tls.peer.said, tls.stream.get_extra_info(IS_SHAKING_HANDS), tls.stream.get_extra_info("ssl_object"))
    tls.shake_hands()

    assert before == (["made"], True, None)
    assert not tls.stream.get_extra_info(IS_SHAKING_HANDS)
    assert tls.stream.get_extra_info("peername") == ("192.0.2.7", 40_007)
    assert tls.stream.get_extra_info("sslcontext") is contexts.server
    assert tls.stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert tls.stream.get_extra_info("nothing", "default") == "default"


def test_a_handshake_may_come_byte_by_byte_with_the_first_words_behind_it(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts, is_shaken=False)
    for byte in tls.hello():
        tls.stream.data_received(bytes((byte,)))
    tls.incoming.write(tls.raw.take())
    last = tls.hello()
    tls.stream.data_received(last + tls.say(b"question"))

    assert tls.peer.pieces == [b"question"]


def test_what_is_written_before_the_handshake_waits_for_its_end(contexts: TlsContexts) -> None:
    """And is counted as not taken."""
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.write(b"early")
    tls.raw.takes_all = False
    tls.stream.data_received(tls.hello())
    tls.raw.drain()  # our part of the handshake: there is room below, but not for this
    before = (tls.stream.get_write_buffer_size(), list(tls.peer.said))
    tls.raw.takes_all = True
    tls.incoming.write(tls.raw.take())
    tls.shake_hands()

    assert before == (5, ["made", "full"])
    assert (tls.heard(), tls.stream.get_write_buffer_size()) == (b"early", 0)
    assert tls.peer.said == ["made", "full", "room"]


# --- writing -----------------------------------------------------------------------------------------------------


def test_written_means_that_the_system_has_taken_it(contexts: TlsContexts) -> None:
    """Not that it lies below TLS, as the loop's own has it."""
    tls = LoneTls(contexts, takes_all=False)
    for _ in range(16):
        tls.stream.write(b"x" * 64_000)
    burst = tls.stream.get_write_buffer_size()
    tls.raw.drain(tls.raw.unread_bytes - 1)
    nearly = (tls.stream.get_write_buffer_size(), list(tls.peer.said))
    taken = 0
    while tls.raw.unread_bytes:
        assert "room" not in tls.peer.said
        taken += len(tls.heard())
        tls.raw.drain()
    taken += len(tls.heard())

    assert burst > 16 * 64_000
    assert nearly == (15 * 64_000 + 1, ["made", "full"])
    assert (taken, tls.stream.get_write_buffer_size()) == (16 * 64_000, 0)
    assert tls.peer.said == ["made", "full", "room"]


@on_event_loop
async def test_a_payload_of_qos_0_is_not_delivered_before_the_system_has_taken_it(contexts: TlsContexts) -> None:
    """Status 2 is the transport's word, and over TLS, too, it is no guess."""
    streams = Streams()
    house = streams.house
    product, device = await streams.furnish()
    peer = MqttPeer(streams.mqtt)
    tls = TlsBench(contexts, peer, house.scheduler, house.scheduler)
    tls.shake_hands()
    for said in (connect(device), PINGREQ):
        tls.send(said)
        await house.settle()
    begun = tls.heard()
    tls.raw.takes_all = False
    command = await house.send(product, device, b"ping" * 16_000)
    while tls.stream.get_write_buffer_size() > 1:
        tls.raw.drain(tls.raw.unread_bytes - 1)
        await house.advance(5)
        before = await house.state(product, command)
        assert before is CommandState.SENT
        if tls.stream.get_write_buffer_size() > 1:
            tls.raw.drain()
    tls.raw.drain()
    await house.settle()

    assert begun == ACCEPTED + PINGRESP
    assert tls.heard().endswith(b"ping")
    assert await house.state(product, command) is CommandState.DELIVERED


def test_a_large_write_is_cut(contexts: TlsContexts) -> None:
    """No more of it is encrypted at a time than a round; all of it arrives, in order."""
    whole = bytes(range(256)) * 20_000
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(whole)
    rounds, heard = [tls.raw.unread_bytes], b""
    while tls.raw.unread_bytes:
        heard += tls.heard()
        tls.raw.drain()
        rounds.append(tls.raw.unread_bytes)
    heard += tls.heard()

    assert max(rounds) <= ROUND_BYTES + 5 * RECORD_OVERHEAD
    assert heard == whole


def test_a_large_write_goes_out_at_once_where_there_is_room(contexts: TlsContexts) -> None:
    whole = bytes(range(256)) * 20_000
    tls = LoneTls(contexts)
    tls.stream.write(memoryview(whole))

    assert (tls.stream.get_write_buffer_size(), tls.heard()) == (0, whole)


def test_what_waits_is_a_copy(contexts: TlsContexts) -> None:
    """A writer may use its buffer again."""
    tls = LoneTls(contexts, takes_all=False)
    buffer = bytearray(b"first")
    for content in (b"first", b"secnd", b"third"):
        buffer[:] = content
        tls.stream.write(buffer)
    tls.raw.drain()

    assert tls.heard() == b"firstsecndthird"


def over_tls(contexts: TlsContexts) -> tuple[StreamBench, FakePeer, TlsBench]:
    """A StreamPeer whose other end takes nothing once it has shaken hands."""
    bench = StreamBench()
    peer = FakePeer(bench.clock, bench.scheduler, bench.budget, bench.events)
    tls = TlsBench(contexts, peer, bench.scheduler, bench.scheduler)
    tls.shake_hands()
    tls.raw.takes_all = False
    return bench, peer, tls


def test_the_stall_rule_sees_what_lies_below_tls(contexts: TlsContexts) -> None:
    bench, peer, tls = over_tls(contexts)
    peer.engine.output += b"payload"
    peer.pump()
    bench.pass_time(WRITE_STALL_S - 1)
    before = tls.raw.is_aborted
    bench.pass_time(2)

    assert (before, tls.raw.is_aborted) == (False, True)
    (told,) = [fields for event, fields in bench.events.told if event == "stream_dropped_for_stall"]
    assert dict(told)["unread_bytes"] == tls.raw.unread_bytes > 7


def test_back_pressure_and_the_bound_on_output_see_what_lies_below_tls(contexts: TlsContexts) -> None:
    bench, peer, tls = over_tls(contexts)
    written = 0
    while not tls.raw.is_aborted:
        peer.engine.output += b"x" * 65_536
        peer.pump()
        written += 65_536
        assert (not tls.raw.reads) is (peer.is_full or tls.raw.is_aborted)

    assert OUTPUT_BYTES_MAX <= written <= OUTPUT_BYTES_MAX + 65_536
    assert bench.events.count("stream_dropped_for_output") == 1


# --- reading -----------------------------------------------------------------------------------------------------


def test_pausing_stops_the_stream_below_and_keeps_what_has_come(contexts: TlsContexts) -> None:
    """It is handed on in the next turn after resuming, before what comes then."""
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.send(b"first ")
    tls.send(b"second ")
    paused = (tls.raw.reads, tls.stream.is_reading(), list(tls.peer.pieces))
    tls.stream.resume_reading()
    at_once = list(tls.peer.pieces)
    tls.scheduler.run_soon()
    tls.send(b"third")

    assert paused == (False, False, [])
    assert (at_once, b"".join(tls.peer.pieces)) == ([], b"first second third")
    assert tls.raw.reads


def test_pausing_twice_with_nothing_there_resumes_at_once(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.stream.pause_reading()
    tls.stream.resume_reading()

    assert tls.raw.reads


def test_a_peer_that_pauses_before_the_handshake_is_done_shakes_hands(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.pause_reading()
    tls.shake_hands()

    assert not tls.raw.reads
    tls.stream.resume_reading()
    tls.send(b"x")
    assert tls.peer.pieces == [b"x"]


def test_a_peer_gets_no_more_in_one_call_than_a_few_records(contexts: TlsContexts) -> None:
    """However much the loop has read at once; and nothing after it has paused."""
    whole = b"".join(b"%07d\n" % number for number in range(32_768))
    tls = LoneTls(contexts)
    tls.peer.pauses_at = b"%07d\n" % 20_000
    tls.send(whole)
    paused = b"".join(tls.peer.pieces)
    held = (tls.raw.reads, len(paused) < len(whole))
    tls.peer.pauses_at = None
    tls.stream.resume_reading()
    tls.scheduler.run_soon()

    assert held == (False, True)
    assert tls.raw.reads
    assert b"".join(tls.peer.pieces) == whole
    assert max(len(piece) for piece in tls.peer.pieces) <= 2 * FEED_BYTES


def test_a_peer_that_pauses_again_at_once_gets_nothing_more(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.send(b"x")
    tls.stream.resume_reading()
    tls.stream.pause_reading()
    tls.scheduler.run_soon()

    assert (tls.peer.pieces, tls.raw.reads) == ([], False)


def test_a_peer_that_gives_up_amid_its_input_gets_nothing_more(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts)

    class GivesUp(RecordingPeer):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            tls.stream.abort()

    peer = GivesUp()
    tls.stream.set_protocol(peer)
    tls.send(b"x" * 200_000)
    tls.scheduler.run_soon()

    assert tls.stream.get_protocol() is not peer
    assert (len(peer.pieces), peer.said) == (1, ["lost"])


def test_a_peer_that_fails_over_what_waited_ends_its_connection(contexts: TlsContexts) -> None:
    """As the loop has it for what comes from below."""
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.send(b"x")
    tls.peer.pieces = ()  # type: ignore[assignment]  # has no append
    tls.stream.resume_reading()

    with pytest.raises(AttributeError):
        tls.scheduler.run_soon()
    assert tls.raw.is_aborted


# --- what TLS does of its own ------------------------------------------------------------------------------------


def test_nobody_negotiates_anew(contexts: TlsContexts) -> None:
    """A second hello of TLS 1.2 gets an alert (RFC 5246 section 7.2.2), and no handshake."""
    tls = LoneTls(contexts, is_shaken=False)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client = SSL.Connection(context, None)
    client.set_connect_state()

    def exchange() -> bytes:
        with pytest.raises(SSL.WantReadError):
            client.do_handshake()
        tls.stream.data_received(client.bio_read(65_536))
        return tls.raw.take()

    client.bio_write(exchange())
    client.bio_write(exchange())
    client.do_handshake()
    client.renegotiate()
    answer = exchange()

    assert answer[0] == 21  # alert
    assert len(answer) < 64


class ChattyRecords:
    """OpenSSL, as it answers one who asks for a new key with every record."""

    is_shaken = True
    is_ended = False
    failure = None

    def __init__(self, _context: ssl.SSLContext) -> None:
        """Nothing to set up."""

    def receive(self, _data: bytes) -> bytes:
        return b""

    def take_output(self) -> bytes:
        return b"x" * 1_000


def test_who_asks_for_answers_without_end_and_takes_none_is_let_go(
    contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are OpenSSL's own: the peer above knows nothing of them, and could not hold them back."""
    monkeypatch.setattr(tls_stream, "TlsRecords", ChattyRecords)
    tls = LoneTls(contexts, is_shaken=False, takes_all=False)
    asked = 0
    while not tls.raw.is_aborted and asked < 1_000:
        tls.stream.data_received(b"key update")
        asked += 1
    tls.scheduler.run_soon()

    assert asked == ANSWER_BYTES_MAX // 1_000 + 1
    assert "does not take" in str(tls.peer.error)


@pytest.mark.parametrize("takes_all", [True, False])
def test_who_takes_the_answers_may_ask_for_more(
    contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch, takes_all: bool
) -> None:
    """At once, or late."""
    monkeypatch.setattr(tls_stream, "TlsRecords", ChattyRecords)
    tls = LoneTls(contexts, is_shaken=False, takes_all=takes_all)
    for _ in range(5 * ANSWER_BYTES_MAX // 1_000):
        tls.stream.data_received(b"key update")
        if tls.raw.unread_bytes > ANSWER_BYTES_MAX // 2:
            tls.raw.drain()

    assert not tls.raw.is_aborted


def test_a_renewed_certificate_is_for_connections_from_then_on(tmp_path: Path) -> None:
    """Whoever has shaken hands goes on; whoever trusts the old one alone does not get in any more."""
    certificate, key = write_certificate(tmp_path, "first")
    identity = TlsIdentity(certificate, key)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificate.read_bytes())
    contexts = TlsContexts(server=identity.context, certificate=trusted)
    before = LoneTls(contexts)
    write_certificate(tmp_path, "second")
    assert identity.reload(TellTale())
    before.send(b"x")

    assert before.peer.pieces == [b"x"]
    with pytest.raises(ssl.SSLCertVerificationError):
        LoneTls(contexts)
    trusted.write_bytes(certificate.read_bytes())
    assert LoneTls(contexts).peer.said == ["made"]
