"""The tree of retained messages."""

import pytest

from commandpost.protocols.mqtt.topic_tree import TopicTree
from tests.unit.protocols.mqtt.vectors import TOPICS


def tree_of(*topics: str) -> TopicTree[str]:
    tree: TopicTree[str] = TopicTree(topics_max=100)
    for topic in topics:
        tree.set(topic, topic.upper())
    return tree


def found_in(tree: TopicTree[str], topic_filter: str, *, nodes_max: int = 1_000) -> list[str]:
    search = tree.search(topic_filter)
    found = []
    while not search.is_finished:
        found += search.next_slice(nodes_max)
    return [topic for topic, _ in found]


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["matches"])
def test_a_search_finds_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the examples."""
    assert found_in(tree_of(topic, "another/one"), topic_filter).count(topic) == 1


@pytest.mark.parametrize(("topic_filter", "topic"), TOPICS["differs"])
def test_a_search_leaves_the_topics_the_standard_says(topic_filter: str, topic: str) -> None:
    """Section 4.7, the counter-examples."""
    assert topic not in found_in(tree_of(topic), topic_filter)


def test_a_value_is_kept_replaced_and_deleted() -> None:
    """One value for each topic, none for the levels above it."""
    tree = tree_of("a/b")
    tree.set("a/b", "new")

    assert tree.get("a/b") == "new"
    assert tree.get("a") is None
    assert tree.get("a/b/c") is None
    assert len(tree) == 1
    assert tree.delete("a/b")
    assert not tree.delete("a/b")
    assert tree.get("a/b") is None
    assert not tree._root.children


def test_deleting_leaves_what_stands_above_and_below() -> None:
    """Only empty levels go."""
    tree = tree_of("a", "a/b", "a/b/c")

    assert not tree.delete("a/x")
    assert not tree.delete("a/b/c/d")
    assert tree.delete("a/b")
    assert found_in(tree, "#") == ["a", "a/b/c"]
    assert not tree.delete("a/b")


def test_a_full_tree_takes_new_values_for_old_topics_only() -> None:
    """And nothing of what it refused stays behind."""
    tree: TopicTree[int] = TopicTree(topics_max=2)

    assert tree.set("a", 1)
    assert tree.set("b/c", 2)
    assert not tree.set("b", 3)
    assert not tree.set("d", 3)
    assert tree.set("a", 4)
    assert (tree.get("a"), tree.get("b"), len(tree)) == (4, None, 2)


def test_topics_come_in_the_order_they_were_set() -> None:
    """Level by level, whatever the size of the slices."""
    tree = tree_of("b/1", "a", "b/2", "a/1", "$x", "c/$y")

    assert found_in(tree, "#") == ["b/1", "b/2", "a", "a/1", "c/$y"]
    assert found_in(tree, "#", nodes_max=1) == ["b/1", "b/2", "a", "a/1", "c/$y"]
    assert found_in(tree, "+/+", nodes_max=2) == ["b/1", "b/2", "a/1", "c/$y"]


def test_a_slice_visits_no_more_nodes_than_asked() -> None:
    """So that a search over all topics leaves time for others."""
    tree = tree_of(*(f"t/{number}" for number in range(50)))
    search = tree.search("t/+")

    assert len(search.next_slice(12)) == 10  # the root and "t" are nodes too
    assert not search.is_finished


def test_a_tree_that_changes_between_slices_confuses_no_search() -> None:
    """What stays is found once, what goes before its turn is not found."""
    tree = tree_of(*(f"t/{number}" for number in range(9)))
    search = tree.search("#")
    found = search.next_slice(5)
    tree.delete("t/8")
    tree.set("t/new", "NEW")
    tree.set("u", "U")
    while not search.is_finished:
        found += search.next_slice(1)

    assert [topic for topic, _ in found] == [f"t/{number}" for number in range(8)]
