"""Error -> errno and text: the only such table of the dialect.

Here: every fault the dialect knows, with its number for `/nbiot*` and for the rest, in both profiles. Not here: when
which fault is found. Source: northbound reference 2.1 to 2.4; texts captured from the live service are kept to the
letter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from commandpost.domain.audit import cut
from commandpost.domain.command import Outcome
from commandpost.domain.errors import (
    CommandpostError,
    DeviceOffline,
    Forbidden,
    Invalid,
    NotFound,
    NotWaiting,
    Overloaded,
    QueueFull,
    StoreUnavailable,
    Taken,
    Unauthenticated,
    WrongProtocol,
)
from commandpost.northbound.settings import ErrnoProfile
from commandpost.services.datapoints import TooManyStreams, TooMuchData
from commandpost.services.device_keys import TooManyKeys
from commandpost.services.rate_limits import TooFrequent

DETAIL_CHARACTERS_MAX: Final = 200  # what a caller sent is told back to it, but never at length


class Family(Enum):
    """Which of the two tables a call answers with."""

    NB = "nb"
    """`/nbiot*` and its aliases (northbound reference 2.1)."""
    GENERAL = "general"
    """Everything else (northbound reference 2.2)."""


class FaultKind(Enum):
    """What can be wrong with a call."""

    CREDENTIAL_MISSING = "credential missing"
    CREDENTIAL_WRONG = "credential wrong, or without the right"
    DEVICE_UNKNOWN = "device unknown"
    PARAMETER_MISSING = "parameter missing"
    BODY_MISSING = "body missing"
    BODY_MALFORMED = "body malformed"
    VALUE = "value"
    BODY_TOO_LARGE = "body too large"
    DEVICE_OFFLINE = "device offline"
    UNSUCCESS = "unsuccess"
    SYSTEM_LIMIT = "system limit"
    COMMAND_UNKNOWN = "command unknown"
    NOT_WAITING = "not waiting"
    EXISTS = "exists"
    STREAM_EXISTS = "datastream exists"
    DEVICES_TOO_MANY = "devices too many"
    PROTOCOL_UNKNOWN = "protocol unknown, or not one for this call"
    PATH_UNKNOWN = "path unknown"
    TOO_FREQUENT = "too frequent"
    INTERNAL = "internal"


class Fault(Exception):
    """A call cannot be answered well; `detail` names the field, what was found and what is allowed."""

    def __init__(self, kind: FaultKind, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind.value}: {detail}")


Numbered = tuple[int, str]

_INVALID: Final[Numbered] = (6, "invalid parameter")
_AUTH_FAILED: Final[Numbered] = (3, "auth failed")
_UNSUCCESS: Final[Numbered] = (16, "unsuccess")
_INTERNAL: Final[Numbered] = (1, "internal server error")
_NOT_FOUND: Final[Numbered] = (8, "not found")
_LIMIT: Final[Numbered] = (13, "system limit")

# kind: (/nbiot* documented, everything else, /nbiot* observed)
_NUMBERS: Final[Mapping[FaultKind, tuple[Numbered, Numbered, Numbered]]] = {
    FaultKind.CREDENTIAL_MISSING: ((1, "auth failed"), (2, "api-key required"), _AUTH_FAILED),
    FaultKind.CREDENTIAL_WRONG: ((1, "auth failed"), _AUTH_FAILED, _AUTH_FAILED),
    FaultKind.DEVICE_UNKNOWN: ((1, "auth failed"), _NOT_FOUND, _AUTH_FAILED),
    FaultKind.PARAMETER_MISSING: ((3, "parameter required"), (7, "parameter required"), (7, "parameter required")),
    FaultKind.BODY_MISSING: ((3, "entity data required"), (9, "entity data required"), (9, "entity data required")),
    FaultKind.BODY_MALFORMED: ((3, "invalid JSON"), (4, "invalid JSON"), (4, "invalid JSON")),
    FaultKind.VALUE: ((5108, "invalid parameter"), _INVALID, _INVALID),
    FaultKind.BODY_TOO_LARGE: (
        (5108, "invalid parameter"),
        (5, "request entity too large"),
        (5, "request entity too large"),
    ),
    FaultKind.DEVICE_OFFLINE: ((2001, "device not online"), (10, "device not online"), (14, "network latency")),
    FaultKind.UNSUCCESS: ((5106, "unsuccess"), _UNSUCCESS, _UNSUCCESS),
    FaultKind.SYSTEM_LIMIT: ((5006, "system limit"), _LIMIT, _LIMIT),
    FaultKind.COMMAND_UNKNOWN: ((5108, "invalid parameter"), _NOT_FOUND, _INVALID),
    FaultKind.NOT_WAITING: ((5106, "unsuccess"), _UNSUCCESS, _UNSUCCESS),
    FaultKind.EXISTS: ((5108, "invalid parameter"), (12, "already exists"), _INVALID),
    FaultKind.STREAM_EXISTS: ((5108, "invalid parameter"), (11, "datastream already exists"), _INVALID),
    FaultKind.DEVICES_TOO_MANY: ((5108, "invalid parameter"), (20, "at most 1000 devices in one call"), _INVALID),
    FaultKind.PROTOCOL_UNKNOWN: ((5108, "invalid parameter"), (22, "invalid protocol"), _INVALID),
    FaultKind.PATH_UNKNOWN: (_NOT_FOUND, _NOT_FOUND, _NOT_FOUND),
    FaultKind.TOO_FREQUENT: ((7, "internal server error"), (15, "api frequency out of limit"), _INTERNAL),
    FaultKind.INTERNAL: ((7, "internal server error"), _INTERNAL, _INTERNAL),
}


@dataclass(frozen=True, slots=True)
class ErrnoTable:
    """The numbers of one profile."""

    profile: ErrnoProfile

    def number(self, fault: Fault, family: Family) -> Numbered:
        """Give errno and text, `<base text>: <detail>`."""
        documented, general, observed = _NUMBERS[fault.kind]
        if family is Family.GENERAL:
            return _with_detail(general, fault.detail)
        if self.profile is ErrnoProfile.DOCUMENTED:
            return _with_detail(documented, fault.detail)
        return _as_captured(fault, observed)


def list_numbers() -> Iterator[tuple[str, str, str, str]]:
    """Give every fault with what it is answered with: `/nbiot*` documented, everything else, `/nbiot*` observed."""
    for kind, numbers in _NUMBERS.items():
        documented, general, observed = (f"{number} {text}" for number, text in numbers)
        yield kind.value, documented, general, observed


def _as_captured(fault: Fault, observed: Numbered) -> Numbered:
    """Write what the live service was seen to write (northbound reference 2.3)."""
    if observed is _AUTH_FAILED:
        return observed
    if fault.kind is FaultKind.DEVICE_OFFLINE:
        return _with_detail(observed, "network latency or device offline")
    if fault.kind is FaultKind.UNSUCCESS:
        return _with_detail(observed, f"{fault.detail} null")
    return _with_detail(observed, fault.detail)


def _with_detail(numbered: Numbered, detail: str) -> Numbered:
    number, base = numbered
    return (number, f"{base}: {printable(detail)}") if detail else numbered


def printable(found: object) -> str:
    """Give a text that is short and safe to show, whatever was sent."""
    return cut(str(found), DETAIL_CHARACTERS_MAX)


def unsuccess(outcome: Outcome) -> Fault:
    """Give the fault of a command that reached its device and failed there, or was not answered."""
    return Fault(FaultKind.UNSUCCESS, outcome.name)


def fault_of(error: CommandpostError) -> Fault:
    """Say what an error of a service is to a caller of the dialect."""
    match error:
        case Unauthenticated():
            if error.is_missing:
                return Fault(FaultKind.CREDENTIAL_MISSING, "header api-key is missing")
            return Fault(FaultKind.CREDENTIAL_WRONG, "api-key is not valid")
        case Forbidden():
            return Fault(FaultKind.CREDENTIAL_WRONG, str(error))
        case NotFound(kind="command"):
            return Fault(FaultKind.COMMAND_UNKNOWN, f"uuid {printable(error.key)} is not a command of this device")
        case NotFound():
            return Fault(FaultKind.DEVICE_UNKNOWN, f"{error.kind} {printable(error.key)}")
        case Taken(kind="auth_info"):
            return Fault(FaultKind.VALUE, f"auth_info exists::{error.key}")
        case Taken(kind="datastream"):
            return Fault(FaultKind.STREAM_EXISTS, printable(error.key))
        case Taken():
            return Fault(FaultKind.EXISTS, f"{error.kind} {printable(error.key)}")
        case Invalid():
            return invalid(error.field, error.found, error.allowed)
        case QueueFull() | TooManyKeys() | TooManyStreams() | TooMuchData():
            return Fault(FaultKind.SYSTEM_LIMIT, str(error))
        case TooFrequent():
            return Fault(FaultKind.TOO_FREQUENT, str(error))
        case WrongProtocol():
            return Fault(FaultKind.PROTOCOL_UNKNOWN, str(error))
        case NotWaiting():
            return Fault(FaultKind.NOT_WAITING, str(error))
        case DeviceOffline():
            return Fault(FaultKind.DEVICE_OFFLINE, str(error))
        case Overloaded():
            return Fault(FaultKind.INTERNAL, "overloaded, try again later")
        case StoreUnavailable():
            return Fault(FaultKind.INTERNAL, "the store is not available")
        case _:
            return Fault(FaultKind.INTERNAL)


def invalid(field: str, found: object, allowed: str) -> Fault:
    """Give the fault of a value that is not allowed."""
    shown = printable(found)
    return Fault(FaultKind.VALUE, f"{field} is {shown[:80]!r}: {allowed} is allowed")


def missing(name: str) -> Fault:
    """Give the fault of a parameter that has to be there."""
    return Fault(FaultKind.PARAMETER_MISSING, name)
