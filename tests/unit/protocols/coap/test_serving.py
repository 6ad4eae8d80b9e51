"""Requests of the peer: each reaches the owner once, and is answered as its type wants (RFC 7252 sections 4 and 5)."""

import json
from pathlib import Path
from typing import Any

import pytest

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import EndpointLimits
from commandpost.protocols.coap.events import MessageDelivered, MessageUndelivered, RequestReceived
from commandpost.protocols.coap.message import MessageType
from commandpost.protocols.coap.options import Option
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
    request,
    response,
)

VECTORS = Path(__file__).parents[3] / "vectors" / "coap"
# Any: rows of a data file, typed in test_codec.
MALFORMED: list[dict[str, Any]] = json.loads((VECTORS / "malformed.json").read_text())
LOCATION = ((int(Option.LOCATION_PATH), b"rd"), (int(Option.LOCATION_PATH), b"865820031234567"))


def test_a_register_is_answered_piggybacked() -> None:
    """The bytes of the published exchange."""
    messages = {row["name"]: row for row in json.loads((VECTORS / "messages.json").read_text())}
    conversation = Conversation(known=False)
    conversation.hear_bytes(bytes.fromhex(messages["onenet_register"]["bytes"]))
    event = conversation.event(RequestReceived)
    assert event.message.auth_code == b"abc123"
    assert event.message.uri_query[0] == "ep=865820031234567;460040427001234"

    conversation.endpoint.respond(event.reply_to, code=Code.CREATED, options=LOCATION, now=conversation.now)

    ((peer, data),) = conversation.endpoint.datagrams_to_send()
    assert peer == DEVICE
    assert data == bytes.fromhex(messages["onenet_register_created"]["bytes"])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("request_type", [CON, NON])
def test_a_duplicate_request_gets_the_stored_reply(request_type: MessageType, known: bool) -> None:
    """And is never processed again, also for a NON one."""
    conversation = Conversation(known=known)
    conversation.hear(request(type=request_type))
    event = conversation.event(RequestReceived)
    conversation.endpoint.respond(event.reply_to, code=Code.CREATED, options=LOCATION, now=conversation.now)
    reply = conversation.sent_one()
    assert (reply.type, reply.token) == (ACK if request_type is CON else NON, event.message.token)

    conversation.now += 246.9
    conversation.hear(request(type=request_type))

    assert conversation.events() == []
    assert conversation.sent() == [reply]
    assert conversation.endpoint.counters.duplicates == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_duplicate_before_the_reply_is_dropped(known: bool) -> None:
    """The reply may be waiting for the disk."""
    conversation = Conversation(known=known)
    conversation.hear(request())
    event = conversation.event(RequestReceived)
    conversation.hear(request())
    assert conversation.events() == []
    assert conversation.sent() == []

    conversation.now += 3.0
    conversation.endpoint.respond(event.reply_to, code=Code.CHANGED, now=conversation.now)
    conversation.hear(request())

    assert [message.code for message in conversation.sent()] == [Code.CHANGED, Code.CHANGED]


@pytest.mark.parametrize(
    "second",
    [
        request(token=b"\x34\x12\x90\x1a"),
        request(message_id=0x1235),
        request(code=Code.DELETE),
        request(type=NON),
        request(token=b"\x34\x12\x8f"),
        request(token=b""),
    ],
)
def test_what_differs_in_type_code_id_or_token_is_not_a_duplicate(second: object) -> None:
    """A module that restarts repeats its message ids; its fresh Register must get through."""
    conversation = Conversation()
    conversation.hear(request())
    conversation.hear(second)  # type: ignore[arg-type]  # pytest types parameters as object

    assert len(conversation.events()) == 2


def test_the_same_message_from_another_peer_is_not_a_duplicate() -> None:
    """The peer is part of the key."""
    conversation = Conversation(known=False)
    conversation.hear(request())
    conversation.hear(request(), peer=("coap", "10.0.0.2", 5683))

    assert len(conversation.events()) == 2


