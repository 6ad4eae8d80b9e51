"""Where pushes may go: every range that is somebody's own is refused, in every way of writing it."""

import ipaddress

import pytest

from commandpost.northbound.push_addresses import AddressRefused, check_host, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2001:0:0:0:0:0:80ff:fffe",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_special_addresses_are_refused(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, reserved, documentation; and IPv4 inside of IPv6."""
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(AddressRefused):
        check_host(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_of_the_open_internet_are_not(address: str) -> None:
    """Also one that NAT64 wraps."""
    assert is_public(ipaddress.ip_address(address))


def test_a_name_is_looked_at_when_it_is_resolved() -> None:
    """Here it is nobody's address yet."""
    check_host("receiver.example")
