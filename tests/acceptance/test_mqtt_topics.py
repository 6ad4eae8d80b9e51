"""Messages between the devices of a product, seen by paho. Source: OASIS MQTT 3.1.1 and 5.0, chapter 4."""

from collections.abc import Iterator

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.acceptance.mqtt_clients import V3, V5, Arrival, PahoDevice, connect_packet, packet, paho, raw_device, text
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import RawStream, StreamDevice, create_device, door, stream_server

VERSIONS = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5"])
REFUSED_3, NOT_AUTHORIZED_5 = 0x80, 0x87
WILL_FLAGS = 0xC2 | 0x04 | 1 << 3  # a will of QoS 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices and topics of its own."""
    with stream_server(tmp_path_factory.mktemp("topics") / "data", doors=("mqtt",)) as running:
        yield running


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """The first level of this test's topics."""
    return str(request.node.name).replace("[", "-").replace("]", "")


@pytest.fixture
def listener(server: ServerProcess, place: str) -> StreamDevice:
    """A device of this test that listens."""
    return create_device(server, "MQTT", f"{place} listens")


@pytest.fixture
def speaker(server: ServerProcess, place: str) -> StreamDevice:
    """A device of this test that speaks."""
    return create_device(server, "MQTT", f"{place} speaks")


@VERSIONS
@pytest.mark.parametrize(("sent", "subscribed"), [(0, 2), (1, 1), (2, 2), (2, 1), (1, 0)])
def test_a_message_arrives_at_the_lower_of_two_qos(
    server: ServerProcess,
    listener: StreamDevice,
    speaker: StreamDevice,
    place: str,
    version: MQTTProtocolVersion,
    sent: int,
    subscribed: int,
) -> None:
    """MQTT 3.1.1 section 3.8.4; exactly one copy at each QoS."""
    with paho(door(server, "mqtt"), listener, version=version) as ears, paho(door(server, "mqtt"), speaker) as mouth:
        code = ears.subscribe(f"{place}/+/temperature", subscribed)
        ears.subscribe("own", 1)
        mouth.publish(f"{place}/kitchen/temperature", b"22.5", sent)
        mouth.publish(f"{place}/kitchen/humidity", b"60", sent)
        arrival = ears.next_message()
        ears.expect_nothing_before("own")

    assert code == subscribed
    assert arrival == Arrival(topic=f"{place}/kitchen/temperature", payload=b"22.5", qos=min(sent, subscribed))


