"""Between one CoAP endpoint and the world: a datagram link, a clock and one timer.

Here: feed, drain, send, re-arm; and who hears of what. Not here: what a message means (`lwm2m_server` for what devices
begin, `lwm2m_downlink` for what we begin), nor anything of CoAP itself (protocols/coap).

A fault in a handler is not caught: the loop reports it, the driver goes on with the next event.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from commandpost.domain.ports import Clock, DatagramLink, Scheduler, Timer
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.protocols.coap.events import (
    EndReason,
    ExchangeEnded,
    ReplyHandle,
    RequestReceived,
    ResponseHandle,
    ResponseReceived,
    UnmatchedResponse,
)
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.peer import Peer
from commandpost.southbound.known_peers import KnownPeers
from commandpost.southbound.unproven_peers import UnprovenPeers

if TYPE_CHECKING:
    from commandpost.protocols.coap.events import Event


class CoapHandler(Protocol):
    """Hears what peers begin."""

    def request_received(self, remote: Remote, message: CoapMessage, reply_to: ReplyHandle) -> None:
        """A new request, never a duplicate; `respond` with the handle, at once or later."""
        ...

    def response_unmatched(self, remote: Remote, message: CoapMessage, handle: ResponseHandle) -> None:
        """A response to no open exchange: `acknowledge`, `reset` or `decline` the handle, at once or later."""
        ...


ExchangeEnd = CoapMessage | EndReason
"""The response, or why there is none."""


class CoapDriver:
    """Runs one endpoint on one link."""

    def __init__(
        self,
        *,
        endpoint: CoapEndpoint,
        link: DatagramLink,
        clock: Clock,
        scheduler: Scheduler,
        known_peers_max: int,
        known_peer_idle_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._link = link
        self._clock = clock
        self._scheduler = scheduler
        self._peers = KnownPeers(memory=endpoint, peers_max=known_peers_max, idle_s=known_peer_idle_s)
        self._unproven = UnprovenPeers(idle_s=known_peer_idle_s)
        self._handler: CoapHandler | None = None
        self._exchanges: dict[int, Callable[[ExchangeEnd], object]] = {}
        self._exchange_number = 0
        self._after_sending: list[Callable[[], object]] = []
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._is_pumping = False
        self._is_pump_due = False

    @property
    def endpoint(self) -> CoapEndpoint:
        """The engine, for its counters."""
        return self._endpoint

    @property
    def known_peers(self) -> int:
        """How many peers the engine holds a memory for."""
        return len(self._peers)

    @property
    def withheld(self) -> int:
        """How many datagrams were not sent because nobody has answered from their address yet."""
        return self._unproven.withheld

    @property
    def exchanges_open(self) -> int:
        """How many requests of ours await their end."""
        return len(self._exchanges)

    def serve(self, handler: CoapHandler) -> None:
        """Begin to receive, and hand what peers begin to the handler; once."""
        assert self._handler is None, "a driver has one handler"
        self._handler = handler
        self._link.listen(self._receive)

    # --- requests of ours ---

    def request(
        self,
        remote: Remote,
        request: Request,
        *,
        token: bytes,
        deadline: float,
        then: Callable[[ExchangeEnd], object],
        may_retransmit: bool = True,
        block_bytes: int | None = None,
    ) -> int:
        """Send a request; `then` is called once with its end, never from inside this call.

        Returns:
            The number by which it can be cancelled.
        """
        exchange_id = self._open(then)
        self._endpoint.send_request(
            remote,
            request,
            exchange_id=exchange_id,
            token=token,
            deadline=deadline,
            now=self._clock.monotonic(),
            retransmit=may_retransmit,
            block_bytes=block_bytes,
        )
        self._progress()
        return exchange_id

    def adopt(self, remote: Remote, *, token: bytes, deadline: float, then: Callable[[ExchangeEnd], object]) -> int:
        """Await the answer to a request that an earlier run sent; `then` as in `request`."""
        exchange_id = self._open(then)
        self._endpoint.adopt_exchange(remote, exchange_id=exchange_id, token=token, deadline=deadline)
        self._progress()
        return exchange_id

    def fetch_rest(
        self,
        remote: Remote,
        request: Request,
        first: CoapMessage,
        *,
        token: bytes,
        deadline: float,
        then: Callable[[ExchangeEnd], object],
    ) -> int:
        """Fetch what follows the first block of a notification; `then` as in `request`, with the whole message."""
        exchange_id = self._open(then)
        now = self._clock.monotonic()
        self._endpoint.fetch_rest(
            remote, request, first, exchange_id=exchange_id, token=token, deadline=deadline, now=now
        )
        self._progress()
        return exchange_id

    def cancel(self, exchange_id: int) -> None:
        """Stop a request; its `then` is not called any more."""
        if self._exchanges.pop(exchange_id, None) is not None:
            self._endpoint.cancel_exchange(exchange_id)

    # --- requests and responses of peers ---

    def respond(
        self,
        reply_to: ReplyHandle,
        *,
        code: int,
        options: tuple[tuple[int, bytes], ...] = (),
        payload: bytes = b"",
        then: Callable[[], object] | None = None,
    ) -> None:
        """Answer a request; `then` is called when the answer has been handed to the link."""
        now = self._clock.monotonic()
        self._endpoint.respond(reply_to, code=code, options=options, payload=payload, now=now)
        self._follow(then)

    def acknowledge(self, handle: ResponseHandle, *, then: Callable[[], object] | None = None) -> None:
        """Accept an unmatched response; `then` is called when the ACK of a confirmable one has been handed over."""
        self._endpoint.acknowledge(handle, now=self._clock.monotonic())
        self._follow(then)

    def decline(self, handle: ResponseHandle) -> None:
        """Say nothing to an unmatched response: the device repeats it, and then it is new."""
        self._endpoint.decline(handle)

    def reset(self, handle: ResponseHandle) -> None:
        """Refuse an unmatched response."""
        self._endpoint.reset(handle, now=self._clock.monotonic())
        self._follow(None)

    # --- peers ---

    def know(self, remote: Remote) -> None:
        """Give a peer message ids and remembered answers of its own; for peers that have proved who they are."""
        self._peers.keep(remote, now=self._clock.monotonic())

    def forget(self, remote: Remote) -> None:
        """Let a peer become a stranger, once no duplicate of what it sent can come any more."""
        self._peers.release(remote, now=self._clock.monotonic())

    def doubt(self, remote: Remote, reply_to: ReplyHandle) -> None:
        """An address that nobody vouches for asked for something of which more than an answer follows.

        What is sent there is limited by what came from there, until it has answered a request of ours or `trust` is
        called. Call it before `know`: an address that is known, and not in doubt, is left alone.
        """
        if remote not in self._peers:
            self._unproven.doubt(remote, len(encode(reply_to.message)), now=self._clock.monotonic())

    def trust(self, remote: Remote) -> None:
        """End the doubt in an address."""
        self._unproven.trust(remote)

    def close(self) -> None:
        """Let no timer fire any more; open exchanges end without being told."""
        self._exchanges.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the loop ---

    def _receive(self, remote: Remote, datagram: bytes) -> None:
        if self._unproven:
            self._unproven.receive(remote, len(datagram))
        self._endpoint.receive_datagram(datagram, remote, now=self._clock.monotonic())
        self._pump()

    def _on_timer(self) -> None:
        self._timer = None
        self._endpoint.handle_deadline(now=self._clock.monotonic())
        self._pump()

    def _pump(self) -> None:
        """Deliver events and send until nothing is left; what handlers begin meanwhile is part of it."""
        self._is_pump_due = False
        if self._is_pumping:
            return
        self._is_pumping = True
        is_done = False
        try:
            while not is_done:
                while (event := self._endpoint.next_event()) is not None:
                    self._deliver(event)
                self._send()
                followers, self._after_sending = self._after_sending, []
                for follower in followers:
                    follower()
                is_done = not followers
        finally:
            self._is_pumping = False
            self._arm()
            if not is_done:
                self._pump_soon()  # a handler failed: the others must not wait for the next datagram

    def _deliver(self, event: "Event") -> None:
        match event:
            case RequestReceived(peer=peer, message=message, reply_to=reply_to):
                assert self._handler is not None
                self._handler.request_received(_remote_of(peer), message, reply_to)
            case UnmatchedResponse(peer=peer, message=message, handle=handle):
                assert self._handler is not None
                self._handler.response_unmatched(_remote_of(peer), message, handle)
            case ResponseReceived(exchange_id=exchange_id, peer=peer, message=message):
                self._unproven.trust(_remote_of(peer))  # our token has been there
                self._end(exchange_id, message)
            case ExchangeEnded(exchange_id=exchange_id, reason=reason):
                self._end(exchange_id, reason)
            case _:
                pass  # ACKs change nothing for us, and we send no notifications

    def _open(self, then: Callable[[ExchangeEnd], object]) -> int:
        self._exchange_number += 1
        self._exchanges[self._exchange_number] = then
        return self._exchange_number

    def _end(self, exchange_id: int, end: ExchangeEnd) -> None:
        then = self._exchanges.pop(exchange_id, None)
        if then is not None:
            then(end)

    def _follow(self, then: Callable[[], object] | None) -> None:
        if then is not None:
            self._after_sending.append(then)
        if not self._is_pumping:
            self._pump()

    def _progress(self) -> None:
        """Send now; an end that is known already comes on the next turn of the loop."""
        if not self._is_pumping:
            self._send()
            self._arm()
            self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._is_pump_due:
            self._is_pump_due = True
            self._scheduler.call_soon(self._pump)

    def _send(self) -> None:
        send = self._link.send
        for peer, datagram in self._endpoint.datagrams_to_send():
            remote = _remote_of(peer)
            if not self._unproven or self._unproven.spend(remote, len(datagram)):
                send(remote, datagram)

    def _arm(self) -> None:
        deadline = self._endpoint.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer_at <= deadline:
                return  # it fires early and is armed again: cheaper than moving it with every datagram
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer_at = deadline
            self._timer = self._scheduler.call_later(max(0.0, deadline - self._clock.monotonic()), self._on_timer)


def _remote_of(peer: Peer) -> Remote:
    # The engine takes any key; every one it has came from us, and ours are bytes.
    assert isinstance(peer, bytes)
    return Remote(peer)
