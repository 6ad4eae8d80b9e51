"""The Api as an ASGI application: what it reads, what it writes, where it stops."""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from commandpost.northbound.settings import NorthboundSettings
from tests.event_loop import on_event_loop
from tests.fakes.services import IMEI, MASTER_KEY
from tests.unit.northbound.fakes import INDEX
from tests.unit.northbound.house import DEVICE_ID, House

Message = MutableMapping[str, Any]  # Any: ASGI's own
EXECUTE = f"imei={IMEI}&obj_id=5&obj_inst_id=0&res_id=4"


def scope(method: str, path: str, query: str = "", *headers: tuple[bytes, bytes]) -> Message:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"api-key", MASTER_KEY.encode()), *headers],
    }


def pieces(*chunks: bytes) -> list[Message]:
    return [
        {"type": "http.request", "body": chunk, "more_body": at < len(chunks) - 1} for at, chunk in enumerate(chunks)
    ]


async def serve(house: House, asked: Message, messages: Iterable[Message] = ()) -> list[Message]:
    """Run one scope; when the messages are used up, nothing more ever comes."""
    incoming = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        if not incoming:
            await asyncio.get_running_loop().create_future()
        return incoming.pop(0)

    async def send(message: Message) -> None:  # ASGI awaits it
        sent.append(message)

    await house.api(asked, receive, send)
    return sent


def envelope(sent: list[Message]) -> Message:
    decoded = msgspec.json.decode(sent[1]["body"])
    assert isinstance(decoded, dict)
    return decoded


