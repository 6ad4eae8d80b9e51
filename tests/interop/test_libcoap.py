"""libcoap's tools as a device: its client registers and updates, its server is what commands are sent to.

Source: southbound reference 1.4, 1.5 and 7.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import ServerProcess, poll
from tests.interop.libcoap_tools import ClientRun, coap_client, coap_server, free_udp_port

IMSI = "460000000000071"
AUTH_CODE = "Code71"
OBJECTS = '</>;rt="oma.lwm2m",</3200/0>,</3306/0>'
EXPIRED_TIME = "2037-01-01T00:00:00"
LISTED_WAIT_S = 10.0
WAITING, SUCCESS = 1, 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server; each test has a device of its own."""
    with ServerProcess(data_dir=tmp_path_factory.mktemp("libcoap") / "data") as running:
        yield running


def register(server: ServerProcess, imei: str, *options: str, objects: str = OBJECTS) -> ClientRun:
    """Register as modules do: `ep`, `b`, `lt` in this order, the semicolon raw."""
    uri = f"coap://{server.coap[0]}:{server.coap[1]}/rd?ep={imei};{IMSI}&b=U&lt=300"
    return coap_client("post", uri, "-t", "40", "-e", objects, *options)


def location(server: ServerProcess, imei: str) -> str:
    return f"coap://{server.coap[0]}:{server.coap[1]}/rd/{imei}"


def is_online(server: ServerProcess, imei: str) -> bool:
    return bool(server.data("GET", "/devices/getbyimei", {"imei": imei})["online"])


def test_register_update_and_deregister(server: ServerProcess) -> None:
    """2.01 with its location, piggy-backed; 2.04 with nothing in it; 2.02, and then nobody is there."""
    imei = "869999000000071"
    server.create_device(imei, IMSI)

    registered = register(server, imei)
    updated = coap_client("post", location(server, imei))
    was_online = is_online(server, imei)
    changed = coap_client("post", location(server, imei) + "?lt=600", "-t", "40", "-e", OBJECTS + ",</3303/0>")
    resources = server.data("GET", "/nbiot/resources", {"imei": imei})
    gone = coap_client("delete", location(server, imei))
    after = coap_client("post", location(server, imei))

    assert (registered.answer.type, registered.answer.code) == ("ACK", "2.01")
    assert registered.answer.options == ("Location-Path:rd", f"Location-Path:{imei}")
    assert (updated.answer.type, updated.answer.code, updated.answer.options) == ("ACK", "2.04", ())
    assert was_online
    assert changed.answer.code == "2.04"
    assert [each["obj_id"] for each in resources["item"]] == [3200, 3303, 3306]
    assert gone.answer.code == "2.02"
    assert not is_online(server, imei)
    assert after.answer.code == "4.04"


def test_option_63_has_to_match_where_a_device_has_an_auth_code(server: ServerProcess) -> None:
    """On Register, Update and De-register; without it, or with another, 4.03."""
    imei = "869999000000072"
    server.create_device(imei, IMSI, auth=AUTH_CODE)
    right, wrong = ("-O", f"63,{AUTH_CODE}"), ("-O", "63,Code00")

    assert register(server, imei).answer.code == "4.03"
    assert register(server, imei, *wrong).answer.code == "4.03"
    assert not is_online(server, imei)
    assert register(server, imei, *right).answer.code == "2.01"
    assert coap_client("post", location(server, imei), *wrong).answer.code == "4.03"
    assert coap_client("post", location(server, imei), *right).answer.code == "2.04"
    assert coap_client("delete", location(server, imei), *wrong).answer.code == "4.03"
    assert is_online(server, imei)
    assert coap_client("delete", location(server, imei), *right).answer.code == "2.02"


def test_who_is_not_known_is_told_so(server: ServerProcess) -> None:
    """An IMEI without a device, an IMSI of somebody else, a path that is not there, a critical option nobody knows."""
    imei = "869999000000073"
    server.create_device(imei, IMSI)
    base = f"coap://{server.coap[0]}:{server.coap[1]}"

    assert register(server, "869999000000999").answer.code == "4.03"
    assert coap_client("post", f"{base}/rd?ep={imei};460000000000999", "-e", OBJECTS).answer.code == "4.03"
    assert coap_client("post", f"{base}/rd/869999000000999").answer.code == "4.04"
    assert coap_client("get", f"{base}/nothing").answer.code == "4.04"
    assert coap_client("post", f"{base}/rd?lt=300", "-e", OBJECTS).answer.code == "4.00"
    assert register(server, imei, "-O", "65001,x").answer.code == "4.02"


