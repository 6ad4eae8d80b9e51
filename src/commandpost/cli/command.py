"""`commandpost command list | show | cancel`."""

from typing import Annotated

import typer

from commandpost.cli.answers import print_fields, print_json, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, ProductOption, read_settings

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
    from commandpost.cli.admin_client import call

    parameters = {"product_id": product, "device": device, "before_seq": before, "limit": limit}
    answer = call(read_settings(config, data_dir), "command.list", parameters)
    if as_json:
        print_json(answer)
    else:
        columns = ("seq", "id", "imei", "mode", "operation", "state", "outcome", "created_at", "finished_at")
        print_table(answer, columns, empty="no commands here")


@app.command()
def show(
    command: CommandArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one command with every sending of it."""
    from commandpost.cli.admin_client import call

    answer = call(read_settings(config, data_dir), "command.show", {"command_id": command})
    if as_json:
        print_json(answer)
        return
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
    from commandpost.cli.admin_client import call

    answer = call(read_settings(config, data_dir), "command.cancel", {"command_id": command})
    if as_json:
        print_json(answer)
    else:
        print(f"command {command} was cancelled" + ("" if answer["cancelled"] else " already"))
