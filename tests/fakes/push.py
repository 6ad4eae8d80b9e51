"""A sender of pushes for worlds in which nobody has subscribed anything."""

from collections.abc import Sequence

from commandpost.domain.push_ports import PushMessage, PushOutcome, PushTarget


class NobodyToTell:
    """Fails the test that has something pushed all the same."""

    def check_url(self, url: str) -> None:
        raise AssertionError(f"nobody subscribes here: {url}")

    async def verify(self, target: PushTarget) -> PushOutcome:
        raise AssertionError("nobody subscribes here")

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        raise AssertionError("nobody subscribes here")

    async def close(self) -> None:
        pass
