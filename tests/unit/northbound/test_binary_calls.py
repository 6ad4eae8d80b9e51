"""`/bindata`: bytes in, the same bytes out."""

import pytest

from commandpost.services.datapoints import DataOrigin, NewBinary
from tests.fakes.services import NOW, OTHER_KEY
from tests.unit.northbound.fakes import INDEX
from tests.unit.northbound.house import DEVICE_ID, OTHER_PRODUCTS_DEVICE_ID, House


def test_binary_data_is_stored_with_what_is_said_of_it() -> None:
    """Bytes unchanged; the index names them."""
    house = House()

    answer = house.envelope("POST", f"/bindata?device_id={DEVICE_ID}&datastream_id=pic&desc=front%20door", b"\x00\xff")

    assert answer["data"] == {"index": f"{DEVICE_ID}_{NOW}_pic"}
    assert house.datapoints.added_binaries == [
        NewBinary(stream_id="pic", payload=b"\x00\xff", at=NOW, description="front door")
    ]
    assert house.datapoints.origins == [DataOrigin.APPLICATION]


def test_binary_data_is_given_back_as_it_is() -> None:
    """No envelope."""
    response = House().ask("GET", f"/bindata/{INDEX}")

    assert (response.status, response.body) == (200, b"\x00\xff\x01")
    assert response.content_type == b"application/octet-stream"


@pytest.mark.parametrize(
    ("query", "body", "errno"),
    [
        ("", b"x", 7),
        (f"?device_id={DEVICE_ID}", b"x", 7),
        ("?datastream_id=pic", b"x", 7),
        ("?device_id=999&datastream_id=pic", b"x", 8),
        (f"?device_id={OTHER_PRODUCTS_DEVICE_ID}&datastream_id=pic", b"x", 8),
        (f"?device_id={DEVICE_ID}&datastream_id={'x' * 65}", b"x", 6),
        (f"?device_id={DEVICE_ID}&datastream_id=pic&desc={'x' * 1025}", b"x", 6),
        (f"?device_id={DEVICE_ID}&datastream_id=pic", b"", 9),
        (f"?device_id={DEVICE_ID}&datastream_id=pic", b"x" * 819_201, 5),
        (f"?device_id={DEVICE_ID}&datastream_id=pic", b"x" * 819_200, 0),
    ],
)
def test_binary_data_at_its_limits(query: str, body: bytes, errno: int) -> None:
    """Missing 7, unknown 8, wrong 6, empty 9, over 800 K 5."""
    assert House().envelope("POST", f"/bindata{query}", body)["errno"] == errno


@pytest.mark.parametrize("index", ["x", "", "..", "\0", "\ud800", "x" * 300, f"{INDEX}x", "a/b"])
def test_binary_data_that_does_not_exist_is_errno_8(index: str) -> None:
    """Whatever the index looks like."""
    house = House()
    if not index:
        assert house.ask("GET", "/bindata/").status == 404
        return

    answer = house.envelope_of(house.ask_path("GET", f"/bindata/{index}", ("", "bindata", index)))

    assert answer["errno"] == 8


def test_another_products_binary_data_looks_like_none() -> None:
    """P12: an index can be guessed."""
    house = House()

    theirs = house.ask("GET", f"/bindata/{INDEX}", key=OTHER_KEY)
    house.datapoints.binaries.clear()
    unknown = house.ask("GET", f"/bindata/{INDEX}", key=OTHER_KEY)

    assert theirs.body == unknown.body == f'{{"errno":8,"error":"not found: index {INDEX}"}}'.encode()
