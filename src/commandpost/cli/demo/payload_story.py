"""The part of the story with MQTT and EDP: a payload now and its answer, one that is kept, and what devices report.

The order of the whole, and the devices that speak LwM2M, are in story.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from commandpost.cli.demo.narrator import DemoFailed, Narrator, check_equal
from commandpost.cli.demo.onenet_client import Answer, OnenetClient
from commandpost.cli.demo.stream_devices import DemoStreamDevice, DemoStreams
from commandpost.domain.ports import Clock

PUMP: Final = "pump"
GAUGE: Final = "gauge"
PROTOCOLS: Final = {PUMP: "MQTT", GAUGE: "EDP"}

ONLINE_S: Final = 20.0
ENDED_S: Final = 30.0
KEPT_S: Final = 3_600  # a validity nobody will see the end of
CREATED, ANSWERED = 1, 4  # status of a payload, northbound reference 6.2
BEIJING: Final = timedelta(hours=8)
AN_HOUR: Final = timedelta(hours=1)


class PayloadStory:
    """The steps; the story says when."""

    def __init__(self, *, client: OnenetClient, narrator: Narrator, streams: DemoStreams, clock: Clock) -> None:
        self._client = client
        self._narrator = narrator
        self._streams = streams
        self._clock = clock
        self._devices: dict[str, DemoStreamDevice] = {}
        self._ids: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        """Device -> uuid of the payload that is kept for it."""

    async def devices_connect(self) -> None:
        """Create both, switch them on, and see them online and their data stored."""
        self._narrator.step("Two more devices connect over TCP: the pump speaks MQTT, the gauge EDP. Both report.")
        for name, protocol in PROTOCOLS.items():
            auth_info = f"{name}-secret"
            body = {"title": name, "protocol": protocol, "auth_info": auth_info}
            answer = await self._client.call("POST", "/devices", {}, body)
            self._ids[name] = device_id = str(answer["data"]["device_id"])
            if name == PUMP:
                self._devices[name] = self._streams.add_mqtt(name, device_id=device_id, auth_info=auth_info)
            else:
                self._devices[name] = self._streams.add_edp(name, auth_info=auth_info)
            self._devices[name].start()
        await self._until_online(True)
        await self._client.until(
            "/devices/datapoints",
            {"devIds": ",".join(self._ids.values())},
            lambda answer: all(len(device["datastreams"]) == 2 for device in answer["data"]["devices"]),
            deadline_s=ENDED_S,
        )

    async def payloads_now(self) -> None:
        """Send each a payload that is answered at once."""
        self._narrator.step("A payload for each: they are connected, so it arrives now, and what they answer is kept.")
        for name in PROTOCOLS:
            answer = await self._client.call("POST", "/cmds", {"device_id": self._ids[name]}, b"ping")
            await self._answered(name, answer["data"]["cmd_uuid"], heard=["ping"])

    async def payloads_are_kept(self) -> None:
        """Let both disconnect, and send each a payload that has to wait."""
        self._narrator.step("Both disconnect. A payload for each is kept until it comes back.")
        for device in self._devices.values():
            device.sleep()
        await self._until_online(False)
        for name in PROTOCOLS:
            parameters = {"device_id": self._ids[name], "qos": 1, "timeout": KEPT_S}
            answer = await self._client.call("POST", "/cmds", parameters, b"later")
            self._kept[name] = answer["data"]["cmd_uuid"]
        await self.payloads_wait()

    async def payloads_wait(self) -> None:
        """See that what is kept still waits."""
        for uuid in self._kept.values():
            await self._until_status(uuid, CREATED)

    async def payloads_arrive(self) -> None:
        """Let both come back: what was kept is delivered and answered, once."""
        self._narrator.step("The pump and the gauge connect again: what was kept is delivered, and answered.")
        for name, device in self._devices.items():
            check_equal(device.heard, ["ping"], f"what reached the {name} so far")
            device.wake()
        for name, uuid in self._kept.items():
            await self._answered(name, uuid, heard=["ping", "later"])

    async def data_is_read(self) -> None:
        """Read over HTTP what they reported at their two connects."""
        self._narrator.step("What both reported, each time they connected, is read over HTTP.")
        for name, device in self._devices.items():
            answer = await self._client.until(
                f"/devices/{self._ids[name]}/datapoints",
                {"datastream_id": "temperature", "start": self._an_hour_ago()},
                lambda answer: _points(answer) == 2,
                deadline_s=ENDED_S,
            )
            check_equal(_points(answer), device.reports_stored, f"the points of the {name}, and what it reported")

    def rows(self) -> list[tuple[str, str]]:
        """Give a line for the summary of each device, once nothing more can come."""
        for name, device in self._devices.items():
            check_equal(device.heard, ["ping", "later"], f"all that reached the {name}")
        return [(name, f"{protocol:<8} 2 payloads, 2 answers") for name, protocol in PROTOCOLS.items()]

    # --- what the steps are made of ----------------------------------------------------------------------------------

    async def _answered(self, name: str, uuid: str, *, heard: list[str]) -> None:
        device = self._devices[name]
        await device.until_heard(len(heard), deadline_s=ENDED_S)
        self._narrator.told(name, f"heard {device.heard[-1]!r} over {PROTOCOLS[name]}")
        await self._until_status(uuid, ANSWERED)
        answer = await self._client.fetch(f"/cmds/{uuid}/resp")
        check_equal(answer.decode(errors="replace"), f"ok: {heard[-1]}", f"the answer of the {name}")
        check_equal(device.heard, heard, f"all that reached the {name}")

    async def _until_status(self, uuid: str, status: int) -> None:
        await self._client.until(
            f"/cmds/{uuid}", {}, lambda answer: answer["data"]["status"] == status, deadline_s=ENDED_S
        )

    async def _until_online(self, is_online: bool) -> None:
        await self._client.until(
            "/devices/status",
            {"devIds": ",".join(self._ids.values())},
            lambda answer: [each["online"] for each in answer["data"]["devices"]] == [is_online] * len(PROTOCOLS),
            deadline_s=ONLINE_S,
        )

    def _an_hour_ago(self) -> str:
        now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self._clock.wall_ms())
        return (now + BEIJING - AN_HOUR).strftime("%Y-%m-%dT%H:%M:%S")


def _points(answer: Answer) -> int:
    """Count the points of the one stream that was asked for."""
    streams = answer["data"]["datastreams"]
    if len(streams) > 1:
        raise DemoFailed(f"{len(streams)} streams where one was asked for")
    return len(streams[0]["datapoints"]) if streams else 0