@pytest.mark.parametrize("known", [True, False])
def test_after_the_exchange_lifetime_the_same_message_is_new(known: bool) -> None:
    """247 s, to the moment."""
    conversation = Conversation(known=known)
    conversation.hear(request())
    conversation.events()
    conversation.now += 247.0
    conversation.hear(request())

    assert len(conversation.events()) == 1


def test_a_request_known_between_arrival_and_reply_keeps_its_deduplication() -> None:
    """The Register arrives from a stranger and is answered to a known peer."""
    conversation = Conversation(known=False)
    conversation.hear(request())
    event = conversation.event(RequestReceived)
    conversation.endpoint.know_peer(DEVICE)
    conversation.endpoint.respond(event.reply_to, code=Code.CREATED, now=conversation.now)
    reply = conversation.sent_one()

    conversation.hear(request())

    assert conversation.sent() == [reply]
    assert conversation.events() == []


def test_a_reply_may_be_given_once() -> None:
    """And must be a response."""
    conversation = Conversation()
    conversation.hear(request())
    handle = conversation.event(RequestReceived).reply_to
    with pytest.raises(EncodeError):
        conversation.endpoint.respond(handle, code=Code.GET, now=conversation.now)
    with pytest.raises(EncodeError):
        conversation.endpoint.respond(handle, code=Code.CHANGED, options=((-1, b""),), now=conversation.now)
    conversation.endpoint.respond(handle, code=Code.CHANGED, now=conversation.now)

    with pytest.raises(ValueError, match="already answered"):
        conversation.endpoint.respond(handle, code=Code.CHANGED, now=conversation.now)
    assert len(conversation.sent()) == 1


def test_an_empty_ack_first_makes_the_response_a_message_of_its_own() -> None:
    """Confirmable, with a new message id and the request's token, retransmitted until acknowledged."""
    conversation = Conversation()
    conversation.hear(request())
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.send_empty_ack(handle)
    conversation.endpoint.send_empty_ack(handle)
    assert conversation.sent() == [empty(ACK, 0x1234)]
    conversation.hear(request())
    assert conversation.sent() == [empty(ACK, 0x1234)]

    conversation.endpoint.respond(handle, code=Code.CONTENT, payload=b"late", now=conversation.now)
    separate = conversation.sent_one()
    assert (separate.type, separate.code, separate.token) == (CON, Code.CONTENT, b"\x34\x12\x8f\x1a")
    ((_, again),) = conversation.wait_until(106.0)
    assert again == separate
    conversation.hear(empty(ACK, separate.message_id))

    assert conversation.wait_until(1000.0) == []
    assert conversation.events() == []
    conversation.now = 101.0
    conversation.hear(request())
    assert conversation.sent() == [empty(ACK, 0x1234)]


def test_an_empty_ack_for_a_non_confirmable_request_is_not_sent() -> None:
    """There is nothing to acknowledge."""
    conversation = Conversation()
    conversation.hear(request(type=NON))
    handle = conversation.event(RequestReceived).reply_to
    conversation.endpoint.send_empty_ack(handle)
    assert conversation.sent() == []

    conversation.endpoint.respond(handle, code=Code.CONTENT, now=conversation.now)

    assert conversation.sent_one().type is NON


@pytest.mark.parametrize("number", [13, 65_001, Option.OSCORE])
def test_an_unknown_critical_option_is_refused(number: int) -> None:
    """4.02 for a confirmable request, silence for the other kind; the owner never sees either."""
    conversation = Conversation()
    conversation.hear(request(options=((number, b"?"),)))
    conversation.hear(request(type=NON, options=((number, b"?"),)))

    assert conversation.events() == []
    assert conversation.sent_one().code == Code.BAD_OPTION
    conversation.hear(request(options=((number, b"?"),)))
    assert conversation.sent_one().code == Code.BAD_OPTION


def test_a_proxy_request_is_refused_as_such() -> None:
    """RFC 7252 section 5.10.2."""
    conversation = Conversation()
    conversation.hear(request(options=((Option.PROXY_URI, b"coap://elsewhere/"),)))

    assert conversation.sent_one().code == Code.PROXYING_NOT_SUPPORTED


