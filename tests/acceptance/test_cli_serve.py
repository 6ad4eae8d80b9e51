"""`commandpost serve`: the ready line, signals, and every reason not to start."""

import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance import processes
from tests.acceptance.nursery import start_installed
from tests.acceptance.processes import one_line, run_cli, run_json
from tests.acceptance.server import ServerProcess
from tests.simulators.scripted_device import ScriptedDevice

IMEI = "869999000000071"
NOT_FOUND = 0x84
KEY = "a-key-of-the-test"

serving = partial(processes.serving, launch=start_installed)


def test_the_ready_line_is_all_that_goes_to_stdout_and_sigterm_ends_it_with_0(tmp_path: Path) -> None:
    with serving(tmp_path / "data", environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        assert re.fullmatch(r"ready http=127\.0\.0\.1:[1-9]\d* coap=127\.0\.0\.1:[1-9]\d*", server.ready)
        assert server.get("/devices", api_key=KEY)["errno"] == 0

        assert server.stop() == 0
        assert server.rest_of_stdout() == []


def test_sigint_ends_it_with_0_too(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        assert server.stop(signal.SIGINT) == 0


def test_several_listeners_are_all_named_by_their_flag(tmp_path: Path) -> None:
    arguments = ["--http", "127.0.0.1:0", "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0", "--coap", "[::1]:0"]
    with serving(tmp_path / "data", *arguments, environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        names = [word.split("=")[0] for word in server.ready.split()[1:]]
        addresses = [word.split("=")[1] for word in server.ready.split()[1:]]

        assert names == ["http", "http", "coap", "coap"]
        assert len(set(addresses)) == 4
        assert addresses[3].startswith("[::1]:")


def test_the_first_start_shows_the_key_it_made_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(tmp_path / "data", stderr=log) as server:
        master_key = run_json("key", "show", "--data-dir", str(tmp_path / "data"))["master_key"]
        assert server.get("/devices", api_key=master_key)["errno"] == 0
        assert server.stop() == 0
    assert log.read_text().count(master_key) == 1

    with serving(tmp_path / "data", stderr=log) as server:
        assert server.get("/devices", api_key=master_key)["errno"] == 0
    assert log.read_text().count(master_key) == 1


def test_a_key_that_was_given_is_never_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(tmp_path / "data", stderr=log, environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        assert server.get("/devices", api_key=KEY)["errno"] == 0
        assert server.stop() == 0

    assert KEY not in log.read_text()


def test_a_second_server_on_the_same_data_directory_ends_with_2(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        second = run_cli(
            "serve", "--data-dir", str(tmp_path / "data"), "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0"
        )

        assert second.returncode == 2
        assert second.stdout == ""
        assert str(server.process.pid) in one_line(second.stderr)


@pytest.mark.parametrize(("flag", "kind"), [("--http", socket.SOCK_STREAM), ("--coap", socket.SOCK_DGRAM)])
def test_a_port_in_use_is_named_and_ends_it_with_2(tmp_path: Path, flag: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = {"--http": "--coap", "--coap": "--http"}[flag]
        done = run_cli("serve", "--data-dir", str(tmp_path / "data"), flag, address, other, "127.0.0.1:0")

    assert done.returncode == 2
    assert done.stdout == ""
    line = one_line(done.stderr)
    assert address in line
    assert "in use" in line


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--http", "nowhere"], {}, ["--http", "http.listen", "'nowhere'", "HOST:PORT"]),
        (["--coap", "127.0.0.1:99999"], {}, ["--coap", "coap.listen", "99999"]),
        ([], {"COMMANDPOST_STORE_COMMIT": "later"}, ["COMMANDPOST_STORE_COMMIT", "'later'", "inline"]),
        ([], {"COMMANDPOST_MASTER_KEY": "short"}, ["COMMANDPOST_MASTER_KEY", "8 to 128"]),
        (["--config", "/nowhere/commandpost.toml"], {}, ["/nowhere/commandpost.toml", "cannot be read"]),
    ],
)
def test_a_bad_setting_is_one_clear_line_and_ends_it_with_2(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], words: list[str]
) -> None:
    done = run_cli("serve", "--data-dir", str(tmp_path / "data"), *arguments, environment=environment)

    assert done.returncode == 2
    assert done.stdout == ""
    line = one_line(done.stderr)
    assert [word for word in words if word not in line] == []
    assert not (tmp_path / "data").exists()


def test_settings_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "commandpost.toml"
    file.write_text(f'data_dir = "{tmp_path / "data"}"\nmaster_key = "{KEY}"\nhttp = "127.0.0.1:1"\n')
    with serving(tmp_path / "other", "--config", str(file)) as server:
        assert server.get("/devices", api_key=KEY)["errno"] == 0

    assert (tmp_path / "other").is_dir()
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_cli(
        "serve", "--data-dir", str(tmp_path / "file" / "data"), "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0"
    )

    assert done.returncode == 2
    assert str(tmp_path / "file") in one_line(done.stderr)


def test_callers_that_wait_when_it_is_told_to_stop_are_answered(tmp_path: Path) -> None:
    """In the form of every other answer, though their device is silent; and nothing in the log looks like a failure."""
    with ServerProcess(data_dir=tmp_path / "data") as server, ThreadPoolExecutor() as callers:
        server.create_device(IMEI)
        device = ScriptedDevice(server.coap, IMEI)
        with closing(device):
            device.register()
            device.answer(device.receive_request(), NOT_FOUND)  # the Read of /3/0
            query = {"imei": IMEI, "obj_id": 3, "obj_inst_id": 0, "res_id": 0, "timeout": 40}
            call = callers.submit(server.call, "GET", "/nbiot", query)
            device.receive_request()

            assert server.terminate() == 0

        assert call.result(5.0)["errno"] != 0
        assert "Traceback" not in server.log()
