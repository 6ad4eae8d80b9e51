"""The benchmarks of the MQTT side: payloads of `/cmds`, messages between devices, connections."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvloop

from benchmarks.database import DEVICES_PER_FACTS
from benchmarks.figures import Comparison, Figure, in_turn
from benchmarks.http_load import load, request_bytes
from benchmarks.mqtt_load import Arrivals, Exchange, MqttLogin, connect_all, echo
from benchmarks.processes import address_of, python_process, resident_bytes
from commandpost.app import SystemClock
from commandpost.domain.device import Device
from commandpost.domain.facts import CreateDevice, Fact
from commandpost.domain.ids import DeviceId
from commandpost.stores.sqlite.store import SqliteStore
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import door, stream_server

ResultT = TypeVar("ResultT")
Address = tuple[str, int]

HTTP_CONNECTIONS = 64
ACCEPTED, OVERLOADED = b'"errno":0', b"overloaded"
DEVICES = 256  # that payloads are delivered to
PAIRS = 32  # of a device that publishes and one that has subscribed
START_S = 10.0
SETTLE_S = 1.0  # before memory is looked at
MOSQUITTO = "allow_anonymous true\npersistence false\nset_tcp_nodelay true\nmax_queued_messages 0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamScale:
    """How much of everything."""

    payloads: int = 4_000
    messages_each: int = 500
    connections: int = 10_000
    rounds: int = 5


@contextmanager
def serving(directory: Path, devices: int) -> Iterator[tuple[ServerProcess, list[MqttLogin]]]:
    """A real server with so many MQTT devices, and what they log in with."""
    server = stream_server(directory, doors=("mqtt",))
    server.environment = {**server.environment, "COMMANDPOST_LOG_LEVEL": "error"}
    with server:
        server.terminate()
        logins = _make_devices(directory / "commandpost.db", devices)
        server.start()
        yield server, logins
        server.terminate()


def _make_devices(path: Path, count: int) -> list[MqttLogin]:
    store = SqliteStore(path)
    product = asyncio.run(store.list_products())[0]
    now = SystemClock().wall_ms()
    logins: list[MqttLogin] = []
    for start in range(0, count, DEVICES_PER_FACTS):
        facts: list[Fact[object]] = [
            CreateDevice(
                device=Device(
                    id=DeviceId(0),
                    product_id=product.id,
                    protocol="MQTT",
                    title=f"bench {number}",
                    auth_info=json.dumps(f"secret-{number}"),
                    created_at=now,
                )
            )
            for number in range(start, min(count, start + DEVICES_PER_FACTS))
        ]
        for number, made in enumerate(store.apply(facts), start=start):
            assert isinstance(made, Device), made
            logins.append(MqttLogin(client_id=str(made.id), username=str(product.id), password=f"secret-{number}"))
    store.close()
    return logins


@contextmanager
def mosquitto(directory: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Address] | None]:
    """mosquitto on a free port, or nothing where it is not installed."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = directory.parent / f"{directory.name}-mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\n{MOSQUITTO}")
    process = subprocess.Popen(
        [program, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_open(("127.0.0.1", port))
        yield process, ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(START_S)


def _wait_until_open(address: Address) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


class Looped:
    """A loop that lives as long as the connections of a benchmark."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def run(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Do something on it."""
        return self.runner.run(work)


# --- payloads --------------------------------------------------------------------------------------------------------


def payloads(directory: Path, scale: StreamScale) -> Iterator[Comparison]:
    """`POST /cmds` to the device's receipt, each payload and each step of it on disk, beside an empty handler."""
    loop = Looped()
    with (
        loop.runner,
        python_process("benchmarks.bare_servers", "asgi") as (_, asgi),
        python_process("benchmarks.bare_servers", "tcp") as (_, tcp),
        serving(directory, DEVICES) as (server, logins),
    ):
        links = loop.run(connect_all(door(server, "mqtt"), logins))
        arrivals = Arrivals(links)
        for qos in (0, 1):
            requests = [
                request_bytes(
                    "POST",
                    f"/cmds?device_id={logins[number % DEVICES].client_id}&qos={qos}",
                    api_key=server.master_key,
                    body=b"switch on",
                )
                for number in range(scale.payloads)
            ]
            refusals: list[float] = []
            found = in_turn(
                (
                    ("HTTP to device", "/s", _delivering(loop, server.http, requests, arrivals, refusals)),
                    ("empty ASGI handler", "/s", _answering(loop, address_of(asgi), requests)),
                    ("plain TCP echo", "/s", _echoing(loop, address_of(tcp), scale.payloads * 2)),
                ),
                rounds=scale.rounds,
            )
            yield Comparison(
                title=f"/cmds payloads of qos {qos}, {DEVICES} devices, {HTTP_CONNECTIONS} callers",
                ours=found[0],
                bare=found[1:],
                extra=(Figure(name=f"refused, of {scale.payloads:,}", unit="payloads", values=tuple(refusals[1:])),),
            )
        for link in links:
            link.close()


def _delivering(
    loop: Looped, http: Address, requests: list[bytes], arrivals: Arrivals, refusals: list[float]
) -> Callable[[], float]:
    async def deliver() -> float:
        started = time.perf_counter()
        answered = await load(http, requests, connections=HTTP_CONNECTIONS, wanted=ACCEPTED)
        others = [body for body in answered.refusals if OVERLOADED not in body]
        assert not others, others[0]
        accepted = len(requests) - len(answered.refusals)
        await arrivals.wait_for(accepted)
        seconds = time.perf_counter() - started
        refusals.append(len(answered.refusals))
        return accepted / seconds

    return lambda: loop.run(deliver())


def _answering(loop: Looped, http: Address, requests: list[bytes]) -> Callable[[], float]:
    return lambda: loop.run(load(http, requests, connections=HTTP_CONNECTIONS)).per_second


def _echoing(loop: Looped, address: Address, count: int) -> Callable[[], float]:
    return lambda: loop.run(echo(address, streams=PAIRS, messages_each=count // PAIRS))


# --- messages between devices ----------------------------------------------------------------------------------------


def messages(directory: Path, scale: StreamScale) -> Iterator[Comparison]:
    """QoS 1 from device to device, beside mosquitto and an echo on the same kind of loop."""
    loop = Looped()
    with ExitStack() as stack:
        stack.enter_context(loop.runner)
        _, tcp = stack.enter_context(python_process("benchmarks.bare_servers", "tcp"))
        server, logins = stack.enter_context(serving(directory, 2 * PAIRS))
        other = stack.enter_context(mosquitto(directory))
        measures = [("device to device", "/s", _exchanging(loop, door(server, "mqtt"), logins, scale))]
        if other is not None:
            measures.append(("mosquitto", "/s", _exchanging(loop, other[1], logins, scale)))
        measures.append(("plain TCP echo", "/s", _echoing(loop, address_of(tcp), PAIRS * scale.messages_each * 2)))
        found = in_turn(measures, rounds=scale.rounds)
    yield Comparison(title=f"MQTT QoS 1, {PAIRS} pairs, clean sessions", ours=found[0], bare=found[1:])


def _exchanging(loop: Looped, address: Address, logins: list[MqttLogin], scale: StreamScale) -> Callable[[], float]:
    async def prepare() -> Exchange:
        exchange = Exchange(await connect_all(address, logins))
        await exchange.subscribe()
        return exchange

    exchange = loop.run(prepare())
    return lambda: loop.run(exchange.run(scale.messages_each))


# --- connections -----------------------------------------------------------------------------------------------------


def connections(directory: Path, scale: StreamScale) -> Iterator[Comparison]:
    """Logins a second, and memory for each connection that is held, beside mosquitto, which asks no store."""
    loop = Looped()
    with ExitStack() as stack:
        stack.enter_context(loop.runner)
        server, logins = stack.enter_context(serving(directory, scale.connections))
        other = stack.enter_context(mosquitto(directory))
        assert server.process is not None
        ours = _connecting(loop, door(server, "mqtt"), server.process.pid, logins)
        theirs = None if other is None else _connecting(loop, other[1], other[0].pid, logins)
    for name, unit, number in (("logins, on disk before CONNACK", "/s", 0), ("memory of a connection", "bytes", 1)):
        yield Comparison(
            title=f"{len(logins):,} MQTT connections",
            ours=Figure(name=name, unit=unit, values=(ours[number],)),
            bare=() if theirs is None else (Figure(name="mosquitto", unit=unit, values=(theirs[number],)),),
        )


def _connecting(loop: Looped, address: Address, process_id: int, logins: list[MqttLogin]) -> tuple[float, float]:
    async def hold() -> tuple[float, float]:
        before = resident_bytes(process_id)
        started = time.perf_counter()
        links = await connect_all(address, logins)
        seconds = time.perf_counter() - started
        await asyncio.sleep(SETTLE_S)
        grown = resident_bytes(process_id) - before
        for link in links:
            link.close()
        await asyncio.sleep(SETTLE_S)
        return len(logins) / seconds, grown / len(logins)

    return loop.run(hold())


STREAM_RUNS: dict[str, Callable[[Path, StreamScale], Iterator[Comparison]]] = {
    "payloads": payloads,
    "messages": messages,
    "connections": connections,
}
