"""The bytes of PUBLISH and of the acknowledgements: the packets a busy connection is made of.

Written by hand for speed: one pass, and no record in between. `codec` and `body_decoder` use it for the records.
Source: MQTT 5.0 and 3.1.1 sections 3.3 to 3.7.
"""

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, decode_properties, encode_properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.topics import TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX
from commandpost.protocols.mqtt.wire import VARINT_MAX, Cursor, encode_varint

_PUBLISH = PacketType.PUBLISH << 4
_V5 = int(Version.V5)


def read_publish(flags: int, body: bytes, version: int) -> tuple[str, int, Properties, bytes]:
    """Read the body of a PUBLISH.

    Wire: topic; packet id, if the QoS is above 0; MQTT 5: properties; the rest is the payload.
    Args:
        flags: the lower four bits of the first byte: DUP, QoS (2 bits), RETAIN.
    Returns:
        Topic, packet id (0 with QoS 0), properties, payload. The topic is empty only where an alias stands for it.
    Raises:
        PacketError: malformed; `offset` counts from the start of the body.
    """
    size = len(body)
    if size < 2:
        raise PacketError("a PUBLISH begins with a topic")
    position = (body[0] << 8 | body[1]) + 2
    if position > size:
        raise PacketError(f"a topic of {position - 2} bytes in a body of {size}")
    try:
        topic = str(body[2:position], "utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("a topic is not UTF-8", offset=2 + error.start) from error
    if "+" in topic or "#" in topic or "\0" in topic:
        raise PacketError("a topic name holds no wildcard and no NUL", offset=2, reason=ReasonCode.TOPIC_NAME_INVALID)
    if position > TOPIC_BYTES_MAX + 2 or topic.count("/") >= TOPIC_LEVELS_MAX:
        raise PacketError("a topic name is too long or too deep", offset=2, reason=ReasonCode.TOPIC_NAME_INVALID)
    packet_id = 0
    if flags & 0b0110:
        if flags & 0b0110 == 0b0110:
            raise PacketError("QoS 3 does not exist")
        if size < position + 2:
            raise PacketError("the packet id is cut off", offset=position)
        packet_id = body[position] << 8 | body[position + 1]
        if not packet_id:
            raise PacketError("a packet id is not 0", offset=position, reason=ReasonCode.PROTOCOL_ERROR)
        position += 2
    elif flags & 0b1000:
        raise PacketError("QoS 0 has no duplicates")  # MQTT 3.1.1 section 3.3.1.1
    properties = NO_PROPERTIES
    if version == _V5:
        if position < size and not body[position]:
            position += 1
        else:
            cursor = Cursor(body, position=position)
            properties = decode_properties(cursor, PacketType.PUBLISH)
            position = cursor.position
    if not topic and properties.topic_alias is None:
        raise PacketError("a topic name has at least one character", reason=ReasonCode.PROTOCOL_ERROR)
    return topic, packet_id, properties, body[position:]


def encode_publish(
    topic: str, payload: bytes, flags: int, packet_id: int, properties: Properties, version: int
) -> bytes:
    """Write a PUBLISH from its fields, which the caller knows to be valid.

    Args:
        flags: as for `read_publish`; the packet id is written if they name a QoS above 0.
    Raises:
        EncodeError: together they are longer than a packet may be.
    """
    name = topic.encode()
    name_bytes = len(name)
    head = bytes((name_bytes >> 8, name_bytes & 0xFF)) + name
    if flags & 0b0110:
        head += bytes((packet_id >> 8, packet_id & 0xFF))
    if version == _V5:
        head += b"\0" if properties is NO_PROPERTIES else encode_properties(properties)
    length = len(head) + len(payload)
    if length < 0x80:
        return bytes((_PUBLISH | flags, length)) + head + payload
    if length > VARINT_MAX:
        raise EncodeError(f"a packet has at most {VARINT_MAX} bytes, not {length}")
    return bytes((_PUBLISH | flags,)) + encode_varint(length) + head + payload


def encode_acknowledgement(
    kind: PacketType,
    packet_id: int,
    *,
    reason: ReasonCode = ReasonCode.SUCCESS,
    properties: Properties = NO_PROPERTIES,
    version: Version,
) -> bytes:
    """Write a PUBACK, PUBREC, PUBREL or PUBCOMP.

    Wire: packet id; MQTT 5: the reason unless all is well, the properties unless there are none.
    """
    # MQTT 3.1.1 section 2.2.2: the flags of a PUBREL are 2, for no reason but that they are.
    first = kind << 4 | (2 if kind is PacketType.PUBREL else 0)
    if version is not Version.V5 or (not reason and properties is NO_PROPERTIES):
        return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))
    if properties is NO_PROPERTIES:
        return bytes((first, 3, packet_id >> 8, packet_id & 0xFF, reason))
    tail = encode_properties(properties)
    return bytes((first,)) + encode_varint(3 + len(tail)) + packet_id.to_bytes(2, "big") + bytes((reason,)) + tail


def read_acknowledgement(
    kind: PacketType, body: bytes, version: int, reasons: frozenset[ReasonCode]
) -> tuple[int, ReasonCode, Properties]:
    """Read the body of a PUBACK, PUBREC, PUBREL or PUBCOMP.

    Returns:
        Packet id, reason, properties.
    Raises:
        PacketError: malformed; `offset` counts from the start of the body.
    """
    size = len(body)
    if size < 2 or (size > 2 and version != _V5):
        raise PacketError(f"{kind.name} with a body of {size} bytes", offset=min(size, 2))
    packet_id = body[0] << 8 | body[1]
    if not packet_id:
        raise PacketError("a packet id is not 0", reason=ReasonCode.PROTOCOL_ERROR)
    if size == 2:
        return packet_id, ReasonCode.SUCCESS, NO_PROPERTIES
    cursor = Cursor(body, position=2)
    reason = read_reason(cursor, reasons)
    properties = NO_PROPERTIES if cursor.is_at_end() else decode_properties(cursor, kind)
    check_at_end(cursor)
    return packet_id, reason, properties


def read_reason(cursor: Cursor, allowed: frozenset[ReasonCode]) -> ReasonCode:
    """Read one reason code of those a packet may have; PacketError if it is none."""
    number = cursor.read_byte()
    try:
        reason = ReasonCode(number)
    except ValueError:
        reason = None
    if reason is None or reason not in allowed:
        raise PacketError(
            f"{number:#04x} is no reason code of this packet",
            offset=cursor.position - 1,
            reason=ReasonCode.PROTOCOL_ERROR,
        )
    return reason


def check_at_end(cursor: Cursor) -> None:
    """Refuse a packet that goes on after its last field."""
    if not cursor.is_at_end():
        raise PacketError("the packet goes on after its last field", offset=cursor.position)
