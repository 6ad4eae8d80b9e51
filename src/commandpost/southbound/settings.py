"""What an operator may say about the CoAP side, checked once; `app` fills it from the configuration."""

from dataclasses import dataclass

from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.protocols.coap.options import szx_for
from commandpost.protocols.coap.parameters import EndpointLimits, TransmissionParameters
from commandpost.protocols.errors import EncodeError
from commandpost.protocols.lwm2m.dialect import OLD_TLV_NUMBER
from commandpost.southbound.coap_udp import RECEIVE_BUFFER_BYTES

TLV_NUMBERS = (int(ContentFormat.LWM2M_TLV), OLD_TLV_NUMBER)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoapSettings:
    """Timing, sizes and bounds of the CoAP side. The defaults are OneNET's where it says anything."""

    ack_timeout_s: float = 5.0
    """Before the first retransmission of a request, times 1 to `ack_random_factor` (southbound reference 2.3)."""
    ack_random_factor: float = 1.5
    max_retransmit: int | None = None
    """Retransmissions of one request; None: as many as its deadline allows."""
    block_bytes: int = 512
    """A larger body goes in blocks of this size: a power of two from 16 to 1024."""
    tlv_number: int = int(ContentFormat.LWM2M_TLV)
    """How TLV is called in requests: 11542, or 1542 for a fleet of old modules."""
    has_strict_execute_arguments: bool = False
    """Wrap the arguments of an Execute for clients that insist on the standard's grammar."""
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES
    open_exchanges_max: int = 100_000
    """Requests of ours that await an answer, in all."""
    known_peers_max: int = 1_000_000
    """Peers with message ids and remembered answers of their own; the one heard longest ago becomes a stranger."""
    known_peer_idle_s: float = 86_400.0
    """How long a silent peer stays known."""
    requests_open_max: int = 20_000
    """Registrations and de-registrations at work at one time; one more is answered 5.03."""
    bootstraps_open_max: int = 10_000
    """Bootstraps going on at one time, each some seconds; one more is answered 5.03."""
    reports_open_max: int = 20_000
    """Notifications and Sends that await the store or their blocks; one more is not acknowledged, or answered 5.03."""
    retry_after_s: int = 60
    """Max-Age of a 5.03: when to try again."""
    refusals_per_s: float = 1_000.0
    """4.xx, 5.03 and RST to peers that are no device of ours, in all; beyond it they get nothing."""
    refusals_burst: int = 2_000
    host_refusals_per_s: float = 10.0
    """The same for one address, whatever the port; generous, because carriers put many devices behind one."""
    host_refusals_burst: int = 100
    refused_hosts_max: int = 65_536
    late_answers_max: int = 16_384
    """Ended attempts whose late answer is still listened for; the oldest is given up for a new one."""
    late_answer_s: float = 247.0
    """How long; EXCHANGE_LIFETIME of RFC 7252 section 4.8.2."""

    def __post_init__(self) -> None:
        """Refuse what the engine could not run with, naming the field."""
        try:
            szx_for(self.block_bytes)
        except EncodeError as error:
            raise ValueError(f"block_bytes {self.block_bytes}: {error}") from error
        if self.tlv_number not in TLV_NUMBERS:
            raise ValueError(f"tlv_number {self.tlv_number}: {TLV_NUMBERS[0]} or {TLV_NUMBERS[1]} is allowed")
        if self.ack_timeout_s <= 0 or self.ack_random_factor < 1:
            raise ValueError(
                f"ack_timeout_s {self.ack_timeout_s} must be above 0,"
                f" ack_random_factor {self.ack_random_factor} at least 1"
            )
        for name in (
            "open_exchanges_max",
            "known_peers_max",
            "requests_open_max",
            "bootstraps_open_max",
            "reports_open_max",
            "late_answers_max",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: 1 or more is allowed")

    def transmission_parameters(self) -> TransmissionParameters:
        """Give the engine's timing."""
        return TransmissionParameters(
            ack_timeout_s=self.ack_timeout_s,
            ack_random_factor=self.ack_random_factor,
            max_retransmit=self.max_retransmit,
            block_szx=szx_for(self.block_bytes),
            block1_threshold_bytes=self.block_bytes,
        )

    def endpoint_limits(self) -> EndpointLimits:
        """Give the engine's bounds."""
        return EndpointLimits(open_exchanges_max=self.open_exchanges_max)
