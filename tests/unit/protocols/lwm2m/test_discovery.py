"""Answers to Discover: what modules and generic clients really list."""

import pytest

from commandpost.domain.resource import DiscoveredInstance, DiscoveredObject
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.lwm2m.discovery import decode_discovery, encode_discovery
from tests.unit.protocols.lwm2m.trees import path_of

FOUND = DiscoveredObject(3303, (DiscoveredInstance(0, (5700, 5701)), DiscoveredInstance(1, (5700,))))


@pytest.mark.parametrize(
    "payload",
    [
        b"</3303>,</3303/0/5700>,</3303/0/5701>,</3303/1/5700>",
        b"</3303>;pmin=5,</3303/0>;dim=2,</3303/0/5700>;gt=25.5,</3303/0/5701>,</3303/1>,</3303/1/5700>",
        b"</3303/1/5700>,</3303/0/5701>,</3303/0/5700>,</3303/0/5700>",
        b"</3303/0/5700>,</3303/0/5701>,</3303/1/5700>,</3304/0/5700>,</3/0>,</x>",
        b"</3303/0/5700/0>,</3303/0/5701>,</3303/1/5700>",
    ],
    ids=["module", "attributes", "repeated and mixed", "others", "resource instance"],
)
def test_object_is_discovered(payload: bytes) -> None:
    assert decode_discovery(payload, path=path_of("/3303")) == FOUND


def test_instance_is_discovered() -> None:
    found = decode_discovery(b"</3303/0>,</3303/0/5700>,</3303/1/5700>", path=path_of("/3303/0"))

    assert found == DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)),))


def test_instance_without_resources_is_still_there() -> None:
    assert decode_discovery(b"", path=path_of("/3303/0")) == DiscoveredObject(3303, (DiscoveredInstance(0, ()),))
    assert decode_discovery(b"</3303>", path=path_of("/3303")) == DiscoveredObject(3303, ())


def test_alternate_path_is_taken_off_where_it_is() -> None:
    payload = b"</lwm2m/3303/0/5700>,</3303/0/5701>,</lwm2m/3303/1/5700>"

    assert decode_discovery(payload, path=path_of("/3303"), alternate_path=("lwm2m",)) == FOUND


@pytest.mark.parametrize("payload", [b"5700;5701", b"</3303", b"\xff"])
def test_answer_that_is_no_list_of_links_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_discovery(payload, path=path_of("/3303"))


def test_device_lists_instances_as_the_standard_wants() -> None:
    encoded = encode_discovery(FOUND, path=path_of("/3303"))

    assert encoded == b"</3303>,</3303/0>,</3303/0/5700>,</3303/0/5701>,</3303/1>,</3303/1/5700>"
    assert decode_discovery(encoded, path=path_of("/3303")) == FOUND


def test_device_lists_resources_only_as_modules_do() -> None:
    encoded = encode_discovery(FOUND, path=path_of("/3303"), lists_instances=False)

    assert encoded == b"</3303>,</3303/0/5700>,</3303/0/5701>,</3303/1/5700>"


def test_device_lists_one_instance_once() -> None:
    found = DiscoveredObject(3303, (DiscoveredInstance(0, (5700,)),))

    assert encode_discovery(found, path=path_of("/3303/0")) == b"</3303/0>,</3303/0/5700>"
