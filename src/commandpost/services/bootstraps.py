"""Whether a device may be bootstrapped, where it is sent, and what it proves itself by there.

A device that comes over DTLS gets its access key, one that comes without is sent to the door without: a key never
travels unprotected. Nothing is kept of a device that may not. Not here: what is written to it in which order
(protocols/lwm2m, southbound).
Source: southbound reference 1.2, 1.3, 4.1, 4.2.
"""

from dataclasses import dataclass

from commandpost.domain.device import Device, KeyLabel, Product
from commandpost.domain.errors import NotFound, PortError
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import EventSink, SecretBox, StoreReader
from commandpost.domain.session import Remote
from commandpost.services.identities import Identities, identity_of
from commandpost.services.registrants import find_registrant
from commandpost.services.registration import SessionRefusal, may_come
from commandpost.services.session_guard import Identify, nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapSettings:
    """Where devices are sent whose product says nothing else; None: such devices cannot be bootstrapped."""

    uri: str | None = None
    secure_uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapGrant:
    """What a device is to be told; without identity and keys it goes to a door without DTLS."""

    device_id: DeviceId
    uri: str
    psk_identity: bytes | None = None
    access_key: bytes | None = None
    bootstrap_key: bytes | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the device has proved by a key that it is where it says."""
        return self.access_key is not None


class Bootstraps:
    """See the module."""

    def __init__(
        self,
        *,
        reader: StoreReader,
        identities: Identities,
        secrets: SecretBox,
        events: EventSink,
        settings: BootstrapSettings,
        identify: Identify = nobody,
    ) -> None:
        self._reader = reader
        self._identities = identities
        self._secrets = secrets
        self._events = events
        self._settings = settings
        self._identify = identify

    async def grant(
        self, endpoint_name: str | None, auth_code: bytes | None, remote: Remote
    ) -> BootstrapGrant | SessionRefusal:
        """Say what a device that asks is to be told. Unknown and wrong look alike (southbound reference 4.4)."""
        try:
            return await self._grant(endpoint_name, auth_code, remote)
        except NotFound:
            return SessionRefusal.FORBIDDEN  # deleted meanwhile
        except PortError as error:
            self._events.emit("bootstrap_failed", endpoint_name=endpoint_name, error=error.code)
            return SessionRefusal.UNAVAILABLE

    async def _grant(
        self, endpoint_name: str | None, auth_code: bytes | None, remote: Remote
    ) -> BootstrapGrant | SessionRefusal:
        identity = self._identify(remote)
        if endpoint_name is None and identity is None:
            return SessionRefusal.BAD_REQUEST
        device = await find_registrant(self._reader, endpoint_name, identity)
        product = None if device is None else await self._reader.find_product(device.product_id)
        if (
            device is None
            or product is None
            or not may_come(
                device,
                product,
                endpoint_name=endpoint_name,
                auth_code=auth_code,
                identity=identity,
                secrets=self._secrets,
                labels=tuple(KeyLabel),
            )
        ):
            return SessionRefusal.FORBIDDEN
        is_secure = identity is not None
        uri = self._uri(product, is_secure=is_secure)
        if uri is None:
            setting = "lwm2m.bootstrap_secure_uri" if is_secure else "lwm2m.bootstrap_uri"
            self._events.emit("bootstrap_without_uri", device_id=device.id, missing=setting)
            return SessionRefusal.UNAVAILABLE
        if not is_secure:
            return BootstrapGrant(device_id=device.id, uri=uri)
        return await self._secure_grant(device, uri)

    async def _secure_grant(self, device: Device, uri: str) -> BootstrapGrant:
        access_key = await self._identities.key_to_hand_out(device)
        sealed = device.sealed_bootstrap_psk
        return BootstrapGrant(
            device_id=device.id,
            uri=uri,
            psk_identity=identity_of(device).encode(),
            access_key=access_key,
            bootstrap_key=access_key if sealed is None else self._secrets.unseal(sealed),
        )

    def _uri(self, product: Product, *, is_secure: bool) -> str | None:
        if is_secure:
            return product.bootstrap_secure_uri or self._settings.secure_uri
        return product.bootstrap_uri or self._settings.uri
