"""DTLS associations over a restart: sealed, written, forgotten, and given back in pages.

What is inside an association is the transport's alone (southbound). Not here: when to save (protocols/dtls asks), and
whose keys opened it (identities).
Source: design 10.1.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from commandpost.domain.dtls_association import (
    AssociationReader,
    DropAssociation,
    KeepAssociation,
    KeptAssociation,
    NoteRead,
    ReadMark,
    SettleRead,
)
from commandpost.domain.errors import CommandpostError, PortError, StoreUnavailable
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.ports import Clock, EventSink, SecretBox, StoreWriter
from commandpost.domain.session import Remote

PAGE_ASSOCIATIONS: Final = 500  # read and unsealed in a few milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAssociation:
    """An association of an earlier run, its seal broken."""

    remote: Remote
    device_id: DeviceId
    state: bytes = field(repr=False)
    read_next: int
    """The number after the newest record that is known to have been read; what is in the state may be newer."""


class DtlsAssociations:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: AssociationReader,
        secrets: SecretBox,
        clock: Clock,
        events: EventSink,
        idle_timeout_s: int,
    ) -> None:
        """Connect the service; what was saved longer ago than the idle timeout is not given back."""
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._clock = clock
        self._events = events
        self._idle_timeout_ms = idle_timeout_s * SECOND_MS

    def keep(
        self,
        remote: Remote,
        device_id: DeviceId,
        state: bytes,
        *,
        then: Callable[[], object],
        otherwise: Callable[[], object],
    ) -> None:
        """Put an association on disk; `then` is called when it is there, `otherwise` if it cannot be now."""
        kept = KeptAssociation(
            remote=remote,
            device_id=device_id,
            sealed_state=self._secrets.seal(state),
            saved_at=self._clock.wall_ms(),
        )

        def fail(error: CommandpostError) -> None:
            self._events.emit("dtls_not_saved", device_id=device_id, error=error.code)
            otherwise()

        try:
            self._writer.submit(KeepAssociation(association=kept), lambda is_kept: then() if is_kept else None, fail)
        except PortError as error:
            fail(error)

    def note_read(
        self, remote: Remote, read_next: int, *, then: Callable[[], object], otherwise: Callable[[], object]
    ) -> None:
        """Note how far a peer's records were read, behind everything else; `then` is called when it is on disk."""
        fact = NoteRead(mark=ReadMark(remote=remote, read_next=read_next, at=self._clock.wall_ms()))
        try:
            self._writer.submit(fact, lambda is_noted: then() if is_noted else otherwise(), lambda error: otherwise())
        except PortError:
            otherwise()

    def settle_read(self, remote: Remote, read_next: int, *, then: Callable[[], object]) -> None:
        """Note it at once: whatever is handed to the store from now on is not on disk before."""
        fact = SettleRead(mark=ReadMark(remote=remote, read_next=read_next, at=self._clock.wall_ms()))
        # What cannot be written now is noted behind; and what the record brought is refused likewise.
        with suppress(PortError):
            self._writer.submit(fact, lambda is_noted: then() if is_noted else None)

    def drop(self, remote: Remote) -> None:
        """Forget an association that is over."""
        try:
            self._writer.submit(DropAssociation(remote=remote))
        except PortError as error:
            # It comes back with the next start, and its device has no use for it: it ends idle.
            self._events.emit("dtls_not_dropped", error=error.code)

    async def pages(self) -> AsyncIterator[list[OpenedAssociation]]:
        """Give every association of earlier runs; what cannot be used any more is forgotten instead.

        Raises:
            PortError: the store cannot be asked.
        """
        after, oldest = Remote(b""), self._clock.wall_ms() - self._idle_timeout_ms
        while page := await self._reader.list_associations(after=after, limit=PAGE_ASSOCIATIONS):
            after = page[-1].remote
            opened = []
            for kept in page:
                state = self._unseal(kept) if kept.saved_at >= oldest else None
                if state is None:
                    self.drop(kept.remote)
                else:
                    opened.append(
                        OpenedAssociation(
                            remote=kept.remote, device_id=kept.device_id, state=state, read_next=kept.read_next
                        )
                    )
            yield opened

    async def forget_all(self) -> None:
        """Forget every association of earlier runs: where none is kept any more, the next to keep some begins anew.

        Raises:
            PortError: the store cannot be asked.
        """
        after = Remote(b"")
        while page := await self._reader.list_associations(after=after, limit=PAGE_ASSOCIATIONS):
            after = page[-1].remote
            for kept in page:
                self.drop(kept.remote)

    def _unseal(self, kept: KeptAssociation) -> bytes | None:
        try:
            return self._secrets.unseal(kept.sealed_state)
        except StoreUnavailable:
            return None  # sealed with another key
