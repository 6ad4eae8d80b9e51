"""What every stack has to carry over DTLS: a device registers, is written by an application, and notifies."""

from tests.acceptance.dtls_house import ACTUATION, OBJECTS, call_and_serve, notify
from tests.acceptance.server import ServerProcess
from tests.simulators.scripted_device import ScriptedDevice

WRITE = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}


def tell_the_story(server: ServerProcess, device: ScriptedDevice) -> None:
    """Register, be written, notify, and have it for a datapoint."""
    device.register(objects=OBJECTS)
    query = {"imei": device.imei, "obj_id": 3306, "obj_inst_id": 0, "mode": 2}

    envelope, seen = call_and_serve(server, device, "POST", "/nbiot", query, WRITE)
    acknowledgement = notify(device, seen.observe_token)

    assert envelope["errno"] == 0
    assert seen.written == [ACTUATION]
    assert acknowledgement is not None
    device_id = server.data("GET", "/devices/getbyimei", {"imei": device.imei})["id"]
    streams = server.data("GET", f"/devices/{device_id}/datastreams")
    assert {each["id"]: each["current_value"] for each in streams}["3306_0_5851"] == 22
