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
    MODULE_URI,
    OBJECT_IDS,
    PATH,
    SECRET_KEY,
    SECURE_MODULE_URI,
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


class LimitsProfile(Enum):
    """How often an application may call: as often as it likes, or as often as the original let it."""

    OFF = "off"
    ONENET = "onenet"


class Takeover(Enum):
    """What a login of a device does that is connected already: win, or be refused."""

    ALWAYS = "always"
    NEVER = "never"


class AddressFollowing(Enum):
    """From where an update of a device without DTLS moves it (see services.registration)."""

    ANY = "any"
    SAME_IP = "same-ip"
    AUTH_ONLY = "auth-only"


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
    tls_listen: tuple[ListenAddress, ...] = field(
        default=(), metadata=means(ADDRESSES, "where to listen for HTTPS; needs tls.certificate")
    )
    connections_max: int = field(default=1_000, metadata=means(whole(1, 100_000), "connections open at one time"))
    head_bytes_max: int = field(
        default=32_768, metadata=means(whole(4_096, 1_048_576), "request line and headers of one request")
    )
    head_s: float = field(
        default=10.0, metadata=means(number(0.1, 600), "wait for the whole head of a request after its first byte")
    )
    silence_s: float = field(
        default=60.0, metadata=means(number(0.1, 3_600), "wait for the first byte on a new connection")
    )


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
class DtlsSettings:
    """`[dtls]`: the door for devices over UDP with DTLS; closed unless an address is given."""

    listen: tuple[ListenAddress, ...] = field(
        default=(), metadata=means(ADDRESSES, "where to listen; the usual port is 5684")
    )
    persist: bool = field(
        default=True, metadata=means(TRUTH, "whether associations outlive a restart; their keys are sealed on disk")
    )
    idle_timeout_s: int = field(
        default=604_800,
        metadata=means(whole(60, 31_536_000), "an association that was silent for so long is forgotten"),
    )
    connection_id_bytes: int = field(
        default=8,
        metadata=means(whole(0, 20), "length of the connection ids given to devices that ask for one; 0: none"),
    )
    mac_then_encrypt: bool = field(
        default=False,
        metadata=means(TRUTH, "whether CBC is done the old way for clients that know no other; not in constant time"),
    )
    associations_max: int = field(
        default=1_000_000,
        metadata=means(whole(1, 10_000_000), "associations of one listener; the one silent for longest makes room"),
    )
    half_open_max: int = field(
        default=10_000, metadata=means(whole(1, 1_000_000), "handshakes under way on one listener")
    )
    half_open_max_per_address: int = field(
        default=2_000, metadata=means(whole(1, 1_000_000), "the same from one address")
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
    address_following: AddressFollowing = field(
        default=AddressFollowing.ANY,
        metadata=means(
            choice(AddressFollowing),
            "from where an update moves a device without DTLS: from anywhere, from another port of its address, or only"
            " if it shows its auth code",
        ),
    )
    bootstrap: bool = field(default=True, metadata=means(TRUTH, "whether `/bs` is served, on the ports of [coap]"))
    bootstrap_uri: str | None = field(
        default=None,
        metadata=means(MODULE_URI, "where a bootstrap without DTLS sends devices, as they reach this server"),
    )
    bootstrap_secure_uri: str | None = field(
        default=None, metadata=means(SECURE_MODULE_URI, "where a bootstrap over DTLS sends devices")
    )
    models_dir: Path | None = field(
        default=None, metadata=means(PATH, "object definitions of one's own, beside the built-in ones")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """`[mqtt]`: the door for MQTT devices; closed unless an address is given."""

    listen: tuple[ListenAddress, ...] = field(
        default=(), metadata=means(ADDRESSES, "where to listen; usual ports are 1883 and 6002")
    )
    tls_listen: tuple[ListenAddress, ...] = field(
        default=(), metadata=means(ADDRESSES, "where to listen for MQTT over TLS; needs tls.certificate")
    )
    connections_max: int = field(default=20_000, metadata=means(whole(1, 1_000_000), "connections open at one time"))
    login_s: float = field(
        default=30.0,
        metadata=means(
            number(1, 600),
            "from accepting a connection to its whole CONNECT, the TLS handshake included; no byte prolongs it",
        ),
    )
    # No more than may pile up for a subscriber beside its own (southbound.stream_peer.OUTPUT_BYTES_MAX): a message that
    # could never be handed on would end its connection again and again.
    packet_bytes_max: int = field(
        default=3_276_800, metadata=means(whole(1_024, 3_670_016), "largest packet a device may send")
    )
    session_expiry_s: int = field(
        default=7 * 86_400,
        metadata=means(whole(60, 31_536_000), "how long a session outlives its connection at most"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EdpSettings:
    """`[edp]`: the door for EDP devices; closed unless an address is given."""

    listen: tuple[ListenAddress, ...] = field(
        default=(), metadata=means(ADDRESSES, "where to listen; usual ports are 876 and 29876")
    )
    connections_max: int = field(default=20_000, metadata=means(whole(1, 1_000_000), "connections open at one time"))
    login_s: float = field(
        default=30.0,
        metadata=means(number(1, 600), "from accepting a connection to its whole CONN_REQ; no byte prolongs it"),
    )
    takeover: Takeover = field(
        default=Takeover.ALWAYS, metadata=means(choice(Takeover), "whether a new login of a connected device wins")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """`[tls]`: the certificate of listeners with TLS."""

    certificate: Path | None = field(
        default=None, metadata=means(PATH, "file with the certificate chain in PEM, the server's own first")
    )
    private_key: Path | None = field(
        default=None, metadata=means(PATH, "file with its private key in PEM; absent: it is in the certificate's file")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """`[keys]`: what keys open, where the documents of the dialect disagree."""

    nbiot_master_only: bool = field(
        default=False, metadata=means(TRUTH, "whether /nbiot takes the MasterKey only, and no device-level key")
    )
    strict_methods: bool = field(
        default=False,
        metadata=means(TRUTH, "whether a device-level key without access_methods opens nothing, instead of all verbs"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """`[data]`: what devices report."""

    retention_days: int = field(
        default=180, metadata=means(whole(1, 36_500), "how long datapoints and binaries are kept after their arrival")
    )
    streams_max_per_device: int = field(default=1_000, metadata=means(whole(1, 100_000), "datastreams of one device"))
    held_bytes_max: int = field(
        default=268_435_456,
        metadata=means(
            whole(1_048_576, 1_099_511_627_776),
            "what half-received packets of all connections may take, with the reports that are not on disk yet",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """`[push]`: requests to the users' own servers."""

    allow_private: bool = field(
        default=False, metadata=means(TRUTH, "whether loopback, private and link-local addresses may be pushed to")
    )
    timeout_s: float = field(default=5.0, metadata=means(number(0.1, 60), "what one request may take in all"))
    requests_per_subscription_max: int = field(
        default=16, metadata=means(whole(1, 256), "requests open to one receiver")
    )
    requests_max: int = field(
        default=64,
        metadata=means(whole(1, 1_024), "requests open to all; each receiver may have one beyond it"),
    )
    subscriptions_max: int = field(default=16, metadata=means(whole(1, 64), "receivers of one product"))
    failures_max: int = field(
        default=2_000, metadata=means(whole(1, 1_000_000), "failures after which an event goes into the list of them")
    )
    failing_max_s: int = field(
        default=86_400, metadata=means(whole(60, 2_592_000), "the same, in seconds since the first")
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

    profile: LimitsProfile = field(
        default=LimitsProfile.OFF,
        metadata=means(
            choice(LimitsProfile), "how often applications may call; onenet: 300/s, and 1 s between instants"
        ),
    )
    calls_per_s_per_product: int | None = field(
        default=None, metadata=means(whole(0, 1_000_000), "calls a second of one product, 0: any; else the profile's")
    )
    calls_per_s_per_key: int | None = field(
        default=None,
        metadata=means(whole(0, 1_000_000), "the same of one device-level key; no profile has one"),
    )
    instant_gap_ms: int | None = field(
        default=None,
        metadata=means(whole(0, 3_600_000), "between two instant commands to one device; else the profile's"),
    )
    waiting_max_per_device: int = field(
        default=10, metadata=means(whole(1, 1_000), "cached commands waiting for one device")
    )
    payloads_open_max_per_device: int = field(
        default=1_000, metadata=means(whole(1, 100_000), "/cmds payloads of one device that have not ended")
    )
    payload_answer_window_s: int = field(
        default=10, metadata=means(whole(1, 3_600), "wait for the reply to a /cmds payload with qos 0 or timeout 0")
    )
    instant_waiting_max_per_device: int = field(
        default=16, metadata=means(whole(1, 1_000), "instant commands open for one device")
    )
    instants_max: int = field(
        default=10_000, metadata=means(whole(1, 1_000_000), "instant commands open for all devices")
    )
    failed_login_delay: bool = field(
        default=True,
        metadata=means(TRUTH, "whether wrong credentials are answered late, from the 10th of a minute and address on"),
    )
    registrations_max: int = field(
        default=1_000, metadata=means(whole(1, 100_000), "registrations being written at one time")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`[audit]`: who did what."""

    retention_days: int = field(default=180, metadata=means(whole(1, 36_500), "how long entries are kept"))
    rows_max: int = field(
        default=1_000_000, metadata=means(whole(1_000, 1_000_000_000), "entries kept at most; the oldest go first")
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
    dtls: DtlsSettings = DtlsSettings()
    lwm2m: Lwm2mSettings = Lwm2mSettings()
    mqtt: MqttSettings = MqttSettings()
    edp: EdpSettings = EdpSettings()
    tls: TlsSettings = TlsSettings()
    keys: KeySettings = KeySettings()
    data: DataSettings = DataSettings()
    push: PushSettings = PushSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    audit: AuditSettings = AuditSettings()

    @property
    def descriptors_wanted(self) -> int:
        """How many connections may be open at one time on the listeners that are asked for."""
        wanted = self.http.connections_max
        if self.mqtt.listen or self.mqtt.tls_listen:
            wanted += self.mqtt.connections_max
        if self.edp.listen:
            wanted += self.edp.connections_max
        return wanted
