"""The machine's own clocks, randomness and ids: the only place that reads them. Everything else is given them."""

import base64
import os
import time
from random import Random, SystemRandom

from commandpost.domain.ids import AttemptId, CommandId, DeviceId, StartId, shape_command_id
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> Instant:
        """Milliseconds since 1970 UTC."""
        return Instant(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        """Seconds of the clock the event loop uses, too."""
        return time.monotonic()


class SystemIds:
    """Identifiers and secrets of the machine's own randomness."""

    def __init__(self) -> None:
        self._last_attempt = 0
        # Seeded from the system and never shown: jitter, message ids and the random halves of tokens come from here.
        self._random = Random(os.urandom(32))

    def new_command_id(self, now: Instant) -> CommandId:
        """Time first, then 74 random bits."""
        return shape_command_id(now, os.urandom(10))

    def new_attempt_id(self, now: Instant) -> AttemptId:
        """41 bits of time and 22 random ones, always above the last."""
        fresh = ((now & (2**41 - 1)) << 22) | self._random.getrandbits(22)
        self._last_attempt = max(self._last_attempt + 1, fresh)
        return AttemptId(self._last_attempt)

    def new_coap_token(self, device_id: DeviceId) -> bytes:
        """The device, and four bytes that nobody can guess: in NoSec they are the only proof of an answer."""
        return device_id.to_bytes(4, "big") + os.urandom(4)

    def new_secret(self) -> str:
        """192 random bits as 32 characters of base64; an access key has to be base64."""
        return base64.b64encode(os.urandom(24)).decode()

    def random_unit(self) -> float:
        """For jitter."""
        return self._random.random()


def new_start_id(clock: Clock) -> StartId:
    """A number no earlier run has had."""
    return StartId(((clock.wall_ms() & (2**41 - 1)) << 21) | SystemRandom().getrandbits(21))
