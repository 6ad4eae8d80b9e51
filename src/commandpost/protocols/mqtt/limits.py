"""How long an MQTT connection waits and how much it and its session may hold.

Values are given by the owner; nothing here reads a configuration.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttLimits:
    """Every bound of a connection and of a session. At a limit something is refused or the connection ends."""

    login_s: float = 30.0  # from the accepted connection to a whole CONNECT, TLS included: OneNET's of EDP
    decision_s: float = 30.0  # from the CONNECT to the owner's answer; a store that takes longer is not there
    packet_s: float = 120.0  # from a packet's first byte to its last: 256 KiB at the 20 kbit/s of a poor NB-IoT cell
    ping_s: float = 30.0  # a client's wait for PINGRESP; the standard only says "a reasonable amount of time"
    keepalive_factor: float = 1.5  # MQTT 3.1.1 section 3.1.2.10

    connect_bytes_max: int = (
        16_384  # before a login; ids and passwords of OneNET are below 1 KiB, a will takes the rest
    )
    packet_bytes_max: int = 262_144  # remaining length after the login: OneNET's payload limit of 256 KB
    client_id_bytes_max: int = 128  # OneNET device names have at most 64 characters
    held_before_login_bytes_max: int = 65_536  # sent on before the CONNACK: one read of a driver
    held_bytes_max: int = 1_048_576  # undecoded while the owner's answers are awaited: four reads of 256 KiB

    subscribe_entries_max: int = 100  # in one packet: as many as a session may hold
    subscriptions_max: int = 100  # of one session: OneNET's own limit
    requests_unanswered_max: int = 16  # SUBSCRIBE and UNSUBSCRIBE a client sends ahead; a server reads one at a time

    inbound_unacknowledged_max: int = 100  # PUBLISH with QoS 1 and 2 the owner has not acknowledged; Receive Maximum
    inbound_unacknowledged_bytes_max: int = 1_048_576  # the same, in payload bytes: four of the largest
    unreleased_max: int = 1_024  # QoS 2 packet ids awaiting PUBREL; about 100 KiB at worst
    topic_aliases_max: int = 16  # of one connection, MQTT 5; each keeps a topic name

    inflight_max: int = 16  # QoS 1 and 2 messages sent and not acknowledged: design P4, 16 commands per device
    settled_max: int = 1_024  # messages the peer has answered and not acknowledged; an honest one has a handful
    queued_max: int = 1_000  # messages waiting behind them
    queued_bytes_max: int = 1_048_576  # both together, in topic and payload bytes

    def __post_init__(self) -> None:
        """Refuse a bound that would let nothing through, or that the wire cannot say."""
        for bound in fields(self):
            if getattr(self, bound.name) <= 0:
                raise ValueError(f"{bound.name} is above 0, not {getattr(self, bound.name)}")
        if self.inbound_unacknowledged_max > 0xFFFF or self.topic_aliases_max > 0xFFFF or self.inflight_max > 0xFFFF:
            raise ValueError(f"unacknowledged messages and topic aliases are counted in 16 bits: {self}")
        if self.packet_bytes_max > 268_435_455:
            raise ValueError(f"packet_bytes_max is at most 268435455, not {self.packet_bytes_max}")
