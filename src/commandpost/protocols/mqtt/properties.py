"""The properties of MQTT 5 packets: one record with all of them, its bytes, and which packet may carry which.

A 3.1.1 packet has none; there the record is `NO_PROPERTIES` and takes no byte.
Source: MQTT 5.0 section 2.2.2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.packet_types import PacketType
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.wire import (
    VARINT_MAX,
    Cursor,
    check_text,
    encode_binary,
    encode_text,
    encode_varint,
)

PAIRS_MAX = 128  # user properties, and subscription identifiers, of one packet: each costs 20 times its bytes in memory


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Properties:
    """Every property of MQTT 5; None or empty: not there. Names are the standard's, with their units."""

    payload_format_indicator: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_s: int | None = None
    assigned_client_identifier: str | None = None
    server_keepalive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: bool | None = None
    will_delay_s: int | None = None
    request_response_information: bool | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: bool | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_bytes: int | None = None
    wildcard_subscription_available: bool | None = None
    subscription_identifier_available: bool | None = None
    shared_subscription_available: bool | None = None

    def __post_init__(self) -> None:
        """Refuse values that have no form on the wire."""
        for definition in DEFINITIONS.values():
            value = definition.get(self)
            if value is None:
                continue
            for single in value if definition.is_repeated else (value,):
                definition.kind.check(single, definition)
        if len(self.user_properties) > PAIRS_MAX or len(self.subscription_identifiers) > PAIRS_MAX:
            raise EncodeError(f"at most {PAIRS_MAX} properties of one kind")
        if self.response_topic is not None and ("+" in self.response_topic or "#" in self.response_topic):
            raise EncodeError("a response topic holds no wildcard")  # section 3.3.2.3.5
        if self.authentication_data is not None and self.authentication_method is None:
            raise EncodeError("authentication data without a method")  # section 3.1.2.11.10

    def __repr__(self) -> str:
        """Name what is there: a packet has a few of them, never all."""
        values = ((definition.name, definition.get(self)) for definition in DEFINITIONS.values())
        return f"Properties({', '.join(f'{name}={value!r}' for name, value in values if value not in (None, ()))})"


# The value of a property is of the type its kind says; the table below is what ties the two together.
_Value: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyKind:
    """How the values of some properties are written, read and checked."""

    encode: Callable[[_Value], bytes]
    decode: Callable[[Cursor], _Value]
    check: "Callable[[_Value, PropertyDefinition], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyDefinition:
    """One property: its number, the field that holds it, and the packets that may carry it."""

    number: int
    name: str
    kind: PropertyKind
    packets: frozenset[PacketType]
    least: int = 0
    most: int = VARINT_MAX
    is_repeated: bool = False
    get: Callable[[Properties], _Value]


def _check_number(value: int, definition: PropertyDefinition) -> None:
    if not definition.least <= value <= definition.most:
        raise EncodeError(f"{definition.name} is {definition.least} to {definition.most}, not {value}")


def _check_text(value: str, definition: PropertyDefinition) -> None:
    check_text(value, name=definition.name)


def _check_binary(value: bytes, definition: PropertyDefinition) -> None:
    encode_binary(value)


def _check_pair(value: tuple[str, str], definition: PropertyDefinition) -> None:
    check_text(value[0], name=definition.name)
    check_text(value[1], name=definition.name)


def _decode_flag(cursor: Cursor) -> bool:
    start = cursor.position
    value = cursor.read_byte()
    if value > 1:
        raise PacketError(f"a flag is 0 or 1, not {value}", offset=start, reason=ReasonCode.PROTOCOL_ERROR)
    return value == 1


def _encode_byte(value: int) -> bytes:
    return bytes((value,))


def _encode_u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _encode_u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _encode_pair(pair: tuple[str, str]) -> bytes:
    return encode_text(pair[0]) + encode_text(pair[1])


def _decode_pair(cursor: Cursor) -> tuple[str, str]:
    return cursor.read_text(), cursor.read_text()


