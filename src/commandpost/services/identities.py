"""Who a device is over DTLS, and by which keys it proves it: access key, bootstrap key, identity.

The bootstrap key is the access key until one is set. Keys are sealed at rest, and unsealed only to be offered to a
handshake, handed out by a bootstrap, or shown to their owner. Not here: the handshake (protocols/dtls), what a proven
identity may do (sessions, bootstrap).
Source: southbound reference 4.1, 4.2; northbound reference 3.1, 3.10.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.device import Device, KeyLabel, Product
from commandpost.domain.errors import NotFound, Taken
from commandpost.domain.facts import ChangeDeviceKeys, KeysNotChanged, UpdateDevice
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.services.device_rules import (
    PSK_CHARACTERS_MAX,
    check_auth_code,
    check_psk,
    check_psk_hex,
    check_psk_identity,
    is_psk,
)
from commandpost.services.registration import split_endpoint_name

OfferedKeys = tuple[tuple[str, bytes], ...]
"""Label (a value of KeyLabel) and key; the first that fits counts."""

_NOBODY: Final = ProductId(0)
_STAND_IN: Final = b"0123456789abcdef"  # as long as a generated key, so that unsealing it takes as long


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyText:
    """A key as its owner may read it: its characters if it is letters and digits, hexadecimal digits else."""

    psk: str | None = None
    psk_hex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenKeys:
    """What an owner says of a device's keys; None stays. The access key comes as characters or as hexadecimal."""

    psk: str | None = None
    psk_hex: str | None = None
    bootstrap_psk: str | None = None
    psk_identity: str | None = None
    auth_code: str | None = None
    """What the device shows when it registers (option 63), over DTLS or not."""

    def check(self, *, imei: str | None) -> None:
        """Raise Invalid, naming the field, unless each is of its form; `imei` is the device's own."""
        check_psk(self.psk)
        check_psk_hex(self.psk_hex, psk=self.psk)
        check_psk(self.bootstrap_psk)
        check_psk_identity(self.psk_identity, imei=imei)
        check_auth_code(self.auth_code)

    @property
    def access_key(self) -> bytes | None:
        """The access key's bytes: the characters of `psk` as they are, never decoded (southbound reference 4.2)."""
        if self.psk_hex is not None:
            return bytes.fromhex(self.psk_hex)
        return None if self.psk is None else self.psk.encode()


