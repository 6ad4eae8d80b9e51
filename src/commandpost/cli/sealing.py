"""`commandpost secrets rotate`."""

import typer

from commandpost.cli.answers import print_json
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

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
    from commandpost.cli.exit_codes import ExitCode
    from commandpost.cli.failures import CliFailure
    from commandpost.cli.start_refusals import refusing_to_start
    from commandpost.domain.errors import StoreUnavailable

    settings = read_settings(config, data_dir)
    if not settings.data_dir.is_dir():
        raise CliFailure(f"data directory {settings.data_dir} does not exist: there is nothing to do", ExitCode.USAGE)
    try:
        with refusing_to_start():
            change = change_key(settings)
    except StoreUnavailable as error:
        raise CliFailure(str(error), ExitCode.REFUSED) from error
    except OSError as error:
        raise CliFailure(f"{error.filename or settings.data_dir}: {error.strerror or error}") from error
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
