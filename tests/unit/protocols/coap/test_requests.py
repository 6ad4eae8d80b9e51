"""Requests of ours: when they are sent, and how they end (southbound timing; RFC 7252 sections 4.2, 5.2, 5.3)."""

from itertools import pairwise

import pytest

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import EndpointLimits, Request, TransmissionParameters
from commandpost.protocols.coap.events import (
    EndReason,
    ExchangeAcknowledged,
    ExchangeEnded,
    ResponseReceived,
    UnmatchedResponse,
)
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
    response,
)


@pytest.mark.parametrize(
    ("timeout_s", "back_off_share", "sent_at"),
    [
        (5.0, 0.0, [0.0]),
        (5.0, 1.0, [0.0]),
        (10.0, 0.0, [0.0, 5.0]),
        (10.0, 1.0, [0.0, 7.5]),
        (25.0, 0.0, [0.0, 5.0, 15.0]),
        (25.0, 1.0, [0.0, 7.5, 22.5]),
        (40.0, 0.0, [0.0, 5.0, 15.0, 35.0]),
        (40.0, 1.0, [0.0, 7.5, 22.5]),
    ],
)
def test_transmissions_within_the_timeout(timeout_s: float, back_off_share: float, sent_at: list[float]) -> None:
    """OneNET's table: first back-off 5 to 7.5 s, doubling, and the timeout is the whole budget."""
    conversation = Conversation(back_off_share=back_off_share, now=0.0)
    conversation.ask(timeout_s=timeout_s)
    first = conversation.sent_one()

    later = conversation.wait_until(1000.0)

    assert [0.0, *(at for at, _ in later)] == sent_at
    assert all(message == first for _, message in later)  # same message id, same token, same bytes
    assert conversation.event(ExchangeEnded) == ExchangeEnded(1, EndReason.TIMED_OUT)
    assert conversation.endpoint.next_deadline() is None


def test_the_deadline_is_told_to_the_driver() -> None:
    """First the retransmission, then the end."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=10.0)

    assert conversation.endpoint.next_deadline() == 5.0
    conversation.endpoint.handle_deadline(now=4.9)
    assert len(conversation.sent()) == 1
    conversation.endpoint.handle_deadline(now=5.0)
    assert len(conversation.sent()) == 1
    assert conversation.endpoint.next_deadline() == 10.0


def test_a_late_driver_makes_one_retransmission_not_a_burst() -> None:
    """The next back-off counts from when the datagram really left."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=40.0)
    conversation.sent()

    conversation.endpoint.handle_deadline(now=20.0)

    assert len(conversation.sent()) == 1
    assert conversation.endpoint.next_deadline() == 30.0


@pytest.mark.parametrize("max_retransmit", [0, 1, 2])
def test_retransmissions_may_be_limited(max_retransmit: int) -> None:
    """The exchange still waits until its deadline."""
    conversation = Conversation(parameters=TransmissionParameters(max_retransmit=max_retransmit), now=0.0)
    conversation.ask(timeout_s=40.0)
    conversation.sent()

    assert len(conversation.wait_until(39.9)) == max_retransmit
    assert conversation.events() == []
    conversation.wait_until(40.0)
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT


def test_without_retransmission_exactly_one_datagram_leaves() -> None:
    """at_most_once: silence until the deadline, and not a byte more."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=40.0, retransmit=False)
    conversation.sent_one()

    assert conversation.wait_until(1000.0) == []
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT


def test_without_retransmission_an_answer_still_counts_until_the_deadline() -> None:
    """at_most_once is not fire-and-forget."""
    conversation = Conversation()
    conversation.ask(retransmit=False)
    message_id = conversation.sent_one().message_id
    conversation.wait_until(124.9)

    conversation.hear(response(message_id=message_id))

    assert conversation.event(ResponseReceived).code == Code.CONTENT


def test_the_request_on_the_wire() -> None:
    """Engine adds message id and token, nothing else."""
    conversation = Conversation()
    conversation.ask(code=Code.POST, path="3303/0/5605", payload=b"reset")

    sent = conversation.sent_one()

    assert (sent.type, sent.code, sent.token, sent.payload) == (CON, Code.POST, TOKEN, b"reset")
    assert sent.uri_path == ("3303", "0", "5605")
    assert len(sent.options) == 3


def test_a_piggybacked_response_ends_the_exchange() -> None:
    """And nothing more is sent."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id

    conversation.hear(response(message_id=message_id, payload=b"42"))

    event = conversation.event(ResponseReceived)
    assert (event.exchange_id, event.peer, event.code, event.payload) == (1, DEVICE, Code.CONTENT, b"42")
    assert conversation.wait_until(1000.0) == []
    assert conversation.events() == []
    assert conversation.endpoint.open_exchange_count == 0


