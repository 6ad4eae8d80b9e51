"""The sessions in memory: by device, by location, by address. At most one of each per registered device.

Here: look-up, and whose an address is. Not here: what is on disk (sessions).
Source: southbound reference 2.2.
"""

from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote, Session


class SessionTable:
    """Every session that was heard since the start and has not ended."""

    def __init__(self) -> None:
        self._sessions: dict[DeviceId, Session] = {}
        self._by_location: dict[str, DeviceId] = {}
        self._by_remote: dict[Remote, DeviceId] = {}
        self._auth_codes: dict[DeviceId, bytes] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, device_id: DeviceId) -> Session | None:
        """Give a device's session."""
        return self._sessions.get(device_id)

    def find_by_location(self, location: str) -> Session | None:
        """Give the session with this location."""
        device_id = self._by_location.get(location)
        return None if device_id is None else self._sessions[device_id]

    def find_by_remote(self, remote: Remote) -> Session | None:
        """Give the session that has this address."""
        device_id = self._by_remote.get(remote)
        return None if device_id is None else self._sessions[device_id]

    def sealed_auth_code(self, device_id: DeviceId) -> bytes | None:
        """Give the code a device has to show, sealed."""
        return self._auth_codes.get(device_id)

    def set_auth_code(self, device_id: DeviceId, sealed: bytes | None) -> None:
        """Let a device with a session have to show another code."""
        if device_id in self._sessions and sealed is not None:
            self._auth_codes[device_id] = sealed

    def put(self, session: Session, sealed_auth_code: bytes | None) -> Session | None:
        """Put a session in place of the device's earlier one; gives the one that lost its address to it."""
        self.remove(session.device_id)
        self._sessions[session.device_id] = session
        self._by_location[session.location] = session.device_id
        if sealed_auth_code is not None:
            self._auth_codes[session.device_id] = sealed_auth_code
        remote, session.remote = session.remote, None
        return None if remote is None else self.move(session, remote)

    def move(self, session: Session, remote: Remote) -> Session | None:
        """Give a session another address; the newest wins. Gives the one that lost the address by it."""
        if session.remote == remote:
            return None
        if session.remote is not None:
            del self._by_remote[session.remote]
        loser = self.find_by_remote(remote)
        if loser is not None:
            loser.remote = None
        session.remote = remote
        self._by_remote[remote] = session.device_id
        return loser

    def remove(self, device_id: DeviceId) -> Session | None:
        """Forget a device's session; gives it, its address still in it."""
        session = self._sessions.pop(device_id, None)
        if session is None:
            return None
        del self._by_location[session.location]
        if session.remote is not None:
            del self._by_remote[session.remote]
        self._auth_codes.pop(device_id, None)
        return session
