"""`commandpost device add | list | show | remove`."""

from typing import Annotated, Any

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_fields, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, ProductOption

app = typer.Typer(help="Devices; those of LwM2M can be added here.", no_args_is_help=True)

DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="A device's id, or its IMEI.")]


@app.command()
def add(
    imei: Annotated[str, typer.Argument(help="The IMEI: the first part of the name it registers with.")],
    imsi: Annotated[str, typer.Argument(help="The IMSI: the second part.")] = "",
    title: Annotated[str, typer.Option("--title", help="What people call it; the IMEI if not given.")] = "",
    description: Annotated[str, typer.Option("--description", help="More words.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")] = None,
    auto_observe: Annotated[
        bool, typer.Option("--auto-observe/--no-auto-observe", help="Observe its objects when it registers.")
    ] = True,
    auth_code: Annotated[str | None, typer.Option("--auth-code", help="Asked for at registration.")] = None,
    psk: Annotated[str | None, typer.Option("--psk", help="The pre-shared key for DTLS.")] = None,
    psk_hex: Annotated[str | None, typer.Option("--psk-hex", help="The same in hexadecimal digits.")] = None,
    psk_identity: Annotated[
        str | None, typer.Option("--psk-identity", help="A DTLS identity beside IMEI and IMEI;IMSI.")
    ] = None,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a device."""
    parameters = {
        "product_id": product,
        "imei": imei,
        "imsi": imsi,
        "title": title,
        "description": description,
        "tags": tag or [],
        "auto_observe": auto_observe,
        "auth_code": auth_code,
        "psk": psk,
        "psk_hex": psk_hex,
        "psk_identity": psk_identity,
    }
    perform("device.add", parameters, config, data_dir, as_json=as_json, show=_print_added)


def _print_added(answer: Any) -> None:  # Any: JSON
    print(f"device {answer['id']} with IMEI {answer['imei']} was added to product {answer['product_id']}")


@app.command("list")
def list_devices(
    key_words: Annotated[str, typer.Option("--key-words", help="What id or title begin with.")] = "",
    online: Annotated[bool | None, typer.Option("--online/--offline", help="Only those.")] = None,
    page: Annotated[int, typer.Option("--page", min=1, max=10_000, help="Which page, from 1.")] = 1,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Devices of a page.")] = 100,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a product's devices."""
    parameters = {"product_id": product, "key_words": key_words, "online": online, "page": page, "limit": limit}
    perform("device.list", parameters, config, data_dir, as_json=as_json, show=_print_page)


def _print_page(answer: Any) -> None:  # Any: JSON
    columns = ("id", "protocol", "imei", "title", "online", "last_heard_at", "manufacturer", "model")
    print_table(answer["devices"], columns, empty="no devices here")
    if answer["devices"] and answer["total"] > len(answer["devices"]):
        print(f"{len(answer['devices'])} of {answer['total']} devices: --page tells which")


@app.command()
def show(
    device: DeviceArgument,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one device, and what is known of its objects."""
    parameters = {"product_id": product, "device": device}
    perform("device.show", parameters, config, data_dir, as_json=as_json, show=_print_device)


def _print_device(answer: Any) -> None:  # Any: JSON
    resources = answer.pop("resources")
    print_fields(answer)
    for each in resources:
        for instance in each["instances"]:
            ids = " ".join(map(str, instance["resource_ids"]))
            print(f"/{each['object_id']}/{instance['instance_id']}  {ids}".rstrip())


@app.command()
def remove(
    device: DeviceArgument,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a device with its commands and their history; one that is not there counts as removed."""

    def tell(answer: Any) -> None:  # Any: JSON
        print(f"device {device} was removed" if answer["removed"] else f"device {device} is not there")

    parameters = {"product_id": product, "device": device}
    perform("device.remove", parameters, config, data_dir, as_json=as_json, show=tell)
