"""Requests as the clients of the field put them on the wire, against a real server and a device that answers.

Shapes: northbound reference 1.2, 1.3 and 10. `test_northbound_http.py` holds the same way of speaking against every
route with fakes behind it; here a datagram leaves, its answer comes back, and typed SDKs could read the result.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Option
from tests.acceptance.raw_http import RawAnswer, RawConnection, connect
from tests.acceptance.server import MASTER_KEY, ServerProcess
from tests.simulators.scripted_device import CHANGED, CONTENT, GET, POST, PUT, ScriptedDevice

IMEI, IMSI = "869999000000031", "460000000000031"
OBJECTS = b'</>;rt="oma.lwm2m",</3200/0>,</3308/0>'
NOT_FOUND = 0x84
SUCCESS = 5
CANCELLED = 2
TEXT = (int(Option.CONTENT_FORMAT), b"")
OBSERVED = (int(Option.OBSERVE), b"\x02")
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@contextmanager
def running(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir=tmp_path / "data") as server:
        yield server


@contextmanager
def registered(server: ServerProcess, imei: str = IMEI, imsi: str = IMSI) -> Iterator[ScriptedDevice]:
    """Give a device that has registered, and has answered what the platform asks of a new one."""
    with ScriptedDevice(server.coap, imei, imsi) as device:
        device.register(objects=OBJECTS)
        while (request := device.receive_request()).uri_path != ("3", "0"):
            device.answer(request, CONTENT, b"0", (OBSERVED, TEXT))
        device.answer(request, NOT_FOUND)
        yield device


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the tests that change nothing but devices of their own."""
    with running(tmp_path_factory.mktemp("sdk")) as server:
        yield server


def exchange(
    connection: RawConnection,
    device: ScriptedDevice,
    head: str,
    body: bytes,
    answer: Callable[[CoapMessage], None],
) -> tuple[RawAnswer, CoapMessage]:
    """Make a call that blocks on the device, let the device answer, and give both ends of it."""
    connection.send(head, body)
    request = device.receive_request()
    answer(request)
    return connection.answer(), request


def with_length(head: str, body: bytes) -> str:
    return f"{head.rstrip()}\nContent-Length: {len(body)}"


# --- the official Java SDK for NB-IoT ---------------------------------------------------------------------------------


def okhttp(method: str, target: str, server: ServerProcess, body: bytes = b"") -> str:
    """Give the head that okhttp 3.5 writes."""
    json_headers = f"Content-Type: application/json; charset=utf-8\nContent-Length: {len(body)}\n" if body else ""
    return (
        f"{method} {target} HTTP/1.1\napi-key: {MASTER_KEY}\n{json_headers}Host: 127.0.0.1:{server.http[1]}\n"
        "Connection: Keep-Alive\nAccept-Encoding: gzip\nUser-Agent: okhttp/3.5.0"
    )


