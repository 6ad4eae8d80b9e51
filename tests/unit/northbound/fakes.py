"""Further services that remember what they were asked and answer what a test told them to.

They are subclasses of the real ones, so that the type checker holds them to the real signatures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from commandpost.domain.command import Answer, Attempt, AttemptEnd, Command, CommandMode, CommandState, Outcome, Trigger
from commandpost.domain.data_ports import Binary, PointFilter, PointPage
from commandpost.domain.datapoint import Datapoint, Datastream
from commandpost.domain.device import Device, DeviceChange, Product
from commandpost.domain.device_key import DeviceKey, KeyPermission
from commandpost.domain.errors import CommandpostError, NotFound, Taken, Unauthenticated
from commandpost.domain.facts import UpdateDevice
from commandpost.domain.ids import AttemptId, CommandId, DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant, after
from commandpost.domain.operation import Deliver
from commandpost.domain.ports import CommandRecord, Page
from commandpost.domain.topic import TopicMessage
from commandpost.services.access import Access, Authenticator
from commandpost.services.datapoints import DataOrigin, Datapoints, DatastreamChange, NewBinary
from commandpost.services.device_keys import DeviceKeys, ShownKey
from commandpost.services.identities import GivenKeys, Identities
from commandpost.services.payloads import PayloadRequest, Payloads
from commandpost.services.self_registration import RegisteredDevice, SelfDescription, SelfRegistration
from tests.fakes.ids import ReversingBox
from tests.fakes.services import COMMAND_ID, NOW, FakeDevices, FakeProducts, build_device

PRODUCT = ProductId(1)
DEVICE = DeviceId(1_000_001)
DEVICE_KEY = "key-of-device-1000001"
REGISTER_CODE = "register-code-of-product-1"
STREAM = "temp"
INDEX = "1000001_1606870944185_picture"


class DevicesById(FakeDevices):
    """Devices that are found by their id, too."""

    change_failure: Exception | None = None
    identities: Identities
    """Keep the keys of an update."""

    async def find(self, product: Product, device_id: DeviceId) -> Device:
        return (await self.get(product, device_id)).device

    async def change(
        self, product: Product, device_id: DeviceId, change: DeviceChange, keys: GivenKeys | None = None
    ) -> Device:
        if self.change_failure is not None:
            raise self.change_failure
        if keys is not None:
            await self.identities.change(self.devices[device_id], keys)
        return await super().change(product, device_id, change)


class FakeAuthenticator(Authenticator):
    """The MasterKeys of the products, and what else a test knows."""

    def __init__(self, products: FakeProducts) -> None:
        self.products = products
        self.accesses: dict[str, Access] = {}
        """By api-key."""
        self.tokens: dict[str, Access] = {}

    def allow(self, *permissions: KeyPermission, key: str = DEVICE_KEY) -> None:
        """Let a device key of the first product open something."""
        of_product = DeviceKey(
            product_id=PRODUCT, title="k", sealed=b"", index=b"", permissions=permissions, created_at=NOW
        )
        self.accesses[key] = Access(product=self.products.first, key=of_product)

    async def authenticate(self, api_key: str | None, authorization: str | None, now: Instant) -> Access:
        if api_key in self.accesses:
            return self.accesses[api_key or ""]
        if authorization in self.tokens:
            return self.tokens[authorization or ""]
        if authorization and not api_key:
            raise Unauthenticated(is_missing=False)
        return Access(product=await self.products.authenticate(api_key))


class FakePayloads(Payloads):
    """Takes every payload in."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Device, PayloadRequest]] = []
        self.asked: list[dict[str, object]] = []
        self.searches: list[int] = []
        self.records: dict[CommandId, CommandRecord] = {}
        self.total = 0
        self.failure: Exception | None = None

    async def submit(self, product: Product, device: Device, request: PayloadRequest) -> Command:
        if self.failure is not None:
            raise self.failure
        self.submitted.append((device, request))
        command = build_payload(payload=request.payload, device_id=device.id, product_id=product.id)
        self.records[command.id] = CommandRecord(command=command, attempts=())
        return command

    async def find(self, product: Product, command_id: CommandId) -> CommandRecord:
        record = self.records.get(command_id)
        if record is None or record.command.product_id != product.id:
            raise NotFound("command", command_id.hex())
        return record

    async def find_all(self, product: Product, command_ids: Sequence[CommandId]) -> Sequence[CommandRecord]:
        self.searches.append(len(command_ids))
        return [self.records[each] for each in command_ids if self.records[each].command.product_id == product.id]

    async def history(
        self,
        product: Product,
        device: Device,
        *,
        start: Instant,
        end: Instant | None,
        page: Page,
        stands: tuple[tuple[CommandState, Outcome | None], ...] | None = None,
        is_ascending: bool = False,
    ) -> tuple[int, tuple[Command, ...]]:
        self.asked.append({"start": start, "end": end, "page": page, "stands": stands, "is_ascending": is_ascending})
        commands = tuple(record.command for record in self.records.values())
        return max(self.total, len(commands)), commands


