"""The operator's door as a unix socket in the data directory: one JSON object per line, both ways.

Here: the listening side, with its bounds. Not here: what the calls do (admin), and the knocking side (cli). Whoever
can open the file may call: its mode is 0600, and that is the whole of its access control.

Wire: `{"call": "product.list", "parameters": {}}` is answered by `{"result": …}` or by
`{"error": {"code": "not_found", "message": "…"}}`. Requests of one connection are answered one after another.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from commandpost.domain.ports import EventSink
from commandpost.northbound.admin_errors import AdminError

SOCKET_NAME: Final = "admin.sock"
REQUEST_BYTES_MAX: Final = 65_536  # the longest request, adding a device, takes 10 KiB
SOCKET_PATH_BYTES_MAX: Final = 103  # macOS holds 104 bytes with the closing zero, Linux 108
CONNECTIONS_MAX: Final = 16  # one operator and a few scripts
IDLE_S: Final = 30.0  # a command line sends at once
CALL_S: Final = 30.0  # a commit takes milliseconds; past this the disk is gone


class AdminCaller(Protocol):
    """Whoever performs the calls: AdminApi."""

    async def call(self, name: str, parameters: Mapping[str, object]) -> object:
        """Perform one call or raise AdminError."""
        ...


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    call: str
    parameters: dict[str, object] = {}


class AdminSocket:
    """Serves the calls on `admin.sock` until it is closed. The caller holds the data directory's lock."""

    def __init__(self, *, api: AdminCaller, data_dir: Path, events: EventSink) -> None:
        self._api = api
        self._data_dir = data_dir
        self._events = events
        self._directory: int | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self) -> None:
        """Bind and listen; a socket file that a crash left behind is replaced.

        Raises:
            OSError: it cannot be bound.
        """
        # The address of a unix socket holds 107 bytes: a deep data directory is reached through its descriptor instead.
        self._directory = os.open(self._data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET_NAME, dir_fd=self._directory)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind_private(listener, socket_address(self._data_dir, self._directory))
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=listener, limit=REQUEST_BYTES_MAX, backlog=CONNECTIONS_MAX
            )
        except BaseException:
            listener.close()
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening, end what is open, remove the file."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=1.0)
        self._server = None
        if self._directory is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(SOCKET_NAME, dir_fd=self._directory)
            os.close(self._directory)
            self._directory = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.write(_error("overloaded", f"{CONNECTIONS_MAX} admin connections are open: try again"))
            writer.close()
            return
        self._connections[task] = writer
        try:
            await self._answer_lines(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # gone, idle, or we are stopping: nobody is left to tell
        finally:
            del self._connections[task]
            writer.close()

    async def _answer_lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.IncompleteReadError:
                    return
                except asyncio.LimitOverrunError:
                    writer.write(_error("invalid", f"a request has at most {REQUEST_BYTES_MAX} bytes"))
                    return
            writer.write(await self._answer(line))
            async with asyncio.timeout(IDLE_S):
                await writer.drain()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.DecodeError, RecursionError) as error:
            return _error("invalid", f"the request is not one: {error}")
        try:
            async with asyncio.timeout(CALL_S):
                result = await self._api.call(request.call, request.parameters)
        except AdminError as error:
            return _error(error.code, str(error))
        except TimeoutError:
            return _error("store_unavailable", f"{request.call} took longer than {CALL_S:g} s")
        except Exception as error:  # the connection's top: a fault of ours must not end the server
            self._events.emit("admin_call_failed", call=request.call, error=repr(error))
            return _error("internal", f"{request.call} failed: the server's log says why")
        return msgspec.json.encode({"result": result}) + b"\n"


def socket_address(data_dir: Path, directory: int) -> str:
    """Give the address of the socket in a directory, by a shorter way where the plain one does not fit.

    Args:
        directory: an open descriptor of `data_dir`.
    Raises:
        OSError: the path is too long, and the system has no /proc to shorten it.
    """
    plain = data_dir / SOCKET_NAME
    if len(os.fsencode(plain)) <= SOCKET_PATH_BYTES_MAX:
        return str(plain)
    by_descriptor = Path("/proc/self/fd") / str(directory)
    if by_descriptor.exists():
        return str(by_descriptor / SOCKET_NAME)
    raise OSError(f"{plain} is too long for a unix socket: {SOCKET_PATH_BYTES_MAX} bytes are allowed")


def _bind_private(listener: socket.socket, address: str) -> None:
    # The mode has to hold from the first moment: a chmod after the bind would leave the door open in between.
    before = os.umask(0o177)
    try:
        listener.bind(address)
    finally:
        os.umask(before)


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": message}}) + b"\n"