def test_the_sample_of_the_java_sdk_runs_from_create_to_resources(tmp_path: Path) -> None:
    """Letters as IMEI, nine digits as IMSI, `{}` with an observe; every call on one kept-alive connection."""
    new = json.dumps(
        {
            "title": "test",
            "protocol": "LWM2M",
            "auth_info": {"imeitest": "123456789"},
            "desc": "test",
            "tags": ["china", "mobile"],
            "location": {"lon": 106, "lat": 29, "ele": 370},
            "obsv": True,
            "other": {"version": "1.0.0"},
        }
    ).encode()
    with running(tmp_path) as server, connect(server.http) as connection:
        created = connection.ask(okhttp("POST", "/devices", server, new), new).data()
        assert re.fullmatch(r"\d+", created["device_id"])

        with registered(server, "imeitest", "123456789") as device:
            read = okhttp("GET", "/nbiot?imei=imeitest&obj_id=3200&obj_inst_id=0&res_id=5750", server)
            answer, asked = exchange(
                connection, device, read, b"", lambda request: device.answer(request, CONTENT, b"door", (TEXT,))
            )
            assert (asked.code, asked.uri_path) == (GET, ("3200", "0", "5750"))
            assert answer.data() == [{"obj_inst_id": 0, "res": [{"res_id": 5750, "val": "door"}]}]

            values = b'{"data":[{"res_id":5750,"val":"gate"}]}'
            write = okhttp("POST", "/nbiot?imei=imeitest&obj_id=3200&obj_inst_id=0&mode=1", server, values)
            answer, asked = exchange(connection, device, write, values, lambda request: device.answer(request, CHANGED))
            assert (asked.code, asked.uri_path) == (PUT, ("3200", "0"))
            assert asked.payload == bytes.fromhex("E4 1676") + b"gate"  # TLV: a resource, id in two bytes, length 4
            assert answer.envelope() == {"errno": 0, "error": "succ"}

            arguments = b'{"args":"ping"}'
            execute = okhttp(
                "POST", "/nbiot/execute?imei=imeitest&obj_id=3200&obj_inst_id=0&res_id=5505", server, arguments
            )
            answer, asked = exchange(
                connection, device, execute, arguments, lambda request: device.answer(request, CHANGED)
            )
            assert (asked.code, asked.uri_path, asked.payload) == (POST, ("3200", "0", "5505"), b"ping")
            assert answer.envelope() == {"errno": 0, "error": "succ"}

            observe = okhttp(
                "POST",
                "/nbiot/observe?imei=imeitest&obj_id=3200&cancel=false&obj_inst_id=0&res_id=5500",
                server,
                b"{}",
            )
            answer, asked = exchange(
                connection,
                device,
                observe,
                b"{}",
                lambda request: device.answer(request, CONTENT, b"1", (OBSERVED, TEXT)),
            )
            assert (asked.code, asked.uri_path, asked.find_option(Option.OBSERVE)) == (GET, ("3200", "0", "5500"), b"")
            assert answer.envelope() == {"errno": 0, "error": "succ"}

        resources = connection.ask(okhttp("GET", "/nbiot/resources?imei=imeitest&obj_id=3200", server))
        assert resources.envelope()["errno"] == 0


# --- other SDKs -------------------------------------------------------------------------------------------------------


def test_the_node_sdk_has_a_slash_at_the_end_and_any_name_in_its_query(shared_server: ServerProcess) -> None:
    """The `request` library: lower-case header names, one connection per call."""
    new = b'{"title":"node","desc":"","protocol":"LWM2M","auth_info":{"869999000000041":"460000000000041"}}'
    common = f"api-key: {MASTER_KEY}\nhost: 127.0.0.1:{shared_server.http[1]}\n"
    tail = "Connection: close"
    with connect(shared_server.http) as connection:
        head = (
            f"POST /devices HTTP/1.1\n{common}content-type: application/json\naccept: application/json\n"
            f"content-length: {len(new)}\n{tail}"
        )
        device_id = connection.ask(head, new).data()["device_id"]
        assert connection.is_closed_by_peer()
    for target in (f"/devices/{device_id}/", f"/devices/{device_id}/?datastream_ids=a,b", f"/devices/{device_id}"):
        with connect(shared_server.http) as connection:
            detail = connection.ask(f"GET {target} HTTP/1.1\n{common}{tail}").data()

        assert detail["id"] == device_id
    with connect(shared_server.http) as connection:
        query = "imei=869999000000041&obj_id=3200&timeout=5&whatever=%E4%BD%A0&x"
        offline = connection.ask(f"GET /nbiot/?{query} HTTP/1.1\n{common}{tail}").envelope()

    assert offline["errno"] == 2001


def test_php_curl_sends_json_as_a_form(shared_server: ServerProcess) -> None:
    """The content type does not decide how a body is read; nor does `Accept: */*` how it is answered."""
    new = b'{"title":"php","protocol":"LwM2M","auth_info":{"869999000000042":"460000000000042"}}'
    common = f"Host: 127.0.0.1:{shared_server.http[1]}\nAccept: */*\napi-key: {MASTER_KEY}\n"
    form = "Content-Type: application/x-www-form-urlencoded"
    with connect(shared_server.http) as connection:
        created = connection.ask(with_length(f"POST /devices HTTP/1.1\n{common}{form}", new), new).data()
        renamed = connection.ask(
            with_length(f"PUT /devices/{created['device_id']} HTTP/1.1\n{common}{form}", b'{"title":"p2"}'),
            b'{"title":"p2"}',
        ).envelope()
        detail = connection.ask(f"GET /devices/{created['device_id']} HTTP/1.1\n{common}").data()

    assert renamed == {"errno": 0, "error": "succ"}
    assert detail["title"] == "p2"


