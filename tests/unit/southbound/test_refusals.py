"""Refusals per host and in all."""

from commandpost.southbound.refusals import RefusalBudget


def make_budget(*, per_s: float = 1000, burst: int = 1000, host_per_s: float = 1, host_burst: int = 3) -> RefusalBudget:
    return RefusalBudget(per_s=per_s, burst=burst, host_per_s=host_per_s, host_burst=host_burst, hosts_max=8)


def test_one_host_cannot_spend_what_others_need() -> None:
    """Its own bucket is empty first, and what it is denied costs the house nothing."""
    budget = make_budget(burst=4)

    loud = [budget.take(b"loud", now=0.0) for _ in range(10)]

    assert loud == [True] * 3 + [False] * 7
    assert budget.take(b"quiet", now=0.0)
    assert (budget.granted, budget.suppressed) == (4, 7)


def test_many_hosts_together_are_bounded_too() -> None:
    """Spoofed addresses are free, so there is a budget for all."""
    budget = make_budget(per_s=1, burst=5)

    granted = sum(budget.take(number.to_bytes(4, "big"), now=0.0) for number in range(100))

    assert granted == 5


def test_time_refills() -> None:
    """A host is answered again after a while."""
    budget = make_budget(host_per_s=1, host_burst=1)
    assert budget.take(b"host", now=0.0)
    assert not budget.take(b"host", now=0.5)

    assert budget.take(b"host", now=1.5)
