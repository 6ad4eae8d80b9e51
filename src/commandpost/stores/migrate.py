"""Ordered, versioned migrations: each a transaction of its own, applied once.

The database says what it is by two numbers in its header: `application_id` (ours, or not ours) and `user_version` (the
last migration applied). A database of a newer version is refused and left as it is; there is no way back.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from commandpost.stores.errors import DatabaseRefused

APPLICATION_ID: Final = 0x43506F73  # "CPos", so that `file` and we can tell it from any other SQLite database
_NAME: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    sql: str


def load_migrations() -> tuple[Migration, ...]:
    """Give the migrations of this package in order; versions are 1, 2, 3, ... without a gap."""
    files = resources.files("commandpost.stores.sqlite").joinpath("migrations").iterdir()
    found = sorted(
        (
            Migration(version=int(match[1]), name=match[2], sql=file.read_text("utf-8"))
            for file in files
            if (match := _NAME.match(file.name))
        ),
        key=lambda migration: migration.version,
    )
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    return tuple(found)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], *, name: str) -> None:
    """Bring a database up to the newest of `migrations`.

    Args:
        connection: one that begins no transactions of its own (isolation_level None).
        name: what errors call the database.
    Raises:
        DatabaseRefused: it is another program's, a newer version's, or a migration failed; it is as it was then, but
            for the migrations that were applied before the failed one.
    """
    try:
        version = _check(connection, newest=len(migrations), name=name)
        for migration in migrations[version:]:
            _apply(connection, migration)
    except sqlite3.Error as error:
        raise DatabaseRefused(f"{name} cannot be read or brought up to date: {error}") from error


def split_statements(sql: str) -> Iterator[str]:
    """Cut a script into its statements; one that is not ended by a semicolon is an error of ours."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), f"this is no whole statement: {statement.strip()[:60]}"


def _check(connection: sqlite3.Connection, *, newest: int, name: str) -> int:
    application_id = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    is_blank = application_id == 0 and version == 0 and _count_tables(connection) == 0
    if not is_blank and application_id != APPLICATION_ID:
        raise DatabaseRefused(f"{name} is another program's database (application_id {application_id})")
    if version > newest:
        raise DatabaseRefused(
            f"{name} was written by a newer version (schema {version}): this one knows schemas up to {newest}"
        )
    return version


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for statement in split_statements(migration.sql):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {migration.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _count_tables(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return int(count)
