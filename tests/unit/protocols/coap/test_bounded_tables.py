"""The small parts that keep an endpoint bounded: tables that forget, the deadline heap, budgets."""

from commandpost.protocols.coap.budget import Budget
from commandpost.protocols.coap.deadlines import DeadlineHeap, Timer
from commandpost.protocols.coap.generations import GenerationTable


def test_an_entry_lives_one_to_two_lifetimes() -> None:
    """Unless the table is full."""
    table: GenerationTable[str, int] = GenerationTable(entries_max=100, lifetime_s=10.0)
    table.put("a", 1, now=0.0)
    table.put("b", 2, now=10.0)
    assert (table.get("a"), table.get("b")) == (1, 2)
    table.put("c", 3, now=20.0)

    assert (table.get("a"), table.get("b"), table.get("c")) == (None, 2, 3)
    assert "a" not in table
    assert "b" in table


def test_after_a_long_silence_everything_is_forgotten() -> None:
    """Both generations are too old."""
    table: GenerationTable[str, int] = GenerationTable(entries_max=100, lifetime_s=10.0)
    table.put("a", 1, now=0.0)
    table.put("b", 2, now=1_000.0)

    assert len(table) == 1


def test_the_bound_holds_whatever_is_put() -> None:
    """And the newest half is always there."""
    table: GenerationTable[int, int] = GenerationTable(entries_max=10, lifetime_s=10.0)
    for number in range(1_000):
        table.put(number, number, now=0.0)
        assert len(table) <= 10

    assert all(number in table for number in range(995, 1_000))


def test_replace_and_discard() -> None:
    """In whichever generation the entry is."""
    table: GenerationTable[str, int] = GenerationTable(entries_max=4, lifetime_s=10.0)
    table.put("a", 1, now=0.0)
    table.put("b", 1, now=11.0)
    assert table.replace("a", 5)
    assert table.replace("b", 6)
    assert not table.replace("c", 7)
    assert (table.get("a"), table.get("b"), table.get("c")) == (5, 6, None)
    table.discard("a")
    table.discard("a")

    assert len(table) == 1


def test_timers_surface_in_order_of_time_then_of_setting() -> None:
    """Which keeps a simulation repeatable."""
    heap = DeadlineHeap()
    timers = [Timer() for _ in range(4)]
    for timer, wake_at in zip(timers, (2.0, 1.0, 1.0, 3.0), strict=True):
        heap.set(timer, wake_at)

    assert heap.next_at() == 1.0
    assert [heap.pop_due(2.0) for _ in range(4)] == [timers[1], timers[2], timers[0], None]


def test_moved_and_cancelled_timers_surface_once_or_never() -> None:
    """Their old entries are stale."""
    heap = DeadlineHeap()
    moved, cancelled = Timer(), Timer()
    heap.set(moved, 1.0)
    heap.set(moved, 1.0)
    heap.set(cancelled, 1.0)
    heap.cancel(cancelled)
    heap.cancel(cancelled)

    assert heap.pop_due(10.0) is moved
    assert heap.pop_due(10.0) is None
    assert heap.next_at() is None
    assert len(heap) == 0


def test_stale_entries_do_not_pile_up() -> None:
    """A timer far in the future, set again and again."""
    heap = DeadlineHeap()
    timer = Timer()
    for number in range(10_000):
        heap.set(timer, 1e9 - number)

    assert len(heap) < 200
    assert heap.next_at() == 1e9 - 9_999


def test_a_budget_refills_with_time_up_to_its_burst() -> None:
    """And time that stands still gives nothing."""
    budget = Budget(per_s=2.0, burst=3)

    assert [budget.take(now=0.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(now=1.0) for _ in range(3)] == [True, True, False]
    assert [budget.take(now=1_000.0) for _ in range(4)] == [True, True, True, False]
