"""product, key, device, command and doctor: the same beside a running server and without one."""

import re
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from tests.acceptance.processes import one_line, run_cli, run_json, running_cli, serving

KEY = "a-key-of-the-test"
IMEI = "860000000000001"
UNKNOWN_UUID = "42742677-adc3-54ca-83a1-5aaaf71482f8"


@pytest.fixture(scope="module")
def started_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as its first server has left it: with one product."""
    directory = tmp_path_factory.mktemp("started") / "data"
    with serving(directory, environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        assert server.stop() == 0
    return directory


@pytest.fixture(params=["beside_a_server", "without_a_server"])
def data_dir(request: pytest.FixtureRequest, started_once: Path, tmp_path: Path) -> Iterator[str]:
    """A data directory with one product, once with its server running and once after it has stopped."""
    directory = tmp_path / "data"
    shutil.copytree(started_once, directory)
    with serving(directory) if request.param == "beside_a_server" else nullcontext():
        yield str(directory)


def test_products_are_created_listed_and_changed(data_dir: str) -> None:
    (first,) = run_json("product", "list", "--data-dir", data_dir)
    assert re.fullmatch(r"[1-9]\d*", first["id"])
    assert first["name"]

    created = run_json("product", "create", "水表", "--imei-rule", "strict", "--data-dir", data_dir)
    changed = run_json(
        "product", "set", created["id"], "--name", "meters", "--auto-discover", "--allow-imei-only",
        "--execute-delivery", "at_most_once", "--device-security", "nosec+auth_code",
        "--bootstrap-uri", "coap://192.0.2.1:5683", "--data-dir", data_dir,
    )  # fmt: skip
    listed = run_json("product", "list", "--data-dir", data_dir)

    assert created["name"] == "水表"
    assert created["master_key"] != created["access_key"]
    assert changed["name"] == "meters"
    assert changed["auto_discover"] is True
    assert changed["imei_rule"] == "strict"
    assert changed["allow_imei_only"] is True
    assert changed["execute_delivery"] == "at_most_once"
    assert changed["device_security"] == "nosec+auth_code"
    assert (changed["bootstrap_uri"], changed["bootstrap_secure_uri"]) == ("coap://192.0.2.1:5683", None)
    assert [product["id"] for product in listed] == [first["id"], created["id"]]
    assert changed in listed


def test_a_product_id_may_be_chosen_once(data_dir: str) -> None:
    chosen = ["product", "create", "meters", "--id", "123123", "--data-dir", data_dir]
    assert run_json(*chosen)["id"] == "123123"

    again = run_cli(*chosen)
    assert again.returncode == 4
    assert "123123" in one_line(again.stderr)


def test_keys_are_shown_and_rotated(data_dir: str) -> None:
    shown = run_json("key", "show", "--data-dir", data_dir)
    assert shown["master_key"] == KEY

    rotated = run_json("key", "rotate", "--data-dir", data_dir)
    access = run_json("key", "rotate", "--kind", "access", "--data-dir", data_dir)

    assert rotated["master_key"] not in (KEY, "")
    assert rotated["access_key"] == shown["access_key"]
    assert access["master_key"] == rotated["master_key"]
    assert access["access_key"] != shown["access_key"]
    assert run_json("key", "show", "--data-dir", data_dir) == access


def test_where_there_are_several_products_one_has_to_be_named(data_dir: str) -> None:
    created = run_json("product", "create", "second", "--data-dir", data_dir)

    unnamed = run_cli("key", "show", "--data-dir", data_dir)
    named = run_json("key", "show", "--product", created["id"], "--data-dir", data_dir)

    assert unnamed.returncode == 2
    told = f"--product is missing, and there are several products: 1, {created['id']}"
    assert told in one_line(unnamed.stderr)
    assert named["master_key"] == created["master_key"]


def test_devices_are_added_listed_shown_and_removed(data_dir: str) -> None:
    added = run_json("device", "add", IMEI, "460000000000001", "--title", "lamp", "--tag", "a", "--data-dir", data_dir)
    listed = run_json("device", "list", "--data-dir", data_dir)
    by_id = run_json("device", "show", added["id"], "--data-dir", data_dir)
    by_imei = run_json("device", "show", IMEI, "--data-dir", data_dir)
    removed = run_json("device", "remove", IMEI, "--data-dir", data_dir)
    removed_again = run_json("device", "remove", IMEI, "--data-dir", data_dir)

    assert (added["imei"], added["imsi"], added["title"], added["tags"]) == (IMEI, "460000000000001", "lamp", ["a"])
    assert added["online"] is False
    assert listed["total"] == 1
    assert [device["id"] for device in listed["devices"]] == [added["id"]]
    assert by_id == by_imei
    assert by_id["resources"] == []
    assert removed["removed"] is True
    assert removed_again["removed"] is False
    assert run_json("device", "list", "--data-dir", data_dir) == {"total": 0, "devices": []}


def test_a_taken_imei_is_refused_with_4(data_dir: str) -> None:
    run_json("device", "add", IMEI, "460000000000001", "--data-dir", data_dir)

    done = run_cli("device", "add", IMEI, "460000000000001", "--data-dir", data_dir)

    assert done.returncode == 4
    assert IMEI in one_line(done.stderr)


def test_what_is_not_there_or_not_allowed_is_one_line(data_dir: str) -> None:
    for arguments, exit_code, word in (
        (["device", "show", "7"], 3, "7"),
        (["command", "show", UNKNOWN_UUID], 3, UNKNOWN_UUID),
        (["command", "cancel", UNKNOWN_UUID], 3, UNKNOWN_UUID),
        (["command", "show", "17"], 2, "UUID"),
        (["key", "show", "--product", "999"], 3, "999"),
        (["key", "show", "--product", "abc"], 2, "decimal digits"),
        (["product", "set", "999", "--name", "x"], 3, "999"),
        (["device", "add", "not an imei"], 2, "imei"),
    ):
        done = run_cli(*arguments, "--data-dir", data_dir)

        assert done.returncode == exit_code, (arguments, done.stderr)
        assert done.stdout == ""
        assert word in one_line(done.stderr)


def test_people_get_tables(data_dir: str) -> None:
    run_json("device", "add", IMEI, "460000000000001", "--data-dir", data_dir)

    done = run_cli("device", "list", "--data-dir", data_dir)

    assert done.returncode == 0
    heading, row = done.stdout.splitlines()
    assert heading.split()[:4] == ["id", "protocol", "imei", "title"]
    assert IMEI in row


def test_the_data_directory_may_come_from_the_environment(data_dir: str) -> None:
    assert len(run_json("product", "list", environment={"COMMANDPOST_DATA_DIR": data_dir})) == 1


def test_doctor_finds_nothing_wrong(data_dir: str) -> None:
    answer = run_json("doctor", "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0", "--data-dir", data_dir)

    names = [check["name"] for check in answer["checks"]]
    assert names == [
        "http port", "coap port", "data directory", "server", "disk", "fsync", "receive buffer", "open files", "clock",
        "limits", "exposure",
    ]  # fmt: skip
    assert answer["ok"] is True
    assert all(check["state"] == "ok" or check["advice"] for check in answer["checks"])


def test_commands_are_listed_shown_and_cancelled(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with serving(data_dir, environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        run_json("device", "add", IMEI, "460000000000001", "--data-dir", str(data_dir))
        target = f"/nbiot/offline?imei={IMEI}&obj_id=3303&expired_time=2099-01-01T00:00:00"
        uuids = [server.get(target, api_key=KEY)["data"]["uuid"] for _ in range(3)]
        listed = run_json("command", "list", "--data-dir", str(data_dir))
        older = run_json("command", "list", "--before", listed[1]["seq"], "--data-dir", str(data_dir))
        of_device = run_json("command", "list", "--device", IMEI, "--data-dir", str(data_dir))
        cancelled = run_json("command", "cancel", uuids[0], "--data-dir", str(data_dir))
        assert server.stop() == 0
    again = run_json("command", "cancel", uuids[0], "--data-dir", str(data_dir))
    offline = run_json("command", "cancel", uuids[1], "--data-dir", str(data_dir))
    shown = run_json("command", "show", uuids[2], "--data-dir", str(data_dir))

    assert [command["id"] for command in listed] == uuids[::-1]
    assert [command["id"] for command in older] == [uuids[0]]
    assert of_device == listed
    assert (cancelled["state"], cancelled["cancelled"]) == ("cancelled", True)
    assert (again["state"], again["cancelled"]) == ("cancelled", False)
    assert (offline["state"], offline["cancelled"]) == ("cancelled", True)
    assert (shown["state"], shown["operation"], shown["sendings"]) == ("waiting", "read /3303", [])


def test_a_data_directory_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    done = run_cli("product", "list", "--data-dir", str(tmp_path / "typo"))

    assert done.returncode == 2
    assert "typo" in one_line(done.stderr)
    assert not (tmp_path / "typo").exists()


def test_a_product_may_be_created_before_the_first_start(tmp_path: Path) -> None:
    created = run_json("product", "create", "meters", "--data-dir", str(tmp_path / "data"))

    with serving(tmp_path / "data") as server:
        assert server.get("/devices", api_key=created["master_key"])["errno"] == 0
    assert [product["name"] for product in run_json("product", "list", "--data-dir", str(tmp_path / "data"))] == [
        "meters"
    ]


def test_doctor_names_a_port_somebody_else_has_and_ends_with_1(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_cli("doctor", "--http", "127.0.0.1:0", "--coap", address, "--data-dir", str(tmp_path / "data"))

    assert done.returncode == 1
    assert f"{address} cannot be bound" in done.stdout
    assert "--coap" in done.stdout
    assert not (tmp_path / "data").exists()


def test_doctor_knows_the_ports_of_its_own_server(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        answer = run_json("doctor", "--http", server.http, "--coap", server.coap, "--data-dir", str(tmp_path / "data"))

    by_name = {check["name"]: check for check in answer["checks"]}
    assert "held by the server" in by_name["http port"]["found"]
    assert "held by the server" in by_name["coap port"]["found"]
    assert str(server.process.pid) in by_name["server"]["found"]


def test_doctor_warns_of_a_data_directory_others_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)

    answer = run_json("doctor", "--http", "127.0.0.1:0", "--coap", "127.0.0.1:0", "--data-dir", str(folder))

    (check,) = [check for check in answer["checks"] if check["name"] == "data directory"]
    assert check["state"] == "warn"
    assert "chmod" in check["advice"]
    assert list(folder.iterdir()) == []


def test_after_a_kill_the_socket_that_was_left_behind_is_passed_over(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with serving(data_dir, environment={"COMMANDPOST_MASTER_KEY": KEY}) as server:
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    assert (data_dir / "admin.sock").exists()

    assert run_json("key", "show", "--data-dir", str(data_dir))["master_key"] == KEY
    with serving(data_dir):
        assert run_json("key", "show", "--data-dir", str(data_dir))["master_key"] == KEY


def test_commands_at_the_same_time_wait_for_one_another(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    first = run_json("product", "create", "first", "--data-dir", data_dir)
    imeis = [f"86000000000000{number}" for number in range(4)]
    with ExitStack() as stack:
        adding = [
            stack.enter_context(running_cli("device", "add", imei, "1", "--data-dir", data_dir)) for imei in imeis
        ]
        ended = [command.wait() for command in adding]

    assert [(done.stderr, done.returncode) for done in ended] == [("", 0)] * 4
    listed = run_json("device", "list", "--product", first["id"], "--data-dir", data_dir)
    assert sorted(device["imei"] for device in listed["devices"]) == imeis
