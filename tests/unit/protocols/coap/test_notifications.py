"""Notifications, from both ends (southbound message layer; RFC 7641)."""

import pytest

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import EndpointLimits, Request, TransmissionParameters
from commandpost.protocols.coap.events import (
    EndReason,
    ExchangeEnded,
    MessageDelivered,
    MessageReset,
    MessageUndelivered,
    RequestReceived,
    ResponseReceived,
    UnmatchedResponse,
)
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option
from commandpost.protocols.errors import EncodeError
from tests.unit.protocols.coap.conversation import (
    ACK,
    CON,
    DEVICE,
    NON,
    RST,
    TOKEN,
    Conversation,
    empty,
    path_options,
    request,
    response,
)

OBSERVE_2 = ((int(Option.OBSERVE), b"\x02"),)


def notification(type: MessageType, message_id: int = 0x5001) -> CoapMessage:
    return response(type=type, message_id=message_id, options=OBSERVE_2, payload=b"21.5")


@pytest.mark.parametrize("known", [True, False])
def test_a_confirmable_notification_is_acknowledged_when_the_owner_says_so(known: bool) -> None:
    """After its points are on disk; duplicates until then are dropped, afterwards acknowledged again."""
    conversation = Conversation(known=known)
    conversation.hear(notification(CON))
    event = conversation.event(UnmatchedResponse)
    assert (event.peer, event.message.token, event.message.observe) == (DEVICE, TOKEN, 2)
    conversation.hear(notification(CON))
    assert conversation.sent() == []

    conversation.endpoint.acknowledge(event.handle, now=conversation.now)
    conversation.hear(notification(CON))

    assert conversation.sent() == [empty(ACK, 0x5001)] * 2
    assert conversation.events() == []


def test_a_non_confirmable_notification_is_not_acknowledged() -> None:
    """Nothing is sent, and a duplicate is dropped."""
    conversation = Conversation()
    conversation.hear(notification(NON))
    conversation.endpoint.acknowledge(conversation.event(UnmatchedResponse).handle, now=conversation.now)
    conversation.hear(notification(NON))

    assert conversation.sent() == []
    assert conversation.events() == []


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("becomes_known", [True, False])
def test_a_notification_that_is_declined_is_new_when_it_is_repeated(known: bool, becomes_known: bool) -> None:
    """Its points could not be written: nothing is said, and the repetition gets its own chance."""
    conversation = Conversation(known=known)
    conversation.hear(notification(CON))
    if becomes_known:
        conversation.endpoint.know_peer(DEVICE)
    conversation.endpoint.decline(conversation.event(UnmatchedResponse).handle)
    assert conversation.sent() == []

    conversation.hear(notification(CON))
    conversation.endpoint.acknowledge(conversation.event(UnmatchedResponse).handle, now=conversation.now)

    assert conversation.sent() == [empty(ACK, 0x5001)]


def test_declining_one_notification_leaves_the_others_duplicates() -> None:
    """Only the message itself is forgotten."""
    conversation = Conversation()
    for message_id in (1, 2, 3):
        conversation.hear(notification(CON, message_id))
    first, second, third = conversation.events()
    assert isinstance(first, UnmatchedResponse)
    assert isinstance(second, UnmatchedResponse)
    assert isinstance(third, UnmatchedResponse)

    conversation.endpoint.acknowledge(first.handle, now=conversation.now)
    conversation.endpoint.decline(second.handle)
    for message_id in (1, 2, 3):
        conversation.hear(notification(CON, message_id))

    assert conversation.sent() == [empty(ACK, 1), empty(ACK, 1)]
    assert conversation.event(UnmatchedResponse).message.message_id == 2


@pytest.mark.parametrize("type", [CON, NON])
def test_a_reset_stops_the_sender_again_for_every_duplicate(type: MessageType) -> None:
    """Unknown token, or a device that is offline."""
    conversation = Conversation(known=False)
    conversation.hear(notification(type))
    conversation.endpoint.reset(conversation.event(UnmatchedResponse).handle, now=conversation.now)
    conversation.hear(notification(type))

    assert conversation.sent() == [empty(RST, 0x5001)] * 2
    assert conversation.events() == []


def test_notifications_that_reuse_a_message_id_are_dropped_for_247_s() -> None:
    """Documented behaviour of the platform."""
    conversation = Conversation()
    conversation.hear(notification(NON))
    conversation.now += 246.0
    conversation.hear(notification(NON))
    assert len(conversation.events()) == 1

    conversation.now += 1.0
    conversation.hear(notification(NON))

    assert len(conversation.events()) == 1


