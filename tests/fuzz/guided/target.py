"""What a fuzz target is, and how one input of bytes stands for several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

MANY_DIGITS: Final = b"7" * 700
"""More than `int` reads while a target runs; a word of every format with numbers in text."""

Parse: TypeAlias = Callable[[bytes], object]
"""Reads one input; what the parser may raise is caught inside, anything that comes out is a find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser, or one engine in one state.

    Attributes:
        prepare: gives a parser that no earlier input has touched; not traced.
        seeds: inputs to begin with; at least one.
        words: what the format is made of, for mutations to put in.
        modules: the files it is about, below `protocols`; what the corpus reaches is told for these.
    """

    name: str
    prepare: Callable[[], Parse]
    seeds: Sequence[bytes]
    modules: Sequence[str]
    words: Sequence[bytes] = ()
    input_bytes_max: int = 900  # far above any bound that is small enough to be reached, and quick to try


def stateless(parse: Parse) -> Callable[[], Parse]:
    """Make a target's `prepare` of a parser that keeps nothing."""
    return lambda: parse


def pieces(data: bytes, *, count_max: int) -> Iterator[bytes]:
    """Cut an input into datagrams: a length of one byte before each; the last may be cut off."""
    at = 0
    for _ in range(count_max):
        if at >= len(data):
            return
        end = at + 1 + data[at]
        yield data[at + 1 : end]
        at = end


def joined(datagrams: Iterable[bytes]) -> bytes:
    """Write datagrams of at most 255 bytes as one input."""
    return b"".join(bytes((len(datagram),)) + datagram for datagram in datagrams)
