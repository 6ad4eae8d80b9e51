"""Eclipse Leshan as a device: a strict LwM2M 1.1 client on Californium, in TLV, SenML-JSON and SenML-CBOR.

Which format goes over the wire is decided by what the client lists when it registers. Source: southbound reference 7.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.server import ServerProcess
from tests.interop.leshan_device import leshan_device
from tests.interop.line_device import LineDevice

IMEI, IMSI = "869999000000091", "460000000000091"
INSTANCE = {"imei": IMEI, "obj_id": 3306, "obj_inst_id": 0}
EXPIRED_TIME = "2037-01-01T00:00:00"
TLV, SENML_JSON, SENML_CBOR = 11542, 110, 112
WAITING, SUCCESS = 1, 5

every_format = pytest.mark.parametrize("content_format", [TLV, SENML_JSON, SENML_CBOR])


@contextmanager
def registered(tmp_path: Path, content_format: int) -> Iterator[tuple[ServerProcess, LineDevice]]:
    with ServerProcess(data_dir=tmp_path / "data") as server:
        server.create_device(IMEI, IMSI)
        with leshan_device(server.coap, f"{IMEI};{IMSI}", (content_format,), tmp_path / "leshan.log") as device:
            assert device.wait_for("registered")["location"] == f"/rd/{IMEI}"
            yield server, device


def values_of(data: list[dict[str, Any]]) -> dict[int, object]:  # Any: JSON
    """Give the values of the one instance that was read, by resource."""
    (instance,) = data
    return {each["res_id"]: each["val"] for each in instance["res"] if "val" in each}


@every_format
def test_instant_commands(tmp_path: Path, content_format: int) -> None:
    """Read an instance and a resource, both modes of writing, discover, execute, de-register."""
    with registered(tmp_path, content_format) as (server, device):
        manufacturer = values_of(server.data("GET", "/nbiot", {"imei": IMEI, "obj_id": 3, "obj_inst_id": 0}))[0]
        before = values_of(server.data("GET", "/nbiot", INSTANCE))
        on = {"data": [{"res_id": 5850, "val": True}, {"res_id": 5851, "val": 22}]}
        server.data("POST", "/nbiot", {**INSTANCE, "mode": 2}, body=on)
        device.wait_for("write", path="3306/0/5850", value="true")
        level = values_of(server.data("GET", "/nbiot", {**INSTANCE, "res_id": 5851}))
        everything = {
            "data": [{"res_id": 5850, "val": False}, {"res_id": 5851, "val": -7}, {"res_id": 5750, "val": "门"}]
        }
        server.data("POST", "/nbiot", {**INSTANCE, "mode": 1}, body=everything)
        after = values_of(server.data("GET", "/nbiot", INSTANCE))
        discovered = server.data("GET", "/nbiot/discover", {"imei": IMEI, "obj_id": 3306})
        server.data("POST", "/nbiot/execute", {**INSTANCE, "res_id": 5605}, body={"args": "0='reset'"})
        executed = device.wait_for("execute", path="3306/0/5605")
        raw_word = server.call("POST", "/nbiot/execute", {**INSTANCE, "res_id": 5605}, body={"args": "reset"})
        unknown = server.call("GET", "/nbiot", {**INSTANCE, "obj_id": 3303})
        device.order("stop")
        device.wait_for("stopped")
        offline = server.call("GET", "/nbiot", INSTANCE)

    assert manufacturer == "Eclipse"
    assert before == {5850: False, 5851: 0, 5750: "leshan"}
    assert level == {5851: 22}
    assert after == {5850: False, 5851: -7, 5750: "门"}
    assert sorted(discovered[0]["res_id"]) == [5605, 5750, 5850, 5851]
    assert "reset" in executed["value"]
    assert (raw_word["errno"], raw_word["error"]) == (5106, "unsuccess: BAD_REQUEST")
    assert (unknown["errno"], unknown["error"]) == (5106, "unsuccess: NOT_FOUND")
    assert offline["errno"] == 2001


@every_format
def test_cached_commands_wait_for_an_update_and_for_a_notification(tmp_path: Path, content_format: int) -> None:
    """A write released by UPDATE, a read released by the notification of an observed instance."""
    with registered(tmp_path, content_format) as (server, device):
        server.data("POST", "/nbiot/observe", {**INSTANCE, "cancel": "false"}, body={})
        window = {"expired_time": EXPIRED_TIME}
        write = {**INSTANCE, **window, "mode": 2, "trigger_msg": 2}
        body = {"data": [{"res_id": 5750, "val": "cached"}]}
        written = server.data("POST", "/nbiot/offline", write, body=body)["uuid"]
        read = server.data("GET", "/nbiot/offline", {**INSTANCE, **window, "trigger_msg": 4})["uuid"]

        device.order("update")
        device.wait_for("write", path="3306/0/5750", value="cached")
        server.wait_for_status(IMEI, written, SUCCESS)
        before = server.data("GET", f"/nbiot/offline/history/{read}", {"imei": IMEI})
        device.order("set_level", value=41)
        after = server.wait_for_status(IMEI, read, SUCCESS)

    assert before["send_status"] == WAITING
    assert values_of(after["cmd_result"]["data"]) == {5850: False, 5851: 41, 5750: "cached"}
