"""Handshakes that claim an identity and wait for its keys.

The store is asked for a bounded number at a time, in order; the rest wait, and there are at most as many as the engine
has half-open handshakes. Not here: which keys an identity has (services.identities), which one fits (protocols/dtls).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from commandpost.domain.errors import CommandpostError
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import EventSink
from commandpost.protocols.dtls.events import HandshakeId, KeysWanted, Remote

KeysFor = Callable[[bytes], Awaitable[tuple[DeviceId | None, tuple[tuple[str, bytes], ...]]]]
"""Gives whose a claimed identity is, and the keys it may be proved by; see services.identities."""

LOOKUPS_MAX: Final = 64  # questions to the store at one time; more would only wait there


class Claim:
    """One identity that was claimed and not proved yet."""

    __slots__ = ("device_id", "handle", "identity", "is_over")

    def __init__(self, handle: HandshakeId, identity: bytes) -> None:
        """Begin before anything is known of it."""
        self.handle = handle
        self.identity = identity
        self.device_id: DeviceId | None = None
        """Whose it is, as long as the keys that were offered are that device's."""
        self.is_over = False


class DtlsClaims:
    """The claims of one listener."""

    def __init__(
        self,
        *,
        keys_for: KeysFor,
        offer: Callable[[HandshakeId, Sequence[tuple[str, bytes]]], object],
        events: EventSink,
    ) -> None:
        """Ask nothing yet; `offer` is never called from inside `want`."""
        self._keys_for = keys_for
        self._offer = offer
        self._events = events
        self._claims: dict[Remote, Claim] = {}
        self._waiting: dict[HandshakeId, Claim] = {}
        self._running: dict[asyncio.Task[None], None] = {}
        self._key_changes = 0

    def __len__(self) -> int:
        """Count the claims that are not settled."""
        return len(self._claims)

    def want(self, event: KeysWanted) -> None:
        """Find keys for a handshake, soon."""
        claim = Claim(event.handle, event.identity)
        self._claims[event.remote] = claim
        if len(self._running) >= LOOKUPS_MAX:
            self._waiting[claim.handle] = claim
            return
        task = asyncio.get_running_loop().create_task(self._look_up(claim), name="dtls-keys")
        self._running[task] = None
        task.add_done_callback(self._ended)

    def end(self, remote: Remote, handle: HandshakeId) -> None:
        """The handshake has failed."""
        claim = self._claims.get(remote)
        if claim is not None and claim.handle == handle:
            del self._claims[remote]
            claim.is_over = True
            self._waiting.pop(handle, None)

    def take(self, remote: Remote) -> DeviceId | None:
        """Settle the claim of a remote that has proved a key; gives whose that key is, None: nobody's any more."""
        claim = self._claims.pop(remote, None)
        if claim is None:
            return None
        claim.is_over = True
        return claim.device_id

    def keys_changed(self, device_id: DeviceId) -> None:
        """Keys that were offered for this device prove nothing any more."""
        self._key_changes += 1
        for claim in self._claims.values():
            if claim.device_id == device_id:
                claim.device_id = None

    def close(self) -> None:
        """Ask no more."""
        self._waiting.clear()
        for task in list(self._running):
            task.cancel()

    async def _look_up(self, claim: Claim | None) -> None:
        while claim is not None:
            await self._settle(claim)
            claim = self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    async def _settle(self, claim: Claim) -> None:
        keys: tuple[tuple[str, bytes], ...] = ()
        try:
            while True:
                changes = self._key_changes
                claim.device_id, keys = await self._keys_for(claim.identity)
                if changes == self._key_changes:
                    break  # else somebody's keys changed while we asked, perhaps this one's
        except CommandpostError as error:
            claim.device_id = None
            self._events.emit("dtls_keys_unavailable", error=error.code)
        if not claim.is_over:
            self._offer(claim.handle, keys)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.emit("task_failed", task=task.get_name(), error=repr(error))
