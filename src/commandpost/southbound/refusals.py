"""How many refusals leave the house: per host and in all, so that nobody can make us shout at a third party.

A spoofed request costs its sender 60 bytes; what we send back goes to the address it named (southbound reference 4.4).
Accepted registrations, updates and notifications never ask here.
"""

from commandpost.protocols.coap.budget import Budget
from commandpost.protocols.coap.generations import GenerationTable

_HOST_FORGOTTEN_S = 60.0  # by then its budget has long refilled


class RefusalBudget:
    """Token buckets on the caller's clock; bounded in memory however many hosts there are."""

    __slots__ = ("_all", "_host_burst", "_host_per_s", "_hosts", "granted", "suppressed")

    def __init__(self, *, per_s: float, burst: int, host_per_s: float, host_burst: int, hosts_max: int) -> None:
        self._all = Budget(per_s=per_s, burst=burst)
        self._host_per_s = host_per_s
        self._host_burst = host_burst
        self._hosts: GenerationTable[bytes, Budget] = GenerationTable(
            entries_max=hosts_max, lifetime_s=_HOST_FORGOTTEN_S
        )
        self.granted = 0
        self.suppressed = 0

    def take(self, host: bytes, *, now: float) -> bool:
        """Spend one refusal to a host, if both it and the house have one."""
        budget = self._hosts.get(host)
        if budget is None:
            budget = Budget(per_s=self._host_per_s, burst=self._host_burst)
            self._hosts.put(host, budget, now=now)
        # The host first: what it may not have must not be taken from the others.
        if budget.take(now=now) and self._all.take(now=now):
            self.granted += 1
            return True
        self.suppressed += 1
        return False
