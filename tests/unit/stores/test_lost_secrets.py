"""What no key opens, put away: nothing else is touched, and nothing that was asked for is asked for no more."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random

import pytest

from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite import resealing
from commandpost.stores.sqlite.connection import connect
from commandpost.stores.sqlite.lost_secrets import (
    PRODUCT_KEY,
    PUSH_AES_KEY,
    PUSH_TOKEN,
    REMEDIES,
    LostSecrets,
    NewSecret,
    Remedy,
)
from commandpost.stores.sqlite.resealing import find_sealed_tables
from tests.conformance.store_harness import SqliteHarness
from tests.unit.stores.sealed_database import DEVICES, VALUES, fill, secrets_under

LOST = AesSecretBox(b"lost key, 32 bytes of it for box", random_bytes=Random(1).randbytes)
NEW = AesSecretBox(b"new key, 32 bytes of it for abox", random_bytes=Random(2).randbytes)
LOSS = {
    ("device", "sealed_auth_code"): DEVICES,
    ("device", "sealed_bootstrap_psk"): DEVICES,
    ("device", "sealed_psk"): DEVICES,
    ("device_key", "sealed"): 3,
    ("dtls_association", "sealed_state"): 1,
    PRODUCT_KEY: 2,
    ("retiring_key", "sealed"): 1,
    PUSH_AES_KEY: 1,
    PUSH_TOKEN: 1,
}
SEALED_COLUMNS = {"key_index", *(column for _, column in REMEDIES)}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database full of secrets, and slices of two rows."""
    monkeypatch.setattr(resealing, "SLICE_ROWS_MAX", 2)
    fill(tmp_path / "commandpost.db", LOST)
    return tmp_path / "commandpost.db"


def numbered() -> Callable[[int], str]:
    """Make texts that tell how long they were asked to be, each another."""
    numbers = count(1)
    return lambda characters: f"n{next(numbers):02d}".ljust(characters, "x")


def put_away(path: Path, boxes: Sequence[AesSecretBox], *, end: str = "COMMIT") -> list[NewSecret]:
    connection = connect(path)
    connection.execute("BEGIN IMMEDIATE")
    told = LostSecrets(connection, boxes=boxes).put_away(NEW, numbered())
    connection.execute(end)
    connection.close()
    return told


