"""Sealing every secret anew with another key, broken off anywhere and begun again."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from commandpost.domain.device import Device, KeyKind, SealedKey
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import CreateDevice, CreateProduct, ReplaceKey
from commandpost.domain.ids import ProductId
from commandpost.domain.key_facts import AddDeviceKey
from commandpost.domain.push_facts import AddSubscription
from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite import resealing
from commandpost.stores.sqlite.connection import connect
from commandpost.stores.sqlite.resealing import Resealer, ResealingCount, find_sealed_tables
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.conformance.store_harness import SqliteHarness

OLD = AesSecretBox(b"old key, 32 bytes of it for abox", random_bytes=Random(1).randbytes)
NEW = AesSecretBox(b"new key, 32 bytes of it for abox", random_bytes=Random(2).randbytes)
DEVICES = 5
VALUES = 2 + 1 + 3 + 3 * DEVICES + 2
"""Of every kind: product keys, a replaced one, device keys, those of devices, and of a subscription."""


def fill(path: Path) -> None:
    """Put something into every place where something sealed can be."""
    harness = SqliteHarness(path)

    def key(kind: KeyKind, text: bytes) -> SealedKey:
        return replace(build.key(kind, product_id=1), sealed=OLD.seal(text), index=OLD.index(text))

    harness.apply(CreateProduct(product=build.product(), keys=(key(KeyKind.MASTER, b"m0"), key(KeyKind.ACCESS, b"a"))))
    harness.apply(ReplaceKey(key=key(KeyKind.MASTER, b"m1"), old_until=build.at(1)))
    for number in range(3):
        text = b"k%d" % number
        plain = data.device_key(ProductId(1), number + 1)
        harness.apply(AddDeviceKey(key=replace(plain, sealed=OLD.seal(text), index=OLD.index(text)), keys_max=9))
    for number in range(DEVICES):
        device = replace(
            build.device(ProductId(1), f"86{number}"),
            sealed_auth_code=OLD.seal(b"auth"),
            sealed_psk=OLD.seal(b"psk"),
            sealed_bootstrap_psk=OLD.seal(b"bootstrap"),
        )
        assert isinstance(harness.apply(CreateDevice(device=device)), Device)
    harness.apply(CreateDevice(device=build.device(ProductId(1), "99")))  # that has no secrets
    subscription = build.subscription(
        ProductId(1), sealed_token=OLD.seal(b"token"), sealed_aes_key=OLD.seal(b"aes key, 32 bytes")
    )
    harness.apply(AddSubscription(subscription=subscription, subscriptions_max=9))
    harness.store.close()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database full of secrets, and slices of two rows."""
    monkeypatch.setattr(resealing, "SLICE_ROWS_MAX", 2)
    fill(tmp_path / "commandpost.db")
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


def secrets_under(path: Path, boxes: Sequence[AesSecretBox]) -> list[bytes]:
    """Open every value with whichever box opens it, sorted."""
    connection = connect(path)
    found = []
    for table in find_sealed_tables(connection):
        columns = ", ".join(table.sealed)
        for row in connection.execute(f"SELECT {columns} FROM {table.name}"):
            found += [open_with(value, boxes) for value in row if value is not None]
    connection.close()
    return sorted(found)


def open_with(value: bytes, boxes: Sequence[AesSecretBox]) -> bytes:
    for box in boxes:
        try:
            return box.unseal(value)
        except StoreUnavailable:
            continue
    raise AssertionError("a value is lost")


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


@pytest.mark.parametrize("slices", range(1, 12))
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
