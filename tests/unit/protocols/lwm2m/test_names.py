"""Textual paths."""

import pytest

from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.names import parse_id, parse_path, resolve_name
from tests.unit.protocols.lwm2m.trees import path_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/3303/0/5700", (3303, 0, 5700)),
        ("3303/0/", (3303, 0)),
        ("/", ()),
        ("", ()),
        ("/1/2/3/4", (1, 2, 3, 4)),
        ("/1/2/3/4/5", None),
        ("/65535", (65535,)),
        ("/65536", None),
        ("/-1", None),
        ("/1//2", None),
        ("/x", None),
        ("/" + "1/" * 1000, None),
    ],
    ids=lambda part: str(part)[:20],
)
def test_path_is_parsed(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_path(text) == expected


@pytest.mark.parametrize("text", ["", "+1", " 1", "1_0", "١", "100000", "65536", "0x1"])
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_id(text) is None


def test_relative_name_counts_from_the_path_asked() -> None:
    assert resolve_name("5700", path=path_of("/3303/0")) == (3303, 0, 5700)
    assert resolve_name("/3303/0/5700", path=path_of("/3303/0")) == (3303, 0, 5700)
    with pytest.raises(DecodeError):
        resolve_name("temperature", path=path_of("/3303/0"))
