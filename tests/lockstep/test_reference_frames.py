"""Raw frames of southbound reference 9 against a live server: send this, expect that, byte for byte.

Message ids and tokens of requests are the server's to choose; everything else is compared whole.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.server import JsonObject, ServerProcess

WAIT_S = 15.0
IMEI, IMSI = "865820031234567", "460040427001234"
REGISTER = bytes.fromhex(
    "44 02 12 34 34 12 8F 1A B2 72 64 11 28"
    "3D 15 65 70 3D 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37 3B 34 36 30 30 34 30 34 32 37 30 30 31 32 33 34"
    "03 62 3D 55 06 6C 74 3D 33 30 30 D6 23 61 62 63 31 32 33 FF"
    "3C 2F 3E 3B 72 74 3D 22 6F 6D 61 2E 6C 77 6D 32 6D 22 2C 3C 2F 33 32 30 30 2F 30 3E"
)
REGISTERED = bytes.fromhex("64 41 12 34 34 12 8F 1A 82 72 64 0D 02 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37")
OBSERVE_3200_0 = bytes.fromhex("60 54 33 32 30 30 01 30 62 2D 16")
DISCOVER_3200 = bytes.fromhex("B4 33 32 30 30 61 28")
READ_3_0 = bytes.fromhex("B1 33 01 30 62 2D 16")  # with the Accept that 1.7 leaves open and the vector leaves out
WRITE_3306_0 = bytes.fromhex("B4 33 33 30 36 01 30 12 2D 16 FF E1 16 DA 01 E1 16 DB 16")
EXECUTE_3303_0_5605 = bytes.fromhex("B4 33 33 30 33 01 30 04 35 36 30 35 10 FF 72 65 73 65 74")
RST_7777 = bytes.fromhex("70 00 77 77")
ACK_7777 = bytes.fromhex("60 00 77 77")
GET, POST, PUT = 0x01, 0x02, 0x03
CHANGED, CONTENT, NOT_FOUND = 0x44, 0x45, 0x84


class Wire:
    """A socket that speaks bytes. A request is (method, what follows the token); its header is kept to answer it."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server.coap
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.token = b""
        self._message_id = b""

    def close(self) -> None:
        self._socket.close()

    def send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._server)

    def receive(self, timeout_s: float = WAIT_S) -> bytes:
        self._socket.settimeout(timeout_s)
        return self._socket.recv(65_536)

    def expect(self, datagram: bytes) -> None:
        assert self.receive().hex(" ") == datagram.hex(" ")

    def expect_request(self, method: int, rest: bytes) -> None:
        """Version 1, CON, a token of 8 bytes, this method, and these options and payload."""
        datagram = self.receive()
        assert datagram[0] == 0x48, datagram.hex(" ")
        assert datagram[1] == method, datagram.hex(" ")
        assert datagram[12:].hex(" ") == rest.hex(" ")
        self._message_id, self.token = datagram[2:4], datagram[4:12]

    def answer(self, code: int, rest: bytes = b"") -> None:
        """The answer in the ACK."""
        self.send(bytes((0x68, code)) + self._message_id + self.token + rest)

    def expect_silence(self, timeout_s: float) -> None:
        with pytest.raises(TimeoutError):
            self.receive(timeout_s)


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    with contextlib.closing(Wire(server)) as opened:
        yield opened


@pytest.fixture(scope="module")
def device(server: ServerProcess) -> str:
    """The device of the reference, with its auth code and with automatic observation."""
    body = {
        "title": "reference",
        "protocol": "LWM2M",
        "auth_info": {IMEI: IMSI},
        "auth_code": "abc123",
        "obsv": True,
    }
    return str(server.data("POST", "/devices", body=body)["device_id"])


class Call:
    """An HTTP call that waits for the device while the test plays the device."""

    def __init__(self, call: Callable[[], JsonObject]) -> None:
        self._answer: list[JsonObject] = []
        self._thread = threading.Thread(target=lambda: self._answer.append(call()))
        self._thread.start()

    def answer(self) -> JsonObject:
        self._thread.join(WAIT_S)
        assert self._answer, "the call has not been answered"
        return self._answer[0]


def vary(frame: bytes, number: int) -> bytes:
    """The same frame with another message id and token."""
    return frame[:2] + number.to_bytes(2, "big") + number.to_bytes(4, "big") + frame[8:]


def register(wire: Wire, number: int) -> None:
    """Register with this message id and answer the setup: one Observe, then the marker read."""
    wire.send(vary(REGISTER, number))
    wire.expect(vary(REGISTERED, number))
    wire.expect_request(GET, OBSERVE_3200_0)
    wire.answer(CONTENT, bytes.fromhex("61 01"))
    wire.expect_request(GET, READ_3_0)
    wire.answer(NOT_FOUND)


def test_register_observe_read_device(server: ServerProcess, device: str, wire: Wire) -> None:
    """The whole beginning: 2.01, the Observe no sooner than 200 ms after it, then Read /3/0."""
    wire.send(REGISTER)
    wire.expect(REGISTERED)
    registered_at = time.monotonic()
    wire.expect_request(GET, OBSERVE_3200_0)
    assert time.monotonic() - registered_at >= 0.2
    observation = wire.token
    assert observation[:4] == int(device).to_bytes(4, "big")
    wire.answer(CONTENT, bytes.fromhex("61 01"))
    wire.expect_request(GET, READ_3_0)
    wire.answer(NOT_FOUND)

    wire.send(bytes.fromhex("48 45 77 77") + observation + bytes.fromhex("61 02 62 2D 16 FF E1 16 DA 01"))
    wire.expect(ACK_7777)


