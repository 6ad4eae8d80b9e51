"""The options that subcommands share, and the settings they lead to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.config import ConfigError, Settings, load_settings

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where everything is kept [COMMANDPOST_DATA_DIR; default ./commandpost-data].",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A TOML file with settings [COMMANDPOST_CONFIG].", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
ProductOption = Annotated[
    str | None,
    typer.Option("--product", metavar="ID", help="The product; needed where there are several.", show_default=False),
]


def read_settings(
    config_file: Path | None, data_dir: Path | None, *, http: list[str] | None = None, coap: list[str] | None = None
) -> Settings:
    """Read the settings as every subcommand does.

    Raises:
        CliFailure: something in them is not allowed.
    """
    flags = {
        "data_dir": None if data_dir is None else str(data_dir),
        "http.listen": ",".join(http) if http else None,
        "coap.listen": ",".join(coap) if coap else None,
    }
    try:
        return load_settings(config_file=config_file, environment=os.environ, flags=flags)
    except ConfigError as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error
