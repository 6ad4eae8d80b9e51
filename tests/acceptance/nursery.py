"""Processes forked from one that has imported the product already: a start costs milliseconds, not a second.

A crash test starts its server two or three times, a test of the command line calls it ten times. Each is a process of
its own with its own files, sockets, arguments and environment, and dies of SIGKILL like any other; only importing is
not done again. That the installed command starts and ends by itself is what `test_cli_serve.py` is about.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import IO, Final, NoReturn

from tests.acceptance.environments import clean_environment

PIECE_BYTES: Final = 64 * 1024
BIRTH_S: Final = 30.0  # the first birth waits for the imports
END_S: Final = 10.0

Launch = Callable[[Sequence[str], Mapping[str, str], IO[bytes]], "subprocess.Popen[bytes] | ForkedProcess"]
"""Start `commandpost` with these arguments, this whole environment, this stderr, and a pipe as stdout."""


class ForkedProcess:
    """One process, as far as a test wants to know it: the same names as those of `subprocess.Popen`."""

    def __init__(self, *, status: int, stdout: IO[bytes] | None) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        self.pid = self._read_number(BIRTH_S)

    def poll(self) -> int | None:
        """Give the exit code, negative for a signal; None while it runs."""
        if self.returncode is None and self._is_readable(0.0):
            self._finish()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the exit code, or raise `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not self._is_readable(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self._finish()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended: then the pid may be somebody else's."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _finish(self) -> None:
        self.returncode = self._read_number(END_S)
        os.close(self._status)

    def _is_readable(self, timeout_s: float) -> bool:
        return bool(select.select([self._status], [], [], timeout_s)[0])

    def _read_number(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        line = b""
        while not line.endswith(b"\n"):
            if not self._is_readable(max(deadline - time.monotonic(), 0.0)):
                raise AssertionError(f"the nursery said nothing within {timeout_s} s")
            piece = os.read(self._status, 1)
            if piece == b"":
                raise AssertionError("the nursery has ended")
            line += piece
        return int(line)


class Nursery:
    """The process that has imported everything, and forks."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=clean_environment(),
            )

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], stdout: IO[bytes] | None, stderr: IO[bytes]
    ) -> ForkedProcess:
        """Fork a process that runs `commandpost ARGUMENTS`; without a `stdout` there is a pipe."""
        if stdout is not None:
            return ForkedProcess(
                status=self._ask(arguments, environment, stdout.fileno(), stderr.fileno()), stdout=None
            )
        ours, theirs = os.pipe()
        try:
            status = self._ask(arguments, environment, theirs, stderr.fileno())
        finally:
            os.close(theirs)
        return ForkedProcess(status=status, stdout=os.fdopen(ours, "rb", buffering=0))

    def _ask(self, arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> int:
        request = json.dumps([list(arguments), dict(environment)]).encode() + b"\n"
        ours, theirs = os.pipe()
        try:
            sent = socket.send_fds(self._socket, [request], [stdout, stderr, theirs])
            self._socket.sendall(request[sent:])
        finally:
            os.close(theirs)
        return ours

    def close(self) -> None:
        """Let it end; what was forked goes on."""
        self._socket.close()
        self._process.wait(END_S)


@cache
def find_nursery() -> Nursery:
    """Give this process's nursery; it ends with the process."""
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


def fork_command(arguments: Sequence[str], environment: Mapping[str, str], stderr: IO[bytes]) -> ForkedProcess:
    """Start `commandpost` as a fork."""
    return find_nursery().start(arguments, environment=environment, stdout=None, stderr=stderr)


def start_installed(
    arguments: Sequence[str], environment: Mapping[str, str], stderr: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start `commandpost` as everybody does: an interpreter of its own that imports what it needs."""
    return subprocess.Popen(
        [sys.executable, "-m", "commandpost", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
        env=environment,
    )


# --- in the nursery --------------------------------------------------------------------------------------------------


def run_nursery(requests: socket.socket) -> None:
    """Fork what is asked for, until the asker is gone."""
    import typer._adapters  # noqa: F401 -- at its first command it imports pydantic

    import commandpost.app.server  # noqa: F401 -- so that no server has to
    from tests.acceptance import crashing_server

    gc.freeze()  # a collection in a server should not copy every page of the nursery
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the guardians
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(requests, PIECE_BYTES, 3)
        while request and not request.endswith(b"\n"):
            request += requests.recv(PIECE_BYTES)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            arguments, environment = json.loads(request)
            _guard(crashing_server.run, arguments, environment, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _guard(
    run: Callable[[], object], arguments: list[str], environment: dict[str, str], descriptors: list[int]
) -> NoReturn:
    """Fork the process, say its pid, wait for its end, say its exit code."""
    stdout, stderr, status = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (pid := os.fork()) == 0:
        os.close(status)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["commandpost", *arguments]
        _end_like_a_process(run)
    os.close(stdout)
    os.close(stderr)
    os.write(status, b"%d\n" % pid)
    _pid, waited = os.waitpid(pid, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(waited))
    os._exit(0)


def _end_like_a_process(run: Callable[[], object]) -> NoReturn:
    """Run, and end with the exit code that the interpreter would have ended with."""
    code = 0
    try:
        run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asker:
        run_nursery(asker)
