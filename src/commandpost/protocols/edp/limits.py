"""How much an EDP connection holds and how long it waits.

Values are given by the owner; nothing here reads a configuration.
"""

from dataclasses import dataclass, fields
from typing import Final

KEEPALIVE_DEFAULT_S: Final = 300  # what keepalive 0 means, southbound reference 6.3
KEEPALIVE_TOLERANCE: Final = 1.5  # idle for longer than this many keepalives closes, southbound reference 6.8


@dataclass(frozen=True, slots=True, kw_only=True)
class EdpLimits:
    """Every bound of one connection. At a limit the owner is asked to pause, or the connection is closed."""

    message_bytes_max: int = 4 * 1024 * 1024  # the platform's own limit, southbound reference 6.1
    login_bytes_max: int = 4_096  # a login is some 50 bytes; its auth_info may be JSON of a few hundred
    held_before_login_bytes_max: int = 65_536  # what a device sends on without waiting for its CONN_RESP
    held_bytes_max: int = 5 * 1024 * 1024  # a largest message, and what one read of the owner may bring after it
    unacknowledged_saves_max: int = 100  # southbound reference 6.6
    unacknowledged_bytes_max: int = 8 * 1024 * 1024  # the same, in bytes: two largest reports
    events_max: int = 128  # more than one read of small messages brings usually; the rest stays undecoded meanwhile
    update_items_max: int = 64  # programs a device says it runs; the samples name one
    login_s: float = 30.0  # from the TCP connection to a whole CONN_REQ, southbound reference 6.8
    decision_s: float = 30.0  # from the CONN_REQ to the owner's answer; a store that takes longer is not there

    def __post_init__(self) -> None:
        """Refuse bounds with which no message could be taken."""
        for bound in fields(self):
            if getattr(self, bound.name) <= 0:
                raise ValueError(f"{bound.name} is more than 0, not {getattr(self, bound.name)}")