def test_a_late_piggybacked_response_counts() -> None:
    """Modules answer seconds later with the original message id, after we have retransmitted."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.wait_until(120.0)

    conversation.hear(response(message_id=message_id))

    assert conversation.event(ResponseReceived).exchange_id == 1


@pytest.mark.parametrize("token", [b"", b"\x00\x01\x00\x03", TOKEN[:3]])
def test_a_piggybacked_response_must_match_the_token(token: bytes) -> None:
    """A forged ACK needs more than a guessed message id."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id

    conversation.hear(response(message_id=message_id, token=token))

    assert conversation.events() == []
    assert conversation.endpoint.counters.ignored == 1
    assert conversation.endpoint.open_exchange_count == 1


def test_a_piggybacked_response_must_match_the_message_id() -> None:
    """A stale ACK with our token is not the answer."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id

    conversation.hear(response(message_id=message_id ^ 1))

    assert conversation.events() == []
    assert conversation.endpoint.open_exchange_count == 1


def test_a_response_from_another_peer_is_unmatched() -> None:
    """A response from a new port is for the owner to judge."""
    conversation = Conversation()
    conversation.ask()
    conversation.sent()

    conversation.hear(response(type=CON, message_id=9), peer=("coap", "10.0.0.1", 9999))

    assert conversation.event(UnmatchedResponse).message.token == TOKEN
    assert conversation.endpoint.open_exchange_count == 1


@pytest.mark.parametrize("separate_type", [CON, NON])
def test_an_empty_ack_then_a_separate_response(separate_type: MessageType) -> None:
    """Retransmission stops at the empty ACK; the response is matched by token and, if CON, acknowledged."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.hear(empty(ACK, message_id))
    assert conversation.event(ExchangeAcknowledged) == ExchangeAcknowledged(1)
    assert conversation.wait_until(120.0) == []

    conversation.hear(response(type=separate_type, message_id=0x7777, payload=b"late"))

    assert conversation.event(ResponseReceived).payload == b"late"
    assert conversation.sent() == ([empty(ACK, 0x7777)] if separate_type is CON else [])


def test_after_an_empty_ack_silence_still_ends_the_exchange() -> None:
    """An empty ACK is not an answer."""
    conversation = Conversation()
    conversation.ask(timeout_s=25.0)
    conversation.hear(empty(ACK, conversation.sent_one().message_id))
    conversation.events()

    assert conversation.wait_until(1000.0) == []
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT


def test_a_repeated_empty_ack_is_told_once() -> None:
    """Networks duplicate."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.hear(empty(ACK, message_id))
    conversation.hear(empty(ACK, message_id))

    assert conversation.event(ExchangeAcknowledged) == ExchangeAcknowledged(1)


def test_an_empty_ack_from_elsewhere_means_nothing() -> None:
    """Message ids count per peer."""
    conversation = Conversation()
    conversation.ask()
    conversation.hear(empty(ACK, conversation.sent_one().message_id), peer=("coap", "10.0.0.2", 5683))

    assert conversation.events() == []
    assert conversation.endpoint.counters.ignored == 1


def test_a_response_before_its_ack_counts_and_the_ack_is_ignored() -> None:
    """Reordering must not freeze anything."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.hear(response(type=CON, message_id=0x7777))
    assert conversation.event(ResponseReceived).exchange_id == 1
    assert conversation.sent() == [empty(ACK, 0x7777)]

    conversation.hear(empty(ACK, message_id))

    assert conversation.events() == []
    assert conversation.sent() == []


