"""The data directory: who may use it, what lies where in it, and how fast its disk is.

One process per data directory (design 4). The lock is the kernel's (flock), so it ends with its process however that
ends; nothing has to be cleaned up after a crash.
"""

import fcntl
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from commandpost.stores.errors import DataDirectoryLocked

DATABASE_NAME: Final = "commandpost.db"
KEY_NAME: Final = "sealing.key"
LOCK_NAME: Final = "lock"
PROBE_NAME: Final = "fsync.probe"
PROBE_SAMPLES: Final = 15
PROBE_BYTES: Final = 4_096  # a page: what a small commit appends to the log


class DataDirectory:
    """A data directory that this process has, until it is closed.

    A new one is made with mode 0700. The mode of one that is there is its owner's decision; the files in it are 0600.
    """

    def __init__(self, path: Path) -> None:
        """Take a directory, make it if it is not there.

        Raises:
            DataDirectoryLocked: another process has it; the error names its process id.
            OSError: it cannot be made or written to.
        """
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock: int | None = _take_lock(path / LOCK_NAME, path)

    @property
    def database(self) -> Path:
        """Where the database lies."""
        return self.path / DATABASE_NAME

    def close(self) -> None:
        """Let others have it; harmless when done twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "DataDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def measure_fsync(directory: Path, *, monotonic: Callable[[], float]) -> float:
    """Give the median time in seconds of a small write with its fsync in a directory; takes 15 of them.

    Raises:
        OSError: the directory cannot be written to.
    """
    path = directory / PROBE_NAME
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    times = []
    try:
        for _ in range(PROBE_SAMPLES):
            started = monotonic()
            os.write(descriptor, bytes(PROBE_BYTES))
            os.fsync(descriptor)
            times.append(monotonic() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times)


def _take_lock(lock_path: Path, directory: Path) -> int:
    descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"process {holder}" if holder else "another process"
        raise DataDirectoryLocked(f"{directory} is in use by {who}: one process may have a data directory") from None
    except OSError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
