"""The operator's door: who may open it, what it refuses, and that nothing sent to it ends the server."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from commandpost.cli.admin_client import AdminConnection, connect
from commandpost.northbound.admin_errors import AdminError
from commandpost.northbound.admin_socket import CONNECTIONS_MAX, REQUEST_BYTES_MAX, SOCKET_NAME, AdminSocket
from tests.event_loop import on_event_loop


class Api:
    """Answers what it was asked; refuses `refuse`, fails at `fail`."""

    async def call(self, name: str, parameters: Mapping[str, object]) -> object:
        match name:
            case "refuse":
                raise AdminError("not_found", "device 7 does not exist")
            case "fail":
                raise RuntimeError("a fault of ours")
            case _:
                return {"call": name, **parameters}


class Events:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def emit(self, event: str, **fields: object) -> None:
        self.told.append(event)


@asynccontextmanager
async def served(folder: Path, events: Events | None = None) -> AsyncIterator[AdminSocket]:
    door = AdminSocket(api=Api(), data_dir=folder, events=events or Events())
    await door.open()
    try:
        yield door
    finally:
        await door.close()


async def knock(folder: Path) -> AdminConnection:
    connection = await connect(folder)
    assert connection is not None
    return connection


async def exchange(folder: Path, line: bytes) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET_NAME), limit=1_000_000)
    try:
        writer.write(line)
        answer: dict[str, object] = json.loads(await reader.readline())
        return answer
    finally:
        writer.close()


@on_event_loop
async def test_calls_of_one_connection_are_answered_in_turn(tmp_path: Path) -> None:
    async with served(tmp_path):
        connection = await knock(tmp_path)
        try:
            assert await connection.call("one", {"a": 1}) == {"call": "one", "a": 1}
            assert await connection.call("two", {}) == {"call": "two"}
        finally:
            connection.close()


@on_event_loop
async def test_only_the_owner_may_open_it(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600


@on_event_loop
async def test_the_file_goes_away_with_the_server_and_nobody_answers_then(tmp_path: Path) -> None:
    async with served(tmp_path):
        pass

    assert not (tmp_path / SOCKET_NAME).exists()
    assert await connect(tmp_path) is None


@on_event_loop
async def test_a_file_left_behind_by_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / SOCKET_NAME).touch()

    async with served(tmp_path):
        connection = await knock(tmp_path)
        assert await connection.call("one", {}) == {"call": "one"}
        connection.close()


@on_event_loop
async def test_a_data_directory_too_deep_for_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a-rather-long-name-of-a-folder"] * 6)
    folder.mkdir(parents=True)

    async with served(folder):
        connection = await knock(folder)
        assert await connection.call("one", {}) == {"call": "one"}
        connection.close()
    assert not (folder / SOCKET_NAME).exists()


@on_event_loop
async def test_a_refusal_keeps_its_code_and_the_connection(tmp_path: Path) -> None:
    async with served(tmp_path):
        connection = await knock(tmp_path)
        with pytest.raises(AdminError, match="device 7") as caught:
            await connection.call("refuse", {})

        assert caught.value.code == "not_found"
        assert await connection.call("one", {}) == {"call": "one"}
        connection.close()


@on_event_loop
async def test_a_fault_of_ours_is_logged_and_the_door_stays_open(tmp_path: Path) -> None:
    events = Events()
    async with served(tmp_path, events):
        connection = await knock(tmp_path)
        with pytest.raises(AdminError) as caught:
            await connection.call("fail", {})

        assert caught.value.code == "internal"
        assert "a fault of ours" not in str(caught.value)
        assert events.told == ["admin_call_failed"]
        assert await connection.call("one", {}) == {"call": "one"}
        connection.close()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[]\n",
        b'{"call": 5}\n',
        b'{"call": "one", "parameters": []}\n',
        b"[" * 20_000 + b"\n",
        b"x" * (REQUEST_BYTES_MAX + 10) + b"\n",
    ],
    ids=["empty", "text", "bytes", "array", "number", "list", "deep", "long"],
)
@on_event_loop
async def test_what_is_no_request_is_refused(tmp_path: Path, line: bytes) -> None:
    async with served(tmp_path):
        answer = await exchange(tmp_path, line)

        assert isinstance(answer["error"], dict)
        assert answer["error"]["code"] == "invalid"
        assert await exchange(tmp_path, b'{"call": "one"}\n') == {"result": {"call": "one"}}


@on_event_loop
async def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async with served(tmp_path):
        held = [await knock(tmp_path) for _ in range(CONNECTIONS_MAX)]
        for connection in held:
            await connection.call("one", {})  # answered: so it counts

        answer = await exchange(tmp_path, b'{"call": "one"}\n')

        assert isinstance(answer["error"], dict)
        assert answer["error"]["code"] == "overloaded"
        for connection in held:
            connection.close()
