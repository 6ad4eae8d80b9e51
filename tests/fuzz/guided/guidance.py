"""The loop: change an input that reached something, keep what reaches more; and the smallest set that reaches it all.

Our own, because the known one for Python has wheels for one platform only and never returns from its loop. Everything
random comes from the caller, so a run with the same seed tries the same inputs on every machine with this Python.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from traceback import format_exception
from typing import Final

from tests.fuzz.guided.mutation import Mutator
from tests.fuzz.guided.target import Target
from tests.fuzz.guided.tracing import Steps, Tracer

INPUT_S_MAX: Final = 10.0  # an input takes milliseconds; a slow machine with a tracer gets its share
INT_DIGITS_MAX: Final = sys.int_info.str_digits_check_threshold
FINDS_MAX: Final = 5  # of one run; what follows is mostly the same again
ENTRIES_MAX: Final = 60  # of one corpus: a replay of all targets takes seconds
_RECENT_SHARE: Final = 0.5  # how often one of the newest quarter is changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """An input, and what it made the parser raise."""

    target: str
    data: bytes
    trace: str


@dataclass(slots=True, kw_only=True)
class Exploration:
    """What a run tried, kept and found."""

    entries: list[bytes] = field(default_factory=list)
    finds: list[Find] = field(default_factory=list)
    reached: set[int] = field(default_factory=set)
    inputs: int = 0


def execute(target: Target, data: bytes, tracer: Tracer) -> tuple[Steps, Find | None]:
    """Give one input to a fresh parser; tell what it reached, and whether it is a find."""
    parse = target.prepare()
    digits_max = sys.get_int_max_str_digits()
    # The least there is: a parser that gives `int` any number of digits is then found with inputs of this size.
    sys.set_int_max_str_digits(INT_DIGITS_MAX)
    started_at = perf_counter()
    try:
        steps, error = tracer.run(lambda: parse(data))
    finally:
        spent_s = perf_counter() - started_at
        sys.set_int_max_str_digits(digits_max)
    if error is not None:
        return steps, Find(target=target.name, data=data, trace="".join(format_exception(error)))
    if spent_s > INPUT_S_MAX:
        return steps, Find(target=target.name, data=data, trace=f"one input took {spent_s:.1f} s\n")
    return steps, None


def explore(
    target: Target,
    corpus: Iterable[bytes],
    tracer: Tracer,
    *,
    random: Random,
    inputs_max: int,
    is_time_up: Callable[[], bool] = lambda: False,
    is_guided: bool = True,
) -> Exploration:
    """Replay seeds and corpus, then try mutants until a bound is met.

    Args:
        inputs_max: how many mutants are tried at most.
        is_time_up: asked before each mutant.
        is_guided: whether a mutant that reaches something new is changed further; without it mutation is blind.
    """
    exploration = Exploration()
    for data in dict.fromkeys((*target.seeds, *corpus)):
        _try(exploration, target, data, tracer, is_kept_anyway=True)
    mutator = Mutator(random, words=target.words, bytes_max=target.input_bytes_max)
    for _ in range(inputs_max):
        if len(exploration.finds) >= FINDS_MAX or is_time_up():
            break
        entries = exploration.entries
        recent = len(entries) * 3 // 4 if random.random() < _RECENT_SHARE else 0
        data = mutator.mutate(entries[random.randrange(recent, len(entries))], random.choice(entries))
        _try(exploration, target, data, tracer, is_kept_anyway=False, is_kept_if_new=is_guided)
    return exploration


def _try(
    exploration: Exploration,
    target: Target,
    data: bytes,
    tracer: Tracer,
    *,
    is_kept_anyway: bool,
    is_kept_if_new: bool = True,
) -> None:
    steps, find = execute(target, data, tracer)
    exploration.inputs += 1
    if find is not None:
        # The last lines say which line raised what: the same once is enough.
        if all(_place(find) != _place(known) for known in exploration.finds):
            exploration.finds.append(find)
    elif is_kept_anyway or (is_kept_if_new and not steps <= exploration.reached):
        exploration.entries.append(data)
    exploration.reached |= steps


def _place(find: Find) -> tuple[str, ...]:
    return tuple(line for line in find.trace.splitlines() if line.startswith("  File "))[-1:]


def minimise(
    target: Target, entries: Iterable[bytes], tracer: Tracer, *, entries_max: int = ENTRIES_MAX
) -> list[bytes]:
    """Give the entries that reach what all of them do, the one that adds most first; a find is none of them.

    Each adds steps that no other kept before it has, so no two contribute the same. Ties go to the shorter.
    """
    reach: dict[bytes, Steps] = {}
    for data in sorted(filter(None, entries), key=lambda entry: (len(entry), entry)):
        steps, find = execute(target, data, tracer)
        if find is None:
            reach[data] = steps
    missing: set[int] = set().union(*reach.values())
    kept: list[bytes] = []
    while missing and len(kept) < entries_max:
        best = max(reach, key=lambda data: len(reach[data] & missing))
        kept.append(_shorten(target, best, reach[best] & missing, tracer))
        missing -= reach[best]
    return kept


def _shorten(target: Target, data: bytes, contribution: Steps, tracer: Tracer) -> bytes:
    """Cut away what an entry's contribution does not need."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            steps, find = execute(target, shorter, tracer)
            if shorter and find is None and contribution <= steps:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def steps_of(target: Target, entries: Sequence[bytes], tracer: Tracer) -> Steps:
    """Give what entries reach together."""
    return frozenset().union(*(execute(target, data, tracer)[0] for data in entries))
