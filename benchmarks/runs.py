"""The benchmarks: each gives Comparisons."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from subprocess import PIPE
from urllib.parse import quote

import uvloop

from benchmarks.database import accept, fill, make_devices, new_command
from benchmarks.figures import Comparison, Figure, in_turn, percentile
from benchmarks.http_load import HttpLoad, load, request_bytes
from benchmarks.processes import address_of, python_process, resident_bytes
from benchmarks.streams import STREAM_RUNS, StreamScale
from benchmarks.udp_load import Devices, answer_to, imei_of, register_frame, update_frame
from commandpost.app import SystemClock, SystemIds
from commandpost.domain.facts import Fact
from commandpost.domain.ids import DeviceId
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.sqlite.store import SqliteStore
from tests.acceptance.nursery import start_installed
from tests.acceptance.server import ServerProcess

SETTLE_S = 3.0  # what follows a registration is done by then: a quarter of a second of rest, and one read
EXPIRES = quote("2037-01-01T00:00:00")
ENVIRONMENT = {"COMMANDPOST_LIMITS_WAITING_MAX_PER_DEVICE": "1000", "COMMANDPOST_LOG_LEVEL": "error"}
BODY = b'{"data":[{"res_id":5850,"val":true}]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything."""

    rows: int = 1_000_000
    devices: int = 100_000
    requests: int = 4_000
    registrations: int = 2_000
    rounds: int = 5
    resident: int = 10_000
    points_few: int = 10_000
    points_many: int = 1_000_000

    @property
    def streams(self) -> StreamScale:
        """The same for the benchmarks of MQTT."""
        return StreamScale(
            payloads=self.requests,
            messages_each=self.requests // 8,
            connections=self.resident,
            rounds=self.rounds,
        )


@contextmanager
def serving(directory: Path) -> Iterator[ServerProcess]:
    """A real server on a directory, with the devices of the benchmarks in it."""
    with ServerProcess(data_dir=directory, environment=ENVIRONMENT, launch=start_installed) as server:
        yield server


def prepare(directory: Path, *, devices: int, rows: int = 0) -> None:
    """Make a data directory with its first product, devices and commands."""
    with serving(directory) as server:
        server.terminate()
    path = directory / "commandpost.db"
    store = SqliteStore(path)
    product = asyncio.run(store.list_products())[0]
    make_devices(store, product, devices, now=SystemClock().wall_ms())
    if rows:
        fill(path, store, product.id, commands=rows, devices=devices)
    store.close()


def run_load(address: tuple[str, int], requests: list[bytes], connections: int) -> HttpLoad:
    """Run a load on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load(address, requests, connections=connections))


def accept_requests(server_key: str, count: int, devices: int, chance: Random) -> list[bytes]:
    """Cached writes for devices chosen by chance."""
    return [
        request_bytes(
            "POST",
            f"/nbiot/offline?imei={imei_of(chance.randrange(devices))}&obj_id=3311&obj_inst_id=0&mode=2"
            f"&expired_time={EXPIRES}",
            api_key=server_key,
            body=BODY,
        )
        for _ in range(count)
    ]


def accepts(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Durable accepts over HTTP, beside an empty handler and beside the store alone."""
    prepare(directory, devices=scale.devices, rows=scale.rows)
    for connections in (64, 1):
        yield _accepts_over(directory, scale, connections)


def _accepts_over(directory: Path, scale: Scale, connections: int) -> Comparison:
    count = scale.requests if connections > 1 else scale.requests // 4
    with python_process("benchmarks.bare_servers", "asgi") as (_, line), serving(directory) as server:
        requests = accept_requests(server.master_key, count, scale.devices, Random(connections))
        measured = in_turn(
            (
                ("over HTTP", "/s", lambda: _errno_free(run_load(server.http, requests, connections)).per_second),
                ("empty ASGI handler", "/s", lambda: run_load(address_of(line), requests, connections).per_second),
            ),
            rounds=scale.rounds,
        )
        server.terminate()
    return Comparison(
        title=f"durable accepts, {connections} connection{'s' if connections > 1 else ''}",
        ours=measured[0],
        bare=(measured[1], _store_alone(directory, scale, connections, count)),
    )


def _errno_free(found: HttpLoad) -> HttpLoad:
    assert b'"errno":0' in found.last_body, found.last_body
    return found


