"""`commandpost audit list`."""

from typing import Annotated, Any

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption

app = typer.Typer(help="Who did what: calls that change something, and refused credentials.", no_args_is_help=True)

_COLUMNS = ("number", "at", "product_id", "actor", "key_title", "action", "target", "remote", "result", "times")


@app.command("list")
def list_entries(
    product: Annotated[
        str | None, typer.Option("--product", metavar="ID", help="Of one product; else of all.", show_default=False)
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="NUMBER", help="Entries older than this one.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many.")] = 100,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List entries, newest first. `times` counts calls of one second that differ in nothing else."""
    parameters = {"product_id": product, "before": before, "limit": limit}
    perform("audit.list", parameters, config, data_dir, as_json=as_json, show=_print_entries)


def _print_entries(answer: Any) -> None:  # Any: JSON
    print_table(answer["entries"], _COLUMNS, empty="nothing was done yet")
