"""Fleets of MQTT and EDP devices on loopback sockets, the links they stand on, and settings that cannot be."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from commandpost.protocols.edp.messages import LoginRequest
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.fleet_settings import FleetError, Pace
from commandpost.simulation.mqtt_device import MqttLogin
from commandpost.simulation.stream_behaviours import StreamBehaviour
from commandpost.simulation.stream_device_link import OUTPUT_BYTES_MAX, StreamAddress, TcpDeviceLink
from commandpost.simulation.stream_device_settings import StreamDeviceSettings
from commandpost.simulation.stream_fleet import StreamFleet, run_stream_fleet
from commandpost.simulation.stream_fleet_settings import StreamFleetSettings, StreamProgress, StreamProtocol
from commandpost.simulation.stream_link import NO_CONNECTION
from tests.unit.simulation.http_api import HttpApi, http_answer
from tests.unit.simulation.loop_clock import LoopClock
from tests.unit.simulation.stream_platform import COMMAND_ID, EdpPlatform, MqttPlatform, StreamPlatform

GIVE_UP_S = 30.0
COUNT = 20
PLATFORMS: dict[StreamProtocol, type[StreamPlatform]] = {
    StreamProtocol.MQTT: MqttPlatform,
    StreamProtocol.EDP: EdpPlatform,
}
PROTOCOLS = pytest.mark.parametrize("protocol", list(StreamProtocol))
AUTH_INFO_TAKEN = http_answer({"errno": 6, "error": "invalid parameter: auth_info exists::simulated-mqtt"})


def settings_for(port: int, **changes: Any) -> StreamFleetSettings:  # Any: fields of StreamFleetSettings
    settings: dict[str, Any] = {
        "protocol": StreamProtocol.MQTT,
        "pace": Pace(count=COUNT, ramp_per_s=2_000.0, progress_s=0.05),
        "first_device_id": 1,
    }
    return StreamFleetSettings(host="127.0.0.1", port=port, **(settings | changes))


class PlatformServer:
    """A real TCP server, with a platform of its own for every connection."""

    def __init__(self, kind: type[StreamPlatform]) -> None:
        self._kind = kind
        self.platforms: list[StreamPlatform] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        platform = self._kind(asyncio.get_running_loop())
        self.platforms.append(platform)
        platform.send_to_device = writer.write
        platform.end_for_device = writer.close
        platform.opened()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                platform.receive(data)
        writer.close()


async def run_until(
    is_enough: Callable[[StreamProgress], bool],
    *,
    meanwhile: Callable[[PlatformServer, StreamFleet], Awaitable[None]] | None = None,
    **changes: Any,  # Any: fields of StreamFleetSettings
) -> tuple[StreamProgress, PlatformServer]:
    """Run a fleet until its progress says enough."""
    platforms = PlatformServer(PLATFORMS[changes.get("protocol", StreamProtocol.MQTT)])
    stop = asyncio.Event()

    def on_progress(progress: StreamProgress) -> None:
        if is_enough(progress):
            stop.set()

    async with await asyncio.start_server(platforms.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = settings_for(port, **changes)
        fleet = StreamFleet(settings, clock=LoopClock(), random=Random(2), on_progress=on_progress)
        async with asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(fleet.run(stop))
            if meanwhile is not None:
                tasks.create_task(meanwhile(platforms, fleet))  # type: ignore[arg-type]  # it is a coroutine
        while any(not platform.closes for platform in platforms.platforms):
            for platform in platforms.platforms:
                platform.lost()
    return running.result(), platforms


@PROTOCOLS
def test_twenty_devices_log_in_and_report(protocol: StreamProtocol) -> None:
    progress, platforms = asyncio.run(
        run_until(
            lambda progress: progress.reports_stored == COUNT,
            protocol=protocol,
            device=StreamDeviceSettings(report_s=0.0),
        )
    )

    assert (progress.started, progress.connected, progress.logins) == (COUNT, COUNT, COUNT)
    assert progress.never_let_in == 0
    assert (progress.reports, progress.failures, progress.lost) == (COUNT, 0, 0)
    assert [len(platform.reports) for platform in platforms.platforms] == [1] * COUNT


@PROTOCOLS
def test_a_device_answers_a_command_on_its_socket(protocol: StreamProtocol) -> None:
    told: list[tuple[float, str, bytes]] = []

    async def command(platforms: PlatformServer, fleet: StreamFleet) -> None:
        while fleet.progress().connected < COUNT:  # noqa: ASYNC110  # progress is a number, not an event
            await asyncio.sleep(0.01)
        platform = platforms.platforms[7]
        platform.command(b"ping")
        while not platform.answers:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
        told.extend(platform.answers)

    progress, _ = asyncio.run(run_until(lambda _: bool(told), meanwhile=command, protocol=protocol))

    assert [(command_id, payload) for _, command_id, payload in told] == [(COMMAND_ID, b"ok: ping")]
    assert (progress.commands, progress.done, progress.answers) == (1, 1, 1)


@PROTOCOLS
def test_devices_sleep_and_come_back(protocol: StreamProtocol) -> None:
    device = StreamDeviceSettings(sleep_s=0.05, awake_s=0.05)
    progress, _ = asyncio.run(run_until(lambda progress: progress.logins >= 60, protocol=protocol, device=device))

    assert progress.sleeps >= 40
    assert progress.never_let_in == 0  # who was in is not out while it sleeps
    assert (progress.failures, progress.lost) == (0, 0)


def test_a_fleet_ends_when_its_time_is_over_and_nobody_is_there() -> None:
    """A server that is not there is counted, not raised."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    pace = Pace(count=3, ramp_per_s=2_000.0, duration_s=0.3, progress_s=0.05)
    told: list[StreamProgress] = []

    progress = asyncio.run(
        run_stream_fleet(
            settings_for(port, pace=pace),
            clock=LoopClock(),
            random=Random(2),
            stop=asyncio.Event(),
            on_progress=told.append,
        )
    )

    assert (progress.started, progress.connected, progress.failures) == (3, 0, 3)
    assert progress.last_end == "no connection"
    assert told[-1] == progress


