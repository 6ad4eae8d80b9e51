"""An independent CoAP stack (aiocoap) playing a whole device against a real server on real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiocoap  # type: ignore[import-untyped]  # aiocoap ships no types
from aiocoap import resource

from tests.acceptance.server import ServerProcess

IMEI, IMSI = "869999000000017", "460000000000017"
EXPIRED_TIME = "2037-01-01T00:00:00"
TLV = 11542
ACTUATION = bytes.fromhex("E1 16 DA 01 E1 16 DB 16")  # southbound reference 9: {5850: 1, 5851: 22}
WAIT_S = 20.0
SUCCESS = 5


class ActuationInstance(resource.ObservableResource):  # type: ignore[misc]  # aiocoap ships no types
    """`/3306/0`: read and observed as TLV; keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[str, bytes]] = []
        self.delay_s = 0.0
        self._changed = asyncio.Event()

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        await asyncio.sleep(self.delay_s)
        return aiocoap.Message(payload=ACTUATION, content_format=TLV)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        return await self._keep("PUT", request)

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        return await self._keep("POST", request)

    async def _keep(self, method: str, request: aiocoap.Message) -> aiocoap.Message:
        await asyncio.sleep(self.delay_s)
        self.written.append((method, request.payload))
        self._changed.set()
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def wait_for_writes(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.written) < count:
                self._changed.clear()
                await self._changed.wait()


class Executable(resource.Resource):  # type: ignore[misc]  # aiocoap ships no types
    """`/3303/0/5605`: keeps its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.executed: list[bytes] = []

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        self.executed.append(request.payload)
        return aiocoap.Message(code=aiocoap.CHANGED)


class ObjectLinks(resource.Resource):  # type: ignore[misc]  # aiocoap ships no types
    """`/3306`: answers a Discover."""

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        assert request.opt.accept == 40
        return aiocoap.Message(payload=b"</3306>,</3306/0>,</3306/0/5850>,</3306/0/5851>", content_format=40)


class Device:
    """One aiocoap context that is client and server on one port, as a device is."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = f"coap://{server.coap[0]}:{server.coap[1]}"
        self.actuation = ActuationInstance()
        self.executable = Executable()
        self._context: aiocoap.Context | None = None
        self.location: tuple[str, ...] = ()

    async def start(self) -> None:
        site = resource.Site()
        site.add_resource(["3306"], ObjectLinks())
        site.add_resource(["3306", "0"], self.actuation)
        site.add_resource(["3303", "0", "5605"], self.executable)
        self._context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", 0))

    async def stop(self) -> None:
        assert self._context is not None
        await self._context.shutdown()

    async def ask(self, code: aiocoap.Code, path: str, payload: bytes = b"") -> aiocoap.Message:
        assert self._context is not None
        request = aiocoap.Message(code=code, uri=self._server + path, payload=payload)
        if payload:
            request.opt.content_format = 40
        async with asyncio.timeout(WAIT_S):
            return await self._context.request(request).response

    async def register(self) -> None:
        answer = await self.ask(
            aiocoap.POST, f"/rd?ep={IMEI};{IMSI}&lt=300&b=U", b'</>;rt="oma.lwm2m",</3303/0>,</3306/0>'
        )
        assert answer.code == aiocoap.CREATED
        self.location = answer.opt.location_path
        assert self.location == ("rd", IMEI)

    async def update(self) -> None:
        answer = await self.ask(aiocoap.POST, "/" + "/".join(self.location))
        assert answer.code == aiocoap.CHANGED


def with_device(tmp_path: Path, story: Callable[[ServerProcess, Device], Awaitable[None]]) -> None:
    """Start a server, create the device northbound, and let it tell its story."""

    async def run(server: ServerProcess) -> None:
        device = Device(server)
        await device.start()
        try:
            await story(server, device)
        finally:
            await device.stop()

    with ServerProcess(data_dir=tmp_path / "data") as server:
        server.create_device(IMEI, IMSI)
        asyncio.run(run(server))


async def call(server: ServerProcess, *arguments: Any, **named: Any) -> Any:  # Any: handed on
    """An HTTP call in a thread: it waits for the device, which lives on this loop."""
    return await asyncio.to_thread(server.data, *arguments, **named)


