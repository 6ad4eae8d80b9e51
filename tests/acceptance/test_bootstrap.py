"""Simulated devices over real sockets that ask for a bootstrap first."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.environments import clean_environment
from tests.acceptance.server import MASTER_KEY, ServerProcess, poll

URI = {"COMMANDPOST_LWM2M_BOOTSTRAP_URI": "coap://127.0.0.1:5683"}


@contextmanager
def simulated(server: ServerProcess, *arguments: str) -> Iterator[None]:
    """Devices that are created first and live until the block ends."""
    coap, http = (f"{host}:{port}" for host, port in (server.coap, server.http))
    command = [sys.executable, "-m", "commandpost", "simulate", "--coap", coap, *arguments]
    process = subprocess.Popen(
        [*command, "--register-api", f"http://{http}", "--key", MASTER_KEY],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_until_online(server: ServerProcess, count: int) -> None:
    """Wait until so many devices are registered."""
    online = -1
    for _ in poll(20.0):
        online = server.data("GET", "/devices", {"online": "true"})["total_count"]
        if online == count:
            return
    raise AssertionError(f"{online} of {count} are online; log:\n{server.log()}")


def test_devices_of_both_kinds_are_bootstrapped_register_and_answer(tmp_path: Path) -> None:
    """From `/bs` to an application that reads a value."""
    modules = ("--bootstrap", "module", "--count", "3", "--imei-start", "860000000000001")
    generics = ("--bootstrap", "generic", "--count", "3", "--imei-start", "860000000000101")
    with ServerProcess(data_dir=tmp_path / "data", environment=URI) as server:
        with simulated(server, *modules), simulated(server, *generics):
            wait_until_online(server, 6)
            for imei in ("860000000000001", "860000000000101"):
                read = {"imei": imei, "obj_id": 3, "obj_inst_id": 0, "timeout": 10}
                assert server.data("GET", "/nbiot", read)[0]["res"]
        log = server.log()

    assert log.count("bootstrap_started") == 6
    assert log.count("bootstrap_ended") == 6
