"""`commandpost simulate`: devices that speak LwM2M, MQTT or EDP over real sockets, as many as wanted.

Here: what is typed, and LwM2M fleets. Not here: what is typed for MQTT and EDP only (simulate_streams).
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from commandpost.cli import simulate_streams as streams
from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.cli.fleet_run import progress_s, run_and_tell
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, parse_choice, read_settings

if TYPE_CHECKING:
    from commandpost.config import Settings
    from commandpost.simulation.fleet_settings import FleetProgress

LWM2M_ONLY: Final = frozenset({"imei_start", "lifetime", "loss", "bootstrap"})
DTLS_ONLY: Final = frozenset({"psk", "connection_id"})
MQTT_ONLY: Final = frozenset({"mqtt_version", "qos", "keep_session"})
EDP_ONLY: Final = frozenset({"edp_login"})
STREAMS_ONLY: Final = frozenset({"product", "auth_info", "device_id", "keepalive", "report_types", "slow_answer"})

# Who listens everywhere is reached here.
_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound


def simulate(
    context: typer.Context,
    coap: Annotated[
        str | None,
        typer.Option("--coap", metavar="HOST:PORT", help="The server's CoAP address; not needed beside --data-dir."),
    ] = None,
    coaps: Annotated[
        str | None,
        typer.Option("--coaps", metavar="HOST:PORT", help="The server's CoAP address with DTLS; needs --psk."),
    ] = None,
    mqtt: streams.MqttTarget = None,
    mqtts: streams.MqttsTarget = None,
    edp: streams.EdpTarget = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many devices.")] = 1,
    imei_start: Annotated[
        int, typer.Option("--imei-start", metavar="IMEI", help="LwM2M: 15 digits; the others count up from it.")
    ] = 860_000_000_000_001,
    lifetime: Annotated[
        int, typer.Option("--lifetime", min=5, max=2**32 - 1, metavar="S", help="LwM2M: of a registration.")
    ] = 300,
    sleep: Annotated[
        float, typer.Option("--sleep", min=0, metavar="S", help="How long a sleep takes; 0: always awake.")
    ] = 0.0,
    awake: Annotated[
        float, typer.Option("--awake", min=0.001, metavar="S", help="How long it stays awake after its last traffic.")
    ] = 20.0,
    notify: Annotated[
        float | None,
        typer.Option(
            "--notify",
            "--report",
            min=0,
            metavar="S",
            help="Between notifications or reports; 0: once at every wake-up.",
        ),
    ] = None,
    loss: Annotated[
        float,
        typer.Option("--loss", min=0, max=1, metavar="P", help="LwM2M: share of datagrams lost each way."),
    ] = 0.0,
    psk: Annotated[
        str | None,
        typer.Option("--psk", metavar="KEY", help="DTLS: the access key of every device; its IMEI is the identity."),
    ] = None,
    connection_id: Annotated[
        bool, typer.Option(help="DTLS: whether the session outlives a new address (RFC 9146).")
    ] = True,
    behaviour: Annotated[
        str,
        typer.Option(
            "--behaviour",
            metavar="NAME",
            help="How requests and commands are treated: normal, silent, slow, answers-twice and more; a wrong name "
            "lists all.",
        ),
    ] = "normal",
    bootstrap: Annotated[
        str | None,
        typer.Option(
            "--bootstrap",
            metavar="module|generic",
            help="LwM2M: ask the server for a bootstrap first, as a OneNET module or as a client of the standard.",
        ),
    ] = None,
    register_api: Annotated[
        str | None, typer.Option("--register-api", metavar="URL", help="Create the devices there first.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The api-key for --register-api and --edp-login 1.")] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", min=0, metavar="S", help="End after this; else run until interrupted.")
    ] = None,
    ramp: Annotated[
        float, typer.Option("--ramp", min=0.1, metavar="N", help="Devices switched on in a second.")
    ] = 200.0,
    product: streams.LoginProduct = "1",
    auth_info: streams.AuthInfo = None,
    device_id: streams.DeviceId = None,
    keepalive: streams.Keepalive = 120,
    report_types: streams.ReportTypes = "3",
    slow_answer: streams.SlowAnswer = 45.0,
    mqtt_version: streams.MqttVersion = "3.1.1",
    qos: streams.Qos = 1,
    keep_session: streams.KeepSession = False,
    ca: streams.CaFile = None,
    edp_login: streams.EdpLogin = 2,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The same seed makes the same losses and values.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run simulated devices: LwM2M with objects 3, 3303, 3306 and 3311, with DTLS or without, or MQTT, or EDP.

    A line of progress goes to stderr, the last count to stdout. SIGINT, SIGTERM or the end of --duration end it with 0,
    or with 1 if a device was never let in.
    """
    targets = {"--coap": coap, "--coaps": coaps, "--mqtt": mqtt, "--mqtts": mqtts, "--edp": edp}
    named = [flag for flag, target in targets.items() if target is not None]
    if len(named) > 1:
        raise CliFailure(f"{' and '.join(named)}: one of them at a time is allowed", ExitCode.USAGE)
    flag = named[0] if named else "--coap"
    _refuse_strangers(context, flag)
    if flag not in ("--coap", "--coaps"):
        wish = streams.StreamWish(
            mqtt=mqtt,
            mqtts=mqtts,
            edp=edp,
            ca=ca,
            product=product,
            auth_info=auth_info,
            device_id=device_id,
            keepalive=keepalive,
            report_types=report_types,
            slow_answer=slow_answer,
            mqtt_version=mqtt_version,
            qos=qos,
            keep_session=keep_session,
            edp_login=edp_login,
            count=count,
            sleep=sleep,
            awake=awake,
            report=notify,
            behaviour=behaviour,
            register_api=register_api,
            key=key,
            duration=duration,
            ramp=ramp,
        )
        streams.simulate_streams(wish, seed=seed, as_json=as_json)
        return
    from commandpost.config import parse_listen_address
    from commandpost.simulation.behaviours import Behaviour
    from commandpost.simulation.bootstrap_client import BootstrapConduct
    from commandpost.simulation.fleet import run_fleet
    from commandpost.simulation.fleet_settings import FleetError, FleetSettings, Pace

    if coaps is not None and psk is None:
        raise CliFailure("--coaps needs --psk: devices prove themselves by a key", ExitCode.USAGE)
    target = coaps or coap or asyncio.run(_ask_for_coap(read_settings(config, data_dir)))
    try:
        address = parse_listen_address(target)
    except ValueError as error:
        raise CliFailure(f"{flag} is {target!r}: HOST:PORT or [IPV6]:PORT is allowed", ExitCode.USAGE) from error
    try:
        fleet = FleetSettings(
            coap_host=address.host,
            coap_port=address.port,
            pace=Pace(count=count, ramp_per_s=ramp, duration_s=duration, progress_s=progress_s()),
            imei_start=imei_start,
            lifetime_s=lifetime,
            sleep_s=sleep,
            awake_s=awake,
            notify_s=notify,
            loss=loss,
            behaviour=parse_choice("--behaviour", behaviour, Behaviour),
            bootstrap=None if bootstrap is None else parse_choice("--bootstrap", bootstrap, BootstrapConduct),
            registry_url=register_api,
            api_key=key,
            psk=psk,
            has_connection_id=connection_id,
        )
    except FleetError as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error
    run_and_tell(partial(run_fleet, fleet), describe=_describe, seed=seed, as_json=as_json)


