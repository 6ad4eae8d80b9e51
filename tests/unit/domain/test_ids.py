"""Ids, and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.ids import (
    CommandId,
    format_command_id,
    parse_command_id,
    parse_device_id,
    parse_product_id,
    shape_command_id,
)


@given(st.binary(min_size=16, max_size=16))
def test_text_and_bytes_are_the_same_id(raw: bytes) -> None:
    command_id = CommandId(raw)
    text = format_command_id(command_id)
    assert len(text) == 36
    assert parse_command_id(text) == parse_command_id(text.upper()) == command_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42742677-adc3-54ca-83a1-5aaaf71482f",
        "42742677-adc3-54ca-83a1-5aaaf71482f8a",
        "42742677adc3-54ca-83a1-5aaaf71482f8-",
        "42742677-adc3-54ca-83a1-5aaaf71482fg",
        "42742677-adc3-54ca-83a1-5aaaf71482 8",
        "٤٢742677-adc3-54ca-83a1-5aaaf71482f8",
        "42742677-adc3-54ca-83a1--aaaf71482f8",
        "{2742677-adc3-54ca-83a1-5aaaf71482f}",
    ],
)
def test_what_is_not_an_id_is_none(text: str) -> None:
    assert parse_command_id(text) is None


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_none(text: str) -> None:
    parsed = parse_command_id(text)
    assert parsed is None or format_command_id(parsed) == text.lower()


def test_the_greatest_ids_are_read_and_nothing_beyond_them() -> None:
    """A number that no store can hold names nothing; a store would fail over it."""
    assert parse_product_id("9223372036854775807") == 2**63 - 1
    assert parse_product_id("9223372036854775808") is None
    assert parse_device_id("4294967295") == 2**32 - 1
    assert parse_device_id("4294967296") is None


@pytest.mark.parametrize("text", ["", "0", "+1", "-1", " 1", "1_0", "٣", "x", "1" * 5_000])
def test_what_is_not_digits_of_an_id_is_none(text: str) -> None:
    """Neither a sign nor other alphabets' digits, and no length at all, is anything but an unknown id."""
    assert parse_product_id(text) is None
    assert parse_device_id(text) is None


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_new_id_has_its_time_in_front_and_the_shape_of_version_5(now_ms: int, random_bytes: bytes) -> None:
    command_id = shape_command_id(now_ms, random_bytes)
    text = format_command_id(command_id)
    assert int.from_bytes(command_id[:6], "big") == now_ms
    assert text[14] == "5"
    assert text[19] in "89ab"


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="9 bytes"):
        shape_command_id(0, bytes(9))
