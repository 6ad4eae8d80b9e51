"""CoAP over DTLS: a `DatagramLink` of payloads on top of one of records.

Every send is a new record, so a retransmission of CoAP is encrypted anew; it goes to where the peer is now. What is
sent to an association that is over is lost: exchanges end by silence, as with a device that is gone. The server never
begins a handshake. Not here: sockets (coap_udp), DTLS itself (protocols/dtls), saving (dtls_saving).
Source: southbound reference 4; design 5.
"""

from collections.abc import Callable, Sequence
from typing import Final

from commandpost.domain.device import KeyLabel
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, DatagramLink, EventSink, Scheduler, Timer
from commandpost.domain.session import PeerIdentity, Remote
from commandpost.protocols.dtls.association import SavedAssociation
from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationId,
    AssociationOpened,
    DataReceived,
    Event,
    HandshakeFailed,
    HandshakeId,
    KeysWanted,
    RemoteChanged,
    ReservationWanted,
)
from commandpost.protocols.dtls.outlet import DtlsCounters
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.server import DtlsServer
from commandpost.protocols.errors import EncodeError
from commandpost.southbound.dtls_claims import DtlsClaims, KeysFor
from commandpost.southbound.dtls_peers import DtlsPeer, DtlsPeers
from commandpost.southbound.dtls_saving import AssociationSaving, AssociationStore
from commandpost.southbound.remote import (
    ASSOCIATION_NAME_BYTES,
    LISTENERS_MAX,
    encode_association,
    format_remote,
    host_of,
)

IDENTITY_CHARACTERS_SHOWN_MAX: Final = 64  # of what a stranger claims, in the log
GOODBYES_MAX: Final = 10_000  # at the end of a run, when nothing is kept; more would delay the end


