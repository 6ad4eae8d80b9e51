"""`commandpost command list | show | cancel`."""

from functools import partial
from typing import Annotated, Any

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_fields, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, ProductOption

app = typer.Typer(help="What became of commands.", no_args_is_help=True)

CommandArgument = Annotated[str, typer.Argument(metavar="UUID", help="The command's id.")]


@app.command("list")
def list_commands(
    device: Annotated[
        str | None, typer.Option("--device", help="Only the cached commands of this device (id or IMEI).")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="SEQ", help="Only those older than this `seq`; turns the page.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many.")] = 30,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List commands, newest first."""
    parameters = {"product_id": product, "device": device, "before_seq": before, "limit": limit}
    columns = ("seq", "id", "imei", "mode", "operation", "state", "outcome", "created_at", "finished_at")
    show = partial(print_table, columns=columns, empty="no commands here")
    perform("command.list", parameters, config, data_dir, as_json=as_json, show=show)


@app.command()
def show(
    command: CommandArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one command with every sending of it."""
    perform("command.show", {"command_id": command}, config, data_dir, as_json=as_json, show=_print_command)


def _print_command(answer: Any) -> None:  # Any: JSON
    sendings = answer.pop("sendings")
    print_fields(answer)
    if sendings:
        columns = ("number", "sent_at", "ended_at", "outcome", "answer_code", "deadline", "late_answers")
        print_table(sendings, columns, empty="")


@app.command()
def cancel(
    command: CommandArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel a command that waits; one that is cancelled already stays so."""

    def tell(answer: Any) -> None:  # Any: JSON
        print(f"command {command} was cancelled" + ("" if answer["cancelled"] else " already"))

    perform("command.cancel", {"command_id": command}, config, data_dir, as_json=as_json, show=tell)