def _store_alone(directory: Path, scale: Scale, callers: int, count: int) -> Figure:
    store = SqliteStore(directory / "commandpost.db")
    clock, ids, chance = SystemClock(), SystemIds(), Random(3)

    async def once() -> float:
        product = (await store.list_products())[0]
        writer = GroupCommit(
            InlineDriver(store, monotonic=clock.monotonic),
            clock=clock,
            scheduler=asyncio.get_running_loop(),
            events=_Silent(),
            on_broken=lambda error: None,
        )
        numbers = [chance.randrange(scale.devices) for _ in range(count)]
        facts = iter(
            [accept(new_command(product.id, DeviceId(n + 1), n, ids=ids, now=clock.wall_ms())) for n in numbers]
        )

        async def caller() -> None:
            for fact in facts:
                await writer.perform(fact)

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        seconds = time.perf_counter() - started
        await writer.close(timeout_s=5)
        return count / seconds

    def measure() -> float:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(once())

    try:
        (figure,) = in_turn((("SQLite group commit alone", "/s", measure),), rounds=scale.rounds)
    finally:
        store.close()
    return figure


class _Silent:
    def emit(self, event: str, **fields: object) -> None:
        """Nothing."""


def store_batches(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """One accept per transaction, and a hundred, beside SQLite's smallest durable transaction."""
    if not (directory / "commandpost.db").exists():
        prepare(directory, devices=scale.devices, rows=scale.rows)
    store = SqliteStore(directory / "commandpost.db")
    clock, ids, chance = SystemClock(), SystemIds(), Random(4)
    product = asyncio.run(store.list_products())[0]

    def facts(count: int) -> list[Fact[object]]:
        numbers = [chance.randrange(scale.devices) for _ in range(count)]
        return [accept(new_command(product.id, DeviceId(n + 1), n, ids=ids, now=clock.wall_ms())) for n in numbers]

    def in_batches(size: int, count: int) -> Callable[[], float]:
        def measure() -> float:
            batches = [facts(size) for _ in range(count // size)]
            started = time.perf_counter()
            for batch in batches:
                store.apply(batch)
            return count / (time.perf_counter() - started)

        return measure

    try:
        found = in_turn(
            (
                ("one per transaction", "/s", in_batches(1, scale.requests // 4)),
                ("a hundred per transaction", "/s", in_batches(100, scale.requests)),
                ("one row of two integers, synced", "/s", lambda: _bare_rows(directory, scale.requests // 4)),
            ),
            rounds=scale.rounds,
        )
    finally:
        store.close()
    yield Comparison(title="store", ours=found[0], bare=(found[2],))
    yield Comparison(title="store", ours=found[1], bare=(found[2],))


def _bare_rows(directory: Path, count: int) -> float:
    import sqlite3

    path = directory / "bare.db"
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS bare (a INTEGER, b INTEGER)")
        started = time.perf_counter()
        for number in range(count):
            database.execute("INSERT INTO bare VALUES (?, ?)", (number, number))
        return count / (time.perf_counter() - started)
    finally:
        database.close()


def instants(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Instant reads end to end, beside an empty handler and a UDP echo."""
    devices, connections = 64, 64
    prepare(directory, devices=devices)
    with serving(directory) as server:
        host, port = server.coap
        with (
            python_process("benchmarks.udp_load", host, str(port), str(devices), stdin=PIPE),
            python_process("benchmarks.bare_servers", "asgi") as (_, asgi_line),
            python_process("benchmarks.bare_servers", "udp") as (_, udp_line),
        ):
            requests = [
                request_bytes(
                    "GET",
                    f"/nbiot?imei={imei_of(n % devices)}&obj_id=3303&obj_inst_id=0&res_id=5700",
                    api_key=server.master_key,
                )
                for n in range(scale.requests)
            ]
            found = in_turn(
                (
                    ("HTTP to device and back", "/s", lambda: _good(server, requests, connections)),
                    (
                        "empty ASGI handler",
                        "/s",
                        lambda: run_load(address_of(asgi_line), requests, connections).per_second,
                    ),
                    ("plain UDP echo", "/s", lambda: _echo(address_of(udp_line), scale.registrations * 5)),
                ),
                rounds=scale.rounds,
            )
        server.terminate()
    yield Comparison(title="instant commands, 64 devices", ours=found[0], bare=found[1:])


def _good(server: ServerProcess, requests: list[bytes], connections: int) -> float:
    return _errno_free(run_load(server.http, requests, connections)).per_second


def _echo(address: tuple[str, int], count: int) -> float:
    devices = Devices(address, 64)
    try:
        each = count // 64
        frames = [[update_frame(imei_of(n), 0x100 + k) for k in range(each)] for n in range(64)]
        return each * 64 / devices.exchange(frames, answers_requests=False)
    finally:
        devices.close()


def registrations(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Durable registrations, and updates from memory, beside a UDP echo."""
    count = scale.registrations
    prepare(directory, devices=count)
    message_ids = iter(range(1, 0xFFFF))
    with python_process("benchmarks.bare_servers", "udp") as (_, line), serving(directory) as server:
        devices = Devices(server.coap, count)

        def register() -> float:
            number = next(message_ids)
            return count / devices.exchange([[register_frame(imei_of(n), number)] for n in range(count)])

        def update() -> float:
            devices.answer_for(_for_seconds(SETTLE_S))  # what follows the registrations must not be counted here
            number = next(message_ids)
            return count / devices.exchange([[update_frame(imei_of(n), number)] for n in range(count)])

        found = in_turn(
            (
                ("register, on disk before 2.01", "/s", register),
                ("update", "/s", update),
                ("plain UDP echo", "/s", lambda: _echo(address_of(line), count * 5)),
            ),
            rounds=scale.rounds,
        )
        devices.close()
        server.terminate()
    yield Comparison(title="uplinks", ours=found[0], bare=(found[2],))
    yield Comparison(title="uplinks", ours=found[1], bare=(found[2],))


def wake_to_wire(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """From a device's UPDATE to the first command on its socket, one device at a time, beside an echo's round trip."""
    count = 500
    prepare(directory, devices=1)
    with python_process("benchmarks.bare_servers", "udp") as (_, line), serving(directory) as server:
        device, echo = Devices(server.coap, 1), Devices(address_of(line), 1)
        device.exchange([[register_frame(imei_of(0), 0x0100)]])
        device.answer_for(_for_seconds(1.0))  # what follows a registration
        (mine,), (its,) = device.sockets.values(), echo.sockets.values()
        mine.setblocking(True)
        its.setblocking(True)
        mine.settimeout(10)
        its.settimeout(10)
        command = accept_requests(server.master_key, 1, 1, Random(1))
        waits, trips = [], []
        for number in range(count):
            run_load(server.http, command, 1)
            started = time.perf_counter()
            mine.send(update_frame(imei_of(0), 0x200 + number))
            while (data := mine.recv(2048))[1] > 31:
                pass
            waits.append(time.perf_counter() - started)
            mine.send(answer_to(data))
            started = time.perf_counter()
            its.send(update_frame(imei_of(0), 0x200 + number))
            its.recv(2048)
            trips.append(time.perf_counter() - started)
        server.terminate()
        device.close()
        echo.close()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Comparison(
            title="wake to wire",
            ours=Figure(name=name, unit="ms", values=(percentile(waits, share) * 1000,)),
            bare=(Figure(name="UDP echo round trip", unit="ms", values=(percentile(trips, share) * 1000,)),),
        )


def _for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


def memory(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Resident memory for ten thousand registered devices, each with an address of its own."""
    count = scale.resident
    prepare(directory, devices=count)
    with serving(directory) as server:
        assert server.process is not None
        before = resident_bytes(server.process.pid)
        devices = Devices(server.coap, count)
        devices.exchange([[register_frame(imei_of(n), 0x300)] for n in range(count)])
        devices.answer_for(_for_seconds(SETTLE_S + 5.0))
        after = resident_bytes(server.process.pid)
        devices.close()
        server.terminate()
    grown = (after - before) / 1_048_576
    yield Comparison(
        title=f"memory, {count:,} registered devices",
        ours=Figure(name="growth of the server", unit="MiB", values=(grown,)),
        extra=(
            Figure(name="a device", unit="bytes", values=((after - before) / count,)),
            Figure(name="the server before", unit="MiB", values=(before / 1_048_576,)),
        ),
    )


def _with_streams(
    run: Callable[[Path, StreamScale], Iterator[Comparison]],
) -> Callable[[Path, Scale], Iterator[Comparison]]:
    return lambda directory, scale: run(directory, scale.streams)


RUNS: dict[str, Callable[[Path, Scale], Iterator[Comparison]]] = {
    "accepts": accepts,
    "store": store_batches,
    "instants": instants,
    "uplinks": registrations,
    "wake": wake_to_wire,
    "memory": memory,
    **{name: _with_streams(run) for name, run in STREAM_RUNS.items()},
}
