"""mosquitto's own tools as devices: payloads down, datapoints up, QoS 2, wills and retained messages.

Source: southbound reference 5 and 7.
"""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    HOUR_S,
    SENT,
    StreamDevice,
    answer_to,
    create_device,
    door,
    is_online,
    stream_server,
    streams_of,
    submit,
    wait_for_payload,
    wait_until_online,
)
from tests.interop.programs import require_program

PACKAGE = "mosquitto-clients"
RUN_S = 15.0
VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has devices of its own."""
    for name in ("mosquitto_pub", "mosquitto_sub"):
        require_program([name], PACKAGE)
    with stream_server(tmp_path_factory.mktemp("mosquitto") / "data", doors=("mqtt",)) as running:
        yield running


def command(program: str, server: ServerProcess, device: StreamDevice, version: str, *options: str) -> list[str]:
    """A command line that logs in as a device."""
    host, port = door(server, "mqtt")
    login = ["-i", device.id, "-u", device.product_id, "-P", device.secret]
    return [require_program([program], PACKAGE), "-h", host, "-p", str(port), "-V", version, *login, *options]


def publish(server: ServerProcess, device: StreamDevice, version: str, *options: str) -> None:
    """Publish, and want it to have worked."""
    done = subprocess.run(
        command("mosquitto_pub", server, device, version, *options),
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done


class Subscriber:
    """A mosquitto_sub; it writes topic, QoS, retain flag and payload, a line each."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._received = b""

    def got(self) -> str:
        """Give the next message as it is written."""
        return self.read_until("got ").removeprefix("got ")

    def read_until(self, beginning: str) -> str:
        """Read lines up to one that begins so."""
        while True:
            line, end, rest = self._received.partition(b"\n")
            if not end:
                self._receive(beginning)
                continue
            self._received = rest
            if line.decode().startswith(beginning):
                return line.decode()

    def _receive(self, beginning: str) -> None:
        assert self.process.stdout is not None
        is_there, _, _ = select.select([self.process.stdout], [], [], RUN_S)
        piece = os.read(self.process.stdout.fileno(), 65_536) if is_there else b""
        assert piece, f"no line begins with {beginning!r}; the last is {self._received!r}"
        self._received += piece


@contextmanager
def subscriber(server: ServerProcess, device: StreamDevice, version: str, *options: str) -> Iterator[Subscriber]:
    """A mosquitto_sub whose SUBACK has come. Its output would else be held back as long as it is no terminal's."""
    at_once = [require_program(["stdbuf"], "coreutils"), "-oL"]
    arguments = command("mosquitto_sub", server, device, version, "-d", "-F", "got %t %q %r %p", *options)
    process = subprocess.Popen([*at_once, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        running = Subscriber(process)
        running.read_until("Subscribed")
        yield running
    finally:
        process.kill()
        process.wait(RUN_S)
        if process.stdout is not None:
            process.stdout.close()


@VERSIONS
def test_commands_come_to_mosquitto_sub_and_mosquitto_pub_answers(server: ServerProcess, version: str) -> None:
    """`-t '$creq/#'`, as it wants some topic: each once; the answer by a second login of the device."""
    device = create_device(server, "MQTT", f"commands {version}")
    with subscriber(server, device, version, "-t", "$creq/#", "-q", "1") as process:
        uuids = [submit(server, device, b"ping %d" % number, qos=1, timeout_s=HOUR_S) for number in range(3)]
        lines = [process.got() for _ in uuids]
        for uuid in uuids:
            wait_for_payload(server, uuid, SENT)
    publish(server, device, version, "-t", f"$crsp/{uuids[0]}", "-m", "pong", "-q", "1")
    wait_for_payload(server, uuids[0], ANSWERED)

    assert lines == [f"$creq/{uuid} 1 0 ping {number}" for number, uuid in enumerate(uuids)]
    assert answer_to(server, uuids[0]) == b"pong"


@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_report_from_a_file_is_stored(server: ServerProcess, tmp_path: Path, version: str, qos: str) -> None:
    """`-t '$dp' -f file`: type 3, bytes that are no text."""
    device = create_device(server, "MQTT", f"reports {version} {qos}")
    report = tmp_path / "report"
    report.write_bytes(bytes.fromhex("03 00 0A 7B 22 74 22 3A 32 32 2E 35 7D"))
    publish(server, device, version, "-t", "$dp", "-f", str(report), "-q", qos)
    wait_until_online(server, device, is_expected=False)

    assert streams_of(server, device) == {"t": 22.5}


@VERSIONS
def test_qos_2_and_retained_messages_between_two_devices(server: ServerProcess, version: str) -> None:
    """A live one at QoS 2, and a retained one that waits."""
    ears, mouth = (create_device(server, "MQTT", f"{name} {version}") for name in ("ears", "mouth"))
    publish(server, mouth, version, "-t", f"{version}/state", "-m", "on", "-q", "1", "-r")
    with subscriber(server, ears, version, "-t", f"{version}/#", "-q", "2") as process:
        retained = process.got()
        publish(server, mouth, version, "-t", f"{version}/live", "-m", "exactly once", "-q", "2")
        live = process.got()

    assert (retained, live) == (f"{version}/state 1 1 on", f"{version}/live 2 0 exactly once")


@VERSIONS
def test_a_will_follows_a_process_that_was_killed(server: ServerProcess, version: str) -> None:
    """Its stream breaks without a DISCONNECT."""
    ears, mortal = (create_device(server, "MQTT", f"{name} {version}") for name in ("heir", "mortal"))
    options = ("--will-topic", f"wills/{version}", "--will-payload", "gone", "--will-qos", "1")
    with (
        subscriber(server, ears, version, "-t", f"wills/{version}", "-q", "1") as process,
        subscriber(server, mortal, version, "-t", "anything", *options) as victim,
    ):
        assert is_online(server, mortal)
        victim.process.send_signal(signal.SIGKILL)
        line = process.got()

    assert line == f"wills/{version} 1 0 gone"


def test_a_wrong_password_is_refused_by_name(server: ServerProcess) -> None:
    """The tool says what the CONNACK means."""
    device = create_device(server, "MQTT", "right")
    wrong = StreamDevice(id=device.id, product_id=device.product_id, secret="wrong")
    done = subprocess.run(
        command("mosquitto_pub", server, wrong, "mqttv311", "-t", "a", "-m", "x", "-q", "1"),
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )

    assert done.returncode != 0
    assert "bad user name or password" in done.stderr.lower()
