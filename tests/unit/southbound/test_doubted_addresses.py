"""Addresses from which an uplink came and that nobody vouches for: southbound reference 4.4."""

import asyncio

import pytest

from commandpost.domain.device import KeyLabel
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from commandpost.southbound.unproven_peers import CREDIT_PER_BYTE
from tests.unit.southbound.bench import RawDevice
from tests.unit.southbound.test_lwm2m_server import LOCATION, REGISTER_FRAME, ServerBench, request

UPDATE_FRAME = encode(request(Code.POST, "rd", LOCATION, payload=b"</3303/0>,</3306/0>"))
SETUP_S = 60.0


def heard_after(bench: ServerBench, frame: bytes, *, label: KeyLabel | None = None, greets: bytes = b"") -> int:
    """Send a frame from an address nobody has seen, let the setup ask for much, and give the bytes that came back."""

    async def scenario() -> int:
        registered = bench.device()
        session = bench.registered(registered)
        session.identity_label = label
        forger = bench.device()
        if greets:
            await prove(bench, forger, greets)
        forger.send(frame)
        await asyncio.sleep(1)
        before = len(forger.received)
        for number in range(10):
            ask(bench, forger, bytes((number,)) * 8)
        await asyncio.sleep(SETUP_S)
        assert before > 0
        return sum(len(encode(message)) for message in forger.received)

    return bench.run(scenario())


def ask(bench: ServerBench, device: RawDevice, token: bytes) -> None:
    """What a setup does: a request that the device need not have wanted."""
    options = ((int(Option.URI_PATH), b"3303"), (int(Option.URI_PATH), b"0"))
    bench.driver.request(
        device.remote,
        Request(code=Code.GET, options=options),
        token=token,
        deadline=bench.clock.monotonic() + SETUP_S,
        then=lambda _: None,
    )


async def prove(bench: ServerBench, device: RawDevice, frame: bytes) -> None:
    """The address has an uplink heard from it, and answers a request."""
    device.send(frame)
    await device.receive()

    def answer(message: CoapMessage) -> CoapMessage | None:
        device.answer_with = None
        return CoapMessage(type=message.type.ACK, code=Code.CONTENT, message_id=message.message_id, token=message.token)

    device.answer_with = answer
    ask(bench, device, b"proof-01")
    await asyncio.sleep(1)


@pytest.mark.parametrize("frame", [REGISTER_FRAME, UPDATE_FRAME], ids=["register", "update"])
def test_an_uplink_with_a_forged_source_sends_its_victim_three_times_its_bytes_at_most(frame: bytes) -> None:
    """The answer and the setup together, retransmissions too, whichever uplink it was."""
    received = heard_after(ServerBench(), frame)

    assert 0 < received <= CREDIT_PER_BYTE * len(frame)


def test_a_device_that_answers_is_asked_for_all_of_it() -> None:
    """An address whose device has answered is not doubted anew with its next Update."""
    received = heard_after(
        ServerBench(), UPDATE_FRAME, greets=encode(request(Code.POST, "rd", LOCATION, message_id=0x1999))
    )

    assert received > 4 * CREDIT_PER_BYTE * len(UPDATE_FRAME)


def test_a_device_that_has_proved_a_key_is_not_doubted() -> None:
    """An association is no address that could be forged."""
    received = heard_after(ServerBench(), UPDATE_FRAME, label=KeyLabel.ACCESS)

    assert received > CREDIT_PER_BYTE * len(UPDATE_FRAME)
