"""A real server with a DTLS listener, devices that come through it, and what they say and are asked."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from tests.acceptance.server import JsonObject, ServerProcess
from tests.simulators.dtls_device import CidTunnel, DtlsScriptedDevice, OpensslTunnel, OwnTunnel, Tunnel
from tests.simulators.scripted_device import CHANGED, CONTENT, GET, ScriptedDevice

PSK = "Abcdefgh12345678"
KEY = PSK.encode()
IMSI = "460000000000001"
ACTUATION = bytes.fromhex("E1 16 DA 01 E1 16 DB 16")  # southbound reference 9: {5850: 1, 5851: 22}
OBJECTS = b'</>;rt="oma.lwm2m",</3306/0>'
TLV = b"\x2d\x16"  # 11542
FIRST_NOTIFICATION = b"\x02"

TUNNELS: Mapping[str, Callable[[bytes, bytes], Tunnel]] = {
    "openssl": OpensslTunnel,
    "rfc9146": CidTunnel,
    "own": OwnTunnel,
}


@contextmanager
def dtls_server(data_dir: Path, *arguments: str, **environment: str) -> Iterator[ServerProcess]:
    """Start a server that hears devices over DTLS, sets them up at once, and repeats soon what it asked."""
    with ServerProcess(
        data_dir=data_dir,
        arguments=arguments or ("--coaps", "127.0.0.1:0"),
        environment={"COMMANDPOST_LWM2M_SETUP_DELAY_S": "0", "COMMANDPOST_COAP_ACK_TIMEOUT_S": "0.3", **environment},
    ) as server:
        yield server


def door(server: ServerProcess) -> tuple[str, int]:
    """Where the server hears devices over DTLS."""
    listeners = dict(part.split("=", 1) for part in server.ready_line.split()[1:])
    host, _, port = listeners["coaps"].rpartition(":")
    return host, int(port)


def make_device(
    server: ServerProcess, imei: str, tunnel: Callable[[bytes, bytes], Tunnel] = OwnTunnel, **fields: object
) -> DtlsScriptedDevice:
    """Create a device at the platform, and one that has said nothing yet."""
    given = {"psk": PSK, **fields}
    server.create_device(imei, IMSI, **{name: value for name, value in given.items() if value is not None})
    return DtlsScriptedDevice(door(server), imei, tunnel(imei.encode(), KEY), imsi=IMSI)


def is_online(server: ServerProcess, imei: str) -> bool:
    """Whether the platform says so."""
    return bool(server.data("GET", "/devices/getbyimei", {"imei": imei})["online"])


@dataclass(kw_only=True)
class Serving:
    """What a device was asked while it served."""

    observe_token: bytes = b""
    written: list[bytes] = field(default_factory=list)


def serve(device: ScriptedDevice, request: CoapMessage, seen: Serving) -> None:
    """Answer one request as an ordinary device does."""
    if request.code != GET:
        seen.written.append(request.payload)
        device.answer(request, CHANGED)
    elif request.find_option(Option.OBSERVE) is not None:
        seen.observe_token = request.token
        options = ((int(Option.OBSERVE), b"\x01"), (int(Option.CONTENT_FORMAT), TLV))
        device.answer(request, CONTENT, ACTUATION, options)
    else:
        device.answer(request, CONTENT, ACTUATION, ((int(Option.CONTENT_FORMAT), TLV),))


def call_and_serve(
    server: ServerProcess,
    device: ScriptedDevice,
    method: str,
    path: str,
    query: Mapping[str, object],
    body: JsonObject | None = None,
) -> tuple[Any, Serving]:  # Any: JSON
    """Make an HTTP call that waits for the device, and let the device answer whatever comes meanwhile."""
    seen = Serving()
    with ThreadPoolExecutor(max_workers=1) as threads:
        calling = threads.submit(server.call, method, path, query, body=body)
        while not calling.done():
            message = device.receive(0.02)
            if message is not None and message.is_request:
                serve(device, message, seen)
        return calling.result(), seen


def read(server: ServerProcess, device: ScriptedDevice) -> JsonObject:
    """An instant read of the device, and the envelope of its answer."""
    query = {"imei": device.imei, "obj_id": 3306, "obj_inst_id": 0}
    envelope, _ = call_and_serve(server, device, "GET", "/nbiot", query)
    assert isinstance(envelope, dict)
    return envelope


def notify(device: ScriptedDevice, token: bytes) -> CoapMessage | None:
    """Send a confirmable notification, and give what comes back."""
    device.send(
        CoapMessage(
            type=MessageType.CON,
            code=CONTENT,
            message_id=device.next_message_id(),
            token=token,
            options=((int(Option.OBSERVE), FIRST_NOTIFICATION), (int(Option.CONTENT_FORMAT), TLV)),
            payload=ACTUATION,
        )
    )
    return device.receive(5.0)
