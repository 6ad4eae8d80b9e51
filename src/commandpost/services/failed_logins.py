"""Slower answers for an address whose credentials are wrong again and again.

A right credential is never refused and never made to wait: credentials are looked at first, and only the answer to a
wrong one is late. So nobody can lock somebody else out, not from behind the same address either. Source: design 10.6.
"""

import asyncio
import ipaddress
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from commandpost.domain.ports import Clock

WINDOW_S: Final = 60.0  # design 10.6
FAILURES_FREE: Final = 9  # the back-off starts at the 10th (design 10.6)
DELAY_FIRST_S: Final = 0.25
DELAY_MAX_S: Final = 5.0  # longer, and a client gives up and comes again on another connection
ADDRESSES_MAX: Final = 10_000  # a kilobyte each; whoever has more addresses than that is not slowed by address
WAITING_MAX: Final = 256  # answers that are late, of all addresses: each holds a connection
WAITING_PER_ADDRESS_MAX: Final = 16
_COUNTED_MAX: Final = 16  # of one address: with more the delay grows no more


class FailedLogins:
    """Counts wrong credentials by address. HTTP, MQTT and EDP share one."""

    def __init__(self, *, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._failures: dict[str, deque[float]] = {}
        self._waiting: dict[str, int] = {}
        self._waiting_all = 0

    def note(self, remote: str) -> float:
        """A credential shown from an address was wrong; gives for how long the answer ought to wait, in seconds."""
        address, now = _address(remote), self._clock.monotonic()
        failures = self._failures.pop(address, None) or deque(maxlen=_COUNTED_MAX)
        while failures and failures[0] <= now - WINDOW_S:
            failures.popleft()
        failures.append(now)
        if len(self._failures) >= ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = failures  # at the end: the one that failed longest ago is forgotten first
        excess = len(failures) - FAILURES_FREE
        return 0.0 if excess <= 0 else min(DELAY_FIRST_S * 2.0 ** (excess - 1), DELAY_MAX_S)

    async def failed(self, remote: str) -> bool:
        """Note it, and wait as long as the answer has to. False: too many wait already, so end the connection."""
        delay = self.note(remote)
        if delay == 0:
            return True
        address = _address(remote)
        if self._waiting_all >= WAITING_MAX or self._waiting.get(address, 0) >= WAITING_PER_ADDRESS_MAX:
            return False
        self._waiting_all += 1
        self._waiting[address] = self._waiting.get(address, 0) + 1
        try:
            await self._sleep(delay)
        finally:
            self._waiting_all -= 1
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        return True


def _address(remote: str) -> str:
    """Give what an address is counted by: of IPv6 the network of a customer, who has 2**64 addresses in it."""
    if ":" not in remote:
        return remote
    try:
        return str(ipaddress.IPv6Network((remote.partition("%")[0], 64), strict=False))
    except ValueError:
        return remote
