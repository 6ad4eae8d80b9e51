"""The numbers of MQTT's control packets and of its versions."""

from enum import IntEnum


class Version(IntEnum):
    """The protocol level of a CONNECT."""

    V3_1_1 = 4
    V5 = 5


class PacketType(IntEnum):
    """The upper four bits of a packet's first byte. Source: MQTT 5.0 table 2-1."""

    WILL = 0
    """Reserved on the wire. Here: the will inside a CONNECT, which has properties of its own."""
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15
    """MQTT 5 only."""
