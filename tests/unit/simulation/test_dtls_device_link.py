"""A simulated device behind DTLS: when it shakes hands, when again, and what waits meanwhile."""

import asyncio

from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.simulation.dtls_device_link import SILENT_SENDS_MAX, WAITING_MAX
from tests.unit.southbound.dtls_bench import FORGOTTEN, House

SOON_S = 0.5


def message(number: int, kind: MessageType = MessageType.CON) -> bytes:
    """A request without anything in it."""
    return encode(CoapMessage(type=kind, code=1, message_id=number, token=b"", options=(), payload=b""))


def test_what_is_said_before_the_handshake_is_done_waits_for_it() -> None:
    """The newest few, in order."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        for number in range(WAITING_MAX + 2):
            device.say(message(number))
        await asyncio.sleep(SOON_S)

        assert [payload for _, payload in house.heard] == [message(number) for number in range(2, WAITING_MAX + 2)]
        assert device.session.handshakes == 1

    house.run(scenario())


def test_after_long_silence_of_its_server_it_shakes_hands_again() -> None:
    """One confirmable message and its repetitions; what needs no answer does not count."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(message(1))
        await asyncio.sleep(SOON_S)
        house.reopen(FORGOTTEN)
        house.listen()
        for number in range(20):
            device.say(message(100 + number, MessageType.NON))
        await asyncio.sleep(SOON_S)
        assert device.session.handshakes == 1
        for _ in range(SILENT_SENDS_MAX + 1):
            device.say(message(2))
        await asyncio.sleep(SOON_S)

        assert device.session.handshakes == 2
        assert house.heard[-1][1] == message(2)

    house.run(scenario())


def test_a_refused_handshake_is_tried_again_with_the_next_datagram() -> None:
    """Not by itself: the device's own back-off decides."""
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device(key=b"the wrong key")
        device.say(message(1))
        await asyncio.sleep(SOON_S)
        begun = house.link.counters.handshakes_begun
        assert device.session.failures == 1
        assert (device.counters.failures, device.counters.last_failure) == (1, "DTLS handshake refused, alert 51")
        await asyncio.sleep(300)
        assert house.link.counters.handshakes_begun == begun
        device.say(message(2))
        await asyncio.sleep(SOON_S)
        assert house.link.counters.handshakes_begun == begun + 1

    house.run(scenario())


def test_a_handshake_that_nobody_answers_fails_and_is_counted() -> None:
    """After 1, 2, 4 ... 32 and 60 seconds, the timer of RFC 6347 section 4.2.4.1."""
    house = House()

    async def scenario() -> None:
        device = house.device()
        device.say(message(1))
        await asyncio.sleep(124)

        assert (device.counters.failures, device.counters.last_failure) == (1, "DTLS handshake timed_out")

    house.run(scenario())


def test_a_goodbye_is_no_failure() -> None:
    house = House()

    async def scenario() -> None:
        house.listen()
        device = house.device()
        device.say(message(1))
        await asyncio.sleep(SOON_S)
        device.session.close()
        await asyncio.sleep(SOON_S)

        assert (device.session.handshakes, device.counters.failures, device.counters.last_failure) == (1, 0, "")

    house.run(scenario())
