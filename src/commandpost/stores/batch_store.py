"""The synchronous side of a store: a batch of facts in one transaction.

The writer port (stores/group_commit.py) stands on this; memory and SQLite satisfy it. What a batch promises:

- It is one transaction: committed and durable when `apply` returns.
- Results stand in input order, one for each fact; a later fact of the batch sees the earlier ones.
- A fact that cannot be written does not take the others with it: the batch is undone and its facts are applied singly.
  The bad one gets an error in place of its result.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from commandpost.domain.errors import CommandpostError, StoreUnavailable
from commandpost.domain.facts import Fact

SLICE_ROWS_MAX: Final = 500  # what one sweep (expiry, retention) may touch in a transaction (design 4)

FactHandler = Callable[[Any], object]  # Any: a table of handlers cannot say that key and argument belong together
FactHandlers = Mapping[type[Fact[Any]], FactHandler]
FactOutcome = object
"""A fact's own result, or a CommandpostError in its place; no fact has an error as its result."""


class BatchStore(Protocol):
    """Applies facts, many at a time."""

    def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:  # Any: each fact has its own result type
        """Apply a batch in one transaction; give one outcome for each fact, in order.

        Raises:
            StoreBroken: the transaction could not be committed; nothing of it may be acknowledged, and the store must
                not be used any more.
        """
        ...


def find_handler(handlers: FactHandlers, fact: Fact[Any]) -> FactHandler:
    """Give the handler of a fact.

    Raises:
        StoreUnavailable: this store does not know such facts.
    """
    try:
        return handlers[type(fact)]
    except KeyError:
        raise StoreUnavailable(f"{type(fact).__name__} is not a fact this store knows") from None


def as_item_error(fact: Fact[Any], error: Exception) -> CommandpostError:
    """Give what the submitter of one bad fact is told."""
    if isinstance(error, CommandpostError):
        return error
    unwritten = StoreUnavailable(f"{type(fact).__name__} could not be written: {error}")
    unwritten.__cause__ = error
    return unwritten