def test_instant_commands(tmp_path: Path) -> None:
    """Read, write, execute and discover; a slow device answers separately and counts as well."""

    async def story(server: ServerProcess, device: Device) -> None:
        await device.register()
        instance = {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0}
        read_back = [{"obj_inst_id": 0, "res": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}]

        assert await call(server, "GET", "/nbiot", instance) == read_back
        assert await call(server, "GET", "/nbiot/discover", {"imei": IMEI, "obj_id": 3306}) == [
            {"obj_inst_id": 0, "res_id": [5850, 5851]}
        ]
        await call(
            server,
            "POST",
            "/nbiot/execute",
            {"imei": IMEI, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605},
            body={"args": "reset"},
        )
        values = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}
        for mode in (1, 2):
            await call(server, "POST", "/nbiot", {**instance, "mode": mode}, body=values)
        device.actuation.delay_s = 0.5  # past aiocoap's empty ACK
        assert await call(server, "GET", "/nbiot", instance) == read_back

        assert device.executable.executed == [b"reset"]
        assert device.actuation.written == [("PUT", ACTUATION), ("POST", ACTUATION)]

    with_device(tmp_path, story)


def test_two_kilobytes_arrive_whole(tmp_path: Path) -> None:
    """Block1 between two independent stacks."""

    async def story(server: ServerProcess, device: Device) -> None:
        await device.register()
        text = "x" * 1900
        await call(
            server,
            "POST",
            "/nbiot",
            {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0, "mode": 2},
            body={"data": [{"res_id": 5750, "val": text}]},
        )

        ((_, payload),) = device.actuation.written
        assert payload.endswith(text.encode())
        assert len(payload) == 1900 + 5  # a TLV header: type, id in two bytes, length in two

    with_device(tmp_path, story)


def test_cached_commands_are_released_by_update_and_by_notify(tmp_path: Path) -> None:
    """Held while the device says nothing; an UPDATE releases the first, a notification the second."""

    async def story(server: ServerProcess, device: Device) -> None:
        await device.register()
        instance = {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0}
        await call(server, "POST", "/nbiot/observe", {**instance, "cancel": "false"}, body={})
        values = {"data": [{"res_id": 5851, "val": 22}]}
        uuids = []
        for trigger in (2, 4):
            query = {**instance, "mode": 2, "expired_time": EXPIRED_TIME, "trigger_msg": trigger}
            uuids.append((await call(server, "POST", "/nbiot/offline", query, body=values))["uuid"])
        assert device.actuation.written == []

        await device.update()
        await device.actuation.wait_for_writes(1)
        await asyncio.to_thread(server.wait_for_status, IMEI, uuids[0], SUCCESS)

        device.actuation.updated_state()  # aiocoap notifies every observer
        await device.actuation.wait_for_writes(2)
        await asyncio.to_thread(server.wait_for_status, IMEI, uuids[1], SUCCESS)

    with_device(tmp_path, story)


def test_after_deregistering_a_device_is_offline(tmp_path: Path) -> None:
    """2.02; an instant command then fails at once with 2001, and an UPDATE finds nothing."""

    async def story(server: ServerProcess, device: Device) -> None:
        await device.register()
        assert (await device.ask(aiocoap.DELETE, f"/rd/{IMEI}")).code == aiocoap.DELETED

        envelope = await asyncio.to_thread(server.call, "GET", "/nbiot", {"imei": IMEI, "obj_id": 3306})
        assert envelope["errno"] == 2001
        assert (await device.ask(aiocoap.POST, f"/rd/{IMEI}")).code == aiocoap.NOT_FOUND

    with_device(tmp_path, story)


def test_a_registration_that_is_refused(tmp_path: Path) -> None:
    """An unknown IMEI is forbidden; without a URI to hand out there is no bootstrap for now."""

    async def story(server: ServerProcess, device: Device) -> None:
        unknown = await device.ask(aiocoap.POST, "/rd?ep=860000000000000;1", b"</3306/0>")
        bootstrap = await device.ask(aiocoap.POST, f"/bs?ep={IMEI};{IMSI}")

        assert (unknown.code, unknown.payload) == (aiocoap.FORBIDDEN, b"")
        assert bootstrap.code == aiocoap.SERVICE_UNAVAILABLE

    with_device(tmp_path, story)
