"""A connection without a login is ended in time, whatever it sends and however far its TLS handshake came."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from socket import create_connection, socket
from threading import Thread

import pytest

from tests.acceptance.certificates import write_certificate
from tests.acceptance.stream_house import door, stream_server

LOGIN_S = 1.0
LATE_S = 4.0  # far below what any timer of the loop or the system would do
GIVEN_UP_S = 15.0
GAP_S = 0.1
CONNECT = bytes.fromhex("10 18 00 04 4d 51 54 54 04 02 00 3c 00 0c") + b"x" * 12
CONN_REQ = bytes.fromhex("10 1B 00 03 45 44 50 01 40 01 2C 00 07 38 30 32 39 33 37 37 00 07 6C 32 61 48 6B 65 79")

Send = Callable[[bytes], object]


def client_hello(context: ssl.SSLContext) -> bytes:
    """What begins a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()


def shake_hands(stream: socket, context: ssl.SSLContext) -> Send:
    """Complete a handshake, and give what sends through it; nothing ever answers the server's goodbye."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

    def send(data: bytes) -> None:
        tls.write(data)
        stream.sendall(outgoing.read())

    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            stream.sendall(outgoing.read())
            incoming.write(stream.recv(65_536))
        else:
            stream.sendall(outgoing.read())
            return send


def lifetime_s(stream: socket, send: Send, said: bytes) -> float:
    """Say it byte by byte, and give how long the server bore it."""
    began = time.monotonic()
    stream.settimeout(GAP_S)
    rest = iter(said)
    while (elapsed := time.monotonic() - began) < GIVEN_UP_S:
        try:
            if not stream.recv(65_536):
                break
        except TimeoutError:
            if (byte := next(rest, None)) is not None:
                send(bytes((byte,)))
        except ConnectionError:
            break
    return elapsed


def test_no_connection_outlives_the_deadline_of_its_login(tmp_path: Path) -> None:
    """MQTT, MQTT over TLS and EDP; silent, or a byte now and then; before, amid and after the handshake."""
    certificate, key = write_certificate(tmp_path, "login")
    server = stream_server(tmp_path / "data", doors=("mqtt", "mqtts", "edp"))
    server.environment = {
        "COMMANDPOST_LOG_LEVEL": "info",
        "COMMANDPOST_TLS_CERTIFICATE": str(certificate),
        "COMMANDPOST_TLS_PRIVATE_KEY": str(key),
        "COMMANDPOST_MQTT_LOGIN_S": str(LOGIN_S),
        "COMMANDPOST_EDP_LOGIN_S": str(LOGIN_S),
    }
    context = ssl.create_default_context(cafile=str(certificate))
    hello = client_hello(context)
    lives: dict[str, float] = {}

    def live(name: str, door_name: str, said: bytes, *, first: bytes = b"", is_shaken: bool = False) -> None:
        with create_connection(door(server, door_name), timeout=LATE_S) as stream:
            send: Send = shake_hands(stream, context) if is_shaken else stream.sendall
            stream.sendall(first)
            lives[name] = lifetime_s(stream, send, said)

    with server:
        visitors = [
            Thread(target=live, args=("mqtt silent", "mqtt", b"")),
            Thread(target=live, args=("mqtt dribbling", "mqtt", CONNECT)),
            Thread(target=live, args=("tls silent", "mqtts", b"")),
            Thread(target=live, args=("tls dribbling its hello", "mqtts", hello)),
            Thread(target=live, args=("tls half a handshake", "mqtts", b""), kwargs={"first": hello}),
            Thread(target=live, args=("tls then silent", "mqtts", b""), kwargs={"is_shaken": True}),
            Thread(target=live, args=("tls then dribbling", "mqtts", CONNECT), kwargs={"is_shaken": True}),
            Thread(target=live, args=("edp silent", "edp", b"")),
            Thread(target=live, args=("edp dribbling", "edp", CONN_REQ)),
        ]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        log = server.log()

    assert len(lives) == len(visitors)
    assert {name: life for name, life in lives.items() if not LOGIN_S * 0.8 < life < LATE_S} == {}
    closes = [line for line in log.splitlines() if "mqtt_closed" in line or "edp_closed" in line]
    assert len(closes) == len(visitors)
    assert [line for line in closes if "within 1 s of the connection" not in line] == []
