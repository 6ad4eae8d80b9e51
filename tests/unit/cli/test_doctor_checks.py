"""Doctor's findings: what is found, how it is judged, and that every complaint says what to do."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from commandpost.cli import doctor_checks
from commandpost.cli.doctor_checks import Check, State
from commandpost.config import CoapSettings, DtlsSettings, HttpSettings, ListenAddress, Settings

NOW_MS = 1_767_225_600_000  # 2026-01-01


class Usage(NamedTuple):
    """As shutil.disk_usage gives it."""

    total: int
    used: int
    free: int


def ticking(*moments: float) -> Iterator[float]:
    return iter(moments)


def check_clock(data_dir: Path, *, wall_ms: int = NOW_MS, moments: tuple[float, float] = (1.0, 2.0)) -> Check:
    steps = ticking(*moments)
    return doctor_checks.check_clock(lambda: wall_ms, lambda: next(steps), data_dir)


def test_a_plausible_clock_is_ok(tmp_path: Path) -> None:
    assert check_clock(tmp_path / "none").state is State.OK


@pytest.mark.parametrize("wall_ms", [0, 1_000_000_000_000, 5_000_000_000_000])
def test_a_clock_that_was_never_set_fails(tmp_path: Path, wall_ms: int) -> None:
    check = check_clock(tmp_path / "none", wall_ms=wall_ms)

    assert check.state is State.FAIL
    assert "chrony" in check.advice


def test_a_clock_behind_the_newest_file_fails(tmp_path: Path) -> None:
    (tmp_path / "commandpost.db").touch()

    check = check_clock(tmp_path, wall_ms=doctor_checks.WALL_MS_MIN)

    assert check.state is State.FAIL
    assert "behind the newest file" in check.found


def test_a_monotonic_clock_that_goes_back_fails(tmp_path: Path) -> None:
    assert check_clock(tmp_path / "none", moments=(2.0, 1.0)).state is State.FAIL


@pytest.mark.parametrize(
    ("free", "state"), [(2**40, State.OK), (500 * 2**20, State.WARN), (50 * 2**20, State.FAIL), (0, State.FAIL)]
)
def test_a_full_disk_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**41, 0, free))

    check = doctor_checks.check_disk(tmp_path)

    assert check.state is state
    assert bool(check.advice) == (state is not State.OK)


@pytest.mark.parametrize(
    ("median_s", "state", "word"),
    [
        (0.000_2, State.OK, "auto is inline"),
        (0.01, State.OK, "auto is thread"),
        (0.2, State.WARN, "200 ms"),
        (0.000_001, State.WARN, "0.001 ms"),
    ],
)
def test_the_disk_is_judged_by_its_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, median_s: float, state: State, word: str
) -> None:
    monkeypatch.setattr(doctor_checks, "measure_fsync", lambda _folder, *, monotonic: median_s)

    check = doctor_checks.check_fsync(tmp_path, lambda: 0.0)

    assert check.state is state
    assert word in check.found
    assert bool(check.advice) == (state is not State.OK)


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    assert doctor_checks.check_fsync(tmp_path / "none", lambda: 0.0).state is State.FAIL


def test_a_receive_buffer_the_system_will_not_give_is_a_warning() -> None:
    check = doctor_checks.check_receive_buffer(2**30)

    if check.state is State.WARN:
        assert "net.core.rmem_max=1073741824" in check.advice
    else:
        assert "1073741824 granted" in check.found


def test_a_dtls_port_somebody_else_has_fails() -> None:
    """It is UDP like the one of CoAP, and its own server's is its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        dtls = DtlsSettings(listen=(ListenAddress(host="127.0.0.1", port=port),))
        settings = Settings(http=HttpSettings(listen=()), coap=CoapSettings(listen=()), dtls=dtls)

        (foreign,) = doctor_checks.check_listeners(settings, None)
        (own,) = doctor_checks.check_listeners(settings, {"listeners": {"coaps": [f"127.0.0.1:{port}"]}})

    assert (foreign.name, foreign.state, own.state) == ("coaps port", State.FAIL, State.OK)
    assert "--coaps" in foreign.advice
    assert "ss -lunp" in foreign.advice


def test_a_server_that_does_not_answer_fails(tmp_path: Path) -> None:
    check = doctor_checks.check_server(tmp_path, None, "it hangs")

    assert check.state is State.FAIL
    assert "it hangs" in check.found


def test_a_data_directory_that_is_a_file_fails(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.touch()

    (check,) = doctor_checks.check_data_dir(path)

    assert check.state is State.FAIL
    assert "--data-dir" in check.advice


def test_one_that_is_not_there_will_be_made(tmp_path: Path) -> None:
    (check,) = doctor_checks.check_data_dir(tmp_path / "a" / "b")

    assert check.state is State.OK
    assert not (tmp_path / "a").exists()


def test_the_limits_are_told() -> None:
    assert "10 cached commands" in doctor_checks.describe_limits(Settings()).found
