"""`commandpost secrets rotate | abandon`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from commandpost.cli.answers import print_json
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

if TYPE_CHECKING:
    from commandpost.config import Settings

app = typer.Typer(help="The key that seals secrets at rest.", no_args_is_help=True)


@app.callback()
def _secrets() -> None:
    pass


@app.command()
def rotate(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make a new sealing key and seal everything with it anew.

    Beside a running server the new key is only made: the server changes over at its next start, before it is ready.
    Backups made before need the key file of their time.
    """
    from commandpost.app import change_key

    settings = read_settings(config, data_dir)
    with _on_data_directory(settings):
        change = change_key(settings)
    if as_json:
        print_json(
            {
                "done": change.is_done,
                "key_file": str(change.key_file),
                "resealed": change.count.resealed,
                "unreadable": change.count.unreadable,
            }
        )
    elif change.is_done:
        print(f"{change.count.resealed} secrets are sealed with the new key in {change.key_file}")
    else:
        print("a server has the data directory: the new key is made, restart the server to change over to it")


@app.command()
def abandon(
    is_confirmed: Annotated[
        bool, typer.Option("--yes", help="Do it; without this only what would go is told, and nothing changes.")
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on without a sealing key that is lost for good: make a new one, and put away what nobody can read any more.

    Only with the server stopped, and only if something cannot be read. Devices, commands, history and datapoints stay.
    """
    from commandpost.app import abandon_lost_secrets
    from commandpost.cli.abandonment import abandonment_to_json, describe_abandonment

    settings = read_settings(config, data_dir)
    with _on_data_directory(settings):
        abandonment = abandon_lost_secrets(settings, is_confirmed=is_confirmed)
    if as_json:
        print_json(abandonment_to_json(abandonment))
    else:
        print("\n".join(describe_abandonment(abandonment)))


@contextmanager
def _on_data_directory(settings: "Settings") -> Iterator[None]:
    """Turn what keeps a call from working on the data directory into a line and an exit code.

    Raises:
        CliFailure: it is not there, somebody has it, or what is in it does not allow the call.
    """
    from commandpost.app import NothingToAbandon
    from commandpost.cli.exit_codes import ExitCode
    from commandpost.cli.failures import CliFailure
    from commandpost.cli.start_refusals import refusing_to_start
    from commandpost.domain.errors import StoreUnavailable

    if not settings.data_dir.is_dir():
        raise CliFailure(f"data directory {settings.data_dir} does not exist: there is nothing to do", ExitCode.USAGE)
    try:
        with refusing_to_start():
            yield
    except (StoreUnavailable, NothingToAbandon) as error:
        raise CliFailure(str(error), ExitCode.REFUSED) from error
    except OSError as error:
        raise CliFailure(f"{error.filename or settings.data_dir}: {error.strerror or error}") from error
