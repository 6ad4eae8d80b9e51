"""Bodies of ours in blocks: requests by Block1, responses by Block2 (RFC 7959)."""

import pytest

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import EndpointLimits, TransmissionParameters
from commandpost.protocols.coap.events import EndReason, ExchangeEnded, RequestReceived, ResponseReceived
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Block, Option, decode_uint
from tests.unit.protocols.coap.conversation import (
    ACK,
    CON,
    NON,
    TOKEN,
    Conversation,
    empty,
    request,
    response,
)

BODY = bytes(range(256)) * 5 + b"the end"  # 1287 bytes: 512 + 512 + 263


def block1(number: int, more: bool, szx: int) -> tuple[tuple[int, bytes], ...]:
    return ((int(Option.BLOCK1), Block(number=number, more=more, szx=szx).encode()),)


def block2(number: int, more: bool, szx: int) -> tuple[tuple[int, bytes], ...]:
    return ((int(Option.BLOCK2), Block(number=number, more=more, szx=szx).encode()),)


def accept_all(conversation: Conversation) -> list[CoapMessage]:
    """Play a server that takes every block; give what was sent."""
    sent: list[CoapMessage] = []
    for _ in range(200):
        messages = conversation.sent()
        if not messages:
            return sent
        (message,) = messages
        sent.append(message)
        block = message.block1
        assert block is not None
        conversation.hear(
            response(
                code=Code.CONTINUE if block.more else Code.CHANGED,
                message_id=message.message_id,
                options=block1(block.number, block.more, block.szx),
            )
        )
    raise AssertionError("the transfer does not end")


def test_a_large_body_goes_in_blocks_of_512() -> None:
    """Each block its own message id, all of one token; together they are the body."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)

    sent = accept_all(conversation)

    assert [message.block1 for message in sent] == [
        Block(number=0, more=True, szx=5),
        Block(number=1, more=True, szx=5),
        Block(number=2, more=False, szx=5),
    ]
    assert b"".join(message.payload for message in sent) == BODY
    assert {message.token for message in sent} == {TOKEN}
    assert len({message.message_id for message in sent}) == 3
    size = sent[0].find_option(Option.SIZE1)
    assert size is not None
    assert decode_uint(size) == len(BODY)
    assert conversation.event(ResponseReceived).code == Code.CHANGED
    assert conversation.wait_until(1000.0) == []


@pytest.mark.parametrize(("size", "blocks"), [(512, 0), (513, 2), (1024, 2), (1025, 3)])
def test_only_a_body_above_the_threshold_is_cut(size: int, blocks: int) -> None:
    """512 bytes fit a module."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(size))
    if blocks == 0:
        assert conversation.sent_one().block1 is None
    else:
        assert len(accept_all(conversation)) == blocks


def test_the_block_size_may_be_chosen_for_a_device() -> None:
    """64 bytes for a module with a receive buffer of 128."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(100), block_bytes=64)

    assert [len(message.payload) for message in accept_all(conversation)] == [64, 36]


def test_the_server_may_ask_for_smaller_blocks_on_the_way() -> None:
    """The next number counts in the smaller size."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)
    first = conversation.sent_one()
    conversation.hear(response(code=Code.CONTINUE, message_id=first.message_id, options=block1(0, True, 3)))

    rest = accept_all(conversation)

    assert rest[0].block1 == Block(number=4, more=True, szx=3)
    assert first.payload + b"".join(message.payload for message in rest) == BODY


@pytest.mark.parametrize("payload", [BODY, BODY[:300]])
def test_too_large_with_a_smaller_size_starts_again(payload: bytes) -> None:
    """4.13 with a hint, for a transfer in blocks and for a request that was sent whole."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=payload)
    first = conversation.sent_one()
    conversation.hear(
        response(code=Code.REQUEST_ENTITY_TOO_LARGE, message_id=first.message_id, options=block1(0, True, 2))
    )

    rest = accept_all(conversation)

    assert rest[0].block1 == Block(number=0, more=True, szx=2)
    assert b"".join(message.payload for message in rest) == payload
    assert conversation.event(ResponseReceived).code == Code.CHANGED


@pytest.mark.parametrize(
    "code", [Code.REQUEST_ENTITY_INCOMPLETE, Code.REQUEST_ENTITY_TOO_LARGE, Code.METHOD_NOT_ALLOWED]
)
def test_an_error_answer_ends_the_transfer_as_that_answer(code: Code) -> None:
    """The device said no; that is a response, and no further block is sent."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)
    conversation.hear(response(code=code, message_id=conversation.sent_one().message_id))

    assert conversation.event(ResponseReceived).code == code
    assert conversation.wait_until(1000.0) == []


