"""Bad input at the HTTP port of a real server: every fault of every route, what is no HTTP at all, and who is slow.

Each refusal is HTTP 200 with an envelope that names the field; nothing is changed by it; the server goes on. Source:
northbound reference 1.2, 2.3, 5.1. `test_any_request.py` puts any bytes at all through the same code without sockets.
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.bad_requests import BadRequest, Json, Request, World, bad_requests, served_operations
from tests.acceptance.processes import run_json
from tests.acceptance.raw_http import RawAnswer, RawConnection, connect
from tests.acceptance.server import MASTER_KEY, ServerProcess
from tests.simulators.scripted_device import CONTENT, ScriptedDevice

IMEI, OTHER_IMEI = "869999000000101", "869999000000102"
SPARE_IMEI, NEIGHBOUR_IMEI = "869999000000103", "869999000000104"
EXPIRY = "expired_time=2037-01-01T00:00:00"
OFFLINE = 2001
UNANSWERED = "GET /cmds/{uuid}/resp"  # the device is not there: no response is the right answer
NOT_SUBSCRIBED = "GET /msg_group/{group_id}/status"  # nor is a subscription
SEED = 20_180_528
WAITS_S = 8.0  # whoever had to wait for one of those who dawdle would wait for its deadline, ten seconds


def submit(server: ServerProcess, imei: str, key: str = MASTER_KEY) -> str:
    """Keep a read for a device that is not there."""
    query = {"imei": imei, "obj_id": 3303, "expired_time": "2037-01-01T00:00:00"}
    return str(server.data("GET", "/nbiot/offline", query, key=key)["uuid"])


def read_once(server: ServerProcess, imei: str) -> str:
    """Let a device come, answer one instant read, and leave; gives the id of that command."""
    with ScriptedDevice(server.coap, imei) as device, connect(server.http) as connection:
        device.register(objects=b"</3303/0>")
        while (request := device.receive_request()).uri_path != ("3", "0"):
            device.answer(request, CONTENT)
        device.answer(request, 0x84)
        connection.send(f"GET /nbiot?imei={imei}&obj_id=3303 HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}")
        device.answer(device.receive_request(), 0x84)
        (uuid,) = connection.answer().values("X-Command-Uuid")
        device.deregister()
    return uuid


def furnish(server: ServerProcess) -> World:
    """Two products, each with a device and a waiting command."""
    data_dir = ("--data-dir", str(server.data_dir))
    (product_id,) = (str(product["id"]) for product in run_json("product", "list", *data_dir))
    other = run_json("product", "create", "other", *data_dir)
    other_key = str(other["master_key"])
    device_id = server.create_device(IMEI)
    server.data("POST", f"/devices/{device_id}/datapoints", {"type": 3}, body={"temp": 22.5})
    binary = {"device_id": device_id, "datastream_id": "picture", "desc": "a door"}
    payload_device: Json = {"title": "p", "protocol": "MQTT", "auth_info": "serial-1"}
    payload_device_id = str(server.data("POST", "/devices", body=payload_device)["device_id"])
    payload = {"device_id": payload_device_id, "timeout": 86_400}
    new_trigger: Json = {"title": "t", "ds_id": "nobody-reports-this", "url": "http://x.example/", "type": "change"}
    new_key: Json = {"title": "k", "permissions": [{"resources": [{"dev_id": device_id}]}]}
    body: Json = {"title": "o", "protocol": "LWM2M", "auth_info": {OTHER_IMEI: "460000000000001"}}
    other_device_id = str(server.data("POST", "/devices", body=body, key=other_key)["device_id"])
    return World(
        key=MASTER_KEY,
        imei=IMEI,
        device_id=device_id,
        instant_uuid=read_once(server, IMEI),
        cached_uuid=submit(server, IMEI),
        payload_device_id=payload_device_id,
        payload_uuid=str(server.data("POST", "/cmds", payload, body=b"ping")["cmd_uuid"]),
        datastream_id="temp",
        index=str(server.data("POST", "/bindata", binary, body=b"\x00\xff")["index"]),
        trigger_id=str(server.data("POST", "/triggers", body=new_trigger)["trigger_id"]),
        device_key=str(server.data("POST", "/keys", body=new_key)["key"]),
        register_code=str(run_json("key", "show", "--product", product_id, *data_dir)["register_code"]),
        other_key=other_key,
        other_imei=OTHER_IMEI,
        other_device_id=other_device_id,
        other_uuid=submit(server, OTHER_IMEI, other_key),
    )


@contextlib.contextmanager
def furnished(directory: Path) -> Iterator[tuple[ServerProcess, World]]:
    with ServerProcess(data_dir=directory / "data") as server:
        yield server, furnish(server)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, World]]:
    """One server for every test that must change nothing."""
    with furnished(tmp_path_factory.mktemp("bad")) as pair:
        yield pair


def all_that_is_kept(server: ServerProcess, world: World) -> Json:
    """Everything a caller can see of both products."""
    kept: Json = {}
    for key, imei, device_id in (
        (world.key, world.imei, world.device_id),
        (world.other_key, world.other_imei, world.other_device_id),
    ):
        window = {"imei": imei, "start": "2020-01-01T00:00:00", "end": "2037-01-01T00:00:00"}
        history = server.data("GET", "/nbiot/offline/history", window, key=key)
        kept[imei] = [
            server.data("GET", "/devices", key=key),
            server.data("GET", f"/devices/{device_id}", key=key),
            server.data("GET", f"/devices/{device_id}/datastreams", key=key),
            server.data("GET", f"/devices/{device_id}/datapoints", {"limit": 100}, key=key),
            server.data("GET", "/keys", key=key),
            server.data("GET", "/triggers", key=key),
            server.data("GET", "/mqtt/topic", key=key),
            history,
            *(server.data("GET", f"/nbiot/offline/history/{item['cmd_uuid']}", {"imei": imei}, key=key)
              for item in history["items"]),
        ]  # fmt: skip
    window = {"start": "2020-01-01T00:00:00", "end": "2037-01-01T00:00:00"}
    kept["payloads"] = server.data("GET", f"/cmds/history/{world.payload_device_id}", window)
    return kept


def faults_of(bad: BadRequest, answer: RawAnswer) -> list[str]:
    """Say what of an answer is not as it has to be."""
    try:
        envelope = answer.envelope()
    except AssertionError as error:
        return [f"framing: {error}"]
    found = []
    if set(envelope) != {"errno", "error"}:
        found.append("not errno and error alone")
    if envelope["errno"] != bad.errno:
        found.append(f"not {bad.errno}")
    found += [f"{text!r} is not told" for text in bad.texts if text not in envelope["error"]]
    if len(envelope["error"]) > 300:
        found.append("told at length")
    return [f"{fault}: {envelope}" for fault in found]


def errno_of(answer: RawAnswer) -> int:
    """Give the errno of an envelope; bytes without one are a success."""
    if answer.values("content-type") == ["application/octet-stream"]:
        assert answer.status == 200
        return 0
    return int(answer.envelope()["errno"])


def ask(connection: RawConnection, request: Request) -> RawAnswer:
    return connection.ask(request.head(), request.body or b"")


def assert_serves(server: ServerProcess) -> None:
    with connect(server.http) as connection:
        assert connection.ask(f"GET /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}").data()["page"] == 1


# --- every route ------------------------------------------------------------------------------------------------------


def test_the_sound_request_of_every_route_is_answered_well(tmp_path: Path) -> None:
    """What the bad ones are made from: so each of those fails for the one thing that is wrong with it."""
    with furnished(tmp_path) as (server, world):
        operations = served_operations(server.request("GET", "/openapi.json").json())
        # What ends things comes last, and the device that they belong to last of all.
        operations.sort(
            key=lambda each: (
                each.method == "DELETE",
                "cancel" in each.template,
                each.template.endswith("all"),
                each.template == "/devices/{device_id}",
            )
        )
        answers = {}
        with connect(server.http) as connection:
            for operation in operations:
                answers[operation.name] = errno_of(ask(connection, operation.sound_request(world)))

    instant = {name: errno for name, errno in answers.items() if errno == OFFLINE}
    assert len(operations) >= 25
    assert {name for name, errno in answers.items() if errno not in (0, OFFLINE)} == {UNANSWERED, NOT_SUBSCRIBED}
    assert sorted(instant) == sorted(
        name
        for name in answers
        if name.endswith(("/nbiot", "/nbiot/execute", "/nbiot/observe", "/nbiot/discover"))
    )  # fmt: skip


def test_every_fault_of_every_route_is_refused_by_name_and_changes_nothing(house: tuple[ServerProcess, World]) -> None:
    """The table is made from what the running server says of itself: a new route or field is in it by itself."""
    server, world = house
    before = all_that_is_kept(server, world)
    wrong: list[str] = []
    sent = 0
    for operation in served_operations(server.request("GET", "/openapi.json").json()):
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(connect(server.http))
            for bad in bad_requests(operation, world):
                answer = ask(connection, bad.request)
                sent += 1
                wrong += [f"{operation.name}, {bad.why}: {fault}" for fault in faults_of(bad, answer)]
                if answer.values("connection") == ["close"]:  # after a body that was not read to its end
                    connection = stack.enter_context(connect(server.http))
        if all_that_is_kept(server, world) != before:
            wrong.append(f"{operation.name}: something was changed")
            break

    assert wrong == [], f"{len(wrong)} of {sent}:\n" + "\n".join(wrong)
    assert sent > 1500
    assert "Traceback" not in server.log()
    assert "call_failed" not in server.log()


# --- faults that one route knows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "errno", "text"),
    [
        (f"GET /nbiot?imei={IMEI}&obj_id=3303&res_id=5700", 5108, "res_id"),
        (f"GET /nbiot/offline?imei={IMEI}&obj_id=3303&res_id=5700&{EXPIRY}", 5108, "res_id"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&res_id=5700", 5108, "res_id"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&pmin=9&pmax=8", 5108, "pmax"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&pmin=0&pmax=8", 5108, "pmin"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&pmin=0&pmax=0", 5108, "pmax"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&gt=1", 5108, "gt"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&obj_inst_id=0&lt=1", 5108, "lt"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=3303&obj_inst_id=0&st=1", 5108, "st"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=1&obj_inst_id=0&res_id=1&lt=2&gt=2", 5108, "lt"),
        (f"POST /nbiot/observe?imei={IMEI}&cancel=false&obj_id=1&obj_inst_id=0&res_id=1&lt=0&gt=2&st=1", 5108, "st"),
        (f"GET /nbiot/offline?imei={IMEI}&obj_id=1&expired_time=2020-01-01T00:00:00", 5108, "expired_time"),
        (f"GET /nbiot/offline?imei={IMEI}&obj_id=1&valid_time=2037-01-01T00:00:00&{EXPIRY}", 5108, "expired_time"),
        (f"GET /nbiot/offline?imei={IMEI}&obj_id=1&valid_time=2038-01-01T00:00:00&{EXPIRY}", 5108, "expired_time"),
        ("GET /devices/status?devIds=" + ",".join(str(each) for each in range(1, 1002)), 20, "1001"),
        ("GET /devices/datapoints?devIds=" + ",".join(str(each) for each in range(1, 1002)), 20, "1001"),
        ("GET /cmds/history/1?start=2020-01-01T00:00:00&end=2021-01-01T00:00:00&duration=5", 6, "duration"),
        ("GET /devices/getbyimei?imei=" + "9" * 15, 8, "9" * 15),
        (f"GET /devices/getbyimei?imei={OTHER_IMEI}", 8, OTHER_IMEI),
    ],
)
def test_values_that_do_not_go_together(house: tuple[ServerProcess, World], target: str, errno: int, text: str) -> None:
    """Each is a right value by itself."""
    server, world = house
    before = all_that_is_kept(server, world)
    with connect(server.http) as connection:
        refused = connection.ask(f"{target} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}").envelope()

    assert refused["errno"] == errno
    assert text in refused["error"]
    assert all_that_is_kept(server, world) == before


def test_an_identity_that_is_taken_is_refused_in_the_words_of_the_live_service(
    house: tuple[ServerProcess, World],
) -> None:
    """By the same product or another; nor does a device change its IMEI."""
    server, world = house
    before = all_that_is_kept(server, world)
    for imei in (IMEI, OTHER_IMEI):
        body = {"title": "t", "protocol": "LWM2M", "auth_info": {imei: "460000000000077"}}
        taken = server.call("POST", "/devices", body=body)
        assert taken == {"errno": 6, "error": f"invalid parameter: auth_info exists::{imei}"}
    change: Json = {"auth_info": {SPARE_IMEI: "460000000000001"}}
    moved = server.call("PUT", f"/devices/{world.device_id}", body=change)

    assert moved == {"errno": 6, "error": "invalid parameter: auth_info"}
    assert all_that_is_kept(server, world) == before


def test_lists_leave_out_what_belongs_to_another_product(house: tuple[ServerProcess, World]) -> None:
    """Asking by id is no way to see it, and no way to learn that it is there."""
    server, world = house
    for devices in (world.other_device_id, "999999999", f"{world.other_device_id},999999999"):
        assert server.data("GET", "/devices/status", {"devIds": devices}) == {"total_count": 0, "devices": []}
        assert server.data("GET", "/devices", {"device_id": devices})["devices"] == []
    assert server.data("GET", "/devices/status", {"imei": world.other_imei})["devices"] == []
    assert server.data("GET", "/devices", {"auth_info": world.other_imei})["devices"] == []
    window = {"imei": world.imei, "start": "2020-01-01T00:00:00", "uuid": world.other_uuid}
    assert server.data("GET", "/nbiot/offline/history", window) == {"total_count": 0, "items": []}


def test_a_command_of_the_neighbour_is_no_command_of_this_device(house: tuple[ServerProcess, World]) -> None:
    """Two devices of one product: neither detail, log nor cancel crosses from one to the other."""
    server, world = house
    server.create_device(NEIGHBOUR_IMEI)
    before = all_that_is_kept(server, world)
    path = f"/nbiot/offline/history/{world.cached_uuid}"
    refused = [
        server.call("GET", path, {"imei": NEIGHBOUR_IMEI}),
        server.call("GET", f"{path}/piecewise", {"imei": NEIGHBOUR_IMEI}),
        server.call("PUT", f"/nbiot/offline/cancel/{world.cached_uuid}", {"imei": NEIGHBOUR_IMEI}),
        server.call("GET", f"/nbiot/open/online/history/{world.instant_uuid}/piecewise", {"imei": NEIGHBOUR_IMEI}),
    ]
    none = server.data("PUT", "/nbiot/offline/cancel/all", {"imei": NEIGHBOUR_IMEI})

    assert {answer["errno"] for answer in refused} == {5108}
    assert all("uuid" in answer["error"] for answer in refused)
    assert none == {"succ": [], "failed": [], "total": 0}
    assert all_that_is_kept(server, world) == before


@pytest.mark.parametrize(
    "line",
    [
        "GET /nothing",
        "GET /",
        "DELETE /nbiot",
        "PATCH /devices/1",
        "POST /nbiot/offline/history",
        "GET /nbiot/offline/history/x/y/z",
        "GET /nbiot/offline/cancel/all",
        "GET /../../etc/passwd",
        "GET /%2e%2e/%00/%ff",
        "BREW /devices",
        "GET /" + "x" * 20_000,
    ],
)
def test_a_path_that_is_not_served_is_404_with_an_envelope(house: tuple[ServerProcess, World], line: str) -> None:
    """With a Content-Length, and the connection goes on, unless the HTTP layer knows no such method."""
    server, _ = house
    with connect(server.http) as connection:
        answer = connection.ask(f"{line} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}")
        if line.startswith("BREW"):
            assert answer.status == 400
            return
        refused = json.loads(answer.body)

        assert (answer.status, refused["errno"]) == (404, 8)
        assert refused["error"].startswith("not found: ")
        assert len(refused["error"]) < 300
        assert answer.values("content-length") == [str(len(answer.body))]
        assert connection.ask(f"GET /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}").data()["page"] == 1


def test_the_eleventh_waiting_command_is_refused_whatever_it_is(tmp_path: Path) -> None:
    """None is pushed out for it; the neighbour's queue is another one; one that is cancelled makes room for one."""
    write, execute = b'{"data":[{"res_id":5900,"val":1}]}', b'{"args":"1"}'
    common = f"obj_id=3308&obj_inst_id=0&{EXPIRY}"
    further = [
        (f"GET /nbiot/offline?imei={IMEI}&{common}", b""),
        (f"POST /nbiot/offline?imei={IMEI}&{common}&mode=2", write),
        (f"POST /nbiot/write/offline?imei={IMEI}&{common}&mode=2", write),
        (f"POST /nbiot/execute/offline?imei={IMEI}&{common}&res_id=1", execute),
    ]
    with ServerProcess(data_dir=tmp_path / "data") as server, connect(server.http) as connection:
        server.create_device(IMEI)
        server.create_device(SPARE_IMEI)
        waiting = [submit(server, IMEI) for _ in range(10)]
        refused = [
            connection.ask(
                f"{line} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nContent-Length: {len(body)}", body
            ).envelope()
            for line, body in further
        ]
        kept = [item["cmd_uuid"] for item in server.history(IMEI)]
        submit(server, SPARE_IMEI)
        server.data("PUT", f"/nbiot/offline/cancel/{waiting[4]}", {"imei": IMEI})
        again = server.call("PUT", f"/nbiot/offline/cancel/{waiting[4]}", {"imei": IMEI})
        last = submit(server, IMEI)
        full = server.call("GET", "/nbiot/offline", {"imei": IMEI, "obj_id": 1, "expired_time": "2037-01-01T00:00:00"})

        assert {answer["errno"] for answer in (*refused, full)} == {5006}
        assert all("10" in answer["error"] for answer in refused)
        assert kept == waiting
        assert again["errno"] == 5106  # it is not waiting any more
        assert [item["cmd_uuid"] for item in server.history(IMEI)] == [*waiting, last]


