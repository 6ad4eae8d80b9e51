"""Push through a real server: a receiver verified, events in order, a kill in between, failures replayed by the CLI."""

import json
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.acceptance import processes
from tests.acceptance.push_receiver import JsonObject, PushReceiver
from tests.acceptance.server import ServerProcess

ALLOWED = {"COMMANDPOST_PUSH_ALLOW_PRIVATE": "1"}
TOKEN = "demoToken01"


def server_in(directory: Path, *, is_allowed: bool = True) -> ServerProcess:
    """A server that may push to this machine, or may not."""
    return ServerProcess(data_dir=directory / "data", environment=ALLOWED if is_allowed else {})


def subscribe(server: ServerProcess, receiver: PushReceiver, **changes: object) -> JsonObject:
    """Let a receiver hear of the first product."""
    answer = server.request("POST", "/v1/subscriptions", body={"url": receiver.url, "token": receiver.token, **changes})
    assert answer.status == 201, answer.body
    return answer.json()


def make_device(server: ServerProcess) -> str:
    """A device that reports over HTTP."""
    device = server.data("POST", "/devices", body={"title": "m", "protocol": "HTTP", "auth_info": "sn-1"})
    return str(device["device_id"])


def report(server: ServerProcess, device_id: str, value: object) -> None:
    """It reports one value."""
    body = {"datastreams": [{"id": "t", "datapoints": [{"value": value}]}]}
    assert server.call("POST", f"/devices/{device_id}/datapoints", body=body)["errno"] == 0


def values(receiver: PushReceiver) -> list[Any]:
    """What a receiver accepted, without repeats."""
    return list(dict.fromkeys(message["value"] for message in receiver.messages if message["type"] == 1))


def run_cli(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a subcommand on the server's data directory."""
    return processes.run_cli(*arguments, "--data-dir", str(server.data_dir), environment=ALLOWED)


def test_events_arrive_signed_and_in_order_through_a_kill(tmp_path: Path) -> None:
    """At least once; the receiver fails for a while, the server dies meanwhile."""
    with PushReceiver() as receiver, server_in(tmp_path) as server:
        device_id = make_device(server)
        subscribe(server, receiver)
        for number in range(5):
            report(server, device_id, number)
        receiver.wait_for(lambda each: len(values(each)) == 5)
        receiver.respond = lambda _: 500
        for number in range(5, 10):
            report(server, device_id, number)
        server.kill()
        receiver.respond = lambda _: 200
        server.start()
        receiver.wait_for(lambda each: len(values(each)) == 10)

        assert values(receiver) == list(range(10))
        assert all(arrival.is_signed for arrival in receiver.arrivals)
        assert {message["dev_id"] for message in receiver.messages} == {int(device_id)}


def has_heard(count: int, receiver: PushReceiver) -> bool:
    """Whether so many requests have arrived."""
    return len(receiver.arrivals) == count


def test_latency_from_report_to_receiver_is_a_fraction_of_a_second(tmp_path: Path) -> None:
    """An event does not wait for the tick of a second: the best of five, each reported when the last has come."""
    with PushReceiver() as receiver, server_in(tmp_path) as server:
        device_id = make_device(server)
        subscribe(server, receiver)
        took = []
        for number in range(1, 6):
            told_at = time.monotonic()
            report(server, device_id, number)
            receiver.wait_for(partial(has_heard, number))
            took.append(receiver.arrivals[-1].at - told_at)

    assert min(took) < 0.5


def test_an_alarm_reaches_the_url_of_its_trigger(tmp_path: Path) -> None:
    """Unsigned, in the documents' form; an ordinary subscriber does not hear of it."""
    with PushReceiver() as receiver, server_in(tmp_path) as server:
        device_id = make_device(server)
        trigger = {"title": "hot", "ds_id": "t", "url": receiver.url, "type": ">", "threshold": 9.0}
        trigger_id = server.data("POST", "/triggers", body=trigger)["trigger_id"]
        for value in (5, 10):
            report(server, device_id, value)
        receiver.wait_for(lambda each: each.arrivals)

        (arrival,) = receiver.arrivals
        assert arrival.content["trigger"] == {"id": trigger_id, "threshold": 9.0, "type": ">"}
        (point,) = arrival.content["current_data"]
        assert (point["dev_id"], point["ds_id"], point["value"]) == (device_id, "t", 10)
        assert point["at"].endswith("Z")


def test_a_server_pushes_to_nobody_inside_unless_it_may(tmp_path: Path) -> None:
    """The problem names the url; the receiver hears nothing."""
    with PushReceiver() as receiver, server_in(tmp_path, is_allowed=False) as server:
        answer = server.request("POST", "/v1/subscriptions", body={"url": receiver.url, "token": TOKEN})

        assert answer.status == 422
        assert answer.json()["errors"][0]["field"] == "url"
        assert receiver.verifications == []


def test_the_command_line_adds_beside_a_server_and_asks_again_without_one(tmp_path: Path) -> None:
    """Through the socket, then on the store itself; secrets are never shown, refusals have their exit codes."""
    with PushReceiver() as receiver, server_in(tmp_path) as server:
        added = run_cli(server, "push", "add", receiver.url, "--token", receiver.token, "--json")
        assert added.returncode == 0, added.stderr
        subscription = json.loads(added.stdout)
        assert receiver.token not in added.stdout
        server.terminate()

        receiver.answer_verification = lambda _: b"no"
        refused = run_cli(server, "push", "verify", subscription["id"])
        listed = run_cli(server, "push", "list", "--json")

        assert (refused.returncode, "msg" in refused.stderr) == (4, True)
        assert json.loads(listed.stdout) == [subscription]