def build_payload(
    *,
    payload: bytes = b"ping",
    state: CommandState = CommandState.WAITING,
    device_id: DeviceId = DEVICE,
    product_id: ProductId = PRODUCT,
    **changes: object,
) -> Command:
    """A payload of the first device."""
    command = Command(
        id=COMMAND_ID,
        product_id=product_id,
        device_id=device_id,
        imei="",
        operation=Deliver(payload=payload, qos=0, kind=0),
        mode=CommandMode.CACHED,
        created_at=NOW,
        valid_from=NOW,
        expires_at=after(NOW, duration_ms=60_000),
        retry=0,
        remaining=0,
        answer_timeout_ms=10_000,
        triggers=Trigger.CONNECT | Trigger.AT_ONCE,
        state=state,
        finished_at=NOW if state.is_final else None,
    )
    return replace(command, **changes)  # type: ignore[arg-type]  # a test names fields by keyword


def answered(answer: bytes, *, payload: bytes = b"ping") -> CommandRecord:
    """A payload that its device has answered, at the second attempt."""
    at = after(NOW, duration_ms=2_000)
    end = AttemptEnd(attempt_id=AttemptId(2), outcome=Outcome.SUCCESS, at=at, answer=Answer(code=0, payload=answer))
    silence = AttemptEnd(attempt_id=AttemptId(1), outcome=Outcome.TIME_OUT, at=NOW)
    attempts = [
        Attempt(
            id=ended.attempt_id,
            command_id=COMMAND_ID,
            device_id=DEVICE,
            number=number,
            coap_token=b"",
            start_id=StartId(1),
            sent_at=NOW,
            deadline=at,
            end=ended,
        )
        for number, ended in enumerate((silence, end), 1)
    ]
    command = build_payload(
        payload=payload,
        state=CommandState.SUCCEEDED,
        outcome=Outcome.SUCCESS,
        sent_at=NOW,
        answered_at=at,
        finished_at=at,
    )
    return CommandRecord(command=command, attempts=tuple(attempts))


def build_stream(stream_id: str = STREAM, **changes: object) -> Datastream:
    """A stream of the first device with a value."""
    stream = Datastream(
        device_id=DEVICE,
        id=stream_id,
        uuid="42742677-adc3-54ca-83a1-5aaaf71482f8",
        created_at=NOW,
        current_value="21.50",
        updated_at=NOW,
    )
    return replace(stream, **changes)  # type: ignore[arg-type]  # a test names fields by keyword


class FakeDatapoints(Datapoints):
    """One stream and one binary of the first device."""

    def __init__(self) -> None:
        self.streams = {STREAM: build_stream()}
        self.binaries = {
            INDEX: (
                Binary(index=INDEX, device_id=DEVICE, at=NOW, size_bytes=3, description="a door"),
                b"\x00\xff\x01",
            )
        }
        self.added: list[tuple[DeviceId, ProductId, tuple[Datapoint, ...]]] = []
        self.added_binaries: list[NewBinary] = []
        self.origins: list[DataOrigin] = []
        self.created: list[tuple[str, DatastreamChange]] = []
        self.changes: list[tuple[str, DatastreamChange]] = []
        self.asked: list[tuple[PointFilter, int]] = []
        self.page = PointPage(streams=(), end=None)
        self.failure: Exception | None = None

    async def add(
        self,
        device_id: DeviceId,
        product_id: ProductId,
        points: Sequence[Datapoint],
        *,
        origin: DataOrigin = DataOrigin.DEVICE,
    ) -> None:
        if self.failure is not None:
            raise self.failure
        self.origins.append(origin)
        self.added.append((device_id, product_id, tuple(points)))

    async def add_binary(
        self,
        device_id: DeviceId,
        product_id: ProductId,
        new: NewBinary,
        *,
        origin: DataOrigin = DataOrigin.DEVICE,
    ) -> str:
        self.origins.append(origin)
        self.added_binaries.append(new)
        return f"{device_id}_{NOW}_{new.stream_id}"

    async def create_stream(
        self, device_id: DeviceId, product_id: ProductId, stream_id: str, change: DatastreamChange
    ) -> Datastream:
        if stream_id in self.streams:
            raise Taken("datastream", stream_id)
        stream = build_stream(stream_id)
        self.created.append((stream_id, change))
        return stream

    async def change_stream(self, device_id: DeviceId, stream_id: str, change: DatastreamChange) -> None:
        await self.get_stream(device_id, stream_id)
        self.changes.append((stream_id, change))

    async def remove_stream(self, device_id: DeviceId, stream_id: str) -> None:
        await self.get_stream(device_id, stream_id)
        del self.streams[stream_id]

    async def get_stream(self, device_id: DeviceId, stream_id: str) -> Datastream:
        stream = self.streams.get(stream_id)
        if stream is None or stream.device_id != device_id:
            raise NotFound("datastream", stream_id)
        return stream

    async def list_streams(
        self, device_id: DeviceId, stream_ids: Sequence[str] | None = None
    ) -> tuple[Datastream, ...]:
        mine = [stream for stream in self.streams.values() if stream.device_id == device_id]
        return tuple(stream for stream in mine if stream_ids is None or stream.id in stream_ids)

    async def query(self, which: PointFilter, *, limit: int) -> PointPage:
        self.asked.append((which, limit))
        return self.page

    async def current_values(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, tuple[Datastream, ...]]:
        found = {device_id: await self.list_streams(device_id) for device_id in device_ids}
        return {device_id: streams for device_id, streams in found.items() if streams}

    async def find_binary(self, index: str) -> tuple[Binary, bytes] | None:
        return self.binaries.get(index)

    async def list_binaries(self, device_id: DeviceId) -> tuple[Binary, ...]:
        return tuple(binary for binary, _ in self.binaries.values() if binary.device_id == device_id)


