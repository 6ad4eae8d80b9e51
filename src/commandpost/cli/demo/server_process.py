"""The demo's server: `commandpost serve` as a process of its own, which can be killed and started again."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

from commandpost.cli.demo.narrator import DemoFailed
from commandpost.config import ListenAddress, parse_listen_address

READY_S: Final = 30.0  # a cold start on a slow machine takes two
STOP_S: Final = 10.0  # it promises five
LOG_NAME: Final = "server.log"


class ServerProcess:
    """One server on one data directory; after the first start it keeps its ports."""

    def __init__(self, *, data_dir: Path, master_key: str) -> None:
        self._data_dir = data_dir
        self._master_key = master_key
        self._process: Process | None = None
        self.http = ListenAddress(host="127.0.0.1", port=0)
        self.coap = ListenAddress(host="127.0.0.1", port=0)
        self.mqtt = ListenAddress(host="127.0.0.1", port=0)
        self.edp = ListenAddress(host="127.0.0.1", port=0)

    @property
    def pid(self) -> int:
        """The running process."""
        return self._running.pid

    @property
    def log_path(self) -> Path:
        """What it says on stderr; beside its data, so that a failed demo can be looked into."""
        return self._data_dir.with_name(f"{self._data_dir.name}-{LOG_NAME}")

    async def start(self) -> str:
        """Start it, and give its ready line.

        Raises:
            DemoFailed: it does not get ready.
        """
        environment = {name: text for name, text in os.environ.items() if not name.startswith("COMMANDPOST_")}
        environment["COMMANDPOST_MASTER_KEY"] = self._master_key
        arguments = ["--data-dir", str(self._data_dir), "--http", str(self.http), "--coap", str(self.coap)]
        arguments += ["--mqtt", str(self.mqtt), "--edp", str(self.edp)]
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "commandpost", "serve", *arguments, stdout=PIPE, stderr=log, env=environment
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_S):
                line = (await self._process.stdout.readline()).decode().strip()
        except TimeoutError:
            raise DemoFailed(f"the server is not ready after {READY_S:g} s") from None
        addresses = dict(word.partition("=")[::2] for word in line.split()[1:])
        if not line.startswith("ready ") or not {"http", "coap", "mqtt", "edp"} <= addresses.keys():
            raise DemoFailed(f"the server does not start: {line or 'no ready line'}")
        self.http = parse_listen_address(addresses["http"])
        self.coap = parse_listen_address(addresses["coap"])
        self.mqtt = parse_listen_address(addresses["mqtt"])
        self.edp = parse_listen_address(addresses["edp"])
        return line

    async def kill(self) -> int:
        """End it as a power cut would, and give the exit status."""
        self._running.kill()
        return await self._running.wait()

    async def stop(self) -> int:
        """Ask it to end, and give the exit status.

        Raises:
            DemoFailed: it does not end.
        """
        self._running.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                return await self._running.wait()
        except TimeoutError:
            await self.kill()
            raise DemoFailed(f"the server did not stop within {STOP_S:g} s") from None

    async def abandon(self) -> None:
        """Leave no process behind, however the story went."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    @property
    def _running(self) -> Process:
        assert self._process is not None, "the server was started"
        return self._process

    @property
    def last_words(self) -> str:
        """What it said last on stderr."""
        lines = self.log_path.read_text(errors="replace").strip().splitlines() if self.log_path.exists() else []
        return " | ".join(lines[-3:]) or "none"
