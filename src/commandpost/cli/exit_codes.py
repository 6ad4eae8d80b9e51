"""How a process of ours may end. Scripts rely on these numbers: none is ever given another meaning."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """The exit codes of every subcommand."""

    OK = 0
    """Done, or it was so already."""
    FAILURE = 1
    """It was tried and did not work."""
    USAGE = 2
    """Not even tried: a bad flag or setting, a data directory in use, an address that cannot be bound."""
    NOT_FOUND = 3
    """The product, device or command does not exist."""
    REFUSED = 4
    """What is asked cannot be, given what is: a taken IMEI, a command that does not wait."""
    UNAVAILABLE = 5
    """The server or the disk does not answer now; trying again later makes sense."""


EXPLANATION: Final = (
    "Exit codes: 0 done, or it was so already; 1 it was tried and did not work; 2 a bad flag or setting, a data "
    "directory in use, an address that cannot be bound; 3 not found; 4 refused, given what is; 5 not available now."
)
