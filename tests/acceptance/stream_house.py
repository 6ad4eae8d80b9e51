"""A real server with its MQTT and EDP doors open, devices of either kind, and short words for `/cmds`."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.acceptance.processes import run_json
from tests.acceptance.server import JsonObject, ServerProcess, poll

CREATED, SENT, FAILED, ANSWERED, TIMED_OUT, TOO_LARGE = 1, 2, 3, 4, 5, 6  # northbound reference 6.2
HOUR_S: Final = 3_600
LONG_AGO: Final = "2020-01-01T00:00:00"
WAIT_S: Final = 10.0  # for what takes milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDevice:
    """What a device of MQTT or EDP logs in with."""

    id: str
    product_id: str
    secret: str


def stream_server(data_dir: Path, *arguments: str, doors: tuple[str, ...] = ("mqtt", "edp")) -> ServerProcess:
    """Give a server with these doors on free ports; it is not started yet."""
    listeners = [word for door in doors for word in (f"--{door}", "127.0.0.1:0")]
    environment = {"COMMANDPOST_LOG_LEVEL": "warning"}
    return ServerProcess(data_dir=data_dir, arguments=(*listeners, *arguments), environment=environment)


def door(server: ServerProcess, name: str) -> tuple[str, int]:
    """Give where a server listens, as its ready line says; after a restart it is another port."""
    listeners = dict(part.split("=", 1) for part in server.ready_line.split()[1:])
    host, _, port = listeners[name].rpartition(":")
    return host, int(port)


def create_device(
    server: ServerProcess, protocol: str, secret: str, *, product_id: str = "1", key: str = ""
) -> StreamDevice:
    """Create a device; its auth_info is a plain string."""
    body: JsonObject = {"title": secret, "protocol": protocol, "auth_info": secret}
    device_id = str(server.data("POST", "/devices", body=body, key=key)["device_id"])
    return StreamDevice(id=device_id, product_id=product_id, secret=secret)


def create_product(server: ServerProcess, name: str) -> tuple[str, str]:
    """Create a second product at the command line; gives its id and its MasterKey."""
    made = run_json("product", "create", name, "--data-dir", str(server.data_dir))
    return str(made["id"]), str(made["master_key"])


# --- /cmds -----------------------------------------------------------------------------------------------------------


def submit(server: ServerProcess, device: StreamDevice, payload: bytes, *, qos: int = 0, timeout_s: int = 0) -> str:
    """Have a payload accepted; gives its uuid."""
    query = {"device_id": device.id, "qos": qos, "timeout": timeout_s}
    return str(server.data("POST", "/cmds", query, body=payload)["cmd_uuid"])


def status_of(server: ServerProcess, uuid: str) -> int:
    """Look a payload's status up."""
    return int(server.data("GET", f"/cmds/{uuid}")["status"])


def wait_for_payload(server: ServerProcess, uuid: str, status: int, *, timeout_s: float = WAIT_S) -> None:
    """Poll until a payload has a status."""
    found = -1
    for _ in poll(timeout_s, every_s=0.02):
        found = status_of(server, uuid)
        if found == status:
            return
    raise AssertionError(f"{uuid} has status {found}, not {status}; log:\n{server.log()[-4000:]}")


def answer_to(server: ServerProcess, uuid: str) -> bytes:
    """The bytes a device has answered."""
    found = server.request("GET", f"/cmds/{uuid}/resp")
    assert found.headers.get("content-type") == "application/octet-stream", found
    return found.body


def payload_history(server: ServerProcess, device: StreamDevice) -> list[JsonObject]:
    """Every payload of a device, oldest first."""
    query = {"start": LONG_AGO, "per_page": 100, "sort": "ASC"}
    items = server.data("GET", f"/cmds/history/{device.id}", query)["items"]
    assert isinstance(items, list)
    return items


# --- devices as the API shows them -----------------------------------------------------------------------------------


def is_online(server: ServerProcess, device: StreamDevice) -> bool:
    """Whether the API says that a device is connected."""
    return bool(server.data("GET", f"/devices/{device.id}")["online"])


def wait_until_online(server: ServerProcess, device: StreamDevice, *, is_expected: bool) -> None:
    """Poll until the API says so."""
    for _ in poll(WAIT_S, every_s=0.02):
        if is_online(server, device) == is_expected:
            return
    raise AssertionError(f"device {device.id} is not {'on' if is_expected else 'off'}line")


def streams_of(server: ServerProcess, device: StreamDevice) -> dict[str, object]:
    """The newest value of every datastream of a device."""
    found = server.data("GET", f"/devices/{device.id}/datastreams")
    return {each["id"]: each.get("current_value") for each in found}


def points_of(server: ServerProcess, device: StreamDevice, stream: str) -> list[tuple[str, object]]:
    """Every point of a datastream: time to the second, and value."""
    query = {"datastream_id": stream, "start": "2010-01-01T00:00:00", "limit": 100}
    found = server.data("GET", f"/devices/{device.id}/datapoints", query)["datastreams"]
    return [(point["at"][:19], point["value"]) for each in found for point in each["datapoints"]]


def resident_bytes(server: ServerProcess) -> int:
    """Resident memory of the server."""
    assert server.process is not None
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


# --- streams ---------------------------------------------------------------------------------------------------------


class RawStream:
    """A TCP connection on which a test says every byte. MQTT and EDP share the form of their length."""

    def __init__(self, address: tuple[str, int], *, timeout_s: float = WAIT_S) -> None:
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self._received = b""

    def close(self) -> None:
        """Close it in the usual way."""
        self.socket.close()

    def reset(self) -> None:
        """Close it without a farewell: RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes | str) -> None:
        """Send bytes, or hexadecimal text."""
        self.socket.sendall(bytes.fromhex(data) if isinstance(data, str) else data)

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        while len(self._received) < size:
            piece = self.socket.recv(65_536)
            assert piece, f"the stream ended after {self._received!r}"
            self._received += piece
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def packet(self) -> bytes:
        """Read one whole packet, with its head."""
        head = self.read(2)
        length, shift = head[1] & 0x7F, 7
        while head[-1] & 0x80:
            head += self.read(1)
            length |= (head[-1] & 0x7F) << shift
            shift += 7
        return head + self.read(length)

    def rest(self) -> bytes:
        """Read until the other side ends the stream."""
        try:
            while piece := self.socket.recv(65_536):
                self._received += piece
        except ConnectionResetError:
            pass
        taken, self._received = self._received, b""
        return taken


@contextmanager
def raw_stream(address: tuple[str, int]) -> Iterator[RawStream]:
    """A connection that is closed at the end."""
    stream = RawStream(address)
    try:
        yield stream
    finally:
        stream.close()
