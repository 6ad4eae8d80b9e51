"""paho and gmqtt as devices: payloads down, answers and datapoints up. Source: southbound reference 5.2, 5.3."""

import asyncio
import struct
from collections.abc import Iterator

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.acceptance.mqtt_clients import V3, V5, Arrival, GmqttDevice, PahoDevice, paho, text
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    SENT,
    StreamDevice,
    answer_to,
    create_device,
    door,
    payload_history,
    points_of,
    stream_server,
    streams_of,
    submit,
    wait_for_payload,
    wait_until_online,
)
from tests.event_loop import on_event_loop

VERSIONS = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    with stream_server(tmp_path_factory.mktemp("mqtt") / "data", doors=("mqtt",)) as running:
        yield running


@pytest.fixture
def device(server: ServerProcess, request: pytest.FixtureRequest) -> StreamDevice:
    """A device of this test."""
    return create_device(server, "MQTT", f"secret of {request.node.name}")


# --- payloads --------------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_payload_comes_without_a_subscription_and_is_answered(
    server: ServerProcess, device: StreamDevice, version: MQTTProtocolVersion
) -> None:
    """`$creq/{uuid}`, the bytes unchanged; the answer's bytes are what the API gives back."""
    payload = bytes(range(256))
    with paho(door(server, "mqtt"), device, version=version) as client:
        uuid = submit(server, device, payload)
        arrival = client.next_message()
        client.publish(f"$crsp/{uuid}", b"\x00answer\xff", 0)
        wait_for_payload(server, uuid, ANSWERED)

    assert arrival == Arrival(topic=f"$creq/{uuid}", payload=payload, qos=0)
    assert answer_to(server, uuid) == b"\x00answer\xff"


@VERSIONS
@pytest.mark.parametrize("topic_filter", ["$creq/#", "$creq/+"])
def test_a_subscription_to_the_command_topics_is_granted_and_nothing_comes_twice(
    server: ServerProcess, device: StreamDevice, version: MQTTProtocolVersion, topic_filter: str
) -> None:
    """Public samples subscribe first (southbound reference 5.2)."""
    with paho(door(server, "mqtt"), device, version=version) as client:
        code = client.subscribe(topic_filter, 1)
        client.subscribe("own", 1)
        submit(server, device, b"once", qos=1)
        arrival = client.next_message()
        client.expect_nothing_before("own")

    assert code == 1
    assert arrival.payload == b"once"


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_answer_counts_at_every_qos(
    server: ServerProcess, device: StreamDevice, version: MQTTProtocolVersion, qos: int
) -> None:
    """QoS 1 and 2 are acknowledged when the answer is on disk: nothing has to be waited for."""
    with paho(door(server, "mqtt"), device, version=version) as client:
        uuid = submit(server, device, b"ping", qos=1, timeout_s=HOUR_S)
        arrival = client.next_message()
        client.publish(f"$crsp/{uuid}", b"pong", qos)
        if qos == 0:
            wait_for_payload(server, uuid, ANSWERED)
        answer = answer_to(server, uuid)

    assert (arrival.qos, answer) == (1, b"pong")


@VERSIONS
def test_without_an_answer_a_payload_stands_at_sent(
    server: ServerProcess, device: StreamDevice, version: MQTTProtocolVersion
) -> None:
    """Status 2: the PUBACK has come, and no answer (southbound reference 5.2)."""
    with paho(door(server, "mqtt"), device, version=version) as client:
        uuid = submit(server, device, b"ping", qos=1, timeout_s=HOUR_S)
        client.next_message()

        wait_for_payload(server, uuid, SENT)
        no_answer = server.call("GET", f"/cmds/{uuid}/resp")
    assert (no_answer["errno"], no_answer["error"]) == (8, "not found: no response")


def test_the_first_of_two_answers_stays(server: ServerProcess, device: StreamDevice) -> None:
    """Both are acknowledged (design 10.2)."""
    with paho(door(server, "mqtt"), device) as client:
        uuid = submit(server, device, b"ping")
        client.next_message()
        client.publish(f"$crsp/{uuid}", b"first", 1)
        client.publish(f"$crsp/{uuid}", b"second", 1)

    assert answer_to(server, uuid) == b"first"


def test_an_answer_to_nothing_is_acknowledged_and_dropped(server: ServerProcess, device: StreamDevice) -> None:
    """Nobody's uuid, and no uuid at all: the device stays connected."""
    with paho(door(server, "mqtt"), device) as client:
        client.publish("$crsp/81572aae-fc34-5deb-8f06-ab45d73cb12b", b"to whom?", 1)
        client.publish("$crsp/no-uuid", b"to whom?", 1)
        client.subscribe("own", 1)
        client.expect_nothing_before("own")


def test_an_offline_device_gets_errno_10(server: ServerProcess, device: StreamDevice) -> None:
    """Northbound reference 6.1, word for word."""
    answer = server.call("POST", "/cmds", {"device_id": device.id}, body=b"ping")

    assert answer == {"errno": 10, "error": f"device not online: {device.id}"}
    assert payload_history(server, device) == []


def test_a_hundred_payloads_arrive_in_their_order(server: ServerProcess, device: StreamDevice) -> None:
    """Kept ones, and more than the window of sixteen; those that follow while they are going out come after them."""
    names = [b"%03d" % number for number in range(100)]
    for name in names[:60]:
        submit(server, device, name, qos=1, timeout_s=HOUR_S)
    with paho(door(server, "mqtt"), device) as client:
        for name in names[60:]:
            submit(server, device, name, qos=1, timeout_s=HOUR_S)
        arrived = [client.next_payload() for _ in names]

    assert arrived == names


