"""The kinds of values a setting can have: how each is read from TOML or from text, and what is allowed.

Not here: which settings there are (settings), and where they come from (loading).
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

ValueT = TypeVar("ValueT")
ChoiceT = TypeVar("ChoiceT", bound=Enum)

LISTENERS_MAX: Final = 8  # per protocol; more than the interfaces of an ordinary machine
MASTER_KEY_CHARACTERS_MIN: Final = 8  # below that a key can be found by trying
MASTER_KEY_CHARACTERS_MAX: Final = 128  # what fits any client's header handling
SECRET_KEY_BYTES: Final = 32  # AES-256


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where to listen; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind(Generic[ValueT]):
    """How a value is read, from TOML or from text; `read` raises ValueError for what is not allowed."""

    read: Callable[[object], ValueT]
    allowed: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    """What stands behind a field."""

    kind: Kind[Any]  # Any: every field has its own
    what: str


def means(kind: Kind[Any], what: str) -> Mapping[str, Meaning]:  # Any: as above
    """Give the metadata of a dataclass field."""
    return {"meaning": Meaning(kind, what)}


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise ValueError
    return found.strip()


def _read_whole(found: object) -> int:
    if isinstance(found, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", found.strip()):
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    raise ValueError


def whole(lowest: int, highest: int) -> Kind[int]:
    """A whole number, both ends included."""

    def read(found: object) -> int:
        value = _read_whole(found)
        if not lowest <= value <= highest:
            raise ValueError
        return value

    return Kind(read, f"a whole number from {lowest} to {highest}")


def number(lowest: float, highest: float) -> Kind[float]:
    """A finite number, both ends included."""

    def read(found: object) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            raise ValueError
        value = float(found)
        if not math.isfinite(value) or not lowest <= value <= highest:
            raise ValueError
        return value

    return Kind(read, f"a number from {lowest:g} to {highest:g}")


def choice(choices: type[ChoiceT]) -> Kind[ChoiceT]:
    """One of the values of an enum."""
    return Kind(lambda found: choices(_text(found).lower()), " or ".join(choice.value for choice in choices))


def _read_truth(found: object) -> bool:
    if isinstance(found, bool):
        return found
    return {"true": True, "1": True, "false": False, "0": False}[_text(found).lower()]


def _read_path(found: object) -> Path:
    text = _text(found)
    if not text or "\0" in text:
        raise ValueError
    return Path(text).expanduser()


def _read_block_bytes(found: object) -> int:
    value = _read_whole(found)
    if value not in _BLOCK_SIZES:
        raise ValueError
    return value


def _read_object_ids(found: object) -> tuple[int, ...]:
    parts = found if isinstance(found, list) else [part for part in _text(found).split(",") if part.strip()]
    ids = tuple(sorted({_read_whole(part) for part in parts}))
    if any(not 0 <= number <= 65_535 for number in ids):
        raise ValueError
    return ids


def _read_utc_offset(found: object) -> timedelta:
    match = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", _text(found), re.ASCII)
    if match is None or int(match[3]) > 59 or int(match[2]) * 60 + int(match[3]) > 14 * 60:
        raise ValueError
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -offset if match[1] == "-" else offset


def _read_master_key(found: object) -> str:
    key = _text(found)
    if not re.fullmatch(rf"[\x21-\x7e]{{{MASTER_KEY_CHARACTERS_MIN},{MASTER_KEY_CHARACTERS_MAX}}}", key):
        raise ValueError
    return key


def _read_secret_key(found: object) -> bytes:
    key = bytes.fromhex(_text(found))
    if len(key) != SECRET_KEY_BYTES:
        raise ValueError
    return key


def parse_listen_address(text: str) -> ListenAddress:
    """Read `HOST:PORT` or `[IPV6]:PORT`.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s:\[\]/@]+)):([0-9]{1,5})", text.strip())
    if match is None or int(match[3]) > 65_535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    if match[1] is not None:
        ipaddress.IPv6Address(match[1])
    elif re.fullmatch(r"[0-9.]+", match[2]):
        ipaddress.IPv4Address(match[2])
    return ListenAddress(host=match[1] or match[2], port=int(match[3]))


def _module_uri(scheme: str) -> Kind[str]:
    """A URI as OneNET modules can read it: they cut it by fixed lengths (southbound reference 1.3)."""

    def read(found: object) -> str:
        uri = _text(found)
        match = re.fullmatch(rf"{scheme}://([0-9.]{{7,15}}):[1-9][0-9]{{3}}", uri, re.ASCII)
        if match is None:
            raise ValueError
        ipaddress.IPv4Address(match[1])
        return uri

    return Kind(read, f"{scheme}://A.B.C.D:PORT with a port of four digits")


def _read_addresses(found: object) -> tuple[ListenAddress, ...]:
    parts = list(found) if isinstance(found, list | tuple) else _text(found).split(",")
    if not 1 <= len(parts) <= LISTENERS_MAX:
        raise ValueError
    return tuple(parse_listen_address(_text(part)) for part in parts)


_BLOCK_SIZES: Final = (16, 32, 64, 128, 256, 512, 1024)  # RFC 7959 section 2.2
TRUTH: Final = Kind(_read_truth, "true or false")
PATH: Final = Kind(_read_path, "a path")
ADDRESSES: Final = Kind(
    _read_addresses, "HOST:PORT or [IPV6]:PORT with a port from 0 (any free one) to 65535, several with commas between"
)
BLOCK_BYTES: Final = Kind(_read_block_bytes, " or ".join(map(str, _BLOCK_SIZES)))
OBJECT_IDS: Final = Kind(_read_object_ids, "a list of object ids from 0 to 65535")
UTC_OFFSET: Final = Kind(_read_utc_offset, "+HH:MM or -HH:MM, at most 14 hours,")
MASTER_KEY: Final = Kind(
    _read_master_key,
    f"{MASTER_KEY_CHARACTERS_MIN} to {MASTER_KEY_CHARACTERS_MAX} visible ASCII characters",
    is_secret=True,
)
MODULE_URI: Final = _module_uri("coap")
SECURE_MODULE_URI: Final = _module_uri("coaps")
SECRET_KEY: Final = Kind(_read_secret_key, f"{SECRET_KEY_BYTES * 2} hexadecimal digits", is_secret=True)
