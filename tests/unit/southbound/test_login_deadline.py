"""One deadline from the accepted connection to a whole login, whatever comes meanwhile, TLS included."""

import pytest

from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.southbound.mqtt.peer import MqttPeer
from commandpost.southbound.stream_peer import StreamPeer
from tests.event_loop import on_event_loop
from tests.unit.southbound.stream_house import Streams
from tests.unit.southbound.tls_bench import TlsBench, TlsContexts

LOGIN_S = 30.0  # southbound reference 6.8; the promise of docs/operating.md
CONNECT = bytes.fromhex("10 18 00 04 4d 51 54 54 04 02 00 3c 00 0c") + b"x" * 12
CONN_REQ = bytes.fromhex("10 1B 00 03 45 44 50 01 40 01 2C 00 07 38 30 32 39 33 37 37 00 07 6C 32 61 48 6B 65 79")


def closes(streams: Streams) -> list[dict[str, object]]:
    """What the log says of connections that have ended."""
    ends = ("mqtt_closed", "edp_closed")
    return [dict(fields) for event, fields in streams.house.events.told if event in ends]


def test_the_default_is_what_the_documents_promise() -> None:
    assert (MqttLimits().login_s, EdpLimits().login_s) == (LOGIN_S, LOGIN_S)


@pytest.mark.parametrize("gap_s", [0.5, 2.9, 31.0])
@pytest.mark.parametrize("protocol", ["mqtt", "edp"])
@on_event_loop
async def test_bytes_of_a_login_prolong_nothing(protocol: str, gap_s: float) -> None:
    """One by one, or never: it ends 30 s after it was accepted, and its place is free again."""
    streams = Streams()
    peer: StreamPeer
    peer, transport = streams.mqtt_stream() if protocol == "mqtt" else streams.edp_stream()
    login = iter((CONNECT if protocol == "mqtt" else CONN_REQ)[:11])
    elapsed = 0.0
    while not transport.is_closing() and elapsed < 100:
        step = min(gap_s, LOGIN_S - elapsed) if elapsed < LOGIN_S else gap_s
        await streams.house.advance(step)
        elapsed += step
        if not transport.is_closing() and (byte := next(login, None)) is not None:
            await streams.say(peer, bytes((byte,)))

    assert elapsed == pytest.approx(LOGIN_S)
    assert len(streams.registry) == 0
    (closed,) = closes(streams)
    what = "CONNECT" if protocol == "mqtt" else "CONN_REQ"
    assert closed["detail"] == f"no whole {what} within 30 s of the connection"


class Handshake:
    """A TLS connection of an MQTT device, and its other end."""

    def __init__(self, streams: Streams, contexts: TlsContexts) -> None:
        house = streams.house
        self.peer = MqttPeer(streams.mqtt)
        self.tls = TlsBench(contexts, self.peer, house.scheduler, house.scheduler)
        self.raw = self.tls.raw

    def begin(self) -> None:
        """Say hello, and leave the answer lying."""
        self.tls.stream.data_received(self.tls.hello())


@on_event_loop
async def test_a_handshake_that_is_not_done_in_time_is_given_up(contexts: TlsContexts) -> None:
    """By the same deadline, which nothing of the handshake moves."""
    streams = Streams()
    device = Handshake(streams, contexts)
    await streams.house.advance(LOGIN_S / 2)
    device.begin()
    await streams.house.advance(LOGIN_S / 2 - 0.1)
    before = (device.raw.is_aborted, len(streams.registry))
    await streams.house.advance(0.1)

    assert before == (False, 1)
    assert device.raw.is_aborted
    assert len(streams.registry) == 0
    (closed,) = closes(streams)
    assert closed["reason"] == "login_timed_out"
    assert closed["detail"] == "no whole CONNECT within 30 s of the connection, the TLS handshake included"


@on_event_loop
async def test_a_handshake_leaves_the_login_only_what_is_left(contexts: TlsContexts) -> None:
    """Two phases, one deadline; and no goodbye that the peer would have to answer."""
    streams = Streams()
    device = Handshake(streams, contexts)
    await streams.house.advance(20)
    device.tls.shake_hands()
    device.tls.send(CONNECT[:5])
    device.raw.take()
    await streams.house.advance(9.9)
    before = device.raw.is_closing()
    await streams.house.advance(0.1)

    assert (before, device.raw.is_aborted, device.raw.take()) == (False, True, b"")
    (closed,) = closes(streams)
    assert closed["detail"] == "no whole CONNECT within 30 s of the connection"


@on_event_loop
async def test_a_handshake_that_fails_is_told_with_its_error(contexts: TlsContexts) -> None:
    streams = Streams()
    device = Handshake(streams, contexts)
    device.tls.stream.data_received(b"GET / HTTP/1.1\r\n\r\n")
    await streams.house.settle()

    assert (device.raw.is_closing(), len(streams.registry)) == (True, 0)
    (closed,) = closes(streams)
    assert closed["reason"] == "peer_lost"
    assert str(closed["detail"]).startswith("the TLS handshake was not completed")
    assert "HTTP_REQUEST" in str(closed["detail"])


@on_event_loop
async def test_handshakes_count_among_those_who_have_not_logged_in(contexts: TlsContexts) -> None:
    """Whoever only begins them in great number keeps no device out, and holds no more than its share of sockets."""
    streams = Streams(unproven_max=2)
    handshakes = [Handshake(streams, contexts) for _ in range(3)]
    await streams.house.settle()

    assert [each.raw.is_aborted for each in handshakes] == [True, False, False]
    assert len(streams.registry) == 2
    (closed,) = closes(streams)
    assert closed["detail"] == "it made room for another: 2 may be open without a login"


@on_event_loop
async def test_a_handshake_for_which_there_is_no_room_is_not_begun(contexts: TlsContexts) -> None:
    streams = Streams(unproven_max=200)
    for _ in range(100):
        streams.edp_stream()
    device = Handshake(streams, contexts)
    device.begin()
    await streams.house.settle()

    assert (device.raw.is_aborted, device.raw.take()) == (True, b"")
    (closed,) = closes(streams)
    assert closed["detail"] == "no room: 100 connections are open"


@on_event_loop
async def test_a_login_over_tls_goes_on_as_any_other(contexts: TlsContexts) -> None:
    streams = Streams()
    device = Handshake(streams, contexts)
    device.tls.shake_hands()
    was_shaking = device.peer.is_shaking_hands
    device.tls.send(CONNECT)
    await streams.house.settle()

    assert not was_shaking
    (closed,) = closes(streams)
    assert closed["detail"] == "the CONNECT has no user name or no password"
    assert device.tls.heard() == b"|"
