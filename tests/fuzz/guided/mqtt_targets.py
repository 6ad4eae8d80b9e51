"""Targets of MQTT: packets of both versions, topics, and both ends of a connection."""

from collections.abc import Callable
from typing import Final

from commandpost.protocols.errors import DecodeError
from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import ConnectionClosed, PublishReceived
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connack, Connect
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage
from commandpost.protocols.mqtt.topics import check_topic_filter, check_topic_name, matches, split_shared
from tests.fuzz.guided.target import Parse, Target, joined, pieces, stateless
from tests.fuzz.test_mqtt_bytes import LIMITS, ServerOwner

_ARRIVALS_MAX: Final = 20  # of one input
_PACKET_BYTES_MAX: Final = 500
# What follows a login, as MQTT 3.1.1 writes it: publications of each QoS, answers, subscriptions, ping, end.
_PACKETS_311: Final = tuple(
    bytes.fromhex(text)
    for text in (
        "30 05 0001 61 6869",
        "32 07 0001 61 0001 6869",
        "34 07 0001 61 0002 6869",
        "40 02 0001",
        "50 02 0001",
        "62 02 0002",
        "70 02 0001",
        "82 06 0003 0001 61 01",
        "82 06 0003 0001 23 02",
        "a2 05 0004 0001 61",
        "c0 00",
        "e0 00",
    )
)
# The same with properties, reason codes and options.
_PACKETS_5: Final = tuple(
    bytes.fromhex(text)
    for text in (
        "30 06 0001 61 00 6869",
        "32 0b 0001 61 0001 03 23 0001 6869",
        "32 08 0000 0001 03 23 0001",
        "34 11 0001 61 0002 09 01 01 02 0000000a 0b 01 68",
        "40 04 0001 10 00",
        "50 03 0001 92",
        "62 04 0002 00 00",
        "82 09 0003 02 0b 01 0001 61 2d",
        "82 0d 0003 00 0007 2473 6861 7265 2f 01",
        "a2 06 0004 00 0001 61",
        "e0 09 04 07 11 0000000a 1f 00",
        "e0 02 00 00",
        "f0 0a 18 08 15 0001 61 16 0001 62",
        "10 20 0004 4d515454 05 ee 003c 05 11 0000000a 0001 64 00 0001 74 0001 77 0001 75 0001 70",
    )
)
_PROPERTIES: Final = tuple(
    bytes.fromhex(text)
    for text in (
        *("0101", "02 0000000a", "03 0001 61", "08 0001 61", "09 0001 61", "0b01", "11 00000000", "1f 0001 61"),
        *("13 003c", "17 01", "19 00", "21 0005", "22 0005", "23 0001", "24 01", "26 0001 61 0001 62", "27 00000100"),
    )
)
_ANSWERS: Final = tuple(
    bytes.fromhex(text) for text in ("20 02 0000", "90 03 0003 01", "b0 02 0004", "d0 00", "20 03 0000 00")
)


def _connect(version: Version) -> bytes:
    return encode(Connect(version=version, client_id="d", clean_start=False, keepalive_s=60), version)


def _codec(version: Version) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        reader = PacketReader(version=version, packet_bytes_max=_PACKET_BYTES_MAX)
        reader.feed(data)
        try:
            while (packet := reader.next_packet()) is not None:
                again = PacketReader(version=reader.version, packet_bytes_max=2 * _PACKET_BYTES_MAX)
                again.feed(encode(packet, reader.version))
                assert again.next_packet() == packet
        except PacketError as error:
            assert 0 <= error.offset <= len(data)

    return parse


def _server(version: Version) -> Callable[[], Parse]:
    # The first byte of an input is the owner's mood; the others are what the peer sends, piece by piece.
    def parse(data: bytes) -> None:
        mood = data[0] if data else 0
        owner = ServerOwner([mood + number * (mood >> 4 | 1) for number in range(3 * _ARRIVALS_MAX)])
        now = 0.0
        arrivals = pieces(data[1:], count_max=_ARRIVALS_MAX)
        for arrival in (_connect(version), *arrivals) if mood % 8 else arrivals:
            now += 1.0
            owner.connection.receive_bytes(arrival, now=now)
            owner.drain()
            sent = owner.connection.bytes_to_send()
            assert owner.is_decided or (len(sent) <= 1 and all(chunk[0] == 0x20 for chunk in sent))
            owner.check_bounds()
            owner.connection.publish(OutboundMessage(topic="t", qos=owner.choose() % 3, tag=1), now=now)
            owner.connection.handle_deadline(now=now)
        owner.connection.connection_lost()
        owner.drain()
        assert sum(isinstance(event, ConnectionClosed) for event in owner.events) == 1
        assert owner.connection.buffered_bytes == 0

    return stateless(parse)


