"""DTLS associations and the disk: their bytes, and bringing them back.

Numbers of records are reserved ahead by the engine, so an association that comes back uses none twice. How far the
peer's records were read is a mark beside the state, because it changes with each of them: gathered and written behind,
but before whatever a record makes somebody else write (`settle`). Not here: sealing and the store
(services.dtls_associations).

Wire: a version byte; fields of 2 bytes length, big-endian, and that many bytes, in the order of `_FIELDS`; then the
next number to write (8 bytes), the newest one read plus one (8), and the longest fragment (2).
"""

import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from commandpost.domain.device import KeyLabel
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import EventSink, Scheduler, Timer
from commandpost.domain.session import PeerIdentity, Remote
from commandpost.protocols.dtls.association import SavedAssociation
from commandpost.protocols.dtls.events import AssociationId
from commandpost.protocols.dtls.record_protection import Protection, WriteKeys
from commandpost.southbound.dtls_peers import DtlsPeer
from commandpost.southbound.remote import listener_of

MARKS_GATHERED_S: Final = 0.1  # one commit for what a fleet sends meanwhile; and what a crash may forget
SAVE_AGAIN_S: Final = 1.0  # the store is full or gone; until then an association has half a block of numbers left

_VERSION: Final = b"\x01"
_FIELDS: Final = 10  # protection, address, identity, label, read key and salt, write key and salt, both connection ids
_NUMBERS: Final = struct.Struct(">QQH")


class KeptState(Protocol):
    """An association as the store gives it back."""

    @property
    def remote(self) -> Remote:
        """Its name."""
        ...

    @property
    def device_id(self) -> DeviceId:
        """Whose it is."""
        ...

    @property
    def state(self) -> bytes:
        """What `encode_association_state` gave."""
        ...

    @property
    def read_next(self) -> int:
        """The mark: the number after the newest record that is known to have been read."""
        ...


class AssociationStore(Protocol):
    """What the associations service does; see services.dtls_associations."""

    def keep(
        self,
        remote: Remote,
        device_id: DeviceId,
        state: bytes,
        *,
        then: Callable[[], object],
        otherwise: Callable[[], object],
    ) -> None:
        """Put an association on disk."""
        ...

    def note_read(
        self, remote: Remote, read_next: int, *, then: Callable[[], object], otherwise: Callable[[], object]
    ) -> None:
        """Raise the mark of an association, behind everything else."""
        ...

    def settle_read(self, remote: Remote, read_next: int, *, then: Callable[[], object]) -> None:
        """Raise it before anything that is written from now on."""
        ...

    def drop(self, remote: Remote) -> None:
        """Forget an association."""
        ...

    def pages(self) -> AsyncIterator[Sequence[KeptState]]:
        """Give every association of earlier runs."""
        ...


class RestoringLink(Protocol):
    """A listener to which associations come back."""

    def restore(self, remote: Remote, identity: PeerIdentity, saved: SavedAssociation) -> bool:
        """Take one in; False: it has no place any more."""
        ...


class SavedEngine(Protocol):
    """What the engine is asked and told about an association; see protocols.dtls.server."""

    def export(self, association: AssociationId) -> SavedAssociation:
        """Give one that is open as it is."""
        ...

    def newest_read(self, association: AssociationId) -> int | None:
        """Give the number of the newest record from the peer; None if it is over."""
        ...

    def confirm_read(self, association: AssociationId, newest: int) -> None:
        """Hear that this number is on disk."""
        ...


