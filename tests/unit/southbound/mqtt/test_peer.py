"""One MQTT connection with everything behind it: keepalive, confirmation, logins that break off.

Source: southbound reference 5.1, 5.2.
"""

from commandpost.domain.command import CommandState
from commandpost.domain.device import Device
from commandpost.domain.payload_facts import EndConnection
from commandpost.southbound.mqtt.entrance import BEGIN_AFTER_S
from commandpost.southbound.mqtt.peer import MESSAGE_BYTES, OPEN_BYTES_MAX, MqttPeer
from tests.event_loop import on_event_loop
from tests.unit.southbound.stream_fakes import FakeTransport
from tests.unit.southbound.stream_house import SECRET, Streams

ACCEPTED = bytes.fromhex("20 02 00 00")
HOUR_S = 3_600


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def connect(device: Device, *, keepalive_s: int = 120, secret: str = SECRET) -> bytes:
    body = text("MQTT") + b"\x04\xc2" + keepalive_s.to_bytes(2, "big")
    body += text(str(device.id)) + text(str(device.product_id)) + text(secret)
    return bytes((0x10, len(body))) + body


async def logged_in(
    streams: Streams, device: Device, *, takes_all: bool = True, keepalive_s: int = 120
) -> tuple[MqttPeer, FakeTransport]:
    peer, transport = streams.mqtt_stream(takes_all=takes_all)
    await streams.say(peer, connect(device, keepalive_s=keepalive_s))
    assert transport.take() == ACCEPTED
    return peer, transport


@on_event_loop
async def test_a_silent_device_is_closed_after_one_and_a_half_keepalives() -> None:
    """No byte less than the 180 s of a keepalive of 120 s; any packet counts."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    await streams.house.advance(179)
    await streams.say(peer, "C0 00")
    await streams.house.advance(179)
    before = transport.is_closing()
    await streams.house.advance(2)

    assert (before, transport.is_closing()) == (False, True)
    assert streams.house.connections.find(device.id) is None


@on_event_loop
async def test_keepalives_of_no_use_are_replaced() -> None:
    """Below 10 s is 10 s, 0 is twenty minutes (southbound reference 8)."""
    for asked_s, kept_s in ((1, 15), (0, 1_800)):
        streams = Streams()
        _, device = await streams.furnish()
        _, transport = await logged_in(streams, device, keepalive_s=asked_s)
        await streams.house.advance(kept_s - 1)
        before = transport.is_closing()
        await streams.house.advance(2)
        assert (before, transport.is_closing()) == (False, True)


@on_event_loop
async def test_a_stream_that_never_logs_in_is_closed() -> None:
    """However slowly its bytes trickle."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = streams.mqtt_stream()
    for byte in connect(device)[:20]:
        await streams.say(peer, bytes((byte,)))
        await streams.house.advance(1.4)
    before = transport.is_closing()
    await streams.house.advance(3)

    assert (before, transport.is_closing()) == (False, True)
    assert len(streams.registry) == 0


@on_event_loop
async def test_payloads_follow_a_login_after_a_moment() -> None:
    """Or with the device's first packet, whichever comes first (southbound reference 5.2)."""
    streams = Streams()
    product, device = await streams.furnish()
    await streams.house.send(product, device, b"kept", timeout_s=HOUR_S)
    _, transport = await logged_in(streams, device)
    at_once = transport.take()
    await streams.house.advance(BEGIN_AFTER_S)

    assert at_once == b""
    assert transport.take().endswith(b"kept")


@on_event_loop
async def test_a_device_that_only_pings_is_heard() -> None:
    """Its payloads follow the first ping, and `last_ct` moves with each."""
    streams = Streams()
    product, device = await streams.furnish()
    await streams.house.send(product, device, b"kept", timeout_s=HOUR_S)
    peer, transport = await logged_in(streams, device)
    await streams.say(peer, "C0 00")
    came = transport.take()
    await streams.house.advance(100)
    await streams.say(peer, "C0 00")

    assert came.startswith(bytes.fromhex("D0 00")) and came.endswith(b"kept")
    assert streams.house.connections.last_heard_at(device.id) == streams.house.clock.wall_ms()


@on_event_loop
async def test_qos_0_is_delivered_when_the_bytes_have_left_and_not_before() -> None:
    """Status 2 is the transport's word."""
    streams = Streams()
    product, device = await streams.furnish()
    peer, transport = await logged_in(streams, device, takes_all=False)
    transport.drain()
    await streams.say(peer, "C0 00")
    transport.drain()
    command = await streams.house.send(product, device, b"ping")
    transport.drain(transport.unread_bytes - 1)
    await streams.house.advance(5)
    before = await streams.house.state(product, command)
    transport.drain()
    await streams.house.settle()

    assert before is CommandState.SENT
    assert await streams.house.state(product, command) is CommandState.DELIVERED


@on_event_loop
async def test_qos_1_is_delivered_when_the_device_says_so() -> None:
    """PUBACK."""
    streams = Streams()
    product, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    await streams.say(peer, "C0 00")
    command = await streams.house.send(product, device, b"ping", qos=1, timeout_s=HOUR_S)
    await streams.house.advance(1)
    before = await streams.house.state(product, command)
    await streams.say(peer, "40 02 00 01")

    assert transport.take().endswith(b"\x00\x01ping")
    assert before is CommandState.SENT
    assert await streams.house.state(product, command) is CommandState.DELIVERED


@on_event_loop
async def test_a_login_that_breaks_off_while_it_is_written_is_taken_back() -> None:
    """The device is offline on disk and in memory, and nothing is left in any list."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = streams.mqtt_stream()
    streams.house.writer.is_held = True
    await streams.say(peer, connect(device))
    transport.abort()
    await streams.house.settle()
    streams.house.writer.release()
    await streams.house.settle()

    assert transport.take() == b""
    assert len(streams.house.writer.of(EndConnection)) == 1
    assert (len(streams.house.connections), len(streams.registry)) == (0, 0)


@on_event_loop
async def test_a_wrong_login_after_a_right_one_harms_nobody() -> None:
    """Only a login that is right takes over."""
    streams = Streams()
    product, device = await streams.furnish()
    first, first_transport = await logged_in(streams, device)
    await streams.say(first, "C0 00")
    first_transport.take()
    second, second_transport = streams.mqtt_stream()
    await streams.say(second, connect(device, secret="wrong"))
    await streams.house.send(product, device, b"still mine")

    assert second_transport.take() == bytes.fromhex("20 02 00 04")
    assert second_transport.is_closing()
    assert first_transport.take().endswith(b"still mine")


@on_event_loop
async def test_replies_of_qos_0_that_wait_for_the_disk_stop_the_reading() -> None:
    """They have no acknowledgement that would hold their device back."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    streams.house.writer.is_held = True
    body = text("$crsp/81572aae-fc34-5deb-8f06-ab45d73cb12b") + b"x" * 60
    for _ in range(OPEN_BYTES_MAX // MESSAGE_BYTES):
        await streams.say(peer, bytes((0x30, len(body))) + body)
    is_reading = transport.reads
    streams.house.writer.release()
    await streams.house.settle()

    assert (is_reading, transport.reads) == (False, True)