def test_what_is_unsubscribed_comes_no_more(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """And what is still subscribed does."""
    with paho(door(server, "mqtt"), listener) as ears, paho(door(server, "mqtt"), speaker) as mouth:
        ears.subscribe(f"{place}/a", 1)
        ears.subscribe(f"{place}/b", 1)
        ears.unsubscribe(f"{place}/a")
        mouth.publish(f"{place}/a", b"unheard", 1)
        mouth.publish(f"{place}/b", b"heard", 1)

        assert ears.next_payload() == b"heard"


def test_overlapping_subscriptions_bring_one_copy(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """With the highest QoS of the filters that match (MQTT 3.1.1 section 3.3.5)."""
    with paho(door(server, "mqtt"), listener) as ears, paho(door(server, "mqtt"), speaker) as mouth:
        for topic_filter, qos in ((f"{place}/#", 0), (f"{place}/+", 2), (f"{place}/x", 1)):
            ears.subscribe(topic_filter, qos)
        mouth.publish(f"{place}/x", b"once", 2)
        arrival = ears.next_message()
        ears.subscribe("own", 1)
        ears.expect_nothing_before("own")

    assert (arrival.payload, arrival.qos) == (b"once", 2)


@VERSIONS
def test_a_retained_message_meets_those_who_come_later(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str, version: MQTTProtocolVersion
) -> None:
    """The newest one, marked as retained; an empty one removes it."""
    with paho(door(server, "mqtt"), speaker, version=version) as mouth:
        mouth.publish(f"{place}/state", b"old", 1, retain=True)
        mouth.publish(f"{place}/state", b"new", 1, retain=True)
        mouth.publish(f"{place}/gone", b"gone", 1, retain=True)
        mouth.publish(f"{place}/gone", b"", 1, retain=True)
    with paho(door(server, "mqtt"), listener, version=version) as ears:
        ears.subscribe(f"{place}/#", 1)
        arrival = ears.next_message()
        ears.expect_nothing_before(f"{place}/own")

    assert arrival == Arrival(topic=f"{place}/state", payload=b"new", qos=1, is_retained=True)


def test_a_device_that_wants_no_copy_of_its_own_gets_none(
    server: ServerProcess, listener: StreamDevice, place: str
) -> None:
    """MQTT 5: No Local."""
    with paho(door(server, "mqtt"), listener, version=V5) as client:
        client.subscribe(f"{place}/own", options=SubscribeOptions(qos=1, noLocal=True))
        client.subscribe("own", 1)
        client.publish(f"{place}/own", b"mine", 1)
        client.expect_nothing_before("own")


@pytest.mark.parametrize(("version", "code"), [(V3, REFUSED_3), (V5, NOT_AUTHORIZED_5)], ids=["3.1.1", "5"])
@pytest.mark.parametrize("topic_filter", ["$SYS/#", "$dp", "$crsp/#", "$crsp/+"])
def test_other_filters_with_a_dollar_are_refused(
    server: ServerProcess, listener: StreamDevice, version: MQTTProtocolVersion, code: int, topic_filter: str
) -> None:
    """Southbound reference 5.2."""
    with paho(door(server, "mqtt"), listener, version=version) as client:
        assert client.subscribe(topic_filter, 1) == code


def test_a_wildcard_at_the_beginning_does_not_match_the_dollar_topics(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice
) -> None:
    """MQTT 3.1.1 section 4.7.2: another device's reports and answers stay its own."""
    with paho(door(server, "mqtt"), listener) as ears, paho(door(server, "mqtt"), speaker) as mouth:
        ears.subscribe("#", 1)
        ears.skip_until_own("own")  # retained messages of other tests
        mouth.publish("$dp", bytes.fromhex("03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"), 1)
        mouth.publish("$crsp/81572aae-fc34-5deb-8f06-ab45d73cb12b", b"answer", 1)
        mouth.publish("$anything", b"else", 1)
        ears.expect_nothing_before("own")


def test_an_application_publishes_to_the_devices_of_a_topic(
    server: ServerProcess, listener: StreamDevice, place: str
) -> None:
    """`POST /mqtt?topic=`, and the calls that list topics (northbound reference 6.6)."""
    topic = f"{place}/news"
    with paho(door(server, "mqtt"), listener) as ears:
        ears.subscribe(topic, 1)
        envelope = server.call("POST", "/mqtt", {"topic": topic}, body=b"from the application")
        arrival = ears.next_message()
        devices = server.data("GET", "/mqtt/topic_device", {"topic": topic})["devices"]
        topics = server.data("GET", f"/mqtt/device_topic/{listener.id}")

    assert envelope == {"errno": 0, "error": "succ"}
    assert arrival == Arrival(topic=topic, payload=b"from the application", qos=0)
    assert [str(each) for each in devices] == [listener.id]
    assert topics == [topic]


# --- wills -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [4, 5])
def test_a_will_is_published_when_the_stream_breaks(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str, level: int
) -> None:
    """No DISCONNECT came."""
    with paho(door(server, "mqtt"), listener) as ears:
        ears.subscribe(f"{place}/#", 1)
        stream = RawStream(door(server, "mqtt"))
        stream.send(connect_packet(speaker, flags=WILL_FLAGS, level=level, will=(f"{place}/will", b"it is over")))
        assert stream.packet()[3] == 0
        stream.reset()

        assert ears.next_message() == Arrival(topic=f"{place}/will", payload=b"it is over", qos=1)


def test_a_will_is_published_when_the_device_logs_in_elsewhere(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """The server ends the connection, and no DISCONNECT came (MQTT 3.1.1 section 3.1.2.5)."""
    with paho(door(server, "mqtt"), listener) as ears:
        ears.subscribe(f"{place}/#", 1)
        parts = {"flags": WILL_FLAGS, "will": (f"{place}/will", b"taken over")}
        with raw_device(door(server, "mqtt"), speaker, **parts) as old, raw_device(door(server, "mqtt"), speaker):
            assert ears.next_payload() == b"taken over"
            assert old.rest() == b""


def test_a_will_is_void_after_a_disconnect(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """MQTT 3.1.1 section 3.14.4."""
    with paho(door(server, "mqtt"), listener) as ears:
        ears.subscribe(f"{place}/#", 1)
        with raw_device(door(server, "mqtt"), speaker, flags=WILL_FLAGS, will=(f"{place}/will", b"void")) as stream:
            stream.send("E0 00")
            assert stream.rest() == b""

        ears.expect_nothing_before(f"{place}/own")


def test_a_will_goes_nowhere_near_the_dollar_topics(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice
) -> None:
    """A will to `$creq/…` would be a command nobody gave."""
    with paho(door(server, "mqtt"), listener) as ears:
        ears.subscribe("$creq/#", 1)
        ears.subscribe("own", 1)
        parts = {"flags": WILL_FLAGS, "will": ("$creq/81572aae-fc34-5deb-8f06-ab45d73cb12b", b"obey")}
        with raw_device(door(server, "mqtt"), speaker, **parts), raw_device(door(server, "mqtt"), speaker):
            ears.expect_nothing_before("own")


# --- sessions --------------------------------------------------------------------------------------------------------


def away(server: ServerProcess, device: StreamDevice, topic_filter: str, version: MQTTProtocolVersion) -> None:
    """Let a device subscribe with a session that stays, and go."""
    with paho(door(server, "mqtt"), device, version=version, is_clean=False, session_expiry_s=3_600) as client:
        assert not client.is_session_present
        client.subscribe(topic_filter, 2)


@VERSIONS
def test_messages_are_kept_in_order_for_a_device_that_is_away(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str, version: MQTTProtocolVersion
) -> None:
    """More than a page of them; QoS 0 is not kept; nothing comes twice."""
    away(server, listener, f"{place}/#", version)
    names = [b"%03d" % number for number in range(150)]
    with paho(door(server, "mqtt"), speaker) as mouth:
        for name in names:
            mouth.publish(f"{place}/a", name, 1)
        mouth.publish(f"{place}/a", b"not kept", 0)
    with paho(door(server, "mqtt"), listener, version=version, is_clean=False, session_expiry_s=3_600) as ears:
        arrived = [ears.next_payload() for _ in names]
        ears.expect_nothing_before(f"{place}/own")

    assert ears.is_session_present
    assert arrived == names


@VERSIONS
def test_a_clean_session_begins_with_nothing(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str, version: MQTTProtocolVersion
) -> None:
    """Neither messages nor subscriptions of before."""
    away(server, listener, f"{place}/#", version)
    with paho(door(server, "mqtt"), speaker) as mouth:
        mouth.publish(f"{place}/a", b"kept for nobody", 1)
    with paho(door(server, "mqtt"), listener, version=version) as ears, paho(door(server, "mqtt"), speaker) as mouth:
        mouth.publish(f"{place}/a", b"not subscribed any more", 1)
        ears.subscribe("own", 1)
        ears.expect_nothing_before("own")

    assert not ears.is_session_present


def test_what_was_not_acknowledged_comes_again_with_the_same_id(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """MQTT 3.1.1 section 4.4: DUP is set; what follows comes after it."""
    away(server, listener, f"{place}/#", V3)
    with paho(door(server, "mqtt"), speaker) as mouth:
        mouth.publish(f"{place}/a", b"1", 1)
        mouth.publish(f"{place}/a", b"2", 1)
    with raw_device(door(server, "mqtt"), listener, flags=0xC0) as stream:
        first, second = stream.packet(), stream.packet()
        id_at = 2 + 2 + len(f"{place}/a")
        stream.send(bytes((0x40, 2)) + second[id_at : id_at + 2])  # only the second one
        stream.send("C0 00")
        assert stream.packet().hex() == "d000"
    with raw_device(door(server, "mqtt"), listener, flags=0xC0) as stream:
        again = stream.packet()
        stream.send("C0 00")
        after = stream.packet()

    assert (first[0], again[0]) == (0x32, 0x3A)
    assert first[1:] == again[1:]
    assert after.hex() == "d000"


def test_a_retained_message_and_a_session_outlive_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kept while away, in order, through a kill -9: what a speaker was acknowledged lies on disk."""
    with stream_server(tmp_path_factory.mktemp("restart") / "data", doors=("mqtt",)) as server:
        ears, mouth = create_device(server, "MQTT", "ears"), create_device(server, "MQTT", "mouth")
        away(server, ears, "kept/#", V3)
        with paho(door(server, "mqtt"), mouth) as client:
            for name in (b"1", b"2", b"3"):
                client.publish("kept/a", name, 2)
            client.publish("kept/state", b"on", 2, retain=True)
        server.kill()
        server.start()
        with paho(door(server, "mqtt"), mouth) as client:
            client.publish("kept/a", b"4", 2)
        with paho(door(server, "mqtt"), ears, is_clean=False) as client:
            arrived = [client.next_message() for _ in range(5)]
            client.expect_nothing_before("kept/own")
            was_present = client.is_session_present
        with paho(door(server, "mqtt"), mouth) as client:
            client.subscribe("kept/state", 1)
            retained = client.next_message()

    assert was_present
    assert [each.payload for each in arrived] == [b"1", b"2", b"3", b"on", b"4"]
    assert retained == Arrival(topic="kept/state", payload=b"on", qos=1, is_retained=True)


def test_a_subscription_that_follows_its_own_removal_at_once_stays(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice, place: str
) -> None:
    """UNSUBSCRIBE and SUBSCRIBE in one segment, on a session that is kept: what came last counts."""
    with raw_device(door(server, "mqtt"), listener, flags=0xC0) as stream:
        subscribe = packet(0x82, b"\x00\x01" + text(f"{place}/a") + b"\x01")
        stream.send(subscribe)
        assert stream.packet().hex(" ") == "90 03 00 01 01"
        stream.send(packet(0xA2, b"\x00\x02" + text(f"{place}/a")) + subscribe)
        answers = {stream.packet().hex(" "), stream.packet().hex(" ")}
        with paho(door(server, "mqtt"), speaker) as mouth:
            mouth.publish(f"{place}/a", b"heard", 1)

        assert answers == {"b0 02 00 02", "90 03 00 01 01"}
        assert stream.packet()[-5:] == b"heard"


def test_no_more_than_a_hundred_subscriptions_are_granted(server: ServerProcess, listener: StreamDevice) -> None:
    """However they are spread over packets that come in one segment (southbound reference 8)."""
    with raw_device(door(server, "mqtt"), listener, flags=0xC0) as stream:
        packets = [
            packet(0x82, number.to_bytes(2, "big") + b"".join(text(f"{number}/{n}") + b"\x01" for n in range(60)))
            for number in (1, 2)
        ]
        stream.send(b"".join(packets))
        codes = b"".join(stream.packet()[4:] for _ in packets)
        listed = server.data("GET", f"/mqtt/device_topic/{listener.id}")

    assert len(listed) == codes.count(1) <= 100
    assert codes.count(0x80) == 120 - codes.count(1)


def test_the_newest_login_gets_what_is_kept(
    server: ServerProcess, listener: StreamDevice, speaker: StreamDevice
) -> None:
    """A half-open old socket never locks a device out."""
    old = PahoDevice(door(server, "mqtt"), listener, is_clean=False)
    old.connect()
    old.subscribe("fresh", 1)
    with paho(door(server, "mqtt"), listener, is_clean=False) as new, paho(door(server, "mqtt"), speaker) as mouth:
        old.wait_ended()
        mouth.publish("fresh", b"to the new one", 1)

        assert new.is_session_present
        assert new.next_payload() == b"to the new one"
