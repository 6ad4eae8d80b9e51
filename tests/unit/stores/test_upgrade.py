"""A database of schema 1 with rows in every table comes up with all of them, and takes what schema 2 is for."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from commandpost.domain.command import Command, CommandState, Outcome
from commandpost.domain.device import KeyKind
from commandpost.domain.facts import Accepted, ReplaceKey
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId
from commandpost.domain.operation import Read
from commandpost.domain.payload_facts import StartConnection
from commandpost.domain.ports import CommandRecord
from commandpost.domain.session_facts import EndSession
from commandpost.stores.migrate import load_migrations, migrate
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness

# What schema 1 wrote, as text: builders of today would write what today's code wants.
ROWS_OF_SCHEMA_1 = """
INSERT INTO product VALUES (7, 'meters', 1700000000000, 0, 'permissive', 0, 'at_least_once');
INSERT INTO product_key VALUES (7, 'master', x'AA', x'01', 1), (7, 'access', x'BB', x'02', 2);
INSERT INTO device VALUES
    (5, 7, 'LWM2M', 'a meter', '', '[1,[]]', NULL, 1, 1, '{"861":"460"}', '861', '460', '[1,[]]', NULL, NULL, '{}',
     NULL, NULL, 1, 2, NULL, '', '', 0),
    (6, 7, 'MQTT', 'a switch', '', '[1,[]]', NULL, 1, 1, '"sn-1"', NULL, NULL, '[1,[]]', NULL, NULL, '{}',
     NULL, NULL, 1, NULL, NULL, '', '', 0);
INSERT INTO session VALUES (5, 7, 3, 1, 9, x'7F', 86400, 1700000000500, 1700086400500);
INSERT INTO session_detail VALUES
    (5, '861;460', '861', 1700000000500, 'U', 0, '1.0', '[1,[]]', '[1,[]]', '[1,[]]', NULL);
INSERT INTO observation VALUES (1, 5, '/3303/0/5700', x'0102030405060708', 1);
INSERT INTO command VALUES
    (1, x'00000000000000000000000000000001', 7, 5, '861', '[1,["read",[3303,0,5700]]]', 'cached', 'lwm2m', 1, 1, 99, 3,
     3, 25000, 7, 'at_least_once', 'sent', 1, 11, 25001, 1, NULL, NULL, NULL, '{}', '{}'),
    (2, x'00000000000000000000000000000002', 7, 5, '861', '[1,["read",[3303,0,5700]]]', 'cached', 'lwm2m', 1, 1, 99, 3,
     3, 25000, 7, 'at_least_once', 'failed', 1, NULL, NULL, 1, NULL, 2, 5, '{}', '{}');
INSERT INTO attempt VALUES
    (11, 1, 1, x'01', 9, 1, 25001, NULL, NULL, NULL, NULL, NULL, NULL, 0),
    (10, 2, 1, x'02', 9, 1, 25001, 2, 5, NULL, NULL, NULL, NULL, 0);
"""


ADDED: Mapping[str, tuple[str | None, ...]] = {
    "product": ("mixed", None, None),
    "device": (None, None),
    "session": ("lwm2m",),
    "session_detail": (None,),
}
"""What later columns say of rows that were there before them."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as version 1 left it."""
    path = tmp_path / "commandpost.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, load_migrations()[:1], name="old")
    connection.executescript(ROWS_OF_SCHEMA_1)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


@pytest.fixture
def store(old: Path) -> Iterator[SqliteHarness]:
    """The same, opened by this version."""
    harness = SqliteHarness(old)
    yield harness
    harness.store.close()


def record(store: SqliteHarness, number: int) -> CommandRecord:
    """The n-th command and its attempts."""
    found = store.ask(store.reader.find_command(CommandId(number.to_bytes(16, "big"))))
    assert found is not None
    return found


def test_every_row_of_the_old_tables_is_as_it_was(old: Path) -> None:
    names = "product", "product_key", "device", "session", "session_detail", "observation", "command", "attempt"
    connection = sqlite3.connect(old, isolation_level=None)
    before = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}
    connection.close()
    SqliteHarness(old).store.close()

    connection = sqlite3.connect(old, isolation_level=None)
    after = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}
    checked = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()

    assert {name: len(rows) for name, rows in before.items() if not rows} == {}
    expected = {name: [(*row, *ADDED.get(name, ())) for row in rows] for name, rows in before.items()}
    assert after == expected
    assert checked == [("ok",)]


def test_a_session_goes_on_as_an_lwm2m_one(store: SqliteHarness) -> None:
    session = store.ask(store.reader.find_session(DeviceId(5)))

    assert session is not None
    assert (session.epoch, len(session.observations)) == (3, 1)
    assert store.ask(store.reader.overdue_sessions(session.deadline, 9)) == (session,)
    assert store.apply(EndSession(device_id=DeviceId(5), epoch=3, at=build.at(1))) is True


def test_commands_and_attempts_are_found_where_a_start_looks_for_them(store: SqliteHarness) -> None:
    (open_one,) = store.ask(store.reader.open_attempts(AttemptId(0), 9))

    assert open_one.command == record(store, 1).command
    assert (open_one.command.state, open_one.command.operation) == (CommandState.SENT, Read(path=build.TEMPERATURE))
    ended = record(store, 2)
    assert (ended.command.outcome, [each.id for each in ended.attempts]) == (Outcome.TIME_OUT, [10])


def test_keys_are_found_and_a_register_code_has_its_place(store: SqliteHarness) -> None:
    product_id = ProductId(7)
    register = build.key(KeyKind.REGISTER, index=b"\x03", product_id=product_id)

    found = [store.ask(store.reader.find_key(index)) for index in (b"\x01", b"\x02")]

    assert [None if key is None else (key.kind, key.sealed) for key in found] == [
        (KeyKind.MASTER, b"\xaa"),
        (KeyKind.ACCESS, b"\xbb"),
    ]
    assert store.apply(ReplaceKey(key=register)) is True
    assert store.ask(store.reader.get_key(product_id, KeyKind.REGISTER)) == register


def test_a_device_that_was_there_connects_and_takes_a_payload(store: SqliteHarness) -> None:
    device = store.ask(store.reader.find_device(DeviceId(6)))
    assert device is not None

    epoch = store.apply(StartConnection(connection=payloads.connection(device)))
    accepted = store.apply(payloads.accept(device, 3))

    assert epoch == 1
    assert isinstance(accepted, Accepted)
    assert accepted.command.seq == 3
    assert isinstance(store.apply(build.claim(accepted.command, 12)), Command)
