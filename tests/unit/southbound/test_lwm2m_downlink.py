"""Attempts over the wire: what leaves, what comes back, and how each ends."""

import asyncio
from itertools import pairwise

import pytest

from commandpost.domain.command import AttemptEnd, DeliveryPolicy, Outcome
from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Lwm2mOperation,
    Observe,
    ObserveAttributes,
    Read,
    Write,
    WriteItem,
    WriteMode,
)
from commandpost.domain.ports import Unencodable
from commandpost.domain.resource import DiscoveredObject, ObjectValues, ResourcePath
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option, encode_uint
from commandpost.southbound.lwm2m_downlink import UNREADABLE_CODE
from commandpost.southbound.settings import CoapSettings
from tests.unit.southbound.bench import DEVICE_ID, TOKEN, AnswersOnly, Bench, empty, make_session, piggybacked, separate

READ_RESOURCE = Read(path=ResourcePath(object_id=3306, instance_id=0, resource_id=5851))
READ_INSTANCE = Read(path=ResourcePath(object_id=3306, instance_id=0))
EXECUTE = Execute(path=ResourcePath(object_id=3303, instance_id=0, resource_id=5605), arguments="reset")
DIM = Write(path=ResourcePath(object_id=3306, instance_id=0), mode=WriteMode.PARTIAL, items=(WriteItem(5851, 22),))
TLV = (int(Option.CONTENT_FORMAT), encode_uint(11542))
OLD_TLV = (int(Option.CONTENT_FORMAT), encode_uint(1542))
TEXT = (int(Option.CONTENT_FORMAT), b"")


