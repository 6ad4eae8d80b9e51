"""What devices answer is data too: Reads, the answers to Observe and to its end (northbound reference 7)."""

import asyncio

import pytest

from commandpost.domain.command import Outcome
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.operation import CancelObserve, Discover, Execute, Lwm2mOperation, Observe, Read
from commandpost.domain.resource import ResourcePath
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.lwm2m import reports
from tests.unit.southbound.bench import DEVICE_ID, TOKEN, AnswersOnly, Bench, make_session, piggybacked, separate

INSTANCE = ResourcePath(object_id=3306, instance_id=0)
DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)
TLV = (int(Option.CONTENT_FORMAT), encode_uint(11542))
ON_AND_22 = bytes.fromhex("E1 16 DA 01 E1 16 DB 16")  # southbound reference 3.1: {5850: true, 5851: 22}
BOTH = [("3306_0_5850", "true"), ("3306_0_5851", "22")]


def answered(
    operation: Lwm2mOperation,
    *,
    code: int = Code.CONTENT,
    options: tuple[tuple[int, bytes], ...] = (TLV,),
    payload: bytes = ON_AND_22,
    bench: Bench | None = None,
    is_registered: bool = True,
) -> Bench:
    """Run an attempt against a device that answers every request so."""
    bench = bench or Bench(handler=AnswersOnly())

    async def scenario() -> None:
        device = bench.device()
        if is_registered:
            bench.heard.sessions[DEVICE_ID] = make_session(remote=device.remote)
        device.answer_with = lambda request: piggybacked(request, code, options=options, payload=payload)
        bench.transmit(operation, device.remote)
        await bench.attempts.wait_for_end()
        await asyncio.sleep(1)

    bench.run(scenario())
    return bench


@pytest.mark.parametrize("operation", [Read(path=INSTANCE), Observe(path=INSTANCE), CancelObserve(path=INSTANCE)])
def test_the_values_of_an_answer_become_points(operation: Lwm2mOperation) -> None:
    """Whoever asked: an application at once, a cached command, or the setup after a registration."""
    bench = answered(operation)

    assert bench.attempts.ends[0].outcome is Outcome.SUCCESS
    assert bench.points.shown == BOTH
    assert {(device, product) for device, product, _ in bench.points.points} == {(DEVICE_ID, 1)}


@pytest.mark.parametrize(
    ("operation", "options", "payload", "code"),
    [
        (Observe(path=INSTANCE), (), b"", Code.CONTENT),
        (Discover(path=INSTANCE), ((int(Option.CONTENT_FORMAT), encode_uint(40)),), b"</3306/0/5850>", Code.CONTENT),
        (Execute(path=DIMMER), (), b"22", Code.CONTENT),
        (Read(path=INSTANCE), (), b"", Code.NOT_FOUND),
        (Read(path=INSTANCE), (TLV,), b"\xff\xff", Code.CONTENT),
    ],
    ids=["observe without a value", "discover", "execute", "error", "unreadable"],
)
def test_what_has_no_values_makes_no_points(
    operation: Lwm2mOperation, options: tuple[tuple[int, bytes], ...], payload: bytes, code: int
) -> None:
    bench = answered(operation, code=code, options=options, payload=payload)

    assert bench.points.asked == 0


@pytest.mark.parametrize("operation", [Read(path=INSTANCE), Observe(path=INSTANCE)])
def test_an_answer_without_history_is_read_once(operation: Lwm2mOperation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the attempt has read is what the points are made of."""

    def read_again(*_: object, **__: object) -> None:
        raise AssertionError("read a second time")

    monkeypatch.setattr(reports, "decode_values", read_again)

    bench = answered(operation)

    assert bench.attempts.ends[0].outcome is Outcome.SUCCESS
    assert bench.points.shown == BOTH


def test_times_of_an_answer_stand_and_every_value_is_kept() -> None:
    """The caller gets the latest, the streams get all."""
    pack = b'[{"n":"/3306/0/5851","bt":1600000000,"v":1},{"n":"/3306/0/5851","t":-60,"v":2}]'
    bench = answered(Read(path=DIMMER), options=((int(Option.CONTENT_FORMAT), encode_uint(110)),), payload=pack)

    assert bench.points.times == [1_599_999_940_000, 1_600_000_000_000]


def test_the_end_of_an_attempt_does_not_wait_for_its_points() -> None:
    """A store that has stopped is told to the log; the answer counts."""
    bench = Bench(handler=AnswersOnly())
    bench.points.error = StoreUnavailable()

    answered(Read(path=INSTANCE), bench=bench)

    assert bench.attempts.ends[0].outcome is Outcome.SUCCESS
    assert [name for name, _ in bench.events.events] == ["answer_not_kept"]


def test_a_device_that_has_left_meanwhile_has_no_streams() -> None:
    """Nobody knows whose product it was of."""
    bench = answered(Read(path=INSTANCE), is_registered=False)

    assert bench.points.asked == 0


def test_a_late_answer_has_values_too() -> None:
    """It changes nothing of its attempt (P7); what the device measured is true all the same."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> None:
        device = bench.device()
        bench.heard.sessions[DEVICE_ID] = make_session(remote=device.remote)
        bench.transmit(Read(path=INSTANCE), device.remote, timeout_s=5)
        request = await device.receive()
        await asyncio.sleep(10)
        device.send(separate(request, Code.CONTENT, message_id=1, options=(TLV,), payload=ON_AND_22))
        await bench.attempts.wait_for_late()
        await asyncio.sleep(1)

    bench.run(scenario())

    assert bench.points.shown == BOTH


def test_an_adopted_attempts_answer_has_values_too() -> None:
    """The run before asked (P9)."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> None:
        device = bench.device()
        bench.heard.sessions[DEVICE_ID] = make_session(remote=device.remote)
        bench.downlink.adopt(Read(path=INSTANCE), bench.transmission(device.remote))
        device.send(
            CoapMessage(
                type=MessageType.CON, code=Code.CONTENT, message_id=1, token=TOKEN, options=(TLV,), payload=ON_AND_22
            )
        )
        await bench.attempts.wait_for_end()
        await asyncio.sleep(1)

    bench.run(scenario())

    assert bench.points.shown == BOTH


def test_the_answer_to_an_observe_stands_in_the_order_of_its_notifications() -> None:
    """A notification that was sent before it and comes after it is not the latest."""
    bench = answered(Observe(path=INSTANCE), options=((int(Option.OBSERVE), encode_uint(7)), TLV))
    overtaken = CoapMessage(
        type=MessageType.NON,
        code=Code.CONTENT,
        message_id=2,
        token=TOKEN,
        options=((int(Option.OBSERVE), encode_uint(6)), TLV),
    )

    at = bench.reports.date_notification(overtaken)

    assert at == bench.points.times[0] - 1
