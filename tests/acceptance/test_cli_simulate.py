"""`commandpost simulate`: devices register with or connect to a real server, and every way to end."""

import datetime
import ipaddress
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.acceptance.environments import clean_environment
from tests.acceptance.processes import STOP_S, one_line, run_cli, run_json, serving
from tests.acceptance.server import MASTER_KEY, ServerProcess
from tests.acceptance.stream_house import (
    ANSWERED,
    TOO_LARGE,
    StreamDevice,
    answer_to,
    create_device,
    door,
    is_online,
    payload_history,
    stream_server,
    streams_of,
    submit,
    wait_for_payload,
    wait_until_online,
)

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


def address(server: ServerProcess, name: str) -> str:
    host, port = door(server, name)
    return f"{host}:{port}"


@contextmanager
def simulating(*arguments: str) -> Iterator[dict[str, Any]]:  # Any: JSON
    """Run `commandpost simulate … --json` meanwhile, end it by SIGTERM, and fill in what it told at its end."""
    told: dict[str, Any] = {}
    command = [sys.executable, "-m", "commandpost", "simulate", "--json", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment()
    ) as process:
        try:
            yield told
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=STOP_S)
        finally:
            process.kill()
    assert process.returncode == 0
    told.update(json.loads(out))


def given(server: ServerProcess, flag: str, device: StreamDevice) -> list[str]:
    """Name a device that exists."""
    return [f"--{flag}", address(server, flag), "--device-id", device.id, "--auth-info", device.secret]


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with an MQTT and an EDP door for all these tests; each uses devices of its own."""
    with stream_server(tmp_path_factory.mktemp("streams") / "data") as server:
        yield server


@pytest.mark.parametrize("flag", ["mqtt", "edp"])
def test_stream_devices_are_created_and_report_every_type(streams: ServerProcess, flag: str) -> None:
    """Everything they report is acknowledged, and its values are read over HTTP."""
    arguments = [f"--{flag}", address(streams, flag), "--count", "3", "--auth-info", f"created-{flag}"]
    arguments += ["--register-api", "http://{}:{}".format(*streams.http), "--key", MASTER_KEY]

    told = run_json("simulate", *arguments, "--report", "0.1", "--report-types", EVERY_TYPE, "--duration", "2")

    assert (told["created"], told["existing"], told["logins"], told["connected"]) == (3, 0, 3, 3)
    assert told["reports_stored"] >= 21
    assert (told["reports_refused"], told["failures"], told["lost"]) == (0, 0, 0)
    listed = streams.data("GET", "/devices", {"auth_info": f"created-{flag}-2"})["devices"]
    assert [device["protocol"] for device in listed] == [flag.upper()]
    values = streams_of(streams, StreamDevice(id=listed[0]["id"], product_id="1", secret=""))
    assert values.keys() == {"temperature", "humidity", "picture", "1", "2"}
    assert all(-20 <= float(str(values[name])) <= 40 for name in ("temperature", "1"))


def test_devices_that_exist_are_not_created_again(streams: ServerProcess) -> None:
    """The second run finds the device by its secret, and logs in with another version of MQTT."""
    create_device(streams, "MQTT", "found again")
    arguments = ["--mqtt", address(streams, "mqtt"), "--auth-info", "found again", "--mqtt-version", "5"]
    arguments += ["--register-api", "http://{}:{}".format(*streams.http), "--key", MASTER_KEY]

    told = run_json("simulate", *arguments, "--qos", "2", "--report", "0.1", "--duration", "1")

    assert (told["created"], told["existing"], told["connected"]) == (0, 1, 1)
    assert told["reports_stored"] >= 1


def test_an_edp_device_logs_in_by_id_and_key(streams: ServerProcess) -> None:
    """EDP's first form of login needs no secret of the device."""
    device = create_device(streams, "EDP", "by key")
    arguments = ["--edp", address(streams, "edp"), "--edp-login", "1", "--device-id", device.id, "--key", MASTER_KEY]

    told = run_json("simulate", *arguments, "--duration", "1")

    assert (told["connected"], told["refused"]) == (1, 0)


