"""Real processes of the real command line, and how a test waits for them."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.request import Request, urlopen

from tests.acceptance.environments import clean_environment
from tests.acceptance.nursery import ForkedProcess, Launch, find_nursery, fork_command

START_S = 30.0
STOP_S = 5.0  # what SIGTERM promises
COMMAND_S = 60.0


class RunningCommand:
    """A `commandpost` that was started, and whose end is still to come."""

    def __init__(self, arguments: Sequence[str], process: ForkedProcess, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.process = process
        self._arguments = arguments
        self._stdout = stdout
        self._stderr = stderr

    def wait(self, timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Wait for its end, and give all that it said."""
        code = self.process.wait(timeout_s)
        texts = [_read_text(file) for file in (self._stdout, self._stderr)]
        return subprocess.CompletedProcess(self._arguments, code, stdout=texts[0], stderr=texts[1])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> subprocess.CompletedProcess[str]:
        """Signal it; it has to end in time."""
        self.process.send_signal(how)
        return self.wait(STOP_S)


@contextmanager
def running_cli(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningCommand]:
    """Start `commandpost`, and leave no process behind."""
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        process = find_nursery().start(
            arguments, environment=clean_environment(**(environment or {})), stdout=stdout, stderr=stderr
        )
        try:
            yield RunningCommand(arguments, process, stdout, stderr)
        finally:
            process.kill()
            process.wait(STOP_S)


def run_cli(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = COMMAND_S
) -> subprocess.CompletedProcess[str]:
    """Run `commandpost` to its end."""
    with running_cli(*arguments, environment=environment) as command:
        return command.wait(timeout_s)


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def run_json(*arguments: str, environment: Mapping[str, str] | None = None) -> Any:  # Any: JSON
    """Run `commandpost … --json`, want exit code 0, and give the answer."""
    done = run_cli(*arguments, "--json", environment=environment)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


class RunningServer:
    """A `commandpost serve` that is ready."""

    def __init__(
        self, process: "subprocess.Popen[bytes] | ForkedProcess", lines: "SimpleQueue[str | None]", ready: str
    ) -> None:
        self.process = process
        self.ready = ready
        self._lines = lines
        addresses = dict(word.split("=", 1) for word in ready.split()[1:])
        self.http = addresses["http"]
        self.coap = addresses["coap"]

    def get(self, target: str, *, api_key: str) -> Any:  # Any: JSON
        """Ask the HTTP API."""
        request = Request(f"http://{self.http}{target}", headers={"api-key": api_key})
        with urlopen(request, timeout=COMMAND_S) as answer:
            return json.loads(answer.read())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and give its exit status; it has to end in time."""
        self.process.send_signal(how)
        return self.process.wait(STOP_S)

    def rest_of_stdout(self) -> list[str]:
        """Everything it wrote to stdout after the ready line; it has to have ended."""
        assert self.process.poll() is not None
        found = []
        while (line := self._lines.get(timeout=COMMAND_S)) is not None:
            found.append(line)
        return found


@contextmanager
def serving(
    data_dir: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stderr: Path | None = None,
    launch: Launch = fork_command,
) -> Iterator[RunningServer]:
    """Start a server on free ports, wait for its ready line, and leave no process behind."""
    log_path = stderr or data_dir.with_name(f"{data_dir.name}.log")
    ports = [] if "--http" in arguments else ["--http", "127.0.0.1:0"]
    ports += [] if "--coap" in arguments else ["--coap", "127.0.0.1:0"]
    with log_path.open("ab") as log:
        process = launch(
            ["serve", "--data-dir", str(data_dir), *ports, *arguments], clean_environment(**(environment or {})), log
        )
    lines: SimpleQueue[str | None] = SimpleQueue()
    assert process.stdout is not None
    reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        yield RunningServer(process, lines, _first_line(lines, log_path))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(STOP_S)
        reader.join(STOP_S)
        process.stdout.close()


def _read_lines(stdout: IO[bytes], lines: "SimpleQueue[str | None]") -> None:
    for line in stdout:
        lines.put(line.decode().rstrip("\n"))
    lines.put(None)


def _first_line(lines: "SimpleQueue[str | None]", log_path: Path) -> str:
    try:
        line = lines.get(timeout=START_S)
    except Empty:
        line = None
    assert line is not None, f"the server is not ready: {log_path.read_text()}"
    return line


def one_line(text: str) -> str:
    """Want one line that is no traceback, and give it."""
    lines: Sequence[str] = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]
