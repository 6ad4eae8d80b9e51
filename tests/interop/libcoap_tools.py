"""libcoap's command line tools, and what their logs say went over the wire."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

from tests.interop.programs import require_program

PACKAGE = "libcoap3-bin"
CLIENTS = ("coap-client", "coap-client-notls", "coap-client-openssl", "coap-client-gnutls")
SERVERS = ("coap-server", "coap-server-notls", "coap-server-openssl", "coap-server-gnutls")
PROCESS_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
RESPONSE_WAIT_S = 20  # of the tool itself: past three retransmissions

_RECEIVED = re.compile(
    r"received \d+ bytes\s+v:1 t:(?P<type>\w+) c:(?P<code>\d\.\d\d) i:(?P<id>\w+) "
    r"\{(?P<token>\w*)\} \[ (?P<options>.*?) ?\]"
)
_SENT = re.compile(r"sent \d+ bytes\s+v:1 t:(?P<type>\w+) c:(?P<code>\S+) i:(?P<id>\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapAnswer:
    """One datagram that the tool received."""

    type: str
    code: str
    message_id: str
    token: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRun:
    """All that one run of the client received and sent."""

    received: tuple[CoapAnswer, ...]
    sent_types: tuple[str, ...]
    log: str

    @property
    def answer(self) -> CoapAnswer:
        """The last that came."""
        assert self.received, f"no answer:\n{self.log}"
        return self.received[-1]


def coap_client(method: str, uri: str, *options: str, programs: Sequence[str] = CLIENTS) -> ClientRun:
    """Make a request with libcoap's client, the first of these builds that is there."""
    command = [require_program(programs, PACKAGE), "-v", "7", "-B", str(RESPONSE_WAIT_S), "-m", method, *options, uri]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PROCESS_TIMEOUT_S, check=False
    )
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    return ClientRun(
        received=tuple(
            CoapAnswer(
                type=found["type"],
                code=found["code"],
                message_id=found["id"],
                token=found["token"],
                options=tuple(found["options"].split(", ")) if found["options"] else (),
            )
            for found in _RECEIVED.finditer(log)
        ),
        sent_types=tuple(found["type"] for found in _SENT.finditer(log)),
        log=log,
    )


@contextmanager
def coap_server(port: int, log_path: Path) -> Iterator[None]:
    """Run libcoap's server, which takes any path that is PUT and serves it from then on."""
    command = [require_program(SERVERS, PACKAGE), "-A", "127.0.0.1", "-p", str(port), "-d", "50", "-v", "7"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


def free_udp_port() -> int:
    """Give a port of the loopback that was free a moment ago."""
    with socket(AF_INET, SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
