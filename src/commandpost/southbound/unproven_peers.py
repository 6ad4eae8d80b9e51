"""Addresses that may be somebody else's: what goes there unasked stays below three times what came from there.

A Register, an Update or a bootstrap with a forged source costs its sender one datagram, and would make us send several
to whoever lives there, each up to four times. So until a response with our token has come back from an address, setup
and bootstrap spend a credit of what was received. An application's command lifts the doubt: nobody can forge that one.
Source: southbound reference 4.4, in the spirit of RFC 7252 section 11.3 and of the three times of RFC 9147.
"""

from typing import Final

from commandpost.domain.session import Remote
from commandpost.protocols.coap.generations import GenerationTable

CREDIT_PER_BYTE: Final = 3  # southbound reference 4.4
UNPROVEN_MAX: Final = 65_536  # a fleet that comes back at once; each is proven by its first answer


class UnprovenPeers:
    """The addresses in doubt, each with the bytes it may still be sent."""

    __slots__ = ("_credit", "withheld")

    def __init__(self, *, idle_s: float) -> None:
        """Doubt addresses for as long as peers are known, so that time proves nothing."""
        self._credit: GenerationTable[Remote, int] = GenerationTable(entries_max=UNPROVEN_MAX, lifetime_s=idle_s)
        self.withheld = 0
        """Datagrams that were not sent because the credit was spent."""

    def __contains__(self, remote: Remote) -> bool:
        """Tell whether the address is in doubt."""
        return remote in self._credit

    def __len__(self) -> int:
        """Count the addresses in doubt, some of them twice."""
        return len(self._credit)

    def doubt(self, remote: Remote, received_bytes: int, *, now: float) -> None:
        """Doubt an address from which this much came; what came earlier was answered earlier."""
        if remote not in self._credit:
            self._credit.put(remote, CREDIT_PER_BYTE * received_bytes, now=now)

    def receive(self, remote: Remote, received_bytes: int) -> None:
        """Add to the credit of an address in doubt."""
        credit = self._credit.get(remote)
        if credit is not None:
            self._credit.replace(remote, credit + CREDIT_PER_BYTE * received_bytes)

    def spend(self, remote: Remote, sent_bytes: int) -> bool:
        """Tell whether a datagram may go to an address; the credit of one in doubt is spent by it."""
        credit = self._credit.get(remote)
        if credit is None:
            return True
        if credit < sent_bytes:
            self.withheld += 1
            return False
        self._credit.replace(remote, credit - sent_bytes)
        return True

    def trust(self, remote: Remote) -> None:
        """End the doubt: the address has answered, or an application wants something of its device."""
        self._credit.discard(remote)