_BYTE = PropertyKind(encode=_encode_byte, decode=Cursor.read_byte, check=_check_number)
_FLAG = PropertyKind(encode=_encode_byte, decode=_decode_flag, check=_check_number)
_U16 = PropertyKind(encode=_encode_u16, decode=Cursor.read_u16, check=_check_number)
_U32 = PropertyKind(encode=_encode_u32, decode=Cursor.read_u32, check=_check_number)
_VARINT = PropertyKind(encode=encode_varint, decode=Cursor.read_varint, check=_check_number)
_TEXT = PropertyKind(encode=encode_text, decode=Cursor.read_text, check=_check_text)
_BINARY = PropertyKind(encode=encode_binary, decode=Cursor.read_binary, check=_check_binary)
_PAIR = PropertyKind(encode=_encode_pair, decode=_decode_pair, check=_check_pair)

_T = PacketType
_MESSAGE = frozenset({_T.PUBLISH, _T.WILL})
_OPENING = frozenset({_T.CONNECT, _T.CONNACK})
_AUTHENTICATION = _OPENING | {_T.AUTH}
_CONNACK = frozenset({_T.CONNACK})
_CONNECT = frozenset({_T.CONNECT})
_ANSWERS = frozenset({_T.PUBACK, _T.PUBREC, _T.PUBREL, _T.PUBCOMP, _T.SUBACK, _T.UNSUBACK})
_U32_MAX = 0xFFFF_FFFF
_U16_MAX = 0xFFFF


def _define(
    number: int,
    name: str,
    kind: PropertyKind,
    packets: frozenset[PacketType],
    *,
    least: int = 0,
    most: int = VARINT_MAX,
    is_repeated: bool = False,
) -> PropertyDefinition:
    return PropertyDefinition(
        number=number,
        name=name,
        kind=kind,
        packets=packets,
        least=least,
        most=most,
        is_repeated=is_repeated,
        get=attrgetter(name),
    )


DEFINITIONS: Mapping[int, PropertyDefinition] = MappingProxyType(
    {
        definition.number: definition
        for definition in (
            _define(0x01, "payload_format_indicator", _BYTE, _MESSAGE, most=1),
            _define(0x02, "message_expiry_s", _U32, _MESSAGE, most=_U32_MAX),
            _define(0x03, "content_type", _TEXT, _MESSAGE),
            _define(0x08, "response_topic", _TEXT, _MESSAGE),
            _define(0x09, "correlation_data", _BINARY, _MESSAGE),
            _define(
                0x0B,
                "subscription_identifiers",
                _VARINT,
                frozenset({_T.PUBLISH, _T.SUBSCRIBE}),
                least=1,
                is_repeated=True,
            ),
            _define(0x11, "session_expiry_s", _U32, _OPENING | {_T.DISCONNECT}, most=_U32_MAX),
            _define(0x12, "assigned_client_identifier", _TEXT, _CONNACK),
            _define(0x13, "server_keepalive_s", _U16, _CONNACK, most=_U16_MAX),
            _define(0x15, "authentication_method", _TEXT, _AUTHENTICATION),
            _define(0x16, "authentication_data", _BINARY, _AUTHENTICATION),
            _define(0x17, "request_problem_information", _FLAG, _CONNECT, most=1),
            _define(0x18, "will_delay_s", _U32, frozenset({_T.WILL}), most=_U32_MAX),
            _define(0x19, "request_response_information", _FLAG, _CONNECT, most=1),
            _define(0x1A, "response_information", _TEXT, _CONNACK),
            _define(0x1C, "server_reference", _TEXT, _CONNACK | {_T.DISCONNECT}),
            _define(0x1F, "reason_string", _TEXT, _ANSWERS | {_T.CONNACK, _T.DISCONNECT, _T.AUTH}),
            _define(0x21, "receive_maximum", _U16, _OPENING, least=1, most=_U16_MAX),
            _define(0x22, "topic_alias_maximum", _U16, _OPENING, most=_U16_MAX),
            _define(0x23, "topic_alias", _U16, frozenset({_T.PUBLISH}), most=_U16_MAX),
            _define(0x24, "maximum_qos", _BYTE, _CONNACK, most=1),
            _define(0x25, "retain_available", _FLAG, _CONNACK, most=1),
            _define(0x26, "user_properties", _PAIR, frozenset(_T) - {_T.PINGREQ, _T.PINGRESP}, is_repeated=True),
            _define(0x27, "maximum_packet_bytes", _U32, _OPENING, least=1, most=_U32_MAX),
            _define(0x28, "wildcard_subscription_available", _FLAG, _CONNACK, most=1),
            _define(0x29, "subscription_identifier_available", _FLAG, _CONNACK, most=1),
            _define(0x2A, "shared_subscription_available", _FLAG, _CONNACK, most=1),
        )
    }
)
"""The registry of MQTT 5.0 table 2-4, by number."""
_DEFINITIONS_IN_ORDER = tuple(DEFINITIONS.values())

