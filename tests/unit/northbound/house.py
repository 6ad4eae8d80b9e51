"""An Api over fakes, and short ways to call it."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from commandpost.domain.device import Device
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.northbound.api import Api
from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from tests.fakes.services import (
    IMEI,
    MASTER_KEY,
    OTHER_IMEI,
    FakeClock,
    FakeCommands,
    FakeDevices,
    FakeEvents,
    FakeProducts,
    build_device,
)

ResultT = TypeVar("ResultT")

DEVICE_ID = "1000001"
OTHER_PRODUCTS_DEVICE_ID = "1000002"


def _devices() -> FakeDevices:
    return FakeDevices(build_device(), _other_products_device())


def _other_products_device() -> Device:
    return build_device(int(OTHER_PRODUCTS_DEVICE_ID), product_id=ProductId(2), imei=OTHER_IMEI, id=DeviceId(1_000_002))


def run(coroutine: Coroutine[object, object, ResultT]) -> ResultT:
    """Drive a coroutine that never has to wait: no handler needs an event loop of its own."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration does not know what it carries
    raise AssertionError("a handler waited for something that no fake makes it wait for")


@dataclass
class House:
    """The Api and everything it stands on."""

    settings: NorthboundSettings = field(default_factory=NorthboundSettings)
    products: FakeProducts = field(default_factory=FakeProducts)
    devices: FakeDevices = field(default_factory=_devices)
    commands: FakeCommands = field(default_factory=FakeCommands)
    clock: FakeClock = field(default_factory=FakeClock)
    events: FakeEvents = field(default_factory=FakeEvents)

    def __post_init__(self) -> None:
        self.api = Api(
            products=self.products,
            devices=self.devices,
            commands=self.commands,
            clock=self.clock,
            events=self.events,
            settings=self.settings,
        )

    def ask(
        self, method: str, target: str, body: object = b"", *, key: str | None = MASTER_KEY, **headers: str
    ) -> ApiResponse:
        """Call with a target such as `/nbiot?imei=1`; a body that is no bytes is written as JSON."""
        path, _, query = target.partition("?")
        shown = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        if key is not None:
            shown.append((b"api-key", key.encode()))
        return run(
            self.api.handle(
                ApiRequest(
                    method=method,
                    path=path,
                    query=query.encode(),
                    headers=shown,
                    body=body if isinstance(body, bytes) else msgspec.json.encode(body),
                )
            )
        )

    def envelope(self, method: str, target: str, body: object = b"", **options: str) -> dict[str, Any]:
        """Call and read the answer."""
        response = self.ask(method, target, body, **options)
        decoded = msgspec.json.decode(response.body)
        assert response.status == 200
        assert list(decoded) in (["errno", "error"], ["errno", "error", "data"])
        return decoded  # type: ignore[no-any-return]  # JSON of any shape


def observed_house() -> House:
    """A house that answers `/nbiot*` with the numbers seen in captures."""
    return House(settings=NorthboundSettings(errno_profile=ErrnoProfile.OBSERVED))


def with_imei(target: str) -> str:
    """Give a target with the device's `imei` in front of its query."""
    path, _, query = target.partition("?")
    return f"{path}?imei={IMEI}&{query}" if query else f"{path}?imei={IMEI}"