class FakeDeviceKeys(DeviceKeys):
    """Keys of the first product by their text."""

    def __init__(self) -> None:
        self.keys: dict[str, DeviceKey] = {}
        self.changes: list[tuple[str, str | None, tuple[KeyPermission, ...] | None]] = []
        self.asked: list[tuple[DeviceId | None, Page]] = []
        self.failure: Exception | None = None

    async def create(self, product: Product, *, title: str, permissions: Sequence[KeyPermission]) -> ShownKey:
        if self.failure is not None:
            raise self.failure
        text = f"new-key-{len(self.keys)}"
        self.keys[text] = DeviceKey(
            product_id=product.id, title=title, sealed=b"", index=b"", permissions=tuple(permissions), created_at=NOW
        )
        return ShownKey(text=text, key=self.keys[text])

    async def find(self, product: Product, text: str) -> ShownKey | None:
        key = self.keys.get(text)
        return None if key is None or key.product_id != product.id else ShownKey(text=text, key=key)

    async def list(self, product: Product, device_id: DeviceId | None, page: Page) -> tuple[int, tuple[ShownKey, ...]]:
        self.asked.append((device_id, page))
        mine = [ShownKey(text=text, key=key) for text, key in self.keys.items() if key.product_id == product.id]
        return len(mine), tuple(mine)

    async def change(
        self, product: Product, text: str, *, title: str | None, permissions: Sequence[KeyPermission] | None
    ) -> None:
        self.changes.append((text, title, None if permissions is None else tuple(permissions)))

    async def remove(self, product: Product, text: str) -> None:
        if await self.find(product, text) is None:
            raise NotFound("key", "of this text")
        del self.keys[text]


class FakeIdentities(Identities):
    """Keys as they stand in the device it is asked about; keeps what it is to change."""

    def __init__(self) -> None:
        self._secrets = ReversingBox()
        self.changed: list[tuple[DeviceId, GivenKeys]] = []
        self.refusal: CommandpostError | None = None

    async def change(self, device: Device, given: GivenKeys, *, also: UpdateDevice | None = None) -> Device:
        given.check(imei=device.imei)
        if self.refusal is not None:
            raise self.refusal
        self.changed.append((device.id, given))
        return device


class FakeSelfRegistration(SelfRegistration):
    """One register code."""

    def __init__(self, products: FakeProducts) -> None:
        self.products = products
        self.registered: list[SelfDescription] = []

    async def authenticate(self, register_code: str) -> Product:
        if register_code != REGISTER_CODE:
            raise Unauthenticated(is_missing=False)
        return self.products.first

    async def register(self, product: Product, description: SelfDescription) -> RegisteredDevice:
        self.registered.append(description)
        return RegisteredDevice(device=build_device(), key=DEVICE_KEY, is_new=True)


class FakeTopics:
    """A broker whose first device has subscribed two topics."""

    def __init__(self) -> None:
        self.published: list[tuple[ProductId, TopicMessage]] = []
        self.subscriptions: dict[DeviceId, tuple[str, ...]] = {DEVICE: ("a/+", "news")}
        self.failure: Exception | None = None

    async def publish(self, product_id: ProductId, message: TopicMessage) -> None:
        if self.failure is not None:
            raise self.failure
        self.published.append((product_id, message))

    async def list_topics(self, product_id: ProductId) -> Sequence[str]:
        return sorted({topic for topics in self.subscriptions.values() for topic in topics})

    async def list_subscribers(self, product_id: ProductId, topic_filter: str) -> Sequence[DeviceId]:
        return [device_id for device_id, topics in self.subscriptions.items() if topic_filter in topics]

    async def list_subscriptions(self, product_id: ProductId, device_id: DeviceId) -> Sequence[str]:
        return self.subscriptions.get(device_id, ())
