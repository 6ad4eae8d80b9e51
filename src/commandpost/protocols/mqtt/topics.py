"""Topic names and topic filters: which are valid, and which filter takes which name.

Source: MQTT 3.1.1 section 4.7, MQTT 5.0 sections 4.7 and 4.8.2.
"""

from commandpost.protocols.errors import DecodeError

TOPIC_BYTES_MAX = 4_096  # the standard allows 65,535; no device names a topic longer than a few hundred
TOPIC_LEVELS_MAX = 32  # every level of a filter is a node of a tree; the deepest topic of OneNET has 7
SHARED_PREFIX = "$share/"


def check_topic_name(topic: str) -> None:
    """Refuse what no message may be published to.

    Raises:
        DecodeError: empty, a wildcard or NUL in it, a surrogate, too long or too deep.
    """
    if not topic:
        raise DecodeError("a topic name has at least one character")
    if "+" in topic or "#" in topic:
        raise DecodeError("a topic name holds no wildcard")
    _check_bounds(topic)


def check_topic_filter(topic_filter: str) -> None:
    """Refuse what nobody may subscribe to. A shared subscription is checked with its prefix.

    Raises:
        DecodeError: empty, a wildcard at a place where none may be, NUL or a surrogate in it, too long or too deep.
    """
    _check_bounds(topic_filter)
    if topic_filter.startswith(SHARED_PREFIX):
        group, separator, topic_filter = topic_filter[len(SHARED_PREFIX) :].partition("/")
        if not group or not separator or "+" in group or "#" in group:
            raise DecodeError("a shared subscription names its group and a filter")
    if not topic_filter:
        raise DecodeError("a topic filter has at least one character")
    if "+" not in topic_filter and "#" not in topic_filter:
        return
    levels = topic_filter.split("/")
    for level in levels:
        if len(level) > 1 and ("+" in level or "#" in level):
            raise DecodeError("a wildcard takes a whole level")
    if "#" in levels[:-1]:
        raise DecodeError("# is the last level of a filter")


def _check_bounds(topic: str) -> None:
    if "\0" in topic:
        raise DecodeError("a topic holds no NUL")
    if topic.count("/") >= TOPIC_LEVELS_MAX:
        raise DecodeError(f"a topic has at most {TOPIC_LEVELS_MAX} levels")
    # A character has at most four bytes: most topics need no encoding to be known to be short.
    if len(topic) * 4 > TOPIC_BYTES_MAX or not topic.isascii():
        try:
            size = len(topic.encode())
        except UnicodeEncodeError as error:
            raise DecodeError("a topic holds no surrogate", offset=error.start) from error
        if size > TOPIC_BYTES_MAX:
            raise DecodeError(f"a topic has at most {TOPIC_BYTES_MAX} bytes, not {size}")


def split_shared(topic_filter: str) -> tuple[str, str] | None:
    """Give group and filter of a shared subscription (MQTT 5.0 section 4.8.2); None: it is not one."""
    if not topic_filter.startswith(SHARED_PREFIX):
        return None
    group, _, inner = topic_filter[len(SHARED_PREFIX) :].partition("/")
    return group, inner


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a filter takes a topic name; both are valid, and the filter is without a share prefix."""
    if "+" not in topic_filter and "#" not in topic_filter:
        return topic_filter == topic
    # MQTT 3.1.1 section 4.7.2: a wildcard at the first level takes no topic of the server's own.
    if topic[0] == "$" and topic_filter[0] in "+#":
        return False
    wanted, found = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()  # "a/#" takes "a" itself too (section 4.7.1.2)
        if len(found) < len(wanted):
            return False
    elif len(found) != len(wanted):
        return False
    return all(level in ("+", name) for level, name in zip(wanted, found, strict=False))