def _client(data: bytes) -> None:
    version = Version.V5 if data[:1] > b"\x7f" else Version.V3_1_1
    connection = MqttClientConnection(limits=LIMITS, now=0.0)
    session = MqttSession("d", limits=LIMITS)
    connection.connect(Connect(version=version, client_id="d", keepalive_s=60), session, now=0.0)
    if data and data[0] & 1:
        connection.receive_bytes(encode(Connack(), version), now=0.0)
    now, ends = 0.0, 0
    for arrival in pieces(data[1:], count_max=_ARRIVALS_MAX):
        now += 1.0
        connection.receive_bytes(arrival, now=now)
        while (event := connection.next_event()) is not None:
            ends += isinstance(event, ConnectionClosed)
            if isinstance(event, PublishReceived) and event.handle is not None:
                connection.acknowledge(event.handle)
        connection.publish(OutboundMessage(topic="t", qos=2, tag=1), now=now)
        connection.handle_deadline(now=now)
        assert connection.buffered_bytes <= LIMITS.packet_bytes_max + 5
    connection.connection_lost()
    while (event := connection.next_event()) is not None:
        ends += isinstance(event, ConnectionClosed)
    assert ends == 1


def _topics(data: bytes) -> None:
    text, _, topic = data.decode(errors="surrogateescape").partition("\n")
    try:
        check_topic_filter(text)
        check_topic_name(topic)
    except DecodeError:
        return
    shared = split_shared(text)
    assert isinstance(matches(text if shared is None else shared[1], topic), bool)


_SERVER_MODULES: Final = tuple(f"mqtt/{name}.py" for name in ("server_connection", "connection", "inbound", "outbound"))
_CODEC_MODULES: Final = tuple(
    f"mqtt/{name}.py" for name in ("body_decoder", "publish_codec", "properties", "wire", "packet_reader")
)

TARGETS: Final = (
    *(
        Target(
            name=f"mqtt_codec_{name}",
            prepare=stateless(_codec(version)),
            seeds=(_connect(version), *packets),
            words=words,
            modules=_CODEC_MODULES,
        )
        for name, version, packets, words in (
            ("311", Version.V3_1_1, _PACKETS_311, (b"\0\4MQTT\4\xc2", b"\0\6MQIsdp\3", b"\0\1a")),
            ("5", Version.V5, _PACKETS_5, (*_PROPERTIES, b"\0\4MQTT\5", b"\0\1a")),
        )
    ),
    *(
        Target(
            name=f"mqtt_server_{name}",
            prepare=_server(version),
            seeds=(
                b"\0" + joined((_connect(version), *packets)),
                *(bytes((mood,)) + joined(packets) for mood in (1, 2, 0x13, 0x25)),
                *(b"\1" + joined((packet,)) for packet in packets),
            ),
            words=(*(joined((packet,)) for packet in packets), *properties),
            modules=_SERVER_MODULES,
        )
        for name, version, packets, properties in (
            ("311", Version.V3_1_1, _PACKETS_311, ()),
            ("5", Version.V5, _PACKETS_5, _PROPERTIES),
        )
    ),
    Target(
        name="mqtt_client",
        prepare=stateless(_client),
        seeds=(
            *(b"\0" + joined((answer,)) for answer in _ANSWERS),
            b"\1" + joined((*_PACKETS_311, *_ANSWERS)),
            b"\x81" + joined((*_PACKETS_5[:13], *_ANSWERS)),
        ),
        words=(*(joined((packet,)) for packet in (*_PACKETS_311, *_PACKETS_5, *_ANSWERS)), *_PROPERTIES),
        modules=("mqtt/client_connection.py", "mqtt/connection.py", "mqtt/channel.py"),
    ),
    Target(
        name="mqtt_topics",
        prepare=stateless(_topics),
        seeds=(b"a/+/#\na/b/c", b"$share/g/a/#\na/b", b"#\n$SYS/x", b"a\na"),
        words=(b"/", b"+", b"#", b"\n", b"$share/", b"$", b"\0", b"\xff", b"/" * 32),
        modules=("mqtt/topics.py",),
    ),
)
