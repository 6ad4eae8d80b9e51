"""`commandpost audit list`."""

from typing import Annotated

import typer

from commandpost.cli.answers import print_json, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

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
    from commandpost.cli.admin_client import call

    parameters = {"product_id": product, "before": before, "limit": limit}
    answer = call(read_settings(config, data_dir), "audit.list", parameters)
    if as_json:
        print_json(answer)
    else:
        print_table(answer["entries"], _COLUMNS, empty="nothing was done yet")