def rest_of(connection: sqlite3.Connection) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Everything but what is sealed and the tables whose rows go."""
    gone = {table for (table, _), remedy in REMEDIES.items() if remedy is Remedy.REMOVE}
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    for (name,) in names:
        columns = [column for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))]
        kept = ", ".join(column for column in columns if column not in SEALED_COLUMNS)
        if name not in gone:
            yield name, connection.execute(f"SELECT {kept} FROM {name}").fetchall()


def snapshot(path: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = connect(path)
    found = dict(rest_of(connection))
    connection.close()
    return found


def select(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_there_is_a_remedy_for_every_sealed_column_of_the_schema(database: Path) -> None:
    """A column without one would stop whoever lost his key."""
    connection = connect(database)
    columns = {(table.name, column) for table in find_sealed_tables(connection) for column in table.sealed}
    connection.close()

    assert columns == set(REMEDIES)


@pytest.mark.parametrize(
    ("boxes", "lost", "opened"), [((), LOSS, ()), ((NEW,), LOSS, (0,)), ((NEW, LOST), {}, (0, VALUES))]
)
def test_looking_counts_what_no_key_opens_and_changes_nothing(
    database: Path, boxes: Sequence[AesSecretBox], lost: object, opened: object
) -> None:
    """By table and column, and what each key opens."""
    before = database.read_bytes()
    connection = connect(database)
    loss = LostSecrets(connection, boxes=boxes).count()
    connection.close()

    assert (loss.lost, loss.opened, loss.total) == (lost, opened, VALUES)
    assert loss.is_any is bool(lost)
    assert database.read_bytes() == before


def test_what_is_lost_is_put_away_and_everything_else_stays(database: Path) -> None:
    """Devices, commands, permissions, subscriptions; what is sealed from then on opens with the new key."""
    before = snapshot(database)

    put_away(database, [NEW])

    assert snapshot(database) == before
    assert before["command"]
    assert before["device_key"]
    assert len(secrets_under(database, [NEW])) == 2 + 3 + DEVICES + 2
    assert select(database, "SELECT count(*) FROM device WHERE sealed_psk OR sealed_bootstrap_psk IS NOT NULL") == [
        (0,)
    ]
    for table in ("retiring_key", "dtls_association"):
        assert select(database, f"SELECT count(*) FROM {table}") == [(0,)]


def test_an_auth_code_is_replaced_and_not_forgotten(database: Path) -> None:
    """A device without one on record would be let in without showing any."""
    put_away(database, [NEW])

    codes = select(database, "SELECT sealed_auth_code FROM device ORDER BY id")
    opened = [NEW.unseal(code) for (code,) in codes if isinstance(code, bytes)]
    assert len(set(opened)) == DEVICES
    assert {len(code) for code in opened} == {16}
    assert b"auth" not in opened


def test_new_secrets_are_told_where_nothing_works_without(database: Path) -> None:
    """Keys of products, and what push receivers need; their lengths are those of their kind."""
    told = put_away(database, [NEW])

    assert [(secret.place, secret.row, len(secret.text)) for secret in told] == [
        (PRODUCT_KEY, (1, "access"), 32),
        (PRODUCT_KEY, (1, "master"), 32),
        (PUSH_TOKEN, (1,), 32),
        (PUSH_AES_KEY, (1,), 43),
    ]
    harness = SqliteHarness(database)
    for secret in told[:2]:
        key = harness.ask(harness.reader.find_key(NEW.index(secret.text.encode())))
        assert key is not None
        assert (key.product_id, key.kind.value, NEW.unseal(key.sealed)) == (*secret.row, secret.text.encode())
    harness.store.close()


def test_a_device_level_key_is_found_by_its_new_text(database: Path) -> None:
    """With the title and the permissions it had."""
    titles = select(database, "SELECT title, permissions FROM device_key ORDER BY id")
    put_away(database, [NEW])

    (sealed,), *_ = select(database, "SELECT sealed FROM device_key ORDER BY id")
    assert isinstance(sealed, bytes)
    harness = SqliteHarness(database)
    key = harness.ask(harness.reader.find_device_key(NEW.index(NEW.unseal(sealed))))
    harness.store.close()
    assert key is not None
    assert key.sealed == sealed
    assert select(database, "SELECT title, permissions FROM device_key ORDER BY id") == titles


def test_a_value_that_was_damaged_goes_alone(database: Path) -> None:
    """What the key opens stays to the byte, in the same row too."""
    connection = connect(database)
    connection.execute("UPDATE device SET sealed_psk = x'0102' WHERE id = 1")
    before = connection.execute("SELECT * FROM device WHERE id > 1").fetchall()
    mine = connection.execute("SELECT sealed_auth_code, sealed_bootstrap_psk FROM device WHERE id = 1").fetchall()
    connection.close()

    assert put_away(database, [LOST]) == []

    assert select(database, "SELECT * FROM device WHERE id > 1") == before
    assert select(database, "SELECT sealed_psk FROM device WHERE id = 1") == [(None,)]
    assert select(database, "SELECT sealed_auth_code, sealed_bootstrap_psk FROM device WHERE id = 1") == mine
    assert len(secrets_under(database, [LOST])) == VALUES - 1


def test_what_is_not_committed_has_not_happened(database: Path) -> None:
    """It is one transaction, however many slices it has."""
    before = secrets_under(database, [LOST])

    put_away(database, [NEW], end="ROLLBACK")

    assert secrets_under(database, [LOST]) == before
