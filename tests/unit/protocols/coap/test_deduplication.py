"""What is remembered of messages seen, for how long, and in how much memory."""

import tracemalloc

from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.deduplication import AnswerStore
from commandpost.protocols.coap.endpoint import EndpointLimits, Peer
from commandpost.protocols.coap.events import RequestReceived
from tests.unit.protocols.coap.conversation import CON, DEVICE, Conversation, request


def make_store(*, stranger_answers_max: int = 100, per_peer_max: int = 8, answer_bytes_max: int = 64) -> AnswerStore:
    return AnswerStore(
        lifetime_s=247.0,
        per_peer_max=per_peer_max,
        stranger_answers_max=stranger_answers_max,
        answer_bytes_max=answer_bytes_max,
    )


def test_a_known_peer_has_eight_answers_and_the_ninth_replaces_the_oldest() -> None:
    """A flood of one device forgets only its own."""
    store = make_store()
    for number in range(9):
        store.begin("device", bytes((0x40, number)), is_known=True, now=0.0)
        store.settle("device", bytes((0x40, number)), b"reply")

    assert store.find("device", b"\x40\x00", now=1.0) is None
    assert [store.find("device", bytes((0x40, number)), now=1.0) for number in range(1, 9)] == [b"reply"] * 8
    assert len(store) == 8


def test_a_reply_that_is_too_large_to_keep_is_silence() -> None:
    """Still a duplicate, never processed again."""
    store = make_store(answer_bytes_max=4)
    store.begin("device", b"\x40key", is_known=True, now=0.0)
    store.settle("device", b"\x40key", b"large")

    assert store.find("device", b"\x40key", now=1.0) == b""


def test_a_forgotten_answer_is_not_settled() -> None:
    """The owner took too long; nothing is invented."""
    store = make_store(per_peer_max=1)
    store.begin("device", b"\x40a", is_known=True, now=0.0)
    store.begin("device", b"\x40b", is_known=True, now=0.0)
    store.settle("device", b"\x40a", b"reply")
    store.settle("nobody", b"\x40a", b"reply")

    assert store.find("device", b"\x40a", now=1.0) is None
    assert store.find("device", b"\x40b", now=1.0) == b""
    assert len(store) == 1


def test_a_flood_of_strangers_stays_within_the_table_and_spares_known_peers() -> None:
    """The two generations together never exceed their bound."""
    store = make_store(stranger_answers_max=100)
    store.begin("device", b"\x40key", is_known=True, now=0.0)
    store.settle("device", b"\x40key", b"reply")
    for number in range(10_000):
        store.begin(number, b"\x40key", is_known=False, now=number / 1_000)
        assert len(store) <= 101

    assert store.find("device", b"\x40key", now=10.0) == b"reply"
    assert store.find(9_999, b"\x40key", now=10.0) == b""
    assert store.find(9_951, b"\x40key", now=10.0) == b""
    assert store.find(0, b"\x40key", now=10.0) is None


def test_answers_of_idle_peers_are_swept_by_the_traffic_of_others() -> None:
    """A device that falls silent costs nothing after its exchange lifetime."""
    store = make_store()
    for number in range(1_000):
        store.begin(number, b"\x40key", is_known=True, now=0.0)
    for number in range(600):
        store.begin("talker", b"\x40" + number.to_bytes(2, "big"), is_known=True, now=300.0)

    assert len(store) == 8


def test_a_talking_peer_keeps_its_live_answers_when_swept() -> None:
    """Only what has ended goes."""
    store = make_store()
    store.begin("device", b"\x40a", is_known=True, now=0.0)
    store.begin("device", b"\x40b", is_known=True, now=200.0)
    store.begin("other", b"\x40c", is_known=True, now=250.0)

    assert len(store) == 2
    assert store.find("device", b"\x40b", now=250.0) == b""
    store.begin("other", b"\x40d", is_known=True, now=600.0)
    assert len(store) == 1


def test_knowing_and_forgetting_over_and_over_leaves_nothing_behind() -> None:
    """A device that moves with every message."""
    store = make_store()
    for number in range(20_000):
        store.begin(number, b"\x40key", is_known=True, now=1.0)
        store.forget(number)

    assert len(store) == 0
    assert len(store._sweep) < 2_000


def test_a_hundred_thousand_strangers_leave_bounded_memory() -> None:
    """Made-up addresses, each with a request that is answered."""
    conversation = Conversation(
        known=False,
        limits=EndpointLimits(stranger_answers_max=1_000, ended_tokens_max=1_000, unconfirmed_sent_max=1_000),
    )
    endpoint = conversation.endpoint
    data = bytes.fromhex("44021234 34128F1A B27264".replace(" ", ""))
    tracemalloc.start()
    try:
        for number in range(100_000):
            endpoint.receive_datagram(data, number, now=number / 10_000)
            event = endpoint.next_event()
            assert isinstance(event, RequestReceived)
            endpoint.respond(event.reply_to, code=Code.NOT_FOUND, now=number / 10_000)
            endpoint.datagrams_to_send()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert endpoint.stored_answer_count <= 1_000
    assert endpoint.known_peer_count == 0
    assert held_bytes < 1_000_000


def test_an_idle_known_peer_is_small() -> None:
    """Under 200 bytes beyond its key, its place in one dictionary included."""
    conversation = Conversation(known=False)
    peers: list[Peer] = list(range(1_000_000, 1_020_000))
    tracemalloc.start()
    try:
        for peer in peers:
            conversation.endpoint.know_peer(peer)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert conversation.endpoint.known_peer_count == 20_000
    assert held_bytes / 20_000 < 200


def test_a_stored_answer_is_small() -> None:
    """Eight of them well under a kilobyte."""
    conversation = Conversation(known=False)
    peers: list[Peer] = list(range(1_000_000, 1_005_000))
    for peer in peers:
        conversation.endpoint.know_peer(peer)
    tracemalloc.start()
    try:
        for peer in peers:
            for message_id in range(8):
                conversation.hear(request(type=CON, message_id=message_id), peer=peer)
                event = conversation.event(RequestReceived)
                conversation.endpoint.respond(event.reply_to, code=Code.CHANGED, now=conversation.now)
            conversation.endpoint.datagrams_to_send()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert conversation.endpoint.stored_answer_count == 40_000
    assert held_bytes / 40_000 < 120


def test_forgetting_a_peer_forgets_its_answers() -> None:
    """Deleted, or gone to another address."""
    conversation = Conversation()
    conversation.hear(request())
    conversation.events()
    conversation.endpoint.forget_peer(DEVICE)
    assert conversation.endpoint.stored_answer_count == 0

    conversation.hear(request())

    assert len(conversation.events()) == 1
