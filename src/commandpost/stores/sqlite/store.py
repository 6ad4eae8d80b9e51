"""The embedded store: one file, one writer, one transaction for a batch of facts. Source: design 4.

Here: transactions, and what becomes of a bad fact. The facts themselves, and most of the questions, are in
one file per noun.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commandpost.domain.facts import Fact
from commandpost.stores.batch_store import FactHandlers, FactOutcome, as_item_error, find_handler
from commandpost.stores.errors import StoreBroken
from commandpost.stores.sqlite.associations import AssociationFacts, SqliteAssociationReader
from commandpost.stores.sqlite.audit import AuditFacts, SqliteAuditReader
from commandpost.stores.sqlite.commands import CommandFacts
from commandpost.stores.sqlite.connection import Connect, Durability, connect, open_reader, open_writer
from commandpost.stores.sqlite.connections import ConnectionFacts
from commandpost.stores.sqlite.data import DataFacts
from commandpost.stores.sqlite.data_reader import SqliteDataReader
from commandpost.stores.sqlite.devices import DeviceFacts
from commandpost.stores.sqlite.keys import KeyFacts, RegistrationFacts, SqliteKeyReader
from commandpost.stores.sqlite.payloads import PayloadFacts, SqlitePayloadReader
from commandpost.stores.sqlite.push import PushFacts, SqlitePushReader
from commandpost.stores.sqlite.push_leftovers import PushLeftovers
from commandpost.stores.sqlite.reader import SqliteReader
from commandpost.stores.sqlite.sessions import SessionFacts
from commandpost.stores.sqlite.topics import SqliteTopicReader, TopicFacts
from commandpost.stores.sqlite.triggers import PointTeller, SqliteTriggerReader, TriggerFacts


class SqliteStore(
    SqliteReader,
    SqlitePayloadReader,
    SqliteKeyReader,
    SqliteDataReader,
    SqliteTopicReader,
    SqlitePushReader,
    SqliteTriggerReader,
    SqliteAuditReader,
    SqliteAssociationReader,
):
    """A BatchStore and every reader there is on an SQLite file, with a connection for each of the two."""

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
        self._teller = PointTeller(self._writer)
        self._handlers = _handlers(self._writer, self._teller)
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
        # A trigger that was read in the transaction may be one that never was.
        self._teller.forget()
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


def _handlers(writer: sqlite3.Connection, teller: PointTeller) -> FactHandlers:
    keys, data, topics = KeyFacts(writer), DataFacts(writer, teller=teller), TopicFacts(writer)
    leftovers, associations = PushLeftovers(writer), AssociationFacts(writer)
    forget = (
        keys.forget_device,
        data.forget_device,
        topics.forget_device,
        leftovers.forget_device,
        associations.forget_device,
    )
    devices = DeviceFacts(writer, forget=forget, forget_proofs=associations.forget_device, purge=leftovers.purge_device)
    registration = RegistrationFacts(writer, devices=devices, keys=keys)
    return {
        **CommandFacts(writer).handlers(),
        **devices.handlers(),
        **SessionFacts(writer, devices=devices).handlers(),
        **ConnectionFacts(writer).handlers(),
        **PayloadFacts(writer).handlers(),
        **keys.handlers(),
        **registration.handlers(),
        **data.handlers(),
        **topics.handlers(),
        **PushFacts(writer).handlers(),
        **leftovers.handlers(),
        **TriggerFacts(writer, teller=teller).handlers(),
        **AuditFacts(writer).handlers(),
        **associations.handlers(),
    }
