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
        ("commands.sql", "follow_session", "SEARCH session USING INTEGER PRIMARY KEY"),
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
        ("associations.sql", "keep_association", "INTEGER PRIMARY KEY"),
        ("associations.sql", "drop_association", "PRIMARY KEY"),
        ("associations.sql", "drop_associations_of", "dtls_association_by_device"),
        ("associations.sql", "list_associations", "PRIMARY KEY"),
        ("devices.sql", "find_device_by_imei", "sqlite_autoindex_device_1"),
        ("devices.sql", "find_device_by_psk_identity", "device_by_psk_identity"),
        ("devices.sql", "is_psk_identity_of_other", "device_by_psk_identity"),
        ("devices.sql", "is_imei_claimed", "device_by_psk_identity"),
        ("devices.sql", "is_auth_info_taken", "device_by_auth_info"),
        ("devices.sql", "find_key", "sqlite_autoindex_product_key_1"),
        ("devices.sql", "list_devices", "device_by_product"),
        ("devices.sql", "list_devices_among", "INTEGER PRIMARY KEY"),
        ("devices.sql", "count_all_devices", "COVERING INDEX device_by_product"),
        ("devices.sql", "online_among", "INTEGER PRIMARY KEY"),
        ("devices.sql", "delete_commands", "command_history"),
        ("devices.sql", "delete_attempts", "COVERING INDEX command_history"),
        ("devices.sql", "delete_feedback", "push_feedback_by_command"),
        ("push.sql", "wants_data", "COVERING INDEX subscription_by_product"),
        ("push.sql", "told_after", "INTEGER PRIMARY KEY"),
        ("push.sql", "told_after", "push_queue USING PRIMARY KEY (subscription_id=? AND device_id=?)"),
        ("push.sql", "waiting_queues", "COVERING INDEX outbox_by_queue"),
        ("push.sql", "waiting_events", "outbox_by_queue"),
        ("push.sql", "first_of_queue", "outbox_by_queue"),
        ("push.sql", "settle_event", "INTEGER PRIMARY KEY"),
        ("push.sql", "list_failures", "push_failure_list"),
        ("push.sql", "replayable", "push_failure_list"),
        ("push.sql", "list_feedback", "push_feedback_by_command"),
        ("push.sql", "trim_feedback", "push_feedback_by_command"),
        ("push_leftovers.sql", "prune_failures", "push_failure_retention"),
        ("push_leftovers.sql", "orphan_queues_of", "COVERING INDEX subscription_by_product"),
        ("push_leftovers.sql", "orphan_queues_of", "COVERING INDEX outbox_by_queue"),
        ("push_leftovers.sql", "orphan_queues_of", "COVERING INDEX push_failure_by_queue"),
        ("push_leftovers.sql", "delete_queues_of", "COVERING INDEX subscription_by_product"),
        ("push_leftovers.sql", "delete_memory_of", "trigger_memory_by_device"),
        ("push_leftovers.sql", "queues_left_of", "PRIMARY KEY (device_id=?)"),
        ("push_leftovers.sql", "delete_events_of_queue", "COVERING INDEX outbox_by_queue"),
        ("push_leftovers.sql", "delete_failures_of_queue", "COVERING INDEX push_failure_by_queue"),
        ("push_leftovers.sql", "delete_events_of_subscription", "COVERING INDEX outbox_by_queue"),
        ("push_leftovers.sql", "delete_memory", "PRIMARY KEY (memory_id=?"),
        ("triggers.sql", "next_memory", "COVERING INDEX push_trigger_by_memory"),
        ("triggers.sql", "silent", "push_trigger_by_memory"),
        ("triggers.sql", "triggers_of_stream", "push_trigger_by_stream"),
        ("triggers.sql", "silent", "trigger_memory_due"),
        ("triggers.sql", "list_titled", "push_trigger_by_product"),
        ("sessions.sql", "tell_online_state", "COVERING INDEX subscription_by_product"),
        ("devices.sql", "delete_observations", "sqlite_autoindex_observation_1"),
        ("sessions.sql", "overdue_sessions", "session_by_deadline"),
        ("sessions.sql", "find_session_by_location", "session_by_location"),
        ("sessions.sql", "find_session_by_remote", "session_by_remote (remote=?)"),
        ("sessions.sql", "sessions_in_setup", "session_in_setup"),
        ("sessions.sql", "touch_session", "INTEGER PRIMARY KEY"),
        ("sessions.sql", "touch_session_deadline", "INTEGER PRIMARY KEY"),
        ("sessions.sql", "touch_session_remote", "INTEGER PRIMARY KEY"),
        ("sessions.sql", "observations_of", "sqlite_autoindex_observation_1"),
        ("commands.sql", "accept_payload", "COVERING INDEX payload_in_flight"),
        ("devices.sql", "find_device_by_auth_info", "device_by_auth_info"),
        ("connections.sql", "stale_connections", "connection_by_start"),
        ("connections.sql", "note_heard", "INTEGER PRIMARY KEY"),
        ("payloads.sql", "payloads_in_flight", "payload_in_flight"),
        ("payloads.sql", "count_payloads", "COVERING INDEX payload_history"),
        ("payloads.sql", "payloads_ascending", "payload_history"),
        ("payloads.sql", "payloads_descending", "payload_history"),
        ("payloads.sql", "newest_attempt", "attempt_by_command"),
        ("keys.sql", "has_room", "COVERING INDEX device_key_added"),
        ("keys.sql", "find_device_key", "sqlite_autoindex_device_key_1"),
        ("keys.sql", "find_registered_key", "sqlite_autoindex_device_key_2"),
        ("keys.sql", "count_device_keys", "COVERING INDEX device_key_by_product"),
        ("keys.sql", "list_device_keys", "device_key_by_product"),
        ("keys.sql", "list_keys_of_device", "PRIMARY KEY (device_id=?)"),
        ("keys.sql", "delete_mentions", "device_key_mention_by_key"),
        ("data.sql", "find_stream_place", "sqlite_autoindex_datastream_1"),
        ("data.sql", "count_streams", "COVERING INDEX sqlite_autoindex_datastream_1"),
        ("data.sql", "delete_streams", "COVERING INDEX sqlite_autoindex_datastream_1"),
        ("data.sql", "orphan_stream", "COVERING INDEX datapoint_by_stream"),
        ("data.sql", "delete_points_of", "COVERING INDEX datapoint_by_stream"),
        ("data.sql", "delete_binaries_of", "COVERING INDEX binary_by_stream"),
        ("data.sql", "list_datastreams_among", "sqlite_autoindex_datastream_1 (device_id=? AND stream_id=?)"),
        ("data.sql", "current_values", "sqlite_autoindex_datastream_1"),
        ("data.sql", "points_ascending", "datapoint_by_stream (stream=? AND at=? AND rowid>?"),
        ("data.sql", "points_descending", "datapoint_by_stream (stream=? AND at=? AND rowid<?"),
        ("data.sql", "find_binary", "sqlite_autoindex_stored_binary_1"),
        ("data.sql", "list_binaries", "binary_by_device"),
        ("topics.sql", "take_room", "INTEGER PRIMARY KEY"),
        ("topics.sql", "delete_copies", "COVERING INDEX queued_by_device"),
        ("topics.sql", "delete_unqueued", "COVERING INDEX queued_by_message"),
        ("topics.sql", "expired_sessions", "COVERING INDEX topic_session_expiring"),
        ("topics.sql", "expired_copies", "COVERING INDEX topic_message_expiring"),
        ("topics.sql", "expired_retained", "COVERING INDEX retained_expiring"),
        ("topics.sql", "list_sessions", "topic_session_by_product"),
        ("topics.sql", "list_queued", "queued_by_device"),
        ("topics.sql", "list_retained", "sqlite_autoindex_retained_message_1"),
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
        ("connections.sql", "stale_connections"),
        ("payloads.sql", "payloads_in_flight"),
        ("payloads.sql", "payloads_ascending"),
        ("payloads.sql", "payloads_descending"),
        ("payloads.sql", "newest_attempt"),
        ("keys.sql", "list_device_keys"),
        ("keys.sql", "list_keys_of_device"),
        ("data.sql", "prune_points"),
        ("data.sql", "prune_binaries"),
        ("data.sql", "delete_points_of"),
        ("data.sql", "list_datastreams"),
        ("data.sql", "current_values"),
        ("data.sql", "list_stream_places"),
        ("data.sql", "points_ascending"),
        ("data.sql", "points_descending"),
        ("data.sql", "list_binaries"),
        ("topics.sql", "expired_sessions"),
        ("topics.sql", "expired_copies"),
        ("topics.sql", "expired_retained"),
        ("topics.sql", "list_sessions"),
        ("topics.sql", "list_subscriptions"),
        ("topics.sql", "list_queued"),
        ("topics.sql", "list_retained"),
        ("push.sql", "told_after"),
        ("push.sql", "waiting_events"),
        ("push.sql", "list_failures"),
        ("push.sql", "replayable"),
        ("push_leftovers.sql", "prune_failures"),
        ("triggers.sql", "silent"),
        ("triggers.sql", "list_titled"),
    ],
)
def test_a_list_comes_in_the_order_of_its_index(database: sqlite3.Connection, file_name: str, query: str) -> None:
    plan = explain(database, file_name, query)

    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize(
    "file_name",
    [
        "commands.sql",
        "connections.sql",
        "data.sql",
        "devices.sql",
        "keys.sql",
        "payloads.sql",
        "push.sql",
        "push_leftovers.sql",
        "sessions.sql",
        "topics.sql",
        "triggers.sql",
    ],
)
def test_every_named_query_is_one_the_schema_understands(database: sqlite3.Connection, file_name: str) -> None:
    for query in load_queries(file_name):
        assert isinstance(explain(database, file_name, query), list)


def _is_scan_of_table(step: str) -> bool:
    """A scan of a list the caller gave, of what a query makes itself, or of the one row to be inserted is none."""
    if step in ("SCAN queue", "SCAN due"):
        return False
    return not any(harmless in step for harmless in ("json_each", "wanted", "CONSTANT ROW"))