def _refuse_strangers(context: typer.Context, flag: str) -> None:
    """Refuse an option that means nothing to the devices asked for, rather than pass over it."""
    strangers = {
        "--coap": STREAMS_ONLY | MQTT_ONLY | EDP_ONLY | DTLS_ONLY | {"ca"},
        "--coaps": STREAMS_ONLY | MQTT_ONLY | EDP_ONLY | {"ca"},
        "--mqtt": LWM2M_ONLY | DTLS_ONLY | EDP_ONLY | {"ca"},
        "--mqtts": LWM2M_ONLY | DTLS_ONLY | EDP_ONLY,
        "--edp": LWM2M_ONLY | DTLS_ONLY | MQTT_ONLY | {"ca"},
    }
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in strangers[flag] and source is not None and source.name == "COMMANDLINE":
            raise CliFailure(f"{parameter.opts[0]} means nothing to the devices of {flag}", ExitCode.USAGE)


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


def _describe(progress: "FleetProgress") -> str:
    why = f" ({progress.last_failure})" if progress.last_failure else ""
    return (
        f"{progress.elapsed_s:6.0f} s  {progress.started} on, {progress.registered} registered, "
        f"{progress.awake} awake; {progress.requests} requests, {progress.done} done, {progress.failures} failures{why}"
        f"; {progress.datagrams_sent} sent, {progress.datagrams_received} received"
    )
