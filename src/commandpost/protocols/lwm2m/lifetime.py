"""How long a registration lasts and when a device renews it.

Here: arithmetic. Not here: who watches the clock.
Source: southbound reference 1.4 and 1.5; OMA LwM2M core section 5.3.
"""

from typing import Final

LIFETIME_DEFAULT_S: Final = 86_400  # OMA LwM2M core table 5.3.1-1
LIFETIME_MIN_S: Final = 5  # shorter ones are lengthened to this: no device can renew faster over NB-IoT
LIFETIME_MAX_S: Final = 2**32 - 1
RENEWAL_MARGIN_S: Final = 93  # MAX_TRANSMIT_WAIT of RFC 7252 section 4.8.2, by which the SDKs renew early


def clamp_lifetime(lifetime_s: int) -> int:
    """Lengthen a lifetime that is too short to be kept."""
    return max(LIFETIME_MIN_S, lifetime_s)


def expires_at_ms(renewed_at_ms: int, lifetime_s: int, *, grace_s: int = 0) -> int:
    """Give the instant at which a registration ends unless a Register or an Update comes; a Notify does not count."""
    return renewed_at_ms + (lifetime_s + grace_s) * 1000


def renewal_delay_s(lifetime_s: int) -> float:
    """Give how long after a Register or Update a OneNET device sends the next Update."""
    return float(lifetime_s - RENEWAL_MARGIN_S) if lifetime_s > RENEWAL_MARGIN_S else lifetime_s / 2
