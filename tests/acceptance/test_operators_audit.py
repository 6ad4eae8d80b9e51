"""What is kept of the operator's own calls, and how it is shown."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from commandpost.app import open_admin
from commandpost.cli import audit, key
from commandpost.config import Settings
from commandpost.northbound.admin_errors import AdminError


def ask(data_dir: Path, *calls: tuple[str, Mapping[str, object]]) -> list[Any]:  # Any: JSON
    """Make calls on a store that nobody serves; gives their answers, or the codes of their refusals."""

    async def call() -> list[object]:
        answers: list[object] = []
        async with open_admin(Settings(data_dir=data_dir)) as admin:
            for name, parameters in calls:
                try:
                    answers.append(await admin.call(name, parameters))
                except AdminError as error:
                    answers.append(error.code)
        return answers

    return asyncio.run(call())


def entries(data_dir: Path, **parameters: object) -> list[dict[str, Any]]:
    (answer,) = ask(data_dir, ("audit.list", parameters))
    found = answer["entries"]
    assert isinstance(found, list)
    return found


def test_changes_and_the_showing_of_keys_are_kept_and_looking_is_not(tmp_path: Path) -> None:
    """Without a key in it; refusals with their code. It outlives the process that wrote it."""
    created, *_ = ask(
        tmp_path,
        ("product.create", {"name": "first\nsecond", "master_key": "a-master-key-of-a-test"}),
        ("product.list", {}),
        ("key.show", {}),
        ("key.rotate", {"kind": "master", "overlap_s": 60}),
        ("device.add", {"product_id": "1", "imei": "86", "imsi": "1", "psk": "asecretpsk1"}),
        ("device.remove", {"product_id": "7", "device": "86"}),
        ("device.list", {}),
    )

    found = entries(tmp_path)
    assert [(entry["action"], entry["product_id"], entry["target"], entry["result"]) for entry in found] == [
        ("device.remove", "7", "device 86", "not_found"),
        ("device.add", "1", "imei 86", "ok"),
        ("key.rotate", "1", "kind master, overlap_s 60", "ok"),
        ("key.show", "1", "", "ok"),
        ("product.create", "1", "name first\N{REPLACEMENT CHARACTER}second", "ok"),
    ]
    assert {entry["actor"] for entry in found} == {"operator"}
    for secret in ("a-master-key-of-a-test", "asecretpsk1", created["access_key"]):
        assert secret not in json.dumps(found)


def test_a_call_is_filed_under_the_product_it_is_about_although_it_names_none(tmp_path: Path) -> None:
    """One product is meant where there is one; nobody knows which where there are several. Refusals are filed, too."""
    rotation = ("key.rotate", {"kind": "master", "overlap_s": 60})
    ask(
        tmp_path,
        ("product.create", {"name": "first"}),
        ("key.show", {}),
        *([rotation] * 9),
        ("device.add", {"imei": "86", "imsi": "1"}),
        ("device.remove", {"device": "86"}),
        ("push.remove", {"subscription_id": "5"}),
        ("product.create", {"name": "second", "product_id": "7"}),
        ("product.create", {"name": "third", "product_id": "7"}),
        ("key.show", {}),
    )

    found = [(entry["action"], entry["result"]) for entry in entries(tmp_path, product_id="1")]
    assert found == [
        ("push.remove", "ok"),
        ("device.remove", "ok"),
        ("device.add", "ok"),
        ("key.rotate", "too_many_old_keys"),
        ("key.rotate", "ok"),
        ("key.show", "ok"),
        ("product.create", "ok"),
    ]
    assert [entry["result"] for entry in entries(tmp_path, product_id="7")] == ["taken", "ok"]
    (unknown,) = [entry for entry in entries(tmp_path) if entry["product_id"] is None]
    assert (unknown["action"], unknown["result"]) == ("key.show", "invalid")


def test_what_was_changed_of_a_product_is_told(tmp_path: Path) -> None:
    """Who opened a door without DTLS has to be found, and when."""
    ask(
        tmp_path,
        ("product.create", {"name": "first", "device_security": "dtls"}),
        ("product.set", {"product_id": "1", "device_security": "mixed", "allow_imei_only": True}),
    )

    assert [entry["target"] for entry in entries(tmp_path)] == [
        "device_security mixed, allow_imei_only True",
        "name first, device_security dtls",
    ]


def test_pages_of_the_audit(tmp_path: Path) -> None:
    """By product, and behind a number."""
    ask(tmp_path, *(("product.create", {"name": f"p{number}"}) for number in range(3)))
    ask(tmp_path, ("key.rotate", {"product_id": "2", "kind": "access"}))

    assert [entry["number"] for entry in entries(tmp_path, limit=2)] == ["4", "3"]
    assert [entry["number"] for entry in entries(tmp_path, before="3")] == ["2", "1"]
    assert [entry["action"] for entry in entries(tmp_path, product_id="2")] == ["key.rotate", "product.create"]
    assert ask(tmp_path, ("audit.list", {"limit": 0}), ("audit.list", {"before": "x"})) == ["invalid", "invalid"]


def test_the_command_line_shows_it_and_the_overlap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people, JSON for scripts."""
    ask(tmp_path, ("product.create", {"name": "first"}))

    key.rotate(overlap=3600, data_dir=tmp_path, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert [old["kind"] for old in shown["old_keys"]] == ["master"]
    audit.list_entries(data_dir=tmp_path)
    assert "key.rotate" in capsys.readouterr().out
    audit.list_entries(data_dir=tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)["entries"][0]["action"] == "key.rotate"


def test_too_many_old_keys_are_refused(tmp_path: Path) -> None:
    """With a code of its own."""
    rotation = ("key.rotate", {"kind": "master", "overlap_s": 60})

    answers = ask(tmp_path, ("product.create", {"name": "first"}), *([rotation] * 9))
    assert answers[-1] == "too_many_old_keys"
