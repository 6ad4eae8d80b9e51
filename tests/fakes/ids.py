"""Ids and secrets that are the same in every run."""

import hashlib
import hmac
from itertools import count

from commandpost.domain.ids import AttemptId, CommandId, DeviceId, shape_command_id
from commandpost.domain.instant import Instant


class CountingIds:
    """Counts."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._attempts = count(1)

    def new_command_id(self, now: Instant) -> CommandId:
        return shape_command_id(now, next(self._numbers).to_bytes(10, "big"))

    def new_attempt_id(self, now: Instant) -> AttemptId:
        return AttemptId(next(self._attempts))

    def new_coap_token(self, device_id: DeviceId) -> bytes:
        return device_id.to_bytes(4, "big") + next(self._numbers).to_bytes(4, "big")

    def new_secret(self) -> str:
        return f"secret-{next(self._numbers):025}"

    def random_unit(self) -> float:
        return 0.5


class ReversingBox:
    """Seals by reversing: enough to see that what is stored is not what was given."""

    def seal(self, secret: bytes) -> bytes:
        return b"sealed:" + secret[::-1]

    def unseal(self, sealed: bytes) -> bytes:
        return sealed.removeprefix(b"sealed:")[::-1]

    def index(self, secret: bytes) -> bytes:
        return hmac.digest(b"key of a test", secret, hashlib.sha256)


class TellTale:
    """An event sink that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **fields: object) -> None:
        self.told.append((event, fields))

    def count(self, event: str) -> int:
        """How often an event was told."""
        return sum(name == event for name, _ in self.told)
