"""Push events delivered on loopback: out of the outbox and settled durably, beside a bare client loop."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from random import Random

import aiohttp
import uvloop

from benchmarks.data import Silent, grouped
from benchmarks.figures import Comparison, in_turn
from benchmarks.processes import python_process
from benchmarks.runs import Scale
from commandpost.app import SystemClock, SystemIds
from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.facts import CreateDevice, CreateProduct
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.push import Batch, Subscription
from commandpost.domain.push_facts import AddSubscription, RemoveSubscription
from commandpost.northbound.onenet.values import ValueStyle
from commandpost.northbound.push_client import PushClient
from commandpost.northbound.push_format import PushFormat
from commandpost.services.push.deliveries import Deliveries
from commandpost.services.push.settings import PushSettings
from commandpost.stores.sealing import AesSecretBox
from commandpost.stores.sqlite.store import SqliteStore
from tests.conformance import store_builders as build

DEVICES = 100
REQUESTS_OPEN = 16  # as many as a subscription may have
BATCH_COUNT = 100
LOOK_S = 0.005


def pushes(directory: Path, scale: Scale) -> Iterator[Comparison]:
    """One message a request, then a hundred; each event leaves the outbox only when its commit is on disk."""
    directory.mkdir(parents=True, exist_ok=True)
    count = scale.requests
    with python_process("benchmarks.bare_servers", "asgi") as (_, line):
        url = f"http://{line.split()[-1]}/in"
        for title, batch in (
            ("push events delivered, one a request", None),
            (f"push events delivered, {BATCH_COUNT} a request", Batch(count=BATCH_COUNT, interval_ms=100)),
        ):
            path = directory / f"{0 if batch is None else batch.count}.db"
            per_request = 1 if batch is None else batch.count
            ours = _deliver(path, url, count, batch)
            bare = _bare(url, count // per_request, per_request)
            measured = in_turn(
                (("out of the outbox", "/s", ours), ("bare aiohttp client loop", "/s", bare)), rounds=scale.rounds
            )
            yield Comparison(title=title, ours=measured[0], bare=(measured[1],))


def _deliver(path: Path, url: str, count: int, batch: Batch | None) -> Callable[[], float]:
    store = SqliteStore(path)
    clock = SystemClock()
    secrets = AesSecretBox(bytes(32), random_bytes=Random(1).randbytes)
    (product,) = store.apply([CreateProduct(product=build.product(), keys=())])
    product_id: ProductId = product.id  # type: ignore[attr-defined]  # the product that was made
    devices = [
        device
        for device in store.apply(
            [CreateDevice(device=build.device(product_id, f"{number:015}")) for number in range(DEVICES)]
        )
        if isinstance(device, Device)
    ]

    async def once() -> float:
        subscription = Subscription(
            product_id=product_id,
            url=url,
            sealed_token=secrets.seal(b"demoToken01"),
            batch=batch,
            created_at=clock.wall_ms(),
        )
        (added,) = store.apply([AddSubscription(subscription=subscription, subscriptions_max=1)])
        assert isinstance(added, Subscription)
        _tell(store, devices, count, clock.wall_ms())
        writer = grouped(store)
        style = PushFormat(random=Random(2), value_style=ValueStyle())
        deliveries = Deliveries(
            writer=writer,
            reader=store,
            commands=store,
            sender=PushClient(push_format=style, allow_private=True),
            secrets=secrets,
            ids=SystemIds(),
            clock=clock,
            events=Silent(),
            settings=PushSettings(requests_per_subscription_max=REQUESTS_OPEN),
        )
        started = time.perf_counter()
        deliveries.start()
        while await store.told_after(0, 1):  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(LOOK_S)
        elapsed = time.perf_counter() - started
        await deliveries.stop()
        await writer.close(timeout_s=10)
        store.apply([RemoveSubscription(product_id=product_id, subscription_id=added.id)])
        return count / elapsed

    return lambda: _run(once())


def _tell(store: SqliteStore, devices: list[Device], count: int, now: Instant) -> None:
    facts = [
        AddDatapoints(
            device_id=devices[number % DEVICES].id,
            product_id=devices[0].product_id,
            points=(Datapoint(stream_id="3303_0_5700", at=now, value="21.5"),),
            received_at=now,
            streams_max=10,
        )
        for number in range(count)
    ]
    for begin in range(0, count, 500):
        store.apply(facts[begin : begin + 500])


def _bare(url: str, requests: int, per_request: int) -> Callable[[], float]:
    message = b'{"at":1600000000123,"imei":"860000000000001","type":1,"ds_id":"3303_0_5700","value":21.5,"dev_id":1}'
    body = (
        b'{"msg":[' + b",".join([message] * per_request) + b'],"msg_signature":"C+Xfgh6Gg2FEuz36ntbGDg==","nonce":"x"}'
    )

    async def once() -> float:
        left = iter(range(requests))
        async with aiohttp.ClientSession() as session:

            async def caller() -> None:
                for _ in left:
                    async with session.post(url, data=body) as response:
                        await response.read()

            started = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(REQUESTS_OPEN)))
            return requests * per_request / (time.perf_counter() - started)

    return lambda: _run(once())


def _run(work: Coroutine[None, None, float]) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


PUSH_RUNS: dict[str, Callable[[Path, Scale], Iterator[Comparison]]] = {"pushes": pushes}
