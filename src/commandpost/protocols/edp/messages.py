"""EDP messages as records, and the limits of their fields. What can be constructed can be encoded.

Source: OneNET EDP 1.6; southbound reference 6.2 to 6.7.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from commandpost.protocols.errors import EncodeError

STRING_BYTES_MAX: Final = 65_535  # the length field has 16 bits
COMMAND_ID_BYTES_MAX: Final = 128  # the platform's own have 36 characters
COMMAND_PAYLOAD_BYTES_MAX: Final = 65_535  # "less than 64K", northbound reference 6.1
PUSH_PAYLOAD_BYTES_MAX: Final = 3 * 1024 * 1024  # southbound reference 6.7
MESSAGE_ID_MAX: Final = 65_535  # the field has 16 bits; 0 is none
KEEPALIVE_MAX_S: Final = 65_535  # the field has 16 bits


class MessageType(IntEnum):
    """The upper four bits of a message's first byte."""

    CONN_REQ = 1
    CONN_RESP = 2
    PUSH_DATA = 3
    CONN_CLOSE = 4
    UPDATE_REQ = 5
    UPDATE_RESP = 6
    SUB_DEVICE = 7
    SAVE_DATA = 8
    SAVE_ACK = 9
    CMD_REQ = 10
    CMD_RESP = 11
    PING_REQ = 12
    PING_RESP = 13
    ENCRYPT_REQ = 14
    ENCRYPT_RESP = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """A CONN_REQ. Form 1 has a device id and an api-key; form 2 a product id and the device's auth_info."""

    device_id: str
    product_id: str | None
    auth: bytes = field(repr=False)  # a record may end up in a log
    keepalive_s: int

    def __post_init__(self) -> None:
        """Refuse what a server would not take."""
        if not self.auth or not 0 <= self.keepalive_s <= KEEPALIVE_MAX_S:
            raise EncodeError(f"{len(self.auth)} bytes of auth and keepalive {self.keepalive_s}: some, and 0 to 65535")
        if not (self.device_id if self.product_id is None else self.product_id):
            raise EncodeError("a login names its device, or its product")
        for text in (self.device_id.encode(), (self.product_id or "").encode(), self.auth):
            _check_bytes("a login's text", text, STRING_BYTES_MAX)

    @property
    def form(self) -> int:
        """Give 1 for device id and api-key, 2 for product id and auth_info."""
        return 1 if self.product_id is None else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveHeader:
    """What stands before the report in a SAVE_DATA message."""

    device_id: str | None = None
    """To a server: whom to forward to as well. From it: whose data this is."""
    message_id: int | None = None
    """1 to 65535 where a SAVE_ACK is wanted."""

    def __post_init__(self) -> None:
        """Refuse a message id that is none."""
        if self.message_id is not None and not 1 <= self.message_id <= MESSAGE_ID_MAX:
            raise EncodeError(f"message id {self.message_id} is not 1 to {MESSAGE_ID_MAX}")
        if self.device_id is not None:
            _check_bytes("a device id", self.device_id.encode(), STRING_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMessage:
    """A CMD_REQ or a CMD_RESP: they look alike."""

    command_id: str
    payload: bytes

    def __post_init__(self) -> None:
        """Refuse an id that no device would take."""
        if not self.command_id:
            raise EncodeError("a command has an id")
        _check_bytes("a command id", self.command_id.encode(), COMMAND_ID_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionRequest:
    """An ENCRYPT_REQ: the device's RSA key of 1024 bits, and the number of the cipher it wants."""

    exponent: int
    modulus: int
    algorithm: int


def _check_bytes(what: str, data: bytes, bytes_max: int) -> None:
    if len(data) > bytes_max:
        raise EncodeError(f"{what} has {len(data)} bytes: at most {bytes_max} are allowed")
