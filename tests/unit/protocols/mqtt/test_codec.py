"""The codec against published bytes and malformed bytes, in whatever pieces they come."""

import pytest

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.packet_reader import FrameReader
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Auth, Connect, Pingreq, Publish, Subscribe, Unsubscribe
from commandpost.protocols.mqtt.properties import PAIRS_MAX
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.wire import encode_varint
from tests.unit.protocols.mqtt.vectors import MALFORMED, PACKETS, MalformedVector, PacketVector, packet_of

BODY_BYTES_MAX = 65_536


def reader_of(version: int = Version.V3_1_1, *, entries_max: int = 100) -> PacketReader:
    return PacketReader(version=Version(version), packet_bytes_max=BODY_BYTES_MAX, entries_max=entries_max)


@pytest.mark.parametrize("vector", PACKETS, ids=[vector["name"] for vector in PACKETS])
def test_published_packets_encode_and_decode(vector: PacketVector) -> None:
    """One table of record and bytes holds in both directions."""
    packet, data = packet_of(vector), bytes.fromhex(vector["bytes"])
    reader = reader_of(vector["version"])

    reader.feed(data)

    assert reader.next_packet() == packet
    assert reader.next_packet() is None
    assert encode(packet, Version(vector["version"])) == data


@pytest.mark.parametrize("vector", MALFORMED, ids=[vector["name"] for vector in MALFORMED])
def test_malformed_packets_are_refused_with_reason_and_offset(vector: MalformedVector) -> None:
    """The reason is what an MQTT 5 peer is told."""
    data = bytes.fromhex(vector["bytes"])
    reader = reader_of(vector["version"])
    reader.feed(data)

    with pytest.raises(PacketError) as raised:
        reader.next_packet()

    assert raised.value.reason is ReasonCode[vector["reason"]]
    assert 0 <= raised.value.offset <= len(data)


@pytest.mark.parametrize("vector", PACKETS, ids=[vector["name"] for vector in PACKETS])
def test_a_published_packet_that_ends_early_is_refused_or_another_packet(vector: PacketVector) -> None:
    """Every shorter body with a length that says so: nothing but a record or PacketError."""
    data = bytes.fromhex(vector["bytes"])
    for size in range(len(data) - 2):
        reader = reader_of(vector["version"])
        reader.feed(bytes((data[0], size)) + data[2 : 2 + size])

        try:
            packet = reader.next_packet()
        except PacketError:
            continue
        assert packet is not None
        assert packet != packet_of(vector)


def test_a_connect_sets_the_version_of_what_follows() -> None:
    """A reader that does not know yet learns it from the first packet."""
    reader = reader_of(Version.V3_1_1)
    publish = Publish(topic="a", payload=b"x")
    reader.feed(encode(Connect(version=Version.V5, client_id="d"), Version.V5) + encode(publish, Version.V5))

    reader.next_packet()

    assert reader.version is Version.V5
    assert reader.next_packet() == publish


def test_bytes_one_by_one_give_the_same_packets() -> None:
    """A packet is not whole before its last byte has come."""
    stream = b"".join(bytes.fromhex(vector["bytes"]) for vector in PACKETS if vector["version"] == 4)
    reader = reader_of()
    found = []
    for position in range(len(stream)):
        reader.feed(stream[position : position + 1])
        packet = reader.next_packet()
        if packet is not None:
            found.append(packet)

    assert found == [packet_of(vector) for vector in PACKETS if vector["version"] == 4]
    assert reader.buffered_bytes == 0


@pytest.mark.parametrize("size", [0, 100, 125, 126, 127, 128, 16_380, 16_381, 16_382, 60_000])
def test_a_payload_of_any_length_round_trips(size: int) -> None:
    """The remaining length grows from one byte to two and three."""
    packet = Publish(topic="a", payload=bytes(size))
    reader = reader_of()
    data = encode(packet, Version.V3_1_1)

    reader.feed(data[:4])
    first = reader.next_packet() if size else None
    reader.feed(data[4:])

    assert first is None
    assert reader.next_packet() == packet


def test_a_length_above_the_limit_is_refused_before_the_body_comes() -> None:
    """Nothing of such a packet is ever held."""
    frames = FrameReader(body_bytes_max=1_000)
    frames.feed(b"\x30\xe9\x07")  # 1,001

    with pytest.raises(PacketError) as raised:
        frames.next_body()

    assert raised.value.reason is ReasonCode.PACKET_TOO_LARGE


def test_what_was_read_is_not_held_by_the_first_byte_of_the_next_packet() -> None:
    """One slow packet after a large read costs its own bytes only."""
    frames = FrameReader(body_bytes_max=1_000)
    frames.feed(b"\xc0\x00" * 10_000 + b"\x30")
    while frames.next_body() is not None:
        pass

    assert bytes(frames.held) == b"\x30"


def test_a_length_written_with_more_bytes_than_it_needs_is_understood() -> None:
    """Old SDKs reserve the bytes before they know the length."""
    reader = reader_of()
    reader.feed(b"\xc0\x80\x80\x00")

    assert reader.next_packet() == Pingreq()


@pytest.mark.parametrize("first", [0x80, 0x82])
def test_subscribe_is_read_with_flags_0_and_2(first: int) -> None:
    """An old embedded SDK leaves the flags out; 2 is what the standard wants."""
    reader = reader_of()
    reader.feed(bytes((first, 6, 0, 1, 0, 1, 0x61, 1)))
    reader.feed(bytes((first + 0x20, 5, 0, 2, 0, 1, 0x61)))

    assert isinstance(reader.next_packet(), Subscribe)
    assert reader.next_packet() == Unsubscribe(packet_id=2, topic_filters=("a",))


@pytest.mark.parametrize("data", [b"\x82\x0a\0\1\0\1a\0\0\1b\0", b"\xa2\x08\0\1\0\1a\0\1b"], ids=["subscribe", "un"])
def test_more_filters_than_allowed_are_refused(data: bytes) -> None:
    """A packet of a hundred thousand filters makes no hundred thousand records."""
    reader = reader_of(entries_max=1)
    reader.feed(data)

    with pytest.raises(PacketError, match="more than 1 filters"):
        reader.next_packet()


@pytest.mark.parametrize("topic", [b"a" * 4_097, b"/" * 32], ids=["long", "deep"])
def test_a_topic_beyond_our_bounds_is_refused(topic: bytes) -> None:
    """As the tree of subscriptions would have to hold it."""
    body = len(topic).to_bytes(2, "big") + topic
    reader = reader_of()
    reader.feed(b"\x30" + encode_varint(len(body)) + body)

    with pytest.raises(PacketError) as raised:
        reader.next_packet()

    assert raised.value.reason is ReasonCode.TOPIC_NAME_INVALID


def test_more_user_properties_than_allowed_are_refused() -> None:
    """Each costs twenty times its bytes in memory."""
    pairs = b"\x26\0\0\0\0" * (PAIRS_MAX + 1)
    body = b"\0\1a" + encode_varint(len(pairs)) + pairs
    reader = reader_of(Version.V5)
    reader.feed(b"\x30" + encode_varint(len(body)) + body)

    with pytest.raises(PacketError) as raised:
        reader.next_packet()

    assert raised.value.reason is ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


def test_auth_has_no_form_in_3_1_1() -> None:
    """It came with MQTT 5."""
    with pytest.raises(EncodeError):
        encode(Auth(), Version.V3_1_1)
