"""How often somebody may call, by a clock that a test moves."""

import pytest

from commandpost.domain.device import Product
from commandpost.domain.device_key import DeviceKey
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.services.access import Access
from commandpost.services.rate_limits import (
    BUCKETS_MAX,
    DEVICES_MAX,
    RateLimits,
    RateSettings,
    TokenBuckets,
    TooFrequent,
)
from tests.fakes.clock import NOW, ManualClock

DEVICE = DeviceId(1)


def access(product_id: int = 1, *, index: bytes | None = None) -> Access:
    product = Product(id=ProductId(product_id), name="p", created_at=NOW)
    key = None
    if index is not None:
        key = DeviceKey(
            product_id=product.id, title="k", sealed=b"", index=index, permissions=(), created_at=Instant(0)
        )
    return Access(product=product, key=key)


def count_allowed(limits: RateLimits, who: Access, tries: int) -> int:
    allowed = 0
    for _ in range(tries):
        try:
            limits.check_call(who)
        except TooFrequent:
            continue
        allowed += 1
    return allowed


def test_without_settings_nobody_is_too_quick() -> None:
    """As it is by default."""
    limits = RateLimits(clock=ManualClock())

    assert count_allowed(limits, access(), 10_000) == 10_000
    for _ in range(100):
        limits.check_instant(DEVICE)


def test_a_product_has_its_rate_and_no_other_pays_for_it() -> None:
    """One second's calls at once, then as many as time gives."""
    clock = ManualClock()
    limits = RateLimits(clock=clock, settings=RateSettings(calls_per_s_per_product=300))

    assert count_allowed(limits, access(1), 1_000) == 300
    assert count_allowed(limits, access(2), 1_000) == 300
    clock.advance(0.1)
    assert count_allowed(limits, access(1), 1_000) == 30
    clock.advance(3600)
    assert count_allowed(limits, access(1), 1_000) == 300


def test_a_key_has_its_own_rate_inside_its_product() -> None:
    """What a key was refused does not count for its product."""
    limits = RateLimits(clock=ManualClock(), settings=RateSettings(calls_per_s_per_product=10, calls_per_s_per_key=3))

    assert count_allowed(limits, access(index=b"a"), 100) == 3
    assert count_allowed(limits, access(index=b"b"), 100) == 3
    assert count_allowed(limits, access(), 100) == 4


def test_a_refusal_says_when_there_is_room_again() -> None:
    """And keeps it."""
    clock = ManualClock()
    limits = RateLimits(clock=clock, settings=RateSettings(calls_per_s_per_product=4))
    assert count_allowed(limits, access(), 4) == 4

    with pytest.raises(TooFrequent, match=r"4 calls/s of one product is the limit: try again in 0\.25 s") as refused:
        limits.check_call(access())

    clock.advance(refused.value.retry_after_s)
    limits.check_call(access())


def test_instant_commands_to_one_device_keep_their_distance() -> None:
    """A refused one does not push the next one away; other devices are other devices."""
    clock = ManualClock()
    limits = RateLimits(clock=clock, settings=RateSettings(instant_gap_ms=1_000))
    limits.check_instant(DEVICE)

    for _ in range(9):
        clock.advance(0.1)
        with pytest.raises(TooFrequent):
            limits.check_instant(DEVICE)
    limits.check_instant(DeviceId(2))
    clock.advance(0.125)
    limits.check_instant(DEVICE)
    with pytest.raises(TooFrequent):
        limits.check_instant(DEVICE)


def test_the_tables_are_bounded() -> None:
    """What is forgotten has its full rate."""
    buckets: TokenBuckets[int] = TokenBuckets(5)
    for number in range(BUCKETS_MAX + 10):
        assert buckets.take(number, 0.0) == 0.0
    limits = RateLimits(clock=ManualClock(), settings=RateSettings(instant_gap_ms=1_000))
    for number in range(DEVICES_MAX + 10):
        limits.check_instant(DeviceId(number + 1))

    assert len(buckets._buckets) == BUCKETS_MAX
    assert len(limits._instants) == DEVICES_MAX
