"""What may be opened, what is refused and why, and that a migration is all or nothing."""

import sqlite3
from pathlib import Path

import pytest

from commandpost.domain.facts import ReplaceKey
from commandpost.domain.topic_facts import KeepTopicSession
from commandpost.stores.errors import DatabaseRefused
from commandpost.stores.migrate import APPLICATION_ID, Migration, load_migrations, migrate, split_statements
from commandpost.stores.sqlite import Durability, SqliteStore
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness, StoreHarness


def pragma(path: Path, name: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def test_a_fresh_database_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    SqliteStore(path).close()

    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "user_version") == len(load_migrations())
    assert pragma(path, "journal_mode") == "wal"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in sorted(tmp_path.iterdir())] == ["commandpost.db"]


@pytest.mark.parametrize(("durability", "value"), [(Durability.FULL, 2), (Durability.OFF, 0)])
def test_durability_is_what_was_asked_for(tmp_path: Path, durability: Durability, value: int) -> None:
    store = SqliteStore(tmp_path / "commandpost.db", durability=durability)

    assert store._writer.execute("PRAGMA synchronous").fetchone() == (value,)
    store.close()


def test_a_database_is_as_it_was_when_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    first = SqliteHarness(path)
    command = first.accept(first.make_online_device(), 1)
    first.store.close()

    second = SqliteHarness(path)

    record = second.ask(second.reader.find_command(command.id))
    assert record is not None
    assert record.command == command
    assert second.accept(second.make_device(imei="2"), 2).seq == 2
    second.store.close()


def test_what_was_not_committed_is_gone_when_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    first = SqliteStore(path)
    first._writer.execute("BEGIN IMMEDIATE")
    first._writer.execute(
        "INSERT INTO outbox (subscription_id, product_id, device_id, kind, at, told_at) VALUES (1, 1, 1, 2, 0, 0)"
    )
    first.close()

    second = SqliteHarness(path)

    assert second.outbox() == ()
    second.store.close()


@pytest.mark.parametrize("content", [b"garbage", b"SQLite format 3\x00" + b"\xff" * 4_096, b"\x00" * 8_192])
def test_garbage_is_refused_by_name_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "commandpost.db"
    path.write_bytes(content)

    with pytest.raises(DatabaseRefused, match=r"commandpost\.db"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_refused_because_a_first_start_never_leaves_one(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    path.touch()

    with pytest.raises(DatabaseRefused, match="is empty"):
        SqliteStore(path)


def test_a_place_where_nothing_can_lie_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "commandpost.db", tmp_path):
        with pytest.raises(DatabaseRefused, match=f"{path} cannot be opened"):
            SqliteStore(path)


def test_an_interrupted_first_start_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    (tmp_path / "commandpost.db.new").write_bytes(b"half a page")

    SqliteStore(path).close()

    assert [each.name for each in sorted(tmp_path.iterdir())] == ["commandpost.db"]


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "commandpost.db"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(DatabaseRefused, match=rf"newer version \(schema 99\).*up to {len(load_migrations())}"):
        SqliteStore(path)
    assert pragma(path, "user_version") == 99


@pytest.mark.parametrize("sql", ["CREATE TABLE other (id INTEGER)", "PRAGMA application_id = 42"])
def test_another_programs_database_is_refused(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "commandpost.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(sql)
    connection.commit()
    connection.close()

    with pytest.raises(DatabaseRefused, match="another program's"):
        SqliteStore(path)


def test_only_what_is_missing_is_applied() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first = Migration(version=1, name="one", sql="CREATE TABLE one (id INTEGER);")
    second = Migration(version=2, name="two", sql="CREATE TABLE two (id INTEGER);")
    migrate(connection, [first], name="test")

    migrate(connection, [first, second], name="test")

    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    assert tables == ["one", "two"]
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


def test_a_migration_that_fails_leaves_nothing_behind() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    broken = Migration(version=1, name="broken", sql="CREATE TABLE one (id INTEGER);\nCREATE TABLE one (id INTEGER);")

    with pytest.raises(DatabaseRefused, match="already exists"):
        migrate(connection, [broken], name="test")

    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


def test_statements_are_cut_where_they_end() -> None:
    sql = "-- a comment; with a semicolon\nCREATE TABLE a (b TEXT DEFAULT ';');\n\nCREATE TABLE c (\n    d TEXT\n);\n"

    statements = list(split_statements(sql))

    assert [statement.strip().splitlines()[-1] for statement in statements] == [
        "CREATE TABLE a (b TEXT DEFAULT ';');",
        ");",
    ]


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("state = 'cancelled'", "final without its instant"),
        ("finished_at = 1", "an instant without a final state"),
        ("state = 'sent'", "sent without attempt"),
        ("state = 'asleep'", "no state"),
        ("expires_at = valid_from", "an empty window"),
        ("id = x'00'", "a short id"),
    ],
)
def test_the_schema_refuses_what_cannot_be(tmp_path: Path, assignment: str, reason: str) -> None:
    harness = SqliteHarness(tmp_path / "commandpost.db")
    harness.accept(harness.make_device(), 1)

    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        harness._execute(f"UPDATE command SET {assignment}")
    assert reason
    harness.store.close()


def test_the_schema_holds_one_lwm2m_request_in_flight_per_device(tmp_path: Path) -> None:
    """P4, without asking the code that claims."""
    harness = SqliteHarness(tmp_path / "commandpost.db")
    device = harness.make_device()
    harness.accept(device, 1)
    harness.accept(device, 2)
    claim = "UPDATE command SET state = 'sent', current_attempt = seq, deadline = 1 WHERE seq = ?"
    harness._execute(claim, 1)

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        harness._execute(claim, 2)
    harness.store.close()


def test_a_row_that_nobody_wrote_is_refused(tmp_path: Path) -> None:
    harness = SqliteHarness(tmp_path / "commandpost.db")
    command = harness.accept(harness.make_device(), 1)
    harness._execute("""UPDATE command SET operation = '[9,["read",[1]]]'""")

    with pytest.raises(Exception, match="cannot be read"):
        StoreHarness.ask(harness.reader.find_command(command.id))
    assert command.id == build.command_id(1)
    harness.store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE session SET transport = 'http'",
        "UPDATE product_key SET kind = 'spare'",
        "UPDATE datastream SET current_value = NULL",
        "UPDATE datastream SET stream_id = ''",
        "UPDATE datastream SET unit = printf('%065d', 1)",
        "UPDATE datapoint SET value = printf('%065537d', 1)",
        "UPDATE topic_session SET expiry_s = 4294967296",
        "UPDATE topic_session SET expires_at = 1",
        "UPDATE topic_session SET queued_messages = -1",
        "UPDATE queued_message SET qos = 3",
        "UPDATE retained_message SET payload = x''",
    ],
)
def test_the_schema_refuses_what_no_connection_stream_or_session_can_be(tmp_path: Path, statement: str) -> None:
    harness = SqliteHarness(tmp_path / "commandpost.db")
    device = harness.make_connected_device()
    harness.apply(ReplaceKey(key=build.key(product_id=device.product_id)))
    harness.apply(data.add(device, data.point("t", 1)))
    harness.apply(KeepTopicSession(session=data.topic_session(device), starts_clean=True))
    harness.apply(data.keep(device.product_id, data.message(), device, retains=True))

    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        harness._execute(statement)
    harness.store.close()