# --- what is no HTTP --------------------------------------------------------------------------------------------------


def strange_requests() -> Iterator[bytes]:
    """Framing that contradicts itself, other protocols, and bytes of no kind at all."""
    key = b"Host: x\r\napi-key: " + MASTER_KEY.encode() + b"\r\n"
    post = b"POST /devices HTTP/1.1\r\n" + key
    yield from (
        post + b"Content-Length: -1\r\n\r\n",
        post + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        post + b"Content-Length: two\r\n\r\n{}",
        post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        post + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: gzip\r\n\r\n{}",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n",
        b"GET /devices HTTP/9.9\r\n" + key + b"\r\n",
        b"GET /devices HTTP/1.1 HTTP/1.1\r\n" + key + b"\r\n",
        b"GET\r\n\r\n",
        b"GET /devices\r\n\r\n",
        b"GET http://x/devices HTTP/1.1\r\n" + key + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + key + b"\r\n",
        b"CONNECT x:80 HTTP/1.1\r\n" + key + b"\r\n",
        b"GET /dev\xff\xfeices?\xff=\xfe HTTP/1.1\r\n" + key + b"\r\n",
        b"GET /devices HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /devices HTTP/1.1\r\n: empty\r\n\r\n",
        b"GET /devices HTTP/1.1\r\nx\0y: 1\r\n\r\n",
        b"GET /devices HTTP/1.1\r\napi-key: \xff\xfe\x01\r\n\r\n",
        b"GET /devices HTTP/1.1\r\n" + key + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /devices HTTP/1.1\r\n" + key + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"\r\n" * 1000,
        bytes(4096),
        bytes.fromhex("40017d70b37469"),  # a CoAP datagram
    )
    random = Random(SEED)
    yield from (random.randbytes(random.randrange(1, 600)) for _ in range(60))
    sound = b"GET /devices?page=1&per_page=3 HTTP/1.1\r\n" + key + b"Accept: */*\r\n\r\n"
    for _ in range(150):
        changed = bytearray(sound)
        for _ in range(random.randrange(1, 6)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        yield bytes(changed)


def status_of(answered: bytes) -> int | None:
    """Give the status of whatever came, None when nothing did."""
    return int(answered.split()[1]) if answered.startswith(b"HTTP/1.1 ") else None


def send_and_look(server: ServerProcess, contents: list[bytes]) -> list[bytes]:
    """Open a connection for each, send all, and give what came back on each within a second of them all."""
    answers = []
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(server.http, timeout=5)) for _ in contents]
        for connected, content in zip(opened, contents, strict=True):
            with contextlib.suppress(OSError):  # it may have been cut off already
                connected.sendall(content + b"\r\n\r\n")
        deadline = time.monotonic() + 1
        for connected in opened:
            connected.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                answers.append(connected.recv(65_536))
            except OSError:
                answers.append(b"")  # it waits for more, or was reset
    return answers


