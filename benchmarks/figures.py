"""What a benchmark found, and how it is put into words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity: every round's value, in `unit`."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value to quote."""
        return median(self.values)

    def text(self) -> str:
        """The median with what the rounds ranged over."""
        low, high = min(self.values), max(self.values)
        return f"{_number(self.median)} {self.unit} ({_number(low)}–{_number(high)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A figure of ours beside its bare limits."""

    title: str
    ours: Figure
    bare: tuple[Figure, ...] = ()
    note: str = ""
    extra: tuple[Figure, ...] = field(default=())

    def ratio(self, other: Figure) -> float:
        """Ours divided by the other, round by round where the rounds were in turn; the median of that."""
        if len(self.ours.values) == len(other.values):
            return median([mine / its for mine, its in zip(self.ours.values, other.values, strict=True)])
        return self.ours.median / other.median


def in_turn(measures: Sequence[tuple[str, str, Callable[[], float]]], *, rounds: int = ROUNDS) -> tuple[Figure, ...]:
    """Measure A B C A B C …, after one round that does not count.

    Args:
        measures: name, unit, and what measures once.
    """
    values: list[list[float]] = [[] for _ in measures]
    for round_number in range(rounds + 1):
        for found, (_, _, measure) in zip(values, measures, strict=True):
            value = measure()
            if round_number:
                found.append(value)
    return tuple(
        Figure(name=name, unit=unit, values=tuple(found))
        for found, (name, unit, _) in zip(values, measures, strict=True)
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """One table row per figure."""
    lines = ["| what | ours | bare limit | ratio |", "| --- | --- | --- | --- |"]
    for each in comparisons:
        for number, bare in enumerate(each.bare or (None,)):
            ours = each.ours.text() if number == 0 else ""
            title = f"{each.title}: {each.ours.name}" if number == 0 else ""
            limit = "–" if bare is None else f"{bare.name}: {bare.text()}"
            ratio = "–" if bare is None else f"{each.ratio(bare):.2f}"
            lines.append(f"| {title} | {ours} | {limit} | {ratio} |")
        lines.extend(f"| {each.title}: {figure.name} | {figure.text()} | – | – |" for figure in each.extra)
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
