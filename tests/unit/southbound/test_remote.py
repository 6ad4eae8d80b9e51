"""Socket addresses as remotes and back."""

import pytest

from commandpost.domain.session import Remote
from commandpost.southbound.remote import (
    LISTENERS_MAX,
    SocketAddress,
    decode_remote,
    encode_association,
    encode_remote,
    format_remote,
    host_of,
    is_association,
    listener_of,
)

ADDRESSES: list[tuple[SocketAddress, int, str, str]] = [
    (("192.0.2.1", 5683), 0, "00c00002011633", "192.0.2.1:5683"),
    (("255.255.255.255", 65535), 127, "7fffffffffffff", "255.255.255.255:65535"),
    (("2001:db8::1", 5684, 0, 0), 1, "0120010db80000000000000000000000011634", "[2001:db8::1]:5684"),
    (("fe80::1%eth0", 1, 0, 3), 2, "02fe800000000000000000000000000001000100000003", "[fe80::1%3]:1"),
]


@pytest.mark.parametrize(("address", "listener", "packed", "text"), ADDRESSES)
def test_every_kind_of_address_has_one_form(address: SocketAddress, listener: int, packed: str, text: str) -> None:
    """Listener, address, port and scope come back; the text is for people."""
    remote = encode_remote(address, listener=listener)

    assert remote.hex() == packed
    assert len(remote) <= 32
    assert encode_remote(decode_remote(remote), listener=listener) == remote
    assert listener_of(remote) == listener
    assert format_remote(remote) == text


@pytest.mark.parametrize(("address", "listener"), [(("example.org", 1), 0), (("192.0.2.1", 1), 128), (("::", 1), 0)])
def test_what_is_no_numeric_address_is_refused(address: SocketAddress, listener: int) -> None:
    """Names are for the resolver, and listeners are few."""
    with pytest.raises(ValueError):
        encode_remote(address, listener=listener)


def test_remote_of_another_transport_is_shown_as_it_is() -> None:
    """Logs must not fail over a remote from elsewhere."""
    with pytest.raises(ValueError, match="5 bytes"):
        decode_remote(Remote(b"other"))

    assert format_remote(Remote(b"other")) == "6f74686572"
    assert format_remote(None) == "-"


def test_budgets_see_the_host_not_the_port() -> None:
    """Ports are free for whoever spoofs; an IPv6 host owns its whole /64."""
    one = encode_remote(("192.0.2.1", 1))
    same_host = encode_remote(("192.0.2.1", 2))
    neighbour = encode_remote(("2001:db8:0:1::1", 1, 0, 0))
    same_net = encode_remote(("2001:db8:0:1:ffff::2", 9, 0, 0))

    assert host_of(one) == host_of(same_host)
    assert host_of(neighbour) == host_of(same_net)
    assert host_of(one) != host_of(neighbour)
    assert host_of(Remote(b"other")) == b"other"


def test_an_association_is_named_not_placed() -> None:
    """Its listener is counted apart; each is a host of its own, because each has proved who it is."""
    remote = encode_association(b"12345678", listener=1)

    assert remote == b"\x8112345678"
    assert is_association(remote)
    assert not is_association(encode_remote(("192.0.2.1", 1)))
    assert listener_of(remote) == LISTENERS_MAX + 1
    assert format_remote(remote) == "dtls:3132333435363738"
    assert host_of(remote) == remote
    with pytest.raises(ValueError):
        decode_remote(remote)
