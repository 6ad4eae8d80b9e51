"""Every record survives the wire, and a stream split anywhere tells the same."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.data_report import (
    BinaryReport,
    DataReport,
    FloatReport,
    LocalTime,
    TextReport,
    decode_dp,
    decode_save_body,
    encode_dp,
    encode_save_body,
)
from commandpost.protocols.edp.codec import (
    decode_command,
    decode_login,
    decode_push,
    decode_save_ack,
    decode_save_header,
    decode_update,
    encode_command,
    encode_login,
    encode_push,
    encode_save,
    encode_save_ack,
    encode_update,
)
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.encryption import BodyCipher
from commandpost.protocols.edp.events import DataSaved, LoginRequested
from commandpost.protocols.edp.framing import Frame, FrameBuffer, frame
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.edp.messages import CommandMessage, LoginRequest, MessageType, SaveHeader

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
AUTH = st.binary(min_size=1, max_size=40)
LOGINS = st.one_of(
    st.builds(LoginRequest, device_id=NAME, product_id=st.none(), auth=AUTH, keepalive_s=st.integers(0, 65_535)),
    st.builds(LoginRequest, device_id=TEXT, product_id=NAME, auth=AUTH, keepalive_s=st.integers(0, 65_535)),
)
HEADERS = st.builds(SaveHeader, device_id=st.none() | TEXT, message_id=st.none() | st.integers(1, 65_535))
BYTE = st.integers(0, 255)
TIMES = st.none() | st.builds(LocalTime, st.integers(2000, 2255), st.integers(1, 255), BYTE, BYTE, BYTE, BYTE)
POINTS = st.lists(st.tuples(st.integers(1, 65_535), st.floats(width=32, allow_nan=False)), min_size=1, max_size=20).map(
    tuple
)
REPORTS: st.SearchStrategy[DataReport] = st.one_of(
    st.builds(TextReport, form=st.sampled_from([1, 3, 4]), text=st.binary(max_size=60)),
    st.builds(TextReport, form=st.just(5), text=st.binary(max_size=60), at=TIMES),
    st.builds(BinaryReport, header=st.binary(max_size=40), payload=st.binary(max_size=60)),
    st.builds(FloatReport, at=TIMES, points=POINTS),
)


@given(REPORTS)
def test_reports_survive_both_layouts(report: DataReport) -> None:
    """Nothing is lost or changed."""
    saved = encode_save_body(report)

    assert decode_dp(encode_dp(report)) == report
    assert decode_save_body(saved[0], saved[1:]) == report


@given(LOGINS, HEADERS, REPORTS, NAME, TEXT, st.binary(max_size=200))
def test_messages_survive_the_wire(
    login: LoginRequest, header: SaveHeader, report: DataReport, name: str, text: str, payload: bytes
) -> None:
    """Every record of both directions."""
    body = encode_save(header, encode_save_body(report))
    read, type_at, is_sound = decode_save_header(body)
    command = CommandMessage(command_id=name, payload=payload)

    assert decode_login(encode_login(login)) == login
    assert (read, is_sound, body[type_at:]) == (header, True, encode_save_body(report))
    assert decode_command(encode_command(command)) == command
    assert decode_push(encode_push(text, payload)) == (text, payload)
    assert decode_update(encode_update(((name, text), (text, name))), items_max=2) == ((name, text), (text, name))
    assert decode_save_ack(encode_save_ack(7, is_saved=bool(payload))) == (7, bool(payload))


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=100))
def test_bodies_survive_encryption(key: bytes, body: bytes) -> None:
    """Whatever their last byte is."""
    cipher = BodyCipher(key)

    assert cipher.decrypt(cipher.encrypt(body)) == body


@given(
    st.lists(st.tuples(st.sampled_from(MessageType), st.binary(max_size=300)), max_size=6),
    st.lists(st.integers(0, 2_000), max_size=8),
)
def test_frames_split_anywhere_are_the_same_frames(messages: list[tuple[MessageType, bytes]], cuts: list[int]) -> None:
    """The borders of reads mean nothing."""
    data = b"".join(frame(kind, body) for kind, body in messages)
    buffer = FrameBuffer()
    found: list[Frame] = []
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    for start, end in pairwise(borders):
        buffer.feed(data[start:end])
        while (message := buffer.next_frame(bytes_max=1_000)) is not None:
            found.append(message)

    assert found == messages
    assert buffer.buffered_bytes == 0


@settings(max_examples=50)
@given(
    LOGINS,
    st.lists(st.tuples(HEADERS, REPORTS), max_size=6),
    st.lists(st.integers(0, 2_000), max_size=8),
)
def test_a_stream_split_anywhere_tells_the_same(
    login: LoginRequest, saves: list[tuple[SaveHeader, DataReport]], cuts: list[int]
) -> None:
    """The same events, and the same bytes in answer."""
    data = frame(MessageType.CONN_REQ, encode_login(login)) + b"".join(
        frame(MessageType.SAVE_DATA, encode_save(header, encode_save_body(report))) for header, report in saves
    )
    whole = _told([data])
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    split = _told([data[start:end] for start, end in pairwise(borders)])

    assert split == whole
    assert [report for _, report in whole[0]] == [report for _, report in saves]


def _told(pieces: list[bytes]) -> tuple[list[tuple[int | None, DataReport]], bytes]:
    connection = EdpServerConnection(limits=EdpLimits(unacknowledged_saves_max=2), now=0.0)
    told: list[tuple[int | None, DataReport]] = []
    sent = b""
    for piece in pieces:
        connection.receive_bytes(piece, now=0.0)
        while (event := connection.next_event()) is not None:
            match event:
                case LoginRequested():
                    connection.accept(now=0.0)
                case DataSaved():
                    told.append((event.message_id, event.report))
                    connection.acknowledge(event.handle, is_saved=True)
        sent += connection.bytes_to_send()
    return told, sent
