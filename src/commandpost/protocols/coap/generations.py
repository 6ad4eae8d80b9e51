"""A table that forgets: bounded in entries, each kept for at least a lifetime unless the table is full."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class GenerationTable(Generic[Key, Value]):
    """Two dictionaries, of which the older is dropped whole.

    That makes forgetting free of per-entry timers: an entry lives one to two lifetimes, less when entries_max is
    reached sooner. Readers that need an exact end keep it in the value.
    """

    __slots__ = ("_half_max", "_lifetime_s", "_old", "_started_at", "_young")

    def __init__(self, *, entries_max: int, lifetime_s: float) -> None:
        self._half_max = max(1, entries_max // 2)
        self._lifetime_s = lifetime_s
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._started_at = float("-inf")

    def __len__(self) -> int:
        """Count entries, those put again in both generations twice."""
        return len(self._young) + len(self._old)

    def __contains__(self, key: Key) -> bool:
        """Tell whether the key is remembered."""
        return key in self._young or key in self._old

    def get(self, key: Key) -> Value | None:
        """Give the value put last, or None."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: Key, value: Value, *, now: float) -> None:
        """Remember a value, forgetting the older generation when it is time or the younger one is full."""
        if now - self._started_at >= self._lifetime_s or len(self._young) >= self._half_max:
            # After two lifetimes without a put, the young ones are too old as well.
            self._old = self._young if now - self._started_at < 2 * self._lifetime_s else {}
            self._young = {}
            self._started_at = now
        self._young[key] = value

    def replace(self, key: Key, value: Value) -> bool:
        """Change a remembered value where it stands; tell whether it was there."""
        for generation in (self._young, self._old):
            if key in generation:
                generation[key] = value
                return True
        return False

    def discard(self, key: Key) -> None:
        """Forget a key, if it is there."""
        self._young.pop(key, None)
        self._old.pop(key, None)