def answered_with(operation: Lwm2mOperation, code: int, **answer: object) -> AttemptEnd:
    """Run an attempt against a device that answers every request so."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        device.answer_with = lambda request: piggybacked(request, code, **answer)  # type: ignore[arg-type]  # passed on
        bench.transmit(operation, device.remote)
        return await bench.attempts.wait_for_end()

    end = bench.run(scenario())
    assert len(bench.attempts.ends) == 1
    return end


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (Code.CHANGED, Outcome.SUCCESS),
        (Code.CONTENT, Outcome.SUCCESS),
        (Code.DELETED, Outcome.SUCCESS),
        (Code.METHOD_NOT_ALLOWED, Outcome.METHOD_NOT_ALLOWED),
        (Code.FORBIDDEN, Outcome.FORBIDDEN),
        (Code.NOT_FOUND, Outcome.NOT_FOUND),
        (Code.INTERNAL_SERVER_ERROR, Outcome.INTERNAL_SERVER_ERROR),
        (Code.NOT_IMPLEMENTED, Outcome.INTERNAL_SERVER_ERROR),
        (Code.SERVICE_UNAVAILABLE, Outcome.INTERNAL_SERVER_ERROR),
        (Code.REQUEST_ENTITY_INCOMPLETE, Outcome.INTERNAL_SERVER_ERROR),
        (Code.PRECONDITION_FAILED, Outcome.INTERNAL_SERVER_ERROR),
        (Code.REQUEST_ENTITY_TOO_LARGE, Outcome.INTERNAL_SERVER_ERROR),
        (0x9F, Outcome.INTERNAL_SERVER_ERROR),
        (Code.UNAUTHORIZED, Outcome.UNAUTHORIZED),
        (Code.BAD_REQUEST, Outcome.BAD_REQUEST),
        (Code.BAD_OPTION, Outcome.BAD_REQUEST),
        (Code.NOT_ACCEPTABLE, Outcome.NOT_ACCEPTABLE),
        (Code.UNSUPPORTED_CONTENT_FORMAT, Outcome.UNSUPPORTED_CONTENT_FORMAT),
    ],
)
def test_every_answer_code_has_its_outcome(code: int, outcome: Outcome) -> None:
    """Southbound reference 1.9: the code decides, and the answer is kept."""
    end = answered_with(EXECUTE, code)

    assert end.outcome is outcome
    assert end.answer is not None
    assert end.answer.code == code
    assert not end.is_silence


def test_read_gives_the_values_in_the_format_of_the_answer() -> None:
    """The old TLV number counts as TLV; the raw bytes are kept beside what they mean."""
    end = answered_with(READ_INSTANCE, Code.CONTENT, options=(OLD_TLV,), payload=bytes.fromhex("e116da01e116db16"))

    assert end.outcome is Outcome.SUCCESS
    assert end.answer is not None
    assert end.answer.content_format == 1542
    assert end.answer.payload == bytes.fromhex("e116da01e116db16")
    assert isinstance(end.answer.result, ObjectValues)
    assert [value.value for _, value in end.answer.result.leaves()] == [True, 22]


def test_discover_gives_the_instances() -> None:
    """Links become instances and resources."""
    end = answered_with(
        Discover(path=ResourcePath(object_id=3306)),
        Code.CONTENT,
        options=((int(Option.CONTENT_FORMAT), encode_uint(40)),),
        payload=b"</3306>,</3306/0/5850>,</3306/0/5851>",
    )

    assert end.answer is not None
    assert isinstance(end.answer.result, DiscoveredObject)
    assert end.answer.result.instances[0].resource_ids == (5850, 5851)


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        pytest.param((TLV,), b"\xff\xff\xff", id="broken TLV"),
        pytest.param((TLV,), bytes(range(256)), id="noise"),
        pytest.param(((int(Option.CONTENT_FORMAT), encode_uint(9999)),), b"x", id="unknown format"),
        pytest.param((TEXT,), b"22", id="one bare value for an instance"),
    ],
)
def test_garbage_is_an_answer_that_cannot_be_used(options: tuple[tuple[int, bytes], ...], payload: bytes) -> None:
    """RESP_ERROR with the bytes kept: the device spoke, so it is not silence and the run goes on."""
    end = answered_with(READ_INSTANCE, Code.CONTENT, options=options, payload=payload)

    assert end.outcome is Outcome.RESP_ERROR
    assert end.answer is not None
    assert end.answer.payload == payload
    assert end.answer.result is None


def test_blocks_that_do_not_fit_are_an_answer_that_cannot_be_used() -> None:
    """A first block that is shorter than it says ends the attempt as RESP_ERROR, not as silence."""
    block = (int(Option.BLOCK2), Block(number=0, more=True, szx=5).encode())
    end = answered_with(READ_INSTANCE, Code.CONTENT, options=(TLV, block), payload=b"short")

    assert end.outcome is Outcome.RESP_ERROR
    assert end.answer is not None
    assert end.answer.code == UNREADABLE_CODE


def test_unencodable_operation_names_the_resource_and_sends_nothing() -> None:
    """A value that does not fit the model is found out before there is an attempt."""
    bench = Bench(handler=AnswersOnly())
    bad = Write(path=DIM.path, mode=WriteMode.PARTIAL, items=(WriteItem(5851, "dim"),))

    async def scenario() -> object:
        return bench.downlink.prepare(bad, make_session())

    prepared = bench.run(scenario())
    assert isinstance(prepared, Unencodable)
    assert "/3306/0/5851" in prepared.reason
    assert bench.driver.exchanges_open == 0


def test_write_leaves_as_the_reference_shows_it() -> None:
    """Bytes of southbound reference 9, but for message id and token, which are ours to choose."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> CoapMessage:
        device = bench.device()
        bench.transmit(
            Write(path=DIM.path, mode=WriteMode.PARTIAL, items=(WriteItem(5850, True), WriteItem(5851, 22))),
            device.remote,
        )
        return await device.receive()

    request = bench.run(scenario())
    assert encode(request)[4:12] == TOKEN
    assert encode(request)[12:] == bytes.fromhex("B43333303601 30 12 2D16 FF E116DA01 E116DB16")


