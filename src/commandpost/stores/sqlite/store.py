"""The embedded store: one file, one writer, one transaction for a batch of facts. Source: design 4.

Here: transactions, and what becomes of a bad fact. The facts themselves are in commands.py, devices.py and sessions.py.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commandpost.domain.facts import Fact
from commandpost.stores.batch_store import FactOutcome, as_item_error, find_handler
from commandpost.stores.errors import StoreBroken
from commandpost.stores.sqlite.commands import CommandFacts
from commandpost.stores.sqlite.connection import Connect, Durability, connect, open_reader, open_writer
from commandpost.stores.sqlite.devices import DeviceFacts
from commandpost.stores.sqlite.reader import SqliteReader
from commandpost.stores.sqlite.sessions import SessionFacts


class SqliteStore(SqliteReader):
    """A BatchStore and a StoreReader on an SQLite file, with a connection for each of the two."""

    def __init__(self, path: Path, *, durability: Durability = Durability.FULL, connect: Connect = connect) -> None:
        """Open the database; it is made if it is not there, and brought up to date if it is of an older version.

        Args:
            connect: opens the writing connection; tests hand in one that fails on demand.
        Raises:
            DatabaseRefused: the file is not one this version may open.
        """
        self._writer = open_writer(path, durability=durability, connect=connect)
        try:
            self._reader = open_reader(path)
        except BaseException:
            self._writer.close()
            raise
        super().__init__(self._reader)
        self._handlers = {
            **CommandFacts(self._writer).handlers(),
            **DeviceFacts(self._writer).handlers(),
            **SessionFacts(self._writer).handlers(),
        }
        self._is_broken = False

    def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:  # Any: each fact has its own result type
        """Apply a batch in one transaction; give one outcome for each fact, in order.

        Raises:
            StoreBroken: the transaction could not be begun, undone or committed; the store refuses everything now.
        """
        if self._is_broken:
            raise StoreBroken("the database failed before")
        if not facts:
            return []
        self._begin()
        try:
            outcomes = [find_handler(self._handlers, fact)(fact) for fact in facts]
        except Exception as error:  # a bad fact, whatever is wrong with it
            self._roll_back()
            if len(facts) == 1:
                return [as_item_error(facts[0], error)]
            return [self.apply((fact,))[0] for fact in facts]
        self._commit()
        return outcomes

    def close(self) -> None:
        """Close both connections; nothing is in a transaction between two batches."""
        self._reader.close()
        self._writer.close()

    def _begin(self) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._break("begun", error) from error

    def _roll_back(self) -> None:
        # SQLite undoes the transaction itself on some errors (disk full, input/output).
        if not self._writer.in_transaction:
            return
        try:
            self._writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._break("undone", error) from error

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._break("committed", error) from error

    def _break(self, verb: str, error: sqlite3.Error) -> StoreBroken:
        self._is_broken = True
        return StoreBroken(f"a transaction could not be {verb}: {error}")
