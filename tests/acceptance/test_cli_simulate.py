"""`commandpost simulate`: devices register with or connect to a real server, and every way to end."""

import json
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.certificates import write_certificate
from tests.acceptance.dtls_house import is_online as is_registered
from tests.acceptance.processes import one_line, run_cli, running_cli
from tests.acceptance.server import MASTER_KEY, ServerProcess, poll
from tests.acceptance.stream_house import (
    ANSWERED,
    TOO_LARGE,
    WAIT_S,
    StreamDevice,
    answer_to,
    create_device,
    door,
    payload_history,
    points_of,
    stream_server,
    streams_of,
    submit,
    wait_for_payload,
    wait_until_online,
)
from tests.simulators.datagram_relay import DatagramRelay

KEY = "a-key-of-the-test"
DTLS_ALERT = 21  # the content type of a record
FORBIDDEN = 0x83  # 4.03 of CoAP


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with every door for all these tests; each uses devices of its own."""
    found = stream_server(tmp_path_factory.mktemp("simulate") / "data", doors=("mqtt", "edp", "coaps"))
    found.environment = {**found.environment, "COMMANDPOST_LOG_LEVEL": "info"}
    with found:
        yield found


@dataclass
class Simulation:
    """What a run told at its end."""

    counts: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    stderr: str = ""


@contextmanager
def simulating(*arguments: str, how: signal.Signals = signal.SIGTERM, exit_code: int = 0) -> Iterator[Simulation]:
    """Run `commandpost simulate … --json` meanwhile, end it by a signal, and fill in what it told at its end."""
    simulation = Simulation()
    with running_cli("simulate", "--json", *arguments) as command:
        yield simulation
        done = command.stop(how)
    assert done.returncode == exit_code, done.stderr
    simulation.counts, simulation.stderr = json.loads(done.stdout), done.stderr


def created_by(server: ServerProcess) -> list[str]:
    """Have the devices created."""
    return ["--register-api", "http://{}:{}".format(*server.http), "--key", MASTER_KEY]


def written(address: tuple[str, int]) -> str:
    return "{}:{}".format(*address)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Poll until it is so."""
    for _ in poll(WAIT_S, every_s=0.02):
        if is_so():
            return
    raise AssertionError(f"it is not so within {WAIT_S} s")


def wait_until_read(server: ServerProcess, *imeis: str) -> None:
    """Wait until devices are registered and have answered a read: they know then that they are."""
    for imei in imeis:
        wait_until(partial(is_on, server, imei))
        server.data("GET", "/nbiot", {"imei": imei, "obj_id": 3})


def is_on(server: ServerProcess, imei: str) -> bool:
    """Whether a device is there, and registered."""
    return server.call("GET", "/devices/getbyimei", {"imei": imei})["errno"] == 0 and is_registered(server, imei)


def log_lines(server: ServerProcess) -> list[str]:
    return server.log().splitlines()


# --- LwM2M -----------------------------------------------------------------------------------------------------------


def test_devices_are_created_and_register_and_the_last_count_is_told(server: ServerProcess) -> None:
    """All five, and the API says so, too."""
    imeis = [str(860_000_000_000_101 + number) for number in range(5)]
    arguments = ["--coap", written(server.coap), "--count", "5", "--imei-start", imeis[0]]

    with simulating(*arguments, *created_by(server)) as simulation:
        wait_until_read(server, *imeis)

    counts = simulation.counts
    assert (counts["created"], counts["registrations"], counts["registered"]) == (5, 5, 5)
    assert [is_registered(server, imei) for imei in imeis] == [True] * 5


def test_the_coap_address_is_asked_of_the_server_of_the_data_directory(server: ServerProcess) -> None:
    imei = "860000000000201"
    arguments = ["--data-dir", str(server.data_dir), "--imei-start", imei]

    with simulating(*arguments, *created_by(server)) as simulation:
        wait_until_read(server, imei)

    assert simulation.counts["registrations"] == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0_and_a_summary(server: ServerProcess, how: signal.Signals) -> None:
    """The summary for programs on stdout, a line for people on stderr."""
    imei = f"8600000000003{how:02d}"

    with simulating("--coap", written(server.coap), "--imei-start", imei, *created_by(server), how=how) as simulation:
        wait_until_read(server, imei)

    assert simulation.counts["created"] == 1
    assert "1 on, 1 registered" in one_line(simulation.stderr)


