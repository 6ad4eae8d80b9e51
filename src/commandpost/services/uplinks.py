"""Which uplinks release which commands: the memory of one lane's release runs.

Here: coalescing of uplinks, the queue of the run that is going on, and the rule that a failed command waits for the
next uplink. Not here: claiming and sending (lane).
Source: southbound reference 2.5.
"""

from collections import deque
from collections.abc import Iterable

from commandpost.domain.command import Command, Trigger
from commandpost.domain.delivery import is_releasable
from commandpost.domain.ids import CommandId
from commandpost.domain.instant import Instant


class Uplinks:
    """Uplinks in the order in which they were heard, and what they may still release.

    Uplinks are numbered. A burst of one kind is one number, the newest. A command that failed keeps the number of the
    newest uplink before its end: only a later one of its kinds releases it again. So an uplink that arrived during the
    flight is not "the next uplink": the device was awake then, and did not answer well all the same. A REGISTER ends
    the flight before it is counted here, therefore it is the next one.
    """

    def __init__(self) -> None:
        self._heard = 0
        self._armed: dict[Trigger, int] = {}
        self._running: dict[Trigger, int] = {}
        self._queue: deque[Command] = deque()
        self._failed: dict[CommandId, int] = {}

    @property
    def is_armed(self) -> bool:
        """Whether an uplink waits for a run of its own."""
        return bool(self._armed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing can be released any more."""
        return not self._armed and not self._queue

    @property
    def has_queue(self) -> bool:
        """Whether the run that is going on has commands left."""
        return bool(self._queue)

    def hear(self, trigger: Trigger) -> None:
        """Remember an uplink for the next run."""
        self._heard += 1
        for bit in Trigger:
            if trigger & bit:
                self._armed[bit] = self._heard

    def begin(self) -> Trigger:
        """Begin a run for every uplink heard since the last one began; gives their mask."""
        self._running, self._armed = self._armed, {}
        oldest = min(self._running.values(), default=self._heard)
        self._failed = {command: number for command, number in self._failed.items() if number >= oldest}
        mask = Trigger(0)
        for bit in self._running:
            mask |= bit
        return mask

    def fill(self, commands: Iterable[Command]) -> None:
        """Take what waits, in order of acceptance."""
        self._queue.extend(commands)

    def take(self, now: Instant) -> Command | None:
        """Give the next command this run may send; those passed over do not come back in this run."""
        while self._queue:
            command = self._queue.popleft()
            if is_releasable(command, trigger=self._trigger_for(command.id), now=now):
                return command
        return None

    def put_back(self, command: Command) -> None:
        """Let a command that could not be claimed be the next again."""
        self._queue.appendleft(command)

    def fail(self, command_id: CommandId) -> None:
        """An attempt failed: uplinks heard so far do not release the command again."""
        self._failed[command_id] = self._heard

    def stop(self) -> None:
        """End the run: the device fell silent. Uplinks heard meanwhile keep theirs."""
        self._queue.clear()

    def clear(self) -> None:
        """Forget every uplink: the device is gone, or its address is."""
        self._queue.clear()
        self._armed.clear()

    def _trigger_for(self, command_id: CommandId) -> Trigger:
        after = self._failed.get(command_id, 0)
        mask = Trigger(0)
        for bit, number in self._running.items():
            if number > after:
                mask |= bit
        return mask
