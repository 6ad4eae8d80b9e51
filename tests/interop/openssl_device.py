"""A scripted device whose datagrams go through `openssl s_client`: its standard input and output are the payloads."""

import contextlib
import os
import select
import subprocess
import time

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.errors import DecodeError
from tests.interop.programs import require_program
from tests.simulators.scripted_device import ScriptedDevice

STOP_S = 10.0


class OpensslDevice(ScriptedDevice):
    """One run of the program; its handshake begins at once, and what is sent before its end waits for it."""

    def __init__(self, server: tuple[str, int], imei: str, key: bytes, *, suite: str, imsi: str) -> None:
        super().__init__(server, imei, imsi)
        program = require_program(["openssl"], "openssl")
        command = [program, "s_client", "-dtls1_2", "-quiet", "-connect", f"{server[0]}:{server[1]}"]
        command += ["-psk_identity", imei, "-psk", key.hex(), "-cipher", f"{suite}:@SECLEVEL=0"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """End the program."""
        super().close()
        self._process.kill()
        self._process.wait(STOP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def send(self, message: CoapMessage) -> None:
        """Hand over one payload: the program makes a record of what it reads at one time."""
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), encode(message))

    def receive(self, timeout_s: float = 10.0) -> CoapMessage | None:
        """Give the next message, None when none came in time."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([descriptor], [], [], left)[0]:
                break
            payload = os.read(descriptor, 65_536)
            assert payload, "the program ended"
            with contextlib.suppress(DecodeError):
                return decode(payload)
        return None
