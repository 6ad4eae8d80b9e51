"""Bodies in blocks for us: requests by Block1, responses by Block2 (RFC 7959)."""

import pytest

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import EndpointLimits, Peer
from commandpost.protocols.coap.events import (
    EndReason,
    ExchangeEnded,
    RequestReceived,
    ResponseReceived,
    UnmatchedResponse,
)
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Block, Option, decode_uint
from tests.unit.protocols.coap.conversation import (
    ACK,
    CON,
    DEVICE,
    NON,
    TOKEN,
    Conversation,
    empty,
    request,
    response,
)

BODY = bytes(range(256)) * 4 + b"the end"  # 1031 bytes


def block_option(option: Option, number: int, more: bool, szx: int) -> tuple[int, bytes]:
    return int(option), Block(number=number, more=more, szx=szx).encode()


def body_block(number: int, *, body: bytes = BODY, szx: int = 5, message_id: int | None = None) -> CoapMessage:
    size = 16 << szx
    more = (number + 1) * size < len(body)
    return request(
        code=Code.PUT,
        path="5/0/0",
        message_id=number if message_id is None else message_id,
        token=bytes((number,)),
        options=(block_option(Option.BLOCK1, number, more, szx),),
        payload=body[number * size : (number + 1) * size],
    )


def test_a_body_reaches_the_owner_whole() -> None:
    """2.31 for every block but the last; the response repeats the last block's option."""
    conversation = Conversation()
    for number in (0, 1):
        conversation.hear(body_block(number))
        answer = conversation.sent_one()
        assert (answer.code, answer.block1) == (Code.CONTINUE, Block(number=number, more=True, szx=5))
    assert conversation.events() == []
    conversation.hear(body_block(2))
    event = conversation.event(RequestReceived)
    assert event.message.payload == BODY
    assert event.message.uri_path == ("5", "0", "0")

    conversation.endpoint.respond(event.reply_to, code=Code.CHANGED, now=conversation.now)

    answer = conversation.sent_one()
    assert (answer.code, answer.block1) == (Code.CHANGED, Block(number=2, more=False, szx=5))
    assert answer.token == b"\x02"


def test_lost_answers_are_repeated_and_blocks_not_taken_twice() -> None:
    """The device repeats a block: as a duplicate, or under a new message id."""
    conversation = Conversation()
    conversation.hear(body_block(0))
    conversation.hear(body_block(0))
    conversation.hear(body_block(1))
    conversation.hear(body_block(1, message_id=77))
    conversation.hear(body_block(2))

    assert [message.code for message in conversation.sent()] == [Code.CONTINUE] * 4
    assert conversation.event(RequestReceived).message.payload == BODY


def test_a_single_last_block_is_a_whole_body() -> None:
    """Number 0, nothing more."""
    conversation = Conversation()
    conversation.hear(body_block(0, body=b"small"))

    assert conversation.event(RequestReceived).message.payload == b"small"


def test_a_gap_is_answered_with_4_08() -> None:
    """And the body is dropped: it must start again."""
    conversation = Conversation()
    conversation.hear(body_block(0))
    conversation.sent()
    conversation.hear(body_block(2))
    assert conversation.sent_one().code == Code.REQUEST_ENTITY_INCOMPLETE
    conversation.hear(body_block(1))
    assert conversation.sent_one().code == Code.REQUEST_ENTITY_INCOMPLETE

    assert conversation.events() == []
    assert conversation.endpoint.counters.bodies_refused == 2


def test_a_body_that_starts_again_replaces_the_old_one() -> None:
    """The device rebooted in the middle."""
    conversation = Conversation()
    conversation.hear(body_block(0, body=b"x" * 1031, message_id=50))
    for number in range(3):
        conversation.hear(body_block(number))

    assert conversation.event(RequestReceived).message.payload == BODY