def test_php_curl_waits_for_100_continue_before_a_large_body(shared_server: ServerProcess) -> None:
    """curl asks first when a body is over 1024 bytes; without the word it waits for half of its patience."""
    new = json.dumps(
        {
            "title": "large",
            "protocol": "LWM2M",
            "auth_info": {"869999000000043": "460000000000043"},
            "other": {"note": "x" * 1500},
        }
    ).encode()
    head = (
        f"POST /devices HTTP/1.1\nHost: 127.0.0.1\nAccept: */*\napi-key: {MASTER_KEY}\n"
        f"Content-Length: {len(new)}\nContent-Type: application/x-www-form-urlencoded\nExpect: 100-continue"
    )
    with connect(shared_server.http) as connection:
        go_on = connection.ask(head)
        connection.send_bytes(new)

        assert (go_on.status, go_on.body) == (100, b"")
        assert re.fullmatch(r"\d+", connection.answer().data()["device_id"])


def test_the_go_sdk_doubles_the_slash_and_allocates_by_content_length(shared_server: ServerProcess) -> None:
    """Also the names of paging that only it knows are passed over."""
    common = f"Host: 127.0.0.1\nUser-Agent: Go-http-client/1.1\nApi-Key: {MASTER_KEY}\nAccept-Encoding: gzip"
    new = b'{"title":"go","protocol":"LWM2M","auth_info":{"869999000000044":"460000000000044"}}'
    with connect(shared_server.http) as connection:
        device_id = connection.ask(with_length(f"POST //devices HTTP/1.1\n{common}", new), new).data()["device_id"]
        listed = connection.ask(f"GET //devices?page=1&per_page=10&start=0&limit=10 HTTP/1.1\n{common}").data()
        detail = connection.ask(f"GET //devices/{device_id} HTTP/1.1\n{common}").data()
        deleted = connection.ask(f"DELETE //devices/{device_id} HTTP/1.1\n{common}").envelope()

    assert (listed["page"], listed["per_page"]) == (1, 10)
    assert device_id in [each["id"] for each in listed["devices"]]
    assert detail["id"] == device_id
    assert deleted == {"errno": 0, "error": "succ"}


def test_the_csharp_sdk_adds_parameters_and_sends_octets(shared_server: ServerProcess) -> None:
    """`v`, `format`, `timestamp` on every call, a percent-encoded space in the last; the body as octet-stream."""
    extras = "v=2.0&format=json&timestamp=2018-06-04%2017:43:11"
    common = f"api-key: {MASTER_KEY}\nHost: 127.0.0.1\nUser-Agent: OneNET/.NET\nAccept: text/xml,text/javascript"
    new = b'\xef\xbb\xbf{"title":"csharp","protocol":"LWM2M","auth_info":{"869999000000045":"460000000000045"}}'
    with connect(shared_server.http) as connection:
        head = f"POST /devices?{extras} HTTP/1.1\n{common}\nContent-Type: application/octet-stream"
        created = connection.ask(with_length(head, new), new).data()
        found = connection.ask(f"GET /devices/getbyimei?imei=869999000000045&{extras} HTTP/1.1\n{common}").data()

    assert found["id"] == created["device_id"]


