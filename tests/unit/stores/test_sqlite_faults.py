"""What the embedded store does when the database fails: fail-stop on commit, one error for one bad fact."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandpost.domain.command import Submission
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import AcceptCommand, Accepted
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.errors import StoreBroken
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.sqlite import Durability, SqliteStore
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness
from tests.unit.stores.fakes import EventLog, FakeClock, FakeScheduler, Outcomes


class FaultyConnection(sqlite3.Connection):
    """Fails at statements that begin with a text, once it is set."""

    fails_at: str | None = None
    statements: list[str]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self.fails_at is not None and sql.startswith(self.fails_at):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


class FaultyHarness(SqliteHarness):
    """A store on a connection that fails on demand."""

    def __init__(self, path: Path) -> None:
        self.connections: list[FaultyConnection] = []
        super().__init__(path, connect=self._connect)

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, factory=FaultyConnection)
        self.connections.append(connection)
        return connection

    @property
    def connection(self) -> FaultyConnection:
        """The writing one."""
        (connection,) = self.connections
        return connection


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[FaultyHarness]:
    """A store whose connection fails on demand."""
    harness = FaultyHarness(tmp_path / "commandpost.db")
    yield harness
    harness.connection.fails_at = None
    harness.store.close()


@pytest.mark.parametrize("verb", ["BEGIN", "COMMIT"])
def test_a_transaction_that_fails_breaks_the_store_for_good(faulty: FaultyHarness, verb: str) -> None:
    """P1: what could not be committed is not acknowledged, and nothing is tried again."""
    device = faulty.make_device()
    faulty.connection.fails_at = verb

    with pytest.raises(StoreBroken, match="disk I/O error"):
        faulty.apply_batch([build.accept(device, 1)])

    faulty.connection.fails_at = None
    with pytest.raises(StoreBroken):
        faulty.apply_batch([build.accept(device, 2)])
    faulty.connection.close()
    reopened = SqliteStore(faulty.path, durability=Durability.OFF)
    try:
        assert SqliteHarness.ask(reopened.find_command(build.command_id(1))) is None
        assert SqliteHarness.ask(reopened.find_command(build.command_id(2))) is None
    finally:
        reopened.close()


def test_a_batch_that_cannot_be_undone_breaks_the_store(faulty: FaultyHarness) -> None:
    device = faulty.make_device()
    faulty.accept(device, 1)
    faulty.connection.fails_at = "ROLLBACK"

    with pytest.raises(StoreBroken, match="undone"):
        faulty.apply_batch([build.accept(device, 1)])


def test_a_failed_commit_is_told_to_everybody_and_acknowledged_to_nobody(faulty: FaultyHarness) -> None:
    device = faulty.make_device()
    clock = FakeClock()
    scheduler = FakeScheduler(clock)
    broken: list[StoreBroken] = []
    outcomes = Outcomes()
    writer = GroupCommit(
        InlineDriver(faulty.store, monotonic=clock.monotonic),
        clock=clock,
        scheduler=scheduler,
        events=EventLog(),
        on_broken=broken.append,
    )
    faulty.connection.fails_at = "COMMIT"
    for number in range(5):
        writer.submit(build.accept(device, number), outcomes.then, outcomes.otherwise)

    scheduler.run_for(10)

    assert len(broken) == 1
    assert outcomes.results == []
    assert [type(error) for error in outcomes.errors] == [StoreBroken] * 5
    with pytest.raises(StoreUnavailable):
        writer.submit(build.accept(device, 9))


def test_a_disk_that_is_full_for_one_fact_is_an_error_for_that_one(faulty: FaultyHarness) -> None:
    """The database may not grow by more than a few pages: the fact that needs more of them fails alone."""
    device = faulty.make_device()
    faulty.accept(device, 1)
    (pages,) = faulty.connection.execute("PRAGMA page_count").fetchone()
    faulty.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    huge = replace(build.command(device, 3), submission=Submission(content='"' + "x" * 200_000 + '"'))

    outcomes = faulty.apply_batch(
        [build.accept(device, 2), AcceptCommand(command=huge, waiting_max=10), build.accept(device, 4)]
    )

    assert isinstance(outcomes[0], Accepted)
    assert isinstance(outcomes[1], StoreUnavailable)
    assert "full" in str(outcomes[1])
    assert isinstance(outcomes[2], Accepted)
    assert faulty.ask(faulty.reader.find_command(huge.id)) is None
    assert faulty.ask(faulty.reader.find_command(build.command_id(4))) is not None


def test_a_fact_that_sqlite_cannot_hold_is_an_error_for_that_one(faulty: FaultyHarness) -> None:
    device = faulty.make_device()
    beyond = replace(build.command(device, 1), answer_timeout_ms=2**63)
    unwritable = replace(build.command(device, 2), imei="\ud800")

    outcomes = faulty.apply_batch(
        [AcceptCommand(command=each, waiting_max=10) for each in (beyond, unwritable)] + [build.accept(device, 3)]
    )

    assert [isinstance(outcome, StoreUnavailable) for outcome in outcomes] == [True, True, False]


def test_a_reader_whose_database_fails_says_so(faulty: FaultyHarness) -> None:
    faulty.store.close()

    with pytest.raises(StoreUnavailable):
        faulty.ask(faulty.reader.find_command(build.command_id(1)))
