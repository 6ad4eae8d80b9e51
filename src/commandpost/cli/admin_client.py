"""Reaches the admin calls: through the running server's socket, or on the store itself when no server runs.

Not here: what the calls do (northbound/admin), and the listening side (northbound/admin_socket).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from commandpost.cli.exit_codes import ExitCode
from commandpost.cli.failures import CliFailure, exit_code_of
from commandpost.config import Settings
from commandpost.northbound.admin_errors import AdminError
from commandpost.northbound.admin_socket import SOCKET_NAME, AdminCaller, socket_address

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024  # a hundred devices with every text at its longest
ANSWER_S: Final = 40.0  # the server gives up on a call before that
OPEN_S: Final = 10.0  # a server that starts holds the lock before its socket is there
OPEN_RETRY_S: Final = 0.1


def call(
    settings: Settings, name: str, parameters: Mapping[str, object], *, may_create: bool = False
) -> Any:  # Any: JSON
    """Perform one call and give its answer.

    Args:
        parameters: those that are None are left out.
        may_create: whether a data directory that does not exist is made.
    Raises:
        CliFailure: it was refused, or nobody can be reached.
    """
    if not may_create and not settings.data_dir.is_dir():
        raise CliFailure(
            f"data directory {settings.data_dir} does not exist: start a server with it, or name one with --data-dir",
            ExitCode.USAGE,
        )
    given = {key: value for key, value in parameters.items() if value is not None}
    return asyncio.run(_call(settings, name, given))


async def _call(settings: Settings, name: str, parameters: Mapping[str, object]) -> object:
    try:
        async with open_admin(settings) as admin:
            return await admin.call(name, parameters)
    except AdminError as error:
        raise CliFailure(str(error), exit_code_of(error.code)) from error


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AdminCaller]:
    """Give whoever performs the calls for this data directory.

    The socket is tried first: a command beside a busy server must not take its lock, not even for a moment.

    Raises:
        CliFailure: somebody holds the data directory and does not answer, or it cannot be used.
    """
    async with AsyncExitStack() as stack:
        yield await _knock(settings, stack) or await _open_store(settings, stack)


async def _knock(settings: Settings, stack: AsyncExitStack) -> AdminCaller | None:
    connection = await connect(settings.data_dir)
    if connection is not None:
        stack.callback(connection.close)
    return connection


async def _open_store(settings: Settings, stack: AsyncExitStack) -> AdminCaller:
    # Imported here: whoever finds a server does not need to load one.
    from commandpost import app
    from commandpost.cli.start_refusals import refusing_to_start
    from commandpost.stores.errors import DataDirectoryLocked

    deadline = asyncio.get_running_loop().time() + OPEN_S
    with refusing_to_start():
        while True:
            try:
                return await stack.enter_async_context(app.open_admin(settings))
            except DataDirectoryLocked as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise CliFailure(f"{error}, and nobody answers on {SOCKET_NAME}", ExitCode.UNAVAILABLE) from error
            await asyncio.sleep(OPEN_RETRY_S)
            connection = await _knock(settings, stack)
            if connection is not None:
                return connection


class AdminConnection:
    """The knocking side of `admin.sock`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, name: str, parameters: Mapping[str, object]) -> object:
        """Send one call and wait for its answer.

        Raises:
            AdminError: it was refused.
            CliFailure: the server went away, or answers nonsense.
        """
        self._writer.write(json.dumps({"call": name, "parameters": parameters}).encode() + b"\n")
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._writer.drain()
                answer = json.loads(await self._reader.readuntil(b"\n"))
        except TimeoutError as error:
            raise CliFailure(f"the server did not answer {name} in {ANSWER_S:g} s", ExitCode.UNAVAILABLE) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise CliFailure(f"the server went away during {name}", ExitCode.UNAVAILABLE) from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise CliFailure(f"the server's answer to {name} cannot be read: {error}") from error
        if not isinstance(answer, dict) or not answer.keys() & {"error", "result"}:
            raise CliFailure(f"the server's answer to {name} is neither a result nor an error")
        if "error" in answer:
            raise AdminError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def connect(data_dir: Path) -> AdminConnection | None:
    """Knock; None when nobody listens there."""
    try:
        directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # opening the store says better what is wrong with it
    try:
        address = socket_address(data_dir, directory)
        reader, writer = await asyncio.open_unix_connection(address, limit=ANSWER_BYTES_MAX)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise CliFailure(f"{data_dir / SOCKET_NAME} cannot be opened: {error}", ExitCode.UNAVAILABLE) from error
    finally:
        os.close(directory)
    return AdminConnection(reader, writer)
