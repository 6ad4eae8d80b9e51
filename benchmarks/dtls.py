"""What DTLS costs: handshakes beside `openssl s_server`, and commands and registrations beside the same without it."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from subprocess import PIPE

from benchmarks.dtls_load import PSK, SecureDevices
from benchmarks.figures import Comparison, in_turn
from benchmarks.http_load import request_bytes
from benchmarks.processes import python_process
from benchmarks.runs import ENVIRONMENT, Scale, prepare, run_load
from benchmarks.udp_load import Devices, imei_of, register_frame
from tests.acceptance.nursery import start_installed
from tests.acceptance.server import ServerProcess

SUITE = "PSK-AES128-CCM8"
ONE_AFTER_ANOTHER = 200  # handshakes against a server that can hold one session
OPENSSL_START_S = 0.3


@contextmanager
def serving_dtls(
    directory: Path, *, devices: int, is_persistent: bool = True
) -> Iterator[tuple[ServerProcess, tuple[str, int]]]:
    """A real server whose first devices have a key; gives where it hears them over DTLS."""
    prepare(directory, devices=2 * devices)
    arguments = ("--coaps", "127.0.0.1:0")
    environment = {**ENVIRONMENT, "COMMANDPOST_DTLS_PERSIST": str(is_persistent).lower()}
    with ServerProcess(
        data_dir=directory, environment=environment, arguments=arguments, launch=start_installed
    ) as server:
        requests = [
            request_bytes(
                "POST",
                f"/nbiot/device/accpsk?imei={imei_of(number)}",
                api_key=server.master_key,
                body=f'{{"key":"{PSK}"}}'.encode(),
            )
            for number in range(devices)
        ]
        assert b'"errno":0' in run_load(server.http, requests, 16).last_body
        listeners = dict(part.split("=", 1) for part in server.ready_line.split()[1:])
        host, _, port = listeners["coaps"].rpartition(":")
        yield server, (host, int(port))
        server.terminate()


def handshakes(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Full handshakes with cookie: many at once, one after another beside OpenSSL, and followed by a registration."""
    count = scale.registrations
    for is_persistent in (True, False):
        folder = directory.with_name(f"{directory.name}-{is_persistent}".lower())
        with serving_dtls(folder, devices=count, is_persistent=is_persistent) as (server, door):
            title = "DTLS handshakes" if is_persistent else "DTLS handshakes, dtls.persist = false"
            yield _many_handshakes(title, server, door, scale)
            yield _single_handshakes(title, door, scale)
            if is_persistent:
                yield _registrations(server, door, scale)


def _many_handshakes(title: str, server: ServerProcess, door: tuple[str, int], scale: Scale) -> Comparison:
    count = scale.registrations

    def many() -> float:
        devices = SecureDevices(door, [imei_of(number) for number in range(count)])
        seconds = devices.shake_hands()
        devices.close()
        return count / seconds

    def per_processor_second() -> float:
        before = processor_seconds(server)
        many()
        return count / (processor_seconds(server) - before)

    ours, of_processor = in_turn(
        (("64 at once", "/s", many), ("64 at once", "per second of the server's processor", per_processor_second)),
        rounds=scale.rounds,
    )
    return Comparison(title=title, ours=ours, extra=(of_processor,))


def _single_handshakes(title: str, door: tuple[str, int], scale: Scale) -> Comparison:
    with openssl_server() as other:
        found = in_turn(
            (
                ("one after another", "/s", lambda: _one_after_another(door)),
                ("`openssl s_server`, which asks for no cookie", "/s", lambda: _one_after_another(other)),
            ),
            rounds=scale.rounds,
        )
    return Comparison(title=title, ours=found[0], bare=found[1:])


def _registrations(server: ServerProcess, door: tuple[str, int], scale: Scale) -> Comparison:
    count = scale.registrations
    found = in_turn(
        (
            ("handshake and registration", "/s", lambda: _come_in(door, count)),
            ("the same devices without DTLS", "/s", lambda: _register_plainly(server, count)),
        ),
        rounds=scale.rounds,
    )
    return Comparison(title="devices that come in over DTLS", ours=found[0], bare=found[1:])


def commands(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """Instant reads end to end through DTLS, in turn with the same to devices without it."""
    devices, connections = 64, 64
    with (
        serving_dtls(directory, devices=devices) as (server, (host, port)),
        python_process("benchmarks.dtls_load", host, str(port), str(devices), stdin=PIPE),
        _plain_devices(server, devices),
    ):

        def reads(first: int) -> Callable[[], float]:
            requests = [
                request_bytes(
                    "GET",
                    f"/nbiot?imei={imei_of(first + number % devices)}&obj_id=3303&obj_inst_id=0&res_id=5700",
                    api_key=server.master_key,
                )
                for number in range(scale.requests)
            ]

            def measure() -> float:
                done = run_load(server.http, requests, connections)
                assert b'"errno":0' in done.last_body, done.last_body
                return done.per_second

            return measure

        found = in_turn((("over DTLS", "/s", reads(0)), ("without DTLS", "/s", reads(devices))), rounds=scale.rounds)
    yield Comparison(title="instant commands, 64 devices", ours=found[0], bare=found[1:])


def processor_seconds(server: ServerProcess) -> float:
    """What a server's process has used of processors so far."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100  # USER_HZ on Linux


def _one_after_another(door: tuple[str, int]) -> float:
    devices = SecureDevices(door, [imei_of(number) for number in range(ONE_AFTER_ANOTHER)])
    seconds = devices.shake_hands(window=1, leaves=True)
    return ONE_AFTER_ANOTHER / seconds


def _come_in(door: tuple[str, int], count: int) -> float:
    devices = SecureDevices(door, [imei_of(number) for number in range(count)])
    seconds = devices.shake_hands() + devices.register()
    devices.close()
    return count / seconds


def _register_plainly(server: ServerProcess, count: int) -> float:
    devices = Devices(server.coap, count)
    seconds = devices.exchange([[register_frame(imei_of(count + number), 0x100)] for number in range(count)])
    devices.close()
    return count / seconds


@contextmanager
def _plain_devices(server: ServerProcess, count: int) -> Iterator[None]:
    host, port = server.coap
    with python_process("benchmarks.udp_load", host, str(port), str(count), str(count), stdin=PIPE):
        yield


@contextmanager
def openssl_server() -> Iterator[tuple[str, int]]:
    """Run `openssl s_server`, which takes any identity with the one key, and one session at a time.

    With `-listen` it would ask for a cookie, and answer one client only.
    """
    program = shutil.which("openssl")
    assert program is not None, "openssl is not installed"
    with socket(AF_INET, SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [program, "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-nocert", "-quiet"]
    command += ["-psk", PSK.encode().hex(), "-cipher", f"{SUITE}:@SECLEVEL=0"]
    process = subprocess.Popen(command, stdin=PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(OPENSSL_START_S)
        yield "127.0.0.1", port
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


DTLS_RUNS: dict[str, Callable[[Path, Scale], Iterator[Comparison]]] = {
    "dtls-handshakes": handshakes,
    "dtls-commands": commands,
}
