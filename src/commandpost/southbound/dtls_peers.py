"""Who has proved to be at the other end of each DTLS association: by name, by association and by device.

One table for all listeners, because a device whose keys change loses its associations wherever they are. Not here:
addresses and keys (protocols/dtls), what an identity may do (services).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from commandpost.domain.ids import DeviceId
from commandpost.domain.session import PeerIdentity, Remote
from commandpost.protocols.dtls.events import AssociationId
from commandpost.southbound.remote import format_remote

ASSOCIATIONS_PER_DEVICE_MAX: Final = 4  # bootstrap and access, each old and new while one takes over from the other


class DtlsListener(Protocol):
    """What the table asks of the link an association belongs to."""

    def close_association(self, association: AssociationId) -> None:
        """Say goodbye and forget it."""
        ...

    def address_of(self, association: AssociationId) -> Remote | None:
        """Give where the peer is now."""
        ...

    def settle(self, peer: "DtlsPeer") -> None:
        """What the peer sent is about to change something on disk."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsPeer:
    """One association."""

    remote: Remote
    """Its name; nothing of its address is in it."""
    association: AssociationId
    identity: PeerIdentity
    listener: DtlsListener


class DtlsPeers:
    """See the module."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._by_remote: dict[Remote, DtlsPeer] = {}
        self._by_device: dict[DeviceId, tuple[DtlsPeer, ...]] = {}
        self._on_keys_changed: list[Callable[[DeviceId], object]] = []

    def __len__(self) -> int:
        """Count the associations."""
        return len(self._by_remote)

    def listen(self, on_keys_changed: Callable[[DeviceId], object]) -> None:
        """Say who hears of changed keys before the device's associations are closed."""
        self._on_keys_changed.append(on_keys_changed)

    def add(self, peer: DtlsPeer) -> None:
        """Take an association in; a device that has too many loses its oldest."""
        device_id = peer.identity.device_id
        others = self._by_device.get(device_id, ())
        self._by_remote[peer.remote] = peer
        self._by_device[device_id] = (*others, peer)
        if len(others) >= ASSOCIATIONS_PER_DEVICE_MAX:
            self._close(others[0])

    def remove(self, peer: DtlsPeer) -> None:
        """Forget an association that is over."""
        if self._by_remote.pop(peer.remote, None) is None:
            return
        device_id = peer.identity.device_id
        others = tuple(other for other in self._by_device[device_id] if other is not peer)
        if others:
            self._by_device[device_id] = others
        else:
            del self._by_device[device_id]

    def find(self, remote: Remote) -> DtlsPeer | None:
        """Give the association with this name."""
        return self._by_remote.get(remote)

    def identify(self, remote: Remote) -> PeerIdentity | None:
        """Give who has proved to be there; None: nobody, or it is no association."""
        peer = self._by_remote.get(remote)
        return None if peer is None else peer.identity

    def settle(self, remote: Remote) -> None:
        """What came from there is about to change something on disk; without DTLS nothing has to be done."""
        peer = self._by_remote.get(remote)
        if peer is not None:
            peer.listener.settle(peer)

    def describe(self, remote: Remote | None) -> str:
        """Write where a peer is now, for a person: `coaps://192.0.2.1:40000`; without DTLS as `format_remote`."""
        peer = None if remote is None else self._by_remote.get(remote)
        address = None if peer is None else peer.listener.address_of(peer.association)
        return format_remote(remote) if address is None else f"coaps://{format_remote(address)}"

    def keys_changed(self, device_id: DeviceId) -> None:
        """The device's keys are others now: what was proved with the old ones ends."""
        for told in self._on_keys_changed:
            told(device_id)
        for peer in self._by_device.get(device_id, ()):
            self._close(peer)

    def _close(self, peer: DtlsPeer) -> None:
        self.remove(peer)  # at once: from here on the name proves nothing
        peer.listener.close_association(peer.association)
