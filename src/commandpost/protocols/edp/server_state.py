"""How far the platform's side of a connection has come; only `connection` changes it."""

from enum import Enum, auto


class ServerState(Enum):
    """See the module."""

    NEW = auto()
    """No login yet; ENCRYPT_REQ or CONN_REQ may come."""
    KEYING = auto()
    """The owner has not said whether it encrypts; input is held."""
    DECIDING = auto()
    """The owner has not said whether the login is good; input is held."""
    READY = auto()
    """Logged in."""
    CLOSED = auto()
    """Over; input is ignored."""
