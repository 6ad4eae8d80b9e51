"""`commandpost`: the subcommands under one name, and how the process ends.

Only what the help text needs is imported here; a subcommand imports the rest when it runs, so that `--help` and
completion stay quick.
"""

from typing import Annotated

import typer

from commandpost import __version__
from commandpost.cli import audit, command, device, key, product, push, sealing
from commandpost.cli.config import config
from commandpost.cli.demo.command import demo
from commandpost.cli.doctor import doctor
from commandpost.cli.exit_codes import EXPLANATION
from commandpost.cli.failures import CliFailure, fail
from commandpost.cli.serve import serve
from commandpost.cli.simulate import simulate

app = typer.Typer(
    name="commandpost",
    help="A OneNET-compatible command platform for devices that sleep.",
    epilog=EXPLANATION,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.add_typer(product.app, name="product")
app.add_typer(key.app, name="key")
app.add_typer(device.app, name="device")
app.add_typer(command.app, name="command")
app.add_typer(push.app, name="push")
app.add_typer(audit.app, name="audit")
app.add_typer(sealing.app, name="secrets")
app.command()(config)
app.command()(doctor)
app.command()(simulate)
app.command()(demo)


def _print_version(value: bool) -> None:
    if value:
        print(f"commandpost {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and end the process."""
    try:
        app()
    except CliFailure as failure:
        fail(failure)