def test_continue_without_the_option_is_forgiven() -> None:
    """Until nothing is left to go on with."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(513))
    conversation.hear(response(code=Code.CONTINUE, message_id=conversation.sent_one().message_id))
    last = conversation.sent_one()
    assert last.block1 == Block(number=1, more=False, szx=5)
    conversation.hear(response(code=Code.CONTINUE, message_id=last.message_id))

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


def test_success_in_the_middle_without_the_option_is_the_answer() -> None:
    """A device that knows no Block1 took the first block for the whole."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)
    conversation.hear(response(code=Code.CHANGED, message_id=conversation.sent_one().message_id))

    assert conversation.event(ResponseReceived).code == Code.CHANGED
    assert conversation.sent() == []


@pytest.mark.parametrize("options", [(), block1(0, True, 6), ((int(Option.BLOCK1), b"\x07"),)])
def test_too_large_without_a_usable_hint_is_the_answer(options: tuple[tuple[int, bytes], ...]) -> None:
    """No size, one that is no smaller, one that cannot be read."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(300))
    conversation.hear(
        response(code=Code.REQUEST_ENTITY_TOO_LARGE, message_id=conversation.sent_one().message_id, options=options)
    )

    assert conversation.event(ResponseReceived).code == Code.REQUEST_ENTITY_TOO_LARGE
    assert conversation.sent() == []


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (Code.CONTINUE, block1(5, True, 5)),
        (Code.CONTINUE, ((int(Option.BLOCK1), b"\x07"),)),
    ],
)
def test_answers_that_do_not_fit_fail_the_transfer(code: Code, options: tuple[tuple[int, bytes], ...]) -> None:
    """A number never sent, a reserved size."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)
    conversation.hear(response(code=code, message_id=conversation.sent_one().message_id, options=options))

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


def test_continue_after_the_last_block_fails_the_transfer() -> None:
    """There is nothing to go on with."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(513))
    conversation.hear(
        response(code=Code.CONTINUE, message_id=conversation.sent_one().message_id, options=block1(0, True, 5))
    )
    conversation.hear(
        response(code=Code.CONTINUE, message_id=conversation.sent_one().message_id, options=block1(1, False, 5))
    )

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


def test_a_server_that_acts_on_each_block_is_understood() -> None:
    """RFC 7959 section 2.3: 2.04 with the more flag off, block by block."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=bytes(513))
    conversation.hear(
        response(code=Code.CHANGED, message_id=conversation.sent_one().message_id, options=block1(0, False, 5))
    )
    assert conversation.events() == []
    conversation.hear(
        response(code=Code.CHANGED, message_id=conversation.sent_one().message_id, options=block1(1, False, 5))
    )

    assert conversation.event(ResponseReceived).code == Code.CHANGED


def test_every_block_is_retransmitted_by_itself_within_one_deadline() -> None:
    """Loss of a block and of its answer; the whole transfer has one budget."""
    conversation = Conversation(now=0.0)
    conversation.ask(code=Code.PUT, payload=BODY, timeout_s=25.0)
    first = conversation.sent_one()
    ((at, again),) = conversation.wait_until(6.0)
    assert (at, again) == (5.0, first)
    conversation.hear(response(code=Code.CONTINUE, message_id=first.message_id, options=block1(0, True, 5)))
    second = conversation.sent_one()
    assert second.message_id != first.message_id

    later = conversation.wait_until(1000.0)

    assert [at for at, _ in later] == [11.0, 21.0]
    assert all(message == second for _, message in later)
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT


