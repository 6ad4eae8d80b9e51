"""Small typed identifiers, and how they are written.

Here: the types, reading the ids of products and devices, and text <-> bytes for command ids. Not here: making new
ids, which is the `IdSource` port's duty.
"""

from typing import Final, NewType

ProductId = NewType("ProductId", int)
"""A product, 1 .. 2**63-1. Written in decimal digits."""

DeviceId = NewType("DeviceId", int)
"""A device, 1 .. 2**32-1 (four bytes of it stand in every CoAP token we hand out). Written in decimal digits."""

CommandId = NewType("CommandId", bytes)
"""16 bytes, the first six of them Unix milliseconds, shaped like a UUID of version 5."""

AttemptId = NewType("AttemptId", int)
"""One sending of one command, 1 .. 2**63-1, ascending in time."""

StartId = NewType("StartId", int)
"""One run of one server process, 1 .. 2**63-1, so that a restart is told from the run before it."""

DEVICE_ID_MAX: Final = 2**32 - 1
ID_MAX: Final = 2**63 - 1  # of everything else that is numbered: what a store's integers hold

_COMMAND_ID_BYTES: Final = 16
_HYPHENS: Final = (8, 13, 18, 23)


def parse_product_id(text: str) -> ProductId | None:
    """Read the id of a product; None when the text can be none."""
    number = _parse_digits(text, ID_MAX)
    return None if number is None else ProductId(number)


def parse_device_id(text: str) -> DeviceId | None:
    """Read the id of a device; None when the text can be none."""
    number = _parse_digits(text, DEVICE_ID_MAX)
    return None if number is None else DeviceId(number)


def _parse_digits(text: str, number_max: int) -> int | None:
    if len(text) > len(str(number_max)) or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if 1 <= number <= number_max else None


def format_command_id(command_id: CommandId) -> str:
    """Write a command id as 36 characters of lower case UUID text."""
    text = command_id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_command_id(text: str) -> CommandId | None:
    """Read UUID text of 36 characters, either case; None when it is not that."""
    if len(text) != 36 or any(text[at] != "-" for at in _HYPHENS) or text.count("-") != len(_HYPHENS):
        return None
    digits = text.replace("-", "")
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    return CommandId(raw)


def shape_command_id(now_ms: int, random_bytes: bytes) -> CommandId:
    """Make a command id of a time and ten random bytes.

    Wire: 48 bits Unix milliseconds, version nibble 5, 12 random bits, variant bits 10, 62 random bits. Time goes
    first because time-ordered keys are half as dear again to insert as random ones are (design 4); the version
    digit is 5 because every id the dialect shows has it (northbound reference 1.6).
    """
    if len(random_bytes) != 10:
        raise ValueError(f"random_bytes has {len(random_bytes)} bytes: 10 are needed")
    raw = bytearray((now_ms & (2**48 - 1)).to_bytes(6, "big") + random_bytes)
    raw[6] = (raw[6] & 0x0F) | 0x50
    raw[8] = (raw[8] & 0x3F) | 0x80
    assert len(raw) == _COMMAND_ID_BYTES
    return CommandId(bytes(raw))
