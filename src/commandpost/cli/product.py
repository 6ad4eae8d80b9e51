"""`commandpost product create | list | set`."""

from enum import Enum
from typing import Annotated

import typer

from commandpost.cli.answers import print_fields, print_json, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

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
    from commandpost.cli.admin_client import call

    answer = call(
        read_settings(config, data_dir),
        "product.create",
        {
            "name": name,
            "product_id": product_id,
            "auto_discover": auto_discover,
            "imei_rule": _value(imei_rule),
            "allow_imei_only": allow_imei_only,
            "execute_delivery": _value(execute_delivery),
            "device_security": _value(device_security),
            "bootstrap_uri": bootstrap_uri,
            "bootstrap_secure_uri": bootstrap_secure_uri,
        },
        may_create=True,
    )
    if as_json:
        print_json(answer)
    else:
        print_fields({name: answer[name] for name in ("id", "name", "master_key", "access_key", "register_code")})


@app.command("list")
def list_products(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the products."""
    from commandpost.cli.admin_client import call

    answer = call(read_settings(config, data_dir), "product.list", {})
    if as_json:
        print_json(answer)
    else:
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
        print_table(answer, columns, empty="no products yet: `commandpost product create NAME` makes one")


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
    from commandpost.cli.admin_client import call

    answer = call(
        read_settings(config, data_dir),
        "product.set",
        {
            "product_id": product,
            "name": name,
            "auto_discover": auto_discover,
            "imei_rule": _value(imei_rule),
            "allow_imei_only": allow_imei_only,
            "execute_delivery": _value(execute_delivery),
            "device_security": _value(device_security),
            "bootstrap_uri": bootstrap_uri,
            "bootstrap_secure_uri": bootstrap_secure_uri,
        },
    )
    if as_json:
        print_json(answer)
    else:
        print_fields(answer)


def _value(choice: Enum | None) -> object:
    return None if choice is None else choice.value
