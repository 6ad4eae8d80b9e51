"""An Api whose subscriptions and triggers are real ones over a memory store; every receiver says what a test wants."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from commandpost.domain.errors import CommandpostError, Invalid
from commandpost.domain.facts import CreateDevice, CreateProduct, Fact
from commandpost.domain.ids import ProductId
from commandpost.domain.push_ports import PushMessage, PushOutcome, PushTarget
from commandpost.northbound.messages import ApiRequest, ApiResponse, BodyFault
from commandpost.northbound.onenet.call import PushServices
from commandpost.services.push.settings import PushSettings
from commandpost.services.push.subscriptions import Subscriptions
from commandpost.services.triggers import Triggers
from commandpost.stores.memory import MemoryStore
from tests.conformance import store_builders as build
from tests.fakes.ids import ReversingBox
from tests.fakes.services import MASTER_KEY
from tests.unit.northbound.house import House

ResultT = TypeVar("ResultT")

URL = "http://receiver.example/in"
TOKEN = "demoToken01"
PRIVATE = "http://10.0.0.1/in"


class DirectWriter:
    """Writes at once."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.failure: CommandpostError | None = None

    def submit(self, fact: Fact[ResultT], then: object = None, otherwise: object = None) -> None:
        raise AssertionError("nothing here writes behind")

    async def perform(self, fact: Fact[ResultT]) -> ResultT:
        if self.failure is not None:
            raise self.failure
        (outcome,) = self.store.apply([fact])
        if isinstance(outcome, CommandpostError):
            raise outcome
        return outcome  # type: ignore[return-value]  # one outcome per fact, of the fact's own type


@dataclass
class OneReceiver:
    """Answers verifications."""

    outcome: PushOutcome = field(default_factory=lambda: PushOutcome(is_accepted=True))
    verified: list[PushTarget] = field(default_factory=list)
    hangs: bool = False

    def check_url(self, url: str) -> None:
        if url == PRIVATE:
            raise Invalid("url", url, "an address of the open internet")

    async def verify(self, target: PushTarget) -> PushOutcome:
        self.verified.append(target)
        if self.hangs:
            await asyncio.Event().wait()
        return self.outcome

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        raise AssertionError("nothing is pushed here")

    async def close(self) -> None:
        pass


class PushHouse(House):
    """See the module."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store = MemoryStore()
        self.writer = DirectWriter(self.store)
        self.receiver = OneReceiver()
        self.changes = 0
        for name in ("first", "second"):
            self.store.apply([CreateProduct(product=build.product(name=name), keys=())])
        for at, product_id in enumerate((ProductId(1), ProductId(1), ProductId(2))):
            self.store.apply([CreateDevice(device=build.device(product_id, f"86111111111111{at}"))])
        settings = PushSettings(timeout_s=0.05, subscriptions_max=3)
        self.subscriptions = Subscriptions(
            writer=self.writer,
            reader=self.store,
            sender=self.receiver,
            secrets=ReversingBox(),
            clock=self.clock,
            settings=settings,
            on_change=self._changed,
        )
        self.triggers = Triggers(
            writer=self.writer,
            reader=self.store,
            devices=self.store,
            sender=self.receiver,
            clock=self.clock,
            on_change=self._changed,
            triggers_max=4,
        )
        self.api = self.build_api(PushServices(subscriptions=self.subscriptions, triggers=self.triggers))

    def _changed(self) -> None:
        self.changes += 1

    def ask(
        self, method: str, target: str, body: object = b"", *, key: str | None = MASTER_KEY, **headers: str
    ) -> ApiResponse:
        """Call, on a loop: verifying waits."""
        return self.send(method, target, body if isinstance(body, bytes) else msgspec.json.encode(body), key=key)

    def send(
        self,
        method: str,
        target: str,
        body: bytes,
        *,
        key: str | None = MASTER_KEY,
        body_fault: BodyFault | None = None,
    ) -> ApiResponse:
        """Call with bytes."""
        return asyncio.run(self.api.handle(self._request(method, target, body, key, body_fault)))

    def add_at_once(self, count: int, *, key: str, other_key: str) -> list[int]:
        """Add as many with a key at one time, and one with another; gives how each was answered."""
        body = msgspec.json.encode({"url": URL, "token": TOKEN})

        async def main() -> list[int]:
            requests = [self._request("POST", "/v1/subscriptions", body, each) for each in [key] * count + [other_key]]
            return [answer.status for answer in await asyncio.gather(*map(self.api.handle, requests))]

        return asyncio.run(main())

    def _request(
        self, method: str, target: str, body: bytes, key: str | None, body_fault: BodyFault | None = None
    ) -> ApiRequest:
        path, _, query = target.partition("?")
        return ApiRequest(
            method=method,
            path=path,
            query=query.encode(),
            headers=() if key is None else ((b"api-key", key.encode()),),
            body=body,
            body_fault=body_fault,
        )

    def native(self, method: str, target: str, body: object = b"", *, status: int = 200, key: str = MASTER_KEY) -> Any:
        """Call `/v1`; gives the JSON of the answer."""
        response = self.ask(method, target, body, key=key)
        assert response.status == status, response.body
        return msgspec.json.decode(response.body) if response.body else None

    def problem(
        self, method: str, target: str, body: object = b"", *, status: int, key: str | None = MASTER_KEY
    ) -> dict[str, Any]:
        """Call `/v1`; gives the problem document."""
        response = self.ask(method, target, body, key=key)
        assert (response.status, response.content_type) == (status, b"application/problem+json"), response.body
        decoded = msgspec.json.decode(response.body)
        assert decoded["status"] == status
        assert decoded["type"] == "about:blank"
        return decoded  # type: ignore[no-any-return]  # a JSON object

    def add(self, **changes: object) -> dict[str, Any]:
        """A subscription that is in."""
        return self.native("POST", "/v1/subscriptions", {"url": URL, "token": TOKEN, **changes}, status=201)  # type: ignore[no-any-return]  # a JSON object
