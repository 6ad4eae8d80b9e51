"""What a wrong credential costs whoever shows it again and again, and whom it costs nothing."""

import asyncio

import pytest

from commandpost.services.failed_logins import (
    ADDRESSES_MAX,
    DELAY_MAX_S,
    FAILURES_FREE,
    WAITING_MAX,
    WAITING_PER_ADDRESS_MAX,
    WINDOW_S,
    FailedLogins,
)
from tests.event_loop import on_event_loop
from tests.fakes.clock import ManualClock

HERE, THERE = "192.0.2.7", "192.0.2.8"


def test_nine_mistakes_in_a_minute_cost_nothing_and_the_tenth_does() -> None:
    """Then twice as much each time, up to five seconds."""
    failed = FailedLogins(clock=ManualClock())

    delays = [failed.note(HERE) for _ in range(20)]

    assert delays[:FAILURES_FREE] == [0.0] * 9
    assert delays[FAILURES_FREE : FAILURES_FREE + 6] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(delays[15:]) == {DELAY_MAX_S}


def test_mistakes_are_forgotten_after_a_minute() -> None:
    """Each by itself."""
    clock = ManualClock()
    failed = FailedLogins(clock=clock)
    for _ in range(9):
        failed.note(HERE)
        clock.advance(WINDOW_S / 10)

    assert failed.note(HERE) == 0.25
    clock.advance(WINDOW_S / 10)
    assert failed.note(HERE) == 0.25
    clock.advance(WINDOW_S)
    assert failed.note(HERE) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (HERE, THERE, False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("no address: at all", "no address: at all", True),
    ],
)
def test_who_shares_a_count(one: str, other: str, is_same: bool) -> None:
    """An address of IPv4, a network of 64 bits of IPv6."""
    failed = FailedLogins(clock=ManualClock())
    for _ in range(9):
        failed.note(one)

    assert (failed.note(other) > 0) is is_same


def test_the_table_of_addresses_is_bounded() -> None:
    """Whoever failed longest ago is forgotten; who fails on is not."""
    failed = FailedLogins(clock=ManualClock())
    for _ in range(9):
        failed.note(HERE)
    for number in range(ADDRESSES_MAX - 1):
        failed.note(f"{number}")
    assert failed.note(HERE) > 0
    for number in range(ADDRESSES_MAX):
        failed.note(f"x{number}")

    assert len(failed._failures) == ADDRESSES_MAX
    assert failed.note(HERE) == 0.0


@on_event_loop
async def test_only_so_many_answers_wait() -> None:
    """Of one address and of all; who would be one too many is cut off, and the others go on."""
    gate = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await gate.wait()

    failed = FailedLogins(clock=ManualClock(), sleep=sleep)
    addresses = [f"10.0.0.{number}" for number in range(WAITING_MAX // WAITING_PER_ADDRESS_MAX)]
    for address in (*addresses, THERE):
        for _ in range(9):
            failed.note(address)

    waiting = [asyncio.ensure_future(failed.failed(each)) for each in addresses for _ in range(WAITING_PER_ADDRESS_MAX)]
    await asyncio.sleep(0)

    assert await failed.failed(addresses[0]) is False
    assert await failed.failed(THERE) is False
    gate.set()
    assert set(await asyncio.gather(*waiting)) == {True}
    assert await failed.failed(THERE) is True
