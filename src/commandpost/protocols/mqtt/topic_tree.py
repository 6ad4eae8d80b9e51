"""One value per topic name, found by filter: where an owner keeps retained messages.

Source: MQTT 3.1.1 sections 3.3.1.3 and 4.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class _Node(Generic[V]):
    """One level of some topics; `topic` is the whole name where a value stands, else None."""

    __slots__ = ("children", "topic", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] | None = None
        self.topic: str | None = None
        self.value: V | None = None


class TopicTree(Generic[V]):
    """Values by topic name, each name one that `check_topic_name` accepts."""

    __slots__ = ("_count", "_root", "_topics_max")

    def __init__(self, *, topics_max: int) -> None:
        self._root: _Node[V] = _Node()
        self._count = 0
        self._topics_max = topics_max

    def __len__(self) -> int:
        """Count the topics."""
        return self._count

    def set(self, topic: str, value: V) -> bool:
        """Keep a value in the place of the former one; False, and nothing changed, if the tree is full."""
        node = self._find_node(topic)
        if node is None or node.topic is None:
            if self._count >= self._topics_max:
                return False
            node = self._make_node(topic)
            node.topic = topic
            self._count += 1
        node.value = value
        return True

    def get(self, topic: str) -> V | None:
        """Give the value of a topic, or None."""
        node = self._find_node(topic)
        return None if node is None else node.value

    def delete(self, topic: str) -> bool:
        """Forget a topic and every node that has become empty; False if there was no value."""
        path: list[tuple[dict[str, _Node[V]], str]] = []
        node = self._root
        for level in topic.split("/"):
            if node.children is None or level not in node.children:
                return False
            path.append((node.children, level))
            node = node.children[level]
        if node.topic is None:
            return False
        node.topic = node.value = None
        self._count -= 1
        for children, level in reversed(path):
            child = children[level]
            if child.children or child.topic is not None:
                break
            del children[level]
        return True

    def search(self, topic_filter: str) -> TopicSearch[V]:
        """Begin a search that is carried out in slices; the tree may change in between."""
        return TopicSearch(self._root, topic_filter)

    def _find_node(self, topic: str) -> _Node[V] | None:
        node = self._root
        for level in topic.split("/"):
            if node.children is None:
                return None
            child = node.children.get(level)
            if child is None:
                return None
            node = child
        return node

    def _make_node(self, topic: str) -> _Node[V]:
        node = self._root
        for level in topic.split("/"):
            if node.children is None:
                node.children = {}
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        return node


class TopicSearch(Generic[V]):
    """A search for the topics a filter takes, a bounded piece of work at a time.

    A topic that is there from the beginning to the end is found exactly once; one set or deleted meanwhile is found or
    not. Topics come level by level in the order in which they were set, so the same history gives the same order.
    """

    __slots__ = ("_levels", "_pending", "_root")

    def __init__(self, root: _Node[V], topic_filter: str) -> None:
        self._root = root
        self._levels = topic_filter.split("/")
        # What is to be visited yet, next one last: a node, and how many levels of the filter lead to it.
        self._pending: list[tuple[_Node[V], int]] = [(root, 0)]

    @property
    def is_finished(self) -> bool:
        """Tell whether everything has been found."""
        return not self._pending

    def next_slice(self, nodes_max: int) -> list[tuple[str, V]]:
        """Visit so many nodes and give what stands there, perhaps nothing; see `is_finished`."""
        found: list[tuple[str, V]] = []
        for _ in range(nodes_max):
            if not self._pending:
                break
            node, depth = self._pending.pop()
            # "a/#" takes "a" itself too (section 4.7.1.2).
            if node.topic is not None and (depth == len(self._levels) or self._levels[depth] == "#"):
                # A topic stands only with its value.
                found.append((node.topic, node.value))  # type: ignore[arg-type]  # V may itself include None
            if depth < len(self._levels):
                self._pending.extend(self._below(node, depth))
        return found

    def _below(self, node: _Node[V], depth: int) -> Sequence[tuple[_Node[V], int]]:
        if not node.children:
            return ()
        level = self._levels[depth]
        if level not in ("+", "#"):
            child = node.children.get(level)
            return () if child is None else ((child, depth + 1),)
        next_depth = depth if level == "#" else depth + 1  # "#" stays the level for everything below
        # Section 4.7.2: a wildcard at the first level takes no topic of the server's own.
        takes_all = node is not self._root
        return [
            (child, next_depth)
            for name, child in reversed(node.children.items())
            if takes_all or not name.startswith("$")
        ]
