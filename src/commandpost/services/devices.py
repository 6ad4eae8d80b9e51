"""Devices, as their owner sees them.

Someone else's device looks exactly like one that does not exist (P12). Source: northbound reference 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from commandpost.domain.device import Device, DeviceChange, DeviceFilter, DeviceSecurity, GeoLocation, Product
from commandpost.domain.errors import Invalid, NotFound, StoreUnavailable, Taken
from commandpost.domain.facts import CreateDevice, DeleteDevice, NotCreated, NotUpdated, UpdateDevice
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, Page, SecretBox, StoreReader, StoreWriter
from commandpost.domain.resource import DiscoveredObject
from commandpost.services.device_rules import (
    check_auth_code,
    check_chip,
    check_identity,
    check_imsi,
    check_protocol,
)
from commandpost.services.dispatcher import Dispatcher
from commandpost.services.identities import GivenKeys, Identities
from commandpost.services.registration import split_endpoint_name
from commandpost.services.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """What an owner says of a device he adds."""

    protocol: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    location: GeoLocation | None = None
    is_private: bool = True
    is_auto_observed: bool = True
    auth_info: str
    imei: str | None = None
    imsi: str | None = None
    chip: int | None = None
    other: str = "{}"
    auth_code: str | None = None
    psk: str | None = None
    psk_hex: str | None = None
    psk_identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """A device as it is now."""

    device: Device
    is_online: bool
    resources: tuple[DiscoveredObject, ...] = ()


class Devices:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        sessions: Sessions,
        dispatcher: Dispatcher,
        identities: Identities,
        secrets: SecretBox,
        clock: Clock,
        on_removed: Sequence[Callable[[DeviceId], object]] = (),
        on_changed: Sequence[Callable[[Device], object]] = (),
    ) -> None:
        """Connect the service; `on_removed` are told of every device that is gone, besides sessions and dispatcher.

        `on_changed` are told of every device that is different now.
        """
        self._writer = writer
        self._reader = reader
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._identities = identities
        self._secrets = secrets
        self._clock = clock
        self._on_removed = tuple(on_removed)
        self._on_changed = tuple(on_changed)

    async def create(self, product: Product, new: NewDevice) -> Device:
        """Add a device. One of a product for DTLS alone that is added without an access key gets one.

        Raises:
            Invalid: a value cannot be; names the field.
            Taken: the IMEI or the DTLS identity is another device's, of whatever product, or the auth_info is.
        """
        check_protocol(new.protocol)
        check_identity(new.protocol, new.imei, new.imsi, product.imei_rule, is_test_device=new.chip is not None)
        check_auth_code(new.auth_code)
        keys = GivenKeys(psk=new.psk, psk_hex=new.psk_hex, psk_identity=new.psk_identity)
        keys.check(imei=new.imei)
        check_chip(new.chip)
        if not new.title:
            raise Invalid("title", new.title, "a text that is not empty")
        device = self._device_of(product, new, keys)
        created = await self._writer.perform(CreateDevice(device=device))
        match created:
            case NotCreated.IMEI_TAKEN | NotCreated.AUTH_INFO_TAKEN:
                raise Taken("auth_info", new.imei or new.auth_info)
            case NotCreated.PSK_IDENTITY_TAKEN:
                if new.psk_identity is None:
                    raise Taken("auth_info", new.imei or new.auth_info)  # the IMEI is another device's identity
                raise Taken("psk_identity", new.psk_identity)
            case NotCreated.PRODUCT_GONE:
                raise NotFound("product", str(product.id))
            case NotCreated.FULL:
                raise StoreUnavailable("every device id is used up")
        return created

    def _device_of(self, product: Product, new: NewDevice, keys: GivenKeys) -> Device:
        is_lwm2m = new.imei is not None
        if new.psk_identity is not None and not is_lwm2m:
            raise Invalid("psk_identity", new.psk_identity, "none for a device that speaks no LwM2M")
        access_key = keys.access_key
        if access_key is None and is_lwm2m and product.device_security is DeviceSecurity.DTLS:
            access_key = self._identities.new_psk().encode()
        return Device(
            id=DeviceId(0),
            product_id=product.id,
            protocol=new.protocol,
            title=new.title,
            description=new.description,
            tags=new.tags,
            location=new.location,
            is_private=new.is_private,
            is_auto_observed=new.is_auto_observed,
            auth_info=new.auth_info,
            imei=new.imei,
            imsi=new.imsi or None,
            chip=new.chip,
            other=new.other,
            sealed_auth_code=None if new.auth_code is None else self._secrets.seal(new.auth_code.encode()),
            sealed_psk=None if access_key is None else self._secrets.seal(access_key),
            psk_identity=new.psk_identity,
            created_at=self._clock.wall_ms(),
        )

    async def get(self, product: Product, device_id: DeviceId) -> DeviceView:
        """Give a device with what is known of its objects.

        Raises:
            NotFound: it does not exist, or is another product's.
        """
        return await self._view(await self.find(product, device_id))

    async def get_by_imei(self, product: Product, imei: str) -> DeviceView:
        """Give the device with this IMEI.

        Raises:
            NotFound: it does not exist, or is another product's.
        """
        device = await self._reader.find_device_by_imei(imei)
        if device is None or device.product_id != product.id:
            raise NotFound("device", imei)
        return await self._view(device)

    async def find_lwm2m(self, product: Product, imei_or_endpoint_name: str) -> Device:
        """Give the LwM2M device with this IMEI; `imei;imsi` is cut at the first semicolon.

        Raises:
            NotFound: it does not exist, is another product's, or speaks something else.
        """
        imei, _ = split_endpoint_name(imei_or_endpoint_name)
        device = await self._reader.find_device_by_imei(imei) if imei else None
        if device is None or device.product_id != product.id or not device.is_lwm2m:
            raise NotFound("device", imei_or_endpoint_name)
        return device

    async def change(
        self, product: Product, device_id: DeviceId, change: DeviceChange, keys: GivenKeys | None = None
    ) -> Device:
        """Change what the caller gave, all of it or nothing; an IMEI stays for life.

        Args:
            keys: what an LwM2M device proves itself by is to be different, too.
        Raises:
            NotFound: it does not exist, or is another product's.
            Invalid: the IMSI or a key cannot be, or the device speaks no LwM2M and has none.
            Taken: the auth_info is another device's of the product, or the DTLS identity another's of any product.
        """
        device = await self.find(product, device_id)
        if change.imsi is not None and change.imsi != (device.imsi or ""):
            check_imsi(change.imsi, product.imei_rule)
        fact = UpdateDevice(product_id=product.id, device_id=device_id, change=change, at=self._clock.wall_ms())
        if keys is None:
            updated = await self._update(device, fact)
        elif device.is_lwm2m:
            updated = await self._identities.change(device, keys, also=fact)
        else:
            raise Invalid("keys", device.protocol, "none for a device that speaks no LwM2M")
        for told in self._on_changed:
            told(updated)
        return updated

    async def _update(self, device: Device, fact: UpdateDevice) -> Device:
        updated = await self._writer.perform(fact)
        match updated:
            case NotUpdated.DEVICE_GONE:
                raise NotFound("device", str(device.id))
            case NotUpdated.AUTH_INFO_TAKEN:
                raise Taken("auth_info", fact.change.auth_info or device.auth_info)
        return updated

    async def remove(self, product: Product, device_id: DeviceId) -> None:
        """Delete a device with everything it has; one that is registered hears of it at its next UPDATE.

        Raises:
            NotFound: it does not exist, or is another product's.
        """
        if not await self._writer.perform(DeleteDevice(product_id=product.id, device_id=device_id)):
            raise NotFound("device", str(device_id))
        self._sessions.forget_device(device_id)
        self._dispatcher.forget_device(device_id)
        for told in self._on_removed:
            told(device_id)

    async def list(self, product: Product, which: DeviceFilter, page: Page) -> tuple[int, tuple[DeviceView, ...]]:
        """Give how many devices match, and one page of them."""
        total, devices = await self._reader.list_devices(product.id, which, page)
        return total, await self._views(devices)

    async def statuses(self, product: Product, ids: Sequence[DeviceId]) -> tuple[DeviceView, ...]:
        """Give devices by id, in the order asked for; unknown ones are left out."""
        wanted = tuple(dict.fromkeys(ids))
        if not wanted:
            return ()
        which = DeviceFilter(ids=wanted)
        _, devices = await self._reader.list_devices(product.id, which, Page(number=1, size=len(wanted)))
        by_id = {view.device.id: view for view in await self._views(devices)}
        return tuple(by_id[device_id] for device_id in wanted if device_id in by_id)

    async def resources(self, device: Device, object_id: int | None) -> tuple[DiscoveredObject, ...]:
        """Give what is known of a device's objects, or of one of them; works for an offline device too."""
        objects = await self._reader.list_resources(device.id)
        return tuple(found for found in objects if object_id in (None, found.object_id))

    async def find(self, product: Product, device_id: DeviceId) -> Device:
        """Give a device's record alone.

        Raises:
            NotFound: it does not exist, or is another product's.
        """
        device = await self._reader.find_device(device_id)
        if device is None or device.product_id != product.id:
            raise NotFound("device", str(device_id))
        return device

    async def _view(self, device: Device) -> DeviceView:
        (view,) = await self._views((device,))
        return replace(view, resources=await self._reader.list_resources(device.id))

    async def _views(self, devices: Sequence[Device]) -> tuple[DeviceView, ...]:
        """A session in memory knows better than the last sweep what is online, and when a device was heard."""
        now = self._clock.wall_ms()
        unknown = [device.id for device in devices if self._sessions.find(device.id) is None]
        stored = await self._reader.online_among(unknown) if unknown else frozenset()
        views = []
        for device in devices:
            session = self._sessions.find(device.id)
            if session is None:
                views.append(DeviceView(device=device, is_online=device.id in stored))
            else:
                heard_at = max(session.last_heard_at, device.last_heard_at or session.last_heard_at)
                heard = replace(device, last_heard_at=heard_at)
                views.append(DeviceView(device=heard, is_online=session.is_online(now)))
        return tuple(views)
