"""`commandpost demo`: the whole story on a real server, and what it does when an answer is wrong."""

import re
from pathlib import Path

import pytest

from commandpost.cli.demo.narrator import DemoFailed, check_equal, check_errno
from tests.acceptance.processes import run_cli

DEMO_S = 100.0  # it takes a quarter of that
HERE = r"127\.0\.0\.1:\d+"
READY = rf"server: ready http={HERE} coap={HERE} mqtt={HERE} edp={HERE}"
CREATED = r'< \{"errno":0,"error":"succ","data":\{"status":1,"desc":"Command Created"\}\}'
TWO_POINTS = r'< .*"id":"temperature","datapoints":\[\{[^{]*\},\{[^{]*\}\].*'


def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    done = run_cli("demo", "--data-dir", str(tmp_path / "data"), timeout_s=DEMO_S)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.splitlines()]
    order = [
        READY,
        r"lamp: write /3311/0/5850 = true",
        r'< \{"errno":0,"error":"succ","data":\[\{"obj_inst_id":0,"res":\[\{"res_id":5850,"val":true\}\]\}\]\}',
        r"pump: heard 'ping' over MQTT",
        r"< ok: ping",
        r"gauge: heard 'ping' over EDP",
        r"< ok: ping",
        r"> POST /cmds\?device_id=4&qos=1&timeout=3600  later",
        r"> POST /cmds\?device_id=5&qos=1&timeout=3600  later",
        CREATED,
        CREATED,
        r"history: write: waiting",
        r"history: execute: waiting",
        r"server: process \d+ ended with -9",
        READY,
        CREATED,
        CREATED,
        r"history: regretted: cancelled",
        r"pump: heard 'later' over MQTT",
        r"< ok: later",
        r"gauge: heard 'later' over EDP",
        r"< ok: later",
        r"> GET /devices/4/datapoints\?datastream_id=temperature.*",
        TWO_POINTS,
        r"> GET /devices/5/datapoints\?datastream_id=temperature.*",
        TWO_POINTS,
        r"history: short-lived: expired",
        r"meter: write /3306/0/5851 = 42",
        r"meter: execute /3303/0/5605",
        r"history: write: success",
        r"history: execute: success",
        r"valve: was asked twice, .*",
        r"history: unanswered: failed",
        r"write +WRITE +success \(SUCCESS\)",
        r"pump +MQTT +2 payloads, 2 answers",
        r"gauge +EDP +2 payloads, 2 answers",
        r"All of it was checked: done\.",
    ]
    at = 0
    for wanted in order:
        found = next((n for n in range(at, len(lines)) if re.fullmatch(wanted, lines[n])), None)
        assert found is not None, f"{wanted} does not come after line {at}: {done.stdout}"
        at = found + 1


def test_a_server_that_does_not_start_ends_the_demo_with_1_and_its_words(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    done = run_cli("demo", "--data-dir", str(tmp_path / "data"), timeout_s=DEMO_S)

    assert done.returncode == 1
    assert "the demo failed" in done.stderr
    assert str(tmp_path / "data") in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_of_another_errno_ends_the_story() -> None:
    with pytest.raises(DemoFailed, match=r'POST /nbiot answered .*"errno":2001.*: errno 0 was expected'):
        check_errno({"errno": 2001, "error": "not online"}, 0, "POST /nbiot")


def test_anything_that_is_not_as_told_ends_the_story() -> None:
    check_equal([1], [1], "the log")
    with pytest.raises(DemoFailed, match=r"the log is \[1\]: \[2\] was expected"):
        check_equal([1], [2], "the log")
