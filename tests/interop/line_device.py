"""A device in a process of its own that takes orders and tells events, a line of JSON each."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

EVENT_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0

Event = dict[str, Any]  # Any: JSON


class LineDevice:
    """Somebody else's LwM2M client behind a small script."""

    def __init__(self, command: Sequence[str], log_path: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log_path = log_path
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self.seen: list[Event] = []
        """Every event that was waited for or passed over."""
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Started already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process: by the end of its orders, and if that does not help, at once."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(END_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(END_TIMEOUT_S)
        self._reader.join(END_TIMEOUT_S)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._events.put(json.loads(line))
        self._events.put(None)

    def order(self, what: str, **details: object) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **details}) + "\n")
        self._process.stdin.flush()

    def wait_for(self, event: str, **details: object) -> Event:
        """Wait for an event with these details, passing over others; an `error` fails."""
        while True:
            try:
                found = self._events.get(timeout=EVENT_TIMEOUT_S)
            except Empty:
                found = None
            assert found is not None, f"no {event} {details} but {self.seen}; log:\n{self.log()}"
            self.seen.append(found)
            assert found["event"] != "error", f"{found}; log:\n{self.log()}"
            if found["event"] == event and details.items() <= found.items():
                return found

    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log_path.read_text(errors="replace")[-4000:]
