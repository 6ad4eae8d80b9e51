"""Running a fleet of simulated devices for a person: signals that end it, a line of progress, the last count."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

from commandpost.cli.answers import print_fields, print_json
from commandpost.cli.failures import CliFailure

if TYPE_CHECKING:
    from random import Random

    from commandpost.domain.ports import Clock

PIPE_PROGRESS_S: Final = 5.0  # a log does not want a line a second
TERMINAL_PROGRESS_S: Final = 1.0


class FleetCount(Protocol):
    """What the progress of a fleet of either kind tells; it is a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # Any: as the standard library's own stubs say it

    @property
    def started(self) -> int:
        """How many devices are on."""
        ...

    @property
    def never_let_in(self) -> int:
        """How many of them the server has not let in once."""
        ...


Progress = TypeVar("Progress", bound=FleetCount)
Told = TypeVar("Told", bound=FleetCount, covariant=True)


class FleetRun(Protocol[Told]):
    """What runs a fleet of one kind, settings apart: `run_fleet`, `run_stream_fleet`."""

    def __call__(
        self, *, clock: "Clock", random: "Random", stop: asyncio.Event, on_progress: Callable[[Told], object]
    ) -> Awaitable[Told]:
        """Run it until `stop` is set or its time is over."""
        ...


def progress_s() -> float:
    """Give how often progress is told."""
    return TERMINAL_PROGRESS_S if sys.stderr.isatty() else PIPE_PROGRESS_S


def run_and_tell(
    run: FleetRun[Progress], *, describe: Callable[[Progress], str], seed: int | None, as_json: bool
) -> None:
    """Run a fleet, tell its progress on stderr and the last count on stdout. It fails if a device never got in.

    Args:
        describe: makes one line of a progress.
        seed: of everything that is left to chance; None: another one every time.
    Raises:
        CliFailure: the fleet cannot run, or the server let a device in not once.
    """
    from commandpost.simulation.fleet_settings import FleetError

    try:
        progress = asyncio.run(_run(run, describe, seed))
    except FleetError as error:
        raise CliFailure(str(error)) from error
    summary = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(progress).items()}
    if as_json:
        print_json(summary)
    else:
        print_fields(summary)
    if progress.never_let_in:
        raise CliFailure(f"{progress.never_let_in} of {progress.started} devices were never let in{_reason(summary)}")


def _reason(summary: dict[str, Any]) -> str:  # Any: counts and words
    words = summary.get("last_failure") or summary.get("last_end")
    return f"; the last failure: {words}" if words else ""


async def _run(run: FleetRun[Progress], describe: Callable[[Progress], str], seed: int | None) -> Progress:
    from random import Random

    from commandpost.app import SystemClock, SystemIds

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    chance = Random(SystemIds().random_unit() if seed is None else seed)  # noqa: S311 - weather, not secrets
    line = _ProgressLine()
    try:
        return await run(
            clock=SystemClock(),
            random=chance,
            stop=stop,
            on_progress=lambda progress: line.show(describe(progress)),
        )
    finally:
        line.end()


class _ProgressLine:
    """One line on stderr that is written over on a terminal, and a line now and then in a log."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._write: Callable[[str], object] = sys.stderr.write

    def show(self, text: str) -> None:
        self._write(f"\r\x1b[2K{text}" if self._is_live else f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._is_live:
            self._write("\n")