def test_a_separate_response_twice_is_acknowledged_twice_and_told_once() -> None:
    """The first of our ACKs was lost."""
    conversation = Conversation()
    conversation.ask()
    conversation.sent()
    for _ in range(3):
        conversation.hear(response(type=CON, message_id=0x7777))

    assert len(conversation.events()) == 1
    assert conversation.sent() == [empty(ACK, 0x7777)] * 3
    assert conversation.endpoint.counters.duplicates == 2


def test_a_response_repeated_under_a_new_message_id_is_acknowledged_and_dropped() -> None:
    """The exchange has ended, and the device must stop."""
    conversation = Conversation()
    conversation.ask()
    conversation.sent()
    conversation.hear(response(type=CON, message_id=0x7777))
    conversation.events()
    conversation.sent()

    conversation.hear(response(type=CON, message_id=0x7778))

    assert conversation.events() == []
    assert conversation.sent() == [empty(ACK, 0x7778)]
    assert conversation.endpoint.counters.late_responses == 1


def test_a_duplicated_piggybacked_response_is_ignored() -> None:
    """An exchange ends once."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.hear(response(message_id=message_id))
    conversation.hear(response(message_id=message_id))

    assert len(conversation.events()) == 1
    assert conversation.sent() == []


@pytest.mark.parametrize("told_first", [True, False])
def test_a_response_after_the_deadline_is_acknowledged_and_changes_nothing(told_first: bool) -> None:
    """Whether or not the driver has looked at the clock in between."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=25.0, retransmit=False)
    conversation.sent()
    if told_first:
        conversation.wait_until(25.0)
    conversation.now = 25.0

    conversation.hear(response(type=CON, message_id=0x7777))

    assert conversation.event(ExchangeEnded) == ExchangeEnded(1, EndReason.TIMED_OUT)
    assert conversation.sent() == [empty(ACK, 0x7777)]
    assert conversation.endpoint.counters.late_responses == 1


def test_a_reset_ends_the_exchange() -> None:
    """The device has lost its state, or refuses."""
    conversation = Conversation()
    conversation.ask()
    conversation.hear(empty(RST, conversation.sent_one().message_id))

    assert conversation.event(ExchangeEnded) == ExchangeEnded(1, EndReason.RESET)
    assert conversation.wait_until(1000.0) == []


def test_a_reset_from_elsewhere_or_for_another_id_means_nothing() -> None:
    """Only the bound peer can reset, and only an open message."""
    conversation = Conversation()
    conversation.ask()
    message_id = conversation.sent_one().message_id
    conversation.hear(empty(RST, message_id), peer=("coap", "10.0.0.2", 5683))
    conversation.hear(empty(RST, message_id ^ 1))

    assert conversation.events() == []
    assert conversation.endpoint.open_exchange_count == 1
    assert conversation.endpoint.counters.ignored == 2


def test_a_cancelled_exchange_is_silent_and_its_late_answer_is_acknowledged() -> None:
    """The owner has moved on; the device may still answer."""
    conversation = Conversation()
    conversation.ask()
    conversation.sent()
    conversation.endpoint.cancel_exchange(1)
    conversation.endpoint.cancel_exchange(1)
    assert conversation.wait_until(110.0) == []

    conversation.hear(response(type=CON, message_id=0x7777))
    conversation.hear(response(type=NON, message_id=0x7778))

    assert conversation.events() == []
    assert conversation.sent() == [empty(ACK, 0x7777)]


@pytest.mark.parametrize("answer_type", [ACK, CON, NON])
def test_an_adopted_exchange_takes_a_response_of_any_type(answer_type: MessageType) -> None:
    """After a restart the message id is not known any more; peer and token are."""
    conversation = Conversation()
    conversation.endpoint.adopt_exchange(DEVICE, exchange_id=7, token=TOKEN, deadline=120.0)
    assert conversation.sent() == []

    conversation.hear(response(type=answer_type, message_id=0x4242, payload=b"x"))

    assert conversation.event(ResponseReceived).exchange_id == 7
    assert conversation.sent() == ([empty(ACK, 0x4242)] if answer_type is CON else [])


