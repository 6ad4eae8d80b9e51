"""Connection ids with other stacks: a device whose address changes in mid-session keeps the session.

Californium's Scandium, inside Leshan's client, and Bouncy Castle. Of CBC the former knows only MAC-then-encrypt, the
latter encrypt-then-MAC. Source: RFC 9146; southbound reference 4.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.dtls_house import IMSI, PSK, call_and_serve, door, dtls_server
from tests.acceptance.server import ServerProcess, poll
from tests.interop.bouncycastle_device import BouncycastleDevice
from tests.interop.dtls_story import WRITE, tell_the_story
from tests.interop.leshan_device import LeshanDtls, leshan_device
from tests.interop.moving_relay import MovingRelay

TLV = 11542
TLS12_CID = 25  # RFC 9146 section 4: the type of every record with a connection id
PEER_CONNECTION_ID = b"device"
DATAPOINT_WAIT_S = 10.0
SUITES = ["CCM_8", "GCM_SHA256", "CBC_SHA256"]

every_suite = pytest.mark.parametrize("suite", SUITES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as it comes: CBC is encrypt-then-MAC or nothing."""
    directory: Path = tmp_path_factory.mktemp("dtls")
    with dtls_server(directory / "data") as running:
        yield running


@pytest.fixture(scope="module")
def lenient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes MAC-then-encrypt too."""
    directory: Path = tmp_path_factory.mktemp("lenient")
    with dtls_server(directory / "data", COMMANDPOST_DTLS_MAC_THEN_ENCRYPT="true") as running:
        yield running


def assert_session_went_on(relay: MovingRelay) -> None:
    """Once heard at the new port: both ways there only, in records with a connection id, so without a handshake."""
    ports = [each.port for each in relay.crossings]
    crossed = relay.crossings[ports.index(relay.outside_port) :]
    assert {each.is_from_device for each in crossed} == {True, False}
    assert {each.port for each in crossed} == {relay.outside_port}
    assert {each.record_type for each in crossed} == {TLS12_CID}


def wait_for_level(server: ServerProcess, imei: str, level: int) -> None:
    """Wait until a notification has become a datapoint."""
    device_id = server.data("GET", "/devices/getbyimei", {"imei": imei})["id"]
    values: dict[str, object] = {}
    for _ in poll(DATAPOINT_WAIT_S):
        streams = server.data("GET", f"/devices/{device_id}/datastreams")
        values = {each["id"]: each["current_value"] for each in streams}
        if values.get("3306_0_5851") == level:
            return
    raise AssertionError(f"no level {level} but {values}")


@every_suite
def test_leshan_keeps_its_session_at_a_new_address(lenient_server: ServerProcess, tmp_path: Path, suite: str) -> None:
    """It registers, is written and notifies; then it comes from another port, and is written there."""
    server = lenient_server
    imei = f"8699990000014{SUITES.index(suite):02d}"
    server.create_device(imei, IMSI, psk=PSK)
    dtls = LeshanDtls(
        identity=imei,
        key=PSK,
        suite=f"TLS_PSK_WITH_AES_128_{suite}",
        connection_id_bytes=len(PEER_CONNECTION_ID),
    )
    instance = {"imei": imei, "obj_id": 3306, "obj_inst_id": 0}

    with (
        MovingRelay(door(server)) as relay,
        leshan_device(relay.address, f"{imei};{IMSI}", (TLV,), tmp_path / "leshan.log", dtls=dtls) as device,
    ):
        device.wait_for("registered")
        server.data("POST", "/nbiot", {**instance, "mode": 2}, body=WRITE)
        device.wait_for("write", path="3306/0/5851", value="22")
        server.data("POST", "/nbiot/observe", {**instance, "cancel": "false"}, body={})
        device.order("set_level", value=41)
        wait_for_level(server, imei, 41)

        relay.move()
        device.order("set_level", value=42)
        wait_for_level(server, imei, 42)
        server.data("POST", "/nbiot", {**instance, "mode": 2}, body={"data": [{"res_id": 5851, "val": 7}]})
        device.wait_for("write", path="3306/0/5851", value="7")

        assert_session_went_on(relay)


@every_suite
def test_bouncycastle_keeps_its_session_at_a_new_address(server: ServerProcess, tmp_path: Path, suite: str) -> None:
    """The same with another stack, whose CBC is encrypt-then-MAC."""
    imei = f"8699990000015{SUITES.index(suite):02d}"
    server.create_device(imei, IMSI, psk=PSK, obsv=True)

    with (
        MovingRelay(door(server)) as relay,
        BouncycastleDevice(
            relay.address,
            imei,
            PSK,
            suite=suite,
            connection_id=PEER_CONNECTION_ID,
            log_path=tmp_path / "bouncycastle.log",
        ) as device,
    ):
        tell_the_story(server, device)

        relay.move()
        device.update()
        query = {"imei": imei, "obj_id": 3306, "obj_inst_id": 0, "mode": 2}
        envelope, seen = call_and_serve(server, device, "POST", "/nbiot", query, WRITE)

        assert envelope["errno"] == 0
        assert len(seen.written) == 1
        assert_session_went_on(relay)
        assert device.peer_connection_id
        assert device.is_encrypt_then_mac == (suite == "CBC_SHA256")
