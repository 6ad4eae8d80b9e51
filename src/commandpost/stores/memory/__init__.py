"""The reference store, also used by unit tests; nothing of it outlives the process."""

from commandpost.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
