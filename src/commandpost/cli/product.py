"""`commandpost product create | list | set`."""

from enum import Enum
from functools import partial
from typing import Annotated, Any

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_fields, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption

app = typer.Typer(help="Products: the circles of keys, devices and commands.", no_args_is_help=True)


class ImeiRuleChoice(Enum):
    """What `--imei-rule` may be."""

    PERMISSIVE = "permissive"
    STRICT = "strict"


class DeliveryChoice(Enum):
    """What `--execute-delivery` may be."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class SecurityChoice(Enum):
    """What `--device-security` may be."""

    NOSEC = "nosec"
    NOSEC_AUTH_CODE = "nosec+auth_code"
    DTLS = "dtls"
    MIXED = "mixed"


AutoDiscoverOption = Annotated[
    bool | None,
    typer.Option("--auto-discover/--no-auto-discover", help="Ask devices for their resources when they register."),
]
ImeiRuleOption = Annotated[
    ImeiRuleChoice | None, typer.Option("--imei-rule", help="What IMEI and IMSI may look like; strict: 15 digits.")
]
ImeiOnlyOption = Annotated[
    bool | None,
    typer.Option("--allow-imei-only/--no-allow-imei-only", help="Let a device register with its IMEI alone."),
]
ExecuteDeliveryOption = Annotated[
    DeliveryChoice | None,
    typer.Option("--execute-delivery", help="The policy of an Execute whose caller names none."),
]
DeviceSecurityOption = Annotated[
    SecurityChoice | None,
    typer.Option("--device-security", help="How devices prove who they are; mixed: with DTLS or without."),
]
BootstrapUriOption = Annotated[
    str | None,
    typer.Option("--bootstrap-uri", help="Where a bootstrap sends devices: coap://A.B.C.D:PORT; '': the server's."),
]
BootstrapSecureUriOption = Annotated[
    str | None,
    typer.Option("--bootstrap-secure-uri", help="The same for devices with DTLS: coaps://A.B.C.D:PORT."),
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    product_id: Annotated[str | None, typer.Option("--id", help="Decimal digits; chosen if not given.")] = None,
    auto_discover: AutoDiscoverOption = None,
    imei_rule: ImeiRuleOption = None,
    allow_imei_only: ImeiOnlyOption = None,
    execute_delivery: ExecuteDeliveryOption = None,
    device_security: DeviceSecurityOption = None,
    bootstrap_uri: BootstrapUriOption = None,
    bootstrap_secure_uri: BootstrapSecureUriOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a product with its keys, and show them."""
    parameters = {
        "name": name,
        "product_id": product_id,
        "auto_discover": auto_discover,
        "imei_rule": _value(imei_rule),
        "allow_imei_only": allow_imei_only,
        "execute_delivery": _value(execute_delivery),
        "device_security": _value(device_security),
        "bootstrap_uri": bootstrap_uri,
        "bootstrap_secure_uri": bootstrap_secure_uri,
    }
    perform("product.create", parameters, config, data_dir, as_json=as_json, show=_print_created, may_create=True)


def _print_created(answer: Any) -> None:  # Any: JSON
    print_fields({name: answer[name] for name in ("id", "name", "master_key", "access_key", "register_code")})


@app.command("list")
def list_products(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the products."""
    columns = (
        "id",
        "name",
        "auto_discover",
        "imei_rule",
        "allow_imei_only",
        "execute_delivery",
        "device_security",
        "created_at",
    )
    show = partial(print_table, columns=columns, empty="no products yet: `commandpost product create NAME` makes one")
    perform("product.list", {}, config, data_dir, as_json=as_json, show=show)


@app.command("set")
def set_product(
    product: Annotated[str, typer.Argument(metavar="ID", help="The product.")],
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    auto_discover: AutoDiscoverOption = None,
    imei_rule: ImeiRuleOption = None,
    allow_imei_only: ImeiOnlyOption = None,
    execute_delivery: ExecuteDeliveryOption = None,
    device_security: DeviceSecurityOption = None,
    bootstrap_uri: BootstrapUriOption = None,
    bootstrap_secure_uri: BootstrapSecureUriOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given of a product; the rest stays as it is."""
    parameters = {
        "product_id": product,
        "name": name,
        "auto_discover": auto_discover,
        "imei_rule": _value(imei_rule),
        "allow_imei_only": allow_imei_only,
        "execute_delivery": _value(execute_delivery),
        "device_security": _value(device_security),
        "bootstrap_uri": bootstrap_uri,
        "bootstrap_secure_uri": bootstrap_secure_uri,
    }
    perform("product.set", parameters, config, data_dir, as_json=as_json, show=print_fields)


def _value(choice: Enum | None) -> object:
    return None if choice is None else choice.value
