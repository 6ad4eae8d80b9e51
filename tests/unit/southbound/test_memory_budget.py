"""What all streams may hold together, and who has to go without."""

from commandpost.southbound.memory_budget import MemoryBudget


def test_reports_leave_room_for_messages_that_are_not_whole() -> None:
    """While the store stalls and reports heap up, a packet that comes in two pieces must not end its connection."""
    budget = MemoryBudget(bytes_max=1_000)
    reserved = [budget.reserve(250) for _ in range(5)]
    is_within = budget.change(0, 250)

    assert reserved == [True, True, True, False, False]
    assert is_within
    assert not budget.change(0, 1)


def test_what_is_released_may_be_reserved_again() -> None:
    """And what was refused holds nothing."""
    budget = MemoryBudget(bytes_max=1_000)
    budget.reserve(700)
    is_refused = not budget.reserve(700)
    budget.release(700)

    assert is_refused
    assert (budget.held_bytes, budget.reserve(700)) == (0, True)
