"""The reason codes of MQTT 5, the return codes of MQTT 3.1.1, and the way between them.

The engine speaks MQTT 5 codes throughout; only the wire of a 3.1.1 connection has the old ones.
Source: MQTT 5.0 section 2.4; MQTT 3.1.1 sections 3.2.2.3 and 3.9.3.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class ReasonCode(IntEnum):
    """What became of a request. Below 0x80: success. Source: MQTT 5.0 table 2-6."""

    SUCCESS = 0x00
    """Also: normal disconnection, granted QoS 0."""
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2

    @property
    def is_failure(self) -> bool:
        """Tell whether the request was refused (MQTT 5.0 section 2.4)."""
        return self >= 0x80


CONNACK_CODES_3_1_1: tuple[ReasonCode, ...] = (
    ReasonCode.SUCCESS,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    ReasonCode.SERVER_UNAVAILABLE,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED,
)
"""The six return codes of a 3.1.1 CONNACK, each at its number (MQTT 3.1.1 table 3.1)."""

# What else an owner may answer, as near as 3.1.1 can say it; anything not named is "server unavailable".
_CONNACK_NUMBERS_3_1_1: Mapping[ReasonCode, int] = MappingProxyType(
    {reason: number for number, reason in enumerate(CONNACK_CODES_3_1_1)}
    | {
        ReasonCode.BANNED: 5,
        ReasonCode.BAD_AUTHENTICATION_METHOD: 5,
        ReasonCode.QUOTA_EXCEEDED: 5,
        ReasonCode.USE_ANOTHER_SERVER: 5,
        ReasonCode.SERVER_MOVED: 5,
    }
)
SUBACK_FAILURE_3_1_1 = 0x80  # MQTT 3.1.1 section 3.9.3: the one way to say no


def connack_number_3_1_1(reason: ReasonCode) -> int:
    """Give the return code of a 3.1.1 CONNACK that says the same."""
    return _CONNACK_NUMBERS_3_1_1.get(reason, 3)


def suback_number_3_1_1(reason: ReasonCode) -> int:
    """Give the return code of a 3.1.1 SUBACK that says the same."""
    return SUBACK_FAILURE_3_1_1 if reason >= 0x80 else int(reason)


_R = ReasonCode
CONNACK_REASONS = frozenset(
    {
        _R.SUCCESS,
        *(reason for reason in _R if 0x80 <= reason <= 0x8A),
        _R.BAD_AUTHENTICATION_METHOD,
        _R.TOPIC_NAME_INVALID,
        _R.PACKET_TOO_LARGE,
        _R.QUOTA_EXCEEDED,
        _R.PAYLOAD_FORMAT_INVALID,
        _R.RETAIN_NOT_SUPPORTED,
        _R.QOS_NOT_SUPPORTED,
        _R.USE_ANOTHER_SERVER,
        _R.SERVER_MOVED,
        _R.CONNECTION_RATE_EXCEEDED,
    }
)
"""MQTT 5.0 table 3-1."""
PUBLISH_REASONS = frozenset(
    {
        _R.SUCCESS,
        _R.NO_MATCHING_SUBSCRIBERS,
        _R.UNSPECIFIED_ERROR,
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        _R.NOT_AUTHORIZED,
        _R.TOPIC_NAME_INVALID,
        _R.PACKET_IDENTIFIER_IN_USE,
        _R.QUOTA_EXCEEDED,
        _R.PAYLOAD_FORMAT_INVALID,
    }
)
"""Of PUBACK and PUBREC: MQTT 5.0 tables 3-4 and 3-5."""
RELEASE_REASONS = frozenset({_R.SUCCESS, _R.PACKET_IDENTIFIER_NOT_FOUND})
"""Of PUBREL and PUBCOMP: MQTT 5.0 tables 3-6 and 3-7."""
SUBACK_REASONS = frozenset(
    {
        _R.SUCCESS,
        _R.GRANTED_QOS_1,
        _R.GRANTED_QOS_2,
        _R.UNSPECIFIED_ERROR,
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        _R.NOT_AUTHORIZED,
        _R.TOPIC_FILTER_INVALID,
        _R.PACKET_IDENTIFIER_IN_USE,
        _R.QUOTA_EXCEEDED,
        _R.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        _R.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        _R.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
    }
)
"""MQTT 5.0 table 3-8."""
UNSUBACK_REASONS = frozenset(
    {
        _R.SUCCESS,
        _R.NO_SUBSCRIPTION_EXISTED,
        _R.UNSPECIFIED_ERROR,
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        _R.NOT_AUTHORIZED,
        _R.TOPIC_FILTER_INVALID,
        _R.PACKET_IDENTIFIER_IN_USE,
    }
)
"""MQTT 5.0 table 3-9."""
AUTH_REASONS = frozenset({_R.SUCCESS, _R.CONTINUE_AUTHENTICATION, _R.RE_AUTHENTICATE})
"""MQTT 5.0 table 3-11."""
DISCONNECT_REASONS = frozenset(
    {_R.SUCCESS, _R.DISCONNECT_WITH_WILL}
    | {
        reason
        for reason in _R
        if reason >= 0x80
        and reason
        not in {
            _R.UNSUPPORTED_PROTOCOL_VERSION,
            _R.CLIENT_IDENTIFIER_NOT_VALID,
            _R.BAD_USER_NAME_OR_PASSWORD,
            _R.SERVER_UNAVAILABLE,
            _R.BANNED,
            _R.PACKET_IDENTIFIER_IN_USE,
            _R.PACKET_IDENTIFIER_NOT_FOUND,
        }
    }
)
"""MQTT 5.0 table 3-10. Bad Authentication Method may follow a re-authentication."""
