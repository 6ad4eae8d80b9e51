"""What waits to be written: three classes of facts in order, and the touches of what was heard, one for each.

Here: bounds, order and what goes into the next batch. Not here: when batches run (stores/group_commit.py).
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from commandpost.domain.dtls_association import NoteRead
from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.fact import Fact, Priority
from commandpost.domain.ids import DeviceId
from commandpost.domain.payload_facts import NoteHeard
from commandpost.domain.session import Remote
from commandpost.domain.session_facts import TouchSession

ELDER_SHARE: Final = 8  # one part in eight of a batch is kept for a class that has waited beyond its patience
TOUCH_PAUSE_S: Final = 0.02  # with the budget used up: about 40 touches earn one commit at the default rate
TOUCHES_REPLACED_MAX: Final = 64  # callbacks of touches that newer ones replaced; those without any are not counted

_Touched = DeviceId | Remote
Then = Callable[[Any], object]  # Any: each fact has its own result type
Otherwise = Callable[[CommandpostError], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterLimits:
    """Every bound of the writer's queues, and how long a class waits before it is given its share."""

    gate_max: int = 65_536
    """Claims, outcomes, registrations: some for every device that is being served at once."""
    accept_max: int = 4_096
    """What the slowest disk we support (1,000 accepts/s in batches) takes in four seconds; age refuses long before."""
    behind_max: int = 16_384
    touches_max: int = 131_072
    """Devices with an unwritten address or deadline, and associations with an unwritten mark; one entry each, about 300
    bytes."""
    accept_age_max_s: float = 0.25
    """Design 4: an accept is refused when the oldest has waited longer."""
    behind_patience_s: float = 1.0
    touches_per_s: float = 2_000.0
    """A fifth of what the disk can do (10 to 16,000 updates/s at a million sessions), so that commands keep theirs."""
    touches_burst: int = 256


@dataclass(slots=True)
class QueuedFact:
    """A fact and who waits for it."""

    fact: Fact[Any]  # Any: each fact has its own result type
    submitted_at: float
    then: Then | None
    otherwise: Otherwise | None
    earlier: "list[QueuedFact] | None" = None
    """Touches of the same device or association that this one replaced; they end as it does."""


@dataclass(slots=True)
class Batch:
    """What is written next, and what it is worth: each fact its units."""

    facts: list[QueuedFact] = field(default_factory=list)
    units: int = 0


