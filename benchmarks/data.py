"""What devices report: notifications stored durably, and asking for values as the stored points become many."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import uvloop

from benchmarks.database import make_devices
from benchmarks.figures import Comparison, in_turn
from benchmarks.runs import Scale
from commandpost.app import SystemClock, SystemIds
from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.data_ports import PointFilter
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Product
from commandpost.domain.facts import CreateProduct, Fact
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.services.datapoints import STREAMS_MAX, Datapoints
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.sqlite.store import SqliteStore
from tests.conformance import store_builders as build

DEVICES = 1_000
CALLERS = 64  # notifications under way at one time; so many rows are in a transaction of the bare limit, too
PAGE_POINTS = 100
FACTS_PER_BATCH = 1_000
ASKED_VALUES, ASKED_PAGES = 20, 200  # questions in one round
STREAM, LONG_STREAM = "3303_0_5700", "3303_0_5701"
VALUE = "21.5"

Ask = Callable[[], Coroutine[None, None, None]]
Add = Callable[[DeviceId, ProductId, Datapoint], Awaitable[object]]


def grouped(store: SqliteStore) -> GroupCommit:
    """The writer of a server, on the running loop."""
    clock = SystemClock()
    return GroupCommit(
        InlineDriver(store, monotonic=clock.monotonic),
        clock=clock,
        scheduler=asyncio.get_running_loop(),
        events=Silent(),
        on_broken=lambda error: None,
    )


class Silent:
    """Hears nothing."""

    def emit(self, event: str, **fields: object) -> None:
        """Nothing."""


@contextmanager
def _devices(path: Path) -> Iterator[tuple[SqliteStore, ProductId]]:
    """A store with a product and its devices, which are numbered from 1."""
    with closing(SqliteStore(path)) as store:
        (product,) = store.apply([CreateProduct(product=build.product(), keys=())])
        assert isinstance(product, Product), product
        make_devices(store, product, DEVICES, now=SystemClock().wall_ms())
        yield store, product.id


# --- storing ---------------------------------------------------------------------------------------------------------


def notifications(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """A point of a device, on disk before its acknowledgement: by the service, by the writer, and by bare SQLite."""
    directory.mkdir(parents=True, exist_ok=True)
    count = scale.requests * 2
    with _devices(directory / "points.db") as (store, product_id), _bare_database(directory / "bare.db") as bare:
        found = in_turn(
            (
                ("datapoints service", "/s", lambda: _run(_storing(store, product_id, count, _by_service))),
                (
                    "the group commit without the service",
                    "/s",
                    lambda: _run(_storing(store, product_id, count, _plain)),
                ),
                (f"bare SQLite, {CALLERS} rows a transaction", "/s", lambda: _insert(bare, count)),
            ),
            rounds=scale.rounds,
        )
    yield Comparison(title=f"notifications stored, {CALLERS} at a time", ours=found[0], bare=found[1:])


async def _storing(
    store: SqliteStore, product_id: ProductId, count: int, way: Callable[[SqliteStore, GroupCommit], Add]
) -> float:
    clock = SystemClock()
    writer = grouped(store)
    add = way(store, writer)
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            point = Datapoint(stream_id=STREAM, at=clock.wall_ms(), value=VALUE)
            refused = await add(DeviceId(number % DEVICES + 1), product_id, point)
            assert refused is None, refused

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    seconds = time.perf_counter() - started
    await writer.close(timeout_s=10)
    return count / seconds


def _by_service(store: SqliteStore, writer: GroupCommit) -> Add:
    service = Datapoints(writer=writer, reader=store, ids=SystemIds(), clock=SystemClock(), events=Silent())
    return lambda device_id, product_id, point: service.add(device_id, product_id, (point,))


def _plain(store: SqliteStore, writer: GroupCommit) -> Add:
    return lambda device_id, product_id, point: writer.perform(_fact(device_id, product_id, point))


def _fact(device_id: DeviceId, product_id: ProductId, point: Datapoint) -> AddDatapoints:
    return AddDatapoints(
        device_id=device_id, product_id=product_id, points=(point,), received_at=point.at, streams_max=STREAMS_MAX
    )


@contextmanager
def _bare_database(path: Path) -> Iterator[sqlite3.Connection]:
    """The columns and the index of a point, and nothing of streams, devices and who wants to be told."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(
            "CREATE TABLE point (number INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, "
            "at INTEGER NOT NULL, received_at INTEGER NOT NULL, value TEXT NOT NULL) STRICT"
        )
        database.execute("CREATE INDEX point_by_stream ON point (stream, at)")
        yield database