def test_bytes_that_are_no_request_do_not_shake_the_server(house: tuple[ServerProcess, World]) -> None:
    """Nothing is a fault of the server's, nothing is changed, nobody else notices."""
    server, world = house
    before = all_that_is_kept(server, world)
    contents = list(strange_requests())
    wrong = []
    for at in range(0, len(contents), 80):
        block = contents[at : at + 80]
        answers = send_and_look(server, block)
        wrong += [
            (content[:120], answer[:120])
            for content, answer in zip(block, answers, strict=True)
            if answer and status_of(answer) not in (200, 400, 404)
        ]
        assert_serves(server)

    assert wrong == []
    assert all_that_is_kept(server, world) == before
    assert "Traceback" not in server.log()
    assert server.process is not None and server.process.poll() is None


def test_callers_that_dawdle_do_not_hold_up_the_others(house: tuple[ServerProcess, World]) -> None:
    """Half a head, half a body, or a byte now and then, on 120 connections at once."""
    server, world = house
    before = all_that_is_kept(server, world)
    head = f"POST /devices HTTP/1.1\r\nHost: x\r\napi-key: {MASTER_KEY}\r\nContent-Length: 200\r\n".encode()
    beginnings = (b"", head, head + b'\r\n{"title":')
    trickles = (b"GET /devices", b"X-Slow: a header", b'"a title that')
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(server.http, timeout=5)) for _ in range(120)]
        for at, connected in enumerate(slow):
            connected.sendall(beginnings[at % 3])
        for turn in range(10):
            for at, connected in enumerate(slow):
                connected.sendall(trickles[at % 3][turn : turn + 1])
            begun = time.monotonic()
            assert_serves(server)
            assert time.monotonic() - begun < WAITS_S
    assert_serves(server)
    assert all_that_is_kept(server, world) == before


