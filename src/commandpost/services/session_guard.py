"""Who may touch a session: by which way, with which key, from which address.

What was registered over DTLS is touched by that device over DTLS alone; what its product forbids is not heard. Not
here: who may register at all (registration), the sessions themselves (sessions).
Source: southbound reference 1.5, 4.2, 4.4.
"""

from collections.abc import Callable

from commandpost.domain.device import DeviceSecurity, Product
from commandpost.domain.ids import ProductId
from commandpost.domain.ports import SecretBox
from commandpost.domain.session import PeerIdentity, Remote, Session
from commandpost.services.registration import AddressFollowing, SessionRefusal, is_auth_code_right, is_peer_right

Identify = Callable[[Remote], PeerIdentity | None]
"""Who has proved to be at an address; None: nobody, it is one without DTLS."""


def nobody(remote: Remote) -> PeerIdentity | None:
    """Identify peers where there is no DTLS."""
    del remote
    return None


class SessionGuard:
    """Decides on what is in memory alone, because every uplink asks."""

    def __init__(
        self,
        *,
        secrets: SecretBox,
        identify: Identify,
        host_of: Callable[[Remote], bytes],
        address_following: AddressFollowing,
    ) -> None:
        """Build a guard; `host_of` gives what an address and another port of it have in common."""
        self._secrets = secrets
        self._identify = identify
        self._host_of = host_of
        self._address_following = address_following
        self._security: dict[ProductId, DeviceSecurity] = {}  # one entry per product with a session: a handful

    def identify(self, remote: Remote) -> PeerIdentity | None:
        """Give who has proved to be at an address."""
        return self._identify(remote)

    def learn(self, product: Product) -> None:
        """Take note of what a product allows; holds for its sessions at once."""
        self._security[product.id] = product.device_security

    def is_allowed(self, session: Session) -> bool:
        """Tell whether the product still allows the way on which the session came."""
        security = self._security_of(session)
        return security.allows_nosec if session.identity_label is None else security.allows_dtls

    def refuse(
        self, session: Session, remote: Remote, auth_code: bytes | None, sealed_auth_code: bytes | None
    ) -> SessionRefusal | None:
        """Say why a peer may not go on with a session or end it; None: it may."""
        identity, security = self._identify(remote), self._security_of(session)
        if identity is not None and (identity.device_id != session.device_id or session.identity_label is None):
            # Another's looks like none at all; its own of before DTLS has to be registered anew.
            return SessionRefusal.NOT_FOUND
        if not self._is_its_peer(session, identity, security):
            return SessionRefusal.FORBIDDEN
        if not is_auth_code_right(sealed_auth_code, auth_code, self._secrets, security=security):
            return SessionRefusal.FORBIDDEN
        may_move = self._may_move(session, remote, has_shown_code=sealed_auth_code is not None)
        return None if may_move else SessionRefusal.FORBIDDEN

    def may_report(self, session: Session, remote: Remote) -> bool:
        """Tell whether a peer that shows a token of the session, or sends from its address, may report for it."""
        return self._is_its_peer(session, self._identify(remote), self._security_of(session))

    def may_move_by_token(self, session: Session, remote: Remote) -> bool:
        """Tell whether a report moves the session to where it came from; over DTLS it does."""
        return self._may_move(session, remote, has_shown_code=False)

    def _is_its_peer(self, session: Session, identity: PeerIdentity | None, security: DeviceSecurity) -> bool:
        is_same_way = (identity is None) == (session.identity_label is None)
        return is_same_way and is_peer_right(session.device_id, security, identity)

    def _may_move(self, session: Session, remote: Remote, *, has_shown_code: bool) -> bool:
        if session.identity_label is not None or session.remote == remote:
            return True
        match self._address_following:
            case AddressFollowing.ANY:
                return True
            case AddressFollowing.SAME_IP:
                return session.remote is not None and self._host_of(session.remote) == self._host_of(remote)
            case AddressFollowing.AUTH_ONLY:
                return has_shown_code

    def _security_of(self, session: Session) -> DeviceSecurity:
        return self._security.get(session.product_id, DeviceSecurity.MIXED)
