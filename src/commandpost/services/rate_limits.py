"""How often an application may call: per product, per device-level key, and between instant commands to one device.

Off unless it is set (design 10.6). Here: counting, by a clock that is handed in. Not here: what a refusal looks like.
Source: northbound reference 1.6.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from commandpost.domain.errors import DomainError
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.ports import Clock
from commandpost.services.access import Access

NameT = TypeVar("NameT", bound=Hashable)

BUCKETS_MAX: Final = 10_000  # products or keys that call within one moment; one that is forgotten has its full rate
DEVICES_MAX: Final = 100_000  # instant commands of the last gap; more than a node runs in a second


class TooFrequent(DomainError):
    """The caller is too quick; trying again after `retry_after_s` makes sense."""

    code = "too_frequent"

    def __init__(self, limit: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"{limit} is the limit: try again in {retry_after_s:.3g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """The limits; 0: none."""

    calls_per_s_per_product: int = 0
    calls_per_s_per_key: int = 0
    instant_gap_ms: int = 0


class RateLimits:
    """See the module."""

    def __init__(self, *, clock: Clock, settings: RateSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or RateSettings()
        self._products: TokenBuckets[int] = TokenBuckets(self._settings.calls_per_s_per_product)
        self._keys: TokenBuckets[bytes] = TokenBuckets(self._settings.calls_per_s_per_key)
        self._instants: dict[DeviceId, float] = {}

    def check_call(self, access: Access) -> None:
        """Count a call of somebody who was recognised.

        Raises:
            TooFrequent: it is one too many.
        """
        now = self._clock.monotonic()
        if self._keys.rate and access.key is not None:
            wait_s = self._keys.take(access.key.index, now)
            if wait_s:
                raise TooFrequent(f"{self._keys.rate} calls/s of one key", wait_s)
        if self._products.rate:
            wait_s = self._products.take(access.product.id, now)
            if wait_s:
                raise TooFrequent(f"{self._products.rate} calls/s of one product", wait_s)

    def check_instant(self, device_id: DeviceId) -> None:
        """Count an instant command to a device.

        Raises:
            TooFrequent: the last one was a moment ago.
        """
        gap_s = self._settings.instant_gap_ms / SECOND_MS
        if not gap_s:
            return
        now = self._clock.monotonic()
        wait_s = self._instants.pop(device_id, now - gap_s) + gap_s - now
        if wait_s > 0:
            self._instants[device_id] = now + wait_s - gap_s
            raise TooFrequent(f"1 instant command to a device in {gap_s:g} s", wait_s)
        if len(self._instants) >= DEVICES_MAX:
            del self._instants[next(iter(self._instants))]
        self._instants[device_id] = now


class TokenBuckets(Generic[NameT]):
    """A bucket per name: full it holds one second's calls, and it fills up at that rate."""

    def __init__(self, rate: int) -> None:
        """Take the rate in calls a second; 0: nothing is counted."""
        self.rate = rate
        self._buckets: dict[NameT, tuple[float, float]] = {}
        """What is left, and when that was so; the one that was used longest ago is forgotten first."""

    def take(self, name: NameT, now: float) -> float:
        """Take one; gives 0, or how long to wait until there is one again, in seconds."""
        left, at = self._buckets.pop(name, (float(self.rate), now))
        left = min(left + (now - at) * self.rate, float(self.rate))
        wait_s = 0.0 if left >= 1 else (1 - left) / self.rate
        if len(self._buckets) >= BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[name] = (left if wait_s else left - 1), now
        return wait_s