def test_a_first_block_is_left_to_the_owner() -> None:
    """Delivered as it is, and recognisable."""
    conversation = Conversation()
    block = (int(Option.BLOCK2), Block(number=0, more=True, szx=0).encode())
    conversation.hear(response(type=NON, message_id=1, options=(*OBSERVE_2, block), payload=bytes(16)))
    conversation.hear(notification(NON))
    conversation.hear(response(type=NON, message_id=2, options=(*OBSERVE_2, (int(Option.BLOCK2), b"\x07"))))

    events = [event for event in conversation.events() if isinstance(event, UnmatchedResponse)]
    assert [event.is_partial for event in events] == [True, False, True]


def test_an_unknown_critical_option_rejects_a_notification() -> None:
    """Reset if confirmable, silence if not (RFC 7252 section 5.4.1)."""
    conversation = Conversation()
    conversation.hear(response(type=CON, message_id=1, options=(*OBSERVE_2, (65_001, b""))))
    conversation.hear(response(type=NON, message_id=2, options=(*OBSERVE_2, (65_001, b""))))

    assert conversation.sent() == [empty(RST, 1)]
    assert conversation.events() == []


def send(conversation: Conversation, *, confirmable: bool, delivery_id: int | None = 9, payload: bytes = b"n") -> int:
    return conversation.endpoint.send_message(
        DEVICE,
        code=Code.CONTENT,
        token=TOKEN,
        options=OBSERVE_2,
        payload=payload,
        confirmable=confirmable,
        now=conversation.now,
        delivery_id=delivery_id,
    )


def test_our_confirmable_notification_is_retransmitted_until_its_ack() -> None:
    """Same bytes each time."""
    conversation = Conversation()
    message_id = send(conversation, confirmable=True)
    first = conversation.sent_one()
    assert (first.type, first.message_id, first.token) == (CON, message_id, TOKEN)
    ((_, again),) = conversation.wait_until(106.0)
    assert again == first

    conversation.hear(empty(ACK, message_id))

    assert conversation.event(MessageDelivered) == MessageDelivered(9)
    assert conversation.wait_until(1000.0) == []


@pytest.mark.parametrize("confirmable", [True, False])
def test_a_reset_of_our_notification_is_told(confirmable: bool) -> None:
    """The observation is gone, whichever way it was sent."""
    conversation = Conversation()
    message_id = send(conversation, confirmable=confirmable)
    conversation.sent()
    conversation.hear(empty(RST, message_id))
    conversation.hear(empty(RST, message_id))

    assert conversation.event(MessageReset) == MessageReset(9)
    assert conversation.wait_until(1000.0) == []


def test_without_a_delivery_id_nothing_is_told() -> None:
    """But it is retransmitted all the same."""
    conversation = Conversation()
    send(conversation, confirmable=True, delivery_id=None)
    conversation.sent()

    assert len(conversation.wait_until(1000.0)) == 4
    assert conversation.events() == []


def test_a_confirmable_notification_may_be_sent_without_retransmission() -> None:
    """It is then given up after its first back-off."""
    conversation = Conversation(parameters=TransmissionParameters(message_max_retransmit=0), now=0.0)
    send(conversation, confirmable=True)
    conversation.sent()

    assert conversation.wait_until(4.9) == []
    assert conversation.events() == []
    assert conversation.wait_until(5.0) == []
    assert conversation.event(MessageUndelivered) == MessageUndelivered(9)


def test_too_many_open_messages_are_not_sent() -> None:
    """And their owner is told at once."""
    conversation = Conversation(limits=EndpointLimits(open_messages_max=1))
    send(conversation, confirmable=True, delivery_id=1)
    send(conversation, confirmable=True, delivery_id=2)

    assert conversation.event(MessageUndelivered) == MessageUndelivered(2)
    assert len(conversation.sent()) == 1


@pytest.mark.parametrize("confirmable", [True, False])
def test_without_a_free_message_id_a_notification_is_not_sent(confirmable: bool) -> None:
    """Nor is a reply to a non-confirmable request; nothing is raised."""
    conversation = Conversation()
    for _ in range(65_536):
        send(conversation, confirmable=False, delivery_id=None)
        conversation.endpoint.datagrams_to_send()

    send(conversation, confirmable=confirmable)
    conversation.hear(request(type=NON))
    reply_to = conversation.events().pop()
    assert isinstance(reply_to, RequestReceived)
    conversation.endpoint.respond(reply_to.reply_to, code=Code.CHANGED, now=conversation.now)

    assert conversation.sent() == []
    assert conversation.endpoint.counters.datagrams_dropped >= 2


