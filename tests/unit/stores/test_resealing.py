"""Sealing every secret anew with another key, broken off anywhere and begun again."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite import resealing
from commandpost.stores.sqlite.connection import connect
from commandpost.stores.sqlite.resealing import Resealer, ResealingCount, find_sealed_tables
from tests.conformance.store_harness import SqliteHarness
from tests.unit.stores.sealed_database import VALUES, fill, secrets_under

OLD = AesSecretBox(b"old key, 32 bytes of it for abox", random_bytes=Random(1).randbytes)
NEW = AesSecretBox(b"new key, 32 bytes of it for abox", random_bytes=Random(2).randbytes)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database full of secrets, and slices of two rows."""
    monkeypatch.setattr(resealing, "SLICE_ROWS_MAX", 2)
    fill(tmp_path / "commandpost.db", OLD)
    return tmp_path / "commandpost.db"


def run(path: Path, *, slices: int | None = None) -> ResealingCount:
    """Make a pass, or the first slices of one: then the process is killed."""
    connection = connect(path)
    count = ResealingCount()
    for number, count in enumerate(Resealer(connection, old=OLD, new=NEW).run(), 1):  # noqa: B007 - the last one
        if number == slices:
            break
    connection.close()
    return count


def test_every_sealed_column_of_the_schema_is_found(database: Path) -> None:
    """A column that holds something sealed and is called otherwise would be forgotten: this list is what there is."""
    connection = connect(database)
    found = {table.name: table.sealed for table in find_sealed_tables(connection)}
    connection.close()

    assert (
        found.items()
        >= {
            "device": ("sealed_auth_code", "sealed_psk", "sealed_bootstrap_psk"),
            "device_key": ("sealed",),
            "product_key": ("sealed",),
            "retiring_key": ("sealed",),
            "subscription": ("sealed_token", "sealed_aes_key"),
        }.items()
    )


def test_everything_is_under_the_new_key_and_is_what_it_was(database: Path) -> None:
    """Nothing opens with the old one any more."""
    before = secrets_under(database, [OLD])

    count = run(database)

    assert (count.resealed, count.unreadable) == (VALUES, 0)
    assert len(before) == VALUES
    assert secrets_under(database, [NEW]) == before


def test_keys_are_found_by_the_new_index(database: Path) -> None:
    """Product keys, replaced ones and device-level keys."""
    run(database)

    harness = SqliteHarness(database)
    for text in (b"m0", b"m1", b"a"):
        found = harness.ask(harness.reader.find_key(NEW.index(text)))
        assert found is not None
        assert NEW.unseal(found.sealed) == text
        assert harness.ask(harness.reader.find_key(OLD.index(text))) is None
    for text in (b"k0", b"k1", b"k2"):
        device_key = harness.ask(harness.reader.find_device_key(NEW.index(text)))
        assert device_key is not None
        assert NEW.unseal(device_key.sealed) == text
    harness.store.close()


@pytest.mark.parametrize("slices", range(1, 13))
def test_kill_in_the_middle_loses_nothing(database: Path, slices: int) -> None:
    """After any slice every value opens with one of the two keys; the next pass does the rest."""
    before = secrets_under(database, [OLD])

    done = run(database, slices=slices).resealed
    assert secrets_under(database, [NEW, OLD]) == before
    rest = run(database)

    assert (rest.resealed + done, rest.unreadable) == (VALUES, 0)
    assert rest.already_new >= done
    assert secrets_under(database, [NEW]) == before


def test_a_slice_that_cannot_be_written_is_not_there_in_part(database: Path) -> None:
    """Its transaction is undone with the connection."""
    before = secrets_under(database, [OLD])
    connection = connect(database)
    connection.execute(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON device WHEN new.id = 2 BEGIN SELECT raise(FAIL, ''); END"
    )

    with pytest.raises(sqlite3.IntegrityError):
        list(Resealer(connection, old=OLD, new=NEW).run())
    connection.close()

    assert secrets_under(database, [OLD]) == before
    assert run(database).resealed == VALUES


def test_what_neither_key_opens_stays_as_it_is(database: Path) -> None:
    """It is of no use to anybody, and holds nothing up."""
    connection = connect(database)
    connection.execute("UPDATE device SET sealed_psk = x'0102' WHERE id = 1")
    connection.close()

    count = run(database)

    assert (count.resealed, count.unreadable) == (VALUES - 1, 1)


def test_looking_changes_nothing(database: Path) -> None:
    """`check` says how it would go."""
    before = database.read_bytes()
    connection = connect(database)
    count = Resealer(connection, old=OLD, new=NEW).check()
    connection.close()

    assert count == ResealingCount(resealed=VALUES)
    assert database.read_bytes() == before
