"""A command, its attempts, and what became of them: frozen records.

Here: what is stored of a command. Not here: which change of state is legal (command_state), the arithmetic of retries
and windows (delivery), or how the dialect numbers any of it (northbound).
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from typing import Final

from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.operation import Operation
from commandpost.domain.resource import OperationResult

RETRY_DEFAULT: Final = 3  # northbound reference 5.1
RETRY_MAX: Final = 10
ANSWER_TIMEOUT_DEFAULT_MS: Final = 25_000
ANSWER_PAYLOAD_BYTES_MAX: Final = 65_536  # what a block-wise answer may grow to (protocols/coap/blockwise)
WAITING_MAX: Final = 10  # commands in state waiting per NB-IoT device (northbound reference 1.6)
PAYLOAD_BYTES_MAX: Final = 65_535  # of `/cmds`: less than 64 K (northbound reference 6.1)
PAYLOADS_OPEN_MAX: Final = 1_000  # payloads of one device without an end; the documents name none
PAYLOAD_WINDOW_MAX: Final = 16  # payloads sent and not yet confirmed by the transport (P4)
PAYLOAD_ANSWER_WINDOW_MS: Final = 10_000  # northbound reference 6.2


class CommandMode(Enum):
    """Whether the caller waits for the answer, or the command waits for the device."""

    INSTANT = "instant"
    CACHED = "cached"


class CommandState(Enum):
    """Where a command stands. Final: succeeded, failed, expired, cancelled; a final state never changes (P7)."""

    WAITING = "waiting"
    """Accepted and on disk, or back after a failed attempt; nothing is in flight."""
    SENT = "sent"
    """An attempt is on disk; its datagram has left or is about to; the device has not answered."""
    DELIVERED = "delivered"
    """`/cmds` only: the transport confirmed; the device's reply is still open."""
    SUCCEEDED = "succeeded"
    """The device itself answered well."""
    FAILED = "failed"
    """The last allowed attempt failed, or the command cannot be encoded."""
    EXPIRED = "expired"
    """The window closed first."""
    CANCELLED = "cancelled"
    """The caller took it back while it waited."""

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in FINAL_STATES


FINAL_STATES: Final = (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.EXPIRED, CommandState.CANCELLED)


class DeliveryPolicy(Enum):
    """How often the device may see the command: design section 2."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Trigger(IntFlag):
    """The uplinks that release a command; 1, 2 and 4 are the dialect's `trigger_msg` bits."""

    REGISTER = 1
    UPDATE = 2
    NOTIFY = 4
    CONNECT = 8
    AT_ONCE = 16


TRIGGER_ANY_LWM2M: Final = Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY


class Transport(Enum):
    """What carries the command; P4 holds for LWM2M."""

    LWM2M = "lwm2m"
    MQTT = "mqtt"
    EDP = "edp"


class Outcome(IntEnum):
    """How an attempt ended. The numbers are the dialect's confirm_status (northbound reference 2.4)."""

    SUCCESS = 0
    METHOD_NOT_ALLOWED = 1
    FORBIDDEN = 2
    NOT_FOUND = 3
    INTERNAL_SERVER_ERROR = 4
    TIME_OUT = 5
    REQ_PARAM_ERROR = 6
    RESP_ERROR = 7
    UNAUTHORIZED = 8
    BAD_REQUEST = 9
    NOT_ACCEPTABLE = 10
    UNSUPPORTED_CONTENT_FORMAT = 11
    OFFLINE = 12
    ADDR_OCCUPIED = 13


REPLY_WITHOUT_CODE: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the device answered: the code as its byte (0x45 is 2.05), the raw bytes, and what they mean.

    The reply to a `/cmds` payload has no code: REPLY_WITHOUT_CODE stands for it.
    """

    code: int
    content_format: int | None = None
    payload: bytes = b""
    result: OperationResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """The one end of an attempt. `answer` None is silence: nothing usable as an answer came (SB 2.5)."""

    attempt_id: AttemptId
    outcome: Outcome
    at: Instant
    answer: Answer | None = None

    @property
    def is_silence(self) -> bool:
        """Whether the device said nothing, so that it has to be taken for asleep."""
        return self.answer is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One sending. It is on disk before its first datagram leaves (P3)."""

    id: AttemptId
    command_id: CommandId
    device_id: DeviceId
    number: int
    """1 for the first sending of the command."""
    coap_token: bytes
    start_id: StartId
    sent_at: Instant
    deadline: Instant
    end: AttemptEnd | None = None
    late_answers: int = 0
    """Answers that came after the end: recorded, nothing more (P7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The request as its caller gave it, for the history: both JSON texts, `{}` where empty."""

    arguments: str = "{}"
    content: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as it stands. `seq` is 0 until the store has given it its place in the order of acceptance."""

    seq: int = 0
    id: CommandId
    product_id: ProductId
    device_id: DeviceId
    imei: str
    operation: Operation
    mode: CommandMode
    transport: Transport = Transport.LWM2M
    created_at: Instant
    valid_from: Instant
    expires_at: Instant
    retry: int | None
    """Sendings allowed after the first; None: no limit within the window (`/cmds` qos 1)."""
    remaining: int | None
    answer_timeout_ms: int
    triggers: Trigger
    delivery: DeliveryPolicy = DeliveryPolicy.AT_LEAST_ONCE
    state: CommandState = CommandState.WAITING
    attempts: int = 0
    """Sendings so far."""
    current_attempt: AttemptId | None = None
    sent_at: Instant | None = None
    """When the newest attempt was sent."""
    answered_at: Instant | None = None
    """When the newest answer of the device came, well or ill; None after silence only."""
    finished_at: Instant | None = None
    outcome: Outcome | None = None
    """The last known result; kept while the command waits again."""
    submission: Submission = Submission()

    def __post_init__(self) -> None:
        if self.expires_at <= self.valid_from:
            raise ValueError(f"expires_at {self.expires_at} must lie after valid_from {self.valid_from}")
        if self.state.is_final != (self.finished_at is not None):
            raise ValueError(f"state {self.state.value} with finished_at {self.finished_at}")
