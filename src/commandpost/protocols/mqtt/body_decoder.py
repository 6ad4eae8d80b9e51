"""From the body of a control packet to its record.

Offsets of errors count from the start of the body. Source: MQTT 5.0 and MQTT 3.1.1, chapter 3.
"""

from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.mqtt.errors import PacketError
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
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, decode_properties
from commandpost.protocols.mqtt.publish_codec import check_at_end, read_acknowledgement, read_publish, read_reason
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
from commandpost.protocols.mqtt.topics import check_topic_filter
from commandpost.protocols.mqtt.wire import Cursor

_REASONS_3_1_1_SUBACK = frozenset(
    {ReasonCode.SUCCESS, ReasonCode.GRANTED_QOS_1, ReasonCode.GRANTED_QOS_2, ReasonCode.UNSPECIFIED_ERROR}
)
_PROTOCOL_NAMES = (b"MQTT", b"MQIsdp")  # MQIsdp: MQTT 3.1, which is answered with "unacceptable protocol version"


def peek_version(connect_body: bytes) -> Version | None:
    """Tell the version of a CONNECT that need not be well formed; None: none of ours."""
    if connect_body[:6] != b"\0\x04MQTT" or connect_body[6:7] not in (b"\x04", b"\x05"):
        return None
    return Version(connect_body[6])


def decode_body(first: int, body: bytes, version: Version, *, entries_max: int) -> Packet:
    """Read the body of a packet.

    Args:
        first: the packet's first byte.
        version: of the connection; a CONNECT brings its own.
        entries_max: filters in one SUBSCRIBE or UNSUBSCRIBE.
    Raises:
        PacketError: malformed, or not allowed by the standard.
    """
    kind = PacketType(first >> 4)
    _check_flags(kind, first & 0x0F)
    cursor = Cursor(body)
    try:
        match kind:
            case PacketType.CONNECT:
                packet: Packet = _decode_connect(cursor)
            case PacketType.PUBLISH:
                packet = _decode_publish(first & 0x0F, body, version)
            case PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBREL | PacketType.PUBCOMP:
                return _decode_acknowledgement(kind, body, version)
            case PacketType.SUBSCRIBE:
                packet = _decode_subscribe(cursor, version, entries_max)
            case PacketType.UNSUBSCRIBE:
                packet = _decode_unsubscribe(cursor, version, entries_max)
            case PacketType.SUBACK | PacketType.UNSUBACK:
                packet = _decode_subscription_answer(kind, cursor, version)
            case PacketType.CONNACK:
                packet = _decode_connack(cursor, version)
            case PacketType.PINGREQ | PacketType.PINGRESP:
                packet = Pingreq() if kind is PacketType.PINGREQ else Pingresp()
            case PacketType.DISCONNECT:
                packet = _decode_disconnect(cursor, version)
            case _:
                packet = _decode_auth(kind, cursor, version)
    except EncodeError as error:
        # A record refuses what a packet may not say.
        raise PacketError(str(error), offset=cursor.position, reason=ReasonCode.PROTOCOL_ERROR) from error
    if kind is not PacketType.PUBLISH:
        check_at_end(cursor)
    return packet


def _check_flags(kind: PacketType, flags: int) -> None:
    """Hold the flags to MQTT 3.1.1 table 2.2."""
    if kind is PacketType.PUBLISH:
        return
    if kind in (PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE):
        # DEVIATION: flags of 0 are served, because an old embedded SDK sends them; section 3.8.1 wants 2.
        is_allowed = flags in (0, 2)
    else:
        is_allowed = flags == (2 if kind is PacketType.PUBREL else 0)
    if not is_allowed:
        raise PacketError(f"{kind.name} with flags {flags:#x}")


def _properties(cursor: Cursor, kind: PacketType, version: Version) -> Properties:
    return decode_properties(cursor, kind) if version is Version.V5 else NO_PROPERTIES


def _packet_id(cursor: Cursor) -> int:
    packet_id = cursor.read_u16()
    if not packet_id:
        raise PacketError("a packet id is not 0", offset=cursor.position - 2, reason=ReasonCode.PROTOCOL_ERROR)
    return packet_id


def _decode_connect(cursor: Cursor) -> Connect:
    """Wire: protocol name, level, flags, keepalive, [properties], client id, [will], [user name], [password]."""
    if cursor.read_binary() not in _PROTOCOL_NAMES:
        raise PacketError("not the protocol name MQTT", offset=2)
    level = cursor.read_byte()
    version = peek_version(cursor.data)
    if version is None:
        raise PacketError(
            f"protocol level {level} is not served",
            offset=cursor.position - 1,
            reason=ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        )
    flags = cursor.read_byte()
    if flags & 1:
        raise PacketError("the reserved flag is set", offset=cursor.position - 1)  # section 3.1.2.3
    keepalive_s = cursor.read_u16()
    properties = _properties(cursor, PacketType.CONNECT, version)
    client_id = cursor.read_text()
    will = _decode_will(cursor, flags, version)
    username = cursor.read_text() if flags & 0x80 else None
    password = cursor.read_binary() if flags & 0x40 else None
    return Connect(
        version=version,
        client_id=client_id,
        clean_start=bool(flags & 0x02),
        keepalive_s=keepalive_s,
        will=will,
        username=username,
        password=password,
        properties=properties,
    )


def _decode_will(cursor: Cursor, flags: int, version: Version) -> Will | None:
    qos = flags >> 3 & 3
    if not flags & 0x04:
        if flags & 0x38:
            raise PacketError("QoS or retain of a will that is not there", offset=cursor.position)
        return None
    if qos == 3:
        raise PacketError("QoS 3 does not exist", offset=cursor.position)
    properties = _properties(cursor, PacketType.WILL, version)
    topic = cursor.read_text()
    return Will(topic=topic, payload=cursor.read_binary(), qos=qos, retain=bool(flags & 0x20), properties=properties)


