"""The operator's calls on a real store: what each refuses, and that nothing but JSON comes out."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from commandpost.app import open_admin
from commandpost.config import Settings
from commandpost.northbound.admin import CALLS
from commandpost.northbound.admin_errors import AdminError
from tests.event_loop import on_event_loop


def call_on_one_product(folder: Path, name: str, parameters: Mapping[str, object]) -> object:
    async def call() -> object:
        async with open_admin(Settings(data_dir=folder / "data")) as admin:
            await admin.call("product.create", {"name": "first"})
            await admin.call("device.add", {"imei": "1234", "imsi": "5678"})
            return await admin.call(name, parameters)

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("name", "parameters", "code", "word"),
    [
        ("product.burn", {}, "unknown_call", "product.create"),
        ("product.create", {}, "invalid", "name"),
        ("product.create", {"name": ""}, "invalid", "name"),
        ("product.create", {"name": 5}, "invalid", "name"),
        ("product.create", {"name": "x", "colour": "red"}, "invalid", "colour"),
        ("product.create", {"name": "x", "imei_rule": "odd"}, "invalid", "imei_rule"),
        ("product.create", {"name": "x", "product_id": "0"}, "invalid", "decimal digits"),
        ("product.create", {"name": "x", "product_id": "12a"}, "invalid", "decimal digits"),
        ("product.create", {"name": "x", "product_id": "9" * 19}, "invalid", "9223372036854775807"),
        ("product.create", {"name": "x", "product_id": "1"}, "taken", "1"),
        ("product.create", {"name": "x", "master_key": "with space"}, "invalid", "master_key"),
        ("product.set", {"product_id": "7", "name": "x"}, "not_found", "7"),
        ("key.rotate", {"kind": "third"}, "invalid", "kind"),
        ("device.add", {"imei": "1234", "imsi": "5678"}, "taken", "1234"),
        ("device.add", {"imei": "x" * 18, "imsi": "1"}, "invalid", "IMEI"),
        ("device.add", {"imei": "1", "imsi": "1", "tags": ["x"] * 65}, "invalid", "tags"),
        ("device.show", {"device": "99999999999"}, "not_found", "99999999999"),
        ("device.list", {"limit": 101}, "invalid", "limit"),
        ("device.list", {"page": 0}, "invalid", "page"),
        ("command.list", {"before_seq": "x"}, "invalid", "before"),
        ("command.list", {"device": "1234", "before_seq": "5"}, "invalid", "before"),
        ("command.show", {"command_id": "17"}, "invalid", "UUID"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(
    tmp_path: Path, name: str, parameters: dict[str, object], code: str, word: str
) -> None:
    with pytest.raises(AdminError) as caught:
        call_on_one_product(tmp_path, name, parameters)

    assert caught.value.code == code
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("server.status", {}),
        ("product.list", {}),
        ("key.show", {}),
        ("device.list", {}),
        ("device.show", {"device": "1234"}),
        ("device.show", {"device": "1"}),
        ("command.list", {}),
        ("command.list", {"device": "1234"}),
    ],
)
def test_every_answer_is_json(tmp_path: Path, name: str, parameters: dict[str, object]) -> None:
    answer = call_on_one_product(tmp_path, name, parameters)

    assert json.loads(json.dumps(answer)) == answer


def test_no_answer_but_the_keys_own_calls_shows_a_secret(tmp_path: Path) -> None:
    @on_event_loop
    async def look() -> None:
        async with open_admin(Settings(data_dir=tmp_path / "data")) as admin:
            created = await admin.call("product.create", {"name": "first", "master_key": "a-secret-key"})
            assert isinstance(created, dict)
            device = {"imei": "1234", "imsi": "5", "psk": "pskpskpskpsk", "auth_code": "auth0code0"}
            shown = [
                await admin.call("device.add", device),
                await admin.call("device.show", {"device": "1234"}),
                await admin.call("device.list", {}),
                await admin.call("product.list", {}),
            ]

            text = json.dumps(shown)
            secrets = ["a-secret-key", created["access_key"], "pskpskpskpsk", "auth0code0"]
            assert [secret for secret in secrets if secret in text] == []

    look()


def test_the_table_names_every_call_the_command_line_makes() -> None:
    sources = (Path(__file__).parents[2] / "src/commandpost/cli").rglob("*.py")
    text = "".join(source.read_text() for source in sources)

    assert [name for name in CALLS if f'"{name}"' not in text] == []
