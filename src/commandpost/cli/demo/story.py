"""The story the demo tells: what is asked, in which order, and what every answer has to be.

Three LwM2M devices: a lamp that is always awake, a meter that sleeps, a valve that never answers; and an MQTT and an
EDP one, whose steps are in payload_story. Times are short so that the whole takes less than half a minute: an attempt
waits five seconds, the least the dialect allows.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from commandpost.cli.demo.devices import DemoDevice, DemoDevices
from commandpost.cli.demo.narrator import DemoFailed, Narrator, check_equal
from commandpost.cli.demo.onenet_client import Answer, OnenetClient
from commandpost.cli.demo.payload_story import PayloadStory
from commandpost.cli.demo.server_process import ServerProcess
from commandpost.cli.demo.stream_devices import DemoStreams
from commandpost.domain.ports import Clock

MASTER_KEY: Final = "demo-master-key"
LAMP: Final = "860000000000001"
METER: Final = "860000000000002"
VALVE: Final = "860000000000003"
IMSI: Final = "460000000000001"
PRODUCT_ID: Final = "1"  # the one that the first start makes

ATTEMPT_S: Final = 5  # the least the dialect allows (northbound reference 5.1)
LONG_S: Final = 3_600  # a window nobody will see the end of
SHORT_S: Final = 9  # a window that closes before the meter wakes: killing and restarting fit into it
HISTORY_FROM: Final = "2020-01-01T00:00:00"
BEIJING: Final = timedelta(hours=8)

ONLINE_S: Final = 20.0
ENDED_S: Final = 30.0
WAITING, CANCELLED, EXPIRED, SUCCESS, FAILED = 1, 2, 4, 5, 6  # send_status, northbound reference 5.10
WORDS: Final = {
    WAITING: "waiting",
    CANCELLED: "cancelled",
    3: "sent",
    EXPIRED: "expired",
    SUCCESS: "success",
    FAILED: "failed",
}
SHOWN: Final = ("type", "send_status", "confirm_status", "remain", "send_time", "confirm_time")


async def tell(data_dir: Path) -> None:
    """Tell it from beginning to end.

    Raises:
        DemoFailed: something was not as the story says.
    """
    from commandpost.app import SystemClock

    server = ServerProcess(data_dir=data_dir, master_key=MASTER_KEY)
    narrator = Narrator()
    try:
        narrator.step("A server starts, on an empty directory and free ports.")
        narrator.told("server", await server.start())
        client = OnenetClient(address=server.http, master_key=MASTER_KEY, narrator=narrator)
        clock = SystemClock()
        streams = DemoStreams(mqtt=server.mqtt, edp=server.edp, product_id=PRODUCT_ID, clock=clock)
        async with DemoDevices(coap=server.coap, clock=clock) as devices, streams:
            payloads = PayloadStory(client=client, narrator=narrator, streams=streams, clock=clock)
            story = _Story(
                server=server, client=client, narrator=narrator, devices=devices, payloads=payloads, clock=clock
            )
            rows = await story.tell()
        status = await server.stop()
        check_equal(status, 0, "the server's exit status after SIGTERM")
        narrator.end(rows)
    except DemoFailed as error:
        raise DemoFailed(f"{error}; the server's last words: {server.last_words}") from error
    finally:
        await server.abandon()


class _Story:
    def __init__(
        self,
        *,
        server: ServerProcess,
        client: OnenetClient,
        narrator: Narrator,
        devices: DemoDevices,
        payloads: PayloadStory,
        clock: Clock,
    ) -> None:
        self._server = server
        self._client = client
        self._narrator = narrator
        self._clock = clock
        self._payloads = payloads
        self._lamp = devices.add("lamp", LAMP, IMSI)
        self._meter = devices.add("meter", METER, IMSI)
        self._valve = devices.add("valve", VALVE, IMSI, is_silent=True)
        self._commands: dict[str, str] = {}
        """What each is for -> its uuid, in the order of submission."""

    async def tell(self) -> list[tuple[str, str]]:
        await self._create_devices()
        await self._devices_register()
        await self._instant_commands()
        await self._payloads.devices_connect()
        await self._payloads.payloads_now()
        await self._payloads.payloads_are_kept()
        await self._commands_for_a_sleeper()
        await self._commands_that_will_not_succeed()
        await self._power_cut()
        await self._cancel_one()
        first_failure = asyncio.create_task(self._valve_fails_for_now())
        try:
            await self._payloads.payloads_arrive()
            await self._payloads.data_is_read()
            await self._one_expires()
            await self._meter_wakes()
        finally:
            await first_failure
        await self._valve_fails_for_good()
        return await self._summary()

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _create_devices(self) -> None:
        self._narrator.step("An application creates three LwM2M devices.")
        for title, imei in (("lamp", LAMP), ("meter", METER), ("valve", VALVE)):
            body = {"title": title, "protocol": "LWM2M", "auth_info": {imei: IMSI}}
            answer = await self._client.call("POST", "/devices", {}, body)
            if not str(answer["data"].get("device_id", "")).isdigit():
                raise DemoFailed(f"POST /devices answered {answer}: a device_id of digits was expected")

    async def _devices_register(self) -> None:
        self._narrator.step("The devices switch on and register over LwM2M/CoAP/UDP. Online is what the platform says.")
        for device in (self._lamp, self._meter, self._valve):
            device.start()
        for imei in (LAMP, METER, VALVE):
            await self._client.until(
                "/devices/getbyimei",
                {"imei": imei},
                lambda answer: answer["data"]["online"] is True,
                deadline_s=ONLINE_S,
            )

    async def _instant_commands(self) -> None:
        self._narrator.step("The lamp is awake: a write and a read are answered at once.")
        path = {"imei": LAMP, "obj_id": 3311, "obj_inst_id": 0}
        await self._client.call("POST", "/nbiot", {**path, "mode": 2}, {"data": [{"res_id": 5850, "val": True}]})
        await self._until_done(self._lamp, 1)
        answer = await self._client.call("GET", "/nbiot", {**path, "res_id": 5850})
        wanted = [{"obj_inst_id": 0, "res": [{"res_id": 5850, "val": True}]}]
        check_equal(answer["data"], wanted, "what the lamp says of itself")

    async def _commands_for_a_sleeper(self) -> None:
        self._narrator.step("The meter goes to sleep. A write and an execute for it are kept.")
        self._meter.sleep()
        write = {"imei": METER, "obj_id": 3306, "obj_inst_id": 0, "mode": 2, **self._window(LONG_S)}
        await self._keep("write", "/nbiot/offline", write, {"data": [{"res_id": 5851, "val": 42}]})
        execute = {"imei": METER, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605, **self._window(LONG_S)}
        await self._keep("execute", "/nbiot/execute/offline", execute, {"args": ""})
        for name in ("write", "execute"):
            await self._history(METER, name, WAITING)

    async def _commands_that_will_not_succeed(self) -> None:
        self._narrator.step(
            "Three more: one may be repeated once only, one has seconds to live, one will be cancelled."
        )
        valve = {"imei": VALVE, "obj_id": 3306, "obj_inst_id": 0, "mode": 2, "retry": 1, **self._window(LONG_S)}
        await self._keep("unanswered", "/nbiot/offline", valve, {"data": [{"res_id": 5850, "val": True}]})
        short = {"imei": METER, "obj_id": 3303, **self._window(SHORT_S)}
        await self._keep("short-lived", "/nbiot/offline", short, None)
        regretted = {"imei": METER, "obj_id": 3311, "obj_inst_id": 0, "mode": 2, **self._window(LONG_S)}
        await self._keep("regretted", "/nbiot/offline", regretted, {"data": [{"res_id": 5851, "val": 99}]})

    async def _power_cut(self) -> None:
        self._narrator.step("kill -9, and a new start on the same directory. Whatever was accepted is still there.")
        pid = self._server.pid
        self._narrator.told("server", f"process {pid} ended with {await self._server.kill()}")
        self._narrator.told("server", await self._server.start())
        for name in ("write", "execute", "unanswered", "regretted"):
            await self._history(VALVE if name == "unanswered" else METER, name, WAITING)
        await self._payloads.payloads_wait()

    async def _cancel_one(self) -> None:
        self._narrator.step("The application takes one back.")
        await self._client.call("PUT", f"/nbiot/offline/cancel/{self._commands['regretted']}", {"imei": METER})
        await self._history(METER, "regretted", CANCELLED)

    async def _one_expires(self) -> None:
        self._narrator.step("The meter still sleeps, and a window closes.")
        await self._history(METER, "short-lived", EXPIRED)

    async def _meter_wakes(self) -> None:
        self._narrator.step("The meter wakes. What waited is delivered in order, as the meter's own log shows.")
        check_equal(self._meter.done, [], "what the sleeping meter was made to do")
        self._meter.wake()
        await self._until_done(self._meter, 2)
        wanted = ["write /3306/0/5851 = 42", "execute /3303/0/5605"]
        check_equal(self._meter.done, wanted, "what the meter did")
        check_equal(self._meter.registrations, 1, "how often the meter registered, the kill included")
        for name in ("write", "execute"):
            await self._history(METER, name, SUCCESS)

    async def _valve_fails_for_now(self) -> None:
        self._valve.wake()
        await self._valve.until_asked(1, deadline_s=ENDED_S)

    async def _valve_fails_for_good(self) -> None:
        self._narrator.step(
            "The valve was sent its command and said nothing. It is sent once more, at its next update."
        )
        answer = await self._history(VALVE, "unanswered", WAITING, confirm_status="TIME_OUT")
        check_equal(_item(answer)["remain"], 0, "the repetitions that are left")
        self._valve.wake()
        await self._valve.until_asked(2, deadline_s=ENDED_S)
        self._narrator.told("valve", f"was asked twice, and answered nothing: {', '.join(self._valve.asked)}")
        await self._history(VALVE, "unanswered", FAILED, confirm_status="TIME_OUT")

    async def _summary(self) -> list[tuple[str, str]]:
        self._narrator.step("Nothing was lost, nothing was done twice: every command has one end.")
        wanted = {
            "write": SUCCESS,
            "execute": SUCCESS,
            "unanswered": FAILED,
            "short-lived": EXPIRED,
            "regretted": CANCELLED,
        }
        items: dict[str, Answer] = {}
        for imei in (METER, VALVE):
            answer = await self._client.until(
                "/nbiot/offline/history",
                {"imei": imei, "start": HISTORY_FROM, "sort": "ASC"},
                lambda _: True,
                deadline_s=ENDED_S,
                show=lambda answer: {"total_count": answer["data"]["total_count"]},
            )
            items |= {item["cmd_uuid"]: item for item in answer["data"]["items"]}
        check_equal(sorted(items), sorted(self._commands.values()), "the history's commands")
        rows = []
        for name, uuid in self._commands.items():
            item = items[uuid]
            check_equal(item["send_status"], wanted[name], f"the end of {name}")
            result = item.get("confirm_status")
            rows.append((name, f"{item['type']:<8} {WORDS[item['send_status']]}{f' ({result})' if result else ''}"))
        check_equal(len(self._meter.done), 2, "how many commands the meter carried out")
        return rows + self._payloads.rows()

    # --- what the steps are made of ----------------------------------------------------------------------------------

    def _window(self, seconds: int) -> dict[str, object]:
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self._clock.wall_ms())
        end = now + BEIJING + timedelta(seconds=seconds)
        return {"expired_time": end.strftime("%Y-%m-%dT%H:%M:%S"), "timeout": ATTEMPT_S}

    async def _keep(self, name: str, path: str, parameters: dict[str, object], body: object | None) -> None:
        method = "GET" if body is None else "POST"
        answer = await self._client.call(method, path, parameters, body)
        self._commands[name] = answer["data"]["uuid"]

    async def _history(self, imei: str, name: str, send_status: int, *, confirm_status: str | None = None) -> Answer:
        """Ask the history for one command until it is so, and want it to stay the only one of that id."""

        def is_so(answer: Answer) -> bool:
            item = _item(answer)
            return item.get("send_status") == send_status and (
                confirm_status is None or item.get("confirm_status") == confirm_status
            )

        parameters = {"imei": imei, "start": HISTORY_FROM, "uuid": self._commands[name]}
        answer = await self._client.until(
            "/nbiot/offline/history",
            parameters,
            is_so,
            deadline_s=ENDED_S,
            show=lambda answer: {key: value for key, value in _item(answer).items() if key in SHOWN},
        )
        self._narrator.told("history", f"{name}: {WORDS[_item(answer)['send_status']]}")
        return answer

    async def _until_done(self, device: DemoDevice, count: int) -> None:
        await device.until_done(count, deadline_s=ENDED_S)
        for line in device.done[-count:]:
            self._narrator.told(device.name, line)


def _item(answer: Answer) -> Answer:
    items = answer["data"]["items"]
    if len(items) != 1:
        raise DemoFailed(f"the history has {len(items)} commands of one id: 1 was expected")
    found: Answer = items[0]
    return found
