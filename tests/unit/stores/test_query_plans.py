"""Every hot query goes by its index: no scan, no sorting, whatever the size of the table."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandpost.stores.migrate import load_migrations, migrate
from commandpost.stores.sqlite.queries import load_queries


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """An empty database with the newest schema; plans depend on the schema alone, for ANALYZE is never run."""
    path: Path = tmp_path_factory.mktemp("plans") / "plans.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, load_migrations(), name="plans")
    yield connection
    connection.close()


def explain(database: sqlite3.Connection, file_name: str, query: str) -> list[str]:
    """The steps of a query's plan."""
    sql = load_queries(file_name)[query]
    placeholders = dict.fromkeys(_names(sql), 1)
    arguments = placeholders or (1,) * sql.count("?")
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]


def _names(sql: str) -> list[str]:
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return [part.split(maxsplit=1)[0].rstrip(",);") for part in code.replace("(:", " :").split(" :")[1:]]


@pytest.mark.parametrize(
    ("file_name", "query", "index"),
    [
        ("commands.sql", "accept_command", "COVERING INDEX command_waiting"),
        ("commands.sql", "waiting_for", "command_waiting"),
        ("commands.sql", "waiting_of_device", "command_waiting"),
        ("commands.sql", "waiting_devices", "COVERING INDEX command_waiting"),
        ("commands.sql", "find_command", "sqlite_autoindex_command_1"),
        ("commands.sql", "find_claimable", "command_sent"),
        ("commands.sql", "expiring", "command_expiring"),
        ("commands.sql", "overdue_attempts", "command_deadline"),
        ("commands.sql", "open_attempts", "command_attempt"),
        ("commands.sql", "count_history", "COVERING INDEX command_history"),
        ("commands.sql", "history_ascending", "command_history"),
        ("commands.sql", "history_descending", "command_history"),
        ("commands.sql", "history_of_one", "sqlite_autoindex_command_1"),
        ("commands.sql", "prunable", "command_retention"),
        ("commands.sql", "list_commands", "command_by_product"),
        ("commands.sql", "attempts_of", "attempt_by_command"),
        ("commands.sql", "delete_attempts_of", "attempt_by_command"),
        ("commands.sql", "claim_command", "INTEGER PRIMARY KEY"),
        ("commands.sql", "finish_command", "INTEGER PRIMARY KEY"),
        ("commands.sql", "end_attempt", "INTEGER PRIMARY KEY"),
        ("commands.sql", "tell_command_ended", "subscription_by_product"),
        ("devices.sql", "find_device_by_imei", "sqlite_autoindex_device_1"),
        ("devices.sql", "is_auth_info_taken", "device_by_auth_info"),
        ("devices.sql", "find_key", "sqlite_autoindex_product_key_1"),
        ("devices.sql", "list_devices", "device_by_product"),
        ("devices.sql", "list_devices_among", "INTEGER PRIMARY KEY"),
        ("devices.sql", "count_all_devices", "COVERING INDEX device_by_product"),
        ("devices.sql", "online_among", "INTEGER PRIMARY KEY"),
        ("devices.sql", "delete_commands", "command_history"),
        ("devices.sql", "delete_attempts", "COVERING INDEX command_history"),
        ("devices.sql", "delete_events", "outbox_by_device"),
        ("devices.sql", "delete_observations", "sqlite_autoindex_observation_1"),
        ("sessions.sql", "overdue_sessions", "session_by_deadline"),
        ("sessions.sql", "find_session_by_location", "session_by_location"),
        ("sessions.sql", "sessions_in_setup", "session_in_setup"),
        ("sessions.sql", "touch_session", "INTEGER PRIMARY KEY"),
        ("sessions.sql", "observations_of", "sqlite_autoindex_observation_1"),
    ],
)
def test_a_query_goes_by_its_index(database: sqlite3.Connection, file_name: str, query: str, index: str) -> None:
    plan = explain(database, file_name, query)

    assert any(index in step for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN") and _is_scan_of_table(step)], plan


@pytest.mark.parametrize(
    ("file_name", "query"),
    [
        ("commands.sql", "waiting_for"),
        ("commands.sql", "expiring"),
        ("commands.sql", "overdue_attempts"),
        ("commands.sql", "open_attempts"),
        ("commands.sql", "history_ascending"),
        ("commands.sql", "history_descending"),
        ("commands.sql", "list_commands"),
        ("commands.sql", "waiting_devices"),
        ("commands.sql", "prunable"),
        ("devices.sql", "list_devices"),
        ("sessions.sql", "overdue_sessions"),
        ("sessions.sql", "sessions_in_setup"),
    ],
)
def test_a_list_comes_in_the_order_of_its_index(database: sqlite3.Connection, file_name: str, query: str) -> None:
    plan = explain(database, file_name, query)

    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("file_name", ["commands.sql", "devices.sql", "sessions.sql"])
def test_every_named_query_is_one_the_schema_understands(database: sqlite3.Connection, file_name: str) -> None:
    for query in load_queries(file_name):
        assert isinstance(explain(database, file_name, query), list)


def _is_scan_of_table(step: str) -> bool:
    """A scan of a list the caller gave, or of the one row that is to be inserted, is none."""
    return not any(harmless in step for harmless in ("json_each", "wanted", "CONSTANT ROW"))
