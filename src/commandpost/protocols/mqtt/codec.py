"""MQTT packets: record to bytes; the other way is `packet_reader`.

Source: MQTT 5.0 and MQTT 3.1.1, chapter 3.
"""

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.packet_reader import PacketReader
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
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, encode_properties
from commandpost.protocols.mqtt.publish_codec import encode_acknowledgement, encode_publish
from commandpost.protocols.mqtt.reason_codes import ReasonCode, connack_number_3_1_1, suback_number_3_1_1
from commandpost.protocols.mqtt.wire import encode_binary, encode_text, encode_varint

__all__ = ["PINGREQ", "PINGRESP", "PacketReader", "encode"]

PINGREQ = bytes((PacketType.PINGREQ << 4, 0))
PINGRESP = bytes((PacketType.PINGRESP << 4, 0))


def encode(packet: Packet, version: Version) -> bytes:
    """Write one packet.

    Args:
        version: of the connection; a CONNECT brings its own.
    Raises:
        EncodeError: longer than a packet may be, or an AUTH in 3.1.1.
    """
    match packet:
        case Publish():
            flags = packet.qos << 1 | packet.retain | packet.is_duplicate << 3
            return encode_publish(
                packet.topic, packet.payload, flags, packet.packet_id or 0, packet.properties, version
            )
        case Puback() | Pubrec() | Pubrel() | Pubcomp():
            return encode_acknowledgement(
                _ACKNOWLEDGEMENTS[type(packet)],
                packet.packet_id,
                reason=packet.reason,
                properties=packet.properties,
                version=version,
            )
        case Pingreq():
            return PINGREQ
        case Pingresp():
            return PINGRESP
        case Connect():
            return _frame(PacketType.CONNECT, _connect_body(packet))
        case Connack():
            return _frame(PacketType.CONNACK, _connack_body(packet, version))
        case Subscribe():
            return _frame(PacketType.SUBSCRIBE, _subscribe_body(packet, version), flags=2)
        case Unsubscribe():
            return _frame(PacketType.UNSUBSCRIBE, _unsubscribe_body(packet, version), flags=2)
        case Suback() | Unsuback():
            return _encode_subscription_answer(packet, version)
        case Disconnect() | Auth():
            return _encode_reason_packet(packet, version)


_ACKNOWLEDGEMENTS: dict[type[Packet], PacketType] = {
    Puback: PacketType.PUBACK,
    Pubrec: PacketType.PUBREC,
    Pubrel: PacketType.PUBREL,
    Pubcomp: PacketType.PUBCOMP,
}


def _frame(kind: PacketType, body: bytes, *, flags: int = 0) -> bytes:
    return bytes((kind << 4 | flags,)) + encode_varint(len(body)) + body


def _properties(properties: Properties, version: Version) -> bytes:
    return encode_properties(properties) if version is Version.V5 else b""


def _connect_body(packet: Connect) -> bytes:
    """Wire: protocol name, level, flags, keepalive, [properties], client id, [will], [user name], [password]."""
    version, will = packet.version, packet.will
    flags = packet.clean_start << 1 | (packet.password is not None) << 6 | (packet.username is not None) << 7
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
    body = encode_text("MQTT") + bytes((version, flags)) + packet.keepalive_s.to_bytes(2, "big")
    body += _properties(packet.properties, version) + encode_text(packet.client_id)
    if will is not None:
        body += _properties(will.properties, version) + encode_text(will.topic) + encode_binary(will.payload)
    if packet.username is not None:
        body += encode_text(packet.username)
    if packet.password is not None:
        body += encode_binary(packet.password)
    return body


def _connack_body(packet: Connack, version: Version) -> bytes:
    if version is Version.V5:
        return bytes((packet.session_present, packet.reason)) + encode_properties(packet.properties)
    return bytes((packet.session_present, connack_number_3_1_1(packet.reason)))


def _subscribe_body(packet: Subscribe, version: Version) -> bytes:
    body = bytearray(packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version))
    for entry in packet.entries:
        body += encode_text(entry.topic_filter)
        body.append(_option_bits(entry.options) if version is Version.V5 else entry.options.qos)
    return bytes(body)


def _option_bits(options: SubscriptionOptions) -> int:
    return options.qos | options.no_local << 2 | options.retain_as_published << 3 | options.retain_handling << 4


def _unsubscribe_body(packet: Unsubscribe, version: Version) -> bytes:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    return head + b"".join(encode_text(topic_filter) for topic_filter in packet.topic_filters)


def _encode_subscription_answer(packet: Suback | Unsuback, version: Version) -> bytes:
    head = packet.packet_id.to_bytes(2, "big") + _properties(packet.properties, version)
    kind = PacketType.SUBACK if isinstance(packet, Suback) else PacketType.UNSUBACK
    if version is Version.V5:
        return _frame(kind, head + bytes(packet.reasons))
    if kind is PacketType.UNSUBACK:
        return _frame(kind, head)  # MQTT 3.1.1 section 3.11: it cannot fail
    return _frame(kind, head + bytes(suback_number_3_1_1(reason) for reason in packet.reasons))


def _encode_reason_packet(packet: Disconnect | Auth, version: Version) -> bytes:
    kind = PacketType.DISCONNECT if isinstance(packet, Disconnect) else PacketType.AUTH
    if version is not Version.V5:
        if kind is PacketType.AUTH:
            raise EncodeError("MQTT 3.1.1 has no AUTH")
        return _frame(kind, b"")
    if packet.reason is ReasonCode.SUCCESS and packet.properties is NO_PROPERTIES:
        return _frame(kind, b"")
    tail = b"" if packet.properties is NO_PROPERTIES and kind is PacketType.DISCONNECT else None
    return _frame(kind, bytes((packet.reason,)) + (encode_properties(packet.properties) if tail is None else tail))
