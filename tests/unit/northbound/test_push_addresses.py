"""Where pushes may go: every range that is somebody's own is refused, in every way of writing it."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from commandpost.northbound.push_addresses import (
    LOOKUPS_MAX,
    RESOLVER_THREADS,
    AddressRefused,
    CheckedResolver,
    LookupRefused,
    check_host,
    is_public,
)
from tests.event_loop import on_event_loop

PATIENCE_S = 10.0


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


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0", "0x7f.1", "0x7f000001", "1.1.1.1.", "a.0x"])
def test_an_address_in_a_form_of_old_resolvers_is_refused(host: str) -> None:
    """No name ends in a number; the resolver would not take it for one either, when it is too late to tell anybody."""
    with pytest.raises(AddressRefused):
        check_host(host)


def test_a_name_is_looked_at_when_it_is_resolved() -> None:
    """Here it is nobody's address yet."""
    check_host("receiver.example")


class NameServers:
    """Those of names that hang, until a test lets go of them, and those of all others, which are prompt."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.asked: list[str] = []
        self.release = threading.Event()

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked.append(host)
        if host in self.hanging:
            self.release.wait(PATIENCE_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    """What the system's resolver knows."""
    made = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.release.set()


async def addresses(resolver: CheckedResolver, host: str) -> list[tuple[str, int]]:
    async with asyncio.timeout(PATIENCE_S / 2):
        return [(each["host"], each["port"]) for each in await resolver.resolve(host, 8080)]


@on_event_loop
async def test_name_servers_that_hang_delay_no_receiver_that_is_well(servers: NameServers) -> None:
    """However many names somebody makes up; what he asks beyond a bound is refused at once."""
    resolver = CheckedResolver(allow_private=False)
    assert await addresses(resolver, "well.example") == [("93.184.216.34", 8080)]
    servers.hanging = {f"{number}.hangs.example" for number in range(100)}

    hung = [asyncio.ensure_future(resolver.resolve(host, port)) for host in servers.hanging for port in (80, 443)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert await addresses(resolver, "well.example") == [("93.184.216.34", 8080)]
    assert len(servers.asked) <= 2 + RESOLVER_THREADS
    refused = [each for each in hung if each.done() and isinstance(each.exception(), LookupRefused)]
    assert len(refused) == 2 * (100 - LOOKUPS_MAX)
    servers.release.set()
    await asyncio.gather(*hung, return_exceptions=True)
    await resolver.close()


@on_event_loop
async def test_a_name_that_was_slow_waits_with_the_others(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its good name lasts until it hangs: then it is asked for where it can delay nobody."""
    monkeypatch.setattr("commandpost.northbound.push_addresses.PROMPT_S", 0.0)
    resolver = CheckedResolver(allow_private=False)
    await addresses(resolver, "slow.example")
    servers.hanging = {f"{number}.hangs.example" for number in range(LOOKUPS_MAX)}
    hung = [asyncio.ensure_future(resolver.resolve(host, 80)) for host in servers.hanging]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(LookupRefused):
        await addresses(resolver, "slow.example")

    servers.release.set()
    await asyncio.gather(*hung)
    await resolver.close()