def test_a_wrong_secret_is_counted_and_told(streams: ServerProcess) -> None:
    """The device stays outside and says why; the run itself is no failure."""
    device = create_device(streams, "MQTT", "right")
    wrong = StreamDevice(id=device.id, product_id="1", secret="wrong")

    told = run_json("simulate", *given(streams, "mqtt", wrong), "--duration", "0.8")

    assert (told["connected"], told["logins"]) == (0, 0)
    assert told["refused"] >= 1
    assert "refused" in told["last_end"]


@pytest.mark.parametrize("flag", ["mqtt", "edp"])
def test_kept_payloads_are_answered_in_order_by_a_device_that_sleeps(streams: ServerProcess, flag: str) -> None:
    """What is sent while it is away is delivered when it comes back, in order, and SIGTERM ends it with a count."""
    device = create_device(streams, flag.upper(), f"sleeper {flag}")
    payloads = [b"one", b"two", b"three"]

    with simulating(*given(streams, flag, device), "--sleep", "1", "--awake", "0.3") as told:
        wait_until_online(streams, device, is_expected=True)
        wait_until_online(streams, device, is_expected=False)
        uuids = [submit(streams, device, payload, qos=1, timeout_s=60) for payload in payloads]
        for uuid in uuids:
            wait_for_payload(streams, uuid, ANSWERED)

    assert [answer_to(streams, uuid) for uuid in uuids] == [b"ok: " + payload for payload in payloads]
    assert [bytes.fromhex(item["body"]) for item in payload_history(streams, device)] == payloads
    assert (told["commands"], told["answers"], told["lost"]) == (3, 3, 0)
    assert told["logins"] >= 2


@pytest.mark.parametrize(
    ("flag", "behaviour", "status"),
    [("mqtt", "answers-after-reconnect", ANSWERED), ("edp", "answer-too-large", TOO_LARGE)],
)
def test_a_behaviour_is_seen_by_the_platform(streams: ServerProcess, flag: str, behaviour: str, status: int) -> None:
    """One payload that may be sent again meets a device that treats it badly."""
    device = create_device(streams, flag.upper(), f"{behaviour} {flag}")

    with simulating(*given(streams, flag, device), "--behaviour", behaviour) as told:
        wait_until_online(streams, device, is_expected=True)
        uuid = submit(streams, device, b"ping", qos=1, timeout_s=60)
        wait_for_payload(streams, uuid, status)

    assert told["commands"] >= 1
    assert told["logins"] == (2 if behaviour == "answers-after-reconnect" else 1)


def test_mqtt_devices_connect_over_tls(tmp_path: Path) -> None:
    """With the certificate trusted they are let in; without, they do not even try to log in."""
    certificate, key = self_signed(tmp_path)
    server = stream_server(tmp_path / "data", doors=("mqtts",))
    server.environment = {
        **server.environment,
        "COMMANDPOST_TLS_CERTIFICATE": str(certificate),
        "COMMANDPOST_TLS_PRIVATE_KEY": str(key),
    }
    with server:
        device = create_device(server, "MQTT", "over tls")
        with simulating(*given(server, "mqtts", device), "--ca", str(certificate)) as told:
            wait_until_online(server, device, is_expected=True)
        mistrustful = run_json("simulate", *given(server, "mqtts", device), "--duration", "0.5")
        assert not is_online(server, device)

    assert (told["connected"], told["failures"]) == (1, 0)
    assert mistrustful["logins"] == 0
    assert mistrustful["last_end"].startswith("no connection: certificate not trusted: ")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; gives it, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "commandpost test")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted))
    return files


def test_devices_over_dtls(tmp_path: Path) -> None:
    """Created with their key, registered over DTLS, and bound to it; without a key nothing begins."""
    with serving(tmp_path / "data", "--coaps", "127.0.0.1:0", environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        coaps = dict(word.split("=", 1) for word in server.ready.split()[1:])["coaps"]
        arguments = ["--coaps", coaps, "--count", "3", "--duration", "2"]
        told = run_json(
            "simulate", *arguments, "--psk", "Abcdefgh1", "--register-api", f"http://{server.http}", "--key", KEY
        )
        refused = run_cli("simulate", *arguments)

    assert (told["created"], told["registrations"], told["registered"]) == (3, 3, 3)
    assert refused.returncode == 2
    assert "--psk" in one_line(refused.stderr)
