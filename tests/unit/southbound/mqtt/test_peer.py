"""One MQTT connection with everything behind it: keepalive, confirmation, logins that break off.

Source: southbound reference 5.1, 5.2.
"""

from collections.abc import Callable

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.device import Device
from commandpost.domain.payload_facts import EndConnection
from commandpost.domain.topic_facts import KeepSubscriptions
from commandpost.southbound.device_peer import BEGIN_AFTER_S
from commandpost.southbound.mqtt.peer import MESSAGE_BYTES, OPEN_BYTES_MAX, MqttPeer
from tests.event_loop import on_event_loop
from tests.unit.southbound.stream_fakes import FakeTransport
from tests.unit.southbound.stream_house import SECRET, Streams

ACCEPTED = bytes.fromhex("20 02 00 00")
SUBACK = bytes.fromhex("90 03 00 01 00")
SUBACK_REFUSED = bytes.fromhex("90 03 00 01 80")
UNSUBACK = bytes.fromhex("B0 02 00 02")
PINGREQ = bytes.fromhex("C0 00")
PINGRESP = bytes.fromhex("D0 00")
HOUR_S = 3_600
# CONNECTs without a password, or without a user name and a password.
NO_PASSWORD = bytes.fromhex("10 12 00 04 4D 51 54 54 04 82 00 78 00 01 31 00 03 31 30 31")
NO_PASSWORD_5 = bytes.fromhex("10 13 00 04 4D 51 54 54 05 82 00 78 00 00 01 31 00 03 31 30 31")
NO_USER_NAME = bytes.fromhex("10 0D 00 04 4D 51 54 54 04 02 00 78 00 01 31")


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def connect(device: Device, *, keepalive_s: int = 120, secret: str = SECRET, is_clean: bool = True) -> bytes:
    body = text("MQTT") + (b"\x04\xc2" if is_clean else b"\x04\xc0") + keepalive_s.to_bytes(2, "big")
    body += text(str(device.id)) + text(str(device.product_id)) + text(secret)
    return bytes((0x10, len(body))) + body


async def logged_in(
    streams: Streams, device: Device, *, takes_all: bool = True, keepalive_s: int = 120, is_clean: bool = True
) -> tuple[MqttPeer, FakeTransport]:
    peer, transport = streams.mqtt_stream(takes_all=takes_all)
    await streams.say(peer, connect(device, keepalive_s=keepalive_s, is_clean=is_clean))
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


def subscribe(topic_filter: str, *, packet_id: int = 1) -> bytes:
    body = packet_id.to_bytes(2, "big") + text(topic_filter) + b"\x00"
    return bytes((0x82, len(body))) + body


def unsubscribe(topic_filter: str, *, packet_id: int = 2) -> bytes:
    body = packet_id.to_bytes(2, "big") + text(topic_filter)
    return bytes((0xA2, len(body))) + body


def publish(topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    body = text(topic) + payload
    return bytes((0x30 | retain, len(body))) + body


@pytest.mark.parametrize("is_durable", [False, True])
@on_event_loop
async def test_what_follows_a_subscription_finds_it_in_effect(is_durable: bool) -> None:
    """In one write, also while it is on its way to the disk: SUBSCRIBE, PUBLISH, UNSUBSCRIBE, PUBLISH."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device, is_clean=not is_durable)
    streams.house.writer.is_held = is_durable
    first, second = publish("pipe/0", b"first"), publish("pipe/0", b"second")
    await streams.say(peer, subscribe("pipe/0") + first + unsubscribe("pipe/0") + second + PINGREQ)
    if is_durable:
        assert (transport.take(), transport.reads) == (b"", False)
        streams.house.writer.release()
        await streams.house.settle()

    assert transport.take() == SUBACK + first + UNSUBACK + PINGRESP
    assert transport.reads


@on_event_loop
async def test_what_is_retained_comes_before_what_follows_a_subscription() -> None:
    """All of it is older."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    retained = publish("a/1", b"old", retain=True) + publish("a/2", b"old", retain=True)
    await streams.say(peer, retained)
    await streams.say(peer, subscribe("a/+") + publish("a/2", b"new"))

    assert transport.take() == SUBACK + retained + publish("a/2", b"new")


@on_event_loop
async def test_a_subscription_that_the_disk_does_not_take_holds_nothing_up() -> None:
    """It is refused, and what follows is acted upon without it."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device, is_clean=False)
    streams.house.writer.failing.add(KeepSubscriptions)
    await streams.say(peer, subscribe("a") + publish("a", b"x") + PINGREQ)

    assert transport.take() == SUBACK_REFUSED + PINGRESP
    assert transport.reads


@on_event_loop
async def test_a_stream_may_end_while_its_subscription_is_written() -> None:
    """What it sent behind it is dropped with it, and the word of the disk finds nobody."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device, is_clean=False)
    streams.house.writer.is_held = True
    await streams.say(peer, subscribe("a") + publish("a", b"x"))
    transport.abort()
    await streams.house.settle()
    streams.house.writer.release()
    await streams.house.settle()

    assert transport.take() == b""
    assert (len(streams.house.connections), len(streams.registry)) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "answer"), [(NO_PASSWORD, ""), (NO_USER_NAME, ""), (NO_PASSWORD_5, "20 03 00 86 00")]
)
@on_event_loop
async def test_a_login_without_user_name_or_password_is_closed_without_a_word(asked: bytes, answer: str) -> None:
    """Southbound reference 5.1, which is about 3.1.1; MQTT 5 has a reason."""
    streams = Streams()
    peer, transport = streams.mqtt_stream()
    await streams.say(peer, asked)

    assert transport.take() == bytes.fromhex(answer)
    assert transport.is_closing()
    assert streams.house.events.count("mqtt_login_refused") == 1


@pytest.mark.parametrize("ends", [MqttPeer.take_over, MqttPeer.remove])
@on_event_loop
async def test_the_log_names_the_device_whose_connection_the_server_ends(ends: Callable[[MqttPeer], None]) -> None:
    """Whoever ends it."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, _ = await logged_in(streams, device)
    ends(peer)
    await streams.house.settle()

    (closed,) = (fields for event, fields in streams.house.events.told if event == "mqtt_closed")
    assert closed["device_id"] == device.id
