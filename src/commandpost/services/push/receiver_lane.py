"""One subscription's queues: which device's events go next, which rest after a failure, and how many requests are open.

A synchronous state machine, as the lanes of devices are; nothing is read, sent or waited for here. Only queues that are
known to hold something are in it, and at most QUEUES_MAX of them: when there are more, the lane says that it is behind,
and the rest is found on disk when there is room. One that rests makes room for one that is due: how it stands is on
disk, too, so that the receiver's failures never keep a queue from its turn. Source: design 10.9.
"""

import heapq
from collections import deque
from enum import Enum

from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.push import Subscription
from commandpost.domain.push_ports import PushTarget
from commandpost.services.push.settings import QUEUES_MAX, UNWELL_BURST, UNWELL_FAILURES, UNWELL_PAUSE_S


class _Turn(Enum):
    READY = "ready"
    OPEN = "open"
    """A request with its events is open."""
    RESTING = "resting"


class _Queue:
    __slots__ = ("failures", "has_news", "turn")

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.turn = _Turn.READY
        self.has_news = False


class ReceiverLane:
    """See the module. Times are of Clock.monotonic."""

    def __init__(self, subscription: Subscription, target: PushTarget) -> None:
        self.subscription = subscription
        self.target = target
        self.open = 0
        """Requests that are open."""
        self.is_removed = False
        self.is_behind = True
        """Whether the disk may hold queues that are not here; so at the start."""
        self.swept_to = DeviceId(0)
        self._has_left_out = False
        self._queues: dict[DeviceId, _Queue] = {}
        self._ready: deque[DeviceId] = deque()
        self._failing: deque[DeviceId] = deque()
        """Ready as well, but with failures behind them: they go one by one."""
        self._resting: list[tuple[float, DeviceId]] = []
        self._failures_in_a_row = 0
        self._asked_to = 0.0
        self._probes = 0
        self._is_probe_next = False
        self._news = 0
        self._news_since: float | None = None

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def id(self) -> int:
        """The subscription's."""
        return self.subscription.id

    @property
    def has_room(self) -> bool:
        """Whether another queue may be known."""
        return len(self._queues) < QUEUES_MAX

    @property
    def can_learn(self) -> bool:
        """Whether there is room, or would be for a queue that is due."""
        return self.has_room or bool(self._resting)

    @property
    def is_well(self) -> bool:
        """Whether its receiver does anything but fail."""
        return self._failures_in_a_row < UNWELL_FAILURES

    # --- what is known to wait ---------------------------------------------------------------------------------------

    def note_news(self, device_id: DeviceId, *, failures: int, until: float, now: float) -> None:
        """Something was told of a device; if its queue is not known here, this is how it stands on disk."""
        self._news += 1
        if self._news_since is None:
            self._news_since = now
        self._note(device_id, failures=failures, until=until, now=now)

    def note_waiting(self, device_id: DeviceId, *, failures: int, until: float, now: float) -> bool:
        """A queue was found on disk that rests until then; gives whether the next may be looked at.

        False: it is due and there is no room for it, so that the sweep goes on with it later.
        """
        if device_id not in self._queues and self._news_since is None:
            self._news_since = now
        return self._note(device_id, failures=failures, until=until, now=now)

    def begin_sweep(self) -> None:
        """The queues on disk are looked at from the first."""
        self._has_left_out = False

    def end_sweep(self) -> None:
        """All queues on disk were looked at; unless one was left out meanwhile, all are known."""
        self.swept_to = DeviceId(0)
        self.is_behind = self._has_left_out

    def _note(self, device_id: DeviceId, *, failures: int, until: float, now: float) -> bool:
        queue = self._queues.get(device_id)
        if queue is not None:
            queue.has_news = True
            return True
        is_due = until <= now
        if not self.has_room and not (is_due and self._let_one_go()):
            self._leave_out()
            return not is_due
        self._queues[device_id] = queue = _Queue(failures)
        if is_due:
            self._line_up(device_id, failures)
        else:
            self._rest(device_id, queue, until)
        return True

    def _let_one_go(self) -> bool:
        """Forget a queue that rests, if there is one; the disk has it."""
        if not self._resting:
            return False
        # The last of a heap can be taken in one step, and is the one due next only if it is the only one.
        _, device_id = self._resting.pop()
        del self._queues[device_id]
        self._leave_out()
        return True

    def _leave_out(self) -> None:
        self._has_left_out = True
        self.is_behind = True

    def _line_up(self, device_id: DeviceId, failures: int) -> None:
        (self._failing if failures else self._ready).append(device_id)

    def wake_rested(self, *, now: float) -> None:
        """Line up the queues whose rest is over."""
        while self._resting and self._resting[0][0] <= now:
            _, device_id = heapq.heappop(self._resting)
            queue = self._queues[device_id]
            queue.turn = _Turn.READY
            self._line_up(device_id, queue.failures)

    # --- whose turn it is --------------------------------------------------------------------------------------------

    def take(self, *, probes_max: int) -> tuple[DeviceId, bool] | None:
        """Give the queue that goes next, and whether it has failed: then its head is tried alone. None: nothing is due.

        Well queues and those that failed take turns, but no more than `probes_max` of these are open, so that they do
        not take every place. With a batch, only queues that have failed go this way.
        """
        ready = self._ready if self.subscription.batch is None else None
        failing = self._failing if self._probes < probes_max else None
        first, second = (failing, ready) if self._is_probe_next else (ready, failing)
        line = first or second
        if not line:
            return None
        self._is_probe_next = line is not self._failing
        device_id = line.popleft()
        return device_id, self._open(device_id).failures > 0

    def is_batch_due(self, *, now: float) -> bool:
        """Whether enough waits for a request with many messages, or the first has waited long enough."""
        batch = self.subscription.batch
        if batch is None or not self._ready:
            return False
        if self._news_since is None:
            self._news_since = now
        return self._news >= batch.count or now - self._news_since >= batch.interval_ms / SECOND_MS

    def take_for_batch(self) -> DeviceId | None:
        """Give a queue whose events go into the batch that is being made."""
        if not self._ready:
            return None
        device_id = self._ready.popleft()
        self._open(device_id)
        return device_id

    def batch_taken(self, count: int, *, waiting_since: float | None) -> None:
        """So many messages went into a batch.

        Args:
            waiting_since: since when the first of those has waited that found no room in it; None: all of the queues
                that were looked at is in it.
        """
        self._news = max(0, self._news - count) if self._ready or waiting_since is not None else 0
        # What is left in queues that were not looked at came after what went: it may be told a little early.
        if not self._ready:
            self._news_since = waiting_since
        elif waiting_since is not None:
            self._news_since = waiting_since if self._news_since is None else min(self._news_since, waiting_since)

    def _open(self, device_id: DeviceId) -> _Queue:
        queue = self._queues[device_id]
        queue.turn = _Turn.OPEN
        queue.has_news = False
        if queue.failures:
            self._probes += 1
        return queue

    # --- how it went -------------------------------------------------------------------------------------------------

    def note_accepted(self) -> None:
        """The receiver accepted something."""
        self._failures_in_a_row = 0

    def note_failed(self) -> None:
        """A request failed."""
        self._failures_in_a_row += 1

    def may_ask(self, *, now: float) -> bool:
        """Whether a request may go to the receiver now: to one that does nothing but fail only so many a second.

        Its queues' own rests are not enough: with a hundred thousand of them, hundreds are due every second.
        """
        return self.is_well or self._asked_to <= now + (UNWELL_BURST - 1) * UNWELL_PAUSE_S

    def note_asked(self, *, now: float) -> None:
        """A request goes to the receiver."""
        if not self.is_well:
            self._asked_to = max(self._asked_to, now) + UNWELL_PAUSE_S

    def is_open(self, device_id: DeviceId) -> bool:
        """Whether a request with events of this queue is open."""
        queue = self._queues.get(device_id)
        return queue is not None and queue.turn is _Turn.OPEN

    def emptied(self, device_id: DeviceId) -> None:
        """Nothing was left of a queue when it was last looked at."""
        queue = self._close(device_id)
        if queue.has_news:
            self._put_in_line(device_id, queue)
        else:
            del self._queues[device_id]

    def goes_on(self, device_id: DeviceId) -> None:
        """A queue has more, and gets behind the others."""
        self._put_in_line(device_id, self._close(device_id))

    def is_well_again(self, device_id: DeviceId) -> None:
        """The receiver accepted something of an open queue."""
        queue = self._queues[device_id]
        if queue.failures:
            self._probes -= 1
            queue.failures = 0

    def failed(self, device_id: DeviceId, *, failures: int, until: float, now: float) -> None:
        """A queue failed so often by now, and rests until then."""
        queue = self._close(device_id)
        queue.failures = failures
        if until > now:
            self._rest(device_id, queue, until)
        else:
            self._put_in_line(device_id, queue)

    def pauses(self, device_id: DeviceId, *, until: float) -> None:
        """A queue could not be told, through no fault of its own or its receiver's."""
        self._rest(device_id, self._close(device_id), until)

    def _close(self, device_id: DeviceId) -> _Queue:
        queue = self._queues[device_id]
        assert queue.turn is _Turn.OPEN, "a queue without a request has no outcome"
        if queue.failures:
            self._probes -= 1
        return queue

    def _rest(self, device_id: DeviceId, queue: _Queue, until: float) -> None:
        queue.turn = _Turn.RESTING
        heapq.heappush(self._resting, (until, device_id))

    def _put_in_line(self, device_id: DeviceId, queue: _Queue) -> None:
        queue.turn = _Turn.READY
        self._line_up(device_id, queue.failures)