def test_a_large_notification_goes_as_its_first_block() -> None:
    """The server fetches the rest."""
    conversation = Conversation()
    send(conversation, confirmable=False, payload=bytes(1300))

    sent = conversation.sent_one()

    assert sent.block2 == Block(number=0, more=True, szx=5)
    assert len(sent.payload) == 512
    assert sent.etag is not None


def test_a_request_code_is_no_message() -> None:
    """Requests have exchanges."""
    conversation = Conversation()
    with pytest.raises(EncodeError):
        conversation.endpoint.send_message(
            DEVICE, code=Code.GET, token=b"", options=(), payload=b"", confirmable=True, now=100.0
        )


# --- the rest of a notification in blocks (RFC 7959 section 3.4) ---

FETCH_TOKEN = b"\x00\x01\xff\xff"
ETAG = (int(Option.ETAG), b"e1")


def block_of(number: int, *, more: bool) -> tuple[int, bytes]:
    return int(Option.BLOCK2), Block(number=number, more=more, szx=0).encode()


def first_block(
    conversation: Conversation, *, etag: bytes = b"e1", payload: bytes = b"0123456789abcdef"
) -> CoapMessage:
    """Let the first block of a notification arrive, and ask for the rest."""
    options = ((int(Option.ETAG), etag), *OBSERVE_2, block_of(0, more=True))
    conversation.hear(response(type=CON, message_id=1, options=options, payload=payload))
    event = conversation.event(UnmatchedResponse)
    assert event.is_partial
    conversation.endpoint.fetch_rest(
        DEVICE,
        Request(code=Code.GET, options=path_options("3303/0")),
        event.message,
        exchange_id=7,
        token=FETCH_TOKEN,
        deadline=conversation.now + 40.0,
        now=conversation.now,
    )
    return event.message


def test_the_blocks_after_the_first_are_asked_for_and_put_together() -> None:
    """With a token of its own and without Observe; what comes out is no notification any more."""
    conversation = Conversation()
    first_block(conversation)
    asked = conversation.sent_one()
    conversation.hear(
        response(
            message_id=asked.message_id, token=asked.token, options=(ETAG, block_of(1, more=True)), payload=b"g" * 16
        )
    )
    asked_again = conversation.sent_one()
    conversation.hear(
        response(
            message_id=asked_again.message_id, token=FETCH_TOKEN, options=(ETAG, block_of(2, more=False)), payload=b"h"
        )
    )

    whole = conversation.event(ResponseReceived)
    assert (asked.code, asked.token, asked.uri_path) == (Code.GET, FETCH_TOKEN, ("3303", "0"))
    assert [message.block2 for message in (asked, asked_again)] == [
        Block(number=1, more=False, szx=0),
        Block(number=2, more=False, szx=0),
    ]
    assert asked.observe is None
    assert whole.exchange_id == 7
    assert whole.payload == b"0123456789abcdef" + b"g" * 16 + b"h"
    assert whole.message.observe is None


def test_a_representation_that_changed_meanwhile_cannot_be_put_together() -> None:
    """Another ETag: the next notification brings the new one."""
    conversation = Conversation()
    first_block(conversation)
    asked = conversation.sent_one()
    other = (int(Option.ETAG), b"e2")
    conversation.hear(
        response(message_id=asked.message_id, token=FETCH_TOKEN, options=(other, block_of(1, more=False)), payload=b"g")
    )

    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


def test_a_first_block_of_a_wrong_size_is_not_fetched_further() -> None:
    """Nothing is sent."""
    conversation = Conversation()
    first_block(conversation, payload=b"short")

    assert conversation.sent() == []
    assert conversation.event(ExchangeEnded).reason is EndReason.BLOCKWISE_FAILED


def test_blocks_that_never_come_end_at_the_deadline() -> None:
    """Retransmitted as any request is."""
    conversation = Conversation()
    first_block(conversation)
    conversation.sent()

    repeated = conversation.wait_until(conversation.now + 40.0)

    assert [message.code for _, message in repeated] == [Code.GET] * 3
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT
