"""Who is at the other end of an exchange, as far as the engine wants to know."""

from collections.abc import Hashable
from typing import TypeAlias

Peer: TypeAlias = Hashable
"""An opaque key, such as (listener, ip, port) or the number of a DTLS association."""
