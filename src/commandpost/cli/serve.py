"""`commandpost serve`: runs the server until it is told to stop."""

import sys
from typing import TYPE_CHECKING

import typer

from commandpost.cli.key import format_first_key
from commandpost.cli.options import (
    CoapOption,
    CoapsOption,
    ConfigOption,
    DataDirOption,
    EdpOption,
    HttpOption,
    HttpsOption,
    MqttOption,
    MqttsOption,
    read_settings,
)
from commandpost.cli.start_refusals import refusing_to_start

if TYPE_CHECKING:
    from commandpost.services.products import CreatedProduct


def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    http: HttpOption = None,
    https: HttpsOption = None,
    coap: CoapOption = None,
    coaps: CoapsOption = None,
    mqtt: MqttOption = None,
    mqtts: MqttsOption = None,
    edp: EdpOption = None,
) -> None:
    """Run the server.

    When it accepts traffic it writes one line to stdout, `ready http=HOST:PORT coap=HOST:PORT`, with `https=`,
    `coaps=`, `mqtt=`, `mqtts=` and `edp=` where those are asked for; logs go to stderr. Port 0 means any free one.
    SIGTERM or SIGINT ends it within 5 seconds with exit code 0; SIGHUP reads the certificate again.
    """
    listen = {
        "http.listen": http,
        "http.tls_listen": https,
        "coap.listen": coap,
        "dtls.listen": coaps,
        "mqtt.listen": mqtt,
        "mqtt.tls_listen": mqtts,
        "edp.listen": edp,
    }
    settings = read_settings(config, data_dir, listen=listen)
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