def test_silence_is_retransmitted_and_ends_with_the_deadline() -> None:
    """Southbound reference 2.3: at most three transmissions in 25 s, the first again after 5 to 7.5 s."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> tuple[AttemptEnd, float, int]:
        device = bench.device()
        began_at = bench.loop.time()
        bench.transmit(DIM, device.remote)
        end = await bench.attempts.wait_for_end()
        return end, bench.loop.time() - began_at, len(device.received)

    end, elapsed, datagrams = bench.run(scenario())
    assert end.outcome is Outcome.TIME_OUT
    assert end.is_silence
    assert elapsed == pytest.approx(25.0)
    assert datagrams == 3
    assert bench.heard.heard == []


def test_at_most_once_puts_one_datagram_on_the_wire() -> None:
    """No retransmission; then silence until the deadline."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> tuple[AttemptEnd, list[CoapMessage]]:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote, delivery=DeliveryPolicy.AT_MOST_ONCE, timeout_s=40)
        end = await bench.attempts.wait_for_end()
        await asyncio.sleep(300)
        return end, device.received

    end, received = bench.run(scenario())
    assert (end.outcome, end.is_silence) == (Outcome.TIME_OUT, True)
    assert len(received) == 1


def test_at_most_once_does_not_try_another_spelling() -> None:
    """A 4.06 ends it: another request would be another datagram."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> tuple[AttemptEnd, int]:
        device = bench.device()
        device.answer_with = lambda request: piggybacked(request, Code.NOT_ACCEPTABLE)
        bench.transmit(READ_INSTANCE, device.remote, delivery=DeliveryPolicy.AT_MOST_ONCE)
        return await bench.attempts.wait_for_end(), len(device.received)

    end, datagrams = bench.run(scenario())
    assert (end.outcome, datagrams) == (Outcome.NOT_ACCEPTABLE, 1)


def test_not_acceptable_is_asked_once_more_without_accept() -> None:
    """Southbound reference 1.7: a strict client refuses the format, not the read."""
    bench = Bench(handler=AnswersOnly())

    def answer(request: CoapMessage) -> CoapMessage:
        if request.accept is not None:
            return piggybacked(request, Code.NOT_ACCEPTABLE)
        return piggybacked(request, Code.CONTENT, options=(TLV,), payload=bytes.fromhex("e116db16"))

    async def scenario() -> tuple[AttemptEnd, list[CoapMessage]]:
        device = bench.device()
        device.answer_with = answer
        bench.transmit(READ_INSTANCE, device.remote)
        return await bench.attempts.wait_for_end(), device.received

    end, received = bench.run(scenario())
    assert end.outcome is Outcome.SUCCESS
    assert [message.accept for message in received] == [11542, None]
    assert len({message.message_id for message in received}) == 2


def test_a_device_that_never_accepts_is_asked_twice_only() -> None:
    """The second 4.06 is the answer."""
    end = answered_with(READ_INSTANCE, Code.NOT_ACCEPTABLE)

    assert end.outcome is Outcome.NOT_ACCEPTABLE


def test_step_attribute_is_spelled_the_other_way_once() -> None:
    """`st` refused with 4.00, `stp` taken, then the Observe with the token of the observation."""
    bench = Bench(handler=AnswersOnly())

    def answer(request: CoapMessage) -> CoapMessage:
        if "st=0.5" in request.uri_query:
            return piggybacked(request, Code.BAD_REQUEST)
        return piggybacked(request, Code.CHANGED if request.uri_query else Code.CONTENT)

    async def scenario() -> tuple[AttemptEnd, list[CoapMessage]]:
        device = bench.device()
        device.answer_with = answer
        observe = Observe(path=READ_INSTANCE.path, attributes=ObserveAttributes(pmin_s=10, step=0.5))
        bench.transmit(observe, device.remote)
        return await bench.attempts.wait_for_end(), device.received

    end, received = bench.run(scenario())
    assert end.outcome is Outcome.SUCCESS
    assert [message.uri_query for message in received] == [("pmin=10", "st=0.5"), ("pmin=10", "stp=0.5"), ()]
    assert received[2].observe == 0
    assert received[2].token == TOKEN
    assert received[0].token[:4] == TOKEN[:4]
    assert received[0].token != TOKEN


def test_attributes_refused_end_the_observe() -> None:
    """What the device refuses is the outcome; no Observe follows."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> tuple[AttemptEnd, int]:
        device = bench.device()
        device.answer_with = lambda request: piggybacked(request, Code.METHOD_NOT_ALLOWED)
        bench.transmit(Observe(path=READ_INSTANCE.path, attributes=ObserveAttributes(pmin_s=10)), device.remote)
        return await bench.attempts.wait_for_end(), len(device.received)

    assert bench.run(scenario())[1] == 1
    assert bench.attempts.ends[0].outcome is Outcome.METHOD_NOT_ALLOWED


