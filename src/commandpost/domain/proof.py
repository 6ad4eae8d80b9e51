"""What proved a connected device to be the one it says, and what later makes that void. Never the secret itself.

Source: southbound reference 5.1, 5.5, 6.3; northbound reference 9.1.
"""

import hashlib
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Protocol

from commandpost.domain.device_key import DeviceKey
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant

LOGIN_METHOD: Final = "post"  # what a device-level key has to allow on a device that logs in with it


class ProofKind(Enum):
    """Which kind of credential a device has shown."""

    AUTH_INFO = "auth_info"
    MASTER_KEY = "master_key"
    ACCESS_KEY = "access_key"
    """A token: it lives as long as the key that signed it. Its own end counts at the login only."""
    DEVICE_KEY = "device_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a login was let in by."""

    kind: ProofKind
    fingerprint: bytes = field(repr=False)
    """The index of the key, as it is at rest; of an auth_info, see `fingerprint_auth_info`."""
    until: Instant | None = None
    """When a key that was replaced with an overlap is over; None: nobody has said."""
    registered_device: DeviceId | None = None
    """The device that a device-level key goes with."""


def fingerprint_auth_info(stored: str) -> bytes:
    """Give what tells one auth_info from another. It is on disk in the clear: a key would hide nothing."""
    return hashlib.sha256(stored.encode("utf-8", "surrogatepass")).digest()


class CredentialChange(Protocol):
    """Something that can make proofs void."""

    @property
    def only_device(self) -> DeviceId | None:
        """The one device whose proof it can reach; None: any device's."""
        ...

    def leave(self, proof: Proof, device_id: DeviceId, product_id: ProductId) -> Proof | None:
        """Give what is left of a device's proof: the same, one that has an end now, or nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthInfoChanged:
    """A device's auth_info is this now; it may be what it was."""

    only_device: DeviceId
    fingerprint: bytes = field(repr=False)

    def leave(self, proof: Proof, device_id: DeviceId, product_id: ProductId) -> Proof | None:
        """See CredentialChange."""
        is_meant = proof.kind is ProofKind.AUTH_INFO and device_id == self.only_device
        return None if is_meant and proof.fingerprint != self.fingerprint else proof


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeyChanged:
    """A device-level key has other permissions, or is gone."""

    fingerprint: bytes = field(repr=False)
    key: DeviceKey | None = None
    """None: it is gone."""
    only_device: None = None

    def leave(self, proof: Proof, device_id: DeviceId, product_id: ProductId) -> Proof | None:
        """See CredentialChange."""
        if proof.kind is not ProofKind.DEVICE_KEY or proof.fingerprint != self.fingerprint:
            return proof
        return proof if self.key is not None and self.key.opens(device_id, LOGIN_METHOD) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDeviceGone:
    """A device was deleted, and with it the key it was given when it registered itself."""

    device_id: DeviceId
    only_device: None = None

    def leave(self, proof: Proof, device_id: DeviceId, product_id: ProductId) -> Proof | None:
        """See CredentialChange."""
        return None if proof.registered_device == self.device_id else proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductKeyReplaced:
    """A product has another key of a kind. Without an end of the old ones, they are void at once, all of them."""

    product_id: ProductId
    kind: ProofKind
    fingerprint: bytes = field(repr=False)
    """Of the new key."""
    old_until: Instant | None
    only_device: None = None

    def leave(self, proof: Proof, device_id: DeviceId, product_id: ProductId) -> Proof | None:
        """See CredentialChange."""
        is_meant = proof.kind is self.kind and product_id == self.product_id
        if not is_meant or proof.fingerprint == self.fingerprint:
            return proof
        if self.old_until is None:
            return None
        # A key that was replaced before has its end already, and keeps it.
        return proof if proof.until is not None else replace(proof, until=self.old_until)
