"""The embedded store on SQLite: facts in, questions answered, schema and queries in .sql files."""

from commandpost.stores.sqlite.connection import Durability
from commandpost.stores.sqlite.store import SqliteStore

__all__ = ["Durability", "SqliteStore"]
