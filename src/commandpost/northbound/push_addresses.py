"""Which addresses pushes may go to: by default none that lies inside somebody's own network.

A url that a caller chose would else let this server make requests for him where he cannot reach (SSRF). Here: the rule,
and a resolver that keeps to it, so that what was checked is what is connected to. Source: IANA special-purpose address
registries (RFC 6890); RFC 6052 (NAT64), 3056 (6to4), 4380 (Teredo).
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

RESOLVER_THREADS: Final = 16  # names are asked for once at a time each; a name server that hangs holds one for each
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_MASK: Final = 0xFFFFFFFF


class AddressRefused(OSError):
    """A name leads, or an address is one, where pushes may not go."""


def is_public(address: IpAddress) -> bool:
    """Tell whether an address is one of the open internet, whatever form it is written in."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    is_special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    if isinstance(address, ipaddress.IPv6Address):
        is_special = is_special or address.is_site_local
    return address.is_global and not is_special


def check_host(host: str) -> None:
    """Refuse a host that is an address where pushes may not go; a name is looked at when it is resolved.

    Raises:
        AddressRefused: it is such an address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not is_public(address):
        raise AddressRefused(f"{host} is not an address of the open internet")


class CheckedResolver(AbstractResolver):
    """Resolves names, and gives none of the addresses of a name that has one where pushes may not go."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="push-names")
        self._asked: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses of a name; a name that is being asked for already is not asked for twice.

        Raises:
            AddressRefused: one of them is not allowed.
            OSError: the name is not known.
        """
        place = host, port, int(family)
        asked = self._asked.get(place)
        if asked is None:
            asked = asyncio.ensure_future(self._resolve(host, port, family))
            self._asked[place] = asked
            asked.add_done_callback(lambda done: self._forget(place, done))
        # Shielded: whoever gives up does not take the answer from the others.
        return await asyncio.shield(asked)

    async def close(self) -> None:
        """Let go of the threads; one that hangs in a name server ends by itself."""
        for asked in list(self._asked.values()):
            asked.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _resolve(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        if not self._allow_private:
            for _, _, _, _, address in found:
                check_host(str(address[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=each_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each_family, _, proto, _, address in found
        ]

    def _forget(self, place: tuple[str, int, int], done: "asyncio.Future[list[ResolveResult]]") -> None:
        self._asked.pop(place, None)
        if not done.cancelled():
            done.exception()  # seen here, should everybody who asked have given up


def _embedded(address: IpAddress) -> ipaddress.IPv4Address | None:
    """Give the IPv4 address that an IPv6 one leads to, if it does."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _IPV4_MASK)
    return None