def test_an_adopted_exchange_sends_nothing_and_ends_at_its_deadline() -> None:
    """Silence is the end of an adopted attempt too."""
    conversation = Conversation()
    conversation.endpoint.adopt_exchange(DEVICE, exchange_id=7, token=TOKEN, deadline=120.0)

    assert conversation.wait_until(119.9) == []
    assert conversation.events() == []
    assert conversation.wait_until(120.0) == []
    assert conversation.event(ExchangeEnded) == ExchangeEnded(7, EndReason.TIMED_OUT)


def test_a_response_with_an_unknown_critical_option_is_rejected_without_a_reset() -> None:
    """Devices restart on any reset; the exchange ends at once, since waiting would only repeat it."""
    conversation = Conversation()
    conversation.ask()
    conversation.sent()

    conversation.hear(response(type=CON, message_id=0x7777, options=((65_001, b"?"),)))

    assert conversation.event(ExchangeEnded).reason is EndReason.RESPONSE_REJECTED
    assert conversation.sent() == [empty(ACK, 0x7777)]


def test_a_request_at_its_deadline_is_not_sent() -> None:
    """Never sent outside its window."""
    conversation = Conversation()
    conversation.ask(timeout_s=0.0)

    assert conversation.sent() == []
    assert conversation.event(ExchangeEnded).reason is EndReason.TIMED_OUT


def test_too_many_open_exchanges_overflow() -> None:
    """Refused at once, nothing sent."""
    conversation = Conversation(limits=EndpointLimits(open_exchanges_max=1))
    conversation.ask(exchange_id=1)
    conversation.ask(exchange_id=2, token=b"2")

    assert conversation.event(ExchangeEnded) == ExchangeEnded(2, EndReason.OVERFLOW)
    assert len(conversation.sent()) == 1


def test_a_full_send_queue_overflows() -> None:
    """What could not leave did not leave."""
    conversation = Conversation(limits=EndpointLimits(datagrams_queued_max=1))
    conversation.ask(exchange_id=1)
    conversation.ask(exchange_id=2, token=b"2")

    assert conversation.event(ExchangeEnded) == ExchangeEnded(2, EndReason.OVERFLOW)
    assert len(conversation.sent()) == 1
    assert conversation.endpoint.counters.datagrams_dropped == 1
    assert len(conversation.wait_until(1000.0)) == 2  # the first goes on, the second never does


def test_ids_and_tokens_in_use_are_the_owners_mistake() -> None:
    """Nothing is sent or changed."""
    conversation = Conversation()
    conversation.ask(exchange_id=1)
    conversation.sent()

    with pytest.raises(ValueError, match="exchange 1"):
        conversation.ask(exchange_id=1, token=b"other")
    with pytest.raises(ValueError, match="token"):
        conversation.ask(exchange_id=2)
    with pytest.raises(EncodeError):
        conversation.ask(exchange_id=3, token=bytes(9))
    with pytest.raises(EncodeError):
        conversation.ask(exchange_id=3, token=b"3", block_bytes=100)
    with pytest.raises(EncodeError):
        Request(code=Code.CONTENT)
    with pytest.raises(EncodeError):
        Request(code=Code.GET, options=((65_536, b""),))
    assert conversation.sent() == []
    assert conversation.endpoint.open_exchange_count == 1


def test_an_empty_ack_after_a_retransmission_stops_the_next() -> None:
    """The network was slower than the first back-off."""
    conversation = Conversation(now=0.0)
    conversation.ask(timeout_s=40.0)
    message_id = conversation.sent_one().message_id
    assert len(conversation.wait_until(6.0)) == 1
    conversation.hear(empty(ACK, message_id))

    assert conversation.wait_until(39.0) == []
    conversation.hear(response(message_id=message_id))
    assert [type(event) for event in conversation.events()] == [ExchangeAcknowledged, ResponseReceived]