def test_a_long_object_list_comes_in_blocks(server: ServerProcess) -> None:
    """Block1 in pieces of 64 bytes; each is told to go on, the last gets the answer."""
    imei = "869999000000074"
    server.create_device(imei, IMSI)
    objects = '</>;rt="oma.lwm2m",' + ",".join(f"</{number}/0>" for number in range(3300, 3350))

    registered = register(server, imei, "-b", "64", objects=objects)
    listed: list[int] = []
    for _ in poll(LISTED_WAIT_S):  # what is listed is kept just after the answer
        listed = [each["obj_id"] for each in server.data("GET", "/nbiot/resources", {"imei": imei})["item"]]
        if listed:
            break

    assert len(registered.received) == -(-len(objects) // 64)
    assert {answer.code for answer in registered.received[:-1]} == {"2.31"}
    assert registered.answer.code == "2.01"
    assert listed == list(range(3300, 3350))


def test_a_non_confirmable_request_gets_a_non_confirmable_answer(server: ServerProcess) -> None:
    imei = "869999000000075"
    server.create_device(imei, IMSI)

    registered = register(server, imei, "-N")
    updated = coap_client("post", location(server, imei), "-N")

    assert (registered.answer.type, registered.answer.code) == ("NON", "2.01")
    assert (updated.answer.type, updated.answer.code) == ("NON", "2.04")


def test_a_lost_request_is_repeated_and_answered_once(server: ServerProcess) -> None:
    """The first datagram is dropped on its way out; the repeated one registers."""
    imei = "869999000000076"
    server.create_device(imei, IMSI)

    registered = register(server, imei, "-l", "1")

    assert registered.sent_types == ("CON", "CON")
    assert [answer.code for answer in registered.received] == ["2.01"]
    assert is_online(server, imei)


def test_tokens_may_be_empty_repeated_and_of_eight_bytes(server: ServerProcess) -> None:
    """The same token with other message ids is another request every time; it comes back as it was."""
    imei = "869999000000077"
    server.create_device(imei, IMSI)
    register(server, imei)

    for token in ("", "T", "T", "12345678"):
        updated = coap_client("post", location(server, imei), *(("-T", token) if token else ()))

        assert updated.answer.code == "2.04"
        if token:
            # The tool counts its token up when it hands the request over.
            assert updated.answer.token[:-2] == token.encode().hex()[:-2]
            assert len(updated.answer.token) == 2 * len(token)


def test_commands_reach_libcoap_s_server_on_the_port_that_registered(server: ServerProcess, tmp_path: Path) -> None:
    """Write, read, observe and execute between two stacks; 1500 bytes go out by Block1 and come back by Block2."""
    imei = "869999000000078"
    port = free_udp_port()
    server.create_device(imei, IMSI)
    instance = {"imei": imei, "obj_id": 3200, "obj_inst_id": 0}
    text = "x" * 1500
    long, short = ({"data": [{"res_id": 5750, "val": value}]} for value in (text, "y"))

    assert register(server, imei, "-p", str(port)).answer.code == "2.01"
    with coap_server(port, tmp_path / "coap-server.log"):
        server.data("POST", "/nbiot", {**instance, "mode": 1}, body=long)
        read_long = server.data("GET", "/nbiot", instance)
        server.data("POST", "/nbiot/observe", {**instance, "cancel": "false"}, body={})
        notified = server.data("GET", "/nbiot/offline", {**instance, "expired_time": EXPIRED_TIME, "trigger_msg": 4})[
            "uuid"
        ]
        server.data("POST", "/nbiot", {**instance, "mode": 1}, body=short)  # its observer hears of it
        server.wait_for_status(imei, notified, SUCCESS)
        read_short = server.data("GET", "/nbiot", instance)
        unknown = server.call("GET", "/nbiot", {**instance, "obj_id": 3306})
        unknown_too = server.call("GET", "/nbiot/discover", {"imei": imei, "obj_id": 3200})

    assert read_long == [{"obj_inst_id": 0, "res": [{"res_id": 5750, "val": text}]}]
    assert read_short == [{"obj_inst_id": 0, "res": [{"res_id": 5750, "val": "y"}]}]
    assert (unknown["errno"], unknown["error"]) == (5106, "unsuccess: NOT_FOUND")
    assert (unknown_too["errno"], unknown_too["error"]) == (5106, "unsuccess: NOT_FOUND")


def test_a_cached_write_reaches_a_device_that_listens_too_late_for_the_first_datagram(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The UPDATE releases it to a port nobody listens on yet; the retransmission finds the device there."""
    imei = "869999000000079"
    port = free_udp_port()
    server.create_device(imei, IMSI)
    instance = {"imei": imei, "obj_id": 3200, "obj_inst_id": 0}
    register(server, imei, "-p", str(port))
    uuid = server.data(
        "POST",
        "/nbiot/offline",
        {**instance, "mode": 1, "expired_time": EXPIRED_TIME},
        body={"data": [{"res_id": 5750, "val": "late"}]},
    )["uuid"]

    assert coap_client("post", location(server, imei), "-p", str(port)).answer.code == "2.04"
    for _ in poll(30):
        if server.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": imei})["send_status"] != WAITING:
            break
    with coap_server(port, tmp_path / "coap-server.log"):
        server.wait_for_status(imei, uuid, SUCCESS)
        read = server.data("GET", "/nbiot", instance)

    assert read == [{"obj_inst_id": 0, "res": [{"res_id": 5750, "val": "late"}]}]
