"""Any bytes: a report or DecodeError from the decoders, and never an error from a connection."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.data_report import (
    DP_FLOATS_MAX,
    DataReport,
    FloatReport,
    decode_dp,
    decode_save_body,
    encode_dp,
    encode_save_body,
)
from commandpost.protocols.edp.client_connection import EdpClientConnection
from commandpost.protocols.edp.close_codes import LoginCode
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.events import ConnectionClosed, DataSaved, EncryptionRequested, LoginRequested
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.edp.messages import LoginRequest
from commandpost.protocols.errors import DecodeError
from tests.unit.protocols.edp.conversation import LOGIN, PING, SAVE_261

LIMITS = EdpLimits(
    message_bytes_max=300,
    login_bytes_max=200,
    held_before_login_bytes_max=400,
    held_bytes_max=600,
    unacknowledged_saves_max=3,
    events_max=4,
)
ENCRYPT = bytes.fromhex("E0 85 01 00 01 00 01 C0") + bytes(126) + b"\x05\x01"
# Bytes that begin like EDP reach far deeper than bytes that do not.
LIKELY = st.builds(
    lambda kind, flags, body: bytes((kind << 4, len(flags) + len(body))) + flags + body,
    st.integers(0, 15),
    st.sampled_from([b"", b"\x00", b"\x40\x00\x01", b"\xc0\x00\x01\x38\x00\x02", b"\x00\x01\x63", b"\x00\x03EDP\x01"]),
    st.binary(max_size=40),
)
SAVES = st.builds(
    lambda kind, body: bytes((0x80, len(body) + 4, 0x40, 0, 1, kind)) + body,
    st.integers(0, 8),
    st.one_of(
        st.binary(max_size=30),
        st.binary(max_size=30).map(lambda text: bytes((0, len(text))) + text),
        st.lists(st.binary(min_size=6, max_size=6), max_size=4).map(
            lambda points: bytes(7) + bytes((len(points),)) + b"".join(points)
        ),
    ),
)
PIECES = st.one_of(
    st.sampled_from([LOGIN, PING, SAVE_261, ENCRYPT, bytes(100), b"\x80\xff\xff\xff\x7f"]),
    LIKELY,
    SAVES,
    st.binary(max_size=60),
)
TIMES = bytes(6), bytes((16, 4, 8, 14, 30, 28))
REPORTS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda kind, time, tail: bytes((kind,)) + time + tail,
        st.sampled_from([1, 2, 3, 6, 7, 0x86, 0x87]),
        st.sampled_from((b"", *TIMES)),
        st.one_of(
            st.binary(max_size=40),
            st.binary(max_size=40).map(lambda text: bytes((0, len(text))) + text),
            st.binary(max_size=40).map(lambda blob: bytes((0, 2)) + b"{}" + bytes((0, 0, 0, len(blob))) + blob),
            st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=5).map(
                lambda floats: bytes((0, 1, 0, len(floats))) + b"".join(floats)
            ),
        ),
    ),
)


def same(one: DataReport, other: DataReport) -> bool:
    # Floats that are no number are equal to nothing, themselves included.
    return repr(one) == repr(other)


@settings(max_examples=300)
@given(REPORTS)
def test_a_report_is_read_or_refused(data: bytes) -> None:
    """And what is read can be written and read again, in either layout that has room for it."""
    for decode in (decode_dp, lambda payload: decode_save_body(payload[0] if payload else 0, payload[1:])):
        try:
            report = decode(data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(data)
            continue
        saved = encode_save_body(report)
        assert same(decode_save_body(saved[0], saved[1:]), report)
        if not isinstance(report, FloatReport) or len(report.points) <= DP_FLOATS_MAX:
            assert same(decode_dp(encode_dp(report)), report)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PIECES, st.floats(0, 200)), max_size=12), st.booleans(), st.booleans())
def test_a_server_connection_never_raises(arrivals: list[tuple[bytes, float]], welcome: bool, obedient: bool) -> None:
    """One end, nothing after it; bounded; and no word but answers before a login."""
    connection = EdpServerConnection(limits=LIMITS, now=0.0)
    now, ends, is_known = 0.0, 0, False
    for data, pause_s in arrivals:
        if obedient and connection.is_paused:
            continue
        now += pause_s
        connection.handle_deadline(now=now)
        connection.receive_bytes(data, now=now)
        while (event := connection.next_event()) is not None:
            assert ends == 0
            match event:
                case LoginRequested() if welcome:
                    connection.accept(now=now)
                    is_known = connection.is_logged_in
                case LoginRequested():
                    connection.refuse(LoginCode.NOT_AUTHORISED)
                case EncryptionRequested() if welcome:
                    connection.start_encryption(bytes(16))
                case EncryptionRequested():
                    connection.refuse_encryption()
                case DataSaved() if pause_s < 150:
                    connection.acknowledge(event.handle, is_saved=welcome)
                case ConnectionClosed():
                    ends += 1
        sent = connection.bytes_to_send()
        assert is_known or not sent or sent[0] >> 4 in (2, 4, 15)
        assert connection.buffered_bytes <= LIMITS.held_bytes_max + 300
        assert connection.is_closed == (ends == 1)

    connection.receive_end()
    while (event := connection.next_event()) is not None:
        ends += isinstance(event, ConnectionClosed)
    assert ends == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(PIECES | st.just(b"\x20\x02\0\0"), st.floats(0, 200)), max_size=12))
def test_a_client_connection_never_raises(arrivals: list[tuple[bytes, float]]) -> None:
    """Whatever a server says, at any time."""
    request = LoginRequest(device_id="7", product_id=None, auth=b"k", keepalive_s=60)
    client = EdpClientConnection(request, limits=LIMITS, now=0.0)
    now, ends = 0.0, 0
    for data, pause_s in arrivals:
        now += pause_s
        client.handle_deadline(now=now)
        client.receive_bytes(data, now=now)
        while (event := client.next_event()) is not None:
            assert ends == 0
            ends += isinstance(event, ConnectionClosed)
        client.bytes_to_send()
        assert client.buffered_bytes <= LIMITS.held_bytes_max + 300

    assert client.is_closed == (ends == 1)