@on_event_loop
async def test_gmqtt_gets_a_payload_and_answers(server: ServerProcess, device: StreamDevice) -> None:
    """A second independent client, MQTT 5."""
    client = GmqttDevice(device)
    await client.client.connect(*door(server, "mqtt"), keepalive=60)
    uuid = await asyncio.to_thread(submit, server, device, b"ping", qos=1, timeout_s=HOUR_S)
    arrival = await client.next_message()
    client.client.publish(f"$crsp/{uuid}", b"pong", qos=1)
    await asyncio.to_thread(wait_for_payload, server, uuid, ANSWERED)
    codes = await client.subscribe("$creq/#", 1)
    await client.client.disconnect()

    assert arrival == Arrival(topic=f"$creq/{uuid}", payload=b"ping", qos=1)
    assert codes == (1,)
    assert answer_to(server, uuid) == b"pong"


@on_event_loop
async def test_gmqtt_talks_to_itself_at_qos_2(server: ServerProcess, device: StreamDevice) -> None:
    """The whole exchange of MQTT 5 in both directions."""
    client = GmqttDevice(device)
    await client.client.connect(*door(server, "mqtt"), keepalive=60)
    await client.subscribe("loop/+", 2)
    client.client.publish("loop/a", b"there and back", qos=2, user_property=("who", "gmqtt"))
    arrival = await client.next_message()
    await client.client.disconnect()

    assert arrival == Arrival(topic="loop/a", payload=b"there and back", qos=2)


# --- datapoints ------------------------------------------------------------------------------------------------------


def report(first: int, json_text: bytes, rest: bytes = b"") -> bytes:
    """A `$dp` payload whose second part is a text with its length."""
    return bytes((first,)) + text(json_text) + rest


AT = "2015-03-22 22:31:12"
TIME_BYTES = bytes((15, 3, 22, 22, 31, 12))
FORMS = {
    "type 1": report(1, b'{"datastreams":[{"id":"t","datapoints":[{"at":"2015-03-22 22:31:12","value":22.5}]}]}'),
    "type 4": report(4, b'{"t":{"2015-03-22 22:31:12":22.5}}'),
    "type 5": report(5, b",;t,2015-03-22 22:31:12,22.5;102;pm2.5,89;10"),
    "type 6": bytes((0x86,)) + TIME_BYTES + text(b",;t,22.5"),
}


@VERSIONS
@pytest.mark.parametrize("form", FORMS)
def test_a_report_is_read_back_over_http(
    server: ServerProcess, device: StreamDevice, form: str, version: MQTTProtocolVersion
) -> None:
    """On disk when the PUBACK is there; times are Beijing local time."""
    with paho(door(server, "mqtt"), device, version=version) as client:
        client.publish("$dp", FORMS[form], 1)

        assert [(at.replace("T", " "), value) for at, value in points_of(server, device, "t")] == [(AT, 22.5)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_report_without_a_time_counts_at_every_qos(server: ServerProcess, device: StreamDevice, qos: int) -> None:
    """Type 3, the vector of southbound reference 5.3."""
    with paho(door(server, "mqtt"), device) as client:
        client.publish("$dp", bytes.fromhex("03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"), qos)
        client.publish("$dp", report(3, b'{"h":"95.2%"}'), 1)  # acknowledged after what came before it
        streams = streams_of(server, device)

    assert streams == {"t": 22.5, "h": "95.2%"}


def test_floats_of_type_7_are_read_back(server: ServerProcess, device: StreamDevice) -> None:
    """The vector of southbound reference 5.3: stream 1, 34.0 and -20.3."""
    with paho(door(server, "mqtt"), device) as client:
        client.publish("$dp", bytes.fromhex("87 10 04 08 0E 1E 1C 00 01 00 02 00 00 08 42 66 66 A2 C1"), 1)
        points = points_of(server, device, "1")

    assert {at.replace("T", " ") for at, _ in points} == {"2016-04-08 14:30:28"}
    assert points[-1][1] == pytest.approx(struct.unpack("<f", bytes.fromhex("66 66 A2 C1"))[0], rel=1e-6)


def test_a_binary_of_type_2_is_read_back(server: ServerProcess, device: StreamDevice) -> None:
    """The point names an index under which the bytes lie."""
    picture = bytes(range(256)) * 64
    with paho(door(server, "mqtt"), device) as client:
        payload = report(2, b'{"ds_id":"img"}', len(picture).to_bytes(4, "big") + picture)
        client.publish("$dp", payload, 2)
        value = streams_of(server, device)["img"]

    assert isinstance(value, dict)
    assert server.request("GET", f"/bindata/{value['index']}").body == picture


def test_a_report_that_cannot_be_read_leaves_the_device_connected(server: ServerProcess, device: StreamDevice) -> None:
    """Acknowledged, so that it does not come again for ever (southbound reference 5.3, leniency)."""
    with paho(door(server, "mqtt"), device) as client:
        for payload in (b"", b"\x03", b"\x03\x00\xff{}", b"\x01just any string", b"\x09\x00\x02{}"):
            client.publish("$dp", payload, 1)
        client.publish("$dp", report(3, b'{"t":1}'), 1)

        assert streams_of(server, device) == {"t": 1}


def test_a_device_is_online_while_it_is_connected(server: ServerProcess, device: StreamDevice) -> None:
    """And offline after its DISCONNECT."""
    client = PahoDevice(door(server, "mqtt"), device)
    client.connect()
    wait_until_online(server, device, is_expected=True)
    client.close()

    wait_until_online(server, device, is_expected=False)
