"""The server part of a virtual world: a whole platform on SQLite, which can die at any edge and be started again.

A crash is modelled: from that moment on nothing of the run reaches its disk, its network or its callers, whatever its
code still does in the same turn of the loop. What was committed is what the next run finds.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from commandpost.app import Platform, World, build_platform
from commandpost.config import Settings
from commandpost.domain.facts import Fact
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, StartId, shape_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.ports import Timer
from commandpost.domain.session import Remote
from commandpost.simulation.memory_network import MemoryLink
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop
from commandpost.stores.commit_drivers import BatchDone, BatchOutcome, InlineDriver
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.model_files import load_models
from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite.connection import Durability
from commandpost.stores.sqlite.store import SqliteStore
from commandpost.stores.write_queue import WriterLimits
from tests.acceptance.virtual_audit import Audit
from tests.fakes.ids import TellTale
from tests.fakes.push import NobodyToTell

FAULTS = ("duty_failed", "store_callback_failed", "write_failed", "task_failed", "background_failed")
"""Events that no run may tell, whatever devices and the network do."""


class Edge(Enum):
    """Where a server can die."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    """On disk, and nobody was told."""
    BEFORE_SEND = "before_send"
    AFTER_SEND = "after_send"
    ON_RECEIPT = "on_receipt"
    """A datagram arrived, and nothing came of it."""


class ConnectionLost(Exception):
    """The server died before it answered."""


@cache
def object_model() -> ObjectModel:
    """The packaged definitions; reading them once is enough."""
    return load_models(None)


class SeededIds:
    """Ids and secrets of a seed, shaped as the real ones."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._last_attempt = 0

    def new_command_id(self, now: Instant) -> CommandId:
        return shape_command_id(now, self._random.randbytes(10))

    def new_attempt_id(self, now: Instant) -> AttemptId:
        fresh = ((now & (2**41 - 1)) << 22) | self._random.getrandbits(22)
        self._last_attempt = max(self._last_attempt + 1, fresh)
        return AttemptId(self._last_attempt)

    def new_coap_token(self, device_id: DeviceId) -> bytes:
        return device_id.to_bytes(4, "big") + self._random.randbytes(4)

    def new_secret(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def random_unit(self) -> float:
        return self._random.random()


@dataclass(kw_only=True)
class CrashPlan:
    """Die at the n-th passing of an edge."""

    edge: Edge
    passings: int
    on_crash: Callable[[], object]


class ServerRun:
    """One life of the server. It is its own scheduler, link and commit driver towards the platform."""

    def __init__(
        self,
        *,
        database: Path,
        number: int,
        seed: int,
        loop: VirtualLoop,
        clock: VirtualClock,
        link: MemoryLink,
        audit: Audit,
        settings: Settings,
        tick_s: float,
        writer_limits: WriterLimits | None = None,
    ) -> None:
        """Open the store and build everything; nothing is served before `platform.start`."""
        self.is_alive = True
        self.events = TellTale()
        self.plan: CrashPlan | None = None
        self.commit_s = 0.0
        """How long a commit takes; 0 is at once."""
        self._loop = loop
        self._link = link
        self._audit = audit
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self.store = SqliteStore(database, durability=Durability.OFF)
        self._inline = InlineDriver(self.store, monotonic=clock.monotonic)
        random = Random(f"{seed}-{number}")
        self.writer = GroupCommit(
            self,
            clock=clock,
            scheduler=self,
            events=self.events,
            on_broken=self._store_broke,
            limits=writer_limits,
        )
        self.platform: Platform = build_platform(
            settings,
            World(
                clock=clock,
                scheduler=self,
                ids=SeededIds(random),
                secrets=AesSecretBox(b"virtual world, 32 bytes of a key", random_bytes=random.randbytes),
                writer=self.writer,
                reader=self.store,
                link=self,
                random=random,
                random_bytes=random.randbytes,
                sender=NobodyToTell(),
                events=self.events,
                start_id=StartId(number),
                object_model=object_model(),
            ),
            tick_s=tick_s,
        )

    # --- Scheduler ----------------------------------------------------------------------------------------------------

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:  # Any: asyncio's own
        return self._loop.call_later(delay, self._run, callback, args)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:  # Any: asyncio's own
        return self._loop.call_soon(self._run, callback, args)

    def _run(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:  # Any: asyncio's own
        if self.is_alive:
            callback(*args)

    # --- DatagramLink -------------------------------------------------------------------------------------------------

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        self._receiver = receiver

    def send(self, remote: Remote, datagram: bytes) -> None:
        self._pass(Edge.BEFORE_SEND)
        if self.is_alive:
            self._audit.note_sent(remote, datagram)
            self._link.send(remote, datagram)
            self._pass(Edge.AFTER_SEND)

    def receive(self, remote: Remote, datagram: bytes) -> None:
        """A datagram came from the network."""
        self._pass(Edge.ON_RECEIPT)
        if self.is_alive and self._receiver is not None:
            self._audit.note_received(remote, datagram)
            self._receiver(remote, datagram)

    # --- BatchDriver --------------------------------------------------------------------------------------------------

    def run(self, facts: Sequence[Fact[Any]], done: BatchDone) -> None:  # Any: each fact has its own result type
        if self.commit_s:
            self.call_later(self.commit_s, self._commit, facts, done)
        else:
            self._commit(facts, done)

    def _commit(self, facts: Sequence[Fact[Any]], done: BatchDone) -> None:  # Any: as above
        self._pass(Edge.BEFORE_COMMIT)
        if not self.is_alive:
            return

        def committed(outcome: BatchOutcome, elapsed_s: float) -> None:
            if isinstance(outcome, list):
                for fact, result in zip(facts, outcome, strict=True):
                    self._audit.note_fact(fact, result)
            self._pass(Edge.AFTER_COMMIT)
            if self.is_alive:
                done(outcome, elapsed_s + self.commit_s)

        self._inline.run(facts, committed)

    def stop(self) -> None:
        """Nothing is held."""

    # --- dying --------------------------------------------------------------------------------------------------------

    def _pass(self, edge: Edge) -> None:
        plan = self.plan
        if plan is None or plan.edge is not edge or not self.is_alive:
            return
        plan.passings -= 1
        if plan.passings <= 0:
            self.plan = None
            self.die()
            self._loop.call_soon(plan.on_crash)

    def die(self) -> None:
        """From now on nothing of this run has any effect."""
        self.is_alive = False

    def _store_broke(self, error: Exception) -> None:
        raise AssertionError(f"the store broke: {error}")

    def faults(self) -> list[tuple[str, dict[str, object]]]:
        """What was told that should never be."""
        return [(name, fields) for name, fields in self.events.told if name in FAULTS]


def cancel_tasks_of_server(outside: Sequence["asyncio.Task[Any]"]) -> None:  # Any: whatever they return
    """End every task but those that are not the server's."""
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        if not any(task is other for other in outside):
            task.cancel()