def test_a_ping_is_answered_by_its_reset() -> None:
    """RFC 7252 section 4.3."""
    conversation = Conversation(known=False)
    conversation.hear(empty(CON, 0x7777))

    assert conversation.sent() == [empty(RST, 0x7777)]
    assert conversation.events() == []


@pytest.mark.parametrize(
    "message",
    [
        empty(ACK, 0x7777),
        empty(RST, 0x7777),
        empty(NON, 0x7777),
        response(message_id=0x7777),
        request(type=ACK),
        request(type=RST),
        response(type=RST, message_id=0x7777),
    ],
)
def test_what_belongs_to_nothing_is_ignored_and_counted(message: object) -> None:
    """ACK and RST without an open exchange, and combinations the standard has no use for."""
    conversation = Conversation()
    conversation.hear(message)  # type: ignore[arg-type]  # pytest types parameters as object

    assert conversation.events() == []
    assert conversation.sent() == []
    assert conversation.endpoint.counters.ignored == 1


@pytest.mark.parametrize("row", MALFORMED, ids=[row["name"] for row in MALFORMED])
def test_malformed_datagrams_are_reset_only_if_confirmable_and_of_version_1(row: dict[str, Any]) -> None:
    """Everything else is ignored in silence."""
    conversation = Conversation()
    conversation.hear_bytes(bytes.fromhex(row["bytes"]))

    assert conversation.events() == []
    assert conversation.sent() == ([empty(RST, 0x1234)] if row["resets"] else [])
    assert conversation.endpoint.counters.malformed == 1


def test_resets_for_malformed_datagrams_have_a_budget() -> None:
    """Nobody makes us a reflector."""
    conversation = Conversation(limits=EndpointLimits(resets_per_s=2.0, resets_burst=3))
    for number in range(10):
        conversation.hear_bytes(bytes((0x4F, 0x01, 0, number)), peer=number)
    assert len(conversation.sent()) == 3
    assert conversation.endpoint.counters.resets_suppressed == 7

    conversation.now += 1.0
    for number in range(10):
        conversation.hear_bytes(bytes((0x4F, 0x01, 1, number)), peer=number)

    assert len(conversation.sent()) == 2


def test_a_full_event_queue_refuses_datagrams() -> None:
    """They are as good as lost on the way, and come again."""
    conversation = Conversation(limits=EndpointLimits(events_queued_max=2))
    for message_id in range(5):
        conversation.hear(request(message_id=message_id))
    assert conversation.endpoint.counters.datagrams_refused == 3
    assert len(conversation.events()) == 2

    conversation.hear(request(message_id=4))

    assert conversation.event(RequestReceived).message.message_id == 4


def test_a_separate_response_nobody_acknowledges_is_given_up() -> None:
    """After the RFC's four retransmissions, each given its back-off."""
    conversation = Conversation(now=0.0)
    conversation.endpoint.send_message(
        DEVICE, code=Code.CONTENT, token=TOKEN, options=(), payload=b"", confirmable=True, now=0.0, delivery_id=9
    )
    conversation.sent()

    assert [at for at, _ in conversation.wait_until(154.9)] == [5.0, 15.0, 35.0, 75.0]
    assert conversation.events() == []
    conversation.wait_until(155.0)
    assert conversation.event(MessageUndelivered) == MessageUndelivered(9)
    assert conversation.endpoint.next_deadline() is None


def test_an_ack_that_carries_a_response_acknowledges_a_message() -> None:
    """OneJson platforms answer notifications that way."""
    conversation = Conversation()
    message_id = conversation.endpoint.send_message(
        DEVICE, code=Code.CONTENT, token=TOKEN, options=(), payload=b"", confirmable=True, now=100.0, delivery_id=9
    )
    conversation.sent()

    conversation.hear(response(code=Code.CHANGED, message_id=message_id))

    assert conversation.event(MessageDelivered) == MessageDelivered(9)
