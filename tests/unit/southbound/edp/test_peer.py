"""One EDP connection with everything behind it: confirmation, floods, logins that break off.

Source: southbound reference 6.
"""

from collections.abc import Callable

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.device import Device
from commandpost.domain.ids import DeviceId
from commandpost.domain.payload_facts import EndConnection
from commandpost.protocols.edp.connection import SILENT_MESSAGES_MAX
from commandpost.services.devices import NewDevice
from commandpost.southbound.edp.peer import REPLIES_OPEN_MAX, EdpPeer
from tests.event_loop import on_event_loop
from tests.unit.southbound.stream_fakes import FakeTransport
from tests.unit.southbound.stream_house import SECRET, Streams

ACCEPTED = bytes.fromhex("20 02 00 00")
WRONG_DEVICE = bytes.fromhex("20 02 00 02")
PING = bytes.fromhex("C0 00")


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def login(device: Device, secret: str = SECRET, *, device_id: str = "", keepalive_s: int = 300) -> bytes:
    head = text("EDP") + bytes.fromhex("01 C0") + keepalive_s.to_bytes(2, "big")
    body = head + text(device_id) + text(str(device.product_id)) + text(secret)
    return bytes((0x10, len(body))) + body


def large(first: int, body: bytes) -> bytes:
    """A message of three bytes of length: 2 MiB less one are the most."""
    length = len(body)
    return bytes((first, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14)) + body


def push(target: Device, payload: bytes) -> bytes:
    return large(0x30, text(str(target.id)) + payload)


def binary(target: Device, payload: bytes) -> bytes:
    """SAVE_DATA of type 2 to another device, with message id 261 (southbound reference 6.6)."""
    report = b"\x02" + text('{"ds_id":"img"}') + len(payload).to_bytes(4, "big") + payload
    return large(0x80, b"\xc0" + text(str(target.id)) + b"\x01\x05" + report)


async def logged_in(streams: Streams, device: Device, *, takes_all: bool = True) -> tuple[EdpPeer, FakeTransport]:
    peer, transport = streams.edp_stream(takes_all=takes_all)
    await streams.say(peer, login(device))
    assert transport.take() == ACCEPTED
    return peer, transport


@on_event_loop
async def test_a_command_is_delivered_when_its_bytes_have_left() -> None:
    """EDP knows no acknowledgement (southbound reference 6.5)."""
    streams = Streams()
    product, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device, takes_all=False)
    await streams.say(peer, PING)
    transport.drain()
    command = await streams.house.send(product, device, b"ping")
    await streams.house.advance(5)
    before = await streams.house.state(product, command)
    transport.drain()
    await streams.house.settle()

    assert before is CommandState.SENT
    assert await streams.house.state(product, command) is CommandState.DELIVERED


@on_event_loop
async def test_a_command_whose_bytes_never_left_is_not_delivered() -> None:
    """qos 0 has failed then: it is not sent again."""
    streams = Streams()
    product, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device, takes_all=False)
    await streams.say(peer, PING)
    command = await streams.house.send(product, device, b"ping")
    transport.abort()
    await streams.house.settle()

    assert await streams.house.state(product, command) is CommandState.FAILED


@on_event_loop
async def test_a_flood_of_pings_is_answered_in_turns_and_read_no_further_meanwhile() -> None:
    """Others have theirs in between."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device)
    peer.data_received(PING * 5 * SILENT_MESSAGES_MAX)
    first = len(transport.take())
    is_reading = transport.reads
    await streams.house.settle()

    assert (first, is_reading) == (2 * SILENT_MESSAGES_MAX, False)
    assert len(transport.take()) == 4 * first
    assert transport.reads


@on_event_loop
async def test_answers_that_wait_for_the_disk_are_bounded() -> None:
    """EDP acknowledges no answers; the stream has to slow its device down."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device)
    streams.house.writer.is_held = True
    answer = text("81572aae-fc34-5deb-8f06-ab45d73cb12b")
    for _ in range(REPLIES_OPEN_MAX):
        await streams.say(peer, bytes((0xB0, len(answer))) + answer)
    is_reading = transport.reads
    streams.house.writer.release()
    await streams.house.settle()

    assert (is_reading, transport.reads) == (False, True)


