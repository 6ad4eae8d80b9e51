"""Who subscribed to what, so that the takers of a topic are found without asking everybody.

A tree with one node per level of a filter. Nothing here knows what a subscriber is.
Source: MQTT 3.1.1 section 4.7.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Subscriber = TypeVar("Subscriber", bound=Hashable)
T = TypeVar("T")


class _Node(Generic[Subscriber, T]):
    """One level of some filters. Most nodes have either children or subscribers."""

    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Subscriber, T]] | None = None
        self.subscribers: dict[Subscriber, T] | None = None


class SubscriptionTree(Generic[Subscriber, T]):
    """Filters with their subscribers and a value for each.

    The answer to a topic is deterministic: the same additions in the same order give the same order. Its cost is
    bounded by the nodes of the tree no deeper than the topic. The owner bounds the subscriptions of each subscriber,
    and `topics` the levels of a filter.
    """

    __slots__ = ("_count", "_root")

    def __init__(self) -> None:
        self._root: _Node[Subscriber, T] = _Node()
        self._count = 0

    def __len__(self) -> int:
        """Count the pairs of filter and subscriber."""
        return self._count

    def add(self, topic_filter: str, subscriber: Subscriber, value: T) -> bool:
        """Set the value of a subscriber for a filter that `check_topic_filter` accepts.

        Returns:
            False if only the value of an existing subscription was replaced.
        """
        node = self._root
        for level in topic_filter.split("/"):
            if node.children is None:
                node.children = {}
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if node.subscribers is None:
            node.subscribers = {}
        is_new = subscriber not in node.subscribers
        node.subscribers[subscriber] = value
        self._count += is_new
        return is_new

    def remove(self, topic_filter: str, subscriber: Subscriber) -> bool:
        """Forget a subscription and every node that has become empty; False if there was none."""
        path: list[tuple[dict[str, _Node[Subscriber, T]], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            if node.children is None or level not in node.children:
                return False
            path.append((node.children, level))
            node = node.children[level]
        if node.subscribers is None or subscriber not in node.subscribers:
            return False
        del node.subscribers[subscriber]
        if not node.subscribers:
            node.subscribers = None
        self._count -= 1
        for children, level in reversed(path):
            if children[level].children or children[level].subscribers:
                break
            del children[level]
        return True

    def match(self, topic: str) -> list[tuple[Subscriber, T]]:
        """Give the subscriptions that take a topic; a subscriber with several such filters is there several times."""
        found: list[tuple[Subscriber, T]] = []
        nodes = [self._root]
        # MQTT 3.1.1 section 4.7.2: a wildcard at the first level takes no topic of the server's own.
        takes_wildcards = not topic.startswith("$")
        for level in topic.split("/"):
            deeper: list[_Node[Subscriber, T]] = []
            for node in nodes:
                children = node.children
                if not children:
                    continue
                child = children.get(level)
                if child is not None:
                    deeper.append(child)
                if takes_wildcards:
                    child = children.get("+")
                    if child is not None:
                        deeper.append(child)
                    child = children.get("#")
                    if child is not None and child.subscribers:
                        found.extend(child.subscribers.items())
            if not deeper:
                return found
            nodes = deeper
            takes_wildcards = True
        for node in nodes:
            if node.subscribers:
                found.extend(node.subscribers.items())
            if node.children and (child := node.children.get("#")) is not None and child.subscribers:
                found.extend(child.subscribers.items())  # "a/#" takes "a" itself too
        return found
