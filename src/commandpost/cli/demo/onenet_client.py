"""The demo's application: OneNET's HTTP API by the standard library's client, as anybody's script would call it."""

import asyncio
import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from commandpost.cli.demo.narrator import DemoFailed, Narrator, check_errno
from commandpost.config import ListenAddress

REQUEST_S: Final = 45.0  # the longest instant command takes 40
POLL_S: Final = 0.2

Answer = dict[str, Any]  # Any: JSON
Parameters = Mapping[str, object]


class OnenetClient:
    """Calls the server with one product's MasterKey, and shows what is said."""

    def __init__(self, *, address: ListenAddress, master_key: str, narrator: Narrator) -> None:
        self._address = address
        self._master_key = master_key
        self._narrator = narrator

    async def call(self, method: str, path: str, parameters: Parameters, body: object | None = None) -> Answer:
        """Call, show request and answer, and want errno 0.

        Args:
            body: bytes go as they are, anything else as JSON.
        Raises:
            DemoFailed: errno is another, or nobody answers.
        """
        target = _target(path, parameters)
        self._narrator.request(method, target, body.decode() if isinstance(body, bytes) else body)
        answer = await self._exchange(method, target, body)
        self._narrator.answer(answer)
        check_errno(answer, 0, f"{method} {path}")
        return answer

    async def until(
        self,
        path: str,
        parameters: Parameters,
        is_so: Callable[[Answer], bool],
        *,
        deadline_s: float,
        show: Callable[[Answer], object] = lambda answer: answer,
    ) -> Answer:
        """Ask again and again until the answer is so; shows the last question, and of its answer what `show` takes.

        Raises:
            DemoFailed: it is not so by the deadline.
        """
        target = _target(path, parameters)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + deadline_s
        while True:
            answer = await self._exchange("GET", target, None)
            if answer.get("errno") == 0 and is_so(answer):
                break
            if loop.time() > give_up_at:
                raise DemoFailed(f"GET {target} still answers {json.dumps(answer)} after {deadline_s:g} s")
            await asyncio.sleep(POLL_S)
        self._narrator.request("GET", target, None)
        self._narrator.answer(show(answer))
        return answer

    async def fetch(self, path: str) -> bytes:
        """Get bytes that come without an envelope, and show them.

        Raises:
            DemoFailed: nobody answers.
        """
        self._narrator.request("GET", path, None)
        answer = await self._transfer("GET", path, None)
        self._narrator.answer(answer.decode(errors="replace"))
        return answer

    async def _exchange(self, method: str, target: str, body: object | None) -> Answer:
        try:
            answer = json.loads(await self._transfer(method, target, body))
        except ValueError as error:
            raise DemoFailed(f"{method} {target}: {error!r}") from error
        if not isinstance(answer, dict):
            raise DemoFailed(f"{method} {target}: {answer!r} is no envelope")
        return answer

    async def _transfer(self, method: str, target: str, body: object | None) -> bytes:
        try:
            return await asyncio.to_thread(self._transfer_now, method, target, body)
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailed(f"{method} {target}: {error!r}") from error

    def _transfer_now(self, method: str, target: str, body: object | None) -> bytes:
        connection = http.client.HTTPConnection(self._address.host, self._address.port, timeout=REQUEST_S)
        try:
            payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            content_type = "application/octet-stream" if isinstance(body, bytes) else "application/json"
            headers = {"api-key": self._master_key, "Content-Type": content_type}
            connection.request(method, target, body=payload, headers=headers)
            return connection.getresponse().read()
        finally:
            connection.close()


def _target(path: str, parameters: Parameters) -> str:
    # Colons and commas stay as they are, as in the dialect's own examples: they are easier to read.
    return f"{path}?{urlencode(parameters, safe=':,')}" if parameters else path
