"""HTTPS on real sockets: certificates, their renewal without a break, and what is not TLS."""

import http.client
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from commandpost.app import CannotStart
from commandpost.app.tls import load_tls_identity
from commandpost.config import ConfigError, load_settings
from tests.acceptance.certificates import write_certificate
from tests.acceptance.raw_http import connect
from tests.acceptance.server import MASTER_KEY, ServerProcess, poll


class SecureServer:
    """A server with HTTPS and MQTT over TLS, and the folder of its certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, key = write_certificate(folder, "first")
        self.process = ServerProcess(
            data_dir=folder / "data",
            arguments=("--https", "127.0.0.1:0", "--mqtts", "127.0.0.1:0"),
            environment={
                "COMMANDPOST_TLS_CERTIFICATE": str(self.certificate),
                "COMMANDPOST_TLS_PRIVATE_KEY": str(key),
                "COMMANDPOST_HTTP_HEAD_S": "0.3",
            },
        )

    def address(self, name: str) -> tuple[str, int]:
        listeners = dict(part.split("=", 1) for part in self.process.ready_line.split()[1:])
        host, _, port = listeners[name].rpartition(":")
        return host, int(port)

    def context(self) -> ssl.SSLContext:
        """A client's that trusts what lies in the folder now."""
        return ssl.create_default_context(cafile=self.certificate)

    def shown_name(self, door: str) -> str:
        """The common name a new connection is shown, by a client that trusts everybody."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(self.address(door), timeout=10) as plain,
            context.wrap_socket(plain) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        from cryptography import x509

        return x509.load_der_x509_certificate(shown).subject.rfc4514_string()

    def hang_up_signal(self, event: str) -> None:
        """SIGHUP, and wait for what the log says of it."""
        told = self.process.log().count(event)
        assert self.process.process is not None
        self.process.process.send_signal(signal.SIGHUP)
        for _ in poll(10):
            if self.process.log().count(event) > told:
                return
        raise AssertionError(self.process.log())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    """One for all tests of this file."""
    secure = SecureServer(tmp_path_factory.mktemp("https"))
    with secure.process:
        yield secure


def ask(connection: http.client.HTTPSConnection) -> tuple[int, dict[str, str]]:
    connection.request("GET", "/devices", headers={"api-key": MASTER_KEY})
    response = connection.getresponse()
    assert json.loads(response.read())["errno"] == 0
    return response.status, {name.lower(): value for name, value in response.getheaders()}


def test_a_client_that_trusts_the_certificate_is_served(server: SecureServer) -> None:
    """With HSTS, which plain HTTP never has."""
    with closing(http.client.HTTPSConnection(*server.address("https"), context=server.context())) as connection:
        status, headers = ask(connection)

    assert status == 200
    assert headers["strict-transport-security"].startswith("max-age=")
    plain = server.process.request("GET", "/devices")
    assert "strict-transport-security" not in {name.lower() for name in plain.headers}


@pytest.mark.parametrize(("version", "first"), [(b"\x03\x03", (b"\x16",)), (b"\x03\x02", (b"\x15", b""))])
def test_downgrade_below_tls_1_2_is_refused(server: SecureServer, version: bytes, first: tuple[bytes, ...]) -> None:
    """A ClientHello (RFC 5246 section 7.4.1.2) of TLS 1.2 gets a handshake record, of 1.1 an alert or nothing."""
    suites = b"\xc0\x2b\xc0\x0a"  # ECDHE_ECDSA with AES_128_GCM, and with AES_256_CBC_SHA as 1.1 has it
    extensions = bytes.fromhex("000a000400020017000d000400020403")  # secp256r1, ecdsa_secp256r1_sha256
    hello = version + bytes(32) + b"\x00" + b"\x00\x04" + suites + b"\x01\x00"
    hello += len(extensions).to_bytes(2, "big") + extensions
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    with socket.create_connection(server.address("https"), timeout=10) as plain:
        plain.sendall(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
        answer = plain.recv(100)

    assert answer[:1] in first


def test_plain_http_on_the_tls_port_is_no_request(server: SecureServer) -> None:
    """The connection ends; the next one is served."""
    with socket.create_connection(server.address("https"), timeout=10) as plain:
        plain.sendall(b"GET /devices HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)
    with closing(http.client.HTTPSConnection(*server.address("https"), context=server.context())) as connection:
        assert ask(connection)[0] == 200


def test_slow_head_ends_over_tls_and_without(server: SecureServer) -> None:
    """408 in an envelope on both doors of a real server."""
    for door in ("http", "https"):
        with socket.create_connection(server.address(door), timeout=10) as plain:
            stream = server.context().wrap_socket(plain, server_hostname="127.0.0.1") if door == "https" else plain
            with stream:
                stream.sendall(b"GET /devices HTTP/1.1\r\nx: ")
                answer = b""
                while piece := stream.recv(4096):
                    answer += piece
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["errno"] == 14


def test_header_flood_is_refused_over_real_sockets(server: SecureServer) -> None:
    """431, whatever event loop the server runs on."""
    with connect(server.address("http")) as connection:
        connection.send_bytes(b"GET /devices HTTP/1.1\r\nx: " + b"a" * 200_000)
        answer = connection.answer()

    assert (answer.status, json.loads(answer.body)["errno"]) == (431, 5)


def test_a_renewed_certificate_is_shown_after_sighup_and_drops_nobody(server: SecureServer) -> None:
    """On both doors with TLS; a connection that is open goes on. A broken one changes nothing, and is told."""
    with closing(http.client.HTTPSConnection(*server.address("https"), context=server.context())) as open_before:
        assert ask(open_before)[0] == 200
        write_certificate(server.folder, "second")
        assert server.shown_name("https") == server.shown_name("mqtts") == "CN=first"

        server.hang_up_signal("tls_reloaded")

        assert server.shown_name("https") == server.shown_name("mqtts") == "CN=second"
        whole = server.certificate.read_bytes()
        key_file = server.certificate.with_name("key.pem")
        right = key_file.read_bytes()
        write_certificate(server.folder, "third")
        key_file.write_bytes(right)  # the certificate of one pair, the key of another
        server.hang_up_signal("tls_reload_failed")
        server.certificate.write_bytes(b"no certificate")
        server.hang_up_signal("tls_reload_failed")
        assert server.shown_name("https") == server.shown_name("mqtts") == "CN=second"
        server.certificate.write_bytes(whole)
        assert ask(open_before)[0] == 200


def test_https_without_a_certificate_does_not_start(tmp_path: Path) -> None:
    """The refusal names the setting, or the file."""
    flags = {"http.tls_listen": "127.0.0.1:0"}
    with pytest.raises(ConfigError, match=r"http\.tls_listen is set without tls\.certificate"):
        load_settings(config_file=None, environment={}, flags=flags)

    certificate, _ = write_certificate(tmp_path, "without its key")
    environment = {"COMMANDPOST_TLS_CERTIFICATE": str(certificate)}
    with pytest.raises(CannotStart, match=str(certificate)):
        load_tls_identity(load_settings(config_file=None, environment=environment, flags=flags))
