"""The processes a benchmark needs, and what they use."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

STOP_S = 10.0


@contextlib.contextmanager
def python_process(*arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator["tuple[subprocess.Popen[str], str]"]:
    """Run `python -m …` until the block ends; gives the process and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stdin=stdin, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line.startswith("ready"):
            raise RuntimeError(f"{' '.join(arguments)} did not start: {line!r}")
        yield process, line
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def address_of(line: str) -> tuple[str, int]:
    """The address of a bare server's ready line."""
    host, _, port = line.split()[-1].rpartition(":")
    return host, int(port)


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {process_id} has no VmRSS")


def describe_machine(directory: Path) -> dict[str, str]:
    """What the numbers belong to."""
    import os
    import platform
    import sqlite3
    import time

    from commandpost.stores.data_directory import measure_fsync

    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = next(
        line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{int(memory) // 1_048_576} GiB",
        "kernel": platform.release().split("-")[0],
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "median fsync": f"{measure_fsync(directory, monotonic=time.monotonic) * 1000:.2f} ms",
    }
