"""The radio of a simulated device: its CoAP endpoint, driven by a datagram link, a scheduler and a clock.

Here: feed, drain, send, re-arm; radio on and off; the one timer of the engine. Not here: what is said (lwm2m_device,
request_answerer).
"""

from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from commandpost.domain.ports import Clock, Scheduler, Timer
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import peek_header
from commandpost.protocols.coap.codes import is_request
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.protocols.coap.events import Event
from commandpost.protocols.coap.message import MessageType
from commandpost.protocols.coap.parameters import EndpointLimits, TransmissionParameters
from commandpost.simulation.device_settings import DeviceCounters

PARAMETERS: Final = TransmissionParameters(ack_timeout_s=2.0, max_retransmit=4)  # southbound reference 1.8
LIMITS: Final = EndpointLimits(
    open_exchanges_max=8,  # a device has one
    open_messages_max=64,  # as many notifications as it may have observations, a few times over
    datagrams_queued_max=256,
    events_queued_max=256,
    answers_per_peer_max=16,
    stranger_answers_max=16,
    ended_tokens_max=64,
    unconfirmed_sent_max=64,
    former_peers_max=4,
    block_bodies_max=2,
    served_bodies_max=4,
)


class DeviceLink(Protocol):
    """A DatagramLink whose source address can change."""

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Say who gets each datagram that arrives; once, and it stays so after a rebind."""
        ...

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send, or lose it silently."""
        ...

    def rebind(self) -> object:
        """Take a fresh source address; the old one is dead."""
        ...


class DeviceChannel:
    """One device's way to its server. While the radio is off nothing is heard and nothing is sent."""

    def __init__(
        self,
        *,
        server: Remote,
        link: DeviceLink,
        scheduler: Scheduler,
        clock: Clock,
        random: Random,
        counters: DeviceCounters,
        deduplicates: bool,
        on_event: Callable[[Event], object],
    ) -> None:
        """Listen on the link, with the radio off.

        Args:
            deduplicates: False hands a retransmitted request up as a new one.
            on_event: gets every event of the endpoint; may call anything here.
        """
        self._server = server
        self._link = link
        self._scheduler = scheduler
        self._clock = clock
        self._random = random
        self._counters = counters
        self._deduplicates = deduplicates
        self._on_event = on_event
        self._is_driving = False
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self.is_on = False
        self.takes_requests = False
        """Whether requests are heard: modules ignore them until they are registered (southbound reference 1.6)."""
        self.traffic_at = 0.0
        """When the newest datagram was sent or heard."""
        self.endpoint = self._new_endpoint()
        link.listen(self._receive)

    @property
    def server(self) -> Remote:
        """The only peer."""
        return self._server

    def now(self) -> float:
        """Give the time on the monotonic clock."""
        return self._clock.monotonic()

    def turn_on(self) -> None:
        """Turn the radio on; what follows counts as traffic."""
        self.traffic_at = self.now()
        if not self.is_on:
            self.is_on = True
            self._counters.awake_now += 1
            self._counters.wakes += 1

    def turn_off(self) -> None:
        """Turn the radio off."""
        if self.is_on:
            self.is_on = False
            self._counters.awake_now -= 1

    def restart(self) -> None:
        """Forget everything the engine held: open exchanges, answers for duplicates, message ids."""
        self.turn_off()
        self.takes_requests = False
        self.endpoint = self._new_endpoint()
        self._arm()

    def rebind(self) -> None:
        """Take a new source address."""
        self._link.rebind()
        self._counters.moves += 1

    def send_raw(self, datagram: bytes) -> None:
        """Send bytes past the engine."""
        if self.is_on:
            self.traffic_at = self.now()
            self._counters.datagrams_sent += 1
            self._link.send(self._server, datagram)

    def drive(self) -> None:
        """Hand up what happened, send what is to be sent, and arm the timer. Called after every use of the endpoint."""
        if self._is_driving:
            return
        self._is_driving = True
        try:
            while (event := self.endpoint.next_event()) is not None:
                self._on_event(event)
        finally:
            self._is_driving = False
        for _, datagram in self.endpoint.datagrams_to_send():
            self.send_raw(datagram)
        self._arm()

    def _receive(self, remote: Remote, datagram: bytes) -> None:
        if not self.is_on:
            self._counters.missed += 1
            return
        is_new_request = _is_request(datagram)
        if remote != self._server or (is_new_request and not self.takes_requests):
            self._counters.ignored += 1
            return
        self._counters.datagrams_received += 1
        now = self.traffic_at = self.now()
        if is_new_request and not self._deduplicates:
            self.endpoint.forget_peer(self._server)  # the answers go, the sequence of message ids is kept
            self.endpoint.know_peer(self._server)
        self.endpoint.receive_datagram(datagram, self._server, now=now)
        self.drive()

    def _new_endpoint(self) -> CoapEndpoint:
        endpoint = CoapEndpoint(parameters=PARAMETERS, limits=LIMITS, random=self._random)
        endpoint.know_peer(self._server)
        return endpoint

    def _arm(self) -> None:
        at = self.endpoint.next_deadline()
        if self._timer is not None:
            if at is not None and self._timer_at <= at:
                return  # it fires early at most, and is armed anew then
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = self._scheduler.call_later(max(0.0, at - self.now()), self._deadline_came)

    def _deadline_came(self) -> None:
        self._timer = None
        self.endpoint.handle_deadline(now=self.now())
        self.drive()


def _is_request(datagram: bytes) -> bool:
    header = peek_header(datagram)
    return header is not None and header[0] in (MessageType.CON, MessageType.NON) and is_request(datagram[1])
