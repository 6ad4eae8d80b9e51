"""Facts and the question about kept DTLS associations, on SQLite."""

import sqlite3

from commandpost.domain.dtls_association import (
    DropAssociation,
    KeepAssociation,
    KeptAssociation,
    NoteRead,
    SettleRead,
)
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions


class AssociationFacts:
    """Applies the facts about associations, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sql = load_queries("associations.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            KeepAssociation: self._keep,
            NoteRead: self._raise_mark,
            SettleRead: self._raise_mark,
            DropAssociation: self._drop,
        }

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted, or its keys are others: what was proved with the old ones proves nothing."""
        self._execute(self._sql["drop_associations_of"], (device_id,))

    def _keep(self, fact: KeepAssociation) -> bool:
        kept = fact.association
        row = {
            "remote": kept.remote,
            "device_id": kept.device_id,
            "sealed_state": kept.sealed_state,
            "saved_at": kept.saved_at,
            "read_next": kept.read_next,
        }
        return bool(self._execute(self._sql["keep_association"], row).rowcount)

    def _raise_mark(self, fact: NoteRead | SettleRead) -> bool:
        row = {"remote": fact.mark.remote, "read_next": fact.mark.read_next, "at": fact.mark.at}
        return bool(self._execute(self._sql["raise_read_mark"], row).rowcount)

    def _drop(self, fact: DropAssociation) -> None:
        self._execute(self._sql["drop_association"], (fact.remote,))


class SqliteAssociationReader(Questions):
    """An AssociationReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._associations = load_queries("associations.sql")

    async def list_associations(self, *, after: Remote, limit: int) -> tuple[KeptAssociation, ...]:
        """Associations with a `remote` above `after` (bytewise), by `remote`."""
        return tuple(
            KeptAssociation(
                remote=Remote(remote),
                device_id=DeviceId(device_id),
                sealed_state=state,
                saved_at=Instant(saved_at),
                read_next=read_next,
            )
            for remote, device_id, state, saved_at, read_next in self._rows(
                self._associations["list_associations"], (after, limit)
            )
        )