def test_a_host_that_cannot_be_is_named() -> None:
    settings = StreamFleetSettings(
        protocol=StreamProtocol.EDP, host="no..host", port=876, pace=Pace(count=1), first_device_id=1
    )

    with pytest.raises(FleetError, match=r"no\.\.host:876"):
        asyncio.run(run_stream_fleet(settings, clock=LoopClock(), random=Random(2), stop=asyncio.Event()))


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = settings_for(1, is_tls=True, ca_file=tmp_path / "none.pem")

    with pytest.raises(FleetError, match=r"none\.pem"):
        asyncio.run(run_stream_fleet(settings, clock=LoopClock(), random=Random(2), stop=asyncio.Event()))


# --- the link --------------------------------------------------------------------------------------------------------


class NotingOwner:
    """Hears what happens to a stream."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.received = b""

    def stream_opened(self) -> None:
        self.told.put_nowait("opened")

    def stream_received(self, data: bytes) -> None:
        self.received += data

    def stream_ended(self, why_not_opened: str = NO_CONNECTION) -> None:
        self.told.put_nowait("ended")

    async def hears(self, what: str) -> None:
        async with asyncio.timeout(GIVE_UP_S):
            assert await self.told.get() == what


def linked(story: Callable[[TcpDeviceLink, NotingOwner, asyncio.Queue[asyncio.StreamWriter]], Awaitable[None]]) -> None:
    """Play a story with a link to a server that says and reads nothing by itself."""

    async def play() -> None:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's transport
            accepted.put_nowait(writer)

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            address = StreamAddress(family=socket.AF_INET, socket_address=server.sockets[0].getsockname())
            link = TcpDeviceLink(loop=asyncio.get_running_loop(), server=address)
            owner = NotingOwner()
            link.listen(owner)
            await story(link, owner, accepted)
            link.abort()
            while not accepted.empty():
                accepted.get_nowait().transport.abort()

    asyncio.run(play())


def test_a_server_that_reads_nothing_ends_the_connection_instead_of_filling_memory() -> None:
    async def story(link: TcpDeviceLink, owner: NotingOwner, _: object) -> None:
        link.open()
        await owner.hears("opened")
        for _ in range(20):
            link.write(bytes(OUTPUT_BYTES_MAX))
        await owner.hears("ended")

    linked(story)


def test_a_link_that_is_let_go_tells_nothing_more() -> None:
    async def story(link: TcpDeviceLink, owner: NotingOwner, accepted: asyncio.Queue[asyncio.StreamWriter]) -> None:
        link.open()
        await owner.hears("opened")
        writer = await accepted.get()
        link.close()
        writer.close()
        link.open()
        await owner.hears("opened")
        assert owner.told.empty()
        (await accepted.get()).transport.abort()
        await owner.hears("ended")

    linked(story)


def test_what_is_not_read_comes_when_it_is_read_again() -> None:
    async def story(link: TcpDeviceLink, owner: NotingOwner, accepted: asyncio.Queue[asyncio.StreamWriter]) -> None:
        link.open()
        await owner.hears("opened")
        link.set_reading(is_on=False)
        writer = await accepted.get()
        writer.write(b"hello")
        await writer.drain()
        await asyncio.sleep(0.05)
        assert owner.received == b""
        link.set_reading(is_on=True)
        writer.close()
        await owner.hears("ended")
        assert owner.received == b"hello"

    linked(story)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"port": 0}, "port 0"),
        ({"keepalive_s": 0}, "keepalive 0"),
        ({"qos": 3}, "qos 3"),
        ({"protocol": StreamProtocol.EDP, "edp_form": 3}, "EDP login 3"),
        ({"registry_url": "http://127.0.0.1:8080"}, "api-key"),
        ({"api_key": "of no use"}, "api-key"),
        ({"first_device_id": None}, "device ids"),
        ({"protocol": StreamProtocol.EDP, "edp_form": 1}, "api-key"),
        ({"first_device_id": 9_999_999_999}, "1 to 10 digits"),
        ({"product_id": "x" * 70_000}, "could not log in"),
        ({"device": StreamDeviceSettings(behaviour=StreamBehaviour.NO_PUBACK), "protocol": StreamProtocol.EDP}, "EDP"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FleetError, match=said):
        settings_for(**{"port": 1883} | changes)


@pytest.mark.parametrize("count", [0, 100_001])
def test_a_count_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(FleetError, match=f"count {count}"):
        Pace(count=count)


def test_secrets_and_ids_count_up() -> None:
    settings = settings_for(1883, first_device_id=70, mqtt_version=Version.V5, clean_start=False, qos=2)

    login = settings.login(1, device_id=settings.device_id_of(1))

    assert login == MqttLogin(
        device_id="71",
        product_id="1",
        password=b"simulated-mqtt-2",
        version=Version.V5,
        keepalive_s=120,
        clean_start=False,
        qos=2,
    )


def test_one_device_has_the_secret_as_it_was_given() -> None:
    settings = settings_for(876, protocol=StreamProtocol.EDP, pace=Pace(count=1), auth_info='{"mac":"FF"}')

    assert settings.login(0, device_id="") == LoginRequest(
        device_id="", product_id="1", auth=b'{"mac":"FF"}', keepalive_s=120
    )


def test_an_edp_login_by_key_names_the_device() -> None:
    settings = settings_for(876, protocol=StreamProtocol.EDP, edp_form=1, api_key="l2aHkey", keepalive_s=300)

    assert settings.login(0, device_id="8029377") == LoginRequest(
        device_id="8029377", product_id=None, auth=b"l2aHkey", keepalive_s=300
    )


# --- creating over HTTP ----------------------------------------------------------------------------------------------


def created(device_id: str) -> bytes:
    return http_answer({"errno": 0, "error": "succ", "data": {"device_id": device_id}})


def listed(*devices: dict[str, str]) -> bytes:
    return http_answer({"errno": 0, "error": "succ", "data": {"devices": list(devices)}})


async def create(url: str) -> tuple[str, bool]:
    registry = DeviceRegistry(url=url, api_key="key")
    try:
        return await registry.create_stream_device(protocol="MQTT", auth_info="simulated-mqtt")
    finally:
        await registry.close()


def test_a_device_is_created_with_its_protocol_and_secret() -> None:
    api = HttpApi([created("8029377")])

    assert asyncio.run(api.call(create)) == ("8029377", True)
    line, _, body = api.requests[0]
    assert line == "POST /devices HTTP/1.1"
    assert {key: json.loads(body)[key] for key in ("protocol", "auth_info")} == {
        "protocol": "MQTT",
        "auth_info": "simulated-mqtt",
    }


def test_a_device_that_exists_is_found() -> None:
    api = HttpApi([AUTH_INFO_TAKEN, listed({"id": "7", "auth_info": "simulated-mqtt", "protocol": "MQTT"})])

    assert asyncio.run(api.call(create)) == ("7", False)
    assert api.requests[1][0] == "GET /devices?auth_info=simulated-mqtt HTTP/1.1"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([AUTH_INFO_TAKEN, listed({"id": "7", "auth_info": "simulated-mqtt", "protocol": "EDP"})], "speaks EDP"),
        ([AUTH_INFO_TAKEN, listed({"id": "7", "auth_info": "simulated-mqtt-2", "protocol": "MQTT"})], "no device"),
        ([AUTH_INFO_TAKEN, http_answer({"errno": 1, "error": "auth failed"})], "no device"),
        ([http_answer({"errno": 0, "data": {"device_id": "x"}})], "no id"),
        ([http_answer({"errno": 0})], "no id"),
        ([http_answer({"errno": 1, "error": "auth failed"})], "auth failed"),
    ],
)
def test_an_answer_that_gives_no_device_says_so(answers: list[bytes], said: str) -> None:
    with pytest.raises(FleetError, match=said):
        asyncio.run(HttpApi(answers).call(create))


def test_a_fleet_logs_in_with_the_ids_it_was_given() -> None:
    api = HttpApi([created("11"), created("12"), created("13")])

    async def run(url: str) -> tuple[StreamProgress, PlatformServer]:
        pace = Pace(count=3, ramp_per_s=2_000.0, progress_s=0.05)
        return await run_until(
            lambda progress: progress.connected == 3,
            pace=pace,
            registry_url=url,
            api_key="key",
            first_device_id=None,
        )

    progress, platforms = asyncio.run(api.call(run))

    assert (progress.created, progress.existing, progress.logins) == (3, 0, 3)
    sessions = [platform.session for platform in platforms.platforms if isinstance(platform, MqttPlatform)]
    assert {session.client_id for session in sessions if session is not None} == {"11", "12", "13"}
