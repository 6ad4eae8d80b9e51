"""`commandpost serve`: runs the server until it is told to stop."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from commandpost.cli.key import format_first_key
from commandpost.cli.options import ConfigOption, DataDirOption, read_settings
from commandpost.cli.start_refusals import refusing_to_start

if TYPE_CHECKING:
    from commandpost.services.products import CreatedProduct


def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    http: Annotated[
        list[str] | None,
        typer.Option("--http", metavar="HOST:PORT", help="Where applications are heard [127.0.0.1:8080]; repeatable."),
    ] = None,
    coap: Annotated[
        list[str] | None,
        typer.Option(
            "--coap", metavar="HOST:PORT", help="Where devices are heard over UDP [0.0.0.0:5683]; repeatable."
        ),
    ] = None,
) -> None:
    """Run the server.

    When it accepts traffic it writes one line to stdout, `ready http=HOST:PORT coap=HOST:PORT`; logs go to stderr. Port
    0 means any free one. SIGTERM or SIGINT ends it within 5 seconds with exit code 0.
    """
    settings = read_settings(config, data_dir, http=http, coap=coap)
    from commandpost import app

    with refusing_to_start():
        exit_code = app.serve(settings, on_ready=_print_ready, on_first_product=_print_first_key)
    raise typer.Exit(exit_code)


def _print_ready(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print_first_key(created: "CreatedProduct") -> None:
    product = created.product
    text = format_first_key(product_id=product.id, name=product.name, master_key=created.keys.master_key)
    print(text, file=sys.stderr, flush=True)
