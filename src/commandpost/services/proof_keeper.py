"""A duty: connections end when the overlap of the key that let them in is over. Design 10.1."""

from commandpost.services.connections import Connections


class ProofKeeper:
    """Ends what stands on a replaced key whose time is over."""

    name = "proof_keeper"

    def __init__(self, *, connections: Connections, slice_max: int = 200, interval_s: float = 1.0) -> None:
        self._connections = connections
        self._slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """End one slice."""
        return self._connections.end_expired(self._slice_max) >= self._slice_max
