"""How a simulated MQTT or EDP device spends its time, and what it tells of itself: records only."""

from dataclasses import dataclass
from typing import Final

from commandpost.protocols.data_report import DataType
from commandpost.simulation.device_settings import SLOW_ANSWER_DEFAULT_S
from commandpost.simulation.stream_behaviours import StreamBehaviour

REPORT_TYPES_DEFAULT: Final = (DataType.VALUES,)  # what most devices send


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDeviceSettings:
    """One device.

    A device with `sleep_s` disconnects `awake_s` after its last message either way, once no answer of its own is due,
    and connects again `sleep_s` later. One without stays connected. Pings are no messages.
    """

    sleep_s: float = 0.0
    awake_s: float = 20.0
    sleep_jitter: float = 0.0
    """0 to 1: every sleep is shorter or longer by up to this share."""
    report_s: float | None = None
    """Seconds between reports while connected; 0: once after every login; None: never."""
    report_types: tuple[DataType, ...] = REPORT_TYPES_DEFAULT
    """Taken in turn."""
    behaviour: StreamBehaviour = StreamBehaviour.NORMAL
    answer_delay_s: float = 0.0
    slow_answer_s: float = SLOW_ANSWER_DEFAULT_S
    retry_min_s: float = 1.0  # a device that has lost its connection tries at once; the server is spared a second
    retry_max_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what no device could do."""
        if self.sleep_s < 0 or self.awake_s <= 0 or not 0 <= self.sleep_jitter <= 1:
            raise ValueError(f"sleep_s is 0 or more, awake_s more than 0, sleep_jitter 0 to 1: {self}")
        if not 0 < self.retry_min_s <= self.retry_max_s or not self.report_types:
            raise ValueError(f"retry_min_s is more than 0 and not above its max, and there is a report type: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCommand:
    """One command as the device saw it."""

    at_s: float
    """On the monotonic clock."""
    command_id: str
    payload: bytes
    was_done: bool
    """Whether it was carried out."""
    is_repeated: bool
    """Whether it had come before."""


@dataclass(slots=True, kw_only=True)
class StreamCounters:
    """What happened so far. A fleet's devices share one, and count on one event loop."""

    connected_now: int = 0
    """How many are logged in, as far as they know."""
    logins: int = 0
    let_in: int = 0
    """Devices that were logged in at least once."""
    refused: int = 0
    """Logins the server refused."""
    lost: int = 0
    """Connections that ended otherwise than by the device's own wish."""
    failures: int = 0
    """Attempts to connect that led to no login, refused ones included."""
    sleeps: int = 0
    commands: int = 0
    """Commands that came, repetitions included."""
    done: int = 0
    answers: int = 0
    messages: int = 0
    """Bytes of topics and pushes, which want no answer."""
    reports: int = 0
    reports_stored: int = 0
    """Reports the server acknowledged."""
    reports_refused: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    last_end: str = ""
    """Why a connection ended last otherwise than by a device's own wish, in words for people."""
