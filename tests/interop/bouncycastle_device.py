"""A scripted device whose datagrams go through `bouncycastle/BouncycastleTunnel.java`: Bouncy Castle's DTLS client."""

import contextlib
import subprocess
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.message import CoapMessage
from tests.interop.leshan_device import JAVA_PACKAGE
from tests.interop.programs import install_once, require_program
from tests.simulators.scripted_device import ScriptedDevice

FOLDER = Path(__file__).parent / "bouncycastle"
OPEN_S: Final = 30.0
STOP_S: Final = 10.0
SUITES = {"CCM_8": 0xC0A8, "GCM_SHA256": 0x00A8, "CBC_SHA256": 0x00AE}


class BouncycastleDevice(ScriptedDevice):
    """One run of the program; it is there once the handshake is done.

    Attributes:
        peer_connection_id: what the server wants its records to carry.
        is_encrypt_then_mac: what Bouncy Castle says was agreed on for a CBC suite.
    """

    def __init__(
        self, server: tuple[str, int], imei: str, key: str, *, suite: str, connection_id: bytes, log_path: Path
    ) -> None:
        super().__init__(server, imei)
        self._log_path = log_path
        self._lines: SimpleQueue[str] = SimpleQueue()
        arguments = [server[0], str(server[1]), imei, key, hex(SUITES[suite]), connection_id.hex()]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_program(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        opened = self._next_line(OPEN_S)
        if opened is None:
            self.close()
            raise AssertionError(f"no handshake within {OPEN_S} s; log:\n{log_path.read_text()}")
        _, peer_connection_id, is_encrypt_then_mac = opened.split(" ")
        self.peer_connection_id = bytes.fromhex(peer_connection_id)
        self.is_encrypt_then_mac = is_encrypt_then_mac == "true"

    def close(self) -> None:
        """End the program."""
        super().close()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait(STOP_S)
        self._reader.join(STOP_S)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    def send(self, message: CoapMessage) -> None:
        """Hand over one payload."""
        assert self._process.stdin is not None
        self._process.stdin.write(encode(message).hex() + "\n")
        self._process.stdin.flush()

    def receive(self, timeout_s: float = 10.0) -> CoapMessage | None:
        """Give the next message, None when none came in time."""
        line = self._next_line(timeout_s)
        return None if line is None else decode(bytes.fromhex(line))

    def _next_line(self, timeout_s: float) -> str | None:
        try:
            line = self._lines.get(timeout=timeout_s)
        except Empty:
            return None
        if not line:
            self.close()
            raise AssertionError(f"the program ended; log:\n{self._log_path.read_text()}")
        return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put("")


def _program() -> list[str]:
    java = require_program(["java"], JAVA_PACKAGE)
    maven = require_program(["mvn"], "maven")
    install = [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    libraries = install_once("bouncycastle", FOLDER / "pom.xml", install, "lib")
    return [java, "-cp", f"{libraries}/*", str(FOLDER / "BouncycastleTunnel.java")]
