"""Who is told of a product's events, and the arithmetic of telling again: records and rules, nothing else.

Here: subscriptions, their bounds, back-off and giving up. Not here: how a message looks (northbound/push_format.py), or
where events come from (stores, in the transaction that makes them true). Source: northbound reference 8; design 10.9.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from commandpost.domain.errors import DomainError, Invalid
from commandpost.domain.events import EventKind
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import DAY_MS, SECOND_MS, Instant

TIMEOUT_S: Final = 5.0  # northbound reference 8.1, 8.6: the receiver's whole time
BACK_OFF_FIRST_S: Final = 1.0  # northbound reference 8.6 [choice]
BACK_OFF_MAX_S: Final = 300.0
BACK_OFF_JITTER: Final = 0.2  # the share of a pause that is left to chance, so that queues do not march in step
FAILURES_MAX: Final = 2_000  # northbound reference 8.6
FAILING_MAX_MS: Final = DAY_MS  # northbound reference 8.6

URL_CHARACTERS_MAX: Final = 1_024  # several times the longest address anybody configures; one row of the store
TOKEN_CHARACTERS_MIN: Final = 3  # the vendor's form takes 3 to 32
TOKEN_CHARACTERS_MAX: Final = 32
AES_KEY_CHARACTERS: Final = 43  # northbound reference 8: 32 bytes of base64 without its padding
BATCH_COUNT_MAX: Final = 100  # messages of one request; with 64 KiB each the sender's bound of bytes comes first
BATCH_INTERVAL_MIN_MS: Final = 100  # how often a sender looks for what is due
BATCH_INTERVAL_MAX_MS: Final = 60_000  # a minute of waiting is no notification any more
SUBSCRIPTIONS_MAX: Final = 16  # of one product: every event is written once for each
FEEDBACKS_MAX: Final = 20  # newest push attempts that are kept of a command, for its history
REASON_CHARACTERS_MAX: Final = 200

SELECTABLE_KINDS: Final = (EventKind.DATA, EventKind.ONLINE_STATE, EventKind.COMMAND_ENDED)
KINDS_DEFAULT: Final = SELECTABLE_KINDS

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_AES_KEY: Final = re.compile(r"[A-Za-z0-9+/]+")
_URL: Final = re.compile(r"[\x21-\x7e]+")
_PORT_MAX: Final = 65_535


class NotVerified(DomainError):
    """A receiver did not show that it is one; `reason` says what came instead."""

    code = "not_verified"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"url was not verified: {reason}")


class SubscriptionRole(Enum):
    """What a subscription is there for."""

    PUSH = "push"
    """Somebody's server, told of the kinds it asked for."""
    ALARM = "alarm"
    """The url of a trigger; it has no kinds of its own, no token and no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several messages in one request: as soon as so many wait, or the first has waited so long."""

    count: int
    interval_ms: int

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not 1 <= self.count <= BATCH_COUNT_MAX:
            raise Invalid("batch.count", self.count, f"an integer from 1 to {BATCH_COUNT_MAX}")
        if not BATCH_INTERVAL_MIN_MS <= self.interval_ms <= BATCH_INTERVAL_MAX_MS:
            allowed = f"an integer from {BATCH_INTERVAL_MIN_MS} to {BATCH_INTERVAL_MAX_MS}"
            raise Invalid("batch.interval_ms", self.interval_ms, allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One receiver of one product's events; its secrets are sealed."""

    id: int = 0
    """0 until the store has given it one; never given twice."""
    product_id: ProductId
    role: SubscriptionRole = SubscriptionRole.PUSH
    url: str
    sealed_token: bytes | None = field(default=None, repr=False)
    sealed_aes_key: bytes | None = field(default=None, repr=False)
    """None: messages are sent in plain text."""
    kinds: tuple[EventKind, ...] = KINDS_DEFAULT
    batch: Batch | None = None
    """None: one request for each message."""
    created_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrouble:
    """How far a queue, the events of one device for one receiver, has gone wrong since its last success."""

    device_id: DeviceId
    failures: int
    """Requests that failed in a row: what the back-off goes by."""
    head_seq: int
    head_failures: int
    """Of those, the ones of the event that is first now."""
    failing_since: Instant
    due_at: Instant
    """When its rest is over."""
    given_up: int = 0
    """Events that went into the list of failures meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpRule:
    """When an event goes into the list of failures, so that its device's order goes on."""

    failures_max: int = FAILURES_MAX
    failing_max_ms: int = FAILING_MAX_MS

    def is_given_up(self, *, head_failures: int, failing_since: Instant, told_at: Instant, now: Instant) -> bool:
        """Tell whether a failed event has had its chances: so many requests, or so much time of failures only.

        An event that came while its queue was failing already gets the full time of its own.
        """
        return head_failures >= self.failures_max or self.is_over_age(
            failing_since=failing_since, told_at=told_at, now=now
        )

    def is_over_age(self, *, failing_since: Instant, told_at: Instant, now: Instant) -> bool:
        """Tell whether an event has waited the full time in a queue that did nothing but fail meanwhile."""
        return now - max(failing_since, told_at) >= self.failing_max_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One attempt to push the result of a command."""

    at: Instant
    is_accepted: bool


def after_failure(
    before: QueueTrouble | None, *, device_id: DeviceId, head_seq: int, now: Instant, unit: float
) -> QueueTrouble:
    """Count one failed request of a queue; it rests now.

    Args:
        unit: chance, from 0 up to 1, in the length of its rest.
    """
    failures = 1 if before is None else before.failures + 1
    is_same_head = before is not None and before.head_seq == head_seq
    return QueueTrouble(
        device_id=device_id,
        failures=failures,
        head_seq=head_seq,
        head_failures=before.head_failures + 1 if before is not None and is_same_head else 1,
        failing_since=now if before is None else before.failing_since,
        due_at=Instant(now + round(back_off_s(failures, unit=unit) * SECOND_MS)),
        given_up=0 if before is None else before.given_up,
    )


def after_giving_up(trouble: QueueTrouble, count: int, *, now: Instant) -> QueueTrouble:
    """Count events of a queue that have just gone into the list of failures.

    The first time the next event is due at once: the fault may have been that of the one given up.
    """
    due_at = trouble.due_at if trouble.given_up else now
    return replace(trouble, given_up=trouble.given_up + count, due_at=due_at)


def rest_s(due_at: Instant, *, now: Instant) -> float:
    """Give how long a queue still rests; whatever the clock did meanwhile, no longer than the longest back-off."""
    return min(max(0, due_at - now) / SECOND_MS, BACK_OFF_MAX_S)


def back_off_s(failures: int, *, unit: float) -> float:
    """Give how long a queue rests after so many failures in a row: 1, 2, 4, … s up to 5 min, some of it chance.

    Args:
        failures: 1 or more.
        unit: chance, from 0 up to 1.
    """
    # Beyond 2**9 the cap holds; a larger power would only overflow one day.
    full = min(BACK_OFF_FIRST_S * (1 << min(failures - 1, 9)), BACK_OFF_MAX_S)
    return full * (1 - BACK_OFF_JITTER * unit)


def kind_bit(kind: EventKind) -> int:
    """Give the bit that stands for a kind in a set of them."""
    return 1 << kind


def kind_bits(kinds: Iterable[EventKind]) -> int:
    """Give a set of kinds as one number."""
    bits = 0
    for kind in kinds:
        bits |= kind_bit(kind)
    return bits


def kinds_of(bits: int) -> tuple[EventKind, ...]:
    """Give the kinds of a set that is one number."""
    return tuple(kind for kind in EventKind if bits & kind_bit(kind))


def check_kinds(numbers: Iterable[int]) -> tuple[EventKind, ...]:
    """Give the kinds that these numbers are, each once, in ascending order.

    Raises:
        Invalid: none is given, or one is no kind that can be asked for.
    """
    allowed = ", ".join(str(kind.value) for kind in SELECTABLE_KINDS)
    found = set(numbers)
    if not found:
        raise Invalid("kinds", [], f"one or more of {allowed}")
    for number in sorted(found):
        if number not in {kind.value for kind in SELECTABLE_KINDS}:
            raise Invalid("kinds", number, f"one or more of {allowed}")
    return tuple(EventKind(number) for number in sorted(found))


def check_token(token: str) -> str:
    """Give a token back if it may be one. The text itself never stands in the error.

    Raises:
        Invalid: its length or one of its characters is not allowed.
    """
    is_long_enough = TOKEN_CHARACTERS_MIN <= len(token) <= TOKEN_CHARACTERS_MAX
    if not is_long_enough or not _TOKEN.fullmatch(token):
        allowed = f"{TOKEN_CHARACTERS_MIN} to {TOKEN_CHARACTERS_MAX} visible ASCII characters"
        raise Invalid("token", f"a text of {len(token)} characters", allowed)
    return token


def check_aes_key(key: str) -> str:
    """Give an EncodingAESKey back if it may be one. The text itself never stands in the error.

    Raises:
        Invalid: it is not 43 characters of base64.
    """
    if len(key) != AES_KEY_CHARACTERS or not _AES_KEY.fullmatch(key):
        allowed = f"{AES_KEY_CHARACTERS} characters of base64"
        raise Invalid("aes_key", f"a text of {len(key)} characters", allowed)
    return key


def check_url(url: str) -> str:
    """Give a url back if requests may be made to it; which addresses may be reached is the sender's to say.

    Raises:
        Invalid: it is no http or https url, too long, without a host, or with a user, a password or a fragment.
    """
    if not 0 < len(url) <= URL_CHARACTERS_MAX:
        raise Invalid("url", f"a text of {len(url)} characters", f"1 to {URL_CHARACTERS_MAX} characters")
    if not _URL.fullmatch(url):
        raise Invalid("url", url, "visible ASCII characters, others percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid("url", url, f"a url ({error})") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise Invalid("url", url, "http:// or https://")
    if parts.username is not None or parts.password is not None:
        # Not shown: what is refused here may be somebody's password.
        raise Invalid("url", "a url with a user or a password", "none in the url")
    if not host:
        raise Invalid("url", url, "a url with a host")
    if port is not None and not 1 <= port <= _PORT_MAX:
        raise Invalid("url", url, f"a port from 1 to {_PORT_MAX}")
    if parts.fragment or "\\" in url:
        raise Invalid("url", url, "a url without a fragment and without backslashes")
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFailure:
    """An event in the list of failures: its device's order went on without it; it can be replayed."""

    id: int
    """Its place in the list; never given twice."""
    subscription_id: int
    device_id: DeviceId
    kind: EventKind
    at: Instant
    command_id: CommandId | None
    is_online: bool | None
    stream_id: str | None
    failures: int
    """Requests that tried it."""
    failing_since: Instant
    given_up_at: Instant
    reason: str
    """Of the last failure."""