def test_a_repeated_answer_to_an_earlier_block_changes_nothing() -> None:
    """As an ACK it has the wrong message id; as a separate response it has an old number."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=BODY)
    first = conversation.sent_one()
    answer = response(code=Code.CONTINUE, message_id=first.message_id, options=block1(0, True, 5))
    conversation.hear(answer)
    second = conversation.sent_one()
    conversation.hear(answer)
    conversation.hear(response(type=CON, code=Code.CONTINUE, message_id=1, options=block1(0, True, 5)))

    assert conversation.sent() == [empty(ACK, 1)]
    assert conversation.events() == []
    conversation.hear(response(code=Code.CONTINUE, message_id=second.message_id, options=block1(1, True, 5)))
    assert conversation.sent_one().block1 == Block(number=2, more=False, szx=5)


def test_without_retransmission_a_large_body_leaves_whole_in_one_datagram() -> None:
    """at_most_once: one datagram, however large the body."""
    conversation = Conversation(now=0.0)
    conversation.ask(code=Code.PUT, payload=BODY, retransmit=False)
    sent = conversation.sent_one()

    assert sent.payload == BODY
    assert sent.block1 is None
    assert conversation.wait_until(1000.0) == []


@pytest.mark.parametrize("payload", [BODY, BODY[:300]])
def test_without_retransmission_a_refused_body_is_not_sent_again(payload: bytes) -> None:
    """at_most_once: 4.13 is then the answer, whatever block size it offers."""
    conversation = Conversation()
    conversation.ask(code=Code.PUT, payload=payload, retransmit=False)
    conversation.hear(
        response(
            code=Code.REQUEST_ENTITY_TOO_LARGE,
            message_id=conversation.sent_one().message_id,
            options=block1(0, True, 2),
        )
    )

    assert conversation.event(ResponseReceived).code == Code.REQUEST_ENTITY_TOO_LARGE
    assert conversation.sent() == []


def get(number: int | None = None, szx: int = 5, *, message_id: int, path: str = "3303") -> CoapMessage:
    options = () if number is None else block2(number, False, szx)
    return request(
        code=Code.GET, path=path, message_id=message_id, token=b"get" + bytes((message_id,)), options=options
    )


def test_a_large_response_is_cut_and_its_later_blocks_come_from_memory() -> None:
    """The owner is asked once."""
    conversation = Conversation()
    conversation.hear(get(message_id=1))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.respond(
        handle, code=Code.CONTENT, options=((Option.CONTENT_FORMAT, b"\x2d\x16"),), payload=BODY, now=conversation.now
    )
    blocks = [conversation.sent_one()]
    for number in (1, 2):
        conversation.hear(get(number, message_id=1 + number))
        blocks.append(conversation.sent_one())

    assert conversation.events() == []
    assert [message.block2 for message in blocks] == [
        Block(number=0, more=True, szx=5),
        Block(number=1, more=True, szx=5),
        Block(number=2, more=False, szx=5),
    ]
    assert b"".join(message.payload for message in blocks) == BODY
    assert {message.content_format for message in blocks} == {11542}
    assert len({message.etag for message in blocks}) == 1
    assert blocks[0].etag is not None
    assert blocks[2].token == b"get\x03"


def test_the_requester_may_want_smaller_blocks() -> None:
    """From the start, or on the way."""
    conversation = Conversation()
    conversation.hear(get(0, szx=2, message_id=1))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=BODY, now=conversation.now)
    assert conversation.sent_one().payload == BODY[:64]

    conversation.hear(get(4, szx=0, message_id=2))

    message = conversation.sent_one()
    assert message.block2 == Block(number=4, more=True, szx=0)
    assert message.payload == BODY[64:80]


def test_larger_blocks_than_ours_are_not_served() -> None:
    """The number is counted anew in our size."""
    conversation = Conversation()
    conversation.hear(get(1, szx=6, message_id=1))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=BODY, now=conversation.now)

    assert conversation.sent_one().block2 == Block(number=2, more=False, szx=5)


def test_a_block_no_longer_in_memory_is_asked_of_the_owner() -> None:
    """Who answers with the whole again; the wanted block goes out."""
    conversation = Conversation(limits=EndpointLimits(served_bodies_max=0))
    conversation.hear(get(message_id=1))
    conversation.endpoint.respond(
        conversation.event(RequestReceived).reply_to, code=Code.CONTENT, payload=BODY, now=conversation.now
    )
    conversation.sent()
    conversation.hear(get(2, message_id=2))
    handle = conversation.event(RequestReceived).reply_to

    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=BODY, now=conversation.now)

    assert conversation.sent_one().payload == BODY[1024:]


def test_a_block_beyond_the_end_is_a_bad_request() -> None:
    """Nothing is there."""
    conversation = Conversation()
    conversation.hear(get(9, message_id=1))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=BODY, now=conversation.now)

    assert conversation.sent_one().code == Code.BAD_REQUEST


def test_memory_for_served_bodies_is_bounded() -> None:
    """In count, in bytes and in time."""
    conversation = Conversation(limits=EndpointLimits(served_bodies_max=3, served_bodies_bytes_max=3_000))
    for number in range(10):
        conversation.hear(get(message_id=number, path=str(number)))
        handle = conversation.event(RequestReceived).reply_to
        conversation.endpoint.respond(handle, code=Code.CONTENT, payload=BODY, now=conversation.now)
    conversation.sent()
    assert len(conversation.endpoint._responder._served) == 2

    conversation.hear(get(1, message_id=20, path="9"))
    assert conversation.events() == []
    conversation.now += 120.0
    conversation.hear(get(1, message_id=21, path="9"))
    assert len(conversation.events()) == 1


def test_a_small_response_has_no_block_option() -> None:
    """Not even to a request that would have liked one."""
    conversation = Conversation(parameters=TransmissionParameters(block_szx=0))
    conversation.hear(get(0, szx=5, message_id=1))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=bytes(16), now=conversation.now)

    assert conversation.sent_one().block2 is None


def test_a_reserved_block_size_is_a_bad_request() -> None:
    """RFC 7959 section 2.2."""
    conversation = Conversation()
    conversation.hear(request(code=Code.GET, options=((int(Option.BLOCK2), b"\x07"),)))
    conversation.hear(request(type=NON, code=Code.PUT, options=((int(Option.BLOCK1), b"\x07"),)))

    assert conversation.events() == []
    assert [message.code for message in conversation.sent()] == [Code.BAD_REQUEST] * 2
