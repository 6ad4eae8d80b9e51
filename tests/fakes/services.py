"""Services that remember what they were asked and answer what a test told them to.

They are subclasses of the real ones, so that the type checker holds them to the real signatures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from commandpost.domain.command import Command, CommandMode, CommandState, Outcome
from commandpost.domain.device import Device, DeviceChange, DeviceFilter, Product
from commandpost.domain.errors import NotFound, NotWaiting, Taken, Unauthenticated
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, Page
from commandpost.domain.resource import DiscoveredObject, OperationResult
from commandpost.services.commands import CachedRequest, Commands, InstantRequest, InstantResult
from commandpost.services.devices import Devices, DeviceView, NewDevice
from commandpost.services.identities import GivenKeys
from commandpost.services.products import Products

NOW = Instant(1_606_870_944_185)  # 2020-12-02 09:02:24.185 in Beijing
COMMAND_ID = CommandId(bytes.fromhex("42742677adc354ca83a15aaaf71482f8"))
UUID = "42742677-adc3-54ca-83a1-5aaaf71482f8"
UNKNOWN_UUID = "00000000-0000-5000-8000-000000000000"
MASTER_KEY = "master-key-of-product-1"
OTHER_KEY = "master-key-of-product-2"
IMEI = "860000000000001"
IMSI = "460000000000001"
OTHER_IMEI = "860000000000002"


@dataclass
class FakeClock:
    """Stands still unless it is moved."""

    now: Instant = NOW

    def wall_ms(self) -> Instant:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000


@dataclass
class FakeEvents:
    """Keeps what was told."""

    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def emit(self, event: str, **fields: object) -> None:
        self.told.append((event, fields))


class FakeProducts(Products):
    """Two products with a MasterKey each."""

    def __init__(self) -> None:
        self.first = Product(id=ProductId(1), name="first", created_at=NOW)
        self.by_key = {
            MASTER_KEY: self.first,
            OTHER_KEY: Product(id=ProductId(2), name="second", created_at=NOW),
        }
        self.failure: Exception | None = None

    async def authenticate(self, api_key: str | None) -> Product:
        if self.failure is not None:
            raise self.failure
        if not api_key:
            raise Unauthenticated(is_missing=True)
        if api_key not in self.by_key:
            raise Unauthenticated(is_missing=False)
        return self.by_key[api_key]


def build_device(number: int = 1_000_001, **changes: object) -> Device:
    """An LwM2M device of the first product."""
    device = Device(
        id=DeviceId(number),
        product_id=ProductId(1),
        protocol="LWM2M",
        title="m1",
        tags=("china",),
        auth_info=f'{{"{IMEI}":"{IMSI}"}}',
        imei=IMEI,
        imsi=IMSI,
        created_at=Instant(1_528_105_391_000),
    )
    return replace(device, **changes)  # type: ignore[arg-type]  # a test names fields by keyword


class FakeDevices(Devices):
    """A handful of devices in a dict."""

    def __init__(self, *devices: Device) -> None:
        self.devices = {device.id: device for device in devices}
        self.online: list[DeviceId] = []
        self.known_resources: tuple[DiscoveredObject, ...] = ()
        self.created: list[NewDevice] = []
        self.changes: list[DeviceChange] = []
        self.filters: list[tuple[DeviceFilter, Page]] = []
        self.failure: Exception | None = None

    def _shown(self, device: Device) -> DeviceView:
        return DeviceView(device=device, is_online=device.id in self.online)

    async def create(self, product: Product, new: NewDevice) -> Device:
        if self.failure is not None:
            raise self.failure
        if new.imei is not None and any(device.imei == new.imei for device in self.devices.values()):
            raise Taken("auth_info", new.imei)
        self.created.append(new)
        device = build_device(1_000_000 + len(self.devices) + 1, product_id=product.id, imei=new.imei)
        self.devices[device.id] = device
        return device

    async def get(self, product: Product, device_id: DeviceId) -> DeviceView:
        device = self.devices.get(device_id)
        if device is None or device.product_id != product.id:
            raise NotFound("device", str(device_id))
        return self._shown(device)

    async def get_by_imei(self, product: Product, imei: str) -> DeviceView:
        return self._shown(await self.find_lwm2m(product, imei))

    async def find_lwm2m(self, product: Product, imei_or_endpoint_name: str) -> Device:
        imei = imei_or_endpoint_name.partition(";")[0]
        for device in self.devices.values():
            if device.imei == imei and device.product_id == product.id:
                return device
        raise NotFound("device", imei)

    async def change(
        self, product: Product, device_id: DeviceId, change: DeviceChange, keys: GivenKeys | None = None
    ) -> Device:
        self.changes.append(change)
        return (await self.get(product, device_id)).device

    async def remove(self, product: Product, device_id: DeviceId) -> None:
        await self.get(product, device_id)
        del self.devices[device_id]

    async def list(self, product: Product, which: DeviceFilter, page: Page) -> tuple[int, tuple[DeviceView, ...]]:
        self.filters.append((which, page))
        mine = [device for device in self.devices.values() if device.product_id == product.id]
        return len(mine), tuple(self._shown(device) for device in mine)

    async def statuses(self, product: Product, ids: Sequence[DeviceId]) -> tuple[DeviceView, ...]:
        found = [self.devices[device_id] for device_id in ids if device_id in self.devices]
        return tuple(self._shown(device) for device in found if device.product_id == product.id)

    async def resources(self, device: Device, object_id: int | None) -> tuple[DiscoveredObject, ...]:
        return tuple(item for item in self.known_resources if object_id in (None, item.object_id))


class FakeCommands(Commands):
    """Takes every command in; answers instant ones as told."""

    def __init__(self) -> None:
        self.submitted: list[CachedRequest] = []
        self.ran: list[InstantRequest] = []
        self.asked: list[dict[str, object]] = []
        self.records: dict[CommandId, CommandRecord] = {}
        self.outcome = Outcome.SUCCESS
        self.result: OperationResult | None = None
        self.failure: Exception | None = None

    async def submit(self, product: Product, device: Device, request: CachedRequest) -> Command:
        if self.failure is not None:
            raise self.failure
        self.submitted.append(request)
        valid_from = NOW if request.valid_from is None else request.valid_from
        command = Command(
            id=COMMAND_ID,
            product_id=product.id,
            device_id=device.id,
            imei=device.imei or "",
            operation=request.operation,
            mode=CommandMode.CACHED,
            created_at=NOW,
            valid_from=valid_from,
            expires_at=request.expires_at,
            retry=request.retry,
            remaining=request.retry,
            answer_timeout_ms=request.answer_timeout_ms,
            triggers=request.triggers,
            submission=request.submission,
        )
        self.records[command.id] = CommandRecord(command=command, attempts=())
        return command

    async def run(self, product: Product, device: Device, request: InstantRequest) -> InstantResult:
        if self.failure is not None:
            raise self.failure
        self.ran.append(request)
        return InstantResult(command_id=COMMAND_ID, outcome=self.outcome, result=self.result)

    async def history(
        self,
        product: Product,
        device: Device,
        *,
        start: Instant,
        end: Instant | None,
        page: Page,
        command_id: CommandId | None = None,
        is_ascending: bool = False,
    ) -> tuple[int, tuple[Command, ...]]:
        self.asked.append(
            {"start": start, "end": end, "page": page, "command_id": command_id, "is_ascending": is_ascending}
        )
        return len(self.records), tuple(record.command for record in self.records.values())

    async def get(self, product: Product, device: Device, command_id: CommandId) -> CommandRecord:
        record = self.records.get(command_id)
        if record is None or record.command.device_id != device.id:
            raise NotFound("command", command_id.hex())
        return record

    async def cancel(self, product: Product, device: Device, command_id: CommandId) -> Command:
        command = (await self.get(product, device, command_id)).command
        if command.state is not CommandState.WAITING:
            raise NotWaiting(command_id, command.state)
        return command

    async def cancel_all(self, product: Product, device: Device) -> tuple[Command, ...]:
        return tuple(record.command for record in self.records.values() if record.command.device_id == device.id)