def test_time_out_of_a_php_application_is_an_unknown_name(tmp_path: Path) -> None:
    """`time_out=45` would be out of range for `timeout`; it is another name and changes nothing."""
    values = b'{"data":[{"res_id":5900,"val":23.5}]}'
    head = (
        f"POST /nbiot?imei={IMEI}&obj_id=3308&obj_inst_id=0&mode=2&time_out=45 HTTP/1.1\nHost: 127.0.0.1\n"
        f"Accept: */*\napi-key:{MASTER_KEY}\nContent-Type: application/x-www-form-urlencoded"
    )
    with running(tmp_path) as server:
        server.create_device(IMEI, IMSI)
        with registered(server) as device, connect(server.http) as connection:
            answer, asked = exchange(
                connection, device, with_length(head, values), values, lambda request: device.answer(request, CHANGED)
            )

    assert (asked.code, asked.uri_path) == (POST, ("3308", "0"))
    assert answer.envelope() == {"errno": 0, "error": "succ"}


def test_capitals_in_the_names_of_an_observe_reach_the_device(tmp_path: Path) -> None:
    """`pMin` and `pMax`, as one production client writes them, become attributes on the wire before the observe."""
    head = (
        f"POST /nbiot/observe?IMEI={IMEI}&Obj_id=3308&cancel=False&obj_inst_id=0&pMin=5&pMax=60 HTTP/1.1\n"
        f"Host: 127.0.0.1\napi-key: {MASTER_KEY}\nContent-Length: 2"
    )
    with running(tmp_path) as server:
        server.create_device(IMEI, IMSI)
        with registered(server) as device, connect(server.http) as connection:
            connection.send(head, b"{}")
            attributes = device.receive_request()
            device.answer(attributes, CHANGED)
            observe = device.receive_request()
            device.answer(observe, CONTENT, b"", (OBSERVED,))
            envelope = connection.answer().envelope()

    assert (attributes.code, attributes.uri_path) == (PUT, ("3308", "0"))
    assert sorted(attributes.uri_query) == ["pmax=60", "pmin=5"]
    assert (observe.code, observe.uri_path, observe.find_option(Option.OBSERVE)) == (GET, ("3308", "0"), b"")
    assert envelope == {"errno": 0, "error": "succ"}


# --- cached commands as applications send them ------------------------------------------------------------------------


def test_a_cached_write_with_raw_colons_is_delivered_and_typed_sdks_can_read_its_history(tmp_path: Path) -> None:
    """Times with a bare `:`; then int, string and date fields of the kinds that Jackson binds."""
    values = b'{"data":[{"res_id":5900,"val":23.5}]}'
    window = "valid_time=2020-01-01T00:00:00&expired_time=2037-01-01T12:30:00"
    key = f"Host: 127.0.0.1\nAPI-KEY: {MASTER_KEY}"
    with running(tmp_path) as server, connect(server.http) as connection:
        server.create_device(IMEI, IMSI)
        with registered(server) as device:
            target = f"/nbiot/offline?imei={IMEI}&obj_id=3308&obj_inst_id=0&mode=2&{window}&retry=3&timeout=25"
            head = with_length(f"POST {target} HTTP/1.1\n{key}\nContent-Type: text/plain", values)
            uuid = connection.ask(head, values).data()["uuid"]
            device.update()
            device.answer(device.receive_request(), CHANGED)
            server.wait_for_status(IMEI, uuid, SUCCESS)

            listing = f"/nbiot/offline/history?imei={IMEI}&start=2020-01-01T00:00:00&end=2037-01-01T00:00:00"
            listed = connection.ask(f"GET {listing}&page=1&per_page=10&sort=DESC HTTP/1.1\n{key}").data()
            item = connection.ask(f"GET /nbiot/offline/history/{uuid}?imei={IMEI} HTTP/1.1\n{key}").data()

    assert [each["cmd_uuid"] for each in listed["items"]] == [uuid]
    assert type(listed["total_count"]) is int
    for name in ("send_status", "trigger_msg", "remain"):
        assert type(item[name]) is int, (name, item[name])
    assert (item["send_status"], item["confirm_status"], item["type"]) == (SUCCESS, "SUCCESS", "WRITE")
    for name in ("create_time", "valid_time", "expired_time", "send_time", "confirm_time"):
        assert STAMP.fullmatch(item[name]), (name, item[name])