def test_too_large_a_body_is_answered_with_4_13_and_what_would_do() -> None:
    """At the first byte too many."""
    conversation = Conversation(limits=EndpointLimits(block_body_bytes_max=1_024))
    for number in range(3):
        conversation.hear(body_block(number))

    *_, answer = conversation.sent()
    assert answer.code == Code.REQUEST_ENTITY_TOO_LARGE
    size = answer.find_option(Option.SIZE1)
    assert size is not None
    assert decode_uint(size) == 1_024
    assert conversation.events() == []


def test_a_short_block_in_the_middle_is_a_bad_request() -> None:
    """All blocks but the last are full."""
    conversation = Conversation()
    conversation.hear(request(code=Code.PUT, options=(block_option(Option.BLOCK1, 0, True, 5),), payload=bytes(511)))

    assert conversation.sent_one().code == Code.BAD_REQUEST


def test_a_body_must_be_whole_within_two_minutes() -> None:
    """Its memory is not a place to park."""
    conversation = Conversation()
    conversation.hear(body_block(0))
    conversation.sent()
    conversation.now += 120.0
    conversation.hear(body_block(1))

    assert conversation.sent_one().code == Code.REQUEST_ENTITY_INCOMPLETE
    assert len(conversation.endpoint._responder._assembler) == 0


def test_unfinished_bodies_are_counted() -> None:
    """A flood of first blocks finds the door shut, and it opens again in time."""
    conversation = Conversation(limits=EndpointLimits(block_bodies_max=2), known=False)
    peers: list[Peer] = [("coap", f"10.0.0.{number}", 5683) for number in range(4)]
    for peer in peers[:3]:
        conversation.hear(body_block(0), peer=peer)
    assert [message.code for message in conversation.sent()] == [
        Code.CONTINUE,
        Code.CONTINUE,
        Code.SERVICE_UNAVAILABLE,
    ]

    conversation.now += 121.0
    conversation.hear(body_block(0), peer=peers[3])

    assert conversation.sent_one().code == Code.CONTINUE


def test_bodies_of_two_peers_do_not_mix() -> None:
    """Same path, same message ids, same tokens."""
    conversation = Conversation(known=False)
    other: Peer = ("coap", "10.0.0.2", 5683)
    for number in range(3):
        conversation.hear(body_block(number))
        conversation.hear(body_block(number, body=b"y" * 1031), peer=other)

    bodies = [event.message.payload for event in conversation.events() if isinstance(event, RequestReceived)]
    assert bodies == [BODY, b"y" * 1031]


def serve_block(
    conversation: Conversation, asked: CoapMessage, *, body: bytes = BODY, szx: int = 5, etag: bytes = b"e1"
) -> None:
    """Play a device that answers a GET with the block it wants."""
    block = asked.block2
    number = 0 if block is None else block.number
    szx = szx if block is None else block.szx
    size = 16 << szx
    conversation.hear(
        response(
            message_id=asked.message_id,
            token=asked.token,
            options=((Option.ETAG, etag), block_option(Option.BLOCK2, number, (number + 1) * size < len(body), szx)),
            payload=body[number * size : (number + 1) * size],
        )
    )


def test_a_response_in_blocks_is_fetched_and_put_together() -> None:
    """Each block asked for by its own GET of the same path, without a new deadline."""
    conversation = Conversation()
    conversation.ask(path="3303", options=((Option.ACCEPT, b"\x2d\x16"),))
    asked = []
    for _ in range(3):
        asked.append(conversation.sent_one())
        serve_block(conversation, asked[-1])

    event = conversation.event(ResponseReceived)
    assert event.payload == BODY
    assert [message.block2 for message in asked] == [
        None,
        Block(number=1, more=False, szx=5),
        Block(number=2, more=False, szx=5),
    ]
    assert all((message.uri_path, message.accept) == (("3303",), 11542) for message in asked)
    assert {message.token for message in asked} == {TOKEN}
    assert len({message.message_id for message in asked}) == 3
    assert conversation.endpoint._exchanges._download_bytes == 0