def _decode_publish(flags: int, body: bytes, version: Version) -> Publish:
    topic, packet_id, properties, payload = read_publish(flags, body, version)
    return Publish(
        topic=topic,
        payload=payload,
        qos=flags >> 1 & 3,
        retain=bool(flags & 1),
        is_duplicate=bool(flags & 8),
        packet_id=packet_id or None,
        properties=properties,
    )


def _decode_acknowledgement(kind: PacketType, body: bytes, version: Version) -> Packet:
    if kind is PacketType.PUBACK or kind is PacketType.PUBREC:
        packet_id, reason, properties = read_acknowledgement(kind, body, version, PUBLISH_REASONS)
        received = Puback if kind is PacketType.PUBACK else Pubrec
        return received(packet_id=packet_id, reason=reason, properties=properties)
    packet_id, reason, properties = read_acknowledgement(kind, body, version, RELEASE_REASONS)
    released = Pubrel if kind is PacketType.PUBREL else Pubcomp
    return released(packet_id=packet_id, reason=reason, properties=properties)


def _read_filter(cursor: Cursor) -> str:
    start = cursor.position
    topic_filter = cursor.read_text()
    try:
        check_topic_filter(topic_filter)
    except DecodeError as error:
        raise PacketError(str(error.args[0]), offset=start + 2, reason=ReasonCode.TOPIC_FILTER_INVALID) from error
    return topic_filter


def _check_room(count: int, entries_max: int, cursor: Cursor) -> None:
    if count >= entries_max:
        raise PacketError(f"more than {entries_max} filters", offset=cursor.position, reason=ReasonCode.QUOTA_EXCEEDED)


def _decode_subscribe(cursor: Cursor, version: Version, entries_max: int) -> Subscribe:
    packet_id = _packet_id(cursor)
    properties = _properties(cursor, PacketType.SUBSCRIBE, version)
    entries: list[SubscriptionEntry] = []
    while not cursor.is_at_end():
        _check_room(len(entries), entries_max, cursor)
        topic_filter = _read_filter(cursor)
        flags = cursor.read_byte()
        if flags & (0xC0 if version is Version.V5 else 0xFC) or flags & 3 == 3:
            raise PacketError(f"subscription options {flags:#04x}", offset=cursor.position - 1)
        options = SubscriptionOptions(
            qos=flags & 3,
            no_local=bool(flags & 0x04),
            retain_as_published=bool(flags & 0x08),
            retain_handling=flags >> 4,
        )
        entries.append(SubscriptionEntry(topic_filter=topic_filter, options=options))
    return Subscribe(packet_id=packet_id, entries=tuple(entries), properties=properties)


def _decode_unsubscribe(cursor: Cursor, version: Version, entries_max: int) -> Unsubscribe:
    packet_id = _packet_id(cursor)
    properties = _properties(cursor, PacketType.UNSUBSCRIBE, version)
    filters: list[str] = []
    while not cursor.is_at_end():
        _check_room(len(filters), entries_max, cursor)
        filters.append(_read_filter(cursor))
    return Unsubscribe(packet_id=packet_id, topic_filters=tuple(filters), properties=properties)


def _decode_subscription_answer(kind: PacketType, cursor: Cursor, version: Version) -> Suback | Unsuback:
    packet_id = _packet_id(cursor)
    properties = _properties(cursor, kind, version)
    if kind is PacketType.UNSUBACK:
        reasons: list[ReasonCode] = []
        while version is Version.V5 and not cursor.is_at_end():
            reasons.append(read_reason(cursor, UNSUBACK_REASONS))
        return Unsuback(packet_id=packet_id, reasons=tuple(reasons), properties=properties)
    allowed = SUBACK_REASONS if version is Version.V5 else _REASONS_3_1_1_SUBACK
    granted: list[ReasonCode] = []
    while not cursor.is_at_end():
        granted.append(read_reason(cursor, allowed))
    return Suback(packet_id=packet_id, reasons=tuple(granted), properties=properties)


def _decode_connack(cursor: Cursor, version: Version) -> Connack:
    flags = cursor.read_byte()
    if flags > 1:
        raise PacketError(f"CONNACK flags {flags:#04x}")
    if version is Version.V5:
        reason = read_reason(cursor, CONNACK_REASONS)
        return Connack(
            reason=reason, session_present=bool(flags), properties=decode_properties(cursor, PacketType.CONNACK)
        )
    number = cursor.read_byte()
    if number >= len(CONNACK_CODES_3_1_1):
        raise PacketError(f"return code {number} is reserved", offset=1)
    return Connack(reason=CONNACK_CODES_3_1_1[number], session_present=bool(flags))


def _decode_disconnect(cursor: Cursor, version: Version) -> Disconnect:
    if version is not Version.V5 or cursor.is_at_end():
        return Disconnect()  # MQTT 5.0 section 3.14.2.1: no reason means a normal disconnection
    reason = read_reason(cursor, DISCONNECT_REASONS)
    if cursor.is_at_end():
        return Disconnect(reason=reason)
    return Disconnect(reason=reason, properties=decode_properties(cursor, PacketType.DISCONNECT))


def _decode_auth(kind: PacketType, cursor: Cursor, version: Version) -> Auth:
    if kind is not PacketType.AUTH or version is not Version.V5:
        raise PacketError(f"packet type {int(kind)} is reserved")
    if cursor.is_at_end():
        return Auth()
    reason = read_reason(cursor, AUTH_REASONS)
    return Auth(reason=reason, properties=decode_properties(cursor, PacketType.AUTH))