def test_a_cached_read_may_hold_its_parameters_in_a_body(shared_server: ServerProcess) -> None:
    """JSON with a GET, as one page of the documents prints it; numbers may be text."""
    imei = "869999000000046"
    shared_server.create_device(imei, "460000000000046")
    parameters = json.dumps(
        {"imei": imei, "obj_id": 3308, "obj_inst_id": "0", "expired_time": "2037-01-01T00:00:00"}
    ).encode()
    head = (
        f"GET /nbiot/offline HTTP/1.1\nHost: 127.0.0.1\napi-key: {MASTER_KEY}\n"
        f"Content-Type: application/json\nContent-Length: {len(parameters)}"
    )
    with connect(shared_server.http) as connection:
        uuid = connection.ask(head, parameters).data()["uuid"]
        cancelled = connection.ask(
            f"PUT /nbiot/offline/cancel/{uuid}?imei={imei} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nContent-Length: 2",
            b"{}",
        ).envelope()

    assert [each["cmd_uuid"] for each in shared_server.history(imei)] == [uuid]
    assert cancelled["errno"] == 0


def test_a_fork_of_the_java_sdk_runs_every_cached_call(tmp_path: Path) -> None:
    """OfflineRead, -Write, -Execute, history, detail and cancel, `imei` in every URL, on one kept-alive connection."""
    terms = "valid_time=2020-01-01T00:00:00&expired_time=2037-01-01T00:00:00&retry=3"
    common = f"imei={IMEI}&obj_id=3308&obj_inst_id=0"
    values, arguments = b'{"data":[{"res_id":5900,"val":23.5}]}', b'{"args":"ping"}'
    with running(tmp_path) as server, connect(server.http) as connection:
        server.create_device(IMEI, IMSI)

        def submit(method: str, target: str, body: bytes = b"") -> str:
            uuid = connection.ask(okhttp(method, target, server, body), body).data()["uuid"]
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)
            return str(uuid)

        with registered(server) as device:
            submitted = [
                submit("GET", f"/nbiot/offline?{common}&res_id=5900&{terms}"),
                submit("POST", f"/nbiot/offline?{common}&mode=2&{terms}", values),
                submit("POST", f"/nbiot/execute/offline?{common}&res_id=5523&{terms}", arguments),
                submit("GET", f"/nbiot/offline?{common}&{terms}"),
            ]
            cancel = okhttp("PUT", f"/nbiot/offline/cancel/{submitted[3]}?imei={IMEI}", server, b"{}")
            assert connection.ask(cancel, b"{}").envelope() == {"errno": 0, "error": "succ"}
            device.update()
            seen = []
            for code, payload, options in ((CONTENT, b"21.5", (TEXT,)), (CHANGED, b"", ()), (CHANGED, b"", ())):
                request = device.receive_request()
                seen.append((request.code, request.uri_path))
                device.answer(request, code, payload, options)
            server.wait_for_status(IMEI, submitted[2], SUCCESS)

        period = "start=2020-01-01T00:00:00&end=2037-01-01T00:00:00&page=1&per_page=10&sort=ASC"
        listed = connection.ask(okhttp("GET", f"/nbiot/offline/history?imei={IMEI}&{period}", server)).data()
        details = [
            connection.ask(okhttp("GET", f"/nbiot/offline/history/{uuid}?imei={IMEI}", server)).data()
            for uuid in submitted
        ]

    path = ("3308", "0")
    assert seen == [(GET, (*path, "5900")), (POST, path), (POST, (*path, "5523"))]
    assert [item["cmd_uuid"] for item in listed["items"]] == submitted
    assert listed["total_count"] == 4
    assert [detail["type"] for detail in details] == ["READ", "WRITE", "EXECUTE", "READ"]
    assert [detail["send_status"] for detail in details] == [SUCCESS, SUCCESS, SUCCESS, CANCELLED]
    assert details[0]["cmd_result"]["data"] == [{"obj_inst_id": 0, "res": [{"res_id": 5900, "val": 21.5}]}]
    assert (details[1]["content"], details[2]["content"]) == (json.loads(values), json.loads(arguments))
    assert "cmd_result" not in details[3]


