"""Why a connection is closed or a login refused: the code tables of EDP 1.6 (southbound reference 6.3 and 6.4)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from commandpost.protocols.edp.messages import MessageType


class CloseCode(IntEnum):
    """The code of a CONN_CLOSE. The reference names ranges where the document's single meanings are not known."""

    UNKNOWN = 1
    SERVER_UNAVAILABLE = 2
    TYPE_PARSE = 3
    UNKNOWN_TYPE = 4
    LENGTH = 5
    TIMEOUT = 6
    ENCRYPTION = 10
    PROTOCOL_NAME = 20
    PROTOCOL_VERSION = 21
    CONNECT_FLAGS = 22
    AUTH_FLAG_MISSING = 23
    KEEPALIVE = 24
    DEVICE_ID = 25
    PRODUCT_ID = 26
    AUTH_EMPTY = 27
    LOGGED_IN_ELSEWHERE = 28
    WRONG_DEVICE_OR_KEY = 32
    PRODUCT_MISMATCH = 33
    AUTH_NOT_JSON = 34
    WRONG_PRODUCT_OR_AUTH = 35
    NO_SUCH_DEVICE = 36
    FLAG_COMBINATION = 37
    OTHER_CREDENTIALS = 38
    BLACK_LISTED = 39
    PUSH_DATA = 50
    SAVE_DATA = 60
    COMMAND_ANSWER_BEFORE_LOGIN = 100
    COMMAND_ID = 101
    COMMAND_LENGTH = 102
    PING_BEFORE_LOGIN = 110


class LoginCode(IntEnum):
    """The code of a CONN_RESP."""

    ACCEPTED = 0
    PROTOCOL_ERROR = 1
    DEVICE_AUTH_FAILED = 2
    SERVER_FAILURE = 3
    PRODUCT_AUTH_FAILED = 4
    NOT_AUTHORISED = 5
    INVALID_AUTH_CODE = 6
    INVALID_ACTIVATION_CODE = 7
    ALREADY_ACTIVATED = 8
    REPEATED_CONNECT = 9


CODES_BEFORE_LOGIN: Final[Mapping[MessageType, CloseCode]] = {
    MessageType.CMD_RESP: CloseCode.COMMAND_ANSWER_BEFORE_LOGIN,
    MessageType.PING_REQ: CloseCode.PING_BEFORE_LOGIN,
    MessageType.PUSH_DATA: CloseCode.PUSH_DATA,
    MessageType.SAVE_DATA: CloseCode.SAVE_DATA,
    MessageType.ENCRYPT_REQ: CloseCode.ENCRYPTION,
}
"""How a message that comes too early is refused, by its type; CloseCode.UNKNOWN_TYPE for the others."""
