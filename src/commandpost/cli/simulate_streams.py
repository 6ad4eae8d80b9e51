"""What `commandpost simulate` takes for MQTT and EDP devices only, and the fleet that it makes of it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure
from commandpost.cli.fleet_run import progress_s, run_and_tell
from commandpost.cli.options import parse_choice

if TYPE_CHECKING:
    from commandpost.protocols.data_report import DataType
    from commandpost.protocols.mqtt.packet_types import Version
    from commandpost.simulation.stream_fleet_settings import StreamProgress

REPORT_TYPE_MAX: Final = 7  # southbound reference 5.3
_ADDRESS: Final = "HOST:PORT"

MqttTarget = Annotated[
    str | None,
    typer.Option("--mqtt", metavar=_ADDRESS, help="MQTT devices instead: the server's address.", show_default=False),
]
MqttsTarget = Annotated[
    str | None, typer.Option("--mqtts", metavar=_ADDRESS, help="The same over TLS.", show_default=False)
]
EdpTarget = Annotated[
    str | None,
    typer.Option("--edp", metavar=_ADDRESS, help="EDP devices instead: the server's address.", show_default=False),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Certificates that --mqtts trusts; else the system's.", exists=True),
]
LoginProduct = Annotated[
    str, typer.Option("--product", metavar="ID", help="MQTT, EDP: the product of the login; 1 is the first one.")
]
AuthInfo = Annotated[
    str | None,
    typer.Option(
        "--auth-info",
        metavar="TEXT",
        help="MQTT, EDP: the devices' auth_info [simulated-mqtt, simulated-edp]; of several, -1, -2 … follow it.",
        show_default=False,
    ),
]
DeviceId = Annotated[
    int | None,
    typer.Option(
        "--device-id", metavar="ID", min=1, help="MQTT, EDP: the first of those that exist.", show_default=False
    ),
]
Keepalive = Annotated[int, typer.Option("--keepalive", min=1, max=65_535, metavar="S", help="MQTT, EDP.")]
ReportTypes = Annotated[
    str,
    typer.Option("--report-types", metavar="N,N…", help="MQTT, EDP: 1 to 7, the types of $dp and SAVE_DATA, in turn."),
]
SlowAnswer = Annotated[
    float, typer.Option("--slow-answer", min=0, metavar="S", help="MQTT, EDP: how late `--behaviour slow` answers.")
]
MqttVersion = Annotated[str, typer.Option("--mqtt-version", metavar="3.1.1|5", help="MQTT.")]
Qos = Annotated[int, typer.Option("--qos", min=0, max=2, help="MQTT: of reports and answers.")]
KeepSession = Annotated[
    bool, typer.Option("--keep-session", help="MQTT: connect with clean session 0; what waits is sent after a login.")
]
EdpLogin = Annotated[
    int, typer.Option("--edp-login", min=1, max=2, help="EDP: 1 device id and --key, 2 product and auth_info.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWish:
    """What was typed."""

    mqtt: str | None
    mqtts: str | None
    edp: str | None
    ca: Path | None
    product: str
    auth_info: str | None
    device_id: int | None
    keepalive: int
    report_types: str
    slow_answer: float
    mqtt_version: str
    qos: int
    keep_session: bool
    edp_login: int
    count: int
    sleep: float
    awake: float
    report: float | None
    behaviour: str
    register_api: str | None
    key: str | None
    duration: float | None
    ramp: float


def simulate_streams(wish: StreamWish, *, seed: int | None, as_json: bool) -> None:
    """Run simulated MQTT or EDP devices.

    Raises:
        CliFailure: something that was typed is not allowed, or the fleet cannot run.
    """
    from commandpost.config import parse_listen_address
    from commandpost.simulation.fleet_settings import FleetError, Pace
    from commandpost.simulation.stream_behaviours import StreamBehaviour
    from commandpost.simulation.stream_device_settings import StreamDeviceSettings
    from commandpost.simulation.stream_fleet import run_stream_fleet
    from commandpost.simulation.stream_fleet_settings import StreamFleetSettings, StreamProtocol

    targets = {"--mqtt": wish.mqtt, "--mqtts": wish.mqtts, "--edp": wish.edp}
    ((flag, target),) = ((flag, target) for flag, target in targets.items() if target is not None)
    try:
        address = parse_listen_address(target)
    except ValueError as error:
        raise CliFailure(f"{flag} is {target!r}: HOST:PORT or [IPV6]:PORT is allowed", ExitCode.USAGE) from error
    try:
        fleet = StreamFleetSettings(
            protocol=StreamProtocol.EDP if flag == "--edp" else StreamProtocol.MQTT,
            host=address.host,
            port=address.port,
            pace=Pace(count=wish.count, ramp_per_s=wish.ramp, duration_s=wish.duration, progress_s=progress_s()),
            product_id=wish.product,
            auth_info=wish.auth_info,
            first_device_id=wish.device_id,
            registry_url=wish.register_api,
            api_key=wish.key,
            is_tls=flag == "--mqtts",
            ca_file=wish.ca,
            keepalive_s=wish.keepalive,
            mqtt_version=_parse_version(wish.mqtt_version),
            clean_start=not wish.keep_session,
            qos=wish.qos,
            edp_form=wish.edp_login,
            device=StreamDeviceSettings(
                sleep_s=wish.sleep,
                awake_s=wish.awake,
                report_s=wish.report,
                report_types=_parse_types(wish.report_types),
                behaviour=parse_choice("--behaviour", wish.behaviour, StreamBehaviour),
                slow_answer_s=wish.slow_answer,
            ),
        )
    except FleetError as error:
        raise CliFailure(str(error), ExitCode.USAGE) from error
    run_and_tell(partial(run_stream_fleet, fleet), describe=_describe, seed=seed, as_json=as_json)


def _parse_version(text: str) -> "Version":
    from commandpost.protocols.mqtt.packet_types import Version

    versions = {"3.1.1": Version.V3_1_1, "5": Version.V5, "5.0": Version.V5}
    if text not in versions:
        raise CliFailure(f"--mqtt-version is {text!r}: 3.1.1 and 5 are allowed", ExitCode.USAGE)
    return versions[text]


def _parse_types(text: str) -> "tuple[DataType, ...]":
    from commandpost.protocols.data_report import DataType

    try:
        return tuple(DataType(int(part)) for part in text.split(","))
    except ValueError:
        allowed = f"numbers from 1 to {REPORT_TYPE_MAX} with commas between them are allowed"
        raise CliFailure(f"--report-types is {text!r}: {allowed}", ExitCode.USAGE) from None


def _describe(progress: "StreamProgress") -> str:
    return (
        f"{progress.elapsed_s:6.0f} s  {progress.started} on, {progress.connected} connected; "
        f"{progress.commands} commands, {progress.answers} answers; "
        f"{progress.reports} reports, {progress.reports_stored} stored; "
        f"{progress.lost} lost, {progress.failures} failures{f' ({progress.last_end})' if progress.last_end else ''}"
    )
