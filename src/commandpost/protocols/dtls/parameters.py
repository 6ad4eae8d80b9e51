"""What a server agrees to, how it waits, and how much it may hold.

Values are given by the owner; nothing here reads a configuration.
"""

from dataclasses import dataclass, fields

from commandpost.protocols.dtls.registries import CipherSuite

CONNECTION_ID_BYTES_MAX = 20  # as in QUIC; RFC 9146 would allow 255


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsParameters:
    """What is negotiated, and when something is repeated or given up."""

    cipher_suites: tuple[CipherSuite, ...] = (
        CipherSuite.PSK_AES_128_CCM_8,
        CipherSuite.PSK_AES_128_GCM_SHA256,
        CipherSuite.PSK_AES_128_CBC_SHA256,
    )
    """Best first; the server's order decides."""
    allows_mac_then_encrypt: bool = False
    """CBC for clients without encrypt-then-MAC. Not in constant time."""
    requires_extended_master_secret: bool = False
    """Refuse clients that do not offer RFC 7627."""
    # None refuses connection ids, 0 takes the client's and gives none. 8 random bytes cannot be guessed.
    connection_id_bytes: int | None = 8
    # How many keys are tried for every identity, offered or dummy: bootstrap and access key, each old and new.
    candidates: int = 4
    flight_timeout_s: float = 1.0  # RFC 6347 section 4.2.4.1
    flight_timeout_max_s: float = 60.0  # RFC 6347 section 4.2.4.1
    flight_transmissions_max: int = 10  # by timer or for a repeated hello: about a minute of doubling, and some
    handshake_timeout_s: float = 90.0  # a round trip over NB-IoT takes up to 10 s, and each flight may be lost twice
    cookie_rotation_s: float = 60.0  # a cookie is good for one to two of these
    idle_timeout_s: float = 604_800.0  # a week: a device that reports daily keeps its keys
    # Write sequence numbers are reserved on disk in blocks of this size; None: associations are not persisted.
    reservation_block: int | None = None
    reservation_read_step: int = 64  # records read that the disk does not know of: as many as the window

    def __post_init__(self) -> None:
        """Refuse values that would never end, never begin, or agree to nothing."""
        if not self.cipher_suites or len(set(self.cipher_suites)) < len(self.cipher_suites):
            raise ValueError(f"cipher suites are named once each, and at least one: {self.cipher_suites}")
        if self.connection_id_bytes is not None and not 0 <= self.connection_id_bytes <= CONNECTION_ID_BYTES_MAX:
            raise ValueError(f"a connection id has 0 to {CONNECTION_ID_BYTES_MAX} bytes: {self.connection_id_bytes}")
        if min(self.candidates, self.flight_transmissions_max, self.reservation_read_step) < 1:
            raise ValueError(f"at least one key is tried, one flight sent, one record read: {self}")
        if self.reservation_block is not None and self.reservation_block < 2:
            raise ValueError(f"a reservation has 2 or more sequence numbers, not {self.reservation_block}")
        if min(self.flight_timeout_s, self.handshake_timeout_s, self.cookie_rotation_s, self.idle_timeout_s) <= 0:
            raise ValueError(f"times are positive: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsLimits:
    """Every bound of a server. At a limit something is refused or forgotten, never an error raised."""

    associations_max: int = 1_000_000  # about 1.1 kB each; the one silent for longest makes room
    half_open_max: int = 10_000  # a fleet that comes back at once has some hundred handshakes a second under way
    half_open_per_source_max: int = 2_000  # a carrier puts thousands of devices behind one address
    events_queued_max: int = 65_536  # what one drain of the driver may leave behind
    datagrams_queued_max: int = 65_536  # as many as events
    payloads_held_max: int = 8  # for an association that waits for its reservation: one commit takes milliseconds
    alerts_per_s: float = 50.0  # all alerts outside an association, and refused renegotiations
    alerts_burst: int = 100  # the same, at once

    def __post_init__(self) -> None:
        """Refuse a bound that admits nobody."""
        for bound in fields(self):
            if getattr(self, bound.name) < 0:
                raise ValueError(f"{bound.name} is 0 or more, not {getattr(self, bound.name)}")
        if min(self.associations_max, self.half_open_max, self.half_open_per_source_max) < 1:
            raise ValueError(f"there is room for one of each: {self}")
