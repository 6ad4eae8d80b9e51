"""The log: what happened, one line each, on stderr. stdout belongs to the ready line.

Here: the EventSink that writes with structlog. Not here: what is worth a line, which services and drivers decide.
Fields carry ids; secrets and payloads are never among them, and texts that came from outside are escaped and cut, so
that no device can write lines of its own.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, TextIO

import structlog

FIELD_CHARACTERS_MAX: Final = 512  # enough for any id or address; a longer text is somebody's attempt at more
LINES_PER_SECOND_MAX: Final = 200  # a flood of refusals must not become a flood of lines
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_DEBUG_SUFFIXES: Final = ("_refused", "_ignored", "_dropped", "_late")
_ERROR_SUFFIXES: Final = ("_failed", "_broken", "_fault")


class EventLog:
    """Writes events; never blocks on anything but the stream, never raises."""

    def __init__(
        self, *, stream: TextIO, level: str, as_json: bool, wall_ms: Callable[[], int], is_terminal: bool = False
    ) -> None:
        """Make a log.

        Args:
            level: a key of LEVELS; events below it are not written.
            as_json: one JSON object per line, else lines for people.
        """
        renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=is_terminal)
        self._wall_ms = wall_ms
        self._threshold = LEVELS[level]
        self._second = 0
        self._lines = 0
        self._suppressed = 0
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(stream),
            processors=[
                structlog.processors.add_log_level,
                self._stamp,
                structlog.processors.ExceptionRenderer(),
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            context_class=dict,
        )

    def emit(self, event: str, **fields: object) -> None:
        """Write one event; its name decides its level."""
        level = _level_of(event)
        if level < self._threshold or not self._may_write():
            return
        try:
            self._logger.log(level, event, **{name: _clean(value) for name, value in fields.items()})
        except (OSError, ValueError):  # a closed or full stderr must not stop the service
            self._suppressed += 1

    def _may_write(self) -> bool:
        second = self._wall_ms() // 1000
        if second != self._second:
            suppressed, self._suppressed = self._suppressed, 0
            self._second, self._lines = second, 0
            if suppressed:
                self._logger.info("log_lines_suppressed", count=suppressed)
        self._lines += 1
        if self._lines > LINES_PER_SECOND_MAX:
            self._suppressed += 1
            return False
        return True

    def _stamp(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> Mapping[str, object]:
        milliseconds = self._wall_ms()
        event["at_ms"] = milliseconds
        return event


def _level_of(event: str) -> int:
    if event.endswith(_ERROR_SUFFIXES):
        return logging.ERROR
    return logging.DEBUG if event.endswith(_DEBUG_SUFFIXES) else logging.INFO


def _clean(value: object) -> object:
    """Make a field harmless: control characters escaped, length bounded; numbers and truth values as they are."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    text = value.hex() if isinstance(value, bytes) else str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= FIELD_CHARACTERS_MAX else text[:FIELD_CHARACTERS_MAX] + "…"
