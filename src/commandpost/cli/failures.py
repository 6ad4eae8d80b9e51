"""What went wrong, as one line on stderr and an exit code: the only such table.

A fault of ours is no failure of this kind: it keeps its traceback.
"""

import sys
from collections.abc import Mapping
from typing import Final, NoReturn

from commandpost.cli.exit_codes import ExitCode

_CODES: Final[Mapping[str, ExitCode]] = {
    "not_found": ExitCode.NOT_FOUND,
    "invalid": ExitCode.USAGE,
    "unknown_call": ExitCode.FAILURE,
    "internal": ExitCode.FAILURE,
    "overloaded": ExitCode.UNAVAILABLE,
    "store_unavailable": ExitCode.UNAVAILABLE,
    "port": ExitCode.UNAVAILABLE,
}


class CliFailure(Exception):
    """Ends the process with one line on stderr."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILURE) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def exit_code_of(error_code: str) -> ExitCode:
    """Give the exit code for a refusal: what is not named was refused given what is."""
    return _CODES.get(error_code, ExitCode.REFUSED)


def fail(failure: CliFailure) -> NoReturn:
    """Say it and end."""
    print(f"commandpost: {failure}", file=sys.stderr)
    sys.exit(failure.exit_code)
