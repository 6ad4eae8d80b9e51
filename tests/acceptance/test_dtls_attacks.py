"""Attacks on a DTLS listener over real UDP, each by its name.

Source: RFC 6347 sections 4.1.2.6 and 4.2.1; RFC 9146 section 6; southbound reference 4.2.
"""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.dtls_house import KEY, OBJECTS, door, dtls_server, make_device, read
from tests.acceptance.server import ServerProcess
from tests.simulators.dtls_device import CidTunnel, DtlsScriptedDevice, OwnTunnel, Wire
from tests.simulators.scripted_device import POST

CHANGED = 0x44
SUCCEEDED = 0
FLOOD_SOURCES = 200  # addresses of 127.0.0.0/8, every one another machine to the server
FLOOD_HELLOS = 8_000
FLOOD_ANSWER_S = 10.0
SILENCE_S = 0.2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    directory: Path = tmp_path_factory.mktemp("dtls-attacks")
    with dtls_server(directory / "data") as running:
        yield running


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    """A stranger's socket."""
    opened = Wire(door(server))
    yield opened
    opened.close()


def resident_kb(server: ServerProcess) -> int:
    """What the server's process takes of memory now."""
    assert server.process is not None
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def registered(server: ServerProcess, imei: str) -> DtlsScriptedDevice:
    """A device with a connection id that has registered and has nothing of its setup left to do."""
    device = make_device(server, imei, CidTunnel)
    device.shake_hands()
    device.register(objects=OBJECTS)
    assert read(server, device)["errno"] == SUCCEEDED
    return device


def hello(imei: str = "869999000000801") -> bytes:
    """A first ClientHello."""
    return CidTunnel(imei.encode(), KEY).client.hello()


def test_amplification_nothing_larger_than_the_hello_before_the_cookie(wire: Wire) -> None:
    """And what is no hello gets nothing at all."""
    first = hello()
    for datagram in (first, first[:40], b"\x16" * 60, b"\x17" + first[1:], b"\x40\x01\x00\x01"):
        wire.sent_bytes = wire.received_bytes = 0
        wire.send(datagram)
        wire.receive(SILENCE_S)
        assert wire.received_bytes <= wire.sent_bytes

    wire.sent_bytes = wire.received_bytes = 0
    wire.send(first)
    assert wire.receive() is not None
    assert 0 < wire.received_bytes <= wire.sent_bytes


def test_a_flood_of_hellos_from_many_addresses_leaves_room_and_service(server: ServerProcess) -> None:
    """No hello without its cookie costs memory, and a device gets through in the middle of it."""
    target = door(server)
    with registered(server, "869999000000802") as device:
        flood(target, sources=range(FLOOD_SOURCES // 8))  # what a server needs once and then has
        before = resident_kb(server)
        flood(target, sources=range(FLOOD_SOURCES))
        grown_kb = resident_kb(server) - before
        assert device.ask(POST, ("rd", device.imei)).code == CHANGED

        device.move()  # what was asked twice is answered twice, at the old address
        device.shake_hands(CidTunnel(device.imei.encode(), KEY))
        device.register(objects=OBJECTS)

    assert grown_kb < 4_096  # half a kilobyte a hello would already be seen


def flood(target: tuple[str, int], *, sources: range) -> None:
    """Send hellos from many addresses, none of them answered; each of these is heard by the server."""
    datagram = hello()
    for number in sources:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
            source.bind((f"127.0.{number // 250 + 1}.{number % 250 + 1}", 0))
            source.settimeout(FLOOD_ANSWER_S)
            for _ in range(FLOOD_HELLOS // FLOOD_SOURCES):
                source.sendto(datagram, target)
            source.recv(2_048)  # so that none is thrown away for want of room


def test_a_replayed_record_is_heard_once(server: ServerProcess) -> None:
    """From the same address and from another."""
    with registered(server, "869999000000803") as device:
        assert device.ask(POST, ("rd", device.imei)).code == CHANGED
        update = device.wire.sent[-1]
        elsewhere = Wire(door(server))

        device.wire.send(update)
        elsewhere.send(update)

        assert device.wire.receive(SILENCE_S) is None
        assert elsewhere.receive(SILENCE_S) is None
        elsewhere.close()
        assert read(server, device)["errno"] == SUCCEEDED


def test_a_forged_record_moves_nothing_and_ends_nothing(server: ServerProcess) -> None:
    """The right connection id with anything else in it, newest by its number: hijack by address."""
    with registered(server, "869999000000804") as device:
        assert device.ask(POST, ("rd", device.imei)).code == CHANGED
        update = device.wire.sent[-1]
        thief = Wire(door(server))
        newest = bytearray(update)
        newest[9] ^= 0x7F  # a far higher number than any so far
        changed = bytearray(update)
        changed[-1] ^= 1
        for forged in (bytes(newest), bytes(changed), update[:20], update[:20] + bytes(len(update) - 20)):
            thief.send(forged)

        assert thief.receive(SILENCE_S) is None
        assert read(server, device)["errno"] == SUCCEEDED
        assert thief.receive(0.01) is None
        thief.close()


def test_the_old_session_survives_hellos_and_alerts_that_prove_nothing(server: ServerProcess) -> None:
    """RFC 6347 section 4.2.8, from the very address of the session; a fatal alert in the clear is nobody's word."""
    with registered(server, "869999000000805") as device:
        stranger = CidTunnel(device.imei.encode(), b"wrong-key-000000")
        device.wire.send(stranger.client.hello())
        device.wire.send(stranger.client.verified_hello(device.wire.expect()))
        device.wire.send(stranger.client.answer(device.wire.expect()))
        alert = device.wire.expect()
        assert (alert[0], alert[13:]) == (21, b"\x02\x33")  # decrypt_error, to the one who failed
        device.wire.send(b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\x02\x28")

        assert device.ask(POST, ("rd", device.imei)).code == CHANGED
        assert read(server, device)["errno"] == SUCCEEDED


def test_identities_cannot_be_told_from_outside(server: ServerProcess) -> None:
    """A wrong key, with keys of two lengths, and an unknown identity, text or not, fail with the same bytes."""
    server.create_device("869999000000806", psk="Abcdefgh12345678")
    server.create_device("869999000000807", psk_hex="00" * 32)
    answers = []
    for identity in (b"869999000000806", b"869999000000807", b"869999000000899", b"\xff\x00"):
        outsider = CidTunnel(identity, b"wrong-key-000000")
        wire = Wire(door(server))
        wire.send(outsider.client.hello())
        wire.send(outsider.client.verified_hello(wire.expect()))
        wire.send(outsider.client.answer(wire.expect()))
        alert = wire.expect()
        answers.append((alert[0], len(alert), alert[13:]))
        wire.close()

    assert len(set(answers)) == 1


def test_a_device_keeps_few_associations(server: ServerProcess) -> None:
    """One that shakes hands again and again takes no room from others: its oldest end, its newest works."""
    imei = "869999000000808"
    with make_device(server, imei) as device:
        for _ in range(8):
            device.move()
            device.shake_hands(OwnTunnel(imei.encode(), KEY))
        device.register(objects=OBJECTS)

        assert read(server, device)["errno"] == SUCCEEDED

    assert server.log().count("reason=closed_here") >= 4
