"""`python -m tests.fuzz.guided`: explore each target for a time, keep what reaches more, and fail on a find."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from os import cpu_count
from pathlib import Path
from random import Random, SystemRandom
from time import monotonic
from typing import Final

from tests.fuzz.guided.corpus import read_corpus, write_corpus
from tests.fuzz.guided.guidance import Find, explore, minimise, steps_of
from tests.fuzz.guided.targets import PROTOCOLS, TARGETS
from tests.fuzz.guided.tracing import lines_in, new_tracer

_INPUTS_MAX: Final = 100_000_000  # of one target: the time is the bound that is met


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run of one target came to."""

    target: str
    inputs: int
    spent_s: float
    entries: int
    steps: int
    lines_reached: int
    lines: int
    finds: tuple[Find, ...]

    def __str__(self) -> str:
        """Say it on one line."""
        share = 100 * self.lines_reached / max(self.lines, 1)
        return (
            f"{self.target:26} {self.inputs:8} inputs {self.inputs / self.spent_s:7.0f}/s  {self.entries:3} entries  "
            f"{self.steps:5} steps  {self.lines_reached:4} of {self.lines:4} lines ({share:3.0f} %)  "
            f"{len(self.finds)} finds"
        )


def fuzz(name: str, *, seconds: float, seed: int, is_written: bool) -> Report:
    """Explore one target from its corpus on; write the smallest corpus that reaches as much, if asked to."""
    target = TARGETS[name]
    tracer = new_tracer(PROTOCOLS)
    corpus = read_corpus(name)
    started_at = monotonic()
    exploration = explore(
        target,
        corpus,
        tracer,
        random=Random(f"{seed} {name}"),
        inputs_max=_INPUTS_MAX,
        is_time_up=lambda: monotonic() - started_at >= seconds,
    )
    spent_s = monotonic() - started_at
    entries = corpus
    if is_written:
        entries = minimise(target, exploration.entries, tracer)
        write_corpus(name, entries)
    steps = steps_of(target, entries, tracer)
    lines = frozenset().union(*(lines_in(PROTOCOLS / module) for module in target.modules))
    return Report(
        target=name,
        inputs=exploration.inputs,
        spent_s=spent_s,
        entries=len(entries),
        steps=len(steps),
        lines_reached=len(tracer.lines_of(steps) & lines),
        lines=len(lines),
        finds=tuple(exploration.finds),
    )


def keep_find(find: Find, folder: Path) -> Path:
    """Write a find as its input in hexadecimal and what it raised."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{find.target}-{sha1(find.data).hexdigest()[:12]}.txt"
    file.write_text(f"{find.data.hex()}\n\n{find.trace}")
    return file


def main(words: list[str]) -> int:
    """Run the targets that are named, or all; 1 if there was a find."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=None, help="to try the same again; drawn by default")
    parser.add_argument("--write-corpus", action="store_true", help="put what reaches more into tests/fuzz/corpus")
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="where inputs that fail are written")
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="targets at a time")
    options = parser.parse_args(words)
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    seed = SystemRandom().getrandbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)

    run = partial(fuzz, seconds=options.seconds, seed=seed, is_written=options.write_corpus)
    found = 0
    with ProcessPoolExecutor(max_workers=options.jobs) as pool:
        for report in pool.map(run, options.targets or TARGETS):
            print(report, flush=True)
            for find in report.finds:
                found += 1
                print(f"\n{keep_find(find, options.finds)}\n{find.data.hex()}\n{find.trace}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