def _insert(database: sqlite3.Connection, count: int) -> float:
    clock = SystemClock()
    started = time.perf_counter()
    for begin in range(0, count, CALLERS):
        database.execute("BEGIN IMMEDIATE")
        for number in range(begin, min(count, begin + CALLERS)):
            now = clock.wall_ms()
            database.execute(
                "INSERT INTO point (stream, at, received_at, value) VALUES (?, ?, ?, ?)",
                (number % DEVICES + 1, now, now, VALUE),
            )
        database.execute("COMMIT")
    return count / (time.perf_counter() - started)


# --- asking ----------------------------------------------------------------------------------------------------------


def values(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """The latest values and a page of a stream, with many points stored beside few: it should take no longer."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        latest, pages = [], []
        for points in (scale.points_many, scale.points_few):
            store, product_id = stack.enter_context(_devices(directory / f"{points}.db"))
            middle = _fill(store, product_id, points)
            name = f"of {points:,} stored points"
            latest.append((name, "ms", _asking(runner, _latest(store), ASKED_VALUES)))
            pages.append((name, "ms", _asking(runner, _page(store, middle), ASKED_PAGES)))
        for title, measures in (
            (f"latest values of {DEVICES:,} devices", latest),
            (f"{PAGE_POINTS} points from the middle of one stream", pages),
        ):
            many, few = in_turn(measures, rounds=scale.rounds)
            yield Comparison(title=title, ours=many, bare=(few,))


def _fill(store: SqliteStore, product_id: ProductId, count: int) -> Instant:
    """Every other point is of one stream, the rest goes round the devices; gives the time of the middle one."""
    begin = Instant(SystemClock().wall_ms() - count)
    for start in range(0, count, FACTS_PER_BATCH):
        facts: list[Fact[object]] = [
            _fact(
                DeviceId(1 if number % 2 else number // 2 % DEVICES + 1),
                product_id,
                Datapoint(
                    stream_id=LONG_STREAM if number % 2 else STREAM, at=Instant(begin + number), value=f"{number}"
                ),
            )
            for number in range(start, min(count, start + FACTS_PER_BATCH))
        ]
        assert not any(store.apply(facts))
    return Instant(begin + count // 2)


def _latest(store: SqliteStore) -> Ask:
    devices = [DeviceId(number + 1) for number in range(DEVICES)]

    async def ask() -> None:
        found = await store.current_values(devices)
        assert len(found) == DEVICES, len(found)

    return ask


def _page(store: SqliteStore, middle: Instant) -> Ask:
    which = PointFilter(device_id=DeviceId(1), stream_ids=(LONG_STREAM,), start=middle)

    async def ask() -> None:
        (stream,) = (await store.list_points(which, limit=PAGE_POINTS)).streams
        assert len(stream.points) == PAGE_POINTS, len(stream.points)

    return ask


def _asking(runner: asyncio.Runner, ask: Ask, times: int) -> Callable[[], float]:
    async def repeat() -> float:
        started = time.perf_counter()
        for _ in range(times):
            await ask()
        return (time.perf_counter() - started) * 1000 / times

    return lambda: runner.run(repeat())


def _run(work: Coroutine[None, None, float]) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


DATA_RUNS: dict[str, Callable[[Path, Scale], Iterator[Comparison]]] = {
    "notifications": notifications,
    "values": values,
}
