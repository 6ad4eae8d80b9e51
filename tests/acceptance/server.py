"""A real `commandpost serve` in a process of its own, and a small HTTP client for it.

The process is forked unless the installed command is asked for (see `nursery.py`), and may arm a crash point first (see
`crashing_server.py`). Nothing here knows the code of the server: it reads the ready line, speaks HTTP, sends signals.
"""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tests.acceptance.environments import clean_environment
from tests.acceptance.nursery import ForkedProcess, Launch, fork_command

MASTER_KEY = "acceptance-master-key-0001"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
HTTP_TIMEOUT_S = 60.0

JsonObject = dict[str, Any]  # Any: an answer is whatever JSON the server gave; each test looks at what it needs


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Status, headers and body as they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> JsonObject:
        """The body as a JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict), f"not an object: {self.body!r}"
        return value


@dataclass(kw_only=True)
class ServerProcess:
    """One server over one data directory; it can be started again after it was killed."""

    data_dir: Path
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    master_key: str = MASTER_KEY
    http: tuple[str, int] = ("", 0)
    coap: tuple[str, int] = ("", 0)
    launch: Launch = fork_command
    process: "ForkedProcess | subprocess.Popen[bytes] | None" = None
    ready_line: str = ""
    coap_port: int = 0

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    @property
    def log_path(self) -> Path:
        """Where stderr goes."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self, *, extra_environment: Mapping[str, str] | None = None) -> None:
        """Start and wait for the ready line; a restart takes the CoAP port it had, as devices would expect."""
        arguments = [
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--http",
            "127.0.0.1:0",
            "--coap",
            f"127.0.0.1:{self.coap_port}",
            *self.arguments,
        ]
        environment = {
            **clean_environment(),
            "COMMANDPOST_MASTER_KEY": self.master_key,
            # Tests show wrong keys by the hundred; that the answers to them come late is a test of its own.
            "COMMANDPOST_LIMITS_FAILED_LOGIN_DELAY": "false",
            **self.environment,
            **(extra_environment or {}),
        }
        with self.log_path.open("ab") as log:
            self.process = self.launch(arguments, environment, log)
        self.ready_line = self._read_line(START_TIMEOUT_S)
        if not self.ready_line.startswith("ready "):
            raise AssertionError(f"no ready line but {self.ready_line!r}; log:\n{self.log()}")
        listeners = dict(part.split("=", 1) for part in self.ready_line.split()[1:])
        self.http = _split_address(listeners["http"])
        self.coap = _split_address(listeners["coap"])
        self.coap_port = self.coap[1]

    def _read_line(self, timeout_s: float) -> str:
        assert self.process is not None and self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        line = b""
        descriptor = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise AssertionError(f"no line within {timeout_s} s; log:\n{self.log()}")
            piece = os.read(descriptor, 1)
            if not piece:
                raise AssertionError(f"the server ended with {self.process.wait(5)}; log:\n{self.log()}")
            line += piece
        return line.decode().rstrip("\n")

    def log(self) -> str:
        """What went to stderr so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)
        self._close_pipe()

    def wait_killed(self, timeout_s: float = 30.0) -> None:
        """Wait until a crash point has killed the process."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        self._close_pipe()
        assert code == -signal.SIGKILL, f"ended with {code}; log:\n{self.log()}"

    def terminate(self) -> int:
        """SIGTERM; gives the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(STOP_TIMEOUT_S)
        self._close_pipe()
        return code

    def rest_of_stdout(self) -> bytes:
        """What came on stdout after the ready line, once the process has ended."""
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout.read()

    def _close_pipe(self) -> None:
        assert self.process is not None
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.process.stdout.close()

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: bytes | JsonObject | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = "",
        timeout_s: float = HTTP_TIMEOUT_S,
    ) -> HttpAnswer:
        """One call; `key` empty takes the master key, None shows none."""
        target = path + ("?" + urlencode(query) if query else "")
        sent = {} if key is None else {"api-key": key or self.master_key}
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.http, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, target, body=body, headers={**sent, **(headers or {})})
            response = connection.getresponse()
            return HttpAnswer(status=response.status, headers=dict(response.getheaders()), body=response.read())

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: bytes | JsonObject | None = None,
        key: str | None = "",
    ) -> JsonObject:
        """One call of the dialect: status 200, the envelope as it came."""
        answer = self.request(method, path, query, body=body, key=key)
        assert answer.status == 200, f"{method} {path}: HTTP {answer.status} {answer.body!r}"
        return answer.json()

    def data(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: bytes | JsonObject | None = None,
        key: str | None = "",
    ) -> Any:  # Any: JSON
        """A call that has to succeed; gives `data`."""
        envelope = self.call(method, path, query, body=body, key=key)
        assert envelope["errno"] == 0, f"{method} {path}: {envelope}"
        return envelope.get("data")

    def create_device(self, imei: str, imsi: str = "460000000000001", **fields: object) -> str:
        """Create an LwM2M device without automatic observation, unless `obsv` says else; gives its id."""
        body = {"title": imei, "protocol": "LWM2M", "auth_info": {imei: imsi}, "obsv": False, **fields}
        return str(self.data("POST", "/devices", body=body)["device_id"])

    def history(self, imei: str) -> list[JsonObject]:
        """Every cached command of a device, oldest first."""
        query = {"imei": imei, "start": "2020-01-01T00:00:00", "end": "2037-01-01T00:00:00"}
        items = self.data("GET", "/nbiot/offline/history", {**query, "sort": "ASC", "per_page": 100})["items"]
        assert isinstance(items, list)
        return items

    def wait_for_status(self, imei: str, uuid: str, *statuses: int, timeout_s: float = 30.0) -> JsonObject:
        """Poll the history until the command has one of these send_status values."""
        item: JsonObject = {}
        for _ in poll(timeout_s):
            item = self.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": imei})
            if item["send_status"] in statuses:
                return item
        raise AssertionError(f"{uuid} is {item}, not {statuses}; log:\n{self.log()}")


def poll(timeout_s: float, *, every_s: float = 0.05) -> Iterator[None]:
    """Yield until the deadline; the body looks, and leaves when it has seen what it waits for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        yield
        time.sleep(every_s)


def _split_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
