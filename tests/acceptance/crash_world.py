"""What the crash tests stand on: a server that dies where it is told, commands by name, a device that keeps books."""

import http.client
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from commandpost.protocols.coap.message import CoapMessage
from tests.acceptance.crashing_server import CLOCK_AHEAD, CRASH
from tests.acceptance.server import JsonObject, ServerProcess, poll
from tests.simulators.scripted_device import CHANGED, ScriptedDevice

IMEI = "869999000000011"
FAR_FUTURE = "2037-01-01T00:00:00"
WAITING, CANCELLED, SENT, EXPIRED, SUCCEEDED, FAILED = 1, 2, 3, 4, 5, 6
FINAL = (CANCELLED, EXPIRED, SUCCEEDED, FAILED)
NOT_FOUND = 0x84
INTERNAL_SERVER_ERROR = 0xA0
SETUP_PATH = ("3", "0")
OBJECT = 3303
EXECUTABLE = 5605
MARKER = 99  # object instance of the commands that only mark a place in the order
MARKER_PATH = (str(OBJECT), str(MARKER), str(EXECUTABLE))
LONG_DOWN_S = 60.0  # longer than any attempt lives
QUIET_S = 0.4  # what comes at all, comes within milliseconds of its uplink, or 250 ms after a registration

HttpCutOff = (http.client.HTTPException, ConnectionError, TimeoutError)


class CrashingServer(ServerProcess):
    """A server that can be told where to die."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir=data_dir)
        self.ahead_s = 0.0
        """How far its wall clock is ahead; it never goes back."""
        self.devices: list[CommandDevice] = []
        """They end with the server."""

    def __enter__(self) -> Self:
        """Leave the first start to the test: it says where the crash is to be."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process and the devices whatever happened."""
        super().__exit__(kind, error, trace)
        for device in self.devices:
            device.close()

    def run(self, crash: str = "", *, down_s: float = 0.0) -> None:
        """Start; `down_s` lets its clock say that it was down for so long."""
        self.ahead_s += down_s
        self.start(extra_environment={CRASH: crash, CLOCK_AHEAD: str(self.ahead_s)})

    def run_and_die(self, crash: str, *, down_s: float = 0.0) -> None:
        """Start; it has to die before it is ready."""
        with pytest.raises(AssertionError, match="the server ended with -9"):
            self.run(crash, down_s=down_s)
        self.wait_killed()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def dies_within(self, timeout_s: float) -> bool:
        """Tell whether the process ends in that time."""
        assert self.process is not None
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How a command is submitted."""

    number: int = 0
    """Its object instance; every command of a device has another, so that its requests can be told apart."""
    retry: int = 1
    timeout_s: int = 40
    delivery: str = "at_least_once"
    triggers: int = 7
    expires: str = FAR_FUTURE
    method: str = "execute"

    @property
    def sendings_max(self) -> int:
        """How often it may be sent (P3)."""
        return 1 if self.delivery == "at_most_once" else 1 + self.retry

    def post(self, server: ServerProcess, imei: str = IMEI) -> str:
        """Submit; gives the uuid."""
        query: JsonObject = {
            "imei": imei,
            "obj_id": OBJECT,
            "obj_inst_id": self.number,
            "retry": self.retry,
            "timeout": self.timeout_s,
            "trigger_msg": self.triggers,
            "expired_time": self.expires,
            "delivery": self.delivery,
        }
        match self.method:
            case "execute":
                path, query["res_id"], body = "/nbiot/execute/offline", EXECUTABLE, {"args": "1"}
                return str(server.data("POST", path, query, body=body)["uuid"])
            case "write":
                query["mode"] = 2
                values = {"data": [{"res_id": 5750, "val": "text"}]}
                return str(server.data("POST", "/nbiot/offline", query, body=values)["uuid"])
            case _:
                query["res_id"] = 5700
                return str(server.data("GET", "/nbiot/offline", query)["uuid"])


class CommandDevice(ScriptedDevice):
    """A device that gets the Read of /3/0 after a registration out of the way by itself."""

    def __init__(self, server: CrashingServer, imei: str = IMEI, *, in_place_of: ScriptedDevice | None = None) -> None:
        super().__init__(server.coap, imei, in_place_of=in_place_of)
        self._platform = server
        server.devices.append(self)

    def next_command(self, timeout_s: float = 10.0) -> CoapMessage:
        """Give the next request that is a command's."""
        request = self.receive_request(timeout_s)
        while request.uri_path == SETUP_PATH:
            self.answer(request, NOT_FOUND)
            request = self.receive_request(timeout_s)
        return request

    def expect_no_command(self) -> None:
        """Be sure that no command comes: for while an attempt is open, or the device has not shown itself."""
        try:
            request = self.next_command(QUIET_S)
        except AssertionError:
            return
        raise AssertionError(f"a command came: {request}")

    def post_marker(self) -> str:
        """Submit a command that goes out when everything that was accepted before it has had its turn (P5)."""
        return Submission(number=MARKER).post(self._platform, self.imei)

    def expect_nothing_waits(self) -> None:
        """Be sure that no command is left to send: show up, and see that one that is accepted only now is the next."""
        uuid = self.post_marker()
        self.update()
        request = self.next_command()
        assert request.uri_path == MARKER_PATH, f"a command came: {request}"
        self.answer(request, CHANGED)
        self._platform.wait_for_status(self.imei, uuid, SUCCEEDED)

    def answer_until_marker(self, code: int = CHANGED) -> None:
        """Answer whatever comes, a marker that was submitted as the last."""
        while True:
            request = self.next_command()
            self.answer(request, code)
            if request.uri_path == MARKER_PATH:
                return

    def sendings(self, number: int = 0) -> Sequence[bytes]:
        """Give the distinct tokens under which a command was seen."""
        return list(dict.fromkeys(request.token for request in self.datagrams(number)))

    def datagrams(self, number: int = 0) -> Sequence[CoapMessage]:
        """Give every datagram of a command that was seen."""
        return [request for request in self.seen if request.uri_path[:2] == (str(OBJECT), str(number))]


def look_up(server: ServerProcess, uuid: str, imei: str = IMEI) -> JsonObject:
    """Give a command's detail."""
    detail = server.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": imei})
    assert isinstance(detail, dict)
    return detail


def recorded_sendings(server: ServerProcess, uuid: str, imei: str = IMEI) -> int:
    """Give how many attempts the log of a command shows."""
    log = server.data("GET", f"/nbiot/offline/history/{uuid}/piecewise", {"imei": imei})
    return sum(entry["log"].startswith("send command") for entry in log)


def wait_for_history(server: ServerProcess, count: int, imei: str = IMEI) -> list[JsonObject]:
    """Wait until a device's history holds so many commands."""
    items: list[JsonObject] = []
    for _ in poll(10.0):
        items = server.history(imei)
        if len(items) == count:
            return items
    raise AssertionError(f"{len(items)} commands, not {count}: {items}")
