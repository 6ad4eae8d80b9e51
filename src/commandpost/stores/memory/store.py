"""The reference store: every fact and every question, in dictionaries. Other stores are held to it by one suite."""

from collections.abc import Sequence
from typing import Any

from commandpost.domain.facts import Fact
from commandpost.stores.batch_store import FactOutcome, as_item_error, find_handler
from commandpost.stores.memory.commands import CommandFacts
from commandpost.stores.memory.devices import DeviceFacts
from commandpost.stores.memory.reader import MemoryReader
from commandpost.stores.memory.sessions import SessionFacts
from commandpost.stores.memory.state import MemoryState


class MemoryStore(MemoryReader):
    """A BatchStore and a StoreReader that forgets everything with the process."""

    def __init__(self) -> None:
        self.state = MemoryState()
        super().__init__(self.state)
        self._handlers = {
            **CommandFacts(self.state).handlers(),
            **DeviceFacts(self.state).handlers(),
            **SessionFacts(self.state).handlers(),
        }

    def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:  # Any: each fact has its own result type
        """Apply the facts in order; a bad one gets an error in place of its result and changes nothing."""
        return [self._apply_one(fact) for fact in facts]

    def _apply_one(self, fact: Fact[Any]) -> FactOutcome:  # Any: see apply
        try:
            return find_handler(self._handlers, fact)(fact)
        except Exception as error:  # one bad fact must not take the others of its batch with it
            return as_item_error(fact, error)

    def close(self) -> None:
        """Nothing to let go of; here so that stores may be closed without asking which one it is."""
