"""Every MQTT packet that can be constructed survives the wire, in whatever pieces it comes."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.events import ConnectRequested, PublishReceived, ServerEvent, SubscribeReceived
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionEntry,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Will,
)
from commandpost.protocols.mqtt.properties import DEFINITIONS, NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import (
    AUTH_REASONS,
    CONNACK_CODES_3_1_1,
    CONNACK_REASONS,
    DISCONNECT_REASONS,
    PUBLISH_REASONS,
    RELEASE_REASONS,
    SUBACK_REASONS,
    UNSUBACK_REASONS,
    ReasonCode,
)
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import MqttSession
from commandpost.protocols.mqtt.topics import matches

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
LEVEL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/+#"), max_size=4)
TOPIC = st.lists(LEVEL, min_size=1, max_size=5).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(lambda text: bool(text) and not text.startswith("$share"))
PACKET_ID = st.integers(1, 0xFFFF)
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "text": TEXT,
    "binary": st.binary(max_size=20),
    "pairs": st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
}


def strategy_of(number: int) -> st.SearchStrategy[object]:
    """Give values one property may have, from its definition."""
    definition = DEFINITIONS[number]
    kind = definition.kind.decode.__name__
    if definition.name == "user_properties":
        return FIELDS["pairs"]
    if definition.name == "response_topic":
        return TOPIC
    if kind == "read_text":
        return FIELDS["text"]
    if kind == "read_binary":
        return FIELDS["binary"]
    numbers = st.integers(definition.least, definition.most)
    if kind == "_decode_flag":
        return st.booleans()
    return st.lists(numbers, min_size=1, max_size=1).map(tuple) if definition.is_repeated else numbers


def properties_of(packet: PacketType, version: Version) -> st.SearchStrategy[Properties]:
    """Give properties a packet may carry: none in 3.1.1, where there are none."""
    if version is Version.V3_1_1:
        return st.just(NO_PROPERTIES)
    allowed = {
        definition.name: strategy_of(number)
        for number, definition in DEFINITIONS.items()
        # A topic alias may stand in the place of a topic, which is tested elsewhere.
        if packet in definition.packets and definition.name != "topic_alias"
    }
    return st.fixed_dictionaries({}, optional=allowed).map(make_properties)


def make_properties(values: dict[str, Any]) -> Properties:  # Any: each value was drawn for its own field
    """Put a method to authentication data, which does not come alone."""
    if "authentication_data" in values:
        values = {"authentication_method": "m"} | values
    return Properties(**values)


def packets(version: Version) -> st.SearchStrategy[Packet]:
    """Give every kind of packet with everything the version can say."""
    is_5 = version is Version.V5
    kind = PacketType

    def reasons(allowed: frozenset[ReasonCode]) -> st.SearchStrategy[ReasonCode]:
        return st.sampled_from(sorted(allowed)) if is_5 else st.just(ReasonCode.SUCCESS)

    will = st.builds(
        Will,
        topic=TOPIC,
        payload=st.binary(max_size=30),
        qos=st.integers(0, 2),
        retain=st.booleans(),
        properties=properties_of(kind.WILL, version),
    )
    connect = st.builds(
        Connect,
        version=st.just(version),
        client_id=TEXT,
        clean_start=st.booleans(),
        keepalive_s=st.integers(0, 0xFFFF),
        will=st.none() | will,
        username=(st.none() | TEXT) if is_5 else TEXT,
        password=st.none() | st.binary(max_size=20),
        properties=properties_of(kind.CONNECT, version),
    )
    connack_reasons = sorted(CONNACK_REASONS) if is_5 else list(CONNACK_CODES_3_1_1)
    publish = st.builds(
        lambda topic, payload, qos, retain, again, packet_id, properties: Publish(
            topic=topic,
            payload=payload,
            qos=qos,
            retain=retain,
            is_duplicate=again and qos > 0,
            packet_id=packet_id if qos else None,
            properties=properties,
        ),
        TOPIC,
        st.binary(max_size=300),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        PACKET_ID,
        properties_of(kind.PUBLISH, version),
    )
    options = st.builds(
        SubscriptionOptions,
        qos=st.integers(0, 2),
        no_local=st.booleans() if is_5 else st.just(False),
        retain_as_published=st.booleans() if is_5 else st.just(False),
        retain_handling=st.integers(0, 2) if is_5 else st.just(0),
    )
    entries = st.lists(st.builds(SubscriptionEntry, topic_filter=FILTER, options=options), min_size=1, max_size=4)
    suback_reasons = SUBACK_REASONS if is_5 else frozenset({*list(ReasonCode)[:3], ReasonCode.UNSPECIFIED_ERROR})
    unsuback = st.lists(st.sampled_from(sorted(UNSUBACK_REASONS)), max_size=4).map(tuple) if is_5 else st.just(())

    def acknowledgement(
        record: type[Puback | Pubrec | Pubrel | Pubcomp], packet: PacketType, allowed: frozenset[ReasonCode]
    ) -> st.SearchStrategy[Packet]:
        return st.builds(
            record, packet_id=PACKET_ID, reason=reasons(allowed), properties=properties_of(packet, version)
        )

    return st.one_of(
        connect,
        st.builds(
            Connack,
            reason=st.sampled_from(connack_reasons),
            properties=properties_of(kind.CONNACK, version),
        ),
        st.builds(Connack, session_present=st.booleans()),
        publish,
        acknowledgement(Puback, kind.PUBACK, PUBLISH_REASONS),
        acknowledgement(Pubrec, kind.PUBREC, PUBLISH_REASONS),
        acknowledgement(Pubrel, kind.PUBREL, RELEASE_REASONS),
        acknowledgement(Pubcomp, kind.PUBCOMP, RELEASE_REASONS),
        st.builds(
            Subscribe,
            packet_id=PACKET_ID,
            entries=entries.map(tuple),
            properties=properties_of(kind.SUBSCRIBE, version),
        ),
        st.builds(
            Suback,
            packet_id=PACKET_ID,
            reasons=st.lists(st.sampled_from(sorted(suback_reasons)), min_size=1, max_size=4).map(tuple),
            properties=properties_of(kind.SUBACK, version),
        ),
        st.builds(
            Unsubscribe,
            packet_id=PACKET_ID,
            topic_filters=st.lists(FILTER, min_size=1, max_size=4).map(tuple),
            properties=properties_of(kind.UNSUBSCRIBE, version),
        ),
        st.builds(Unsuback, packet_id=PACKET_ID, reasons=unsuback, properties=properties_of(kind.UNSUBACK, version)),
        st.builds(Pingreq),
        st.builds(Pingresp),
        st.builds(Disconnect, reason=reasons(DISCONNECT_REASONS), properties=properties_of(kind.DISCONNECT, version)),
        *(
            [st.builds(Auth, reason=reasons(AUTH_REASONS), properties=properties_of(kind.AUTH, version))]
            if is_5
            else []
        ),
    )


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at the given places, in any order."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=6)


def read_back(version: Version, sent: list[Packet], cuts: list[int]) -> list[Packet]:
    reader = PacketReader(version=version, packet_bytes_max=1 << 20)
    found = []
    for piece in pieces(b"".join(encode(packet, version) for packet in sent), cuts):
        reader.feed(piece)
        while (packet := reader.next_packet()) is not None:
            found.append(packet)
    assert reader.buffered_bytes == 0
    return found


@settings(max_examples=100)
@given(st.lists(packets(Version.V3_1_1), min_size=1, max_size=4), CUTS)
def test_packets_of_3_1_1_round_trip_in_any_pieces(sent: list[Packet], cuts: list[int]) -> None:
    """Nothing is lost or changed."""
    assert read_back(Version.V3_1_1, sent, cuts) == sent


@settings(max_examples=100)
@given(st.lists(packets(Version.V5), min_size=1, max_size=4), CUTS)
def test_packets_of_mqtt_5_round_trip_in_any_pieces(sent: list[Packet], cuts: list[int]) -> None:
    """With every property each packet may carry."""
    assert read_back(Version.V5, sent, cuts) == sent


def told(data: list[bytes]) -> tuple[list[ServerEvent], bytes]:
    """Give what the owner of a connection is told and what the peer gets; handles differ and are taken out."""
    limits = MqttLimits()
    connection = MqttServerConnection(limits=limits, now=0.0)
    events: list[ServerEvent] = []
    for piece in data:
        connection.receive_bytes(piece, now=0.0)
        while (event := connection.next_event()) is not None:
            if isinstance(event, ConnectRequested):
                connection.accept(MqttSession("d", limits=limits), session_present=False, keepalive_s=0, now=0.0)
            elif isinstance(event, SubscribeReceived):
                connection.grant(event.packet_id, [ReasonCode.SUCCESS] * len(event.entries))
            elif isinstance(event, PublishReceived) and event.handle is not None:
                connection.acknowledge(event.handle)
                event = event._replace(handle=None)
            events.append(event)
    return events, b"".join(connection.bytes_to_send())


@settings(max_examples=60)
@given(
    st.sampled_from(Version).flatmap(
        lambda version: st.tuples(st.just(version), st.lists(packets(version), max_size=6))
    ),
    CUTS,
)
def test_a_connection_split_anywhere_gives_the_same_events(
    stream: tuple[Version, list[Packet]], cuts: list[int]
) -> None:
    """And the same answers, errors included."""
    version, sent = stream
    connect = Connect(version=version, client_id="d")
    data = b"".join(encode(packet, version) for packet in (connect, *sent))

    assert told(pieces(data, cuts)) == told([data])


@given(FILTER, TOPIC)
def test_a_filter_made_from_a_topic_takes_it(topic_filter: str, topic: str) -> None:
    """A level may be replaced by +, and any tail by #; nothing else of a filter takes a topic."""
    levels = topic.split("/")
    if not topic.startswith("$"):
        assert matches("#", topic)
        for position in range(len(levels)):
            assert matches("/".join([*levels[:position], "+", *levels[position + 1 :]]), topic)
            assert matches("/".join([*levels[: position + 1], "#"]), topic)
    assert matches(topic, topic)
    assert not matches(topic_filter + "/x", topic_filter.replace("+", "y").replace("#", "y"))
