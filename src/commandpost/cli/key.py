"""`commandpost key show | rotate`, and how the first product's key is shown."""

from enum import Enum
from typing import Annotated

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_fields
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, ProductOption

app = typer.Typer(help="The keys of a product.", no_args_is_help=True)


class KeyChoice(Enum):
    """Which key is meant."""

    MASTER = "master"
    ACCESS = "access"
    REGISTER = "register"


@app.command()
def show(
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a product's keys: MasterKey (the api-key of applications), access key (it signs tokens), register code."""
    perform("key.show", {"product_id": product}, config, data_dir, as_json=as_json, show=print_fields)


@app.command()
def rotate(
    product: ProductOption = None,
    kind: Annotated[KeyChoice, typer.Option("--kind", help="Which key.")] = KeyChoice.MASTER,
    overlap: Annotated[
        int,
        typer.Option(
            "--overlap",
            metavar="SECONDS",
            min=0,
            max=31_536_000,  # OVERLAP_S_MAX of the products; importing it here would slow every start
            help="How long the old key is good yet; 0: it is void at once, and all that were replaced before it.",
        ),
    ] = 0,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new key in place of one, which is refused from then on or after the overlap, and show all of them."""
    parameters = {"product_id": product, "kind": kind.value, "overlap_s": overlap or None}
    perform("key.rotate", parameters, config, data_dir, as_json=as_json, show=print_fields)


def format_first_key(*, product_id: int, name: str, master_key: str) -> str:
    """Say the key that was made at the first start; it is shown this once, and by `commandpost key show` after."""
    return (
        f"product {product_id} ({name}) was created; its MasterKey, the api-key of your applications, is\n"
        f"\n    {master_key}\n\n"
        f"`commandpost key show` tells it again, `commandpost key rotate` puts another in its place."
    )
