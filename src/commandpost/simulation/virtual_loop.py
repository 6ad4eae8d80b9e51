"""An event loop whose time is virtual: waiting costs nothing, and the same run leaves the same trace.

Here: the loop and the clock that goes with it. Not here: what runs on them. The loop waits for nothing but timers, so
everything that would wait for the world (threads, executors, sockets, subprocesses, signals) raises. Waiting for
nothing at all is a deadlock, and a callback that fails ends the run. Timers of one instant fire in the order they were
set, on every Python version.

The machinery of `asyncio.BaseEventLoop` is kept for tasks, futures and shutting down; only the turn of the loop is
replaced (`_run_once`, `_ready`, `_timer_handle_cancelled`: the same in Python 3.11 to 3.14).
"""

import asyncio
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from heapq import heapify, heappop, heappush
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

from commandpost.domain.instant import SECOND_MS, Instant

START_S: Final = 1_000.0  # not 0, so that nobody takes "now" for a duration
TURNS_PER_INSTANT_MAX: Final = 1_000_000  # a fleet of 10,000 that wakes at once needs a few turns; a spinning task all
_STALE_MAX: Final = 64  # cancelled timers that are not worth a rebuild of the heap
_FAILED_TASKS_SLACK: Final = 256  # tasks whose failure was seen, before they are let go
_ROUNDING_MS: Final = 0.001  # deadlines are sums of floats; a microsecond early is on time

ResultT = TypeVar("ResultT")
Ts = TypeVarTuple("Ts")


class VirtualLoopError(RuntimeError):
    """The run cannot go on; a fault of what runs on the loop."""


class DeadlockError(VirtualLoopError):
    """Nothing is ready and nothing is timed, so what is waited for will never come."""


class SpinningError(VirtualLoopError):
    """Callbacks follow one another without end while time stands still."""


class CallbackFailed(VirtualLoopError):
    """A callback raised, or a task failed and nobody asked; the cause is attached."""


class RealWorldError(VirtualLoopError):
    """Something asked for a thread, a socket, a process or a signal."""


def _refused(name: str) -> Any:  # Any: it takes the place of a method of any signature
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise RealWorldError(f"{name}: a virtual loop has no threads, sockets, processes or signals")

    refuse.__name__ = name
    return refuse


