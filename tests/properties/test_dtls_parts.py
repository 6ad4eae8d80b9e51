"""Parts of the DTLS engine against the plainest model of each."""

from hypothesis import given
from hypothesis import strategies as st

from commandpost.protocols.dtls.deadlines import DeadlineHeap, Timed
from commandpost.protocols.dtls.handshake_messages import Fragment
from commandpost.protocols.dtls.hello import (
    ClientHello,
    ServerHello,
    decode_client_hello,
    decode_server_hello,
    encode_client_hello,
    encode_server_hello,
)
from commandpost.protocols.dtls.reassembly import Reassembler
from commandpost.protocols.dtls.record_protection import Protection, cut_key_block, open_record, seal
from commandpost.protocols.dtls.records import encode_record, split_records
from commandpost.protocols.dtls.replay_window import ReplayWindow

EXTENSIONS = st.dictionaries(st.integers(0, 65_535), st.binary(max_size=40), max_size=8).map(
    lambda extensions: tuple(extensions.items())
)


@given(st.lists(st.integers(0, 200) | st.integers(0, (1 << 48) - 1), max_size=60), st.integers(-1, 100))
def test_a_record_is_seen_as_a_set_of_numbers_would_see_it(sequences: list[int], start: int) -> None:
    """Twice never; too old never; the newest is the largest."""
    window = ReplayWindow(newest=start)
    seen = set(range(start + 1))

    for sequence in sequences:
        newest = max(seen, default=-1)
        assert window.newest == newest
        is_known = sequence in seen or sequence <= newest - 64
        assert window.has_seen(sequence) == is_known
        if not is_known:
            assert window.note(sequence) == (sequence > newest)
            seen.add(sequence)


@given(
    st.binary(min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30),
)
def test_fragments_that_agree_make_the_message(body: bytes, cuts: list[tuple[int, int]]) -> None:
    """In any order, overlapping, repeated, the empty ones too; nothing comes before the last byte has."""
    reassembler = Reassembler(next_number=5, message_bytes_max=60)
    fragments = [Fragment(16, len(body), 5, at, body[at : at + size]) for at, size in cuts if at + size <= len(body)]
    covered = set[int]()

    for fragment in fragments:
        reassembler.add(fragment)
        covered.update(range(fragment.offset, fragment.offset + len(fragment.body)))
        if covered != set(range(len(body))):
            assert reassembler.next_message() is None

    reassembler.add(Fragment(16, len(body), 5, 0, body))
    assert reassembler.next_message() == (5, 16, body)
    assert reassembler.next_message() is None


@given(st.binary(min_size=4, max_size=20), st.integers(0, 2))
def test_a_fragment_that_contradicts_an_earlier_one_is_dropped(body: bytes, position: int) -> None:
    """Also one of another type or length, another message, or one too far ahead or too long."""
    reassembler = Reassembler(next_number=1, message_bytes_max=20)
    changed = body[:position] + bytes((body[position] ^ 0xFF,)) + body[position + 1 :]
    reassembler.add(Fragment(16, len(body), 1, 0, body[:-1]))

    reassembler.add(Fragment(16, len(body), 1, 0, changed))
    reassembler.add(Fragment(20, len(body), 1, 0, body))
    reassembler.add(Fragment(16, len(body) + 1, 1, 0, body))
    reassembler.add(Fragment(16, len(body), 0, 0, body))
    reassembler.add(Fragment(16, len(body), 4, 0, body))
    reassembler.add(Fragment(16, 21, 2, 0, bytes(21)))
    assert reassembler.next_message() is None

    reassembler.add(Fragment(16, len(body), 1, len(body) - 1, body[-1:]))
    assert reassembler.next_message() == (1, 16, body)


