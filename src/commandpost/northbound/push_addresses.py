"""Which addresses pushes may go to: by default none that lies inside somebody's own network.

A url that a caller chose would else let this server make requests for him where he cannot reach (SSRF). Here: the rule,
and a resolver that keeps to it, so that what was checked is what is connected to. Source: IANA special-purpose address
registries (RFC 6890); RFC 6052 (NAT64), 3056 (6to4), 4380 (Teredo).
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from aiohttp.abc import AbstractResolver, ResolveResult

AddressesT = TypeVar("AddressesT")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketAddress = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""As `getaddrinfo` gives it; Any: each family's has its own parts."""

RESOLVER_THREADS: Final = 16  # of each kind; a name is asked for once at a time, and holds one while its server hangs
LOOKUPS_MAX: Final = 32  # of each kind, waiting ones included: more would wait longer than a push does
PROMPT_S: Final = 1.0  # a name server that is well answers in a tenth of it
PROMPT_NAMES_MAX: Final = 10_000  # some 150 bytes each; one that is forgotten is asked for as a new one
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
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
        AddressRefused: it is such an address, or one in a form that only old resolvers read, such as `127.1`.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):  # no name ends in one (WHATWG URL, section 3.5)
            raise AddressRefused(f"{host} is neither a name nor an address of four decimals") from None
        return
    if not is_public(address):
        raise AddressRefused(f"{host} is not an address of the open internet")


class LookupRefused(OSError):
    """So many names are being asked for that one more would not be known in time."""


class _Lookups:
    """Threads that ask name servers, and how many lookups they have."""

    def __init__(self, name: str) -> None:
        self.threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix=name)
        self._open = 0

    async def run(self, ask: Callable[[], AddressesT]) -> AddressesT:
        """Ask in a thread.

        Raises:
            LookupRefused: they have enough to do.
        """
        if self._open >= LOOKUPS_MAX:
            raise LookupRefused("too many names are being asked for")
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, ask)
        finally:
            self._open -= 1


class CheckedResolver(AbstractResolver):
    """Resolves names, and gives none of the addresses of a name that has one where pushes may not go.

    Names that were promptly known the last time have threads of their own: whoever makes up names whose servers hang
    delays others who do so, and new names, but no receiver that is well.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._for_prompt = _Lookups("push-names")
        self._for_others = _Lookups("push-new-names")
        self._prompt: dict[str, None] = {}
        """Names that were promptly known; the one that was asked for longest ago is forgotten first."""
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[SocketAddress]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses of a name; a name that is being asked for already is not asked for twice.

        Raises:
            AddressRefused: one of them is not allowed.
            LookupRefused: too many others are being asked for.
            OSError: the name is not known.
        """
        name = host, int(family)
        asked = self._asked.get(name)
        if asked is None:
            asked = asyncio.ensure_future(self._look_up(host, family))
            self._asked[name] = asked
            asked.add_done_callback(lambda done: self._forget(name, done))
        # Shielded: whoever gives up does not take the answer from the others.
        found = await asyncio.shield(asked)
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

    async def close(self) -> None:
        """Let go of the threads; one that hangs in a name server ends by itself."""
        for asked in list(self._asked.values()):
            asked.cancel()
        for lookups in (self._for_prompt, self._for_others):
            lookups.threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, family: socket.AddressFamily) -> Sequence[SocketAddress]:
        now = asyncio.get_running_loop().time

        def ask() -> tuple[Sequence[SocketAddress] | OSError, float]:
            begun = now()
            try:
                return socket.getaddrinfo(host, 0, family=family, type=socket.SOCK_STREAM), now() - begun
            except OSError as error:
                return error, now() - begun

        was_prompt = host in self._prompt
        found, took_s = await (self._for_prompt if was_prompt else self._for_others).run(ask)
        self._prompt.pop(host, None)
        if took_s <= PROMPT_S and (was_prompt or not isinstance(found, OSError)):
            if len(self._prompt) >= PROMPT_NAMES_MAX:
                del self._prompt[next(iter(self._prompt))]
            self._prompt[host] = None
        if isinstance(found, OSError):
            raise found
        return found

    def _forget(self, name: tuple[str, int], done: "asyncio.Future[Sequence[SocketAddress]]") -> None:
        self._asked.pop(name, None)
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