def test_capitals_of_the_translated_pages_are_read(shared_server: ServerProcess) -> None:
    """`IMEI`, `Obj_id`, `Res_id`, `Mode` in the query; `Data`, `Res_id`, `Val` and `Args` in the body."""
    imei = "869999000000049"
    shared_server.create_device(imei, "460000000000049")
    key = f"Host: x\napi-key: {MASTER_KEY}\nContent-Type: application/json"
    common = f"IMEI={imei}&Obj_id=3308&Obj_inst_id=0&Expired_time=2037-01-01T00:00:00&Timeout=30"
    write, execute = b'{"Data":[{"Res_id":5900,"Val":7}]}', b'{"Args":"1"}'
    with connect(shared_server.http) as connection:
        uuids = [
            connection.ask(with_length(f"{line} HTTP/1.1\n{key}", body), body).data()["uuid"]
            for line, body in (
                (f"GET /nbiot/offline?{common}&Res_id=5900", b""),
                (f"POST /nbiot/offline?{common}&Mode=2", write),
                (f"POST /nbiot/execute/offline?{common}&Res_id=5523", execute),
            )
        ]
        detail = connection.ask(f"GET /nbiot/offline/history/{uuids[1]}?Imei={imei} HTTP/1.1\n{key}").data()

    assert [item["type"] for item in shared_server.history(imei)] == ["READ", "WRITE", "EXECUTE"]
    assert (detail["args"]["mode"], detail["args"]["timeout"], detail["args"]["obj_id"]) == (2, 30, 3308)


# --- HTTP itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api-key", "API-KEY", "Api-Key", "aPI-kEY"])
def test_the_name_of_the_key_header_may_be_in_any_case(shared_server: ServerProcess, name: str) -> None:
    with connect(shared_server.http) as connection:
        assert connection.ask(f"GET /devices HTTP/1.1\nHost: x\n{name}: {MASTER_KEY}").data()["page"] == 1


def test_other_headers_may_be_in_any_case(shared_server: ServerProcess) -> None:
    body = b'{"title":"case","protocol":"LWM2M","auth_info":{"869999000000047":"1"}}'
    with connect(shared_server.http) as connection:
        head = f"POST /devices HTTP/1.1\nHOST: x\nAPI-KEY: {MASTER_KEY}\nCONTENT-LENGTH: {len(body)}"

        assert connection.ask(head, body).data()["device_id"]


def test_http_1_0_is_answered_and_the_connection_ends(shared_server: ServerProcess) -> None:
    """Without a Host header, as it may be in 1.0."""
    with connect(shared_server.http) as connection:
        answer = connection.ask(f"GET /devices HTTP/1.0\napi-key: {MASTER_KEY}")

        assert answer.data()["page"] == 1
        assert connection.is_closed_by_peer()


def test_http_1_0_with_keep_alive_gets_its_second_answer_or_an_end(shared_server: ServerProcess) -> None:
    """A server may close; what it says in `Connection` has to be what it does."""
    head = f"GET /devices HTTP/1.0\nConnection: Keep-Alive\napi-key: {MASTER_KEY}"
    with connect(shared_server.http) as connection:
        answer = connection.ask(head)
        assert answer.envelope()["errno"] == 0
        if [value.lower() for value in answer.values("connection")] == ["keep-alive"]:
            assert connection.ask(head).envelope()["errno"] == 0
        else:
            assert connection.is_closed_by_peer()


def test_pipelined_requests_are_answered_in_order(shared_server: ServerProcess) -> None:
    """Three written at once: a refused one in the middle neither overtakes nor ends the connection."""
    heads = [
        f"GET /devices?page=7 HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}",
        "GET /devices HTTP/1.1\nHost: x\napi-key: wrong",
        f"GET /devices?page=9 HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}",
    ]
    with connect(shared_server.http) as connection:
        connection.send_bytes("".join(f"{head}\n\n" for head in heads).replace("\n", "\r\n").encode())
        first, second, third = (connection.answer().envelope() for _ in heads)

    assert (first["data"]["page"], second["errno"], third["data"]["page"]) == (7, 3, 9)


