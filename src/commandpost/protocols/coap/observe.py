"""Order among notifications: which of two is the newer, and the next number to send.

Only for choosing the latest value; a notification that is not fresh still carries data points. Source: RFC 7641
sections 3.4 and 4.4.
"""

OBSERVE_NUMBER_BITS = 24  # RFC 7641 section 2
FRESH_BY_AGE_S = 128.0  # RFC 7641 section 3.4: after this time a smaller number is new

_HALF = 1 << (OBSERVE_NUMBER_BITS - 1)
_MASK = (1 << OBSERVE_NUMBER_BITS) - 1


def is_fresh(*, previous: int, previous_at: float, current: int, now: float) -> bool:
    """Tell whether a notification is at least as new as the newest one so far.

    DEVIATION: equal numbers are fresh, because some OneNET modules send Observe=2 in every notification; the
    message layer has already dropped true duplicates.

    Args:
        previous: Observe value of the newest notification so far, received at `previous_at`.
        current: Observe value of the one that arrived at `now`.
    """
    if previous == current or now > previous_at + FRESH_BY_AGE_S:
        return True
    if previous < current:
        return current - previous < _HALF
    return previous - current > _HALF


def next_observe_number(number: int) -> int:
    """Give the number of the next notification; it wraps after 24 bits."""
    return (number + 1) & _MASK
