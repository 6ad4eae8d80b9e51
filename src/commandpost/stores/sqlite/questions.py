"""How questions are asked of a connection that only reads: rows, counts, and several queries of one commit."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import msgspec

from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.ports import Page
from commandpost.stores.rows import Row

Arguments = Sequence[object] | Mapping[str, object]


class Questions:
    """What every reader on SQLite stands on; each failure of the database is StoreUnavailable."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several queries that see the same commit; with the thread driver one may end between them."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._rows("COMMIT")

    def _row(self, sql: str, arguments: Arguments) -> Row | None:
        rows = self._rows(sql, arguments)
        return rows[0] if rows else None

    def _count(self, sql: str, arguments: Arguments) -> int:
        ((count,),) = self._rows(sql, arguments)
        return int(count)

    def _rows(self, sql: str, arguments: Arguments = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    def _each(self, sql: str, arguments: Arguments) -> Iterator[Row]:
        """Rows one by one, for whoever may not want them all."""
        try:
            with closing(self._connection.execute(sql, arguments)) as found:
                yield from found
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error


def json_list(values: Sequence[object]) -> str:
    """Write values as a JSON array, for `json_each`."""
    return msgspec.json.encode(values).decode()


def cut(page: Page) -> dict[str, object]:
    """Give what a page means to LIMIT and OFFSET."""
    return {"size": page.size, "skipped": (page.number - 1) * page.size}
