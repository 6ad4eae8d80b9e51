"""Opening the database: its file, its pragmas, and the two connections a store has.

A new database is made beside its place and renamed into it when it is whole, so that an empty or half-made file in that
place is never an interrupted first start: it is damage, and refused.
"""

import os
import sqlite3
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

from commandpost.stores.errors import DatabaseRefused
from commandpost.stores.migrate import load_migrations, migrate

SQLITE_VERSION_MIN: Final = (3, 38, 0)  # STRICT tables (3.37), RETURNING (3.35), JSON functions always there (3.38)
STATEMENTS_CACHED: Final = 256  # more than there are named queries
WRITER_CACHE_KIB: Final = 65_536  # the upper levels of ten indexes over some million commands
READER_CACHE_KIB: Final = 16_384
CHECKPOINT_PAGES: Final = 8_000
"""32 MiB of log. An accept dirties pages all over a large table: with SQLite's 1,000 every few batches pay for a
checkpoint, and a million rows take half as many accepts per second (measured)."""
LOG_BYTES_KEPT: Final = 64 * 2**20  # what the log's file may keep after a checkpoint, should it have grown beyond
BUSY_TIMEOUT_S: Final = 5.0  # only a person's own sqlite3 beside us can hold a lock
MAGIC: Final = b"SQLite format 3\x00"  # SQLite file format, section 1.3

Connect = Callable[[Path], sqlite3.Connection]
"""Opens the writing connection; tests hand in one whose connection fails on demand."""


class Durability(Enum):
    """What a commit waits for."""

    FULL = "FULL"
    """The fsync (P1)."""
    OFF = "OFF"
    """Nothing: simulation only, where crashes are modelled."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the writing connection; transactions are begun and ended by hand.

    It is used by one thread at a time, though not always by the one that opened it (the thread driver).
    """
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )


def open_writer(path: Path, *, durability: Durability, connect: Connect = connect) -> sqlite3.Connection:
    """Open the database for writing; make it if it is not there, bring an older one up to date.

    Raises:
        DatabaseRefused: it is empty, garbage, another program's or a newer version's; or SQLite itself is too old.
    """
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        wanted = ".".join(str(part) for part in SQLITE_VERSION_MIN)
        raise DatabaseRefused(f"SQLite is {sqlite3.sqlite_version}: {wanted} or newer is needed")
    try:
        if not path.exists():
            _create(path)
        _check_file(path)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseRefused(f"{path} cannot be opened: {error}") from error
    try:
        migrate(connection, load_migrations(), name=str(path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability.value}")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT}")
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseRefused(f"{path} cannot be opened: {error}") from error
    except DatabaseRefused:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads, and sees what is committed."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        cached_statements=STATEMENTS_CACHED,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def _create(path: Path) -> None:
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, path.with_name(unfinished.name + "-wal"), path.with_name(unfinished.name + "-shm")):
        leftover.unlink(missing_ok=True)
    connection = connect(unfinished)
    try:
        # Nobody has the file before it is renamed, and it is synced as a whole before that.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        migrate(connection, load_migrations(), name=str(unfinished))
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    unfinished.chmod(0o600)
    _sync(unfinished)
    unfinished.rename(path)
    _sync(path.parent)


def _check_file(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if not head:
        raise DatabaseRefused(f"{path} is empty: put a backup in its place, or remove it to begin anew")
    if head != MAGIC:
        raise DatabaseRefused(f"{path} is not an SQLite database")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