class Identities:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        secrets: SecretBox,
        ids: IdSource,
        on_keys_changed: Sequence[Callable[[DeviceId], object]] = (),
    ) -> None:
        """Connect the service; `on_keys_changed` are told of every device whose keys or identity are others now."""
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._on_keys_changed = list(on_keys_changed)
        self._on_auth_code_changed: list[Callable[[Device], object]] = []
        self._stand_in = secrets.seal(_STAND_IN)

    def listen(self, on_keys_changed: Callable[[DeviceId], object]) -> None:
        """Say who else is told of changed keys: what a device proved with the old ones should end."""
        self._on_keys_changed.append(on_keys_changed)

    def listen_for_auth_codes(self, on_changed: Callable[[Device], object]) -> None:
        """Say who is told of every device that has to show another auth code now."""
        self._on_auth_code_changed.append(on_changed)

    # --- for the listener ---------------------------------------------------------------------------------------------

    async def keys_for(self, identity: bytes) -> tuple[DeviceId | None, OfferedKeys]:
        """Give whose a claimed identity is, and the keys it may be proved by.

        An identity nobody has, one of a product without DTLS, and one of a device without keys give no key; the
        questions to the store and the unsealing are as many as for any other, so that time tells nothing.

        Raises:
            PortError: the store cannot be asked; offer nothing.
        """
        device, product = await self._find(identity)
        sealed = (None, None) if device is None else (device.sealed_psk, device.sealed_bootstrap_psk)
        access, bootstrap = (self._secrets.unseal(self._stand_in if each is None else each) for each in sealed)
        if device is None or product is None or not product.device_security.allows_dtls:
            return None, ()
        offered = []
        if device.sealed_psk is not None:
            offered.append((KeyLabel.ACCESS.value, access))
        if device.sealed_bootstrap_psk is not None:
            offered.append((KeyLabel.BOOTSTRAP.value, bootstrap))
        return device.id, tuple(offered)

    async def _find(self, identity: bytes) -> tuple[Device | None, Product | None]:
        """Find by an identity of the device's own, else by IMEI or `IMEI;IMSI`; three questions in every case."""
        text = identity.decode("utf-8", "replace")
        imei, imsi = split_endpoint_name(text)
        own = await self._reader.find_device_by_psk_identity(text)
        named = await self._reader.find_device_by_imei(imei)
        if named is not None and imsi and named.imsi and imsi != named.imsi:
            named = None
        device = own or named
        product = await self._reader.find_product(_NOBODY if device is None else device.product_id)
        return device, product

    # --- for the owner ------------------------------------------------------------------------------------------------

    def new_psk(self) -> str:
        """Make an access key: letters and digits, as many as the dialect allows; about 95 bits."""
        made = ""
        while len(made) < PSK_CHARACTERS_MAX:
            made += "".join(sign for sign in self._ids.new_secret() if sign.isalnum())
        return made[:PSK_CHARACTERS_MAX]

    def seal(self, key: bytes) -> bytes:
        """Seal a key for the disk."""
        return self._secrets.seal(key)

    def access_key(self, device: Device) -> KeyText:
        """Give a device's access key; no text at all when it has none."""
        return self._text_of(device.sealed_psk)

    def bootstrap_key(self, device: Device) -> KeyText:
        """Give a device's bootstrap key: the access key until one is set."""
        return self._text_of(device.sealed_bootstrap_psk or device.sealed_psk)

    async def change(self, device: Device, given: GivenKeys, *, also: UpdateDevice | None = None) -> Device:
        """Change what the caller gave of an LwM2M device's keys.

        Args:
            also: what else of it is to be different, with the keys or not at all.
        Raises:
            Invalid: a value cannot be; names the field.
            Taken: the identity is another device's.
            NotFound: the device is gone.
        """
        changed = await self._write(device, given, also)
        for told in self._on_keys_changed:
            told(device.id)
        if given.auth_code is not None:
            for listener in self._on_auth_code_changed:
                listener(changed)
        return changed

    async def _write(self, device: Device, given: GivenKeys, also: UpdateDevice | None = None) -> Device:
        given.check(imei=device.imei)
        key = given.access_key
        changed = await self._writer.perform(
            ChangeDeviceKeys(
                product_id=device.product_id,
                device_id=device.id,
                sealed_psk=None if key is None else self._secrets.seal(key),
                sealed_bootstrap_psk=(
                    None if given.bootstrap_psk is None else self._secrets.seal(given.bootstrap_psk.encode())
                ),
                sealed_auth_code=None if given.auth_code is None else self._secrets.seal(given.auth_code.encode()),
                psk_identity=given.psk_identity,
                also=also,
            )
        )
        match changed:
            case KeysNotChanged.PSK_IDENTITY_TAKEN:
                raise Taken("psk_identity", given.psk_identity or "")
            case KeysNotChanged.DEVICE_GONE:
                raise NotFound("device", str(device.id))
        return changed

    # --- for the bootstrap --------------------------------------------------------------------------------------------

    async def key_to_hand_out(self, device: Device) -> bytes:
        """Give a device's access key; one that has none gets one.

        Raises:
            NotFound: the device is gone.
        """
        if device.sealed_psk is None:
            # Nobody is told: nothing was proved with a key that there was not, and the bootstrap itself has to go on.
            device = await self._write(device, GivenKeys(psk=self.new_psk()))
            assert device.sealed_psk is not None, "it was just set"
        return self._secrets.unseal(device.sealed_psk)

    def _text_of(self, sealed: bytes | None) -> KeyText:
        if sealed is None:
            return KeyText()
        key = self._secrets.unseal(sealed)
        text = key.decode("ascii", "replace")
        return KeyText(psk=text) if is_psk(text) else KeyText(psk_hex=key.hex())


def identity_of(device: Device) -> str:
    """Give the DTLS identity a device is told to use: its own, else its IMEI (southbound reference 4.1)."""
    return device.psk_identity or device.imei or ""
