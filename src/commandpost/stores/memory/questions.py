"""What every reader on the dictionaries in memory stands on."""

from collections.abc import Sequence
from typing import TypeVar

from commandpost.domain.ports import Page
from commandpost.stores.memory.state import MemoryState

_Item = TypeVar("_Item")


class Questions:
    """Holds the state that is asked."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state


def cut(matches: Sequence[_Item], page: Page) -> Sequence[_Item]:
    """Give a page of what matches."""
    start = (page.number - 1) * page.size
    return matches[start : start + page.size]
