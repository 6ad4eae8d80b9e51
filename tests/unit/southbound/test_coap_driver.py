"""Feed, drain, send, re-arm."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import CoapEndpoint, EndpointLimits, TransmissionParameters
from commandpost.protocols.coap.events import EndReason, ReplyHandle, ResponseHandle
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.simulation.datagram_trace import Passage
from commandpost.southbound.coap_driver import CoapDriver, ExchangeEnd
from tests.unit.southbound.bench import START, AnswersOnly, Bench, piggybacked

GET = CoapMessage(type=MessageType.CON, code=Code.GET, message_id=1, token=b"t")


class Echo:
    """Answers every request with its payload."""

    def __init__(self) -> None:
        self.driver: CoapDriver | None = None
        self.requests = 0
        self.sent_by_then: list[int] = []
        self.count_sent: Callable[[], int] = lambda: 0

    def request_received(self, _remote: Remote, message: CoapMessage, reply_to: ReplyHandle) -> None:
        assert self.driver is not None
        self.requests += 1
        self.driver.respond(
            reply_to,
            code=Code.CONTENT,
            payload=message.payload,
            then=lambda: self.sent_by_then.append(self.count_sent()),
        )

    def response_unmatched(self, _remote: Remote, _message: CoapMessage, _handle: ResponseHandle) -> None:
        raise AssertionError("no response was to come")


def test_follow_up_is_called_when_the_reply_has_left() -> None:
    """What a reply releases must not overtake it."""
    echo = Echo()
    bench = Bench(handler=echo)
    echo.driver = bench.driver
    echo.count_sent = lambda: bench.network.trace.counts[Passage.SENT]

    async def scenario() -> CoapMessage:
        device = bench.device()
        device.send(GET)
        return await device.receive()

    assert bench.run(scenario()).code == Code.CONTENT
    assert echo.sent_by_then == [2]  # the request and the reply


def test_duplicate_gets_the_stored_answer_and_reaches_nobody() -> None:
    """The same datagram three times is one request."""
    echo = Echo()
    bench = Bench(handler=echo)
    echo.driver = bench.driver

    async def scenario() -> int:
        device = bench.device()
        for _ in range(3):
            device.send(GET)
        await asyncio.sleep(1)
        return len(device.received)

    assert bench.run(scenario()) == 3
    assert echo.requests == 1


def test_timer_is_armed_for_the_earliest_exchange_and_for_nothing_in_the_end() -> None:
    """A long exchange first, a short one after it: the short one ends in time, and then no timer is left."""
    bench = Bench(handler=AnswersOnly())
    ends: list[tuple[str, ExchangeEnd, float]] = []

    async def scenario() -> None:
        nobody = bench.network.fresh_address()
        now = bench.loop.time()
        for name, seconds in (("long", 40.0), ("short", 3.0)):
            bench.driver.request(
                nobody,
                Request(code=Code.GET),
                token=name.encode(),
                deadline=now + seconds,
                then=lambda end, name=name: ends.append((name, end, bench.loop.time() - now)),  # type: ignore[misc]  # default binds the name
            )
        await asyncio.sleep(100)

    bench.run(scenario())
    assert [(name, end) for name, end, _ in ends] == [("short", EndReason.TIMED_OUT), ("long", EndReason.TIMED_OUT)]
    assert [at for _, _, at in ends] == pytest.approx([3.0, 40.0])
    assert bench.driver.exchanges_open == 0


def test_cancelled_request_has_no_end() -> None:
    """Nobody is told, and nothing is sent any more."""
    bench = Bench(handler=AnswersOnly())
    ends: list[ExchangeEnd] = []

    async def scenario() -> int:
        device = bench.device()
        exchange_id = bench.driver.request(
            device.remote, Request(code=Code.GET), token=b"1", deadline=bench.loop.time() + 40, then=ends.append
        )
        request = await device.receive()
        bench.driver.cancel(exchange_id)
        device.send(piggybacked(request, Code.CONTENT))
        await asyncio.sleep(100)
        return len(device.received)

    assert bench.run(scenario()) == 1
    assert ends == []


class HandLoop:
    """A scheduler, clock and link that do nothing by themselves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[..., object]] = []
        self.later: list[tuple[float, Callable[..., object]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> Instant:
        return START

    def call_soon(self, callback: Callable[..., object], *_: Any) -> object:  # Any: asyncio's own
        self.soon.append(callback)
        return None

    def call_later(self, delay: float, callback: Callable[..., object], *_: Any) -> "HandLoop":  # Any: asyncio's own
        self.later.append((self.now + delay, callback))
        return self

    def cancel(self) -> None:
        self.later.clear()

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Nothing arrives."""

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Nothing leaves."""


def test_fault_in_a_handler_is_loud_and_stops_nobody_else() -> None:
    """Two exchanges end at one instant; whoever waits for the first fails, the second is told all the same."""
    hand = HandLoop()
    driver = CoapDriver(
        endpoint=CoapEndpoint(parameters=TransmissionParameters(), limits=EndpointLimits(), random=Random(1)),
        link=hand,
        clock=hand,
        scheduler=hand,
        known_peers_max=10,
        known_peer_idle_s=100,
    )
    driver.serve(AnswersOnly())
    ends: list[ExchangeEnd] = []

    def fail(_end: ExchangeEnd) -> None:
        raise ZeroDivisionError

    for token, then in ((b"1", fail), (b"2", ends.append)):
        driver.request(Remote(b"x"), Request(code=Code.GET), token=token, deadline=3.0, then=then)
    hand.soon.pop()()
    hand.now = 3.0

    with pytest.raises(ZeroDivisionError):
        hand.later[-1][1]()
    for callback in hand.soon:
        callback()

    assert ends == [EndReason.TIMED_OUT]


def test_malformed_and_pointless_datagrams_are_ignored_or_reset() -> None:
    """Southbound reference 1.8: a CON whose message id can be read gets RST, a ping too, all else silence."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> list[tuple[MessageType, int, int]]:
        device = bench.device()
        for datagram in (
            b"",
            b"\x40",
            bytes.fromhex("40 01 77 77 FF"),  # payload marker without a payload: RST
            bytes.fromhex("50 01 77 78 FF"),  # the same, NON: silence
            bytes.fromhex("80 01 77 79"),  # version 2: silence
            bytes.fromhex("4F 01 77 7A"),  # reserved token length: RST
            bytes.fromhex("40 00 77 7B"),  # ping: RST is the pong
            bytes.fromhex("60 00 77 7C"),  # ACK for nothing open
            bytes.fromhex("70 00 77 7D"),  # RST for nothing open
            bytes.fromhex("60 45 77 7E"),  # an answer in an ACK for nothing open
        ):
            device.send(datagram)
        await asyncio.sleep(1)
        return [(message.type, message.code, message.message_id) for message in device.received]

    assert bench.run(scenario()) == [(MessageType.RST, 0, mid) for mid in (0x7777, 0x777A, 0x777B)]
