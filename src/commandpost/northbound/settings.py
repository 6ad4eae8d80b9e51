"""What `app` may settle about the northbound side."""

from dataclasses import dataclass
from enum import Enum


class ErrnoProfile(Enum):
    """Which error numbers `/nbiot*` answers with (northbound reference 2.3)."""

    DOCUMENTED = "documented"
    """Those of the table every `/nbiot*` page links to."""
    OBSERVED = "observed"
    """Those that captures of the live service show: the general table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NorthboundSettings:
    """The settings; every default is the reference's recommendation."""

    errno_profile: ErrnoProfile = ErrnoProfile.DOCUMENTED
    utc_offset_minutes: int = 480
    """The zone of text times: Beijing, which knows no daylight saving."""
    zone_name: str = "CST"
    """How that zone is written in Java date text."""
    time_values_in_ms: bool = True
    """Whether values of type Time are shown in milliseconds, as the only sample does, or in seconds."""
    command_body_bytes_max: int = 2048
    """"2k" of command content (northbound reference 4.2)."""
    body_bytes_max: int = 65_536
    """For every other body; also what is held of one that nobody takes, or that a stranger sends."""
    body_timeout_s: float = 10.0
    """How long a caller may take to send its body."""
    binary_bytes_max: int = 819_200
    """"800K" of `POST /bindata` (northbound reference 7)."""
    is_nbiot_for_master_only: bool = False
    """Whether a device-level key is refused on `/nbiot*`, as one set of the documents has it (northbound reference
    1.4)."""
    has_strict_key_methods: bool = False
    """Whether a device-level key made without `access_methods` opens nothing, as documented, or has all four verbs, as
    an SDK of the vendor's takes for granted (northbound reference 9.1)."""
    query_bytes_max: int = 16_384
    """The longest honest query is 1000 device ids of 10 digits with percent-encoded commas."""
    query_parameters_max: int = 64
    body_drain_bytes_max: int = 1_048_576
    """How much of a body that is too large is read and dropped, so that its sender gets to see the answer."""

    def __post_init__(self) -> None:
        if not -18 * 60 <= self.utc_offset_minutes <= 18 * 60:
            raise ValueError(f"utc_offset_minutes {self.utc_offset_minutes} is out of range: -1080 to 1080 is allowed")
        if not (self.zone_name.isascii() and self.zone_name.isalnum() and len(self.zone_name) <= 8):
            raise ValueError(f"zone_name {self.zone_name!r} is not allowed: 1 to 8 letters or digits are")
