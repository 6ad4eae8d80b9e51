"""Answers to strangers are never larger than what they sent: southbound reference 4.4, RFC 7252 section 11.3."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.services.sessions import SessionRefusal
from commandpost.southbound.settings import CoapSettings
from tests.unit.southbound.bench import SERVER
from tests.unit.southbound.test_lwm2m_bootstrap import MODULE, BootstrapBench, ask
from tests.unit.southbound.test_lwm2m_server import REGISTER_FRAME, FakeSessions, request

DATAGRAMS = 4_000  # a second or so
WITHOUT_BUDGET = CoapSettings(host_refusals_burst=10**6, host_refusals_per_s=1e6, refusals_burst=10**6)
FRAMES = (
    REGISTER_FRAME,
    encode(ask(MODULE)),
    encode(request(2, "rd", "865820031234567")),
    encode(request(4, "rd", "865820031234567")),
    encode(request(2, "dp", payload=b"[]")),
    encode(request(1, ".well-known", "core")),
    encode(request(3, "rd", options=((27, b"\x0e"),), payload=b"x" * 64)),
)


def made_up(random: Random) -> bytes:
    """A frame with some bytes changed, cut or added, a bare header, or an unknown code with options."""
    match random.randrange(5):
        case 0:
            return bytes((0x40 | random.randrange(64), random.randrange(256), 0, 1)) + random.randbytes(8)
        case 1:
            frame = random.choice(FRAMES)
            return frame[: random.randrange(4, len(frame) + 1)]
        case 2:
            number, value = random.randrange(1, 300), random.randbytes(random.randrange(4))
            return encode(
                CoapMessage(
                    type=random.choice((MessageType.CON, MessageType.NON)),
                    code=random.choice((1, 2, 3, 4, 5, 6, 7, 69)),
                    message_id=1,
                    token=random.randbytes(random.randrange(9)),
                    options=((number, value),),
                )
            )
        case _:
            changed = bytearray(random.choice(FRAMES))
            for _ in range(random.randrange(1, 4)):
                changed[random.randrange(len(changed))] = random.randrange(256)
            return bytes(changed)


def answers_to(bench: BootstrapBench, datagrams: list[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """Send each from an address of its own; gives everything that went there within a minute."""
    heard: list[tuple[bytes, list[bytes]]] = []

    def listener(answers: list[bytes]) -> Callable[[object, bytes], object]:
        return lambda _, datagram: answers.append(datagram)

    async def scenario() -> None:
        for number, datagram in enumerate(datagrams):
            answers: list[bytes] = []
            heard.append((datagram, answers))
            link = bench.network.bind()
            link.listen(listener(answers))
            link.send(SERVER, datagram)
            if number % 50 == 0:
                await asyncio.sleep(0.1)
        await asyncio.sleep(60)

    bench.run(scenario())
    return heard


@pytest.mark.parametrize("refusal", list(SessionRefusal))
def test_amplification_towards_strangers_is_one_at_most(refusal: SessionRefusal) -> None:
    """Whatever is made up, whichever way it is refused; and something was answered, or the test would say nothing."""
    random = Random(refusal.value)
    bench = BootstrapBench(settings=WITHOUT_BUDGET)
    bench.keeper.answer = refusal
    sessions = bench.server._sessions
    assert isinstance(sessions, FakeSessions)
    sessions.refusal = refusal

    heard = answers_to(bench, [made_up(random) for _ in range(DATAGRAMS // len(SessionRefusal))])

    larger = [(sent.hex(), answers) for sent, answers in heard if sum(map(len, answers)) > len(sent)]
    assert larger == []
    assert sum(bool(answers) for _, answers in heard) > len(heard) // 5
