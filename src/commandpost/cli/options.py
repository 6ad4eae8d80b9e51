"""The options that subcommands share, and the settings they lead to."""

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.config import ConfigError, Settings, load_settings

Choice = TypeVar("Choice", bound=Enum)

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


def _listen(flag: str, help_text: str) -> Any:  # Any: what typer.Option itself gives
    return typer.Option(flag, metavar="HOST:PORT", help=f"{help_text} Repeatable.", show_default=False)


HttpOption = Annotated[list[str] | None, _listen("--http", "Where applications are heard [127.0.0.1:8080].")]
HttpsOption = Annotated[list[str] | None, _listen("--https", "The same over TLS; needs tls.certificate.")]
CoapOption = Annotated[list[str] | None, _listen("--coap", "Where devices are heard over UDP [0.0.0.0:5683].")]
CoapsOption = Annotated[
    list[str] | None, _listen("--coaps", "Where devices are heard over DTLS, such as 0.0.0.0:5684.")
]
MqttOption = Annotated[list[str] | None, _listen("--mqtt", "Where MQTT devices are heard, such as 0.0.0.0:6002.")]
MqttsOption = Annotated[list[str] | None, _listen("--mqtts", "The same over TLS; needs tls.certificate.")]
EdpOption = Annotated[list[str] | None, _listen("--edp", "Where EDP devices are heard, such as 0.0.0.0:876.")]


def read_settings(
    config_file: Path | None, data_dir: Path | None, *, listen: Mapping[str, list[str] | None] | None = None
) -> Settings:
    """Read the settings as every subcommand does.

    Args:
        listen: addresses given as flags, by key (`http.listen`); None or empty: not given.
    Raises:
        CliFailure: something in them is not allowed.
    """
    flags: dict[str, object | None] = {"data_dir": None if data_dir is None else str(data_dir)}
    flags |= {key: ",".join(addresses) if addresses else None for key, addresses in (listen or {}).items()}
    try:
        return load_settings(config_file=config_file, environment=os.environ, flags=flags)
    except ConfigError as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error


def parse_choice(flag: str, name: str, choices: type[Choice]) -> Choice:
    """Read one of a few names, for an option whose choices are too slow to import for a help text.

    Raises:
        CliFailure: it is none of them.
    """
    try:
        return choices(name.lower())
    except ValueError:
        names = ", ".join(each.value for each in choices)
        raise CliFailure(f"{flag} is {name!r}: {names} are allowed", ExitCode.USAGE) from None
