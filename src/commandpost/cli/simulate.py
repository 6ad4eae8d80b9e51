"""`commandpost simulate`: devices that speak LwM2M over real UDP sockets, as many as wanted."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from commandpost.cli.answers import print_fields, print_json
from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings

if TYPE_CHECKING:
    from commandpost.config import Settings
    from commandpost.simulation.behaviours import Behaviour
    from commandpost.simulation.fleet_settings import FleetProgress, FleetSettings

PIPE_PROGRESS_S: Final = 5.0  # a log does not want a line a second

# Who listens everywhere is reached here.
_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound


def simulate(
    coap: Annotated[
        str | None,
        typer.Option("--coap", metavar="HOST:PORT", help="The server's CoAP address; not needed beside --data-dir."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many devices.")] = 1,
    imei_start: Annotated[
        int, typer.Option("--imei-start", metavar="IMEI", help="15 digits; the others count up from it.")
    ] = 860_000_000_000_001,
    lifetime: Annotated[
        int, typer.Option("--lifetime", min=5, max=2**32 - 1, metavar="S", help="Of a registration.")
    ] = 300,
    sleep: Annotated[
        float, typer.Option("--sleep", min=0, metavar="S", help="How long a sleep takes; 0: always awake.")
    ] = 0.0,
    awake: Annotated[
        float, typer.Option("--awake", min=0.001, metavar="S", help="How long it stays awake after its last datagram.")
    ] = 20.0,
    notify: Annotated[
        float | None,
        typer.Option("--notify", min=0, metavar="S", help="Between notifications; 0: once at every wake-up."),
    ] = None,
    loss: Annotated[
        float, typer.Option("--loss", min=0, max=1, metavar="P", help="Share of datagrams lost in each direction.")
    ] = 0.0,
    behaviour: Annotated[
        str,
        typer.Option(
            "--behaviour",
            metavar="NAME",
            help="How requests are treated: normal, silent, slow, answers-4.05, answers-5.00, answers-twice, "
            "moves-address, rst and more; a wrong name lists all.",
        ),
    ] = "normal",
    register_api: Annotated[
        str | None, typer.Option("--register-api", metavar="URL", help="Create the devices there first.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The api-key for --register-api.")] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", min=0, metavar="S", help="End after this; else run until interrupted.")
    ] = None,
    ramp: Annotated[
        float, typer.Option("--ramp", min=0.1, metavar="N", help="Devices switched on in a second.")
    ] = 200.0,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The same seed makes the same losses and values.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run simulated LwM2M devices with objects 3, 3303, 3306 and 3311.

    A line of progress goes to stderr, the last count to stdout. SIGINT and SIGTERM end it with 0.
    """
    from commandpost.config import parse_listen_address
    from commandpost.simulation.fleet_settings import FleetError, FleetSettings

    if coap is None:
        coap = asyncio.run(_ask_for_coap(read_settings(config, data_dir)))
    try:
        address = parse_listen_address(coap)
    except ValueError as error:
        raise CliFailure(f"--coap is {coap!r}: HOST:PORT or [IPV6]:PORT is allowed", ExitCode.USAGE) from error
    try:
        fleet = FleetSettings(
            coap_host=address.host,
            coap_port=address.port,
            count=count,
            imei_start=imei_start,
            lifetime_s=lifetime,
            sleep_s=sleep,
            awake_s=awake,
            notify_s=notify,
            loss=loss,
            behaviour=_parse_behaviour(behaviour),
            ramp_per_s=ramp,
            duration_s=duration,
            progress_s=1.0 if sys.stderr.isatty() else PIPE_PROGRESS_S,
            registry_url=register_api,
            api_key=key,
        )
    except FleetError as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error
    try:
        progress = asyncio.run(_run(fleet, seed))
    except FleetError as error:
        raise CliFailure(str(error)) from error
    summary = _summary(progress)
    if as_json:
        print_json(summary)
    else:
        print_fields(summary)


def _parse_behaviour(name: str) -> "Behaviour":
    from commandpost.simulation.behaviours import Behaviour

    try:
        return Behaviour(name.lower())
    except ValueError:
        names = ", ".join(each.value for each in Behaviour)
        raise CliFailure(f"--behaviour is {name!r}: {names} are allowed", ExitCode.USAGE) from None


async def _ask_for_coap(settings: "Settings") -> str:
    """Ask the server of the data directory where it hears devices."""
    from commandpost.cli.admin_client import connect

    connection = await connect(settings.data_dir)
    if connection is None:
        text = f"no server runs on {settings.data_dir}: name the address of one with --coap HOST:PORT"
        raise CliFailure(text, ExitCode.USAGE)
    try:
        status = await connection.call("server.status", {})
    finally:
        connection.close()
    assert isinstance(status, dict), "server.status tells an object"
    host, _, port = str(status["listeners"]["coap"][0]).rpartition(":")
    return f"{_THIS_MACHINE.get(host, host)}:{port}"


async def _run(fleet: "FleetSettings", seed: int | None) -> "FleetProgress":
    from random import Random

    from commandpost.app import SystemClock, SystemIds
    from commandpost.simulation.fleet import run_fleet

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    chance = Random(SystemIds().random_unit() if seed is None else seed)  # noqa: S311 - weather, not secrets
    line = _ProgressLine()
    try:
        return await run_fleet(fleet, clock=SystemClock(), random=chance, stop=stop, on_progress=line.show)
    finally:
        line.end()


class _ProgressLine:
    """One line on stderr that is written over on a terminal, and a line now and then in a log."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._write: Callable[[str], object] = sys.stderr.write

    def show(self, progress: "FleetProgress") -> None:
        text = (
            f"{progress.elapsed_s:6.0f} s  {progress.started} on, {progress.registered} registered, "
            f"{progress.awake} awake; {progress.requests} requests, {progress.done} done, {progress.failures} failures"
            f"; {progress.datagrams_sent} sent, {progress.datagrams_received} received"
        )
        self._write(f"\r\x1b[2K{text}" if self._is_live else f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._is_live:
            self._write("\n")


def _summary(progress: "FleetProgress") -> dict[str, object]:
    from dataclasses import asdict

    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(progress).items()}