class WriteQueue:
    """Bounded queues by priority; GATE first, then ACCEPT, then BEHIND, with a share for the elders.

    The elders' rule: while the oldest fact of ACCEPT or BEHIND, or the oldest touch, has waited beyond its patience, an
    eighth of each batch is filled from there before anything else, so that none starves for ever.
    """

    def __init__(self, limits: WriterLimits) -> None:
        self._limits = limits
        self._gate: deque[QueuedFact] = deque()
        self._accept: deque[QueuedFact] = deque()
        self._behind: deque[QueuedFact] = deque()
        self._touches: dict[_Touched, QueuedFact] = {}
        self._touch_credit = float(limits.touches_burst)
        self._touch_credit_at = 0.0

    def __len__(self) -> int:
        return len(self._gate) + len(self._accept) + len(self._behind) + len(self._touches)

    @property
    def has_only_touches(self) -> bool:
        """Whether nothing but touches waits, which may have to wait for their budget."""
        return bool(self._touches) and not (self._gate or self._accept or self._behind)

    def put(self, queued: QueuedFact) -> None:
        """Take a fact in.

        Raises:
            Overloaded: its class is full, or an ACCEPT has waited too long.
        """
        fact = queued.fact
        if isinstance(fact, TouchSession | NoteHeard):
            self._put_touch(fact.device_id, queued)
        elif isinstance(fact, NoteRead):
            self._put_touch(fact.mark.remote, queued)
        elif fact.priority is Priority.GATE:
            self._put(self._gate, queued, self._limits.gate_max)
        elif fact.priority is Priority.ACCEPT:
            if self._accept and queued.submitted_at - self._accept[0].submitted_at > self._limits.accept_age_max_s:
                raise Overloaded(f"the oldest command has waited over {self._limits.accept_age_max_s} s to be written")
            self._put(self._accept, queued, self._limits.accept_max)
        else:
            self._put(self._behind, queued, self._limits.behind_max)

    def take(self, units: int, *, now: float, is_flushing: bool = False) -> Batch:
        """Take the next batch out: facts worth up to `units`, at least one if anything may go.

        Touches go within their budget, or all at once when the writer is flushing.
        """
        batch = Batch()
        share = max(1, units // ELDER_SHARE)
        if self._is_older(self._behind, self._limits.behind_patience_s, now):
            _move(self._behind, batch, share)
        if self._is_older(self._accept, self._limits.accept_age_max_s, now):
            _move(self._accept, batch, share)
        if self._is_older(self._touches.values(), self._limits.behind_patience_s, now):
            self._move_touches(batch, share, now=now, is_flushing=is_flushing)
        for waiting in (self._gate, self._accept, self._behind):
            _move(waiting, batch, units - batch.units)
        if batch.units < units and self._touches:
            self._move_touches(batch, units - batch.units, now=now, is_flushing=is_flushing)
        return batch

    def touch_delay(self, now: float) -> float:
        """Give the seconds until the budget allows further touches: none, or enough for some to share a commit."""
        self._refill(now)
        if self._touch_credit >= 1.0:
            return 0.0
        return max(TOUCH_PAUSE_S, (1.0 - self._touch_credit) / self._limits.touches_per_s)

    def take_all(self) -> list[QueuedFact]:
        """Empty the queue, in the order in which it would have been written."""
        batch = [*self._gate, *self._accept, *self._behind, *self._touches.values()]
        for waiting in (self._gate, self._accept, self._behind):
            waiting.clear()
        self._touches.clear()
        return batch

    def _put(self, waiting: deque[QueuedFact], queued: QueuedFact, limit: int) -> None:
        if len(waiting) >= limit:
            raise Overloaded(f"{limit} facts of class {queued.fact.priority.name} wait to be written already")
        waiting.append(queued)

    def _put_touch(self, touched: _Touched, queued: QueuedFact) -> None:
        replaced = self._touches.get(touched)
        if replaced is None and len(self._touches) >= self._limits.touches_max:
            raise Overloaded(f"{self._limits.touches_max} touches wait to be written already")
        if replaced is not None:
            if replaced.then or replaced.otherwise or replaced.earlier:
                self._keep_callbacks(replaced, queued)
            # Place and age in the line stay the first touch's: a chatty device must not put its own row off for ever.
            queued.submitted_at = replaced.submitted_at
        self._touches[touched] = queued

    def _keep_callbacks(self, replaced: QueuedFact, queued: QueuedFact) -> None:
        earlier = [*(replaced.earlier or ()), replaced]
        if len(earlier) > TOUCHES_REPLACED_MAX:
            raise Overloaded(f"{TOUCHES_REPLACED_MAX} touches of one session wait for their end already")
        queued.earlier = earlier
        replaced.earlier = None

    def _move_touches(self, batch: Batch, units: int, *, now: float, is_flushing: bool) -> None:
        self._refill(now)
        count = min(units, len(self._touches))
        if not is_flushing:
            count = min(count, int(self._touch_credit))
            self._touch_credit -= count
        batch.facts.extend(self._touches.pop(touched) for touched in _first(self._touches, count))
        batch.units += count

    def _refill(self, now: float) -> None:
        earned = (now - self._touch_credit_at) * self._limits.touches_per_s
        self._touch_credit = min(float(self._limits.touches_burst), self._touch_credit + max(0.0, earned))
        self._touch_credit_at = now

    @staticmethod
    def _is_older(waiting: Iterable[QueuedFact], patience_s: float, now: float) -> bool:
        oldest = next(iter(waiting), None)
        return oldest is not None and now - oldest.submitted_at > patience_s


def _move(waiting: deque[QueuedFact], batch: Batch, units: int) -> None:
    """Move facts worth up to `units`; a first one that is worth more goes if the batch is empty."""
    moved = 0
    while waiting and moved < units:
        worth = waiting[0].fact.units
        if moved + worth > units and batch.facts:
            break
        batch.facts.append(waiting.popleft())
        batch.units += worth
        moved += worth


def _first(touches: dict[_Touched, QueuedFact], count: int) -> list[_Touched]:
    return [touched for touched, _ in zip(touches, range(count), strict=False)]
