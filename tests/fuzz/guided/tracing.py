"""Which steps from line to line a call takes, in the files of one folder only.

A step is the line before and the line after within one function, so both sides of a branch differ even when they end
on the same line. Two ways to see lines, one meaning: `sys.settrace` on Python 3.11, `sys.monitoring` from 3.12 on.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from _typeshed import TraceFunction

STEPS_MAX: Final = 500_000
"""Lines one input may take: the largest honest input takes some thousand, an endless loop any number."""

Steps: TypeAlias = frozenset[int]
"""Steps as numbers: the function, the line before and the line after."""

_WRITING: Final = ("encode", "format_", "write_", "plan_")  # how functions that make bytes are named
_LINE_BITS: Final = 16  # no file has 65,536 lines
_LINE_MASK: Final = (1 << _LINE_BITS) - 1


class TooManySteps(BaseException):
    """An input does not come to an end. No `Exception`: a parser that catches all of them must not catch this."""


class Tracer(Protocol):
    """Runs a call and tells what it reached."""

    def run(self, call: Callable[[], object]) -> tuple[Steps, BaseException | None]:
        """Call; give the steps taken and what was raised, if anything was."""

    def lines_of(self, steps: Steps) -> frozenset[tuple[str, int]]:
        """Give the file and the line where each step ends."""

    def close(self) -> None:
        """Let everything run at full speed again."""


class _Record:
    """The steps of one run; the same for both ways to see lines."""

    def __init__(self, folder: Path) -> None:
        self._prefix = str(folder)
        self._codes: list[CodeType] = []
        self.places: dict[CodeType, list[int]] = {}  # the number of a function, and its line before, shifted
        self.steps: set[int] = set()
        self.lines_left = 0

    def is_wanted(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._prefix)

    def begin(self) -> None:
        self.steps.clear()
        self.lines_left = STEPS_MAX

    def enter(self, code: CodeType) -> None:
        place = self.places.get(code)
        if place is None:
            self.places[code] = [len(self._codes) << 2 * _LINE_BITS, 0]
            self._codes.append(code)
        else:
            place[1] = 0

    def step(self, place: list[int], line: int) -> None:
        # Runs for every line of every input: nothing here that can be left out.
        self.steps.add(place[0] + place[1] + line)
        place[1] = line << _LINE_BITS
        self.lines_left -= 1
        if self.lines_left < 0:
            raise TooManySteps(f"more than {STEPS_MAX} lines")

    def lines_of(self, steps: Steps) -> frozenset[tuple[str, int]]:
        return frozenset((self._codes[step >> 2 * _LINE_BITS].co_filename, step & _LINE_MASK) for step in steps)


def _outcome(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a parser raises is what is looked for
        return error
    return None


class SettraceTracer:
    """Lines seen by `sys.settrace`."""

    def __init__(self, folder: Path) -> None:
        self._record = _Record(folder)
        self._unwanted: set[CodeType] = set()
        self._on_lines: dict[CodeType, TraceFunction] = {}

    def run(self, call: Callable[[], object]) -> tuple[Steps, BaseException | None]:
        """Call; give the steps taken and what was raised."""
        self._record.begin()
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            error = _outcome(call)
        finally:
            sys.settrace(before)
        return frozenset(self._record.steps), error

    def lines_of(self, steps: Steps) -> frozenset[tuple[str, int]]:
        """Give the file and the line where each step ends."""
        return self._record.lines_of(steps)

    def close(self) -> None:
        """Nothing to do: nothing is seen between two runs."""

    def _on_call(self, frame: FrameType, event: str, argument: object) -> "TraceFunction | None":
        code = frame.f_code
        if code in self._unwanted:
            return None
        if not self._record.is_wanted(code):
            self._unwanted.add(code)
            return None
        self._record.enter(code)
        on_line = self._on_lines.get(code)
        if on_line is None:
            on_line = self._on_lines[code] = self._line_seer(self._record.places[code])
        return on_line

    def _line_seer(self, place: list[int]) -> "TraceFunction":
        step = self._record.step

        def on_line(frame: FrameType, event: str, argument: object) -> "TraceFunction | None":
            if event == "line":
                step(place, frame.f_lineno)
            return on_line

        return on_line


if sys.version_info >= (3, 12):
    _TOOL: Final = 4  # one of the two numbers that nobody has a claim to

    class MonitoringTracer:
        """Lines seen by `sys.monitoring`, which stops asking about files nobody wants."""

        def __init__(self, folder: Path) -> None:
            self._record = _Record(folder)
            self._tool_name = f"commandpost fuzz {id(self)}"
            self._is_running = False

        def run(self, call: Callable[[], object]) -> tuple[Steps, BaseException | None]:
            """Call; give the steps taken and what was raised."""
            self._record.begin()
            self._listen()
            self._is_running = True
            try:
                error = _outcome(call)
            finally:
                self._is_running = False
            return frozenset(self._record.steps), error

        def close(self) -> None:
            """Let everything run at full speed again."""
            if sys.monitoring.get_tool(_TOOL) == self._tool_name:
                sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
                sys.monitoring.free_tool_id(_TOOL)

        def _listen(self) -> None:
            # Turning events on and off costs more than most inputs do: they stay on until somebody else needs them.
            name = sys.monitoring.get_tool(_TOOL)
            if name == self._tool_name:
                return
            if name is not None:
                sys.monitoring.set_events(_TOOL, sys.monitoring.events.NO_EVENTS)
                sys.monitoring.free_tool_id(_TOOL)
            events = sys.monitoring.events
            sys.monitoring.use_tool_id(_TOOL, self._tool_name)
            for event, callback in (
                (events.PY_START, self._on_start),
                (events.PY_RESUME, self._on_start),
                (events.LINE, self._on_line),
            ):
                sys.monitoring.register_callback(_TOOL, event, callback)
            sys.monitoring.set_events(_TOOL, events.PY_START | events.PY_RESUME | events.LINE)
            sys.monitoring.restart_events()

        def lines_of(self, steps: Steps) -> frozenset[tuple[str, int]]:
            """Give the file and the line where each step ends."""
            return self._record.lines_of(steps)

        def _on_start(self, code: CodeType, offset: int) -> object:
            if not self._record.is_wanted(code):
                return sys.monitoring.DISABLE
            if self._is_running:
                self._record.enter(code)
            return None

        def _on_line(self, code: CodeType, line: int) -> object:
            place = self._record.places.get(code)
            if place is None:
                if not self._record.is_wanted(code):
                    return sys.monitoring.DISABLE
                return None
            if self._is_running:
                self._record.step(place, line)
            return None


def new_tracer(folder: Path) -> Tracer:
    """Make the faster tracer this Python has."""
    if sys.version_info >= (3, 12):
        return MonitoringTracer(folder)
    return SettraceTracer(folder)


def lines_in(file: Path) -> frozenset[tuple[str, int]]:
    """Give every line of a file's functions that a run can reach, without those that only write."""
    pending = [compile(file.read_bytes(), str(file), "exec")]
    lines: set[tuple[str, int]] = set()
    while pending:
        code = pending.pop()
        pending += [
            constant
            for constant in code.co_consts
            if isinstance(constant, CodeType) and not constant.co_name.lstrip("_").startswith(_WRITING)
        ]
        if code.co_flags & 0x0002:  # CO_OPTIMIZED: a function, neither a module nor the body of a class
            lines |= {(str(file), line) for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
    return frozenset(lines)
