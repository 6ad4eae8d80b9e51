"""Who hears what becomes of sessions."""

from typing import Protocol

from commandpost.domain.session import Remote, Session


class SessionListener(Protocol):
    """Hears what becomes of sessions; called after it is on disk."""

    def session_started(self, session: Session, previous: Session | None) -> None:
        """A device registered; `previous` is what it had, if that was in memory."""
        ...

    def session_ended(self, session: Session) -> None:
        """A device left, or its lifetime is over."""
        ...

    def remote_lost(self, session: Session) -> None:
        """Another device was heard from this session's address; it has none now."""
        ...

    def remote_left(self, session: Session, remote: Remote) -> None:
        """The device was heard from another address; nobody is at this one any more."""
        ...


class SessionListeners:
    """All of them, in the order in which they came; each hears of everything."""

    def __init__(self) -> None:
        self._listeners: list[SessionListener] = []

    def add(self, listener: SessionListener) -> None:
        """Take one more."""
        self._listeners.append(listener)

    def started(self, session: Session, previous: Session | None) -> None:
        """Tell of a registration."""
        for listener in self._listeners:
            listener.session_started(session, previous)

    def ended(self, session: Session) -> None:
        """Tell of a session that is over."""
        for listener in self._listeners:
            listener.session_ended(session)

    def lost(self, session: Session) -> None:
        """Tell of a session that has no address any more."""
        for listener in self._listeners:
            listener.remote_lost(session)

    def left(self, session: Session, remote: Remote) -> None:
        """Tell of an address at which nobody is any more."""
        for listener in self._listeners:
            listener.remote_left(session, remote)