NO_PROPERTIES = Properties()


def check_properties(properties: Properties, packet: PacketType) -> None:
    """Refuse properties this packet may not carry.

    Raises:
        EncodeError: one belongs to other packets.
    """
    if properties is NO_PROPERTIES:
        return
    for definition in _DEFINITIONS_IN_ORDER:
        if definition.get(properties) not in (None, ()) and packet not in definition.packets:
            raise EncodeError(f"{definition.name} does not belong into {packet.name}")
    # MQTT 5.0 section 3.8.2.1.2: a SUBSCRIBE has one identifier; only a PUBLISH of the server may have several.
    if packet is PacketType.SUBSCRIBE and len(properties.subscription_identifiers) > 1:
        raise EncodeError("a SUBSCRIBE has one subscription identifier")


def encode_properties(properties: Properties) -> bytes:
    """Write properties with their length, in the order of their numbers. They were checked when the packet was made."""
    if properties is NO_PROPERTIES:
        return b"\0"
    encoded = bytearray()
    for definition in _DEFINITIONS_IN_ORDER:
        value = definition.get(properties)
        if value is None:
            continue
        for single in value if definition.is_repeated else (value,):
            encoded.append(definition.number)
            encoded += definition.kind.encode(single)
    return encode_varint(len(encoded)) + encoded


def decode_properties(cursor: Cursor, packet: PacketType) -> Properties:
    """Read the properties of a packet, and the length before them.

    Raises:
        PacketError: a property unknown, out of range, given twice, or not of this packet.
    """
    length = cursor.read_varint()
    if not length:
        return NO_PROPERTIES
    start = cursor.position
    inner = Cursor(cursor.data, position=start, end=start + length)
    cursor.read_bytes(length)
    values: dict[str, _Value] = {}
    while not inner.is_at_end():
        _decode_property(inner, packet, values)
    try:
        return Properties(**values)
    except EncodeError as error:
        raise PacketError(str(error), offset=start, reason=ReasonCode.PROTOCOL_ERROR) from error


def _decode_property(inner: Cursor, packet: PacketType, values: dict[str, _Value]) -> None:
    start = inner.position
    number = inner.read_varint()
    definition = DEFINITIONS.get(number)
    if definition is None or packet not in definition.packets:
        raise PacketError(f"property {number:#04x} does not belong into {packet.name}", offset=start)
    value = definition.kind.decode(inner)
    if definition.is_repeated:
        earlier = values.get(definition.name, ())
        if len(earlier) >= PAIRS_MAX:
            raise PacketError(
                f"more than {PAIRS_MAX} {definition.name}",
                offset=start,
                reason=ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
            )
        values[definition.name] = (*earlier, value)
    elif definition.name in values:
        raise PacketError(f"{definition.name} twice", offset=start, reason=ReasonCode.PROTOCOL_ERROR)
    else:
        values[definition.name] = value
