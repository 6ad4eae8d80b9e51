"""The tree of subscriptions."""

import pytest

from commandpost.protocols.mqtt.subscription_tree import SubscriptionTree
from tests.unit.protocols.mqtt.vectors import TOPICS


def tree_of(*subscriptions: tuple[str, str]) -> SubscriptionTree[str, int]:
    tree: SubscriptionTree[str, int] = SubscriptionTree()
    for number, (topic_filter, subscriber) in enumerate(subscriptions):
        tree.add(topic_filter, subscriber, number)
    return tree


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["matches"])
def test_the_tree_takes_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the examples."""
    assert tree_of((topic_filter, "d")).match(topic) == [("d", 0)]


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["differs"])
def test_the_tree_leaves_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the counter-examples."""
    assert tree_of((topic_filter, "d")).match(topic) == []


def test_every_subscription_that_takes_a_topic_is_found_once() -> None:
    """A subscriber with several such filters is there for each of them."""
    tree = tree_of(("a/b", "d"), ("a/+", "d"), ("#", "e"), ("a/#", "f"), ("+/+", "g"), ("a/c", "h"), ("a/b/#", "i"))

    found = tree.match("a/b")

    assert sorted(found) == [("d", 0), ("d", 1), ("e", 2), ("f", 3), ("g", 4), ("i", 6)]


def test_the_same_history_gives_the_same_order() -> None:
    """Subscribers of one filter come in the order of their subscriptions."""
    tree = tree_of(*(("a", name) for name in "zyxabc"))

    assert [subscriber for subscriber, _ in tree.match("a")] == list("zyxabc")


def test_a_second_subscription_to_the_same_filter_replaces_the_first() -> None:
    """MQTT 3.1.1 section 3.8.4."""
    tree = tree_of(("a/+", "d"))

    assert not tree.add("a/+", "d", 7)
    assert tree.add("a/+", "e", 8)
    assert tree.match("a/b") == [("d", 7), ("e", 8)]
    assert len(tree) == 2


def test_removing_leaves_the_other_subscriptions() -> None:
    """Also those above, below and beside it."""
    tree = tree_of(("a", "d"), ("a/b", "d"), ("a/b", "e"), ("a/b/c", "d"))

    assert tree.remove("a/b", "d")

    assert tree.match("a") == [("d", 0)]
    assert tree.match("a/b") == [("e", 2)]
    assert tree.match("a/b/c") == [("d", 3)]
    assert len(tree) == 3


@pytest.mark.parametrize("topic_filter", ["a", "a/c", "a/b/c", "x", "a/+"])
def test_removing_what_is_not_there_changes_nothing(topic_filter: str) -> None:
    """And says so."""
    tree = tree_of(("a/b", "d"))

    assert not tree.remove(topic_filter, "d")
    assert not tree.remove("a/b", "e")
    assert tree.match("a/b") == [("d", 0)]


def test_a_tree_emptied_holds_no_nodes() -> None:
    """A million devices that come and go leave nothing."""
    tree = tree_of(("a/b/c", "d"), ("a/+/#", "d"))
    tree.remove("a/b/c", "d")
    tree.remove("a/+/#", "d")

    assert len(tree) == 0
    assert not tree._root.children


def test_wildcards_at_every_level_cost_no_more_than_the_tree() -> None:
    """Twenty levels of two choices are a million paths; the tree has 2 * 20 nodes."""
    tree = tree_of(("/".join("+" * 20), "d"), ("/".join("a" * 20), "e"))

    assert sorted(tree.match("/".join("a" * 20))) == [("d", 0), ("e", 1)]
