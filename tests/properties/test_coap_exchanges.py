"""Whatever the network does, an exchange ends exactly once, in time, and a request is processed at most once."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import CoapEndpoint, EndpointLimits, Request, TransmissionParameters
from commandpost.protocols.coap.events import ExchangeEnded, RequestReceived, ResponseReceived
from commandpost.protocols.coap.options import Option

OURS, THEIRS = "ours", "theirs"


class Network:
    """Two endpoints and a network that loses, repeats and delays, from a seed."""

    def __init__(self, seed: int, *, loss: float, repetition: float) -> None:
        self.random = Random(seed)
        self.loss = loss
        self.repetition = repetition
        self.now = 0.0
        self.sent_by_us = 0
        self.on_the_way: list[tuple[float, int, str, bytes]] = []
        self.number = 0
        self.endpoints = {
            name: CoapEndpoint(
                parameters=TransmissionParameters(), limits=EndpointLimits(), random=Random(seed + offset)
            )
            for offset, name in ((1, OURS), (2, THEIRS))
        }
        self.endpoints[OURS].know_peer(THEIRS)
        self.endpoints[THEIRS].know_peer(OURS)

    def carry(self) -> None:
        """Take what the endpoints send and decide its fate."""
        for sender, receiver in ((OURS, THEIRS), (THEIRS, OURS)):
            for _, data in self.endpoints[sender].datagrams_to_send():
                self.sent_by_us += sender == OURS
                copies = 1 + (self.random.random() < self.repetition)
                for _ in range(copies):
                    if self.random.random() >= self.loss:
                        self.number += 1
                        arrival = self.now + self.random.expovariate(1.0)
                        self.on_the_way.append((arrival, self.number, receiver, data))

    def step(self) -> bool:
        """Go to the next arrival or deadline; False if nothing is left to happen."""
        self.carry()
        deadlines = [endpoint.next_deadline() for endpoint in self.endpoints.values()]
        times = [at for at in deadlines if at is not None] + [arrival for arrival, *_ in self.on_the_way]
        if not times:
            return False
        self.now = max(self.now, min(times))
        for entry in sorted(entry for entry in self.on_the_way if entry[0] <= self.now):
            self.on_the_way.remove(entry)
            _, _, receiver, data = entry
            sender = OURS if receiver == THEIRS else THEIRS
            self.endpoints[receiver].receive_datagram(data, sender, now=self.now)
        for endpoint in self.endpoints.values():
            endpoint.handle_deadline(now=self.now)
        return True


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    repetition=st.sampled_from([0.0, 0.5, 1.0]),
    separate=st.booleans(),
    retransmit=st.booleans(),
    body_bytes=st.sampled_from([0, 5, 512, 700, 1500]),
)
def test_every_exchange_ends_once_and_every_request_is_processed_once(
    seed: int, loss: float, repetition: float, separate: bool, retransmit: bool, body_bytes: int
) -> None:
    """Loss, duplicates, reordering; piggy-backed and separate responses; bodies in blocks."""
    network = Network(seed, loss=loss, repetition=repetition)
    ours, theirs = network.endpoints[OURS], network.endpoints[THEIRS]
    count = 6
    ends: list[int] = []
    processed: list[bytes] = []
    for number in range(count):
        ours.send_request(
            THEIRS,
            Request(code=Code.PUT, options=((int(Option.URI_PATH), b"%d" % number),), payload=bytes(body_bytes)),
            exchange_id=number,
            token=b"t%d" % number,
            deadline=40.0,
            now=0.0,
            retransmit=retransmit,
        )
    while network.step():
        while (event := theirs.next_event()) is not None:
            if isinstance(event, RequestReceived):
                assert len(event.message.payload) == body_bytes
                processed.append(event.message.token)
                if separate:
                    theirs.send_empty_ack(event.reply_to)
                theirs.respond(event.reply_to, code=Code.CHANGED, now=network.now)
        while (our_event := ours.next_event()) is not None:
            if isinstance(our_event, ResponseReceived | ExchangeEnded):
                ends.append(our_event.exchange_id)
                assert network.now <= 40.0
                if isinstance(our_event, ResponseReceived):
                    assert b"t%d" % our_event.exchange_id in processed

    assert sorted(ends) == list(range(count))
    assert len(processed) == len(set(processed))
    assert ours.open_exchange_count == 0
    assert ours.next_deadline() is None
    if loss == 0.0 and retransmit:
        assert len(processed) == count
    if not retransmit and not body_bytes and not separate:
        assert network.sent_by_us == count
