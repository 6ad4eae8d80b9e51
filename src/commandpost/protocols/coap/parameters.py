"""How an endpoint waits and how much it may hold: its timing and its limits.

Values are given by the owner; nothing here reads a configuration.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmissionParameters:
    """The timing of confirmable messages and the size of blocks.

    The defaults are OneNET's downlink timing; a simulated device would take RFC 7252's ack_timeout_s=2.0.
    """

    ack_timeout_s: float = 5.0  # OneNET: below 5 s a module hands the same Write to its MCU several times
    ack_random_factor: float = 1.5  # RFC 7252 section 4.8
    # Retransmissions of a request; None: as many as its deadline allows.
    max_retransmit: int | None = None
    # Retransmissions of a notification or separate response, which has no deadline (RFC 7252 section 4.8).
    message_max_retransmit: int = 4
    exchange_lifetime_s: float = 247.0  # RFC 7252 section 4.8.2
    block_szx: int = 5  # 512 bytes, the block size of OneNET modules
    block1_threshold_bytes: int = 512  # a module takes requests of 512 bytes

    def __post_init__(self) -> None:
        """Refuse values that would retransmit without pause or make no block."""
        if self.ack_timeout_s <= 0 or self.ack_random_factor < 1 or self.exchange_lifetime_s <= 0:
            raise ValueError(f"times are positive and the random factor is at least 1: {self}")
        if not 0 <= self.block_szx <= 6 or self.block1_threshold_bytes < 0:
            raise ValueError(f"block_szx is 0..6 and block1_threshold_bytes not negative: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLimits:
    """Every bound of an endpoint. At a limit something is refused or forgotten, never an error raised.

    Known peers themselves are counted by the owner, who knows which devices are registered.
    """

    open_exchanges_max: int = 100_000  # a fleet of a million has a few percent awake at a time
    open_messages_max: int = 20_000  # confirmable notifications and separate responses awaiting their ACK
    datagrams_queued_max: int = 65_536  # what one drain of the driver may leave behind
    events_queued_max: int = 65_536  # as many as datagrams
    answers_per_peer_max: int = 8  # a device has one or two exchanges open in 247 s
    stranger_answers_max: int = 16_384  # about 4 MiB for peers nobody vouches for
    stored_answer_bytes_max: int = 1_280  # one block of 1,024 bytes and its options
    ended_tokens_max: int = 65_536  # for late answers; forgetting one costs a device a few retransmissions
    unconfirmed_sent_max: int = 16_384  # notifications that a reset may still refuse
    former_peers_max: int = 16_384  # message ids of peers forgotten within the exchange lifetime
    block_bodies_max: int = 1_024  # request bodies being put together
    block_body_bytes_max: int = 2_048  # OneNET's own limit for a Block1 body
    block_body_s: float = 120.0  # from the first block to the last
    response_body_bytes_max: int = 65_536  # one response put together from Block2
    response_bodies_bytes_max: int = 33_554_432  # all of them at one time, 32 MiB
    served_bodies_max: int = 256  # large responses of ours kept for later blocks
    served_bodies_bytes_max: int = 4_194_304  # the same, in bytes
    served_body_s: float = 120.0  # the same, in time
    resets_per_s: float = 50.0  # resets for malformed datagrams, whoever sends them
    resets_burst: int = 100  # the same, at once

    def __post_init__(self) -> None:
        """Refuse a bound below zero."""
        for bound in fields(self):
            if getattr(self, bound.name) < 0:
                raise ValueError(f"{bound.name} is 0 or more, not {getattr(self, bound.name)}")
