"""What no key opens any more: counted, and put out of the way so that everything else can be used again.

What somebody has to show is never simply forgotten, for that would open a door: another secret takes its place, which
its owner is told, or sets. Not here: which keys there are, and what becomes of their files (app/key_loss).
Source: design 10.1.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.ports import SecretBox
from commandpost.domain.push import AES_KEY_CHARACTERS
from commandpost.stores.rows import Row
from commandpost.stores.sqlite.resealing import (
    INDEX_COLUMN,
    INDEXED_COLUMN,
    SealedTable,
    find_sealed_tables,
    read_slices,
)

Place = tuple[str, str]
"""Table and column."""

PRODUCT_KEY: Final[Place] = ("product_key", "sealed")
PUSH_TOKEN: Final[Place] = ("subscription", "sealed_token")
PUSH_AES_KEY: Final[Place] = ("subscription", "sealed_aes_key")
SECRET_CHARACTERS: Final = 32  # some 190 bits, as of any key that is made here; a push token has no more
AUTH_CODE_CHARACTERS: Final = 16  # northbound reference 3.1


class Remedy(Enum):
    """What becomes of a value that cannot be read."""

    CLEAR = "clear"
    """It goes. Nobody comes in without it; its owner sets another."""
    RENEW = "renew"
    """Another secret takes its place: without any it would not be asked for, or what hangs on it would be lost."""
    REMOVE = "remove"
    """Its row goes: it is of no use to anybody."""


REMEDIES: Final[Mapping[Place, Remedy]] = {
    PRODUCT_KEY: Remedy.RENEW,
    ("retiring_key", "sealed"): Remedy.REMOVE,
    ("device_key", "sealed"): Remedy.RENEW,
    ("device", "sealed_psk"): Remedy.CLEAR,
    ("device", "sealed_bootstrap_psk"): Remedy.CLEAR,
    ("device", "sealed_auth_code"): Remedy.RENEW,
    PUSH_TOKEN: Remedy.RENEW,
    PUSH_AES_KEY: Remedy.RENEW,
    ("dtls_association", "sealed_state"): Remedy.REMOVE,
}
_CHARACTERS: Final[Mapping[Place, int]] = {
    ("device", "sealed_auth_code"): AUTH_CODE_CHARACTERS,
    PUSH_AES_KEY: AES_KEY_CHARACTERS,
}
_TOLD: Final = frozenset({PRODUCT_KEY, PUSH_TOKEN, PUSH_AES_KEY})
"""New secrets that are told: few, and nothing works before somebody knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret in the place of one that cannot be read."""

    place: Place
    row: Row
    """The primary key of its row."""
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much is lost, and how much is not."""

    lost: Mapping[Place, int]
    opened: tuple[int, ...]
    """How many values each of the keys opens; what several open counts for the first."""

    @property
    def is_any(self) -> bool:
        """Whether anything is lost."""
        return any(self.lost.values())

    @property
    def total(self) -> int:
        """How many sealed values there are."""
        return sum(self.lost.values()) + sum(self.opened)


class LostSecrets:
    """Finds what no key opens."""

    def __init__(self, connection: sqlite3.Connection, *, boxes: Sequence[SecretBox]) -> None:
        """Take a connection that begins no transactions of its own, and every key there is: none is allowed, too."""
        self._connection = connection
        self._boxes = tuple(boxes)
        self._tables = tuple(find_sealed_tables(connection))

    def count(self) -> Loss:
        """Look at every value and change nothing."""
        lost: Counter[Place] = Counter()
        opened = [0] * len(self._boxes)
        for table in self._tables:
            for rows in read_slices(self._connection, table):
                for row in rows:
                    for column, value in _sealed_of(table, row):
                        by = self._opener(value)
                        if by is None:
                            lost[table.name, column] += 1
                        else:
                            opened[by] += 1
        return Loss(lost=dict(lost), opened=tuple(opened))

    def put_away(self, box: SecretBox, new_text: Callable[[int], str]) -> list[NewSecret]:
        """Apply the remedy to every value that is lost, inside the transaction the caller has begun.

        Args:
            box: seals what is made anew.
            new_text: makes so many characters, letters and digits, that nobody can guess.
        Returns:
            The secrets that somebody has to be told.
        """
        told: list[NewSecret] = []
        for table in self._tables:
            for rows in read_slices(self._connection, table):
                for row in rows:
                    lost = [column for column, value in _sealed_of(table, row) if self._opener(value) is None]
                    if lost:
                        told += self._put_row_away(table, row[: len(table.keys)], lost, box, new_text)
        return told

    def _put_row_away(
        self, table: SealedTable, row: Row, lost: Sequence[str], box: SecretBox, new_text: Callable[[int], str]
    ) -> list[NewSecret]:
        if any(REMEDIES[table.name, column] is Remedy.REMOVE for column in lost):
            self._connection.execute(table.delete_row(), row)
            return []
        changes: dict[str, bytes | None] = {}
        told: list[NewSecret] = []
        for column in lost:
            place = table.name, column
            if REMEDIES[place] is Remedy.CLEAR:
                changes[column] = None
                continue
            text = new_text(_CHARACTERS.get(place, SECRET_CHARACTERS))
            changes[column] = box.seal(text.encode())
            if table.has_index and column == INDEXED_COLUMN:
                changes[INDEX_COLUMN] = box.index(text.encode())
            if place in _TOLD:
                told.append(NewSecret(place=place, row=row, text=text))
        self._connection.execute(table.update_columns(tuple(changes)), (*changes.values(), *row))
        return told

    def _opener(self, value: bytes) -> int | None:
        for number, box in enumerate(self._boxes):
            try:
                box.unseal(value)
            except StoreUnavailable:
                continue
            return number
        return None


def _sealed_of(table: SealedTable, row: Row) -> list[tuple[str, bytes]]:
    values = zip(table.sealed, row[len(table.keys) :], strict=True)
    return [(column, value) for column, value in values if value is not None]
