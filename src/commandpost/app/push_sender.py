"""The sender of pushes, loaded at the first push: a server that nobody subscribed to starts a quarter sooner."""

from collections.abc import Sequence
from random import SystemRandom
from typing import TYPE_CHECKING

from commandpost.config import Settings
from commandpost.domain.push_ports import PushMessage, PushOutcome, PushTarget
from commandpost.domain.resource_json import STANDARD_STYLE

if TYPE_CHECKING:
    from commandpost.northbound.push_client import PushClient


class LatePushSender:
    """A PushSender that makes the real one when it is first asked for something."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: PushClient | None = None

    def check_url(self, url: str) -> None:
        """Refuse what can be seen to be no allowed address without asking anybody."""
        self._load().check_url(url)

    async def verify(self, target: PushTarget) -> PushOutcome:
        """Ask a receiver to show that it is one."""
        return await self._load().verify(target)

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        """Hand messages over in one request."""
        return await self._load().push(target, messages, is_array=is_array)

    async def close(self) -> None:
        """Let go of every connection."""
        if self._client is not None:
            await self._client.close()

    def _load(self) -> "PushClient":
        if self._client is None:
            from commandpost.northbound.push_client import PushClient
            from commandpost.northbound.push_format import PushFormat

            self._client = PushClient(
                push_format=PushFormat(random=SystemRandom(), value_style=STANDARD_STYLE),
                allow_private=self._settings.push.allow_private,
                timeout_s=self._settings.push.timeout_s,
            )
        return self._client
