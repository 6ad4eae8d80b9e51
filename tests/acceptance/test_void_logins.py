"""A credential that is changed or revoked ends the open connections that stand on it, as the protocol says it.

Source: southbound reference 5.1, 6.3, 6.4; OASIS MQTT 5.0 3.14.2.1.
"""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.acceptance.edp_client import ACCEPTED as EDP_ACCEPTED
from tests.acceptance.edp_client import edp_device, login_by_key
from tests.acceptance.mqtt_clients import ACCEPTED, connect_packet, packet, raw_device, text
from tests.acceptance.processes import run_json
from tests.acceptance.server import JsonObject, ServerProcess
from tests.acceptance.stream_house import (
    HOUR_S,
    SENT,
    RawStream,
    StreamDevice,
    create_device,
    create_product,
    door,
    raw_stream,
    stream_server,
    submit,
    wait_for_payload,
    wait_until_online,
)

NOT_AUTHORIZED = 0x87
PUBLISH_QOS_1 = packet(0x32, text("plain/topic") + b"\x00\x07" + b"still here")
PING, PONG = bytes.fromhex("C0 00"), bytes.fromhex("D0 00")
CLOSED_BY_KEY, CLOSED_BY_AUTH_INFO = bytes.fromhex("40 01 20"), bytes.fromhex("40 01 23")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    with stream_server(tmp_path_factory.mktemp("void") / "data") as running:
        yield running


def mqtt_5(stream: RawStream, device: StreamDevice, secret: str) -> None:
    """Log in as MQTT 5."""
    stream.send(connect_packet(device, level=5, secret=secret))
    connack = stream.packet()
    assert connack[0] == 0x20 and connack[3] == 0, f"the login was refused: {connack!r}"


def change_auth_info(server: ServerProcess, device: StreamDevice, auth_info: str) -> None:
    """Give a device another auth_info, or the same."""
    server.data("PUT", f"/devices/{device.id}", body={"auth_info": auth_info})


def permission_for(*devices: StreamDevice) -> JsonObject:
    """What lets devices log in."""
    return {"resources": [{"dev_id": each.id} for each in devices], "access_methods": ["post"]}


def create_key(server: ServerProcess, *devices: StreamDevice) -> str:
    """Make a key that devices may log in with."""
    body: JsonObject = {"title": "a key", "permissions": [permission_for(*devices)]}
    return str(server.data("POST", "/keys", body=body)["key"])


def is_alive(stream: RawStream) -> bool:
    """Whether an MQTT connection answers."""
    stream.send(PING)
    return stream.read(2) == PONG


def test_another_auth_info_ends_an_mqtt_connection(server: ServerProcess) -> None:
    """Nothing more is acknowledged; what waits goes to whoever logs in with the new one."""
    device, other = create_device(server, "MQTT", "secret a"), create_device(server, "MQTT", "secret b")
    with raw_device(door(server, "mqtt"), device) as stream, raw_device(door(server, "mqtt"), other) as bystander:
        change_auth_info(server, device, "secret a")
        assert is_alive(stream), "the same auth_info ends nothing"
        change_auth_info(server, device, "secret c")
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be closed that early
            stream.send(PUBLISH_QOS_1)
        assert stream.rest() == b"", "MQTT 3.1.1 has no word for it"
        assert is_alive(bystander)
    wait_until_online(server, device, is_expected=False)
    uuid = submit(server, device, b"waits", timeout_s=HOUR_S)
    with raw_stream(door(server, "mqtt")) as refused:
        refused.send(connect_packet(device))
        assert refused.rest() == bytes.fromhex("20 02 00 04")
    with raw_device(door(server, "mqtt"), device, secret="secret c"):
        wait_for_payload(server, uuid, SENT)


def test_a_removed_key_ends_the_connections_by_it(server: ServerProcess) -> None:
    """MQTT 5 is told why, EDP gets the code of a wrong key, and who came by the auth_info stays."""
    mqtt, edp = create_device(server, "MQTT", "secret d"), create_device(server, "EDP", "secret e")
    stays = create_device(server, "MQTT", "secret f")
    key = create_key(server, mqtt, edp)
    with (
        raw_stream(door(server, "mqtt")) as by_mqtt,
        raw_stream(door(server, "edp")) as by_edp,
        raw_device(door(server, "mqtt"), stays) as bystander,
    ):
        mqtt_5(by_mqtt, mqtt, key)
        by_edp.send(login_by_key(edp, key))
        assert by_edp.packet().hex(" ") == EDP_ACCEPTED
        server.data("DELETE", f"/keys/{key}")
        told = by_mqtt.rest()

        assert (told[0], told[2]) == (0xE0, NOT_AUTHORIZED)
        assert by_edp.rest() == CLOSED_BY_KEY
        assert is_alive(bystander)
    for each in (mqtt, edp):
        wait_until_online(server, each, is_expected=False)


def test_a_key_that_no_longer_opens_the_device_ends_its_connection(server: ServerProcess) -> None:
    """The other device that it opens stays."""
    first, second = create_device(server, "MQTT", "secret g"), create_device(server, "MQTT", "secret h")
    key = create_key(server, first, second)
    with (
        raw_device(door(server, "mqtt"), first, secret=key) as ends,
        raw_device(door(server, "mqtt"), second, secret=key) as stays,
    ):
        server.data("PUT", f"/keys/{key}", body={"permissions": [permission_for(second)]})

        assert ends.rest() == b""
        assert is_alive(stays)


def test_another_auth_info_ends_an_edp_connection(server: ServerProcess) -> None:
    """CONN_CLOSE with the code of a wrong auth_info."""
    device = create_device(server, "EDP", "secret i")
    with edp_device(door(server, "edp"), device) as stream:
        change_auth_info(server, device, "secret j")

        assert stream.rest() == CLOSED_BY_AUTH_INFO


def test_a_rotated_master_key_ends_the_connections_by_it(server: ServerProcess) -> None:
    """At once without an overlap, at its end with one."""
    product_id, master_key = create_product(server, "rotated")
    device = create_device(server, "MQTT", "secret k", product_id=product_id, key=master_key)
    where = ("--product", product_id, "--data-dir", str(server.data_dir))
    with raw_stream(door(server, "mqtt")) as stream:
        stream.send(connect_packet(device, secret=master_key))
        assert stream.packet().hex(" ") == ACCEPTED
        new_key = str(run_json("key", "rotate", "--kind", "master", *where)["master_key"])
        assert stream.rest() == b""
    with raw_device(door(server, "mqtt"), device, secret=new_key) as stream:
        run_json("key", "rotate", "--kind", "master", "--overlap", "1", *where)
        assert stream.rest() == b""
