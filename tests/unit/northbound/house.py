"""An Api over fakes, and short ways to call it."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from commandpost.domain.device import Device
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.northbound.api import Api
from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.onenet.call import PushServices
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from commandpost.services.audit import AuditLog
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.rate_limits import RateLimits
from tests.fakes.services import (
    IMEI,
    MASTER_KEY,
    OTHER_IMEI,
    FakeClock,
    FakeCommands,
    FakeEvents,
    FakeProducts,
    build_device,
)
from tests.unit.northbound.fakes import (
    DevicesById,
    FakeAuthenticator,
    FakeDatapoints,
    FakeDeviceKeys,
    FakeIdentities,
    FakePayloads,
    FakeSelfRegistration,
    FakeTopics,
)

ResultT = TypeVar("ResultT")

DEVICE_ID = "1000001"
OTHER_PRODUCTS_DEVICE_ID = "1000002"


def _devices() -> DevicesById:
    return DevicesById(build_device(), _other_products_device())


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
    devices: DevicesById = field(default_factory=_devices)
    device_keys: FakeDeviceKeys = field(default_factory=FakeDeviceKeys)
    commands: FakeCommands = field(default_factory=FakeCommands)
    payloads: FakePayloads = field(default_factory=FakePayloads)
    datapoints: FakeDatapoints = field(default_factory=FakeDatapoints)
    topics: FakeTopics = field(default_factory=FakeTopics)
    clock: FakeClock = field(default_factory=FakeClock)
    events: FakeEvents = field(default_factory=FakeEvents)
    rates: RateLimits | None = None
    audit: AuditLog | None = None
    failed_logins: FailedLogins | None = None

    def __post_init__(self) -> None:
        self.authenticator = FakeAuthenticator(self.products)
        self.identities = self.devices.identities = FakeIdentities()
        self.self_registration = FakeSelfRegistration(self.products)
        self.api = self.build_api(None)

    def build_api(self, push: PushServices | None) -> Api:
        """The Api over everything here; None: it pushes nothing."""
        return Api(
            authenticator=self.authenticator,
            devices=self.devices,
            device_keys=self.device_keys,
            self_registration=self.self_registration,
            identities=self.identities,
            commands=self.commands,
            payloads=self.payloads,
            datapoints=self.datapoints,
            topics=self.topics,
            push=push,
            clock=self.clock,
            events=self.events,
            settings=self.settings,
            rates=self.rates,
            audit=self.audit,
            failed_logins=self.failed_logins,
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

    def ask_path(self, method: str, path: str, segments: tuple[str, ...] | None, body: bytes = b"") -> ApiResponse:
        """Call a path of any text, cut as the transport cuts it when one of its parts holds a slash."""
        cut = segments if segments is not None and any("/" in part for part in segments) else None
        headers = [(b"api-key", MASTER_KEY.encode())]
        return run(self.api.handle(ApiRequest(method=method, path=path, segments=cut, headers=headers, body=body)))

    def envelope(
        self, method: str, target: str, body: object = b"", *, key: str | None = MASTER_KEY, **headers: str
    ) -> dict[str, Any]:
        """Call and read the answer."""
        return self.envelope_of(self.ask(method, target, body, key=key, **headers))

    def envelope_of(self, response: ApiResponse) -> dict[str, Any]:
        """Read an answer."""
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