@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "cancel", "pop", "look"]), st.integers(0, 5), st.integers(0, 50)),
        max_size=200,
    )
)
def test_deadlines_come_as_from_a_plain_table(steps: list[tuple[str, int, int]]) -> None:
    """Whatever was postponed, brought forward or called off in between, and in bounded memory."""
    heap = DeadlineHeap()
    things = [Timed() for _ in range(6)]
    table: dict[int, float] = {}

    for action, number, at in steps:
        if action == "set":
            heap.set(things[number], float(at))
            table[number] = float(at)
        elif action == "cancel":
            heap.cancel(things[number])
            table.pop(number, None)
        elif action == "look":
            assert heap.next_at() == min(table.values(), default=None)
        else:
            due = [wake_at for wake_at in table.values() if wake_at <= at]
            timed = heap.pop_due(float(at))
            if not due:
                assert timed is None
            else:
                assert timed is not None
                assert table.pop(things.index(timed)) == min(due)


def test_deadlines_that_were_called_off_do_not_pile_up() -> None:
    """However often something begins and ends."""
    heap = DeadlineHeap()
    lasting = Timed()
    heap.set(lasting, 1e9)

    for at in range(10_000):
        passing = Timed()
        heap.set(passing, float(at + 1_000_000))
        heap.set(passing, float(at))
        heap.cancel(passing)

    assert len(heap) < 200
    assert heap.pop_earliest() is lasting


@given(
    st.builds(
        ClientHello,
        client_version=st.integers(0, 65_535),
        random=st.binary(min_size=32, max_size=32),
        session_id=st.binary(max_size=32),
        cookie=st.binary(max_size=255),
        cipher_suites=st.lists(st.integers(0, 65_535), min_size=1, max_size=20).map(tuple),
        compression_methods=st.binary(min_size=1, max_size=5),
        extensions=EXTENSIONS,
    )
)
def test_client_hellos_round_trip(hello: ClientHello) -> None:
    """Nothing is lost or changed."""
    assert decode_client_hello(encode_client_hello(hello)) == hello


@given(
    st.builds(
        ServerHello,
        random=st.binary(min_size=32, max_size=32),
        session_id=st.binary(max_size=32),
        cipher_suite=st.integers(0, 65_535),
        extensions=EXTENSIONS,
    )
)
def test_server_hellos_round_trip(hello: ServerHello) -> None:
    """Nothing is lost or changed."""
    assert decode_server_hello(encode_server_hello(hello)) == hello


@given(
    st.sampled_from(Protection),
    st.integers(1, 255).filter(lambda kind: kind != 25),
    st.binary(max_size=300),
    st.integers(0, (1 << 48) - 1),
    st.sampled_from([b"", b"8 bytes!"]),
    st.integers(0, 1 << 20),
)
def test_what_is_sealed_opens_and_nothing_else_does(
    protection: Protection, kind: int, content: bytes, sequence: int, connection_id: bytes, change: int
) -> None:
    """Any one bit changed, and it is nothing."""
    keys, other_keys = cut_key_block(bytes(range(protection.key_block_bytes)), protection)
    datagram = seal(
        protection,
        keys,
        kind,
        content,
        epoch=1,
        sequence=sequence,
        connection_id=connection_id,
        random_bytes=lambda length: b"\x5a" * length,
    )
    (record,) = split_records(datagram, connection_id_bytes=len(connection_id))
    position, bit = change % (8 * len(datagram)) // 8, 1 << change % 8
    changed = datagram[:position] + bytes((datagram[position] ^ bit,)) + datagram[position + 1 :]

    assert record.connection_id == connection_id
    assert open_record(protection, keys, record) == (kind, content)
    assert open_record(protection, other_keys, record) is None
    for forged in split_records(changed, connection_id_bytes=len(connection_id)):
        assert open_record(protection, keys, forged) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([20, 21, 22, 23, 25]),
            st.integers(0, 3),
            st.integers(0, (1 << 48) - 1),
            st.binary(max_size=40),
        ),
        max_size=32,
    ),
    st.binary(max_size=12),
)
def test_records_in_a_datagram_are_found_again(records: list[tuple[int, int, int, bytes]], tail: bytes) -> None:
    """All of them, in order; what is too short for a header is left."""
    datagram = b"".join(
        encode_record(kind, epoch=epoch, sequence=sequence, body=body, connection_id=b"12345678" if kind == 25 else b"")
        for kind, epoch, sequence, body in records
    )

    found = split_records(datagram + tail, connection_id_bytes=8)

    assert [(record.content_type, record.epoch, record.sequence, record.body) for record in found] == records