@on_event_loop
async def test_a_login_that_breaks_off_while_it_is_written_is_taken_back() -> None:
    """The device is offline on disk and in memory."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = streams.edp_stream()
    streams.house.writer.is_held = True
    await streams.say(peer, login(device))
    transport.abort()
    await streams.house.settle()
    streams.house.writer.release()
    await streams.house.settle()

    assert transport.take() == b""
    assert len(streams.house.writer.of(EndConnection)) == 1
    assert (len(streams.house.connections), len(streams.registry)) == (0, 0)


@on_event_loop
async def test_a_login_that_is_taken_over_while_it_is_written_leaves_the_newest() -> None:
    """Two logins of one device in one commit."""
    streams = Streams()
    product, device = await streams.furnish("EDP")
    streams.house.writer.is_held = True
    (first, first_transport), (second, second_transport) = streams.edp_stream(), streams.edp_stream()
    await streams.say(first, login(device))
    await streams.say(second, login(device))
    streams.house.writer.release()
    await streams.house.settle()
    await streams.house.advance(1)
    first_transport.take()
    await streams.house.send(product, device, b"to the newest")

    assert first_transport.is_closing()
    assert second_transport.take().endswith(b"to the newest")


@on_event_loop
async def test_a_wrong_login_is_told_its_code_and_closed() -> None:
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = streams.edp_stream()
    await streams.say(peer, login(device, "wrong"))

    assert transport.take() == bytes.fromhex("20 02 00 04")
    assert transport.is_closing()


@pytest.mark.parametrize(("ends", "code"), [(EdpPeer.take_over, 28), (EdpPeer.remove, 2)])
@on_event_loop
async def test_the_log_names_the_device_whose_connection_the_server_ends(
    ends: Callable[[EdpPeer], None], code: int
) -> None:
    """With the number that the device is told."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device)
    ends(peer)
    await streams.house.settle()

    (closed,) = (fields for event, fields in streams.house.events.told if event == "edp_closed")
    assert closed["device_id"] == device.id
    assert repr(closed["code"]) == str(code)
    assert transport.take() == bytes((0x40, 1, code))


@pytest.mark.parametrize(("device_id", "answer"), [("1", ACCEPTED), ("2", WRONG_DEVICE), ("x", WRONG_DEVICE)])
@on_event_loop
async def test_a_login_by_auth_info_names_no_other_device(device_id: str, answer: bytes) -> None:
    """The id is empty there (southbound reference 6.3); the device's own contradicts nothing."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = streams.edp_stream()
    await streams.say(peer, login(device, device_id=device_id))

    assert str(device.id) == "1"
    assert transport.take() == answer
    assert transport.is_closing() == (answer == WRONG_DEVICE)


@pytest.mark.parametrize(("asked", "kept"), [(0, 300), (1, 1), (65_535, 65_535)])
@on_event_loop
async def test_the_keepalive_on_record_is_the_one_that_is_kept(asked: int, kept: int) -> None:
    """0 means 300 s (southbound reference 6.3), to whoever asks when the device has to be heard again as well."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, _ = streams.edp_stream()
    await streams.say(peer, login(device, keepalive_s=asked))
    connection = streams.house.connections.find(device.id)

    assert connection is not None
    assert connection.keepalive_s == kept
    assert peer.engine.next_deadline() == streams.house.clock.monotonic() + 1.5 * kept


# --- from device to device -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [push, binary])
@on_event_loop
async def test_a_device_is_not_ended_by_what_another_sends_it(message: Callable[[Device, bytes], bytes]) -> None:
    """What it leaves lying is bounded; beyond, the message is lost, and both connections and its commands go on."""
    streams = Streams()
    product, sender = await streams.furnish("EDP")
    created = NewDevice(protocol="EDP", title="b", auth_info='"secret-of-b"')
    target = await streams.house.do(streams.house.devices.create(product, created))
    talker, talkers_transport = await logged_in(streams, sender)
    listener, listeners_transport = streams.edp_stream(takes_all=False)
    await streams.say(listener, login(target, "secret-of-b"))
    listeners_transport.drain()
    listeners_transport.take()
    await streams.house.advance(1)
    for _ in range(4):
        await streams.say(talker, message(target, bytes(1_500_000)))
    came = len(listeners_transport.take())
    await streams.house.send(product, target, b"its own")

    assert 2 * 1_500_000 < came < 3 * 1_500_000
    assert (listeners_transport.is_aborted, talkers_transport.is_closing()) == (False, False)
    assert listeners_transport.take().endswith(b"its own")
    lost = [fields for event, fields in streams.house.events.told if event == "edp_push_lost"]
    assert [(fields["device_id"], fields["source"]) for fields in lost] == [(target.id, sender.id)] * 2


@on_event_loop
async def test_the_longest_push_reaches_a_device_that_reads() -> None:
    """3 MiB (southbound reference 6.7)."""
    streams = Streams()
    _, device = await streams.furnish("EDP")
    peer, transport = await logged_in(streams, device, takes_all=False)
    transport.drain()
    peer.push(DeviceId(2), bytes(3 * 1024 * 1024))

    assert len(transport.take()) > 3 * 1024 * 1024
    assert not transport.is_aborted