def test_register_again_with_the_same_frame_gets_the_same_answer(
    server: ServerProcess, device: str, wire: Wire
) -> None:
    """A wire duplicate is answered from memory and begins nothing anew."""
    frame = vary(REGISTER, 0x4001)
    for _ in range(2):
        wire.send(frame)
        wire.expect(vary(REGISTERED, 0x4001))
    wire.expect_request(GET, OBSERVE_3200_0)
    wire.answer(CONTENT, bytes.fromhex("61 01"))
    wire.expect_request(GET, READ_3_0)
    wire.answer(NOT_FOUND)
    wire.expect_silence(1.0)


def test_register_with_a_wrong_auth_code_is_forbidden(server: ServerProcess, device: str, wire: Wire) -> None:
    """4.03 and nothing else; a missing code is a failure too."""
    wire.send(vary(REGISTER.replace(b"abc123", b"abc124"), 0x4002))
    wire.expect(vary(bytes.fromhex("64 83 00 00 00 00 00 00"), 0x4002))
    wire.send(vary(REGISTER.replace(b"\xd6\x23abc123", b""), 0x4003))
    wire.expect(vary(bytes.fromhex("64 83 00 00 00 00 00 00"), 0x4003))


def test_update_and_deregister(server: ServerProcess, device: str, wire: Wire) -> None:
    """2.04, 2.02, then 4.04 for both; the code is asked for every time."""
    location = bytes.fromhex("B2 72 64 0D 02") + IMEI.encode()
    code = bytes.fromhex("D6 27") + b"abc123"  # option 63 after option 11: 52 - 13 = 39
    register(wire, 0x4004)

    for method, reply, number in ((POST, 0x44, 0x10), (0x04, 0x42, 0x11), (POST, 0x84, 0x12), (0x04, 0x84, 0x13)):
        wire.send(bytes((0x40, method, 0, number)) + location + code)
        wire.expect(bytes((0x60, reply, 0, number)))


def test_commands_leave_as_the_reference_shows_them(server: ServerProcess, device: str, wire: Wire) -> None:
    """Write in both modes, Execute, Discover."""
    register(wire, 0x4005)
    values: dict[str, Any] = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}
    write = {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0}
    execute = {"imei": IMEI, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605}
    discover = {"imei": IMEI, "obj_id": 3200}

    for method, mode in ((POST, 2), (PUT, 1)):
        call = Call(lambda mode=mode: server.call("POST", "/nbiot", {**write, "mode": mode}, body=values))  # type: ignore[misc]  # default binds the mode
        wire.expect_request(method, WRITE_3306_0)
        wire.answer(CHANGED)
        assert call.answer()["errno"] == 0

    call = Call(lambda: server.call("POST", "/nbiot/execute", execute, body={"args": "reset"}))
    wire.expect_request(POST, EXECUTE_3303_0_5605)
    wire.answer(CHANGED)
    assert call.answer()["errno"] == 0

    call = Call(lambda: server.call("GET", "/nbiot/discover", discover))
    wire.expect_request(GET, DISCOVER_3200)
    wire.answer(CONTENT, bytes.fromhex("C1 28 FF") + b"</3200>,</3200/0>,</3200/0/5500>")
    assert call.answer()["data"] == [{"obj_inst_id": 0, "res_id": [5500]}]


@pytest.mark.parametrize(
    ("datagram", "reply"),
    [
        pytest.param("48 45 77 77 FF FF FF FF 01 02 03 04 61 02", RST_7777, id="CON notify, unknown token"),
        pytest.param("58 45 77 77 FF FF FF FF 01 02 03 04 61 02", RST_7777, id="NON notify, unknown token"),
        pytest.param("40 00 77 77", RST_7777, id="ping"),
        pytest.param("40 01 77 77 FF", RST_7777, id="malformed CON"),
        pytest.param("40 01 77 77 B1 78", bytes.fromhex("60 84 77 77"), id="CON request to nowhere"),
        pytest.param("40 02 77 77 B2 62 73", bytes.fromhex("60 80 77 77"), id="bootstrap without ep"),
        pytest.param("40 02 77 77 B2 72 64", bytes.fromhex("60 80 77 77"), id="register without ep"),
        pytest.param("40 01 77 77 91 00", bytes.fromhex("60 82 77 77"), id="unknown critical option"),
    ],
)
def test_message_layer(server: ServerProcess, wire: Wire, datagram: str, reply: bytes) -> None:
    """Southbound reference 1.8, row by row, from an address nobody knows."""
    wire.send(bytes.fromhex(datagram))
    wire.expect(reply)


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param("", id="empty datagram"),
        pytest.param("40", id="half a header"),
        pytest.param("80 01 77 77", id="version 2"),
        pytest.param("50 01 77 77 FF", id="malformed NON"),
        pytest.param("60 00 77 77", id="ACK for nothing open"),
        pytest.param("70 00 77 77", id="RST for nothing open"),
        pytest.param("60 45 77 77", id="answer for nothing open"),
    ],
)
def test_message_layer_keeps_silent(server: ServerProcess, wire: Wire, datagram: str) -> None:
    """What deserves no answer gets none; the ping after it is answered first."""
    wire.send(bytes.fromhex(datagram))
    wire.send(bytes.fromhex("40 00 77 77"))
    wire.expect(RST_7777)
    wire.expect_silence(0.2)
