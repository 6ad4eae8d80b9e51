"""Devices that mean harm, or are broken, on real sockets: the server stays small, and others are served meanwhile."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.crashing_server import WRITE_STALL
from tests.acceptance.edp_client import answer, edp_device, login_by_secret
from tests.acceptance.mqtt_clients import connect_packet, packet, raw_device, text
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    WAIT_S,
    RawStream,
    StreamDevice,
    create_device,
    door,
    raw_stream,
    resident_bytes,
    status_of,
    stream_server,
    submit,
    wait_for_payload,
    wait_until_online,
)

MIB = 1_048_576
GROWTH_MAX = 32 * MIB  # what the allocator keeps of buffers that came and went, generously
PAGE_CACHE = 64 * MIB  # SQLite keeps the newest pages
PIECE = 16_000  # bytes of a message whose length still has two bytes
TURNS = 40  # of others; a server that still read from somebody would do so in each
STANDSTILL_S = 10.0  # for it to come about
PING, PONG = bytes.fromhex("C0 00"), bytes.fromhex("D0 00")
DOORS = pytest.mark.parametrize("name", ["mqtt", "edp"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all of it: whatever one test did to it, the next one needs it."""
    with stream_server(tmp_path_factory.mktemp("hostile") / "data") as running:
        yield running


@pytest.fixture
def mqtt(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "MQTT", f"{request.node.name} mqtt")


@pytest.fixture
def edp(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "EDP", f"{request.node.name} edp")


@pytest.fixture(autouse=True)
def is_served_and_small_afterwards(server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice) -> Iterator[None]:
    """After each of these tests both protocols carry a payload and its answer, and memory has not grown."""
    serve_both(server, mqtt, edp)
    before = resident_bytes(server)
    yield
    serve_both(server, mqtt, edp)
    grown = resident_bytes(server) - before
    assert grown < GROWTH_MAX, f"{grown / MIB:.1f} MiB more"


def serve_both(server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice) -> None:
    """Carry a payload to a device of each protocol, and its answer back."""
    with raw_device(door(server, "mqtt"), mqtt) as stream:
        uuid = submit(server, mqtt, b"alive?")
        assert stream.packet().endswith(b"alive?")
        stream.send(packet(0x32, text(f"$crsp/{uuid}") + b"\x00\x01yes"))
        assert stream.packet() == b"\x40\x02\x00\x01"
        assert status_of(server, uuid) == ANSWERED
    with edp_device(door(server, "edp"), edp) as stream:
        uuid = submit(server, edp, b"alive?")
        assert stream.packet().endswith(b"alive?")
        stream.send(answer(uuid, b"yes"))
        wait_for_payload(server, uuid, ANSWERED)


def logged_in(server: ServerProcess, name: str, device: StreamDevice) -> RawStream:
    """A stream on which a device has logged in; the caller closes it."""
    stream = RawStream(door(server, name))
    stream.send(connect_packet(device) if name == "mqtt" else login_by_secret(device))
    assert stream.packet()[3] == 0
    return stream


def of(name: str, mqtt: StreamDevice, edp: StreamDevice) -> StreamDevice:
    return mqtt if name == "mqtt" else edp


def push(stream: RawStream, data: bytes) -> None:
    """Send what the other side takes; it may end the stream meanwhile."""
    with suppress(ConnectionError, TimeoutError):
        stream.socket.sendall(data)


# --- bytes -----------------------------------------------------------------------------------------------------------


