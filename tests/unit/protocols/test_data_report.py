"""What devices report, in both layouts: published bytes, malformed bytes, bounds."""

import json
import struct
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import pytest

from commandpost.protocols.data_report import (
    BINARY_BYTES_MAX,
    DP_FLOATS_MAX,
    SAVE_FLOATS_MAX,
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
from commandpost.protocols.errors import DecodeError, EncodeError

VECTORS = Path(__file__).parents[2] / "vectors" / "edp"


class ReportVector(TypedDict):
    name: str
    source: str
    layout: str
    bytes: str
    form: NotRequired[Literal[1, 3, 4, 5]]
    text: NotRequired[str]
    header: NotRequired[str]
    payload: NotRequired[str]
    at: NotRequired[list[int] | None]
    points: NotRequired[list[tuple[int, float]]]


class MalformedVector(TypedDict):
    name: str
    source: str
    layout: str
    bytes: str
    offset: int


REPORTS: list[ReportVector] = json.loads((VECTORS / "reports.json").read_text())
MALFORMED: list[MalformedVector] = json.loads((VECTORS / "malformed_reports.json").read_text())


def report_of(vector: ReportVector) -> DataReport:
    fields = vector.get("at")
    at = None if fields is None else LocalTime(*fields)
    if "points" in vector:
        points = tuple((number, struct.unpack("<f", struct.pack("<f", value))[0]) for number, value in vector["points"])
        return FloatReport(at=at, points=points)
    if "header" in vector:
        return BinaryReport(header=vector["header"].encode(), payload=bytes.fromhex(vector["payload"]))
    return TextReport(form=vector["form"], text=vector["text"].encode(), at=at)


def decode(layout: str, data: bytes) -> DataReport:
    return decode_dp(data) if layout == "dp" else decode_save_body(data[0], data[1:])


def encode(layout: str, report: DataReport) -> bytes:
    return encode_dp(report) if layout == "dp" else encode_save_body(report)


@pytest.mark.parametrize("vector", REPORTS, ids=[vector["name"] for vector in REPORTS])
def test_published_reports_encode_and_decode(vector: ReportVector) -> None:
    """One table of record and bytes holds in both directions."""
    report, data = report_of(vector), bytes.fromhex(vector["bytes"])

    assert decode(vector["layout"], data) == report
    assert encode(vector["layout"], report) == data


@pytest.mark.parametrize("vector", MALFORMED, ids=[vector["name"] for vector in MALFORMED])
def test_malformed_reports_are_refused_with_an_offset(vector: MalformedVector) -> None:
    """The error names the first byte at fault; in SAVE_DATA it counts from the body."""
    with pytest.raises(DecodeError) as raised:
        decode(vector["layout"], bytes.fromhex(vector["bytes"]))

    assert raised.value.offset == vector["offset"]


@pytest.mark.parametrize("vector", REPORTS, ids=[vector["name"] for vector in REPORTS])
def test_a_report_cut_anywhere_or_followed_by_a_byte_is_refused(vector: ReportVector) -> None:
    """A declared length that disagrees is never guessed at."""
    data = bytes.fromhex(vector["bytes"])

    for piece in (*(data[:end] for end in range(1, len(data))), data + b"\0"):
        # Groups of floats end where the packet ends, so a packet cut between two groups is a shorter one.
        if vector["name"] == "dp_type_7_no_time_two_streams" and len(piece) == 9:
            continue
        with pytest.raises(DecodeError):
            decode(vector["layout"], piece)


def test_the_time_of_type_6_may_be_absent_in_both_layouts() -> None:
    """By the flag in `$dp`, by six zero bytes in SAVE_DATA."""
    expected = TextReport(form=5, text=b",;1", at=None)

    assert decode_dp(bytes.fromhex("06 00 03") + b",;1") == expected
    assert decode_save_body(6, bytes(6) + bytes.fromhex("00 03") + b",;1") == expected


def test_five_hundred_floats_in_dp_and_a_thousand_in_save_data() -> None:
    """The bounds of the two documents, and not one more."""
    group = struct.pack(">HH", 1, DP_FLOATS_MAX) + bytes(4 * DP_FLOATS_MAX)
    point = bytes.fromhex("00 01 00 00 B4 41")

    full = decode_dp(b"\x07" + group)
    saved = decode_save_body(7, bytes(6) + SAVE_FLOATS_MAX.to_bytes(2, "big") + point * SAVE_FLOATS_MAX)

    assert isinstance(full, FloatReport) and len(full.points) == 500
    assert isinstance(saved, FloatReport) and len(saved.points) == 1000
    with pytest.raises(DecodeError):
        decode_dp(b"\x07" + group + struct.pack(">HH", 2, 1) + bytes(4))
    with pytest.raises(DecodeError):
        decode_save_body(7, bytes(6) + (1001).to_bytes(2, "big") + point * 1001)
    with pytest.raises(EncodeError):
        encode_dp(FloatReport(at=None, points=((1, 0.0),) * 501))


def test_three_mib_of_binary_are_the_most() -> None:
    """A declared length above it is refused whatever is there."""
    largest = BinaryReport(header=b"{}", payload=bytes(BINARY_BYTES_MAX))

    assert decode_dp(encode_dp(largest)) == largest
    with pytest.raises(DecodeError):
        decode_dp(bytes.fromhex("02 00 02 7B 7D 00 30 00 01") + bytes(BINARY_BYTES_MAX + 1))
    with pytest.raises(EncodeError):
        BinaryReport(header=b"{}", payload=bytes(BINARY_BYTES_MAX + 1))


def test_what_has_no_form_on_the_wire_cannot_be_constructed() -> None:
    """Records check themselves."""
    at = LocalTime(2016, 4, 8, 14, 30, 28)

    with pytest.raises(EncodeError):
        TextReport(form=3, text=b"{}", at=at)
    with pytest.raises(EncodeError):
        TextReport(form=1, text=bytes(65_536))
    for wrong in (
        at._replace(year=1999),
        at._replace(year=2256),
        at._replace(second=-1),
        LocalTime(2000, 0, 0, 0, 0, 0),
    ):
        with pytest.raises(EncodeError):
            TextReport(form=5, text=b",;1", at=wrong)
    for points in ((), ((0, 1.0),), ((65_536, 1.0),), ((1, 1.0),) * 1001):
        with pytest.raises(EncodeError):
            FloatReport(at=None, points=points)
    with pytest.raises(EncodeError):
        encode_save_body(FloatReport(at=None, points=((1, 1e39),)))