class AssociationSaving:
    """Saves the associations of one link: when numbers are to be reserved, when a peer was heard, and when it moves."""

    def __init__(
        self,
        *,
        store: AssociationStore,
        scheduler: Scheduler,
        engine: SavedEngine,
        reserve: Callable[[AssociationId, int], object],
    ) -> None:
        """Save nothing yet; `reserve` hears that an export with this bound is on disk."""
        self._store = store
        self._scheduler = scheduler
        self._engine = engine
        self._reserve = reserve
        self._under_way: dict[AssociationId, bool] = {}
        """Saves the store has not answered; True: to be saved again then."""
        self._heard: dict[AssociationId, DtlsPeer] = {}
        """Those whose mark is to be written."""
        self._marking: dict[AssociationId, DtlsPeer | None] = {}
        """Marks the store has not answered, with the peer if it was heard again since."""
        self._timer: Timer | None = None

    def save(self, peer: DtlsPeer) -> None:
        """Put an association on disk, soon; one save of it is under way at any time."""
        association = peer.association
        if association in self._under_way:
            self._under_way[association] = True
            return
        self._under_way[association] = False
        saved = self._engine.export(association)
        upto = saved.write_sequence
        self._store.keep(
            peer.remote,
            peer.identity.device_id,
            encode_association_state(saved),
            then=lambda: self._saved(peer, upto),
            otherwise=lambda: self._scheduler.call_later(SAVE_AGAIN_S, self._save_again, peer),
        )

    def heard(self, peer: DtlsPeer) -> None:
        """Its peer was heard: put the mark on disk, with those of others that are heard soon after."""
        if peer.association in self._marking:
            self._marking[peer.association] = peer
            return
        self._heard[peer.association] = peer
        if self._timer is None:
            self._timer = self._scheduler.call_later(MARKS_GATHERED_S, self._write_marks)

    def settle(self, peer: DtlsPeer) -> None:
        """What its peer sent is about to change something on disk: the mark has to be there by then."""
        newest = self._engine.newest_read(peer.association)
        if newest is not None:
            confirm = self._engine.confirm_read
            self._store.settle_read(peer.remote, newest + 1, then=lambda: confirm(peer.association, newest))

    def finish(self) -> None:
        """Write every mark now, those that wait for an earlier one too: nothing more will be heard."""
        if self._timer is not None:
            self._timer.cancel()
        self._heard |= {association: peer for association, peer in self._marking.items() if peer is not None}
        self._write_marks()

    def drop(self, peer: DtlsPeer) -> None:
        """Forget an association that is over."""
        for waiting in (self._under_way, self._marking, self._heard):
            waiting.pop(peer.association, None)
        self._store.drop(peer.remote)

    def _write_marks(self) -> None:
        self._timer = None
        heard, self._heard = self._heard, {}
        for association, peer in heard.items():
            newest = self._engine.newest_read(association)
            if newest is not None:
                self._write_mark(peer, newest)

    def _write_mark(self, peer: DtlsPeer, newest: int) -> None:
        self._marking[peer.association] = None
        self._store.note_read(
            peer.remote,
            newest + 1,
            then=lambda: self._marked(peer, newest),
            otherwise=lambda: self._scheduler.call_later(SAVE_AGAIN_S, self._mark_again, peer),
        )

    def _marked(self, peer: DtlsPeer, newest: int) -> None:
        self._engine.confirm_read(peer.association, newest)
        if self._marking.pop(peer.association, None) is not None:
            self.heard(peer)

    def _mark_again(self, peer: DtlsPeer) -> None:
        if peer.association in self._marking:  # else it is over
            del self._marking[peer.association]
            self.heard(peer)

    def _saved(self, peer: DtlsPeer, upto: int) -> None:
        is_wanted_again = self._under_way.pop(peer.association, None)
        if is_wanted_again is None:
            return  # over meanwhile
        self._reserve(peer.association, upto)
        if is_wanted_again:
            self.save(peer)

    def _save_again(self, peer: DtlsPeer) -> None:
        if self._under_way.pop(peer.association, None) is not None:
            self.save(peer)


async def restore_associations(store: AssociationStore, links: Mapping[int, RestoringLink], events: EventSink) -> None:
    """Bring every association of earlier runs back to its listener; what has no place any more is forgotten.

    Args:
        links: by the first byte of their `Remote`s.
    """
    restored = dropped = 0
    async for page in store.pages():
        for kept in page:
            if _restore(kept, links.get(listener_of(kept.remote))):
                restored += 1
            else:
                dropped += 1
                store.drop(kept.remote)
    if restored or dropped:
        events.emit("dtls_restored", associations=restored, dropped=dropped)


def _restore(kept: KeptState, link: RestoringLink | None) -> bool:
    if link is None:
        return False
    try:
        saved = decode_association_state(kept.state)
        saved = replace(saved, read_sequence=max(saved.read_sequence, kept.read_next - 1))
        identity = PeerIdentity(device_id=kept.device_id, label=KeyLabel(saved.label))
    except ValueError:
        return False
    return link.restore(kept.remote, identity, saved)


def encode_association_state(saved: SavedAssociation) -> bytes:
    """Write an association; the keys are in it."""
    assert isinstance(saved.remote, bytes)
    fields = (
        saved.protection.value.encode(),
        saved.remote,
        saved.identity,
        saved.label.encode(),
        saved.read_keys.key,
        saved.read_keys.salt,
        saved.write_keys.key,
        saved.write_keys.salt,
        saved.read_connection_id,
        saved.write_connection_id,
    )
    numbers = _NUMBERS.pack(saved.write_sequence, saved.read_sequence + 1, saved.fragment_bytes_max)
    return _VERSION + b"".join(len(each).to_bytes(2, "big") + each for each in fields) + numbers


def decode_association_state(state: bytes) -> SavedAssociation:
    """Read an association; the opposite of `encode_association_state`.

    Raises:
        ValueError: another version wrote it, or it is none.
    """
    if state[:1] != _VERSION:
        raise ValueError("an association of another version")
    fields, at = [], 1
    for _ in range(_FIELDS):
        end = at + 2 + int.from_bytes(state[at : at + 2], "big")
        fields.append(state[at + 2 : end])
        at = end
    if len(state) != at + _NUMBERS.size:
        raise ValueError(f"{len(state)} bytes, {at + _NUMBERS.size} are announced")
    protection, address, identity, label, read_key, read_salt, write_key, write_salt, read_id, write_id = fields
    write_sequence, read_next, fragment_bytes_max = _NUMBERS.unpack_from(state, at)
    return SavedAssociation(
        remote=Remote(address),
        identity=identity,
        label=label.decode(),
        protection=Protection(protection.decode()),
        read_keys=WriteKeys(key=read_key, salt=read_salt),
        write_keys=WriteKeys(key=write_key, salt=write_salt),
        read_connection_id=read_id,
        write_connection_id=write_id,
        write_sequence=write_sequence,
        read_sequence=read_next - 1,
        fragment_bytes_max=fragment_bytes_max,
    )
