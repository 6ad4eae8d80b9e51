"""Requests as existing SDKs put them on the wire, byte for byte, against the Api behind a real HTTP server.

The shapes are those of northbound reference 1.2, 1.3 and 10; the services behind it are fakes, so that what is tested
is the way from the socket to the envelope. Loopback only.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import create_server
from typing import Any

import msgspec
import uvicorn

from commandpost.northbound.settings import NorthboundSettings
from tests.event_loop import on_event_loop
from tests.fakes.services import IMEI, MASTER_KEY, UUID
from tests.unit.northbound.house import House

Answer = tuple[bytes, dict[bytes, bytes], dict[str, Any]]  # Any: JSON of any shape


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[int]:
    """Serve the house on a free port; who connects early waits in the backlog."""
    listener = create_server(("127.0.0.1", 0))
    config = uvicorn.Config(house.api, http="httptools", ws="none", lifespan="on", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving_task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving_task
        listener.close()


class Caller:
    """One connection, spoken to in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: str, body: bytes = b"") -> Answer:
        self.writer.write(request.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
        return await self.answer()

    async def answer(self) -> Answer:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return status.split()[1], headers, msgspec.json.decode(body)


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@on_event_loop
async def test_the_official_java_sdk() -> None:
    """okhttp: keep-alive, gzip accepted, `{}` with an observe; the whole sample on one connection."""
    common = (
        f"api-key: {MASTER_KEY}\nHost: 127.0.0.1\nConnection: Keep-Alive\nAccept-Encoding: gzip\n"
        "User-Agent: okhttp/3.5.0\n"
    )
    json_type = "Content-Type: application/json; charset=utf-8\n"
    new = b'{"auth_info":{"imeitest":"123456789"},"obsv":true,"protocol":"LWM2M","title":"t","tags":["a"]}'
    write = b'{"data":[{"res_id":5850,"val":"t"}]}'
    asked = [
        (f"POST /devices HTTP/1.1\n{json_type}Content-Length: {len(new)}\n", new),
        (f"GET /nbiot?imei={IMEI}&obj_id=3200&obj_inst_id=0&res_id=5500 HTTP/1.1\n", b""),
        (
            f"POST /nbiot?imei={IMEI}&obj_id=3200&obj_inst_id=0&mode=1 HTTP/1.1\n{json_type}"
            f"Content-Length: {len(write)}\n",
            write,
        ),
        (
            f"POST /nbiot/execute?imei={IMEI}&obj_id=3200&obj_inst_id=0&res_id=5501 HTTP/1.1\n{json_type}"
            "Content-Length: 15\n",
            b'{"args":"ping"}',
        ),
        (
            f"POST /nbiot/observe?imei={IMEI}&obj_id=3200&cancel=false&obj_inst_id=0&res_id=5500&pmax=60&pmin=5 "
            f"HTTP/1.1\n{json_type}Content-Length: 2\n",
            b"{}",
        ),
        (f"GET /nbiot/resources?imei={IMEI}&obj_id=3200 HTTP/1.1\n", b""),
    ]
    async with serving(House()) as port, calling(port) as caller:
        for request, body in asked:
            status, headers, envelope = await caller.ask(request + common, body)

            assert (status, envelope["errno"]) == (b"200", 0)
            assert headers[b"content-type"] == b"application/json; charset=utf-8"
            assert b"transfer-encoding" not in headers
            assert b"content-encoding" not in headers


@on_event_loop
async def test_clients_with_manners_of_their_own() -> None:
    """Doubled slashes, form content type, raw colons, capitals, unknown names, a body with a GET, chunks."""
    key = f"Host: x\nApi-Key: {MASTER_KEY}\n"
    body = b'{"Data":[{"Res_id":5850,"Val":1}]}'
    chunked = b"3\r\n{}\n\r\n0\r\n\r\n"
    parameters = b'{"imei":"%s","obj_id":3303,"expired_time":"2030-01-01T00:00:00"}' % IMEI.encode()
    asked = [
        (f"GET //devices/1000001 HTTP/1.1\n{key}", b""),
        (f"GET /devices/status/?devIds=1000001&imei={IMEI}&v=2.0&format=json HTTP/1.1\n{key}", b""),
        (
            f"POST /nbiot?imei={IMEI}&obj_id=3308&obj_inst_id=0&mode=2&time_out=45 HTTP/1.1\n{key}"
            f"Content-Type: application/x-www-form-urlencoded\nContent-Length: {len(body)}\n",
            body,
        ),
        (
            f"GET /nbiot/offline/history?imei={IMEI}&start=2018-03-08T17:30:00&end=2018-03-09%2017:30:00 "
            f"HTTP/1.1\n{key}",
            b"",
        ),
        (
            f"GET /nbiot/offline HTTP/1.1\n{key}Content-Type: text/plain\nContent-Length: {len(parameters)}\n",
            parameters,
        ),
        (
            f"POST /nbiot/observe?imei={IMEI}&obj_id=3303&cancel=False&pMin=5&pMax=60 HTTP/1.1\n{key}"
            "Transfer-Encoding: chunked\n",
            chunked,
        ),
        (f"PUT /nbiot/offline/cancel/{UUID}?imei={IMEI} HTTP/1.1\n{key}Content-Length: 0\n", b""),
        (f"PUT /nbiot/offline/cancel/all?imei={IMEI} HTTP/1.1\n{key}Content-Length: 2\n", b"{}"),
    ]
    async with serving(House()) as port, calling(port) as caller:
        for request, content in asked:
            status, _, envelope = await caller.ask(request, content)

            assert (status, envelope["errno"], request) == (b"200", 0, request)


@on_event_loop
async def test_a_body_that_is_too_large_is_answered_and_the_connection_ends() -> None:
    """The sender sees why, although it was still sending."""
    async with serving(House()) as port, calling(port) as caller:
        request = f"POST /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nContent-Length: 500000\n"

        status, headers, envelope = await caller.ask(request, b"x" * 500_000)

        assert (status, envelope["errno"], headers[b"connection"]) == (b"200", 5, b"close")
        assert await caller.reader.read() == b""


@on_event_loop
async def test_a_body_that_never_comes_ends_the_connection() -> None:
    """A slow sender holds nothing."""
    house = House(settings=NorthboundSettings(body_timeout_s=0.05))
    async with serving(house) as port, calling(port) as caller:
        request = f"POST /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nContent-Length: 100\n"

        _, headers, envelope = await caller.ask(request, b"{")

        assert (envelope["errno"], headers[b"connection"]) == (9, b"close")
        assert await caller.reader.read() == b""


@on_event_loop
async def test_a_path_that_is_not_served_is_the_only_404() -> None:
    """And the connection stays open for the next call."""
    async with serving(House()) as port, calling(port) as caller:
        unknown, _, envelope = await caller.ask("GET /nothing HTTP/1.1\nHost: x\n")
        keyless, _, refused = await caller.ask("GET /devices HTTP/1.1\nHost: x\n")

        assert (unknown, envelope) == (b"404", {"errno": 8, "error": "not found: GET /nothing"})
        assert (keyless, refused["errno"]) == (b"200", 2)
