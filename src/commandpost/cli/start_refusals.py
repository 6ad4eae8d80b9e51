"""Why a data directory or an address cannot be used, as a failure of the command line.

Not here: the other failures (failures).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure


@contextmanager
def refusing_to_start() -> Iterator[None]:
    """Turn what `app` says of a start that cannot be into a line and exit code 2.

    A store that breaks later is no such thing: `serve` gives its own exit code for it.

    Raises:
        CliFailure: it said so.
    """
    from commandpost.app import CannotStart
    from commandpost.stores.errors import DatabaseRefused, DataDirectoryLocked, KeyFileRefused
    from commandpost.stores.model_files import ModelFileError

    try:
        yield
    except (CannotStart, DataDirectoryLocked, DatabaseRefused, KeyFileRefused, ModelFileError) as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error
