"""Send: stored first, answered then (OMA LwM2M 1.1 core 6.4.6; southbound reference 2.1)."""

import asyncio

import pytest

from commandpost.domain.command import Trigger
from commandpost.domain.errors import NotFound, Overloaded, StoreUnavailable
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.services.datapoints import TooManyStreams
from commandpost.southbound.settings import CoapSettings
from tests.unit.southbound.bench import DEVICE_ID, RawDevice
from tests.unit.southbound.test_lwm2m_server import ServerBench

UPLINK = (DEVICE_ID, Trigger.NOTIFY)
PACK = b'[{"bn":"/3306/0/","n":"5850","vb":true},{"n":"/3303/0/5700","bn":"","v":21.5}]'
PACK_IN_CBOR = bytes.fromhex("82A321682F333330362F302F00643538353004F5A20064353835310216")  # southbound reference 3.4


def send(
    payload: bytes = PACK,
    content_format: int | None = 110,
    *,
    message_id: int = 0x4000,
    type: MessageType = MessageType.CON,
    code: int = Code.POST,
    path: tuple[str, ...] = ("dp",),
) -> CoapMessage:
    options = [(int(Option.URI_PATH), segment.encode()) for segment in path]
    if content_format is not None:
        options.append((int(Option.CONTENT_FORMAT), encode_uint(content_format)))
    return CoapMessage(
        type=type, code=code, message_id=message_id, token=b"tokn", options=tuple(options), payload=payload
    )


def replies_to(bench: ServerBench, *messages: CoapMessage, is_registered: bool = True) -> list[CoapMessage]:
    """Send messages one after another, and give whatever came back."""

    async def scenario() -> list[CoapMessage]:
        device = bench.device()
        if is_registered:
            bench.registered(device)
        for message in messages:
            device.send(message)
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        return device.received

    return bench.run(scenario())


@pytest.mark.parametrize(
    ("content_format", "payload", "points"),
    [
        (110, PACK, [("3303_0_5700", "21.5"), ("3306_0_5850", "true")]),
        (112, PACK_IN_CBOR, [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (110, b"[]", []),
    ],
)
def test_what_is_sent_becomes_points_and_is_answered(
    content_format: int, payload: bytes, points: list[tuple[str, str]]
) -> None:
    """2.04, and it is an uplink that releases what waits for a NOTIFY."""
    bench = ServerBench()

    (reply,) = replies_to(bench, send(payload, content_format))

    assert (reply.type, reply.code, reply.token, reply.payload) == (MessageType.ACK, Code.CHANGED, b"tokn", b"")
    assert bench.points.shown == points
    assert bench.uplinks.uplinks == [UPLINK]


def test_the_answer_and_the_uplink_follow_the_commit() -> None:
    """A duplicate meanwhile is dropped, afterwards it gets the same answer and is no second point."""
    bench = ServerBench()

    async def scenario() -> list[CoapMessage]:
        device: RawDevice = bench.device()
        bench.registered(device)
        bench.points.hold()
        for _ in range(2):
            device.send(send())
            await asyncio.sleep(2)
        assert device.received == []
        assert bench.uplinks.uplinks == []
        bench.points.release()
        await asyncio.sleep(1)
        device.send(send())
        await asyncio.sleep(1)
        return device.received

    assert [reply.code for reply in bench.run(scenario())] == [Code.CHANGED] * 2
    assert len(bench.points.shown) == 2
    assert bench.uplinks.uplinks == [UPLINK]


def test_a_non_confirmable_send_is_answered_without_confirmation() -> None:
    bench = ServerBench()

    (reply,) = replies_to(bench, send(type=MessageType.NON))

    assert (reply.type, reply.code) == (MessageType.NON, Code.CHANGED)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (send(b"no json"), Code.BAD_REQUEST),
        (send(PACK, None), Code.BAD_REQUEST),
        (send(PACK, 11543), Code.BAD_REQUEST),
        (send(b'[{"n":"/3303/0","v":1}]'), Code.BAD_REQUEST),
        (send(code=Code.GET), Code.METHOD_NOT_ALLOWED),
        (send(path=("dp", "1")), Code.NOT_FOUND),
    ],
)
def test_what_is_no_send_is_refused(message: CoapMessage, code: int) -> None:
    """Nothing is stored, nothing released."""
    bench = ServerBench()

    (reply,) = replies_to(bench, message)

    assert (reply.code, reply.payload) == (code, b"")
    assert bench.points.asked == 0
    assert bench.uplinks.uplinks == []


def test_who_is_not_registered_at_this_address_finds_nothing() -> None:
    """4.04, out of the budget for refusals: a spoofed address must not be shot at."""
    bench = ServerBench(settings=CoapSettings(host_refusals_burst=3, host_refusals_per_s=0.001))

    replies = replies_to(bench, *(send(message_id=number) for number in range(10)), is_registered=False)

    assert [reply.code for reply in replies] == [Code.NOT_FOUND] * 3
    assert bench.points.asked == 0
    assert bench.server.refusals_suppressed == 7


def test_whose_session_cannot_be_read_is_asked_to_come_again() -> None:
    """5.03: after a 4.04 it would register anew. Out of the budget for refusals, for it may be anybody."""
    bench = ServerBench(settings=CoapSettings(host_refusals_burst=1, host_refusals_per_s=0.001))
    bench.sessions.cannot_tell = True

    (reply,) = replies_to(bench, send(), send(message_id=0x4001))

    assert (reply.code, reply.find_option(Option.MAX_AGE)) == (Code.SERVICE_UNAVAILABLE, encode_uint(60))
    assert bench.points.asked == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded(), Code.SERVICE_UNAVAILABLE),
        (StoreUnavailable(), Code.SERVICE_UNAVAILABLE),
        (NotFound("device", "7"), Code.NOT_FOUND),
        (TooManyStreams(1000), Code.BAD_REQUEST),
    ],
)
def test_what_cannot_be_stored_is_said(error: Exception, code: int) -> None:
    """5.03 with Max-Age: come again."""
    bench = ServerBench()
    bench.points.error = error

    (reply,) = replies_to(bench, send())

    assert reply.code == code
    assert reply.find_option(Option.MAX_AGE) == (encode_uint(60) if code == Code.SERVICE_UNAVAILABLE else None)
    assert bench.uplinks.uplinks == []


def test_sends_at_work_are_bounded() -> None:
    """One more is told to come again."""
    bench = ServerBench(settings=CoapSettings(reports_open_max=1))
    bench.points.hold()

    replies = replies_to(bench, send(message_id=1), send(message_id=2))

    assert [(reply.message_id, reply.code) for reply in replies] == [(2, Code.SERVICE_UNAVAILABLE)]


def test_times_of_a_send_stand() -> None:
    """A device that was asleep sends its history in one pack."""
    bench = ServerBench()

    replies_to(bench, send(b'[{"n":"/3303/0/5700","bt":1600000000,"v":1},{"n":"/3303/0/5700","t":-60,"v":2}]'))

    assert bench.points.times == [1_599_999_940_000, 1_600_000_000_000]