def test_several_requests_share_one_deadline() -> None:
    """The attributes are answered late, the Observe never: both fit into the one budget."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> float:
        device = bench.device()
        began_at = bench.loop.time()
        bench.transmit(
            Observe(path=READ_INSTANCE.path, attributes=ObserveAttributes(pmin_s=10)), device.remote, timeout_s=10
        )
        request = await device.receive()
        await asyncio.sleep(4)
        device.send(piggybacked(request, Code.CHANGED))
        await bench.attempts.wait_for_end()
        return bench.loop.time() - began_at

    assert bench.run(scenario()) == pytest.approx(10.0)
    assert bench.attempts.ends[0].outcome is Outcome.TIME_OUT


def test_empty_ack_then_separate_answer() -> None:
    """The empty ACK is not success (P8); the CON answer is, and it is acknowledged."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> tuple[int, AttemptEnd, CoapMessage, int]:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote)
        request = await device.receive()
        device.send(empty(MessageType.ACK, request.message_id))
        await asyncio.sleep(20)
        ends_before = len(bench.attempts.ends)
        device.send(separate(request, Code.CHANGED, message_id=0x7777))
        end = await bench.attempts.wait_for_end()
        return ends_before, end, await device.receive(), len(device.received)

    ends_before, end, reply, datagrams = bench.run(scenario())
    assert ends_before == 0
    assert end.outcome is Outcome.SUCCESS
    assert (reply.type, reply.code, reply.message_id) == (MessageType.ACK, 0, 0x7777)
    assert datagrams == 2  # the request once: it was acknowledged


def test_separate_answer_before_its_ack() -> None:
    """One reply before its ACK must not freeze anything (lessons b2)."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote)
        request = await device.receive()
        device.send(separate(request, Code.CHANGED, message_id=0x10, type=MessageType.NON))
        device.send(empty(MessageType.ACK, request.message_id))
        end = await bench.attempts.wait_for_end()
        await asyncio.sleep(60)
        return end

    assert bench.run(scenario()).outcome is Outcome.SUCCESS
    assert len(bench.attempts.ends) == 1


def test_late_piggybacked_answer_to_the_first_of_three_transmissions() -> None:
    """OneNET modules answer after the MCU has acted, with the original message id."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote)
        request = await device.receive()
        await asyncio.sleep(18)
        device.send(piggybacked(request, Code.CHANGED))
        return await bench.attempts.wait_for_end()

    assert bench.run(scenario()).outcome is Outcome.SUCCESS


def test_answers_twice_ends_once() -> None:
    """The same answer again, and again as a message of its own: acknowledged, and nothing more."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> CoapMessage:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote)
        request = await device.receive()
        device.send(piggybacked(request, Code.CHANGED))
        device.send(piggybacked(request, Code.CHANGED))
        device.send(separate(request, Code.INTERNAL_SERVER_ERROR, message_id=0x99))
        return await device.receive()

    reply = bench.run(scenario())
    assert (reply.type, reply.message_id) == (MessageType.ACK, 0x99)
    assert [end.outcome for end in bench.attempts.ends] == [Outcome.SUCCESS]


def test_reset_is_silence_of_a_device_that_is_offline() -> None:
    """RST to our CON: confirm_status OFFLINE, a failure by silence."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        device.answer_with = lambda request: empty(MessageType.RST, request.message_id)
        bench.transmit(DIM, device.remote)
        return await bench.attempts.wait_for_end()

    end = bench.run(scenario())
    assert (end.outcome, end.is_silence) == (Outcome.OFFLINE, True)


