"""lwm2m-node-lib as a device: an old client of others, with the manners that devices of the field have too.

It registers without Content-Format and without a root link, comes from another port with every update, opens a listener
there only after it has its answer, speaks text only, and never answers a request that names a format it does not know.
Source: southbound reference 1.4, 1.5 and 7.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.server import ServerProcess
from tests.interop.line_device import LineDevice
from tests.interop.node_device import node_device

IMEI, IMSI = "869999000000081", "460000000000081"
TEMPERATURE = {"imei": IMEI, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5700}
RESET = {"imei": IMEI, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605}
EXPIRED_TIME = "2037-01-01T00:00:00"
WAITING, SUCCESS = 1, 5


@contextmanager
def registered(tmp_path: Path) -> Iterator[tuple[ServerProcess, LineDevice]]:
    """Give a server and a device with a temperature of 21.5 that has registered with it."""
    with ServerProcess(data_dir=tmp_path / "data") as server, node_device(tmp_path / "node.log") as device:
        server.create_device(IMEI, IMSI)
        for path, resource, value in (("/3303/0", "5700", "21.5"), ("/3306/0", "5850", "0")):
            device.order("create", path=path)
            device.wait_for("created")
            device.order("set", path=path, resource=resource, value=value)
            device.wait_for("set")
        host, port = server.coap
        device.order("register", host=host, port=port, endpoint=f"{IMEI};{IMSI}", lifetime=300)
        assert device.wait_for("registered")["location"] == f"rd/{IMEI}"
        yield server, device


def test_instant_commands_on_a_single_resource(tmp_path: Path) -> None:
    """Read as text, execute, discover; what is read first has to wait for the answers this client never gives."""
    with registered(tmp_path) as (server, device):
        read = server.data("GET", "/nbiot", TEMPERATURE)
        server.data("POST", "/nbiot/execute", RESET, body={"args": "reset"})
        executed = device.wait_for("execute", path="3303/0/5605")
        discovered = server.data("GET", "/nbiot/discover", {"imei": IMEI, "obj_id": 3303})
        device.order("unregister")
        device.wait_for("unregistered")
        after = server.call("GET", "/nbiot", TEMPERATURE)

    assert read == [{"obj_inst_id": 0, "res": [{"res_id": 5700, "val": 21.5}]}]
    assert executed["value"] == "reset"
    assert [each["obj_inst_id"] for each in discovered] == [0]
    assert after["errno"] == 2001


def test_a_notification_releases_what_waits_for_one(tmp_path: Path) -> None:
    """The observe of a single resource is answered and kept; its next value is a notification."""
    with registered(tmp_path) as (server, device):
        server.data("POST", "/nbiot/observe", {**TEMPERATURE, "cancel": "false"}, body={})
        query = {**RESET, "expired_time": EXPIRED_TIME, "trigger_msg": 4}
        uuid = server.data("POST", "/nbiot/execute/offline", query, body={"args": "hot"})["uuid"]
        before = server.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": IMEI})

        device.order("set", path="/3303/0", resource="5700", value="40.5")
        executed = device.wait_for("execute")
        after = server.wait_for_status(IMEI, uuid, SUCCESS)

    assert (before["send_status"], after["confirm_status"]) == (WAITING, "SUCCESS")
    assert executed["value"] == "hot"


def test_its_update_releases_cached_commands_to_the_port_it_came_from(tmp_path: Path) -> None:
    """Every update of this client has a new port; both commands go there, in the order of acceptance."""
    with registered(tmp_path) as (server, device):
        read = server.data("GET", "/nbiot/offline", {**TEMPERATURE, "expired_time": EXPIRED_TIME})["uuid"]
        query = {**RESET, "expired_time": EXPIRED_TIME}
        executed = server.data("POST", "/nbiot/execute/offline", query, body={"args": "second"})["uuid"]

        device.order("update")
        device.wait_for("updated")
        results = [server.wait_for_status(IMEI, uuid, SUCCESS) for uuid in (read, executed)]
        device.wait_for("execute", value="second")

    assert results[0]["cmd_result"]["data"] == [{"obj_inst_id": 0, "res": [{"res_id": 5700, "val": 21.5}]}]
    assert [event["event"] for event in device.seen[-2:]] == ["read", "execute"]


@pytest.mark.parametrize("mode", [1, 2])
def test_a_write_it_cannot_understand_ends_in_time_and_the_lane_moves_on(tmp_path: Path, mode: int) -> None:
    """It never answers a format it does not know, and writes go out as TLV: silence, then the next command."""
    with registered(tmp_path) as (server, _device):
        server.data("GET", "/nbiot", TEMPERATURE)
        query = {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0, "mode": mode, "timeout": 5}
        written = server.call("POST", "/nbiot", query, body={"data": [{"res_id": 5850, "val": True}]})
        read = server.data("GET", "/nbiot", TEMPERATURE)

    assert (written["errno"], written["error"]) == (5106, "unsuccess: TIME_OUT")
    assert read == [{"obj_inst_id": 0, "res": [{"res_id": 5700, "val": 21.5}]}]
