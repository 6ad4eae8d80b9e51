"""What most subcommands do: perform one admin call, and print its answer for scripts or for people."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from commandpost.cli.answers import print_json
from commandpost.cli.options import read_settings


def perform(
    name: str,
    parameters: Mapping[str, object],
    config: Path | None,
    data_dir: Path | None,
    *,
    as_json: bool,
    show: Callable[[Any], object],  # Any: JSON
    may_create: bool = False,
) -> None:
    """Perform one call of the server that the options lead to, and print its answer.

    Args:
        parameters: those that are None are left out.
        show: prints the answer for people.
        may_create: whether a data directory that does not exist is made.
    Raises:
        CliFailure: the settings are not allowed, the call was refused, or nobody can be reached.
    """
    settings = read_settings(config, data_dir)
    from commandpost.cli.admin_client import call  # not before: `--help` and completion stay quick

    answer = call(settings, name, parameters, may_create=may_create)
    if as_json:
        print_json(answer)
    else:
        show(answer)
