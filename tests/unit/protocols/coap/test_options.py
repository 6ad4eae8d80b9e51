"""The option registry and content formats."""

import pytest

from commandpost.protocols.coap.codes import Code, format_code, is_request, is_response, is_success
from commandpost.protocols.coap.content_formats import ContentFormat, canonical
from commandpost.protocols.coap.options import (
    DEFINITIONS,
    Block,
    Option,
    decode_uint,
    encode_uint,
    find_unrecognised_critical,
    is_critical,
    szx_for,
)
from commandpost.protocols.errors import EncodeError


def test_every_named_option_is_defined() -> None:
    """The registry has one row for each number."""
    assert set(DEFINITIONS) == {int(option) for option in Option}


def test_the_onenet_auth_code_is_critical_and_recognised() -> None:
    """A stock library answers 4.02 to it; this one must not."""
    assert is_critical(Option.ONENET_AUTH_CODE)
    assert find_unrecognised_critical(((Option.ONENET_AUTH_CODE, bytes(270)),)) is None


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), None),
        (((2, b"elective"), (10, b"")), None),
        (((Option.ECHO, b"x"), (Option.REQUEST_TAG, b"")), None),
        (((13, b""),), 13),
        (((Option.OSCORE, b""),), 9),
        (((65_001, b""),), 65_001),
        (((Option.ACCEPT, bytes(3)),), 17),
        (((Option.ACCEPT, b""), (Option.ACCEPT, b"")), 17),
        (((Option.ONENET_AUTH_CODE, bytes(271)),), 63),
        (((Option.URI_PATH, b"a"), (Option.URI_PATH, b"b")), None),
        (((Option.URI_PATH, bytes(256)),), 11),
    ],
)
def test_unrecognised_critical_options_are_found(options: tuple[tuple[int, bytes], ...], found: int | None) -> None:
    """Unknown, of a wrong length, or repeated against the registry."""
    assert find_unrecognised_critical(options) == found


@pytest.mark.parametrize(
    ("value", "data"), [(0, b""), (1, b"\x01"), (255, b"\xff"), (256, b"\x01\x00"), (11542, b"-\x16")]
)
def test_uints_take_the_fewest_bytes(value: int, data: bytes) -> None:
    """And are read with leading zeros too."""
    assert encode_uint(value) == data
    assert decode_uint(b"\x00" + data) == value


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_uints_out_of_range_are_refused(value: int) -> None:
    """No option holds them."""
    with pytest.raises(EncodeError):
        encode_uint(value)


def test_block_sizes_are_powers_of_two() -> None:
    """From 16 to 1024."""
    assert [szx_for(16 << szx) for szx in range(7)] == list(range(7))
    for block_bytes in (0, 8, 15, 17, 500, 2048):
        with pytest.raises(EncodeError):
            szx_for(block_bytes)
    with pytest.raises(EncodeError):
        Block(number=1 << 20, more=False, szx=0)


@pytest.mark.parametrize(
    ("number", "registered"),
    [(1541, 0), (1542, 11542), (1543, 11543), (1544, 42), (11542, 11542), (40, 40), (65_535, 65_535)],
)
def test_old_content_format_numbers_are_known(number: int, registered: int) -> None:
    """Modules label TLV as 1542."""
    assert canonical(number) == registered


def test_content_formats_of_lwm2m() -> None:
    """The numbers on the wire."""
    assert [int(content_format) for content_format in ContentFormat] == [
        0, 40, 42, 60, 110, 112, 320, 322, 11542, 11543,
    ]  # fmt: skip


def test_code_classes() -> None:
    """0.00 is neither request nor response."""
    assert format_code(Code.REQUEST_ENTITY_TOO_LARGE) == "4.13"
    assert format_code(Code.CONTINUE) == "2.31"
    assert [is_request(code) for code in (0x00, 0x01, 0x1F, 0x20, 0x45)] == [False, True, True, False, False]
    assert [is_response(code) for code in (0x00, 0x1F, 0x40, 0xBF, 0xC0)] == [False, False, True, True, False]
    assert [is_success(code) for code in (0x45, 0x84, 0xA0)] == [True, False, False]
