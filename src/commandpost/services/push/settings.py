"""What `app` may settle about pushing."""

from dataclasses import dataclass, field
from typing import Final

from commandpost.domain.push import SUBSCRIPTIONS_MAX, TIMEOUT_S, GiveUpRule

PAGE_EVENTS: Final = 32  # of one queue, held while it is being told; what a crash may repeat
PAGE_BYTES_MAX: Final = 262_144  # of their values: 64 open requests hold 16 MiB at most
PAGE_COMMANDS_MAX: Final = 16  # told of in one page: their answers, of 64 KiB at most, are held while it is being told
QUEUES_MAX: Final = 8_192  # of one subscription known in memory, some 150 bytes each; the rest is found on disk again
SWEEP_QUEUES: Final = 256  # looked up at once, one step into an index for each
TOLD_PAGE: Final = 512  # events looked at once for what is new
UNWELL_FAILURES: Final = 3  # in a row, after which a receiver counts as one that does nothing but fail
UNWELL_PAUSE_S: Final = 0.02  # between requests to such a one: 100,000 devices are still tried once in 34 minutes
UNWELL_BURST: Final = 8  # of them at once, so that a look ten times a second is enough for that
GIVE_UP_SLICE: Final = 100  # events that go into the list of failures in one transaction: within its 5 ms (design 4)
REPLAY_PAUSE_S: Final = 0.05  # between slices of some 4 ms (measured), so that replaying leaves the writer to others
PAUSE_S: Final = 0.5  # the store is given this long when it has better things to do, or does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """The settings; every default is the reference's or the design's."""

    timeout_s: float = TIMEOUT_S
    """What one request may take in all (northbound reference 8.6)."""
    requests_per_subscription_max: int = 16
    requests_max: int = 64
    """Open for all subscriptions. Each may have one open beyond it, so that none waits for another's dead receiver."""
    subscriptions_max: int = SUBSCRIPTIONS_MAX
    """Of one product."""
    give_up: GiveUpRule = field(default_factory=GiveUpRule)
    poll_s: float = 0.1
    """How often the outbox is looked at for what is new or due; what is told may be so much late."""
