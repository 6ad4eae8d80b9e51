"""Devices that mean harm, or are broken, on real sockets: the server stays small, and others are served meanwhile."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.acceptance.edp_client import answer, edp_device, login_by_secret
from tests.acceptance.mqtt_clients import V3, V5, connect_packet, packet, paho, raw_device, text
from tests.acceptance.server import ServerProcess, poll
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    SENT,
    RawStream,
    StreamDevice,
    create_device,
    create_product,
    door,
    raw_stream,
    resident_bytes,
    status_of,
    stream_server,
    submit,
    wait_for_payload,
)

MIB = 1_048_576
GROWTH_MAX = 32 * MIB  # what the allocator keeps of buffers that came and went, generously
PAGE_CACHE = 64 * MIB  # SQLite keeps the newest pages
ANSWER_S = 2.0  # a device's turn while the others do their worst, on a machine with other things to do
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


@DOORS
def test_a_flood_of_pings_neither_fills_memory_nor_holds_others_up(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """16 MiB of them from a device that does not read the answers: it is made to wait, others are not."""
    flooder = create_device(server, name.upper(), f"{name} flooder")
    before = resident_bytes(server)
    stream = logged_in(server, name, flooder)
    stream.socket.setblocking(False)
    flood = PING * 131_072
    sent = 0
    slowest = 0.0
    grown = 0
    until = time.monotonic() + 1.5
    while time.monotonic() < until and sent < 64 * MIB:
        try:
            sent += stream.socket.send(flood)
        except BlockingIOError:
            started = time.monotonic()
            with raw_device(door(server, "mqtt"), mqtt) as other:
                other.send(PING)
                assert other.packet() == PONG
            slowest = max(slowest, time.monotonic() - started)
            grown = max(grown, resident_bytes(server) - before)
    stream.reset()

    assert slowest < ANSWER_S
    assert grown < GROWTH_MAX, f"{grown / MIB:.1f} MiB for {sent / MIB:.1f} MiB of pings"


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
def test_a_device_that_never_reads_is_let_go(
    server: ServerProcess, mqtt: StreamDevice, edp: StreamDevice, name: str
) -> None:
    """Payloads of 64 KB flow to it: no more than a few megabytes wait, and others get theirs."""
    deaf = create_device(server, name.upper(), f"{name} deaf")
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stream.connect(door(server, name))
    stream.sendall(connect_packet(deaf) if name == "mqtt" else login_by_secret(deaf))
    for _ in range(120):
        server.call("POST", "/cmds", {"device_id": deaf.id, "qos": 1, "timeout": HOUR_S}, body=b"x" * 65_000)
    serve_both(server, mqtt, edp)
    stream.close()


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


# --- strangers -------------------------------------------------------------------------------------------------------


def test_another_devices_command_cannot_be_answered(server: ServerProcess, mqtt: StreamDevice) -> None:
    """Neither by a device of the product, nor by another product's: acknowledged, and dropped (P12)."""
    product_id, key = create_product(server, "strangers")
    strangers = [
        create_device(server, "MQTT", "a neighbour"),
        create_device(server, "MQTT", "a stranger", product_id=product_id, key=key),
    ]
    with paho(door(server, "mqtt"), mqtt) as client:
        uuid = submit(server, mqtt, b"for one only", qos=1, timeout_s=HOUR_S)
        client.next_message()
        wait_for_payload(server, uuid, SENT)
        for stranger in strangers:
            with paho(door(server, "mqtt"), stranger, version=V5) as other:
                other.publish(f"$crsp/{uuid}", b"forged", 1)
        forged = status_of(server, uuid)
        client.publish(f"$crsp/{uuid}", b"true", 1)

    assert forged == SENT
    assert status_of(server, uuid) == ANSWERED


def test_another_devices_edp_command_cannot_be_answered(server: ServerProcess, edp: StreamDevice) -> None:
    """The same over EDP, and across the protocols."""
    neighbour = create_device(server, "EDP", "an edp neighbour")
    other = create_device(server, "MQTT", "an mqtt neighbour")
    with edp_device(door(server, "edp"), edp) as stream:
        uuid = submit(server, edp, b"for one only")
        stream.packet()
        wait_for_payload(server, uuid, SENT)
        with edp_device(door(server, "edp"), neighbour) as forger:
            forger.send(answer(uuid, b"forged") + PING)
            assert forger.packet() == PONG
        with paho(door(server, "mqtt"), other) as client:
            client.publish(f"$crsp/{uuid}", b"forged", 1)

        assert status_of(server, uuid) == SENT


@pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
def test_nothing_crosses_from_product_to_product(
    server: ServerProcess, mqtt: StreamDevice, version: MQTTProtocolVersion
) -> None:
    """Same topic names, retained messages, wildcards, wills: each product hears its own."""
    product_id, key = create_product(server, f"other side {version}")
    stranger = create_device(server, "MQTT", f"stranger {version}", product_id=product_id, key=key)
    speaker = create_device(server, "MQTT", f"speaker {version}")
    with paho(door(server, "mqtt"), stranger, version=version) as outside:
        outside.subscribe("#", 1)
        outside.subscribe("$creq/#", 1)
        with paho(door(server, "mqtt"), speaker, version=version) as mouth:
            mouth.publish("shared/topic", b"ours", 1)
            mouth.publish("shared/topic", b"ours", 1, retain=True)
        will = {"flags": 0xC6, "will": ("shared/will", b"ours")}
        with raw_device(door(server, "mqtt"), speaker, **will), raw_device(door(server, "mqtt"), speaker):
            pass
        with raw_device(door(server, "mqtt"), mqtt) as stream:
            submit(server, mqtt, b"ours")
            stream.packet()
        server.call("POST", "/mqtt", {"topic": "shared/topic"}, body=b"ours")
        outside.expect_nothing_before("own")
    with paho(door(server, "mqtt"), stranger, version=version) as outside:
        outside.subscribe("shared/#", 1)
        outside.expect_nothing_before("shared/own")
    foreign = server.call("POST", "/cmds", {"device_id": mqtt.id}, body=b"x", key=key)
    topics = server.data("GET", "/mqtt/topic", key=key)

    assert foreign["errno"] == 8
    assert topics == []


def test_a_storm_of_wrong_passwords_does_not_keep_the_right_one_out(server: ServerProcess, mqtt: StreamDevice) -> None:
    """Guessing may be slowed down; whoever knows the password is let in at once, from the same address."""
    with ExitStack() as stack:
        for number in range(100):
            stream = stack.enter_context(raw_stream(door(server, "mqtt")))
            stream.send(connect_packet(mqtt, secret=f"guess {number}"))
        started = time.monotonic()
        with raw_device(door(server, "mqtt"), mqtt):
            pass

        assert time.monotonic() - started < ANSWER_S


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
    for _ in poll(5):
        if not server.data("GET", f"/devices/{mqtt.id}")["online"]:
            break

    assert arrived.endswith(b"to the newest")
