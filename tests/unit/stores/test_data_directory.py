"""One process per data directory, and how fast its disk is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commandpost.stores.data_directory import DataDirectory, measure_fsync
from commandpost.stores.errors import DataDirectoryLocked

HOLD = """
import sys
from pathlib import Path
from commandpost.stores.data_directory import DataDirectory
directory = DataDirectory(Path(sys.argv[1]))
print("mine", flush=True)
sys.stdin.read()
"""


def test_a_new_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "deep" / "data") as directory:
        assert directory.path.stat().st_mode & 0o777 == 0o700
        assert directory.database.parent == directory.path


def test_a_second_holder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with (
        DataDirectory(tmp_path),
        pytest.raises(DataDirectoryLocked, match=f"{tmp_path} is in use by process {os.getpid()}"),
    ):
        DataDirectory(tmp_path)


def test_a_closed_directory_is_free(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    first.close()
    first.close()

    DataDirectory(tmp_path).close()


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        with pytest.raises(DataDirectoryLocked, match=f"process {holder.pid}"):
            DataDirectory(tmp_path)
        holder.kill()
        holder.wait()

    DataDirectory(tmp_path).close()


def test_the_probe_gives_the_median_and_leaves_nothing(tmp_path: Path) -> None:
    ticks = iter(range(1_000))

    median = measure_fsync(tmp_path, monotonic=lambda: float(next(ticks)))

    assert median == 1.0
    assert list(tmp_path.iterdir()) == []
