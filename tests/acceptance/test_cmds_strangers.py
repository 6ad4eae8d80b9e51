"""Devices that reach for what is not theirs, and who guesses passwords, on real sockets. Source: design 10.6, P12."""

import select
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.acceptance.edp_client import answer, edp_device
from tests.acceptance.mqtt_clients import V3, V5, connect_packet, paho, raw_device
from tests.acceptance.server import ServerProcess, poll
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    SENT,
    WAIT_S,
    RawStream,
    StreamDevice,
    create_device,
    create_product,
    door,
    raw_stream,
    status_of,
    stream_server,
    submit,
    wait_for_payload,
)

PING, PONG = bytes.fromhex("C0 00"), bytes.fromhex("D0 00")
WAITING_MAX = 16  # answers to wrong credentials that wait at one address (design 10.6)
WAITING_5_S = 11  # of them those that wait longest: five others wait less


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    with stream_server(tmp_path_factory.mktemp("strangers") / "data") as running:
        yield running


@pytest.fixture
def mqtt(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "MQTT", f"{request.node.name} mqtt")


@pytest.fixture
def edp(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "EDP", f"{request.node.name} edp")


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


def test_a_storm_of_wrong_passwords_does_not_keep_the_right_one_out(tmp_path: Path) -> None:
    """Guessing is slowed down; whoever knows the password is let in meanwhile, from the same address."""
    server = stream_server(tmp_path / "data", doors=("mqtt",))
    server.environment = {**server.environment, "COMMANDPOST_LIMITS_FAILED_LOGIN_DELAY": "true"}
    with server, ExitStack() as stack:
        device = create_device(server, "MQTT", "right")
        guesses = [stack.enter_context(raw_stream(door(server, "mqtt"))) for _ in range(100)]
        for number, stream in enumerate(guesses):
            stream.send(connect_packet(device, secret=f"guess {number}"))
        for _ in poll(WAIT_S, every_s=0.02):
            if len(waiting(guesses)) <= WAITING_MAX:
                break
        with raw_device(door(server, "mqtt"), device):
            still_waiting = waiting(guesses)
        answers = [stream.rest() for stream in guesses if stream not in still_waiting]

    assert WAITING_MAX >= len(still_waiting) >= WAITING_5_S
    assert all(answer[:3] == b"\x20\x02\x00" and answer[3] != 0 for answer in answers)


def waiting(streams: list[RawStream]) -> list[RawStream]:
    """Those that have heard nothing yet, and were not ended."""
    ready, _, _ = select.select([stream.socket for stream in streams], [], [], 0)
    return [stream for stream in streams if stream.socket not in ready]
