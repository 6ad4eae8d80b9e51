"""100,000 points on a file: what is asked walks no more than what it answers, and a deletion returns at once.

Measured in steps of SQLite's machine, which are the same on every computer.
"""

import sqlite3
from collections.abc import Callable, Iterator

import pytest

from commandpost.domain.data_facts import DeleteDatastream, PruneData, PruneOrphans
from commandpost.domain.data_ports import PointFilter, PointPosition
from commandpost.domain.device import Device
from commandpost.domain.facts import DeleteDevice
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness

POINTS = 100_000
STEPS = 1_000  # in which the handler counts


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteHarness, list[Device]]]:
    """Two devices: half of the points are of one instant, as a clock that stands still makes them."""
    harness = SqliteHarness(tmp_path_factory.mktemp("volume") / "commandpost.db")
    product_id = harness.make_product()
    devices = [harness.make_connecting_device(product_id, f"sn-{number}") for number in (1, 2)]
    for device, is_stuck in zip(devices, (True, False), strict=True):
        for first in range(0, POINTS // 2, 5_000):
            points = (data.point("t", 7 if is_stuck else at, "1") for at in range(first, first + 5_000))
            harness.apply(data.add(device, *points, received=first))
    yield harness, devices
    harness.store.close()


def steps(connection: sqlite3.Connection, act: Callable[[], object]) -> int:
    """How many thousand steps something takes, rounded down."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(tick, STEPS)
    try:
        act()
    finally:
        connection.set_progress_handler(None, STEPS)
    return count


@pytest.mark.parametrize("is_ascending", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_a_page_in_the_middle_costs_what_it_holds(
    filled: tuple[SqliteHarness, list[Device]], *, which: int, is_ascending: bool
) -> None:
    harness, devices = filled
    number = POINTS // 4 + which * POINTS // 2
    beyond = PointPosition(at=build.at(7 if which == 0 else POINTS // 4 - 1), number=number)
    asked = PointFilter(device_id=devices[which].id, is_ascending=is_ascending, beyond=beyond)
    found: list[int] = []

    def ask() -> None:
        page = harness.ask(harness.reader.list_points(asked, limit=100))
        found.extend(point.position.number for stream in page.streams for point in stream.points)

    cost = steps(harness.store._reader, ask)  # type: ignore[attr-defined]  # of the SQLite store

    step = 1 if is_ascending else -1
    assert found == list(range(number + step, number + 101 * step, step))
    assert cost <= 5, cost


def test_retention_walks_one_slice(filled: tuple[SqliteHarness, list[Device]]) -> None:
    harness, _ = filled
    counts: list[int] = []

    cost = steps(
        harness.store._writer,  # type: ignore[attr-defined]  # of the SQLite store
        lambda: counts.append(harness.apply(PruneData(received_before=build.at(1), limit=100)).count),
    )

    assert counts == [100]
    assert cost <= 20, cost


def test_a_deletion_returns_at_once_and_the_sweep_goes_in_slices(filled: tuple[SqliteHarness, list[Device]]) -> None:
    """The last test on these points: they are gone then."""
    harness, (stuck, other) = filled
    writer = harness.store._writer  # type: ignore[attr-defined]  # of the SQLite store
    facts = [
        DeleteDatastream(device_id=stuck.id, stream_id="t"),
        DeleteDevice(product_id=other.product_id, device_id=other.id),
    ]

    costs = [steps(writer, lambda fact=fact: harness.apply(fact)) for fact in facts]  # type: ignore[misc]  # bound now
    slices = [harness.apply(PruneOrphans(limit=500)).count for _ in range(3)]
    sliced = steps(writer, lambda: harness.apply(PruneOrphans(limit=500)))

    assert max(costs) <= 2, costs
    assert slices == [500] * 3
    assert sliced <= 60, sliced
