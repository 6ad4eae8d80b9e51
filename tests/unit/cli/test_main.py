"""The subcommands: which there are, and what all of them share."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from commandpost import __version__
from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.main import app

LEAVES = [
    ["serve"],
    ["config"],
    ["doctor"],
    ["simulate"],
    ["demo"],
    ["product", "create"],
    ["product", "list"],
    ["product", "set"],
    ["key", "show"],
    ["key", "rotate"],
    ["device", "add"],
    ["device", "list"],
    ["device", "show"],
    ["device", "remove"],
    ["command", "list"],
    ["command", "show"],
    ["command", "cancel"],
    ["push", "add"],
    ["push", "list"],
    ["push", "remove"],
    ["push", "verify"],
    ["push", "failures"],
    ["push", "replay"],
    ["audit", "list"],
    ["secrets", "rotate"],
    ["secrets", "abandon"],
]


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_every_subcommand_takes_a_data_directory(leaf: list[str]) -> None:
    shown = CliRunner().invoke(app, [*leaf, "--help"])

    assert shown.exit_code == 0
    assert "--data-dir" in shown.output


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf not in (["serve"], ["demo"])], ids=" ".join)
def test_whatever_answers_can_answer_with_json(leaf: list[str]) -> None:
    assert "--json" in CliRunner().invoke(app, [*leaf, "--help"]).output


def test_the_list_above_is_complete() -> None:
    found = [[command.callback.__name__] for command in app.registered_commands if command.callback is not None]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found += [
            [str(group.name), command.name or command.callback.__name__]
            for command in group.typer_instance.registered_commands
            if command.callback is not None
        ]

    assert sorted(found) == sorted(LEAVES)


def test_the_help_explains_the_exit_codes() -> None:
    assert "Exit codes: 0 done" in " ".join(CliRunner().invoke(app, ["--help"]).output.split())


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"commandpost {__version__}\n"


@pytest.mark.parametrize("arguments", [["--nope"], ["nope"], ["product", "create"], ["simulate", "--count", "x"]])
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == ExitCode.USAGE


def test_the_help_loads_neither_server_nor_terminal_library() -> None:
    """Help and completion stay quick: what only a running subcommand needs is imported by it."""
    heavy = ("uvicorn", "rich", "cryptography", "sqlite3", "commandpost.app")
    program = f"import sys; import commandpost.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_config_shows_what_is_set_and_by_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMANDPOST_STORE_RETENTION_DAYS", "7")

    rows = json.loads(CliRunner().invoke(app, ["config", "--json"]).output)

    by_key = {row["key"]: row for row in rows}
    assert by_key["store.retention_days"]["variable"] == "COMMANDPOST_STORE_RETENTION_DAYS"
    assert by_key["store.retention_days"]["value"] == "7"
    assert by_key["store.retention_days"]["default"] == "180"
