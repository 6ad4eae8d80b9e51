"""Where devices are: a session moves to the address it was heard from, and whoever had that address loses it.

Here: moving, and telling of it. Not here: whether it may (session_guard), the look-up by address (session_table).
Source: southbound reference 2.2.
"""

from commandpost.domain.session import Remote, Session
from commandpost.services.session_listeners import SessionListeners
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches


class SessionAddresses:
    """See the module."""

    def __init__(self, *, table: SessionTable, touches: SessionTouches, listeners: SessionListeners) -> None:
        self._table = table
        self._touches = touches
        self._listeners = listeners

    def move(self, session: Session, remote: Remote) -> None:
        """A session was heard from there."""
        if session.remote == remote:
            return
        left = session.remote
        loser = self._table.move(session, remote)
        self._touches.note_urgent(session)
        self.tell_lost(loser)
        if left is not None and self._table.find_by_remote(left) is None:
            self._listeners.left(session, left)

    def tell_lost(self, loser: Session | None) -> None:
        """A session, if any, has lost its address to another."""
        if loser is None:
            return
        self._touches.note_urgent(loser)
        self._listeners.lost(loser)
