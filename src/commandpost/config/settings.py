"""Every setting with its default, what is allowed and what it does: frozen records.

Not here: reading them (loading), and what they lead to (`app` hands them down).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path

from commandpost.config.kinds import (
    ADDRESSES,
    BLOCK_BYTES,
    MASTER_KEY,
    OBJECT_IDS,
    PATH,
    SECRET_KEY,
    TRUTH,
    UTC_OFFSET,
    ListenAddress,
    choice,
    means,
    number,
    whole,
)


class ErrnoProfile(Enum):
    """Which error numbers `/nbiot*` answers: those of the documents, or those real servers were seen to send."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"


class LogLevel(Enum):
    """The least severe events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    """Lines for people, or one JSON object per line."""

    CONSOLE = "console"
    JSON = "json"


class CommitDriver(Enum):
    """Who waits for the disk: the loop itself, a thread beside it, or whichever a probe at the start favours."""

    AUTO = "auto"
    INLINE = "inline"
    THREAD = "thread"


class Synchronous(Enum):
    """SQLite's `synchronous`. Only FULL keeps the promise that an accepted command survives a power cut."""

    FULL = "full"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """`[http]`: the door for applications."""

    listen: tuple[ListenAddress, ...] = field(
        default=(ListenAddress(host="127.0.0.1", port=8080),), metadata=means(ADDRESSES, "where to listen")
    )
    connections_max: int = field(default=1_000, metadata=means(whole(1, 100_000), "connections open at one time"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapSettings:
    """`[coap]`: the door for devices over UDP."""

    listen: tuple[ListenAddress, ...] = field(
        default=(ListenAddress(host="0.0.0.0", port=5683),),  # noqa: S104 - devices come from outside
        metadata=means(ADDRESSES, "where to listen"),
    )
    ack_timeout_s: float = field(
        default=5.0, metadata=means(number(0.1, 60), "first retransmission of a request, at the earliest")
    )
    ack_random_factor: float = field(
        default=1.5, metadata=means(number(1, 3), "first retransmission at the latest, as a multiple of that")
    )
    block_bytes: int = field(default=512, metadata=means(BLOCK_BYTES, "block size of long payloads"))
    receive_buffer_bytes: int = field(
        default=4 * 1024 * 1024,
        metadata=means(whole(4_096, 1_073_741_824), "receive buffer to ask the system for; `doctor` says what it gave"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lwm2mSettings:
    """`[lwm2m]`: registrations and what follows them."""

    lifetime_grace_s: int = field(
        default=0, metadata=means(whole(0, 86_400), "how long a device stays online past its lifetime")
    )
    auto_observe_excluded: tuple[int, ...] = field(
        default=tuple(range(8)), metadata=means(OBJECT_IDS, "objects that are never observed automatically")
    )
    setup_timeout_s: float = field(
        default=8.0, metadata=means(number(1, 60), "wait for the answer to one step of the setup")
    )
    setup_budget_s: float = field(
        default=10.0, metadata=means(number(0, 600), "after this much setup, cached commands go first")
    )
    setup_delay_s: float = field(
        default=0.25, metadata=means(number(0, 10), "pause between the answer to a registration and its setup")
    )
    cached_before_setup: bool = field(
        default=False, metadata=means(TRUTH, "whether cached commands go before the setup")
    )
    strict_execute_arguments: bool = field(
        default=False,
        metadata=means(TRUTH, "whether arguments of an Execute are wrapped as 0='…' for clients of the strict grammar"),
    )
    models_dir: Path | None = field(
        default=None, metadata=means(PATH, "object definitions of one's own, beside the built-in ones")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`[store]`: the disk."""

    commit: CommitDriver = field(
        default=CommitDriver.AUTO, metadata=means(choice(CommitDriver), "who waits for the disk")
    )
    synchronous: Synchronous = field(
        default=Synchronous.FULL,
        metadata=means(choice(Synchronous), "SQLite's synchronous; only full survives a power cut"),
    )
    retention_days: int = field(default=180, metadata=means(whole(1, 36_500), "how long ended commands are kept"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """`[limits]`: what is refused beyond them."""

    waiting_max_per_device: int = field(
        default=10, metadata=means(whole(1, 1_000), "cached commands waiting for one device")
    )
    instant_waiting_max_per_device: int = field(
        default=16, metadata=means(whole(1, 1_000), "instant commands open for one device")
    )
    instants_max: int = field(
        default=10_000, metadata=means(whole(1, 1_000_000), "instant commands open for all devices")
    )
    registrations_max: int = field(
        default=1_000, metadata=means(whole(1, 100_000), "registrations being written at one time")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    data_dir: Path = field(default=Path("commandpost-data"), metadata=means(PATH, "where everything is kept"))
    errno_profile: ErrnoProfile = field(
        default=ErrnoProfile.DOCUMENTED, metadata=means(choice(ErrnoProfile), "which error numbers /nbiot answers")
    )
    utc_offset: timedelta = field(
        default=timedelta(hours=8), metadata=means(UTC_OFFSET, "zone of the times without a zone in the OneNET dialect")
    )
    log_level: LogLevel = field(
        default=LogLevel.INFO, metadata=means(choice(LogLevel), "the least severe events that are logged")
    )
    log_format: LogFormat = field(
        default=LogFormat.CONSOLE, metadata=means(choice(LogFormat), "lines for people, or JSON")
    )
    master_key: str | None = field(
        default=None,
        repr=False,
        metadata=means(
            MASTER_KEY, "MasterKey of the first product; without it one is made at the first start and shown once"
        ),
    )
    secret_key: bytes | None = field(
        default=None,
        repr=False,
        metadata=means(SECRET_KEY, "the key that seals secrets at rest; without it one is made in the data directory"),
    )
    secret_key_file: Path | None = field(default=None, metadata=means(PATH, "a file that holds that key"))
    http: HttpSettings = HttpSettings()
    coap: CoapSettings = CoapSettings()
    lwm2m: Lwm2mSettings = Lwm2mSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
