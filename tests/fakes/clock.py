"""A clock that stands still until it is moved."""

from dataclasses import dataclass

from commandpost.domain.instant import Instant

NOW = Instant(1_700_000_000_000)


@dataclass
class ManualClock:
    """Wall and monotonic time move together, unless a test sets the wall clock."""

    wall: int = NOW
    ticks: float = 1_000.0

    def wall_ms(self) -> Instant:
        return Instant(self.wall)

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ticks += seconds
        self.wall += round(seconds * 1000)

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self.wall += round(seconds * 1000)
