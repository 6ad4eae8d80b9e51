"""Whatever the network and the device do, every attempt has exactly one end, in time, and nothing is left behind."""

import asyncio
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.command import DeliveryPolicy
from commandpost.domain.operation import Execute, Observe, ObserveAttributes, Read
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import decode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.simulation.memory_network import NetworkConditions
from tests.unit.southbound.bench import AnswersOnly, Bench, RawDevice, empty, piggybacked, separate

INSTANCE = ResourcePath(object_id=3306, instance_id=0)
OPERATIONS = (
    Read(path=INSTANCE),
    Execute(path=ResourcePath(object_id=3303, instance_id=0, resource_id=5605), arguments="ping"),
    Observe(path=INSTANCE, attributes=ObserveAttributes(pmin_s=5, step=0.5)),
)
CODES = (Code.CONTENT, Code.CHANGED, Code.BAD_REQUEST, Code.NOT_ACCEPTABLE, Code.INTERNAL_SERVER_ERROR, Code.CONTINUE)
ATTEMPTS = 12
TIMEOUT_S = 25.0


class Moody(RawDevice):
    """Answers as it likes: at once, later, twice, wrongly, with a reset, from somewhere else, or not at all."""

    random: Random
    message_id = 0

    def answer(self, request: CoapMessage) -> CoapMessage | None:
        code = self.random.choice(CODES)
        payload = self.random.randbytes(self.random.randrange(12))
        options = ((int(Option.CONTENT_FORMAT), encode_uint(self.random.choice((0, 42, 11542, 9999)))),)
        self.message_id += 1
        alone = separate(
            request,
            code,
            message_id=self.message_id,
            type=self.random.choice((MessageType.CON, MessageType.NON)),
            options=options,
            payload=payload,
        )
        inside = piggybacked(request, code, options=options, payload=payload)
        match self.random.randrange(8):
            case 0:
                return None
            case 1:
                return empty(MessageType.RST, request.message_id)
            case 2:
                asyncio.get_running_loop().call_later(self.random.uniform(0, 60), self.send, inside)
                return None
            case 3:
                asyncio.get_running_loop().call_later(self.random.uniform(0, 60), self.send, alone)
                return empty(MessageType.ACK, request.message_id)
            case 4:
                self.send(alone)
                return empty(MessageType.ACK, request.message_id)
            case 5:
                self.send(inside)
                return alone
            case 6:
                self.link.rebind()
                return alone
            case _:
                return inside


@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from((0.0, 0.2, 0.6)),
    duplication=st.sampled_from((0.0, 0.3)),
    delay_s=st.sampled_from((0.0, 2.0, 12.0)),
    delivery=st.sampled_from(DeliveryPolicy),
)
def test_every_attempt_ends_exactly_once(
    seed: int, loss: float, duplication: float, delay_s: float, delivery: DeliveryPolicy
) -> None:
    """One end per attempt, by its deadline; one datagram per request where at most one was allowed."""
    random = Random(seed)
    bench = Bench(handler=AnswersOnly(), seed=seed)
    bench.network.set_conditions(
        NetworkConditions(loss=loss, duplication=duplication, reordering=0.2, delay_max_s=delay_s)
    )
    requests_sent: Counter[tuple[Remote, int]] = Counter()
    carry = bench.link.send

    def count(remote: Remote, datagram: bytes) -> None:
        message = decode(datagram)
        requests_sent[remote, message.message_id] += message.is_request
        carry(remote, datagram)

    bench.link.send = count  # type: ignore[method-assign]  # a tap on the wire

    async def scenario() -> float:
        began_at = bench.loop.time()
        for number in range(ATTEMPTS):
            device = Moody(bench.network.bind())
            device.random = random
            device.answer_with = device.answer
            bench.transmit(
                random.choice(OPERATIONS),
                device.remote,
                attempt_id=number,
                token=bytes(4) + number.to_bytes(4, "big"),
                timeout_s=TIMEOUT_S,
                delivery=delivery,
            )
        assert bench.attempts.ends == []
        await bench.attempts.wait_for_end(ATTEMPTS)
        elapsed = bench.loop.time() - began_at
        await asyncio.sleep(600)
        return elapsed

    elapsed = bench.run(scenario())
    if delivery is DeliveryPolicy.AT_MOST_ONCE:
        assert max(requests_sent.values()) == 1
    assert sorted(end.attempt_id for end in bench.attempts.ends) == list(range(ATTEMPTS))
    assert elapsed <= TIMEOUT_S + 0.001
    assert all(end.answer is not None or end.outcome.name in ("TIME_OUT", "OFFLINE") for end in bench.attempts.ends)
    assert (bench.downlink.attempts_open, bench.downlink.watches_open, bench.driver.exchanges_open) == (0, 0, 0)
