"""Fleets on loopback sockets: registering, being commanded, sleeping, losing, moving, and refusing what cannot be."""

import asyncio
import json
import resource
import socket
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from commandpost.domain.operation import Read
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.fleet import Fleet, run_fleet
from commandpost.simulation.fleet_settings import FleetError, FleetProgress, FleetSettings, Pace
from commandpost.simulation.memory_network import memory_remote
from commandpost.simulation.udp_device_link import allow_descriptors
from tests.unit.simulation.http_api import HttpApi, http_answer
from tests.unit.simulation.loop_clock import LoopClock
from tests.unit.simulation.scripted_server import ScriptedServer

GIVE_UP_S = 30.0
PACE: dict[str, Any] = {"count": 20, "ramp_per_s": 2_000.0, "duration_s": None, "progress_s": 0.05}  # Any: its fields
DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)


class LoopbackLink:
    """The server's socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        def receive() -> None:
            datagram, (host, port) = self._socket.recvfrom(2_048)
            receiver(memory_remote(host, port), datagram)

        asyncio.get_running_loop().add_reader(self._socket, receive)

    def send(self, remote: Remote, datagram: bytes) -> None:
        self._socket.sendto(datagram, (socket.inet_ntoa(remote[1:5]), int.from_bytes(remote[5:7], "big")))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


def settings_for(port: int, **changes: Any) -> FleetSettings:  # Any: fields of FleetSettings and of Pace
    pace = Pace(**{name: changes.pop(name, value) for name, value in PACE.items()})
    return FleetSettings(coap_host="127.0.0.1", coap_port=port, pace=pace, **changes)


async def run_until(
    is_enough: Callable[[FleetProgress], bool],
    *,
    meanwhile: Callable[[ScriptedServer, Fleet], Awaitable[None]] | None = None,
    **changes: Any,  # Any: as above
) -> tuple[FleetProgress, ScriptedServer]:
    """Run a fleet against a scripted server until its progress says enough."""
    link = LoopbackLink()
    server = ScriptedServer(link, asyncio.get_running_loop(), Random(1))
    stop = asyncio.Event()

    def on_progress(progress: FleetProgress) -> None:
        if is_enough(progress):
            stop.set()

    fleet = Fleet(settings_for(link.port, **changes), clock=LoopClock(), random=Random(2), on_progress=on_progress)
    try:
        async with asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(fleet.run(stop))
            if meanwhile is not None:
                tasks.create_task(meanwhile(server, fleet))  # type: ignore[arg-type]  # it is a coroutine
        return running.result(), server
    finally:
        link.close()


def test_twenty_devices_register_each_from_its_own_port() -> None:
    progress, server = asyncio.run(run_until(lambda progress: progress.registered == 20))

    assert (progress.started, progress.registrations, progress.failures) == (20, 20, 0)
    assert (progress.never_let_in, progress.last_failure) == (0, "")
    assert len({uplink.remote for uplink in server.heard("register")}) == 20
    names = {query for uplink in server.heard("register") for query in uplink.message.uri_query if query[:3] == "ep="}
    assert names == {f"ep={860_000_000_000_001 + index};{460_000_000_000_001 + index}" for index in range(20)}


def test_devices_sleep_and_wake_and_update() -> None:
    progress, server = asyncio.run(run_until(lambda progress: progress.updates >= 40, sleep_s=0.05, awake_s=0.05))

    assert progress.registrations == 20
    assert len(server.heard("update")) >= 40


def test_a_device_answers_commands_on_its_socket() -> None:
    async def command(server: ScriptedServer, fleet: Fleet) -> None:
        while fleet.progress().registered < 20:  # noqa: ASYNC110  # progress is a number, not an event
            await asyncio.sleep(0.01)
        answer = await server.perform(Read(path=DIMMER))
        assert (answer.code, answer.payload) == (Code.CONTENT, b"0")

    progress, _ = asyncio.run(run_until(lambda progress: progress.answers == 1, meanwhile=command))

    assert (progress.requests, progress.done) == (1, 1)


def test_moving_devices_come_from_other_ports() -> None:
    progress, server = asyncio.run(
        run_until(
            lambda progress: progress.updates >= 20,
            sleep_s=0.05,
            awake_s=0.05,
            behaviour=Behaviour.MOVES_ADDRESS,
        )
    )

    assert progress.failures == 0
    assert len({uplink.remote for uplink in server.uplinks}) >= 40


def test_loss_is_injected_and_survived() -> None:
    progress, _ = asyncio.run(run_until(lambda progress: progress.datagrams_lost >= 5, loss=0.3, count=20))

    assert progress.datagrams_lost >= 5
    assert progress.datagrams_sent >= 20


def test_a_fleet_ends_when_its_time_is_over() -> None:
    told: list[FleetProgress] = []

    async def run() -> FleetProgress:
        link = LoopbackLink()
        try:
            return await run_fleet(
                settings_for(link.port, count=3, duration_s=0.2),
                clock=LoopClock(),
                random=Random(2),
                stop=asyncio.Event(),
                on_progress=told.append,
            )
        finally:
            link._socket.close()

    progress = asyncio.run(run())

    assert 0.2 <= progress.elapsed_s < GIVE_UP_S
    assert (progress.started, progress.registered, progress.never_let_in) == (3, 0, 3)
    assert told[-1] == progress


def test_a_server_that_is_not_there_is_counted_not_raised() -> None:
    async def run() -> FleetProgress:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        return await run_fleet(
            settings_for(port, count=3, duration_s=0.2), clock=LoopClock(), random=Random(2), stop=asyncio.Event()
        )

    progress = asyncio.run(run())

    assert progress.registered == 0
    assert progress.sends_failed >= 3


# --- limits ----------------------------------------------------------------------------------------------------------


def test_too_many_devices_for_this_process_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))

    with pytest.raises(FleetError, match=r"5000 devices need 5064 open files, .* may have 4096: .* at most 4032"):
        allow_descriptors(5_000)


def test_the_soft_limit_is_raised_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: asked.append((what, limits)))

    allow_descriptors(900)
    allow_descriptors(2_000)

    assert asked == [(resource.RLIMIT_NOFILE, (2_064, 4_096))]


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"count": 100_001},
        {"imei_start": 86},
        {"imei_start": 999_999_999_999_999},
        {"loss": 1.5},
        {"port": 0},
        {"ramp_per_s": 0.0},
        {"registry_url": "http://127.0.0.1:8080"},
        {"api_key": "key"},
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FleetError):
        settings_for(**{"port": 5683} | changes)


def test_a_host_that_cannot_be_is_named() -> None:
    settings = FleetSettings(coap_host="no..host", coap_port=5683, pace=Pace(count=1))

    with pytest.raises(FleetError, match=r"no\.\.host:5683"):
        asyncio.run(run_fleet(settings, clock=LoopClock(), random=Random(2), stop=asyncio.Event()))


# --- creating over HTTP ----------------------------------------------------------------------------------------------


CREATED = http_answer({"errno": 0, "error": "succ", "data": {"device_id": "1000001"}})
EXISTS = http_answer({"errno": 6, "error": "invalid parameter: auth_info exists::860000000000001"})


async def create_twice(url: str) -> tuple[bool, bool]:
    registry = DeviceRegistry(url=url, api_key="s3cret=")
    try:
        first = await registry.create(imei="860000000000001", imsi="460000000000001")
        return first, await registry.create(imei="860000000000001", imsi="460000000000001")
    finally:
        await registry.close()


def test_devices_are_created_on_one_kept_connection() -> None:
    api = HttpApi([CREATED, EXISTS])

    assert asyncio.run(api.call(create_twice)) == (True, False)
    line, headers, body = api.requests[0]
    assert line == "POST /devices HTTP/1.1"
    assert headers["api-key"] == "s3cret="
    assert json.loads(body)["auth_info"] == {"860000000000001": "460000000000001"}
    assert json.loads(body)["protocol"] == "LWM2M"
    assert api.connections == 1


def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    api = HttpApi([CREATED, b"", CREATED])

    assert asyncio.run(api.call(create_twice)) == (True, True)
    assert api.connections == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http_answer({"errno": 1, "error": "auth failed"}), "errno 1, auth failed"),
        (http_answer([]), "no JSON object"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", "Content-Length '9999999'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "cannot be used"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, "cannot be used"),
        (b"", "cannot be used"),
    ],
)
def test_an_answer_that_cannot_be_used_says_so(answer: bytes, said: str) -> None:
    with pytest.raises(FleetError, match=said):
        asyncio.run(HttpApi([answer]).call(create_twice))


def test_an_api_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async def ask(url: str) -> None:
        registry = DeviceRegistry(url=url, api_key="key", call_s=0.1)
        await registry.create(imei="860000000000001", imsi="460000000000001")

    with pytest.raises(FleetError, match=r"did not answer in 0\.1 s"):
        asyncio.run(HttpApi([b"HTTP/1.1 200"]).call(ask))


def test_an_api_that_is_not_there_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(FleetError, match="cannot be used"):
        asyncio.run(create_twice(url))


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host:99999", "http://a b"])
def test_what_is_no_address_of_an_api_is_refused(url: str) -> None:
    with pytest.raises(FleetError, match="HOST:PORT"):
        DeviceRegistry(url=url, api_key="key")


@pytest.mark.parametrize("api_key", ["", "a\r\nb", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused(api_key: str) -> None:
    with pytest.raises(FleetError, match="api-key"):
        DeviceRegistry(url="http://host", api_key=api_key)


def test_a_fleet_creates_its_devices_first() -> None:
    api = HttpApi([EXISTS, CREATED])

    async def run(url: str) -> FleetProgress:
        progress, _ = await run_until(
            lambda progress: progress.registered == 20, registry_url=url, api_key="key", count=20
        )
        return progress

    progress = asyncio.run(api.call(run))

    assert (progress.created, progress.existing, progress.registrations) == (19, 1, 20)
    assert len({body for _, _, body in api.requests}) == 20


def test_a_fleet_whose_devices_are_refused_does_not_start() -> None:
    api = HttpApi([http_answer({"errno": 1, "error": "auth failed"})])

    async def run(url: str) -> None:
        settings = settings_for(5683, registry_url=url, api_key="wrong")
        await run_fleet(settings, clock=LoopClock(), random=Random(2), stop=asyncio.Event())

    with pytest.raises(FleetError, match="auth failed"):
        asyncio.run(api.call(run))