def test_a_lost_block_is_asked_for_again() -> None:
    """The same datagram, within the one deadline."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=25.0)
    serve_block(conversation, conversation.sent_one())
    second = conversation.sent_one()
    ((_, again),) = conversation.wait_until(6.0)
    assert again == second
    serve_block(conversation, second)
    conversation.sent_one()
    conversation.wait_until(1000.0)

    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT
    assert conversation.endpoint._exchanges._download_bytes == 0


def test_blocks_may_come_as_separate_responses_and_repeat() -> None:
    """An old block again is acknowledged and ignored."""
    conversation = Conversation()
    conversation.ask()
    first = conversation.sent_one()
    block_0 = (block_option(Option.BLOCK2, 0, True, 5),)
    block_1 = (block_option(Option.BLOCK2, 1, False, 5),)
    conversation.hear(empty(ACK, first.message_id))
    conversation.hear(response(type=CON, message_id=1, options=block_0, payload=BODY[:512]))
    acknowledgement, second = conversation.sent()
    assert acknowledgement == empty(ACK, 1)
    assert second.block2 == Block(number=1, more=False, szx=5)
    conversation.hear(response(type=CON, message_id=2, options=block_0, payload=BODY[:512]))
    conversation.hear(response(type=NON, message_id=3, options=block_1, payload=b"rest"))

    assert conversation.sent() == [empty(ACK, 2)]
    assert [type(event) for event in conversation.events()][-1] is ResponseReceived


@pytest.mark.parametrize(
    ("options", "payload", "code"),
    [
        ((block_option(Option.BLOCK2, 2, False, 5),), b"gap", Code.CONTENT),
        ((block_option(Option.BLOCK2, 1, True, 5),), b"short", Code.CONTENT),
        ((block_option(Option.BLOCK2, 1, False, 5),), bytes(513), Code.CONTENT),
        ((block_option(Option.BLOCK2, 1, False, 5), (Option.ETAG, b"e2")), b"changed", Code.CONTENT),
        ((), b"no block", Code.CONTENT),
        (((int(Option.BLOCK2), b"\x07"),), b"reserved", Code.CONTENT),
        ((), b"", Code.NOT_FOUND),
    ],
)
def test_blocks_that_do_not_fit_fail_the_exchange(
    options: tuple[tuple[int, bytes], ...], payload: bytes, code: Code
) -> None:
    """Gap, short block, long block, another representation, no block, an error."""
    conversation = Conversation()
    conversation.ask()
    first = conversation.sent_one()
    conversation.hear(
        response(message_id=first.message_id, options=(block_option(Option.BLOCK2, 0, True, 5),), payload=BODY[:512])
    )
    conversation.hear(
        response(code=code, message_id=conversation.sent_one().message_id, options=options, payload=payload)
    )

    assert conversation.event(ExchangeEnded) == ExchangeEnded(1, EndReason.BLOCKWISE_FAILED)
    assert conversation.endpoint._exchanges._download_bytes == 0


def test_a_first_response_with_an_unreadable_block_fails_the_exchange() -> None:
    """Reserved size exponent 7."""
    conversation = Conversation()
    conversation.ask()
    conversation.hear(
        response(message_id=conversation.sent_one().message_id, options=((int(Option.BLOCK2), b"\x0f"),), payload=b"x")
    )

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


@pytest.mark.parametrize("first", [(1, True, bytes(512)), (0, True, bytes(100)), (3, False, b"x")])
def test_a_first_response_that_is_no_first_block_fails_the_exchange(first: tuple[int, bool, bytes]) -> None:
    """A number we did not ask for, or a block that is not full."""
    number, more, payload = first
    conversation = Conversation()
    conversation.ask()
    conversation.hear(
        response(
            message_id=conversation.sent_one().message_id,
            options=(block_option(Option.BLOCK2, number, more, 5),),
            payload=payload,
        )
    )

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


@pytest.mark.parametrize(
    "limits",
    [EndpointLimits(response_body_bytes_max=1_024), EndpointLimits(response_bodies_bytes_max=1_024)],
)
def test_a_response_may_not_grow_without_end(limits: EndpointLimits) -> None:
    """One, and all of them together."""
    conversation = Conversation(limits=limits)
    conversation.ask()
    for _ in range(3):
        serve_block(conversation, conversation.sent_one())

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED
    assert conversation.sent() == []


def test_the_further_blocks_of_an_observe_have_a_token_of_their_own() -> None:
    """RFC 7959 section 3.4; a notification in between stays a notification."""
    conversation = Conversation()
    conversation.ask(options=((Option.OBSERVE, b""),))
    first = conversation.sent_one()
    observe = (int(Option.OBSERVE), b"\x02")
    conversation.hear(
        response(
            message_id=first.message_id,
            options=(observe, block_option(Option.BLOCK2, 0, True, 5)),
            payload=BODY[:512],
        )
    )
    second = conversation.sent_one()
    assert second.token != TOKEN
    assert second.observe is None
    conversation.hear(response(type=NON, message_id=7, options=(observe,), payload=b"n"))
    assert conversation.event(UnmatchedResponse).message.payload == b"n"
    conversation.hear(
        response(
            message_id=second.message_id,
            token=second.token,
            options=(block_option(Option.BLOCK2, 1, False, 5),),
            payload=b"rest",
        )
    )

    event = conversation.event(ResponseReceived)
    assert event.payload == BODY[:512] + b"rest"
    assert event.message.observe == 2
    conversation.hear(response(type=NON, message_id=8, options=(observe,), payload=b"n"))
    assert conversation.event(UnmatchedResponse).message.token == TOKEN


def test_a_success_without_a_representation_is_not_fetched_further() -> None:
    """2.04 with a block option is the answer, whatever the option says."""
    conversation = Conversation()
    conversation.ask(code=Code.POST, payload=b"x")
    conversation.hear(
        response(
            code=Code.CHANGED,
            message_id=conversation.sent_one().message_id,
            options=(block_option(Option.BLOCK2, 0, True, 0),),
            payload=bytes(16),
        )
    )

    assert conversation.event(ResponseReceived).code == Code.CHANGED
    assert conversation.sent() == []


def test_an_adopted_exchange_cannot_fetch_further_blocks() -> None:
    """What was asked is not known any more."""
    conversation = Conversation()
    conversation.endpoint.adopt_exchange(DEVICE, exchange_id=7, token=TOKEN, deadline=120.0)
    conversation.hear(response(message_id=9, options=(block_option(Option.BLOCK2, 0, True, 0),), payload=bytes(16)))

    assert conversation.event(ExchangeEnded) == ExchangeEnded(7, EndReason.BLOCKWISE_FAILED)


def test_two_of_our_endpoints_move_a_large_body_both_ways_through_loss() -> None:
    """Block1 up and Block2 down, every third datagram lost: whole bodies and exactly one end."""
    ours = Conversation(now=0.0)
    theirs = Conversation(now=0.0)
    ours.ask(code=Code.PUT, path="5/0/0", payload=BODY, timeout_s=1_000.0)
    seen: list[bytes] = []
    answered: list[bytes] = []
    count = 0
    while not answered:
        moved = False
        for source, target in ((ours, theirs), (theirs, ours)):
            for _, data in source.endpoint.datagrams_to_send():
                moved = True
                count += 1
                if count % 3:
                    target.hear_bytes(data)
        for event in theirs.events():
            assert isinstance(event, RequestReceived)
            seen.append(event.message.payload)
            theirs.endpoint.respond(event.reply_to, code=Code.CONTENT, payload=BODY[::-1], now=theirs.now)
        answered += [event.payload for event in ours.events() if isinstance(event, ResponseReceived)]
        if not moved and not answered:
            deadline = ours.endpoint.next_deadline()
            assert deadline is not None
            ours.now = theirs.now = deadline
            ours.endpoint.handle_deadline(now=deadline)

    assert seen[0] == BODY
    assert all(payload == b"" for payload in seen[1:])  # later blocks are fetched by GET, which carries no body
    assert answered == [BODY[::-1]]