@on_event_loop
async def test_an_answer_has_its_length_and_its_type() -> None:
    """Never chunked: one client allocates its buffer from Content-Length."""
    sent = await serve(House(), scope("GET", "/nbiot", f"imei={IMEI}&obj_id=3"))

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 200
    assert headers[b"content-type"] == b"application/json; charset=utf-8"
    assert headers[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert b"x-command-uuid" in headers
    assert b"connection" not in headers


@on_event_loop
async def test_bytes_are_answered_with_their_length_and_type() -> None:
    """No envelope, and no chunks either."""
    sent = await serve(House(), scope("GET", f"/bindata/{INDEX}"))

    headers = dict(sent[0]["headers"])
    assert (headers[b"content-type"], headers[b"content-length"]) == (b"application/octet-stream", b"3")
    assert sent[1]["body"] == b"\x00\xff\x01"


@pytest.mark.parametrize(
    ("raw_path", "key"),
    [
        (b"/keys/a%2Fb%3D", "a/b="),
        (b"/keys/%2f%2F", "//"),
        (b"//keys/a%2Fb/", "a/b"),
        (b"/keys/a%252Fb", "a%2Fb"),
        (b"/keys/a%2B%2Fb", "a+/b"),
        (b"/keys/a+%2Fb", "a+/b"),
        (b"/keys/%E9%92%A5%2F", "钥/"),
        (b"/keys/ab%3D", "ab="),
    ],
)
@on_event_loop
async def test_an_encoded_slash_is_no_slash_of_the_path(raw_path: bytes, key: str) -> None:
    """Decoded by the server as a whole, and by us part by part where that matters."""
    house = House()
    asked = {**scope("PUT", unquote(raw_path.decode()), "", (b"content-length", b"2")), "raw_path": raw_path}
    house.envelope("POST", "/keys", {"title": "k"})
    house.device_keys.keys[key] = house.device_keys.keys["new-key-0"]

    sent = await serve(house, asked, pieces(b"{}"))

    assert envelope(sent)["errno"] == 0
    assert house.device_keys.changes[0][0] == key


@pytest.mark.parametrize("key", [b"a%FFb", b"%D6%D0", b"a%2F%FF"])
@on_event_loop
async def test_what_is_no_utf_8_names_nothing(key: bytes) -> None:
    """A server gives us replacement characters for it, and those may name something."""
    house = House()
    raw_path = b"/keys/" + key
    asked = {**scope("PUT", unquote(raw_path.decode()), "", (b"content-length", b"2")), "raw_path": raw_path}
    house.envelope("POST", "/keys", {"title": "k"})
    house.device_keys.keys[unquote(key.decode())] = house.device_keys.keys["new-key-0"]

    sent = await serve(house, asked, pieces(b"{}"))

    assert envelope(sent)["errno"] == 6
    assert envelope(sent)["error"].startswith("invalid parameter: key is ")
    assert house.device_keys.changes == []


@pytest.mark.parametrize(
    ("path", "errno"),
    [(f"/devices/{DEVICE_ID}/datastreams/%FF", 6), ("/devices/%FF", 8), ("/cmds/%FF", 8), ("/bindata/%FF", 8)],
)
@on_event_loop
async def test_what_is_no_utf_8_is_refused_as_what_cannot_be_is(path: str, errno: int) -> None:
    """With the errno the call has for a name that cannot exist, where it has one."""
    asked = {**scope("GET", unquote(path)), "raw_path": path.encode()}

    sent = await serve(House(), asked)

    assert envelope(sent)["errno"] == errno


@pytest.mark.parametrize("raw_path", [b"/devices%2Fstatus", b"/keys%2Fa", b"/%2F", b"/keys/" + b"%2F" * 2000])
@on_event_loop
async def test_an_encoded_slash_makes_no_path_of_another(raw_path: bytes) -> None:
    """404, whatever it would be with a slash."""
    asked = {**scope("GET", unquote(raw_path.decode())), "raw_path": raw_path}

    sent = await serve(House(), asked)

    assert (sent[0]["status"], envelope(sent)["errno"]) == (404, 8)


@on_event_loop
async def test_a_body_comes_in_pieces() -> None:
    """As large bodies do."""
    house = House()
    asked = scope("POST", "/nbiot/execute", EXECUTE, (b"transfer-encoding", b"chunked"))

    sent = await serve(house, asked, pieces(b'{"args"', b":", b'"ping"}', b""))

    assert envelope(sent)["errno"] == 0
    assert house.commands.ran[0].submission.content == '{"args":"ping"}'


@on_event_loop
async def test_a_body_that_is_too_large_is_drained_and_refused() -> None:
    """The sender gets to see why; nothing of it is kept."""
    asked = scope("POST", "/devices", "", (b"content-length", b"200000"))

    sent = await serve(House(), asked, pieces(b"x" * 100_000, b"x" * 100_000))

    assert envelope(sent) == {
        "errno": 5,
        "error": "request entity too large: body has more than 65536 bytes: at most 65536 is allowed",
    }
    assert (b"connection", b"close") in sent[0]["headers"]


@on_event_loop
async def test_binary_data_may_be_larger_than_any_other_body() -> None:
    """800 K for `/bindata`; its own limit holds, and the others keep theirs."""
    query = "device_id=1000001&datastream_id=pic"
    length = (b"content-length", b"1")
    house = House()

    taken = await serve(house, scope("POST", "/bindata", query, length), pieces(b"x" * 400_000, b"y" * 419_200))
    refused = await serve(house, scope("POST", "/bindata", query, length), pieces(b"x" * 819_201))
    elsewhere = await serve(house, scope("POST", "/keys", "", length), pieces(b"x" * 65_537))

    assert envelope(taken)["errno"] == 0
    assert len(house.datapoints.added_binaries[0].payload) == 819_200
    assert envelope(refused) == {
        "errno": 5,
        "error": "request entity too large: body has more than 819200 bytes: at most 819200 is allowed",
    }
    assert envelope(elsewhere)["errno"] == 5


@pytest.mark.parametrize(("key", "errno", "pieces_read"), [("wrong", 3, 3), (None, 2, 3), (MASTER_KEY, 5, 19)])
@on_event_loop
async def test_of_a_stranger_no_more_is_held_than_of_any_other_call(
    key: str | None, errno: int, pieces_read: int
) -> None:
    """The room for binary data is for those who have a key; without, a flood of bodies would fill the memory."""
    house = House(settings=NorthboundSettings(body_bytes_max=10, binary_bytes_max=800, body_drain_bytes_max=100))
    asked = scope("POST", "/bindata", "device_id=1000001&datastream_id=pic", (b"content-length", b"5000"))
    asked["headers"] = [(b"content-length", b"5000"), *([] if key is None else [(b"api-key", key.encode())])]
    read: list[None] = []

    async def receive() -> Message:
        read.append(None)
        return {"type": "http.request", "body": b"x" * 50, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await house.api(asked, receive, send)

    assert len(read) == pieces_read
    assert envelope(sent)["errno"] == errno


@on_event_loop
async def test_a_body_without_end_is_cut_off() -> None:
    """After the drain's own limit nothing more is read."""
    house = House(settings=NorthboundSettings(body_bytes_max=10, body_drain_bytes_max=100))
    endless = [{"type": "http.request", "body": b"x" * 50, "more_body": True} for _ in range(10)]

    sent = await serve(house, scope("POST", "/devices", "", (b"content-length", b"500")), endless)

    assert envelope(sent)["errno"] == 5
    assert (b"connection", b"close") in sent[0]["headers"]


@on_event_loop
async def test_a_body_that_does_not_come_in_time_ends_the_connection() -> None:
    """A slow sender holds nothing."""
    house = House(settings=NorthboundSettings(body_timeout_s=0.01))
    asked = scope("POST", "/nbiot/execute", EXECUTE, (b"content-length", b"10"))

    sent = await serve(house, asked, [{"type": "http.request", "body": b"{", "more_body": True}])

    assert envelope(sent) == {
        "errno": 3,
        "error": "entity data required: the body did not come within 0.01 s",
    }
    assert (b"connection", b"close") in sent[0]["headers"]


@on_event_loop
@pytest.mark.parametrize("path", ["/nbiot/execute", "/devices"])
async def test_a_call_that_a_stop_cuts_off_is_told_so(path: str) -> None:
    """In the form of every other answer: the server cancels what runs when it may wait no longer."""
    asked = scope("POST", path, EXECUTE, (b"content-length", b"10"))
    call = asyncio.ensure_future(serve(House(), asked, [{"type": "http.request", "body": b"{", "more_body": True}]))
    await asyncio.sleep(0)

    call.cancel()
    sent = await call

    assert "the server stops" in str(envelope(sent)["error"])
    assert (b"connection", b"close") in sent[0]["headers"]


@on_event_loop
async def test_a_caller_without_key_is_told_that_and_not_about_its_body() -> None:
    """The credential comes first, even here."""
    asked = scope("POST", "/devices", "", (b"content-length", b"200000"))
    asked["headers"] = asked["headers"][1:]

    sent = await serve(House(), asked, pieces(b"x" * 200_000))

    assert envelope(sent)["errno"] == 2


@on_event_loop
async def test_a_caller_that_leaves_gets_no_answer() -> None:
    """And nothing runs for it."""
    house = House()
    asked = scope("POST", "/nbiot/execute", EXECUTE, (b"content-length", b"10"))

    sent = await serve(house, asked, [{"type": "http.disconnect"}])

    assert sent == []
    assert house.commands.ran == []


@on_event_loop
async def test_without_a_body_nothing_is_waited_for() -> None:
    """A GET is answered at once."""
    assert envelope(await serve(House(), scope("GET", "/devices", "", (b"content-length", b"0"))))["errno"] == 0


@on_event_loop
async def test_lifespan_is_answered() -> None:
    """Servers ask; there is nothing to do."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    sent = await serve(House(), {"type": "lifespan"}, messages)

    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@on_event_loop
async def test_a_websocket_is_closed() -> None:
    """Only HTTP is served."""
    sent = await serve(House(), {"type": "websocket"}, [{"type": "websocket.connect"}])

    assert [message["type"] for message in sent] == ["websocket.close"]
