"""Targets of EDP and of `$dp`: the seven forms of data in both layouts, message bodies, and both ends of a stream."""

from typing import Final

from commandpost.protocols.data_report import (
    DP_FLOATS_MAX,
    DataReport,
    FloatReport,
    decode_dp,
    decode_save_body,
    encode_dp,
    encode_save_body,
)
from commandpost.protocols.edp import codec
from commandpost.protocols.edp.client_connection import EdpClientConnection
from commandpost.protocols.edp.close_codes import LoginCode
from commandpost.protocols.edp.connection import EdpServerConnection
from commandpost.protocols.edp.events import ConnectionClosed, DataSaved, EncryptionRequested, LoginRequested
from commandpost.protocols.edp.messages import LoginRequest
from commandpost.protocols.errors import DecodeError
from tests.fuzz.guided.target import Target, joined, pieces, stateless
from tests.fuzz.test_edp_bytes import ENCRYPT, LIMITS
from tests.unit.protocols.edp.conversation import LOGIN, PING, SAVE_261

_ARRIVALS_MAX: Final = 16  # of one input
_TIME: Final = bytes((16, 4, 8, 14, 30, 28))
_REPORTS: Final = (
    *(bytes((form, 0, 8)) + b'{"t":22}' for form in (1, 3, 4)),
    b"\x05\x00\x06,;t,22",
    b"\x02\x00\x02{}\x00\x00\x00\x03abc",
    b"\x86" + _TIME + b"\x00\x06,;t,22",
    b"\x06\x00\x06,;t,22",
    b"\x06" + _TIME + b"\x00\x06,;t,22",
    b"\x07\x00\x01\x00\x02" + bytes(8),
    b"\x87" + _TIME + b"\x00\x01\x00\x01\x00\x00\x80\x3f",
    b"\x07" + _TIME + b"\x00\x01\x00\x05\x00\x00\x80\x3f",
)
_FRAMES: Final = tuple(
    bytes.fromhex(text)
    for text in (
        "80 0f c0 0001 38 0002 03 0008" + b'{"t":2}'.hex(),
        "90 04 40 0001 00",
        "a0 0a 0003 633031 00000001 78",
        "b0 0a 0003 633031 00000001 78",
        "30 05 0001 38 6162",
        "50 08 0001 61 0003 312e30",
        "40 01 00",
        "d0 00",
        "20 02 00 00",
        "f0 05 00 80 00 03 01",
    )
)


def _same(one: DataReport, other: DataReport) -> bool:
    # Floats that are no number are equal to nothing, themselves included.
    return repr(one) == repr(other)


def _dp(data: bytes) -> None:
    try:
        report = decode_dp(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
        return
    assert _same(decode_dp(encode_dp(report)), report)
    saved = encode_save_body(report)
    assert _same(decode_save_body(saved[0], saved[1:]), report)


def _save(data: bytes) -> None:
    try:
        report = decode_save_body(data[0] if data else 0, data[1:])
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
        return
    saved = encode_save_body(report)
    assert _same(decode_save_body(saved[0], saved[1:]), report)
    if not isinstance(report, FloatReport) or len(report.points) <= DP_FLOATS_MAX:
        assert _same(decode_dp(encode_dp(report)), report)


def _bodies(data: bytes) -> None:
    _, position, is_sound = codec.decode_save_header(data)
    assert not is_sound or position < len(data)
    for decode in (
        codec.decode_login,
        codec.decode_save_ack,
        codec.decode_command,
        codec.decode_push,
        lambda body: codec.decode_update(body, items_max=3),
        codec.decode_encryption,
    ):
        try:
            decode(data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(data)


def _server(data: bytes) -> None:
    # The first byte of an input is the owner's mood.
    mood = data[0] if data else 0
    is_welcome, is_obedient = bool(mood & 1), bool(mood & 2)
    connection = EdpServerConnection(limits=LIMITS, now=0.0)
    now, ends, is_known = 0.0, 0, False
    for arrival in pieces(data[1:], count_max=_ARRIVALS_MAX):
        if is_obedient and connection.is_paused:
            continue
        now += mood >> 4
        connection.handle_deadline(now=now)
        connection.receive_bytes(arrival, now=now)
        while (event := connection.next_event()) is not None:
            assert ends == 0
            match event:
                case LoginRequested() if is_welcome:
                    connection.accept(now=now)
                    is_known = connection.is_logged_in
                case LoginRequested():
                    connection.refuse(LoginCode.NOT_AUTHORISED)
                case EncryptionRequested() if is_welcome:
                    connection.start_encryption(bytes(16))
                case EncryptionRequested():
                    connection.refuse_encryption()
                case DataSaved() if mood & 4:
                    connection.acknowledge(event.handle, is_saved=bool(mood & 8))
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


def _client(data: bytes) -> None:
    client = EdpClientConnection(
        LoginRequest(device_id="7", product_id=None, auth=b"k", keepalive_s=60), limits=LIMITS, now=0.0
    )
    now, ends = 0.0, 0
    for arrival in pieces(data[1:], count_max=_ARRIVALS_MAX):
        now += data[0] >> 2
        client.handle_deadline(now=now)
        client.receive_bytes(arrival, now=now)
        while (event := client.next_event()) is not None:
            assert ends == 0
            ends += isinstance(event, ConnectionClosed)
        client.bytes_to_send()
        assert client.buffered_bytes <= LIMITS.held_bytes_max + 300
    assert client.is_closed == (ends == 1)


_REPORT_WORDS: Final = (_TIME, bytes(6), b"\x86", b"\x87", b"\x00\x02{}", b"\x00\x01\x00\x01", b"\x00\x00\x80\x7f")
_STREAM_WORDS: Final = tuple(joined((frame,)) for frame in (LOGIN, PING, SAVE_261, ENCRYPT, *_FRAMES))

TARGETS: Final = (
    *(
        Target(
            name=name,
            prepare=stateless(parse),
            seeds=_REPORTS,
            words=_REPORT_WORDS,
            modules=("data_report.py",),
        )
        for name, parse in (("dp_report", _dp), ("edp_save_report", _save))
    ),
    Target(
        name="edp_bodies",
        prepare=stateless(_bodies),
        seeds=(*(frame[2:] for frame in (LOGIN, SAVE_261, *_FRAMES) if len(frame) > 2), ENCRYPT[3:]),
        words=(b"\0\3EDP\1", b"\x40", b"\x80", b"\xc0", b"\0\1a", b"\0\0\0\1"),
        modules=("edp/codec.py",),
    ),
    Target(
        name="edp_server",
        prepare=stateless(_server),
        seeds=(
            *(bytes((mood,)) + joined((LOGIN, PING, SAVE_261, *_FRAMES)) for mood in (0, 1, 5, 13, 0xF3)),
            *(b"\x05" + joined((LOGIN, frame)) for frame in (*_FRAMES, PING, SAVE_261)),
            *(bytes((mood,)) + joined((ENCRYPT, LOGIN, PING)) for mood in (0, 1)),
        ),
        words=_STREAM_WORDS,
        modules=("edp/connection.py", "edp/framing.py", "edp/codec.py"),
    ),
    Target(
        name="edp_client",
        prepare=stateless(_client),
        seeds=tuple(b"\0" + joined((b"\x20\x02\0\0", frame)) for frame in (*_FRAMES, b"\x20\x02\0\1")),
        words=(joined((b"\x20\x02\0\0",)), *_STREAM_WORDS),
        modules=("edp/client_connection.py", "edp/framing.py"),
    ),
)
