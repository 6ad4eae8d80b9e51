"""A whole platform with simulated devices on virtual time: the server, its network, its callers.

Everything comes from one seed; `trace` is a hash of every datagram, every HTTP answer and the final history. The server
can be killed and started again on the same files and the same network.
"""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from commandpost.app import Platform
from commandpost.config import Settings
from commandpost.domain.command import CommandState
from commandpost.domain.ids import CommandId, DeviceId, parse_command_id
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.operation import Execute
from commandpost.domain.ports import CommandRecord
from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.simulation.datagram_trace import DatagramTrace
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.memory_network import PERFECT, MemoryLink, MemoryNetwork, NetworkConditions, memory_remote
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually
from commandpost.stores.write_queue import WriterLimits
from tests.acceptance.virtual_audit import Audit
from tests.acceptance.virtual_server import (
    ConnectionLost,
    CrashPlan,
    Edge,
    ServerRun,
    cancel_tasks_of_server,
)

JsonObject = dict[str, Any]  # Any: an answer is whatever JSON the server gave

START = Instant(1_606_780_800_000)  # 2020-12-01T08:00:00 in Beijing
MASTER_KEY = "key-of-the-virtual-world"
SERVER_ADDRESS = memory_remote("192.0.2.1", 5683)
BEIJING = timezone(timedelta(hours=8))
SETTLING_S = 4.0  # a device boots in two
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


@dataclass(slots=True, kw_only=True)
class WorldDevice:
    """A simulated device with its record and its link."""

    id: DeviceId
    sim: SimulatedDevice
    link: MemoryLink

    @property
    def imei(self) -> str:
        """What applications call it."""
        return self.sim.settings.imei

    @property
    def tokens(self) -> list[bytes]:
        """The distinct tokens of the requests it heard, in order."""
        return list(dict.fromkeys(entry.coap_token for entry in self.sim.served))

    @property
    def texts(self) -> list[str]:
        """The texts of the executes it was asked, once for each token, in order of arrival."""
        asked = {entry.coap_token: entry.operation for entry in self.sim.served}
        return [operation.arguments for operation in asked.values() if isinstance(operation, Execute)]