class VirtualLoop(base_events.BaseEventLoop):
    """An asyncio event loop that jumps to its next timer instead of waiting for it."""

    # The parts of BaseEventLoop that this class stands on, as its source has them.
    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self, *, start_s: float = START_S) -> None:
        super().__init__()
        self._now = start_s
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_number = 0
        self._stale = 0
        self._turns_now = 0
        self._failure: CallbackFailed | None = None
        self._failed_tasks: list[asyncio.Task[Any]] = []  # Any: whatever they return

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    def stall(self, seconds: float) -> None:
        """Let time pass while nothing runs, as when a process is starved; what is due fires late."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._now += seconds
        self._turns_now = 0

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call once, `delay` seconds from now; timers of one instant fire in the order they were set."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call once at that time; at once if it has passed."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_number += 1
        handle._scheduled = True  # type: ignore[attr-defined]  # as BaseEventLoop does; not in typeshed
        heappush(self._timers, (when, self._timer_number, handle))
        return handle

    def create_task(
        self, coro: Generator[Any, None, ResultT] | Coroutine[Any, Any, ResultT], **options: Any
    ) -> asyncio.Task[ResultT]:  # Any: asyncio's own
        """Start a task; its failure is remembered until somebody asks for it."""
        task = super().create_task(coro, **options)
        task.add_done_callback(self._note_failed_task)
        return task

    def raise_unseen_failure(self) -> None:
        """Raise what failed and was seen by nobody.

        asyncio tells of such a task when it is collected as garbage, which is at another time on every Python version.

        Raises:
            CallbackFailed: the first task whose exception nobody has asked for.
        """
        for task in self._unseen_failures():
            error = task.exception()
            raise CallbackFailed(f"task {_describe(task)} failed and nobody asked: {error!r}") from error

    def close(self) -> None:
        """Close the loop; timers are dropped."""
        super().close()
        self._timers.clear()

    def default_exception_handler(self, context: dict[str, Any]) -> None:  # Any: asyncio's own
        """End the run: on a virtual loop nothing fails unseen."""
        cause = context.get("exception")
        failure = CallbackFailed(f"{context.get('message', 'unhandled')}: {cause!r}")
        failure.__cause__ = cause
        self._failure = self._failure or failure

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:
            self._jump()
        now = self._now
        timers = self._timers
        while timers and timers[0][0] <= now:
            handle = heappop(timers)[2]
            if handle.cancelled():
                self._stale -= 1
            else:
                handle._scheduled = False  # type: ignore[attr-defined]  # cancelling now leaves nothing behind
                ready.append(handle)
        self._turns_now += 1
        if self._turns_now > TURNS_PER_INSTANT_MAX:
            raise SpinningError(f"{TURNS_PER_INSTANT_MAX} turns and it is still {now} s; {self._waiting_tasks()}")
        for _ in range(len(ready)):
            callback = ready.popleft()
            if not callback.cancelled():
                callback._run()
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
            self._stale -= 1
        if not timers:
            self.raise_unseen_failure()  # most likely what the others wait for
            raise DeadlockError(f"at {self._now} s nothing is ready and nothing is timed; {self._waiting_tasks()}")
        if timers[0][0] > self._now:
            self._now = timers[0][0]
            self._turns_now = 0

    def _note_failed_task(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and _is_unseen(task):
            if len(self._failed_tasks) >= _FAILED_TASKS_SLACK:
                self._failed_tasks = self._unseen_failures()
            self._failed_tasks.append(task)

    def _unseen_failures(self) -> list[asyncio.Task[Any]]:
        return [task for task in self._failed_tasks if _is_unseen(task)]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if not handle._scheduled:  # type: ignore[attr-defined]  # not in typeshed
            return
        self._stale += 1
        if self._stale > _STALE_MAX and self._stale * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2].cancelled() and entry[2] is not handle]
            heapify(self._timers)
            self._stale = 0

    def _waiting_tasks(self) -> str:
        # all_tasks gives a set; names are sorted, so that the text is the same every time.
        names = sorted(_describe(task) for task in asyncio.all_tasks(self))
        return f"waiting: {', '.join(names)}" if names else "no task is waiting"

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:  # Any: asyncio's own
        # The original crosses threads; here everything is one thread.
        if not self.is_closed():
            self.call_soon(self.create_task, agen.aclose())

    def _process_events(self, event_list: object) -> NoReturn:
        raise AssertionError("a virtual loop has no selector")

    def _write_to_self(self) -> NoReturn:
        raise AssertionError("a virtual loop has no other threads")

    call_soon_threadsafe = _refused("call_soon_threadsafe")
    run_in_executor = _refused("run_in_executor")
    set_default_executor = _refused("set_default_executor")
    getaddrinfo = _refused("getaddrinfo")
    getnameinfo = _refused("getnameinfo")
    add_reader = _refused("add_reader")
    add_writer = _refused("add_writer")
    remove_reader = _refused("remove_reader")
    remove_writer = _refused("remove_writer")
    sock_accept = _refused("sock_accept")
    sock_connect = _refused("sock_connect")
    sock_recv = _refused("sock_recv")
    sock_recv_into = _refused("sock_recv_into")
    sock_recvfrom = _refused("sock_recvfrom")
    sock_recvfrom_into = _refused("sock_recvfrom_into")
    sock_sendall = _refused("sock_sendall")
    sock_sendfile = _refused("sock_sendfile")
    sock_sendto = _refused("sock_sendto")
    sendfile = _refused("sendfile")
    start_tls = _refused("start_tls")
    create_connection = _refused("create_connection")
    create_datagram_endpoint = _refused("create_datagram_endpoint")
    create_server = _refused("create_server")
    create_unix_connection = _refused("create_unix_connection")
    create_unix_server = _refused("create_unix_server")
    connect_accepted_socket = _refused("connect_accepted_socket")
    connect_read_pipe = _refused("connect_read_pipe")
    connect_write_pipe = _refused("connect_write_pipe")
    subprocess_exec = _refused("subprocess_exec")
    subprocess_shell = _refused("subprocess_shell")
    add_signal_handler = _refused("add_signal_handler")
    remove_signal_handler = _refused("remove_signal_handler")


class VirtualClock:
    """The Clock port on a virtual loop. Wall time may be made to jump; monotonic time is the loop's."""

    def __init__(self, loop: VirtualLoop, *, start: Instant) -> None:
        """Say what the wall shows now."""
        self._loop = loop
        self._wall_at_zero_ms = start - loop.time() * SECOND_MS

    def wall_ms(self) -> Instant:
        """Milliseconds since 1970 UTC."""
        return Instant(int(self._wall_at_zero_ms + self._loop.time() * SECOND_MS + _ROUNDING_MS))

    def monotonic(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    def jump_wall(self, ms: int) -> None:
        """Move wall time, forth or back, and leave monotonic time alone."""
        self._wall_at_zero_ms += ms


def run_virtually(main: Coroutine[Any, Any, ResultT], *, loop: VirtualLoop) -> ResultT:  # Any: asyncio's own
    """Run a coroutine on the loop to its end, cancel what it left behind, and close the loop.

    Raises:
        DeadlockError: the coroutine waits and nothing is left that could happen; the text names what waits.
        SpinningError: time stands still.
        CallbackFailed: something raised and nobody caught it.
    """
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        loop.raise_unseen_failure()
        return result


def _is_unseen(task: asyncio.Task[Any]) -> bool:  # Any: whatever it returns
    # What asyncio itself looks at when it decides whether to complain.
    return bool(task._log_traceback)


def _describe(task: asyncio.Task[Any]) -> str:  # Any: whatever it returns
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    frames = task.get_stack(limit=1)
    where = f" at {frames[-1].f_code.co_filename.rpartition('/')[2]}:{frames[-1].f_lineno}" if frames else ""
    return f"{task.get_name()} {name}{where}"