class CoapDtlsLink:
    """One listener with DTLS."""

    def __init__(
        self,
        *,
        link: DatagramLink,
        listener: int,
        parameters: DtlsParameters,
        limits: DtlsLimits,
        peers: DtlsPeers,
        clock: Clock,
        scheduler: Scheduler,
        events: EventSink,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Build a link that hears nothing yet.

        Args:
            link: carries the records; closed by whoever made it.
            listener: counted from 0 among listeners with DTLS.
            random_bytes: of a source fit for keys.
        """
        self._link = link
        self._number = listener
        self._peers = peers
        self._clock = clock
        self._scheduler = scheduler
        self._events = events
        self._random_bytes = random_bytes
        self._saving: AssociationSaving | None = None
        self._is_kept = parameters.reservation_block is not None
        self._server = DtlsServer(parameters=parameters, limits=limits, random_bytes=random_bytes, source_of=_source_of)
        self._by_association: dict[AssociationId, DtlsPeer] = {}
        self._claims: DtlsClaims | None = None
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._is_pumping = False
        self._is_pump_due = False
        self._is_closed = False
        self._failures = 0
        self.sends_lost = 0
        """Payloads for an association that is over, or too large for a record."""
        peers.listen(self._keys_changed)

    @property
    def listener(self) -> int:
        """The number that stands in every `Remote` of this link."""
        return LISTENERS_MAX + self._number

    @property
    def counters(self) -> DtlsCounters:
        """The engine's counters."""
        return self._server.counters

    @property
    def half_open(self) -> int:
        """How many handshakes have not proved a key."""
        return self._server.half_open_count

    def prepare(self, *, keys_for: KeysFor, store: AssociationStore | None = None) -> None:
        """Say who knows the keys, and who keeps associations over a restart; once, and before anything is heard.

        Args:
            store: None when associations end with the process; goes with the parameters' reservation block.
        """
        assert (store is not None) == self._is_kept, "numbers are reserved for those that are kept"
        self._claims = DtlsClaims(keys_for=keys_for, offer=self._offer, events=self._events)
        if store is not None:
            self._saving = AssociationSaving(
                store=store, scheduler=self._scheduler, engine=self._server, reserve=self._reserve
            )

    # --- a DatagramLink -----------------------------------------------------------------------------------------------

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Begin to receive; once."""
        assert self._receiver is None, "a link has one receiver"
        assert self._claims is not None, "somebody has to know the keys"
        self._receiver = receiver
        self._link.listen(self._receive)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send in a record of its own to where the peer is now, or lose the datagram."""
        peer = self._peers.find(remote)
        if peer is None or peer.listener is not self or self._is_closed:
            self.sends_lost += 1
            return
        try:
            self._server.send(peer.association, datagram, now=self._clock.monotonic())
        except EncodeError:
            self.sends_lost += 1  # the peer asked for short records (RFC 6066)
            return
        if self._is_pumping:
            self._flush()
        else:
            self._pump()

    def stop(self) -> None:
        """Hear no more; peers are told unless their associations are kept."""
        if self._saving is None:
            for association in list(self._by_association)[:GOODBYES_MAX]:
                self._server.close(association, now=self._clock.monotonic())
            self._flush()
        else:
            self._saving.finish()
        self.close()

    def close(self) -> None:
        """Hear no more; what is sent afterwards is lost."""
        self._is_closed = True
        if self._claims is not None:
            self._claims.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what the table of peers asks ---------------------------------------------------------------------------------

    def close_association(self, association: AssociationId) -> None:
        """Say goodbye and forget it."""
        self._server.close(association, now=self._clock.monotonic())
        self._pump_soon()

    def address_of(self, association: AssociationId) -> Remote | None:
        """Give where the peer is now."""
        address = self._server.find_remote(association)
        return None if address is None else _remote_of(address)

    def settle(self, peer: DtlsPeer) -> None:
        """Have it on disk, before anything that is written from now on, which of its records were read."""
        if self._saving is not None:
            self._saving.settle(peer)

    # --- a restart ----------------------------------------------------------------------------------------------------

    def restore(self, remote: Remote, identity: PeerIdentity, saved: SavedAssociation) -> bool:
        """Bring an association of an earlier run back under the name it had; False: it has no place any more."""
        try:
            association = self._server.restore(saved, now=self._clock.monotonic())
        except ValueError:
            return False
        self._take_in(remote, association, identity)
        return True

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _receive(self, address: Remote, datagram: bytes) -> None:
        if not self._is_closed:
            self._server.receive_datagram(datagram, address, now=self._clock.monotonic())
            self._pump()

    def _on_timer(self) -> None:
        self._timer = None
        self._server.handle_deadline(now=self._clock.monotonic())
        self._pump()

    def _offer(self, handle: HandshakeId, keys: Sequence[tuple[str, bytes]]) -> None:
        self._server.offer_keys(handle, keys, now=self._clock.monotonic())
        self._pump()

    def _pump(self) -> None:
        """Send and deliver until nothing is left; what receivers send meanwhile goes out at once."""
        self._is_pump_due = False
        if self._is_pumping or self._is_closed:
            return
        self._is_pumping = True
        is_done = False
        try:
            self._flush()
            while (event := self._server.next_event()) is not None:
                self._deliver(event)
                self._flush()
            is_done = True
        finally:
            self._is_pumping = False
            self._arm()
            if not is_done:
                self._pump_soon()  # a receiver failed: the others must not wait for the next datagram

    def _pump_soon(self) -> None:
        if not self._is_pump_due:
            self._is_pump_due = True
            self._scheduler.call_soon(self._pump)

    def _flush(self) -> None:
        for address, datagram in self._server.datagrams_to_send():
            self._link.send(_remote_of(address), datagram)

    def _arm(self) -> None:
        deadline = self._server.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer_at <= deadline:
                return  # it fires early and is armed again: cheaper than moving it with every record
            self._timer.cancel()
            self._timer = None
        if deadline is not None and not self._is_closed:
            self._timer_at = deadline
            self._timer = self._scheduler.call_later(max(0.0, deadline - self._clock.monotonic()), self._on_timer)

    def _deliver(self, event: Event) -> None:
        assert self._claims is not None
        match event:
            case DataReceived(association=association, payload=payload):
                peer = self._by_association.get(association)
                if peer is not None and self._saving is not None:
                    self._saving.heard(peer)
                if peer is not None and self._receiver is not None and self._peers.find(peer.remote) is peer:
                    self._receiver(peer.remote, payload)
            case KeysWanted():
                self._claims.want(event)
            case AssociationOpened():
                self._opened(event)
            case AssociationClosed(association=association, reason=reason):
                self._closed(association, reason.value)
            case ReservationWanted(association=association) | RemoteChanged(association=association):
                self._save(association)
            case HandshakeFailed():
                self._claims.end(_remote_of(event.remote), event.handle)
                self._tell_failure(event)

    def _opened(self, event: AssociationOpened) -> None:
        assert self._claims is not None
        device_id = self._claims.take(event.remote)
        if device_id is None:  # its keys were changed since they were offered
            self._server.close(event.association, now=self._clock.monotonic())
            return
        remote = encode_association(self._random_bytes(ASSOCIATION_NAME_BYTES), listener=self._number)
        peer = self._take_in(remote, event.association, PeerIdentity(device_id=device_id, label=KeyLabel(event.label)))
        self._events.emit(
            "dtls_opened",
            device_id=device_id,
            key=event.label,
            remote=format_remote(peer.remote),
            address=format_remote(_remote_of(event.remote)),
        )

    def _take_in(self, remote: Remote, association: AssociationId, identity: PeerIdentity) -> DtlsPeer:
        peer = DtlsPeer(remote=remote, association=association, identity=identity, listener=self)
        self._by_association[association] = peer
        self._peers.add(peer)
        return peer

    def _closed(self, association: AssociationId, reason: str) -> None:
        peer = self._by_association.pop(association, None)
        if peer is None:
            return
        self._peers.remove(peer)
        if self._saving is not None:
            self._saving.drop(peer)
        self._events.emit(
            "dtls_closed", device_id=peer.identity.device_id, remote=format_remote(peer.remote), reason=reason
        )

    def _save(self, association: AssociationId) -> None:
        peer = self._by_association.get(association)
        if peer is not None and self._saving is not None:
            self._saving.save(peer)

    def _reserve(self, association: AssociationId, upto: int) -> None:
        self._server.reserve(association, upto)
        self._pump()

    def _keys_changed(self, device_id: DeviceId) -> None:
        if self._claims is not None:
            self._claims.keys_changed(device_id)

    def _tell_failure(self, event: HandshakeFailed) -> None:
        # Told at 1, 2, 4, 8, …: strangers can fail as often as they like.
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:
            identity = event.identity.decode("utf-8", "replace")[:IDENTITY_CHARACTERS_SHOWN_MAX]
            address = format_remote(_remote_of(event.remote))
            self._events.emit(
                "dtls_refused", identity=identity, address=address, reason=event.reason.value, times=self._failures
            )


def _remote_of(address: object) -> Remote:
    # The engine takes any key; every one it has came from the link below, and those are bytes.
    assert isinstance(address, bytes)
    return Remote(address)


def _source_of(address: object) -> bytes:
    return host_of(_remote_of(address))
