"""DTLS associations over the end of the server: after SIGTERM, after kill -9, and where they are not kept.

Source: design 10.1; RFC 9146 section 3 for where a sequence number stands in a record.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.acceptance.dtls_house import IMSI, KEY, OBJECTS, PSK, door, dtls_server, is_online, read
from tests.acceptance.server import ServerProcess
from tests.interop.libcoap_tools import free_udp_port
from tests.simulators.dtls_device import CidTunnel, DtlsScriptedDevice
from tests.simulators.scripted_device import CHANGED, POST

IMEI = "869999000000701"
SUCCEEDED = 0
READS = 3


@contextmanager
def registered(tmp_path: Path, **environment: str) -> Iterator[tuple[ServerProcess, DtlsScriptedDevice]]:
    """A server that comes back at the same ports, and a device that has registered and was read from."""
    port = free_udp_port()
    with dtls_server(tmp_path / "data", "--coaps", f"127.0.0.1:{port}", **environment) as server:
        server.create_device(IMEI, IMSI, psk=PSK)
        with DtlsScriptedDevice(door(server), IMEI, CidTunnel(IMEI.encode(), KEY)) as device:
            device.shake_hands()
            device.register(objects=OBJECTS)
            for _ in range(READS):
                assert read(server, device)["errno"] == SUCCEEDED
            yield server, device


def sequence_numbers(datagrams: list[bytes]) -> list[int]:
    """Of the records that carry a connection id: type 25, version, epoch, then six bytes of number."""
    return [int.from_bytes(each[5:11], "big") for each in datagrams if each[0] == 25]


def test_commands_go_on_where_they_were_and_no_nonce_comes_twice(tmp_path: Path) -> None:
    """The device does nothing but answer: no handshake, no Update; and every record has a number of its own."""
    with registered(tmp_path) as (server, device):
        register_record = device.wire.sent[3]
        for end in (server.terminate, server.kill):
            before = len(device.wire.heard)
            end()
            server.start()

            assert is_online(server, IMEI)
            assert read(server, device)["errno"] == SUCCEEDED
            assert device.ask(POST, ("rd", IMEI)).code == CHANGED
            after = sequence_numbers(device.wire.heard[before:])
            assert len(after) >= 2
            assert min(after) > max(sequence_numbers(device.wire.heard[:before]))
            device.wire.send(register_record)  # what was heard before is never heard again
            assert device.wire.receive(0.2) is None

        numbers = sequence_numbers(device.wire.heard)
        assert len(set(numbers)) == len(numbers)
        check_nothing_is_in_the_clear(tmp_path / "data", device)


def test_a_register_that_was_answered_is_not_taken_again_after_a_kill_in_the_same_moment(tmp_path: Path) -> None:
    """Its record is known to the disk before the 2.01 leaves; the device itself goes on."""
    port = free_udp_port()
    with dtls_server(tmp_path / "data", "--coaps", f"127.0.0.1:{port}") as server:
        server.create_device(IMEI, IMSI, psk=PSK)
        with DtlsScriptedDevice(door(server), IMEI, CidTunnel(IMEI.encode(), KEY)) as device:
            device.shake_hands()
            device.register(objects=OBJECTS)
            server.kill()
            register_record = device.wire.sent[3]
            server.start()

            while device.wire.receive(0.1) is not None:
                pass  # what the killed run had sent by then
            device.wire.send(register_record)
            assert device.wire.receive(0.5) is None
            assert device.ask(POST, ("rd", device.imei)).code == CHANGED


def check_nothing_is_in_the_clear(data_dir: Path, device: DtlsScriptedDevice) -> None:
    """Neither the pre-shared key nor what was made of it is in any file, though the association is."""
    assert isinstance(device.tunnel, CidTunnel)
    client = device.tunnel.client
    files = b"".join(each.read_bytes() for each in sorted(data_dir.rglob("*")) if each.is_file())
    with closing(sqlite3.connect(data_dir / "commandpost.db")) as database:
        ((kept,),) = database.execute("SELECT count(*) FROM dtls_association").fetchall()
    assert kept == 1
    for secret in (KEY, client.master, client.client_key, client.server_key):
        assert secret not in files


def test_where_associations_are_not_kept_the_device_is_told(tmp_path: Path) -> None:
    """A goodbye at SIGTERM, silence afterwards, and a new handshake goes on with the same registration."""
    with registered(tmp_path, COMMANDPOST_DTLS_PERSIST="false") as (server, device):
        server.terminate()
        assert isinstance(device.tunnel, CidTunnel)
        assert device.tunnel.open(device.wire.expect()) is None
        assert device.tunnel.is_over
        server.start()

        device.wire.send(device.tunnel.protect(b"\x40\x02\x00\x01"))
        assert device.wire.receive(0.3) is None
        device.shake_hands(CidTunnel(IMEI.encode(), KEY))
        assert device.ask(POST, ("rd", IMEI)).code == CHANGED
        assert read(server, device)["errno"] == SUCCEEDED