@pytest.mark.parametrize("type", [MessageType.CON, MessageType.NON, MessageType.ACK])
def test_answer_after_the_deadline_is_recorded_and_changes_nothing(type: MessageType) -> None:
    """P7: the attempt has ended by silence; what comes later is told as a late answer, a CON one is acknowledged."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> list[CoapMessage]:
        device = bench.device()
        bench.transmit(READ_RESOURCE, device.remote, timeout_s=5)
        request = await device.receive()
        await bench.attempts.wait_for_end()
        await asyncio.sleep(30)
        message_id = request.message_id if type is MessageType.ACK else 0x1234
        device.send(separate(request, Code.CONTENT, message_id=message_id, type=type, options=(TEXT,), payload=b"22"))
        await bench.attempts.wait_for_late()
        await asyncio.sleep(1)
        return device.received[1:]

    replies = bench.run(scenario())
    assert [end.outcome for end in bench.attempts.ends] == [Outcome.TIME_OUT]
    ((attempt_id, answer),) = bench.attempts.late
    assert attempt_id == 1
    assert answer is not None
    assert answer.payload == b"22"
    assert isinstance(answer.result, ObjectValues)
    assert [reply.type for reply in replies] == ([MessageType.ACK] if type is MessageType.CON else [])


def test_late_answers_are_listened_for_in_bounded_number() -> None:
    """The oldest ended attempt is given up for a new one."""
    bench = Bench(handler=AnswersOnly(), settings=CoapSettings(late_answers_max=2))

    async def scenario() -> None:
        device = bench.device()
        for number in range(1, 5):
            bench.attempts.ends.clear()
            bench.transmit(EXECUTE, device.remote, attempt_id=number, token=TOKEN[:7] + bytes((number,)), timeout_s=5)
            await bench.attempts.wait_for_end()

    bench.run(scenario())
    assert bench.downlink.watches_open == 2
    assert bench.driver.exchanges_open == 2


def test_abandoned_attempt_has_no_end_and_its_answer_is_late() -> None:
    """A re-registration ends the exchange; the answer to the old request counts for nothing any more."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> int:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote)
        request = await device.receive()
        bench.downlink.abandon(bench.transmission(device.remote).attempt_id)
        await asyncio.sleep(60)
        retransmissions = len(device.received) - 1
        device.send(piggybacked(request, Code.CHANGED))
        await bench.attempts.wait_for_late()
        return retransmissions

    assert bench.run(scenario()) == 0
    assert bench.attempts.ends == []


def test_adopted_attempt_takes_an_answer_of_any_shape_and_sends_nothing() -> None:
    """P9: after a restart the answer to the token still counts."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        bench.downlink.adopt(READ_RESOURCE, bench.transmission(device.remote))
        await asyncio.sleep(10)
        asked = CoapMessage(type=MessageType.CON, code=Code.GET, message_id=0x4242, token=TOKEN)
        device.send(piggybacked(asked, Code.CONTENT, options=(TEXT,), payload=b"22"))
        end = await bench.attempts.wait_for_end()
        assert device.received == []
        return end

    end = bench.run(scenario())
    assert end.outcome is Outcome.SUCCESS
    assert end.answer is not None
    assert isinstance(end.answer.result, ObjectValues)
    assert bench.heard.heard == [DEVICE_ID]


def test_adopted_attempt_without_an_answer_ends_by_silence_at_its_deadline() -> None:
    """P9: overdue is failed, not forgotten."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> float:
        began_at = bench.loop.time()
        bench.downlink.adopt(READ_RESOURCE, bench.transmission(bench.network.fresh_address(), timeout_s=12))
        await bench.attempts.wait_for_end()
        return bench.loop.time() - began_at

    assert bench.run(scenario()) == pytest.approx(12.0)
    assert bench.attempts.ends[0].outcome is Outcome.TIME_OUT