@pytest.mark.long  # ten seconds of waiting, which other tests show with a shorter deadline
def test_a_body_that_stops_half_way_ends_in_an_answer(house: tuple[ServerProcess, World]) -> None:
    """Every wait has a deadline, the one for a body too."""
    server, world = house
    before = all_that_is_kept(server, world)
    head = f"POST /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nContent-Length: 200"
    with connect(server.http) as connection:
        answer = connection.ask(head, b'{"title":')
        envelope = answer.envelope()

        assert (envelope["errno"], answer.values("connection")) == (9, ["close"])
        assert connection.is_closed_by_peer()
    assert all_that_is_kept(server, world) == before


def test_a_body_without_end_is_cut_off_with_an_answer(house: tuple[ServerProcess, World]) -> None:
    """Thirty-two megabytes in chunks: long before their end the connection is."""
    server, _ = house
    head = f"POST /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nTransfer-Encoding: chunked"
    with socket.create_connection(server.http, timeout=20) as connected:
        connection = RawConnection(connected)
        connection.send(head)
        with pytest.raises(OSError):
            for _ in range(512):
                connection.send_bytes(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        envelope = connection.answer().envelope()  # the kernel keeps it through a reset

    assert envelope["errno"] != 0
    assert_serves(server)


def test_the_same_server_still_does_its_work(house: tuple[ServerProcess, World]) -> None:
    """After everything above: a device is made, shown, commanded and removed."""
    server, _ = house
    assert server.process is not None and server.process.poll() is None
    device_id = server.create_device(SPARE_IMEI)
    uuid = submit(server, SPARE_IMEI)
    shown = server.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": SPARE_IMEI})
    server.data("PUT", f"/nbiot/offline/cancel/{uuid}", {"imei": SPARE_IMEI})
    server.data("DELETE", f"/devices/{device_id}")

    assert (shown["send_status"], shown["cmd_uuid"]) == (1, uuid)
    assert server.call("GET", f"/devices/{device_id}")["errno"] == 8
