"""`commandpost doctor`: looks at the machine and says what to do about it."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from commandpost.cli.answers import print_json
from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.options import (
    CoapOption,
    CoapsOption,
    ConfigOption,
    DataDirOption,
    EdpOption,
    HttpOption,
    HttpsOption,
    JsonOption,
    MqttOption,
    MqttsOption,
    read_settings,
)

if TYPE_CHECKING:
    from commandpost.cli.doctor_checks import Check
    from commandpost.config import Settings

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    http: HttpOption = None,
    https: HttpsOption = None,
    coap: CoapOption = None,
    coaps: CoapsOption = None,
    mqtt: MqttOption = None,
    mqtts: MqttsOption = None,
    edp: EdpOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the machine: ports, data directory, disk, receive buffer, clock, and what strangers could do.

    Works beside a running server and before the first start. Ends with 1 when a check fails; a warning does not.
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
    from commandpost.cli.doctor_checks import State

    checks = asyncio.run(_examine(settings, config))
    is_well = all(check.state is not State.FAIL for check in checks)
    if as_json:
        rows = [
            {"name": check.name, "state": check.state.value, "found": check.found, "advice": check.advice}
            for check in checks
        ]
        print_json({"ok": is_well, "checks": rows})
    else:
        _print_checks(checks)
    raise typer.Exit(ExitCode.OK if is_well else ExitCode.FAILURE)


async def _examine(settings: "Settings", config: Path | None) -> "list[Check]":
    from commandpost.cli.failures import CliFailure
    from commandpost.northbound.admin_errors import AdminError

    try:
        return [*_run_checks(settings, config, await _ask_server(settings), None)]
    except (CliFailure, AdminError) as error:
        return [*_run_checks(settings, config, None, str(error))]


async def _ask_server(settings: "Settings") -> Mapping[str, object] | None:
    """Ask who serves this data directory, without taking its lock."""
    from commandpost.cli.admin_client import connect

    connection = await connect(settings.data_dir)
    if connection is None:
        return None
    try:
        answer = await connection.call("server.status", {})
    finally:
        connection.close()
    return answer if isinstance(answer, Mapping) else {}


def _run_checks(
    settings: "Settings", config: Path | None, serving: Mapping[str, object] | None, refusal: str | None
) -> "Iterator[Check]":
    from commandpost.app import SystemClock
    from commandpost.cli import doctor_checks as checks
    from commandpost.cli import doctor_security as security

    clock = SystemClock()
    yield from checks.check_listeners(settings, serving)
    yield from checks.check_data_dir(settings.data_dir)
    yield checks.check_server(settings.data_dir, serving, refusal)
    # Before the first start its disk is the one of the nearest folder that is there.
    folder = settings.data_dir.absolute()
    folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    yield checks.check_disk(folder)
    yield checks.check_fsync(folder, clock.monotonic)
    yield checks.check_receive_buffer(settings.coap.receive_buffer_bytes)
    yield checks.check_descriptors(settings)
    yield checks.check_clock(clock.wall_ms, clock.monotonic, settings.data_dir)
    yield checks.describe_limits(settings)
    yield from security.check_exposure(settings)
    yield from security.check_certificate(settings, clock.wall_ms())
    yield from security.check_keys(settings, serving)
    yield from security.check_secret_files(settings, config)


def _print_checks(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = max(len(check.name) for check in checks)
    for check in checks:
        line = Text(f"{check.state.value:<5}", style=_COLOURS[check.state.value])
        line.append(f"{check.name:<{width}}  {check.found}", style="default")
        console.print(line)
        if check.advice:
            console.print(Text(f"{'':<{width + 7}}{check.advice}"))