class VirtualWorld:
    """See the module. `run` takes the story: a coroutine function that gets this world."""

    def __init__(
        self,
        directory: Path,
        *,
        seed: int = 1,
        conditions: NetworkConditions = PERFECT,
        settings: Settings | None = None,
        writer_limits: WriterLimits | None = None,
        tick_s: float = 1.0,
        trace_entries: int = 0,
    ) -> None:
        self.seed = seed
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start=START)
        self.random = Random(seed)
        """For the story: when what is asked of whom."""
        self.network = MemoryNetwork(
            scheduler=self.loop,
            clock=self.clock,
            random=Random(f"network-{seed}"),
            conditions=conditions,
            trace=DatagramTrace(entries_kept_max=trace_entries),
        )
        self.audit = Audit(self.clock)
        self.devices: list[WorldDevice] = []
        self.faults: list[tuple[str, dict[str, object]]] = []
        self.trace = ""
        self._database = directory / f"world-{seed}.db"
        self._settings = settings or Settings()
        self._writer_limits = writer_limits
        self._tick_s = tick_s
        self._answers = sha256()
        self._link = self.network.bind(SERVER_ADDRESS)
        self._link.listen(self._receive)
        self._outside: list[asyncio.Task[Any]] = []  # Any: whatever they return
        self._starts = 0
        self._server: ServerRun | None = None

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, story: Callable[["VirtualWorld"], Awaitable[None]]) -> "VirtualWorld":
        """Tell the story; afterwards every promise has been kept, or this raises."""
        run_virtually(self._main(story), loop=self.loop)
        assert self.faults == []
        assert self.audit.violations == []
        return self

    async def _main(self, story: Callable[["VirtualWorld"], Awaitable[None]]) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._outside.append(this)
        gc.disable()  # a collection would only find cycles of tasks that are over, at moments of its own choice
        try:
            await self.start()
            await self.platform.products.create(name="world", master_key=MASTER_KEY)
            await story(self)
            for device in self.devices:
                device.sim.stop()
            self.trace = self._hash_everything()
        finally:
            gc.enable()
            if self._server is not None:
                await self._dispose(self._server)

    async def _dispose(self, server: ServerRun) -> None:
        server.die()
        cancel_tasks_of_server(self._outside)
        await asyncio.sleep(0.001)
        self.faults += server.faults()
        server.store.close()
        self._server = None

    @property
    def server(self) -> ServerRun:
        """The present run of the server."""
        assert self._server is not None, "the server is down"
        return self._server

    @property
    def platform(self) -> Platform:
        """The connected objects of the present run."""
        return self.server.platform

    async def start(self) -> None:
        """Start the server on the world's files."""
        self._starts += 1
        self._server = ServerRun(
            database=self._database,
            number=self._starts,
            seed=self.seed,
            loop=self.loop,
            clock=self.clock,
            link=self._link,
            audit=self.audit,
            settings=self._settings,
            tick_s=self._tick_s,
            writer_limits=self._writer_limits,
        )
        await self._server.platform.start()

    async def crash(self) -> None:
        """Kill the server here and now; whoever calls it hears that the connection is lost."""
        self.server.die()
        self.audit.note_restart()
        await self._dispose(self.server)

    async def restart(self, *, down_s: float = 1.0) -> None:
        """Kill the server, and start it again after a while."""
        await self.crash()
        await asyncio.sleep(down_s)
        await self.start()

    async def stop(self) -> None:
        """Stop the server as SIGTERM does."""
        await self.platform.stop()
        assert await self.server.writer.close(timeout_s=1.0)
        await self._dispose(self.server)

    def crash_at(self, edge: Edge, *, passings: int = 1, down_s: float = 1.0) -> asyncio.Event:
        """Let the server die when it next passes an edge, and start it again later; the event says it is back."""
        is_back = asyncio.Event()

        async def come_back() -> None:
            await self.restart(down_s=down_s)
            is_back.set()

        def on_crash() -> None:
            self.spawn(come_back())

        self.server.plan = CrashPlan(edge=edge, passings=passings, on_crash=on_crash)
        return is_back

    def spawn(self, story: Any) -> "asyncio.Task[Any]":  # Any: a coroutine of any kind
        """Let something go on beside the story; a crash of the server does not end it."""
        task = self.loop.create_task(story)
        self._outside = [each for each in self._outside if not each.done()]
        self._outside.append(task)
        return task

    def _receive(self, remote: Any, datagram: bytes) -> None:  # Any: Remote, as the link gives it
        if self._server is not None and self._server.is_alive:
            self._server.receive(remote, datagram)

    # --- applications -------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: JsonObject | None = None,
        key: str = MASTER_KEY,
    ) -> ApiResponse:
        """One HTTP call.

        Raises:
            ConnectionLost: the server died before it answered.
        """
        if self._server is None or not self._server.is_alive:
            raise ConnectionLost
        request = ApiRequest(
            method=method,
            path=path,
            query=urlencode(query or {}).encode(),
            headers=((b"api-key", key.encode()),),
            body=b"" if body is None else json.dumps(body).encode(),
        )
        server = self._server
        task = self.loop.create_task(server.platform.api.handle(request))
        await asyncio.wait([task])
        if task.cancelled() or not server.is_alive:
            raise ConnectionLost
        response = task.result()
        self._answers.update(response.body)
        return response

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: JsonObject | None = None,
        key: str = MASTER_KEY,
    ) -> JsonObject:
        """One call of the dialect; gives the envelope."""
        response = await self.request(method, path, query, body=body, key=key)
        envelope = json.loads(response.body)
        assert isinstance(envelope, dict)
        return envelope

    async def data(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: JsonObject | None = None,
        key: str = MASTER_KEY,
    ) -> Any:  # Any: JSON
        """A call that has to succeed; gives `data`."""
        envelope = await self.call(method, path, query, body=body, key=key)
        assert envelope["errno"] == 0, f"{method} {path} {query}: {envelope}"
        return envelope.get("data")

    def text_in(self, seconds: float) -> str:
        """Beijing text of a moment so far from now."""
        at_ms = self.clock.wall_ms() + round(seconds * SECOND_MS)
        return datetime.fromtimestamp(at_ms // SECOND_MS, tz=UTC).astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M:%S")

    async def submit(
        self,
        device: WorldDevice,
        what: str = "",
        *,
        operation: str = "execute",
        window_s: float = HOUR_S,
        key: str = MASTER_KEY,
        **query: object,
    ) -> CommandId:
        """Submit a cached command and give its id; `what` is the text of an execute, or the value of a write."""
        envelope = await self.try_submit(device, what, operation=operation, window_s=window_s, key=key, **query)
        assert envelope["errno"] == 0, envelope
        command_id = parse_command_id(envelope["data"]["uuid"])
        assert command_id is not None
        return command_id

    async def try_submit(
        self,
        device: WorldDevice,
        what: str,
        *,
        operation: str = "execute",
        window_s: float = HOUR_S,
        key: str = MASTER_KEY,
        **query: object,
    ) -> JsonObject:
        """Submit a cached command that may be refused; gives the envelope."""
        method, path, common, body = cached_call(operation, what)
        common |= {"imei": device.imei, "expired_time": self.text_in(window_s), **query}
        return await self.call(method, path, common, body=body, key=key)

    async def look(self, command_id: CommandId) -> CommandRecord:
        """Give a command with its attempts, as a reader sees it now."""
        record = await self.server.store.find_command(command_id)
        assert record is not None
        return record

    async def state_of(self, command_id: CommandId) -> CommandState:
        """Give the stored state of a command."""
        return (await self.look(command_id)).command.state

    # --- devices ------------------------------------------------------------------------------------------------------

    async def add_device(
        self,
        settings: DeviceSettings | None = None,
        *,
        number: int | None = None,
        is_observed: bool = False,
        starts_in_s: float | None = 0.0,
        key: str = MASTER_KEY,
    ) -> WorldDevice:
        """Create a device over HTTP and switch its double on; one number is one IMEI."""
        number = len(self.devices) + 1 if number is None else number
        imei = f"86{number:013}"
        settings = replace(settings or DeviceSettings(imei=imei), imei=imei, imsi=f"46{number:013}")
        body = {"title": imei, "protocol": "LWM2M", "auth_info": {imei: settings.imsi}, "obsv": is_observed}
        created = await self.data("POST", "/devices", body=body, key=key)
        link = self.network.bind()
        sim = SimulatedDevice(
            settings=settings,
            server=SERVER_ADDRESS,
            link=link,
            scheduler=self.loop,
            clock=self.clock,
            random=Random(f"device-{self.seed}-{number}"),
        )
        device = WorldDevice(id=DeviceId(int(created["device_id"])), sim=sim, link=link)
        self.devices.append(device)
        self.audit.device_of_imei[imei] = device.id
        if starts_in_s is not None:
            sim.start(delay_s=starts_in_s)
        return device

    async def ready_device(
        self, settings: DeviceSettings | None = None, *, is_observed: bool = False, number: int | None = None
    ) -> WorldDevice:
        """A device that has registered and is through with its setup."""
        device = await self.add_device(settings, is_observed=is_observed, number=number)
        await asyncio.sleep(3)
        assert device.sim.location is not None
        assert self.platform.lwm2m.dispatcher.lanes_open == 0
        device.sim.served.clear()
        return device

    # --- the end ------------------------------------------------------------------------------------------------------

    async def until_all_ended(self, *, at_most_s: float) -> None:
        """Wait until every accepted command has its final state."""
        ends = self.clock.monotonic() + at_most_s
        while self.audit.open_commands:
            assert self.clock.monotonic() < ends, f"not over: {self.audit.outcomes}"
            await asyncio.sleep(10)

    async def until_idle(self, *, at_most_s: float = 120.0) -> None:
        """Let what was begun get going, a device that restarts included; then wait until nothing goes on."""
        ends = self.clock.monotonic() + at_most_s
        await asyncio.sleep(SETTLING_S)
        while self.platform.lwm2m.dispatcher.lanes_open:
            assert self.clock.monotonic() < ends, "a lane never closes"
            await asyncio.sleep(1)

    def check_everything(self) -> None:
        """What has to hold when all commands have ended."""
        self.audit.check_ends()
        self.audit.check_tokens_seen({device.id: device.tokens for device in self.devices})
        assert self.platform.lwm2m.dispatcher.lanes_open == 0
        assert self.platform.lwm2m.dispatcher.instants_open == 0

    def _hash_everything(self) -> str:
        whole = sha256(self.network.trace.hexdigest().encode() + self._answers.digest())
        for command_id, trail in self.audit.trails.items():
            whole.update(command_id + repr((trail.states, trail.command)).encode())
        return whole.hexdigest()


def cached_call(operation: str, what: str) -> tuple[str, str, dict[str, object], JsonObject | None]:
    """Give method, path, query and body of a cached command without its device and its window."""
    path: dict[str, object] = {"obj_id": 3306, "obj_inst_id": 0}
    match operation:
        case "execute":
            resource: dict[str, object] = {"obj_id": 3303, "obj_inst_id": 0, "res_id": 5605}
            return "POST", "/nbiot/execute/offline", resource, {"args": what}
        case "write":
            return "POST", "/nbiot/offline", {**path, "mode": 2}, {"data": [{"res_id": 5851, "val": int(what or 0)}]}
        case "read":
            return "GET", "/nbiot/offline", {**path, "res_id": 5851}, None
    raise ValueError(operation)
