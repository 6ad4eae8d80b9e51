"""Why a server ended a connection, in words for a log: which rule, and what its bound was."""

from commandpost.protocols.edp.close_codes import CloseCode, LoginCode
from commandpost.protocols.edp.limits import KEEPALIVE_TOLERANCE, EdpLimits


def no_login(limits: EdpLimits) -> str:
    """Say that no login came."""
    return f"no whole CONN_REQ within {limits.login_s:g} s of the connection"


def no_decision(limits: EdpLimits) -> str:
    """Say that the owner did not answer."""
    return f"the login was not decided within {limits.decision_s:g} s of the CONN_REQ"


def no_message(keepalive_s: int) -> str:
    """Say that the keepalive is over."""
    silence_s = KEEPALIVE_TOLERANCE * keepalive_s
    return f"no whole message for {silence_s:g} s, {KEEPALIVE_TOLERANCE:g} times the keepalive"


def spelled(code: CloseCode | LoginCode | None) -> str:
    """Give a code as number and name."""
    return "no code" if code is None else f"{code:d} {code.name.lower()}"