@pytest.mark.parametrize("sizes", [(1,), (7, 1, 1000), (1000,)])
def test_a_chunked_body_is_read_whole(shared_server: ServerProcess, sizes: tuple[int, ...]) -> None:
    """Whatever the chunks: clients that stream do not know the length beforehand."""
    imei = f"8699990000005{len(sizes)}{len(str(sizes[0]))}"
    body = json.dumps({"title": "chunks", "protocol": "LWM2M", "auth_info": {imei: "1"}}).encode()
    chunks = bytearray()
    at = turn = 0
    while at < len(body):
        piece = body[at : at + sizes[turn % len(sizes)]]
        chunks += b"%x\r\n%s\r\n" % (len(piece), piece)
        at, turn = at + len(piece), turn + 1
    head = f"POST /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}\nTransfer-Encoding: chunked"
    with connect(shared_server.http) as connection:
        created = connection.ask(head, bytes(chunks) + b"0\r\n\r\n").data()
        again = connection.ask(f"GET /devices/{created['device_id']} HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}").data()

    assert again["auth_info"] == {imei: "1"}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_methods_that_are_not_served_are_404_and_leave_the_connection_usable(
    shared_server: ServerProcess, method: str
) -> None:
    """Nothing pretends to be a GET; an answer to HEAD carries no body that the next answer would be mixed with."""
    with connect(shared_server.http) as connection:
        refused = connection.ask(
            f"{method} /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}", to_head_request=method == "HEAD"
        )
        following = connection.ask(f"GET /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}")

    assert refused.status == 404
    assert len(refused.values("content-length")) == 1
    assert following.data()["page"] == 1


def test_bytes_that_are_no_http_end_one_connection_only(shared_server: ServerProcess) -> None:
    """A 400 of the HTTP layer, and the next caller is served."""
    with connect(shared_server.http) as connection:
        connection.send_bytes(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")  # the start of a TLS handshake
        assert connection.answer().status == 400
    with connect(shared_server.http) as connection:
        assert connection.ask(f"GET /devices HTTP/1.1\nHost: x\napi-key: {MASTER_KEY}").data()["page"] == 1


# --- types ------------------------------------------------------------------------------------------------------------


def test_types_of_a_device_are_those_that_typed_sdks_bind(shared_server: ServerProcess) -> None:
    """`create_time` without fraction or `T`, coordinates as numbers, flags as booleans, ids as text."""
    imei = "869999000000048"
    device_id = shared_server.create_device(
        imei, "460000000000048", tags=["a"], location={"lon": 109, "lat": 23.5}, other={"k": [1, "v"]}, private=True
    )
    key = f"Host: x\napi-key: {MASTER_KEY}"
    with connect(shared_server.http) as connection:
        detail = connection.ask(f"GET /devices/{device_id} HTTP/1.1\n{key}").data()
        listed = connection.ask(f"GET /devices?device_id={device_id} HTTP/1.1\n{key}").data()
        status = connection.ask(f"GET /devices/status?devIds={device_id}&imei={imei} HTTP/1.1\n{key}").data()
        found = connection.ask(f"GET /devices/getbyimei?imei={imei} HTTP/1.1\n{key}").data()

    (item,) = listed["devices"]
    for record in (detail, item):
        assert STAMP.fullmatch(record["create_time"])
        assert record["id"] == device_id
        assert (record["location"]["lon"], record["location"]["lat"]) == (109, 23.5)
        assert (record["online"], record["private"], record["tags"]) == (False, True, ["a"])
        assert record["auth_info"] == {imei: "460000000000048"}
    assert {name: type(listed[name]) for name in ("page", "per_page", "total_count")} == dict.fromkeys(
        ("page", "per_page", "total_count"), int
    )
    assert status == {"total_count": 1, "devices": [{"id": device_id, "title": imei, "online": False}]}
    assert STAMP.fullmatch(found["create_time"])
    assert (detail["other"], found["id"]) == ({"k": [1, "v"]}, device_id)
