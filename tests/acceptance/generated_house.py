"""A server furnished for generated requests: one of everything that can be named, twice.

What is kept may only be read, and has to be as it was after every operation; the spare ones are there to be written to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.acceptance.push_receiver import PushReceiver
from tests.acceptance.server import ServerProcess
from tests.acceptance.stream_house import create_device

EXPIRY: Final = "2037-01-01T00:00:00"
LONG_AGO: Final = "2010-01-01T00:00:00"
WRITING_READS: Final = frozenset({"/nbiot/offline"})  # a GET that leaves a command
STREAM: Final = "temp"
KEPT_IMEI: Final = "869999000000201"
SPARE_IMEI: Final = "869999000000202"


@dataclass(frozen=True, slots=True)
class Names:
    """What one set of things is called: the name of a parameter, and its value."""

    values: Mapping[str, str]
    payload_uuid: str

    def value(self, path: str, parameter: str) -> str | None:
        """Give what a parameter of an operation would be called with, by somebody who knows his way."""
        if parameter == "uuid" and path.startswith("/cmds"):
            return self.payload_uuid
        return self.values.get(parameter)


@dataclass(kw_only=True)
class GeneratedHouse:
    """See the module."""

    server: ServerProcess
    receiver: PushReceiver
    kept: Names = field(init=False)
    spare: Names = field(init=False)

    def furnish(self) -> None:
        """Make the spare things first: the number 1 is guessed sooner than any other."""
        self.spare = self._furnish("spare", SPARE_IMEI)
        self.kept = self._furnish("kept", KEPT_IMEI)

    def _furnish(self, name: str, imei: str) -> Names:
        server = self.server
        # Offline, both: an instant command is answered at once, and no request waits for a device.
        server.create_device(imei)
        device = create_device(server, "MQTT", f"sn-{name}")
        cached = {"imei": imei, "obj_id": 3, "obj_inst_id": 0, "res_id": 1, "expired_time": EXPIRY}
        uuid = str(server.data("GET", "/nbiot/offline", cached)["uuid"])
        payload = {"device_id": device.id, "qos": 1, "timeout": 3600}
        payload_uuid = str(server.data("POST", "/cmds", payload, body=b"ping")["cmd_uuid"])
        server.data("POST", f"/devices/{device.id}/datapoints", {"type": 3}, body={STREAM: 21.5})
        picture = {"device_id": device.id, "datastream_id": f"{name}-pictures"}
        index = str(server.data("POST", "/bindata", picture, body=b"a picture")["index"])
        permission = {"resources": [{"dev_id": device.id}], "access_methods": ["get"]}
        key = str(server.data("POST", "/keys", body={"title": name, "permissions": [permission]})["key"])
        trigger = {"title": name, "ds_id": STREAM, "dev_ids": [device.id], "url": self.receiver.url, "type": "change"}
        trigger_id = str(server.data("POST", "/triggers", body=trigger)["trigger_id"])
        subscription = {"url": self.receiver.url, "token": self.receiver.token, "kinds": [2]}
        answer = server.request("POST", "/v1/subscriptions", body=subscription)
        assert answer.status == 201, answer.body
        values = {
            "device_id": device.id,
            "imei": imei,
            "uuid": uuid,
            "datastream_id": STREAM,
            "index": index,
            "key": key,
            "trigger_id": trigger_id,
            "subscription_id": str(answer.json()["id"]),
        }
        return Names(values=values, payload_uuid=payload_uuid)

    def names_for(self, method: str, path: str) -> Names | None:
        """Say what an operation may be called with: none that removes is given anything that is there."""
        if path in WRITING_READS:
            return self.spare
        return {"GET": self.kept, "DELETE": None}.get(method, self.spare)

    def kept_state(self) -> list[Any]:  # Any: JSON
        """Everything that can be read of what is kept."""
        server, values = self.server, self.kept.values
        device = f"/devices/{values['device_id']}"
        return [
            server.data("GET", device),
            server.data("GET", "/devices/getbyimei", {"imei": values["imei"]}),
            server.data("GET", f"{device}/datastreams"),
            server.data("GET", f"{device}/datapoints", {"start": LONG_AGO}),
            server.history(values["imei"]),
            server.data("GET", f"/cmds/{self.kept.payload_uuid}"),
            server.request("GET", f"/bindata/{values['index']}").body,
            server.data("GET", "/keys", {"key": values["key"]}),
            server.data("GET", f"/triggers/{values['trigger_id']}"),
            server.request("GET", f"/v1/subscriptions/{values['subscription_id']}").json(),
        ]
