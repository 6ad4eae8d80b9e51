"""Sealing every secret of a database anew, with another key: in slices, each a transaction of its own.

What is sealed is found in the schema, not in a list here, so that no table is ever forgotten: a column called `sealed`
or `sealed_…` holds something sealed, and `key_index` beside `sealed` is what it is found by. Which key a value is under
is seen by opening it, so a pass that was broken off is simply begun again. Source: design 10.1.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.ports import SecretBox
from commandpost.stores.batch_store import SLICE_ROWS_MAX
from commandpost.stores.rows import Row

INDEX_COLUMN: Final = "key_index"
INDEXED_COLUMN: Final = "sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTable:
    """A table that holds something sealed."""

    name: str
    keys: tuple[str, ...]
    """The columns of its primary key."""
    sealed: tuple[str, ...]
    has_index: bool

    @property
    def _written(self) -> tuple[str, ...]:
        return (*self.sealed, INDEX_COLUMN) if self.has_index else self.sealed

    # Names come from our own schema; what is looked for and written is bound.

    def select_slice(self, *, is_first: bool) -> str:
        """Give the query for the rows behind a place, or the first ones."""
        keys, columns = ", ".join(self.keys), ", ".join((*self.keys, *self.sealed))
        behind = "" if is_first else f"WHERE ({keys}) > ({', '.join('?' for _ in self.keys)})"
        return f"SELECT {columns} FROM {self.name} {behind} ORDER BY {keys} LIMIT ?"  # noqa: S608 - see above

    def update_row(self) -> str:
        """Give the statement that writes what was sealed anew."""
        return self.update_columns(self._written)

    def update_columns(self, columns: Sequence[str]) -> str:
        """Give the statement that writes some columns of a row."""
        changes = ", ".join(f"{column} = ?" for column in columns)
        return f"UPDATE {self.name} SET {changes} WHERE {self._is_row}"  # noqa: S608 - see above

    def delete_row(self) -> str:
        """Give the statement that removes a row."""
        return f"DELETE FROM {self.name} WHERE {self._is_row}"  # noqa: S608 - see above

    @property
    def _is_row(self) -> str:
        return " AND ".join(f"{key} = ?" for key in self.keys)


@dataclass(slots=True, kw_only=True)
class ResealingCount:
    """How a pass went, in values."""

    resealed: int = 0
    already_new: int = 0
    unreadable: int = 0
    """Neither key opens them: they are left as they are, and are of no use to anybody."""


class Resealer:
    """Takes every value from the old key to the new one."""

    def __init__(self, connection: sqlite3.Connection, *, old: SecretBox, new: SecretBox) -> None:
        """Take a connection that begins no transactions of its own, and both keys."""
        self._connection = connection
        self._old = old
        self._new = new
        self.tables = tuple(find_sealed_tables(connection))

    def check(self) -> ResealingCount:
        """Look at every value and change nothing."""
        count = ResealingCount()
        for table in self.tables:
            for rows in read_slices(self._connection, table):
                for row in rows:
                    self._reseal_row(table, row, count)
        return count

    def run(self) -> Iterator[ResealingCount]:
        """Do it; gives the count so far after each slice, which is on the disk then."""
        count = ResealingCount()
        for table in self.tables:
            update = table.update_row()
            for rows in read_slices(self._connection, table):
                changed = [found for row in rows if (found := self._reseal_row(table, row, count)) is not None]
                if changed:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(update, changed)
                    self._connection.execute("COMMIT")
                yield count

    def _reseal_row(self, table: SealedTable, row: Row, count: ResealingCount) -> Row | None:
        """Give what `update_row` takes; None: nothing of the row is under the old key."""
        keys, values = row[: len(table.keys)], row[len(table.keys) :]
        written: list[object] = []
        index: bytes | None = None
        before = count.resealed
        for column, value in zip(table.sealed, values, strict=True):
            secret = None if value is None else self._open_old(value, count)
            written.append(value if secret is None else self._new.seal(secret))
            if secret is not None and column == INDEXED_COLUMN:
                index = self._new.index(secret)
        if count.resealed == before:
            return None
        assert index is not None or not table.has_index
        return (*written, *((index,) if table.has_index else ()), *keys)

    def _open_old(self, value: bytes, count: ResealingCount) -> bytes | None:
        try:
            self._new.unseal(value)
        except StoreUnavailable:
            pass
        else:
            count.already_new += 1
            return None
        try:
            secret = self._old.unseal(value)
        except StoreUnavailable:
            count.unreadable += 1
            return None
        count.resealed += 1
        return secret


def read_slices(connection: sqlite3.Connection, table: SealedTable) -> Iterator[Sequence[Row]]:
    """Give the rows of a table by its primary key: its columns, and the sealed ones. What was given may be changed."""
    place: tuple[object, ...] = ()
    while True:
        query = table.select_slice(is_first=not place)
        rows = connection.execute(query, (*place, SLICE_ROWS_MAX)).fetchall()
        if not rows:
            return
        yield rows
        place = rows[-1][: len(table.keys)]


def find_sealed_tables(connection: sqlite3.Connection) -> Iterator[SealedTable]:
    """Give the tables of a database that hold something sealed, by name."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    for (name,) in names:
        columns = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (name,)).fetchall()
        sealed = tuple(column for column, _ in columns if column == INDEXED_COLUMN or column.startswith("sealed_"))
        keys = tuple(column for column, place in sorted(columns, key=lambda each: each[1]) if place)
        if sealed:
            has_index = INDEX_COLUMN in {column for column, _ in columns} and INDEXED_COLUMN in sealed
            yield SealedTable(name=name, keys=keys or ("rowid",), sealed=sealed, has_index=has_index)


def find_sealed_value(connection: sqlite3.Connection) -> bytes | None:
    """Give a key of applications as it is sealed, to try a sealing key on; None: nothing was sealed yet."""
    for table in find_sealed_tables(connection):
        if table.has_index:
            query = f"SELECT {INDEXED_COLUMN} FROM {table.name} WHERE {INDEXED_COLUMN} IS NOT NULL LIMIT 1"  # noqa: S608 - see SealedTable
            row = connection.execute(query).fetchone()
            if row is not None:
                return bytes(row[0])
    return None
