"""When a notification was measured, as far as its order tells: the network may deliver the older one later.

Here: the time a notification's points get. Not here: times that stand in its payload, which count as they are.
Source: RFC 7641 section 3.4; southbound reference 1.7.
"""

from dataclasses import dataclass
from typing import Final

from commandpost.domain.instant import Instant
from commandpost.protocols.coap.generations import GenerationTable
from commandpost.protocols.coap.observe import FRESH_BY_AGE_S, is_fresh

ORDERS_MAX: Final = 131_072
"""Observations with a notification in the last 128 s; some 200 bytes each. One that is forgotten early may let a
reordered notification pass for the latest, nothing else."""


@dataclass(frozen=True, slots=True)
class _Newest:
    number: int
    heard_at: float
    at: Instant


class NotificationOrder:
    """Remembers the newest notification of each observation for as long as an older one may still come."""

    def __init__(self) -> None:
        self._newest: GenerationTable[bytes, _Newest] = GenerationTable(
            entries_max=ORDERS_MAX, lifetime_s=FRESH_BY_AGE_S
        )

    def begin(self, coap_token: bytes, number: int | None, *, arrived_at: Instant, now: float) -> Instant:
        """Give the time of the answer to an Observe; whatever its number, an order of its own begins with it.

        A path that is observed again keeps its token, and devices then count from the start.
        """
        if number is not None:
            self._newest.put(coap_token, _Newest(number, now, arrived_at), now=now)
        return arrived_at

    def date(self, coap_token: bytes, number: int | None, *, arrived_at: Instant, now: float) -> Instant:
        """Give the time of a notification that arrived now: that of its arrival, or just before the newest.

        The latest point of a stream is the one with the latest time. So what is not fresh is dated a millisecond
        before the newest of its observation: it is kept, and it is never taken for the latest, nor for as late.

        Args:
            coap_token: the observation's.
            number: its Observe value; None where there is none, then nothing is known of its order.
            now: on the monotonic clock.
        """
        if number is None:
            return arrived_at
        newest = self._newest.get(coap_token)
        if newest is None or is_fresh(previous=newest.number, previous_at=newest.heard_at, current=number, now=now):
            return self.begin(coap_token, number, arrived_at=arrived_at, now=now)
        return Instant(newest.at - 1)