def test_the_time_that_was_given_ends_it_too(server: ServerProcess) -> None:
    imei = "860000000000401"
    arguments = ["--coap", written(server.coap), "--imei-start", imei, "--duration", "0.01"]

    done = run_cli("simulate", "--json", *arguments, *created_by(server))

    assert json.loads(done.stdout)["started"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--coap", "nowhere"], ["--coap", "'nowhere'", "HOST:PORT"]),
        (["--coap", "127.0.0.1:1", "--behaviour", "odd"], ["--behaviour", "'odd'", "answers-4.05", "moves-address"]),
        (["--coap", "127.0.0.1:1", "--imei-start", "12"], ["imei_start", "12", "15 digits"]),
        (["--coap", "127.0.0.1:1", "--register-api", "http://127.0.0.1:1"], ["api-key"]),
        (["--mqtt", "127.0.0.1:1", "--loss", "0.5"], ["--loss", "--mqtt"]),
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


# --- MQTT and EDP ----------------------------------------------------------------------------------------------------

EVERY_TYPE = "1,2,3,4,5,6,7"


def given(server: ServerProcess, flag: str, device: StreamDevice) -> list[str]:
    """Name a device that exists."""
    return [f"--{flag}", written(door(server, flag)), "--device-id", device.id, "--auth-info", device.secret]


@pytest.mark.parametrize("flag", ["mqtt", "edp"])
def test_stream_devices_are_created_and_report_every_type(server: ServerProcess, flag: str) -> None:
    """Everything they report is acknowledged, and its values are read over HTTP."""
    arguments = [f"--{flag}", written(door(server, flag)), "--count", "3", "--auth-info", f"created-{flag}"]
    arguments += ["--report", "0.05", "--report-types", EVERY_TYPE]

    with simulating(*arguments, *created_by(server)) as simulation:
        values = [wait_for_last_type(server, f"created-{flag}-{number}") for number in (1, 2, 3)]

    told = simulation.counts
    assert (told["created"], told["existing"], told["logins"], told["connected"]) == (3, 0, 3, 3)
    assert told["reports_stored"] >= 3 * 6  # the word on the last may be on its way
    assert (told["reports_refused"], told["failures"], told["lost"]) == (0, 0, 0)
    for each in values:
        assert each.keys() == {"temperature", "humidity", "picture", "1", "2"}
        assert all(-20 <= float(str(each[name])) <= 40 for name in ("temperature", "1"))
    listed = server.data("GET", "/devices", {"auth_info": f"created-{flag}-2"})["devices"]
    assert [device["protocol"] for device in listed] == [flag.upper()]


def wait_for_last_type(server: ServerProcess, auth_info: str) -> dict[str, object]:
    """Wait until a device has reported in the last of the types, whose streams have numbers; gives its values."""
    values: dict[str, object] = {}
    for _ in poll(WAIT_S, every_s=0.05):
        listed = server.data("GET", "/devices", {"auth_info": auth_info})["devices"]
        if listed:
            values = streams_of(server, StreamDevice(id=listed[0]["id"], product_id="1", secret=auth_info))
            if "1" in values:
                return values
    raise AssertionError(f"{auth_info} has reported {values.keys()}")


def test_devices_that_exist_are_not_created_again(server: ServerProcess) -> None:
    """The second run finds the device by its secret, and logs in with another version of MQTT."""
    device = create_device(server, "MQTT", "found again")
    arguments = ["--mqtt", written(door(server, "mqtt")), "--auth-info", "found again", "--mqtt-version", "5"]

    with simulating(*arguments, *created_by(server), "--qos", "2", "--report", "0.05") as simulation:
        wait_until(lambda: len(points_of(server, device, "temperature")) >= 3)

    told = simulation.counts
    assert (told["created"], told["existing"], told["connected"]) == (0, 1, 1)
    assert told["reports_stored"] >= 1


def test_an_edp_device_logs_in_by_id_and_key(server: ServerProcess) -> None:
    """EDP's first form of login needs no secret of the device."""
    device = create_device(server, "EDP", "by key")
    arguments = ["--edp", written(door(server, "edp")), "--edp-login", "1", "--device-id", device.id]

    with simulating(*arguments, "--key", MASTER_KEY) as simulation:
        wait_for_payload(server, submit(server, device, b"ping", qos=1, timeout_s=60), ANSWERED)

    assert (simulation.counts["connected"], simulation.counts["refused"]) == (1, 0)


@pytest.mark.parametrize("flag", ["mqtt", "edp"])
def test_a_wrong_secret_is_counted_and_told(server: ServerProcess, flag: str) -> None:
    """The device stays outside and says why; a script hears of it by the exit code."""
    device = create_device(server, flag.upper(), f"right {flag}")
    wrong = StreamDevice(id=device.id, product_id="1", secret="wrong")

    with simulating(*given(server, flag, wrong), exit_code=1) as simulation:
        # Twice: it has heard of the first refusal when it tries again.
        wait_until(lambda: sum(f"{flag}_closed" in line and "refused" in line for line in log_lines(server)) >= 2)

    told = simulation.counts
    assert (told["connected"], told["logins"], told["never_let_in"]) == (0, 0, 1)
    assert told["refused"] >= 1
    assert "refused" in told["last_end"]
    assert "1 of 1 devices were never let in; the last failure: " in simulation.stderr


@pytest.mark.parametrize("flag", ["mqtt", "edp"])
def test_kept_payloads_are_answered_in_order_by_a_device_that_sleeps(server: ServerProcess, flag: str) -> None:
    """What is sent while it is away is delivered when it comes back, in order, and SIGTERM ends it with a count."""
    device = create_device(server, flag.upper(), f"sleeper {flag}")
    payloads = [b"one", b"two", b"three"]

    with simulating(*given(server, flag, device), "--sleep", "1", "--awake", "0.3") as simulation:
        wait_until_online(server, device, is_expected=True)
        wait_until_online(server, device, is_expected=False)
        uuids = [submit(server, device, payload, qos=1, timeout_s=60) for payload in payloads]
        for uuid in uuids:
            wait_for_payload(server, uuid, ANSWERED)

    assert [answer_to(server, uuid) for uuid in uuids] == [b"ok: " + payload for payload in payloads]
    assert [bytes.fromhex(item["body"]) for item in payload_history(server, device)] == payloads
    assert (simulation.counts["commands"], simulation.counts["answers"], simulation.counts["lost"]) == (3, 3, 0)
    assert simulation.counts["logins"] >= 2


@pytest.mark.parametrize(
    ("flag", "behaviour", "status"),
    [("mqtt", "answers-after-reconnect", ANSWERED), ("edp", "answer-too-large", TOO_LARGE)],
)
def test_a_behaviour_is_seen_by_the_platform(server: ServerProcess, flag: str, behaviour: str, status: int) -> None:
    """One payload that may be sent again meets a device that treats it badly."""
    device = create_device(server, flag.upper(), f"{behaviour} {flag}")

    with simulating(*given(server, flag, device), "--behaviour", behaviour) as simulation:
        wait_until_online(server, device, is_expected=True)
        uuid = submit(server, device, b"ping", qos=1, timeout_s=60)
        wait_for_payload(server, uuid, status)

    assert simulation.counts["commands"] >= 1
    assert simulation.counts["logins"] == (2 if behaviour == "answers-after-reconnect" else 1)


def test_mqtt_devices_connect_over_tls(tmp_path: Path) -> None:
    """With the certificate trusted they are let in."""
    certificate, key = write_certificate(tmp_path, "simulate")
    server = stream_server(tmp_path / "data", doors=("mqtts",))
    server.environment = {
        **server.environment,
        "COMMANDPOST_TLS_CERTIFICATE": str(certificate),
        "COMMANDPOST_TLS_PRIVATE_KEY": str(key),
    }
    with server:
        device = create_device(server, "MQTT", "over tls")
        with simulating(*given(server, "mqtts", device), "--ca", str(certificate)) as simulation:
            wait_for_payload(server, submit(server, device, b"ping", qos=1, timeout_s=60), ANSWERED)

    assert (simulation.counts["connected"], simulation.counts["failures"]) == (1, 0)


def test_mqtt_devices_do_not_log_in_where_they_do_not_trust(tmp_path: Path) -> None:
    """They break the handshake off, whoever it is that listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(tmp_path, "somebody"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_S)
        target = ["--mqtts", written(listener.getsockname()), "--device-id", "1", "--auth-info", "secret"]
        with simulating(*target, exit_code=1) as simulation:
            for _ in range(2):  # after the first it knows why it was the first
                connected, _ = listener.accept()
                with connected, pytest.raises((ssl.SSLError, ConnectionError)):
                    context.wrap_socket(connected, server_side=True)

    told = simulation.counts
    assert (told["logins"], told["never_let_in"]) == (0, 1)
    assert told["last_end"].startswith("no connection: certificate not trusted: ")


# --- DTLS, and who is not let in -------------------------------------------------------------------------------------


def test_devices_over_dtls(server: ServerProcess) -> None:
    """Created with their key, registered, and bound to it."""
    imeis = [str(860_000_000_000_501 + number) for number in range(3)]
    arguments = ["--coaps", written(door(server, "coaps")), "--count", "3", "--imei-start", imeis[0]]

    with simulating(*arguments, "--psk", "Abcdefgh1", *created_by(server)) as simulation:
        wait_until_read(server, *imeis)
    refused = run_cli("simulate", *arguments)

    told = simulation.counts
    assert (told["created"], told["registrations"], told["registered"]) == (3, 3, 3)
    assert refused.returncode == 2
    assert "--psk" in one_line(refused.stderr)


def test_a_wrong_key_is_counted_and_told(server: ServerProcess) -> None:
    imei = "860000000000601"
    server.create_device(imei, psk="Abcdefgh1")
    with DatagramRelay(door(server, "coaps")) as relay:
        arguments = ["--coaps", written(relay.address), "--psk", "Wrongkey1", "--imei-start", imei]
        with simulating(*arguments, exit_code=1) as simulation:
            relay.carry_until(lambda datagram: datagram[0] == DTLS_ALERT)

    told = simulation.counts
    assert (told["started"], told["registered"], told["never_let_in"]) == (1, 0, 1)
    assert told["failures"] >= 1
    assert "1 of 1 devices were never let in; the last failure: DTLS handshake refused, alert 51" in simulation.stderr


def test_a_device_that_is_not_known_is_counted_and_told(server: ServerProcess) -> None:
    with DatagramRelay(server.coap) as relay:
        arguments = ["--coap", written(relay.address), "--imei-start", "860000000000701"]
        with simulating(*arguments, exit_code=1) as simulation:
            relay.carry_until(lambda datagram: datagram[1] == FORBIDDEN)

    assert simulation.counts["never_let_in"] == 1
    assert "1 of 1 devices were never let in; the last failure: register: 4.03" in simulation.stderr