def test_the_same_seed_gives_the_same_bytes() -> None:
    """All randomness is the owner's."""

    def bytes_sent() -> list[bytes]:
        conversation = Conversation()
        conversation.ask()
        return [data for _, data in conversation.endpoint.datagrams_to_send()]

    assert bytes_sent() == bytes_sent()


def test_message_ids_rise_by_one_and_wrap() -> None:
    """Firmware drops a request whose id is below the last one."""
    conversation = Conversation()
    ids = []
    for number in range(65_600):
        conversation.now += 0.01
        conversation.ask(exchange_id=number, token=number.to_bytes(4, "big"))
        ids.append(conversation.sent_one().message_id)
        conversation.endpoint.cancel_exchange(number)

    assert all((later - earlier) & 0xFFFF == 1 for earlier, later in pairwise(ids))


def test_a_message_id_still_open_is_skipped() -> None:
    """However fast the sequence comes round."""
    conversation = Conversation()
    conversation.ask(exchange_id=-1, token=b"open", timeout_s=1e6, retransmit=False)
    open_id = conversation.sent_one().message_id
    for number in range(65_536):
        conversation.now += 0.01
        conversation.ask(exchange_id=number, token=number.to_bytes(4, "big"))
        assert conversation.sent_one().message_id != open_id
        conversation.endpoint.cancel_exchange(number)


@pytest.mark.parametrize("pause_s", [0.0, 0.002])
def test_no_message_id_is_used_twice_within_the_exchange_lifetime(pause_s: float) -> None:
    """A peer is rather sent nothing; when the oldest ids have rested, it goes on."""
    conversation = Conversation()
    used_at: dict[int, float] = {}
    refused = 0
    for number in range(70_000):
        conversation.now += pause_s
        conversation.ask(exchange_id=number, token=number.to_bytes(4, "big"))
        sent = conversation.sent()
        if not sent:
            assert conversation.event(ExchangeEnded).reason is EndReason.OVERFLOW
            refused += 1
            continue
        conversation.endpoint.cancel_exchange(number)
        assert conversation.now - used_at.get(sent[0].message_id, -1e9) >= 247.0
        used_at[sent[0].message_id] = conversation.now
    assert refused > 0
    assert len(used_at) > 61_000

    conversation.now += 247.0
    conversation.ask(exchange_id=-1)
    assert len(conversation.sent()) == 1


def test_a_peer_known_again_goes_on_with_its_message_ids() -> None:
    """Within the exchange lifetime the same address sees no id twice."""
    conversation = Conversation()
    conversation.ask()
    before = conversation.sent_one().message_id
    conversation.endpoint.forget_peer(DEVICE)
    conversation.endpoint.know_peer(DEVICE)
    conversation.ask(exchange_id=2, token=b"2")

    assert conversation.sent_one().message_id == (before + 1) & 0xFFFF


def test_a_notification_on_the_observes_token_goes_to_the_owner() -> None:
    """The token of a successful Observe lives on after its exchange."""
    conversation = Conversation()
    conversation.ask(options=((Option.OBSERVE, b""),))
    message_id = conversation.sent_one().message_id
    conversation.hear(response(message_id=message_id, options=((Option.OBSERVE, b"\x02"),)))
    conversation.event(ResponseReceived)

    conversation.hear(response(type=NON, message_id=5, options=((Option.OBSERVE, b"\x02"),), payload=b"n"))
    assert conversation.event(UnmatchedResponse).message.payload == b"n"
    conversation.hear(response(type=CON, code=Code.NOT_FOUND, message_id=6))
    assert conversation.event(UnmatchedResponse).message.code == Code.NOT_FOUND


def test_deadline_entries_stay_few_when_exchanges_end_early() -> None:
    """Ended exchanges leave nothing behind in the heap for long."""
    conversation = Conversation()
    for number in range(5_000):
        conversation.ask(exchange_id=number, token=number.to_bytes(4, "big"), timeout_s=1e6)
        message_id = conversation.sent_one().message_id
        conversation.hear(response(message_id=message_id, token=number.to_bytes(4, "big")))

    assert len(conversation.endpoint._channel.deadlines) < 200
    assert not conversation.endpoint._channel.confirmables