@DOORS
def test_any_bytes_before_and_after_a_login(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """Whatever they are, they end the stream at worst. (The engines' fuzzers try many more.)"""
    chance = Random(name)
    for number in range(40):
        stream = logged_in(server, name, of(name, mqtt, edp)) if number % 2 else RawStream(door(server, name))
        noise = chance.randbytes(chance.randrange(1, 2_000))
        push(stream, noise if number % 4 < 2 else bytes((chance.choice(b"\x10\x30\x32\x82\xa2\x80\xb0\xe0"),)) + noise)
        stream.reset()


@DOORS
def test_half_a_login_byte_by_byte_holds_nobody_up(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """A hundred slow ones; a healthy device between any two of their bytes."""
    login = connect_packet(mqtt) if name == "mqtt" else login_by_secret(edp)
    with ExitStack() as stack:
        slow = [stack.enter_context(raw_stream(door(server, name))) for _ in range(100)]
        for at in range(12):
            for stream in slow:
                stream.send(login[at : at + 1])
            if at % 4 == 0:
                serve_both(server, mqtt, edp)


@pytest.mark.parametrize(
    ("name", "is_logged_in", "first"),
    [
        ("mqtt", False, "10 FF FF FF 7F"),
        ("mqtt", True, "30 FF FF FF 7F"),
        ("edp", False, "10 FF FF FF 7F"),
        ("edp", True, "80 FF FF FF 7F"),
    ],
)
def test_a_packet_of_256_mb_is_refused_when_it_is_announced(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str, is_logged_in: bool, first: str
) -> None:
    """By its length alone: not one byte of it is waited for."""
    stream = logged_in(server, name, of(name, mqtt, edp)) if is_logged_in else RawStream(door(server, name))
    stream.send(first)

    assert stream.rest().hex(" ") == ("" if name == "mqtt" else "40 01 05")
    stream.close()


@DOORS
def test_large_packets_that_never_end_take_a_bounded_part_of_memory(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """Twenty connections that begin 3 MiB each and leave the last byte out; then they go."""
    before = resident_bytes(server)
    devices = [create_device(server, name.upper(), f"{name} {number} never ends") for number in range(20)]
    length = 3_000_000
    head = bytes((0x30 if name == "mqtt" else 0x80, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80))
    head += bytes((length >> 14 & 0x7F | 0x80, length >> 21))
    streams = [logged_in(server, name, device) for device in devices]
    for stream in streams:
        push(stream, head + b"\0" * (length - 1))
    serve_both(server, mqtt, edp)
    held = resident_bytes(server) - before
    for stream in streams:
        stream.reset()

    assert held < 20 * 2 * length  # each byte once, and room to grow into


# --- floods ----------------------------------------------------------------------------------------------------------


def deaf_stream(server: ServerProcess, name: str, device: StreamDevice) -> socket.socket:
    """A device that logs in, hears what is poured out for it, and reads nothing of that; the caller closes it."""
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stream.connect(door(server, name))
    stream.sendall(connect_packet(device) if name == "mqtt" else login_by_secret(device))
    assert stream.recv(4) == bytes.fromhex("20 02 00 00")
    if name == "mqtt":
        stream.sendall(packet(0x82, b"\x00\x01" + text(f"to {device.id}") + b"\x00"))
        assert stream.recv(5) == bytes.fromhex("90 03 00 01 00")
    return stream


def pour(server: ServerProcess, name: str, target: StreamDevice, size: int) -> int:
    """Let another device send so many bytes to one; gives by how much the server grew meanwhile, at most."""
    talker = create_device(server, name.upper(), f"talks to {target.secret}")
    one = packet(0x30, text(f"to {target.id}" if name == "mqtt" else target.id) + b"x" * PIECE)
    before = resident_bytes(server)
    grown = 0
    with closing(logged_in(server, name, talker)) as stream:
        for number in range(size // PIECE):
            stream.send(one)
            if number % 100 == 0:
                grown = max(grown, resident_bytes(server) - before)
        stream.send(PING)
        assert stream.packet() == PONG
        return max(grown, resident_bytes(server) - before)


@DOORS
def test_a_flood_of_pings_from_a_device_that_does_not_read_is_made_to_wait(
    server: ServerProcess, mqtt: StreamDevice, name: str
) -> None:
    """What it was sent fills its connection; then not a byte more is taken from it, while others have their turns."""
    flooder = create_device(server, name.upper(), f"{name} flooder")
    flood = PING * 131_072
    with closing(deaf_stream(server, name, flooder)) as stream:
        pour(server, name, flooder, 5 * MIB)
        stream.setblocking(False)
        before = resident_bytes(server)
        sent = turns = unread = grown = 0
        until = time.monotonic() + STANDSTILL_S
        while turns < TURNS and time.monotonic() < until:
            with suppress(BlockingIOError):
                while True:
                    sent += stream.send(flood[sent % 2 :])
            with raw_device(door(server, "mqtt"), mqtt) as other:
                other.send(PING)
                assert other.packet() == PONG
            was_unread, unread = unread, bytes_unread(stream)
            turns = turns + 1 if unread == was_unread else 0
            grown = max(grown, resident_bytes(server) - before)

    assert turns == TURNS, f"{sent / MIB:.1f} MiB of pings, and no end"
    assert unread > 0
    assert grown < GROWTH_MAX, f"{grown / MIB:.1f} MiB for {sent / MIB:.1f} MiB of pings"


def bytes_unread(stream: socket.socket) -> int:
    """What the server's kernel holds of a stream, and the server has not taken."""
    ours, theirs = (f":{address[1]:04X}" for address in (stream.getsockname(), stream.getpeername()))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(theirs) and remote.endswith(ours):
            return int(queues.partition(":")[2], 16)
    raise AssertionError("the server has ended the stream")


def test_a_flood_of_reports_at_qos_0_is_made_to_wait(tmp_path: Path) -> None:
    """QoS 0 has no acknowledgement that would slow a device down: the stream has to. A server of its own, whose memory
    also holds the pages of the 100 MB that it stores meanwhile."""
    binary = b"\x02" + text(b'{"ds_id":"img"}') + (250_000).to_bytes(4, "big") + b"\0" * 250_000
    body = text("$dp") + binary
    length = len(body)
    head = bytes((0x30, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14))
    with stream_server(tmp_path / "data", doors=("mqtt",)) as server:
        flooder = create_device(server, "MQTT", "qos 0 flooder")
        before = resident_bytes(server)
        with raw_device(door(server, "mqtt"), flooder) as stream:
            grown = 0
            for _ in range(400):
                push(stream, head + body)
                grown = max(grown, resident_bytes(server) - before)
            stream.send(packet(0x32, text("$dp") + b"\x00\x01" + b"\x03" + text(b'{"t":1}')))
            acknowledged = stream.packet()

    assert acknowledged == b"\x40\x02\x00\x01"
    assert grown < PAGE_CACHE + GROWTH_MAX, f"{grown / MIB:.1f} MiB for 100 MB of reports"


@DOORS
def test_a_device_that_does_not_read_takes_a_bounded_part_of_memory(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """Another device sends it 64 MB: no more than a few megabytes wait, whether it is let go for that or not."""
    deaf = create_device(server, name.upper(), f"{name} deaf")
    with closing(deaf_stream(server, name, deaf)):
        grown = pour(server, name, deaf, 64 * MIB)
        serve_both(server, mqtt, edp)

    assert grown < GROWTH_MAX, f"{grown / MIB:.1f} MiB more"


@DOORS
def test_a_device_that_takes_no_payloads_is_let_go_in_time(tmp_path: Path, name: str) -> None:
    """Sixteen of 64 KB are on their way to it, and it takes nothing. A server of its own, with less patience."""
    server = stream_server(tmp_path / "data")
    server.environment = {**server.environment, WRITE_STALL: "1"}
    with server:
        deaf = create_device(server, name.upper(), "deaf")
        with closing(deaf_stream(server, name, deaf)) as stream:
            for _ in range(80):
                submit(server, deaf, b"x" * 65_000, qos=0, timeout_s=HOUR_S)
            wait_until_online(server, deaf, is_expected=False)
            read_to_its_end(stream)


def read_to_its_end(stream: socket.socket) -> None:
    """Want what the kernel still holds, and then an end of any kind."""
    stream.settimeout(WAIT_S)
    with suppress(ConnectionResetError):
        while stream.recv(65_536):
            pass


# --- many ------------------------------------------------------------------------------------------------------------


def idle_connections(server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, count: int) -> float:
    """Open connections that say nothing, half to each door; gives bytes a connection."""
    before = resident_bytes(server)
    with ExitStack() as stack:
        for number in range(count):
            address = door(server, "mqtt" if number % 2 else "edp")
            stack.callback(socket.create_connection(address).close)
        serve_both(server, mqtt, edp)
        return (resident_bytes(server) - before) / count


def test_two_thousand_idle_connections_keep_nobody_out(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice
) -> None:
    """Each costs less than 10 kB."""
    assert idle_connections(server, mqtt, edp, 2_000) < 10_000


@pytest.mark.long
def test_ten_thousand_idle_connections_keep_nobody_out(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice
) -> None:
    """Those who do not log in make room for those who do: the oldest go first."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    assert idle_connections(server, mqtt, edp, 10_000) < 10_000


def test_a_device_that_comes_and_goes_leaves_nothing(server: ServerProcess, mqtt: StreamDevice) -> None:
    """Three hundred connections of one device, each taking over the one before."""
    streams = []
    for _ in range(300):
        stream = RawStream(door(server, "mqtt"))
        stream.send(connect_packet(mqtt, flags=0xC0))
        assert stream.packet()[3] == 0
        streams.append(stream)
    submit(server, mqtt, b"to the newest")
    arrived = streams[-1].packet()
    for stream in streams[:-1]:
        assert stream.rest() == b""
        stream.close()
    streams[-1].close()
    wait_until_online(server, mqtt, is_expected=False)

    assert arrived.endswith(b"to the newest")
