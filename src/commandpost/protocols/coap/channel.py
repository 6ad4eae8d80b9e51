"""What the parts of one endpoint share: parameters, limits, message ids, open messages, and the two ways out.

The parts are `exchange` (requests of ours), `delivery` (other confirmable messages of ours), and `responder`
(requests of the peer); `endpoint` ties them together.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commandpost.protocols.coap.deadlines import DeadlineHeap, Timer
from commandpost.protocols.coap.deduplication import AnswerStore
from commandpost.protocols.coap.message_ids import MessageIds

if TYPE_CHECKING:
    from random import Random

    from commandpost.protocols.coap.events import Event
    from commandpost.protocols.coap.parameters import EndpointLimits, TransmissionParameters
    from commandpost.protocols.coap.peer import Peer


@dataclass(slots=True, kw_only=True)
class EndpointCounters:
    """What happened, counted since the endpoint was made."""

    datagrams_received: int = 0
    datagrams_refused: int = 0
    """Not looked at, because the event queue was full."""
    datagrams_dropped: int = 0
    """Not sent, because the send queue was full."""
    malformed: int = 0
    ignored: int = 0
    """Well formed, but an ACK or RST for nothing open, or a combination the standard has no use for."""
    duplicates: int = 0
    late_responses: int = 0
    retransmissions: int = 0
    resets_sent: int = 0
    resets_suppressed: int = 0
    bodies_refused: int = 0
    """Block1 bodies that were too large, had a gap, or found no room."""


class Confirmable(Timer):
    """A confirmable message of ours on its way: the exact bytes, and when to send them again."""

    __slots__ = ("back_off_s", "datagram", "message_id", "peer", "retransmissions", "retransmit_at")

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.peer = peer
        self.message_id = -1
        self.datagram = b""
        self.back_off_s = 0.0
        self.retransmit_at: float | None = None
        self.retransmissions = 0


class Channel:
    """The state common to the parts of one endpoint."""

    __slots__ = (
        "answers",
        "confirmables",
        "counters",
        "datagrams",
        "deadlines",
        "events",
        "limits",
        "message_ids",
        "parameters",
        "random",
    )

    def __init__(self, *, parameters: TransmissionParameters, limits: EndpointLimits, random: Random) -> None:
        self.parameters = parameters
        self.limits = limits
        self.random = random
        self.counters = EndpointCounters()
        self.events: deque[Event] = deque()
        self.datagrams: list[tuple[Peer, bytes]] = []
        self.deadlines = DeadlineHeap()
        self.confirmables: dict[tuple[Peer, int], Confirmable] = {}
        self.message_ids = MessageIds(
            random=random, former_peers_max=limits.former_peers_max, lifetime_s=parameters.exchange_lifetime_s
        )
        self.answers = AnswerStore(
            lifetime_s=parameters.exchange_lifetime_s,
            per_peer_max=limits.answers_per_peer_max,
            stranger_answers_max=limits.stranger_answers_max,
            answer_bytes_max=limits.stored_answer_bytes_max,
        )

    def send(self, peer: Peer, datagram: bytes) -> bool:
        """Queue a datagram; False, and as good as lost on the way, if the queue is full."""
        if len(self.datagrams) >= self.limits.datagrams_queued_max:
            self.counters.datagrams_dropped += 1
            return False
        self.datagrams.append((peer, datagram))
        return True

    def new_message_id(self, peer: Peer, *, now: float) -> int | None:
        """Give a message id that is not open towards the peer, nor was used lately; None if there is none."""
        message_id = self.message_ids.take(peer, now=now)
        while message_id is not None and (peer, message_id) in self.confirmables:
            message_id = self.message_ids.take(peer, now=now)
        return message_id

    def begin(self, confirmable: Confirmable, *, message_id: int, datagram: bytes, now: float) -> bool:
        """Send a confirmable message for the first time; the caller sets its timer. False if it could not leave."""
        confirmable.message_id = message_id
        confirmable.datagram = datagram
        confirmable.retransmissions = 0
        # RFC 7252 section 4.2: the first back-off is random between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR.
        first = self.parameters.ack_timeout_s
        confirmable.back_off_s = self.random.uniform(first, first * self.parameters.ack_random_factor)
        confirmable.retransmit_at = now + confirmable.back_off_s
        self.confirmables[confirmable.peer, message_id] = confirmable
        return self.send(confirmable.peer, datagram)

    def retransmit(self, confirmable: Confirmable, *, retransmissions_max: int | None, now: float) -> None:
        """Send the same bytes again and double the back-off; the caller sets the timer."""
        self.send(confirmable.peer, confirmable.datagram)
        self.counters.retransmissions += 1
        confirmable.retransmissions += 1
        confirmable.back_off_s *= 2
        is_last = retransmissions_max is not None and confirmable.retransmissions >= retransmissions_max
        confirmable.retransmit_at = None if is_last else now + confirmable.back_off_s

    def close(self, confirmable: Confirmable) -> None:
        """Forget a confirmable message: no more retransmissions, its ACK or RST means nothing any more."""
        self.deadlines.cancel(confirmable)
        confirmable.retransmit_at = None
        self.confirmables.pop((confirmable.peer, confirmable.message_id), None)
        confirmable.message_id = -1  # the id may be another message's by the time this one is closed again