def test_no_end_comes_from_inside_transmit() -> None:
    """Not even when there is no room for another exchange."""
    bench = Bench(handler=AnswersOnly(), settings=CoapSettings(open_exchanges_max=1))

    async def scenario() -> tuple[int, AttemptEnd]:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote, attempt_id=1)
        bench.transmit(EXECUTE, device.remote, attempt_id=2, token=TOKEN[:7] + b"x")
        ends_inside = len(bench.attempts.ends)
        return ends_inside, await bench.attempts.wait_for_end()

    ends_inside, end = bench.run(scenario())
    assert ends_inside == 0
    assert (end.attempt_id, end.outcome, end.is_silence) == (2, Outcome.TIME_OUT, True)


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    """Nothing is sent at or after the deadline."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> int:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote, timeout_s=0)
        await bench.attempts.wait_for_end()
        return len(device.received)

    assert bench.run(scenario()) == 0


def test_two_kilobytes_go_in_blocks() -> None:
    """Block1 with 512 bytes a block; the last block's answer is the answer."""
    bench = Bench(handler=AnswersOnly())
    body: dict[int, bytes] = {}

    def answer(request: CoapMessage) -> CoapMessage:
        block = request.block1
        assert block is not None
        body[block.offset] = request.payload
        code = Code.CONTINUE if block.more else Code.CHANGED
        return piggybacked(request, code, options=((int(Option.BLOCK1), block.encode()),))

    async def scenario() -> tuple[AttemptEnd, list[CoapMessage]]:
        device = bench.device()
        device.answer_with = answer
        write = Write(path=DIM.path, mode=WriteMode.REPLACE, items=(WriteItem(5750, "x" * 2000),))
        bench.transmit(write, device.remote)
        return await bench.attempts.wait_for_end(), device.received

    end, received = bench.run(scenario())
    assert end.outcome is Outcome.SUCCESS
    assert [len(message.payload) for message in received] == [512, 512, 512, 469]
    assert b"".join(body[offset] for offset in sorted(body)).endswith(b"x" * 2000)


def test_long_answer_is_fetched_block_by_block() -> None:
    """Block2 is put together before it is decoded."""
    bench = Bench(handler=AnswersOnly())
    whole = b"</3306>," + b",".join(f"</3306/0/{number}>".encode() for number in range(5000, 5100))

    def answer(request: CoapMessage) -> CoapMessage:
        asked = request.block2 or Block(number=0, more=False, szx=5)
        piece = whole[asked.offset : asked.offset + 512]
        block = Block(number=asked.number, more=asked.offset + 512 < len(whole), szx=5)
        options = ((int(Option.CONTENT_FORMAT), encode_uint(40)), (int(Option.BLOCK2), block.encode()))
        return piggybacked(request, Code.CONTENT, options=options, payload=piece)

    async def scenario() -> AttemptEnd:
        device = bench.device()
        device.answer_with = answer
        bench.transmit(Discover(path=ResourcePath(object_id=3306)), device.remote)
        return await bench.attempts.wait_for_end()

    end = bench.run(scenario())
    assert end.answer is not None
    assert isinstance(end.answer.result, DiscoveredObject)
    assert len(end.answer.result.instances[0].resource_ids) == 100


def test_answer_from_another_address_does_not_count() -> None:
    """NoSec, southbound reference 2.2: an address that was not asked cannot answer."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> AttemptEnd:
        device = bench.device()
        bench.transmit(EXECUTE, device.remote, timeout_s=5)
        request = await device.receive()
        device.link.rebind()
        device.send(piggybacked(request, Code.CHANGED))
        return await bench.attempts.wait_for_end()

    assert bench.run(scenario()).outcome is Outcome.TIME_OUT


def test_cancel_observe_asks_with_a_token_of_its_own() -> None:
    """GET with Observe 1."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> CoapMessage:
        device = bench.device()
        bench.transmit(CancelObserve(path=READ_INSTANCE.path), device.remote)
        return await device.receive()

    request = bench.run(scenario())
    assert (request.code, request.observe, request.token) == (Code.GET, 1, TOKEN)


def test_message_ids_rise_towards_one_device() -> None:
    """Module firmware drops a request whose message id is below the last one (southbound reference 2.4)."""
    bench = Bench(handler=AnswersOnly())

    async def scenario() -> list[int]:
        device = bench.device()
        device.answer_with = lambda request: piggybacked(request, Code.CHANGED)
        for number in range(5):
            bench.attempts.ends.clear()
            bench.transmit(EXECUTE, device.remote, attempt_id=number, token=TOKEN[:7] + bytes((number,)))
            await bench.attempts.wait_for_end()
        return [message.message_id for message in device.received]

    ids = bench.run(scenario())
    assert [(later - first) % 65_536 for first, later in pairwise(ids)] == [1, 1, 1, 1]
