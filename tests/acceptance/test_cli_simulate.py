"""`commandpost simulate`: devices register with a real server, and every way to end."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import STOP_S, clean_environment, one_line, run_cli, run_json, serving

KEY = "a-key-of-the-test"


def test_devices_are_created_and_register_and_the_last_count_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "data", environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        arguments = ["--coap", server.coap, "--count", "5", "--duration", "3"]
        told = run_json("simulate", *arguments, "--register-api", f"http://{server.http}", "--key", KEY)
        listed = run_json("device", "list", "--data-dir", str(tmp_path / "data"))

    assert told["created"] == 5
    assert told["registrations"] == 5
    assert told["registered"] == 5
    assert listed["total"] == 5
    assert [device["online"] for device in listed["devices"]] == [True] * 5


def test_the_coap_address_is_asked_of_the_server_of_the_data_directory(tmp_path: Path) -> None:
    with serving(tmp_path / "data", environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        arguments = ["--data-dir", str(tmp_path / "data"), "--register-api", f"http://{server.http}", "--key", KEY]
        told = run_json("simulate", *arguments, "--duration", "2")

    assert told["registrations"] == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0_and_a_summary(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path / "data", environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        command = [sys.executable, "-m", "commandpost", "simulate", "--coap", server.coap, "--json"]
        with subprocess.Popen(
            [*command, "--register-api", f"http://{server.http}", "--key", KEY],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        ) as process:
            assert process.stderr is not None
            assert " on, " in process.stderr.readline()
            process.send_signal(how)
            out, _ = process.communicate(timeout=STOP_S)

    assert process.returncode == 0
    assert json.loads(out)["created"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--coap", "nowhere"], ["--coap", "'nowhere'", "HOST:PORT"]),
        (["--coap", "127.0.0.1:1", "--behaviour", "odd"], ["--behaviour", "'odd'", "answers-4.05", "moves-address"]),
        (["--coap", "127.0.0.1:1", "--imei-start", "12"], ["imei_start", "12", "15 digits"]),
        (["--coap", "127.0.0.1:1", "--register-api", "http://127.0.0.1:1"], ["api-key"]),
    ],
)
def test_a_bad_flag_is_one_clear_line_and_ends_it_with_2(arguments: list[str], words: list[str]) -> None:
    done = run_cli("simulate", *arguments)

    assert done.returncode == 2
    line = one_line(done.stderr)
    assert [word for word in words if word not in line] == []


def test_without_an_address_and_without_a_server_it_says_what_is_missing(tmp_path: Path) -> None:
    done = run_cli("simulate", "--data-dir", str(tmp_path / "data"))

    assert done.returncode == 2
    assert "--coap HOST:PORT" in one_line(done.stderr)


def test_an_api_that_is_not_there_is_one_clear_line() -> None:
    done = run_cli("simulate", "--coap", "127.0.0.1:9", "--register-api", "http://127.0.0.1:1", "--key", KEY)

    assert done.returncode == 1
    assert "127.0.0.1:1" in one_line(done.stderr)
